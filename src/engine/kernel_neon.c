/*
 * kernel_neon.c
 *	  Kernels for 64-bit ARM, all of which have NEON with fused multiply-add.
 */
#include "postgres.h"

#include "engine/kernel.h"

#ifdef MTL_NEON_KERNELS

#define KERNEL_TARGET

#define MultiplyAdd(a, b, c) __builtin_fmaf(a, b, c)
#include "engine/kernel_loops.h"

#define MAX_MIX_VECTORS				16
#include "engine/vectors_neon.h"
#include "engine/kernel_tiles.h"

/* Sums, weights and an input of each row take up to 32 registers. */
DEFINE_TILE(1, 1) DEFINE_TILE(2, 1) DEFINE_TILE(3, 1) DEFINE_TILE(4, 1) DEFINE_TILE(5, 1)
DEFINE_TILE(1, 2) DEFINE_TILE(2, 2)
DEFINE_TILE(1, 4)

static const TileFunction tiles[][MAX_ROWS + 1] = {
	{NULL},
	{NULL, Tile_1_1, Tile_2_1, Tile_3_1, Tile_4_1, Tile_5_1},
	{NULL, Tile_1_2, Tile_2_2},
	{NULL},
	{NULL, Tile_1_4}
};

static const int max_rows[] = {0, 5, 2, 0, 1};

/* Few rows need more strips, or there are not sums enough to hide the latency of one. */
static int
TileStrips(int nrows, int nstrips)
{
	if (nrows == 1 && nstrips >= 4)
		return 4;
	if (nrows <= 2 && nstrips >= 2)
		return 2;
	return 1;
}

#include "engine/kernel_linear.h"

/* ------------------------------------------------------- narrow weights */

static pg_attribute_always_inline Vector
VectorLoadFirst(const float *from, int n)
{
	switch (n)
	{
		case 1:
			return vld1q_lane_f32(from, vdupq_n_f32(0), 0);
		case 2:
			return vcombine_f32(vld1_f32(from), vdup_n_f32(0));
		case 3:
			return vcombine_f32(vld1_f32(from), vld1_lane_f32(from + 2, vdup_n_f32(0), 0));
		default:
			return vld1q_f32(from);
	}
}

#include "engine/kernel_narrow.h"

static bool
LinearNarrow(int nrows, int ninputs, Vectors x, int units, const float *weight, Vectors start,
			 bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	switch ((units + LANES - 1) / LANES)
	{
		case 1:
			NARROW_TILES(12, 1);
			NARROW_TILES(4, 1);
			NARROW_TILES(1, 1);
			break;
		case 2:
			NARROW_TILES(8, 2);
			NARROW_TILES(3, 2);
			NARROW_TILES(1, 2);
			break;
		case 3:
			NARROW_TILES(6, 3);
			NARROW_TILES(3, 3);
			NARROW_TILES(1, 3);
			break;
		default:
			NARROW_TILES(5, 4);
			NARROW_TILES(2, 4);
			NARROW_TILES(1, 4);
			break;
	}
	return finite;
}

const Kernels mtl_neon_kernels = {
	.linear = Linear,
	.linear_narrow = LinearNarrow,
	.mix = Mix,
	.add_rows = AddRows,
	LOOP_KERNELS
};

#endif							/* MTL_NEON_KERNELS */
