/*
 * kernel_avx2.c
 *	  Kernels for CPUs with AVX2 and FMA.
 */
#include "postgres.h"

#include "engine/kernel.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx2,fma")))

#define MultiplyAdd(a, b, c) __builtin_fmaf(a, b, c)
#include "engine/kernel_loops.h"

#define MAX_MIX_VECTORS				8
#include "engine/vectors_avx2.h"
#include "engine/kernel_tiles.h"

/* Sums, weights and an input take up to 16 registers. */
DEFINE_TILE(1, 1) DEFINE_TILE(2, 1) DEFINE_TILE(3, 1) DEFINE_TILE(4, 1) DEFINE_TILE(5, 1) DEFINE_TILE(6, 1)
DEFINE_TILE(1, 2) DEFINE_TILE(2, 2) DEFINE_TILE(3, 2)
DEFINE_TILE(1, 4)

static const TileFunction tiles[][MAX_ROWS + 1] = {
	{NULL},
	{NULL, Tile_1_1, Tile_2_1, Tile_3_1, Tile_4_1, Tile_5_1, Tile_6_1},
	{NULL, Tile_1_2, Tile_2_2, Tile_3_2},
	{NULL},
	{NULL, Tile_1_4}
};

static const int max_rows[] = {0, 6, 3, 0, 1};

/* Few rows need more strips, or there are not sums enough to hide the latency of one. */
static int
TileStrips(int nrows, int nstrips)
{
	if (nrows == 1 && nstrips >= 4)
		return 4;
	if (nrows <= 3 && nstrips >= 2)
		return 2;
	return 1;
}

#include "engine/kernel_linear.h"

/* ------------------------------------------------------- narrow weights */

KERNEL_TARGET static pg_attribute_always_inline Vector
VectorLoadFirst(const float *from, int n)
{
	__m256i		mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));

	return _mm256_maskload_ps(from, mask);
}

#include "engine/kernel_narrow.h"

KERNEL_TARGET bool
MtlLinearNarrowAvx2(int nrows, int ninputs, Vectors x, int units,
					const float *weight, Vectors start, bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	if (units <= LANES)
	{
		NARROW_TILES(12, 1);
		NARROW_TILES(4, 1);
		NARROW_TILES(1, 1);
	}
	else
	{
		NARROW_TILES(6, 2);
		NARROW_TILES(3, 2);
		NARROW_TILES(1, 2);
	}
	return finite;
}

const Kernels mtl_avx2_kernels = {
	.linear = Linear,
	.linear_narrow = MtlLinearNarrowAvx2,
	.mix = Mix,
	.add_rows = AddRows,
	LOOP_KERNELS
};

#endif							/* MTL_X86_KERNELS */
