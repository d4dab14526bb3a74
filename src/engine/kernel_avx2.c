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

static bool
Linear(int nrows, int ninputs, Vectors x, int nstrips, const float *weight, Size strip_size,
	   Vectors start, bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	while (nstrips > 0)
	{
		int			strips = TileStrips(nrows, nstrips);

		finite &= LinearStrips(tiles[strips], max_rows[strips], nrows, ninputs, x,
							   weight, strip_size, start, relu, y, y_stride);
		nstrips -= strips;
		weight += strips * strip_size;
		start.numbers += strips * MTL_STRIP;
		y += strips * MTL_STRIP;
	}
	return finite;
}

/* ------------------------------------------------------- narrow weights */

/* The first n of eight numbers; n may be 0, or more than eight. */
KERNEL_TARGET static pg_attribute_always_inline __m256i
FirstNumbers(int n)
{
	return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/*
 * nrows, and whether the units take one vector or two, are constants where this is
 * inlined.  Loads are masked: they read nothing behind the weights.
 */
KERNEL_TARGET static pg_attribute_always_inline bool
NarrowTile(const int nrows, const int nvectors, int ninputs, Vectors x, int units,
		   const float *weight, Vectors start, bool relu, float *y, Size y_stride)
{
	const __m256i masks[2] = {FirstNumbers(units), FirstNumbers(units - LANES)};
	Vector		sums[MAX_ROWS][2];
	Vector		check = VectorFill(0);

	UNROLL
	for (int r = 0; r < nrows; r++)
	{
		UNROLL
		for (int v = 0; v < nvectors; v++)
			sums[r][v] = VectorLoad(start.numbers + r * start.stride + v * LANES);
	}
	for (int k = 0; k < ninputs; k++)
	{
		Vector		weights[2];

		UNROLL
		for (int v = 0; v < nvectors; v++)
			weights[v] = _mm256_maskload_ps(weight + v * LANES, masks[v]);
		UNROLL
		for (int r = 0; r < nrows; r++)
		{
			Vector		input = VectorFill(x.numbers[r * x.stride + k]);

			UNROLL
			for (int v = 0; v < nvectors; v++)
				sums[r][v] = VectorMultiplyAdd(input, weights[v], sums[r][v]);
		}
		weight += units;
	}
	UNROLL
	for (int r = 0; r < nrows; r++)
	{
		UNROLL
		for (int v = 0; v < nvectors; v++)
		{
			check = VectorMultiplyAdd(sums[r][v], VectorFill(0), check);
			if (relu)
				sums[r][v] = VectorPositive(sums[r][v]);
			VectorStore(y + r * y_stride + v * LANES, sums[r][v]);
		}
	}
	return VectorIsZero(check);
}

#define NARROW_TILES(rows, vectors) \
	for (; nrows >= (rows); nrows -= (rows)) \
	{ \
		finite &= NarrowTile(rows, vectors, ninputs, x, units, weight, start, relu, y, y_stride); \
		x.numbers += (rows) * x.stride; \
		start.numbers += (rows) * start.stride; \
		y += (rows) * y_stride; \
	}

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
