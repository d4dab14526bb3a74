/*
 * kernel_tiles.h
 *	  Linear maps and mixes in vector registers; included once by the file of each variant.
 *
 * A tile is the part of y whose sums live in registers while the inputs pass: some
 * rows by some strips.  Each weight that is loaded serves all rows, and each input
 * all strips, so that the multiply-adds and not the loads set the pace.  There is a
 * function for each size of a tile.
 *
 * The including file defines KERNEL_TARGET, Vector and the functions of vectors,
 * VECTORS, how many of them a strip takes, and MAX_MIX_VECTORS, how many sums of a mix
 * there are registers for.
 */
#ifndef MTL_RANK_KERNEL_TILES_H
#define MTL_RANK_KERNEL_TILES_H

#include "engine/kernel.h"

#define MAX_ROWS	12
#define MAX_STRIPS	4
#define LANES		(MTL_STRIP / VECTORS)

typedef bool (*TileFunction) (int ninputs, Vectors x, const float *weight, Size strip_size,
							  Vectors start, bool relu, float *y, Size y_stride);

/* ------------------------------------------------------------- linear maps */

/* nrows and nstrips are constants where this is inlined. */
KERNEL_TARGET static pg_attribute_always_inline bool
Tile(const int nrows, const int nstrips, int ninputs, Vectors x,
	 const float *weight, Size strip_size, Vectors start, bool relu, float *y, Size y_stride)
{
	Vector		sums[MAX_ROWS][MAX_STRIPS * VECTORS];
	Vector		checks[MAX_STRIPS * VECTORS];

	UNROLL
	for (int v = 0; v < nstrips * VECTORS; v++)
		checks[v] = VectorFill(0);
	UNROLL
	for (int r = 0; r < nrows; r++)
	{
		UNROLL
		for (int v = 0; v < nstrips * VECTORS; v++)
			sums[r][v] = VectorLoad(start.numbers + r * start.stride + v * LANES);
	}
	for (int k = 0; k < ninputs; k++)
	{
		Vector		weights[MAX_STRIPS * VECTORS];

		UNROLL
		for (int v = 0; v < nstrips * VECTORS; v++)
			weights[v] = VectorLoad(weight + v / VECTORS * strip_size + v % VECTORS * LANES);
		UNROLL
		for (int r = 0; r < nrows; r++)
		{
			Vector		input = VectorFill(x.numbers[r * x.stride + k]);

			UNROLL
			for (int v = 0; v < nstrips * VECTORS; v++)
				sums[r][v] = VectorMultiplyAdd(input, weights[v], sums[r][v]);
		}
		weight += MTL_STRIP;
	}
	UNROLL
	for (int r = 0; r < nrows; r++)
	{
		UNROLL
		for (int v = 0; v < nstrips * VECTORS; v++)
		{
			/* zero for finite numbers, NaN for all others */
			checks[v] = VectorMultiplyAdd(sums[r][v], VectorFill(0), checks[v]);
			if (relu)
				sums[r][v] = VectorPositive(sums[r][v]);
			VectorStore(y + v * LANES, sums[r][v]);
		}
		y += y_stride;
	}
	UNROLL
	for (int v = 1; v < nstrips * VECTORS; v++)
		checks[0] = VectorAdd(checks[0], checks[v]);
	return VectorIsZero(checks[0]);
}

#define DEFINE_TILE(nrows, nstrips) \
KERNEL_TARGET static pg_noinline bool \
Tile_##nrows##_##nstrips(int ninputs, Vectors x, const float *weight, Size strip_size, \
						 Vectors start, bool relu, float *y, Size y_stride) \
{ \
	return Tile(nrows, nstrips, ninputs, x, weight, strip_size, start, relu, y, y_stride); \
}

/*
 * All rows of some strips that one tile can be wide, in tiles of about the same
 * height; tiles[] has the function for each number of rows.
 */
static bool
LinearStrips(const TileFunction *tiles, int max_rows, int nrows, int ninputs, Vectors x,
			 const float *weight, Size strip_size, Vectors start, bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	for (int left = (nrows + max_rows - 1) / max_rows; left > 0; left--)
	{
		int			rows = (nrows + left - 1) / left;

		finite &= tiles[rows] (ninputs, x, weight, strip_size, start, relu, y, y_stride);
		nrows -= rows;
		x.numbers += rows * x.stride;
		start.numbers += rows * start.stride;
		y += rows * y_stride;
	}
	return finite;
}

/* --------------------------------------------------------------------- mix */

/* Some registers of one row's mix; nvectors is a constant where this is inlined. */
KERNEL_TARGET static pg_attribute_always_inline void
MixTile(const int nvectors, int r, int offset, int nexperts, const float *gate,
		const Vectors *experts, float *y)
{
	Vector		sums[MAX_MIX_VECTORS];

	UNROLL
	for (int v = 0; v < nvectors; v++)
		sums[v] = VectorFill(0);
	for (int i = 0; i < nexperts; i++)
	{
		const float *expert = experts[i].numbers + r * experts[i].stride + offset;
		Vector		weight = VectorFill(gate[i]);

		UNROLL
		for (int v = 0; v < nvectors; v++)
			sums[v] = VectorMultiplyAdd(weight, VectorLoad(expert + v * LANES), sums[v]);
	}
	UNROLL
	for (int v = 0; v < nvectors; v++)
		VectorStore(y + offset + v * LANES, sums[v]);
}

#define MIX_TILES(nvectors) \
	for (; offset + (nvectors) * LANES <= width; offset += (nvectors) * LANES) \
		MixTile(nvectors, r, offset, nexperts, row_gate, experts, row_y)

KERNEL_TARGET static void
Mix(int nrows, int width, int nexperts, Vectors gate, const Vectors *experts,
	float *y, Size y_stride)
{
	for (int r = 0; r < nrows; r++)
	{
		const float *row_gate = gate.numbers + r * gate.stride;
		float	   *row_y = y + r * y_stride;
		int			offset = 0;

		MIX_TILES(MAX_MIX_VECTORS);
		MIX_TILES(8);
		MIX_TILES(4);
		MIX_TILES(2);
		MIX_TILES(1);
		for (; offset < width; offset++)
		{
			float		sum = 0;

			for (int i = 0; i < nexperts; i++)
				sum = MultiplyAdd(row_gate[i], experts[i].numbers[r * experts[i].stride + offset], sum);
			row_y[offset] = sum;
		}
	}
}

/* -------------------------------------------------------------- added rows */

/* Some registers of a sum of rows; nvectors is a constant where this is inlined. */
KERNEL_TARGET static pg_attribute_always_inline void
AddTile(const int nvectors, const float *start, int nrows, const float *const *rows,
		const float *const *next, Size column, float *y)
{
	Vector		sums[MAX_MIX_VECTORS];

	UNROLL
	for (int v = 0; v < nvectors; v++)
		sums[v] = VectorLoad(start + v * LANES);
	for (int i = 0; i < nrows; i++)
	{
		const float *row = rows[i] + column;
		const float *ahead = next[i] + column;

		UNROLL
		for (int v = 0; v < nvectors; v++)
		{
			if (v % VECTORS == 0)
				__builtin_prefetch(ahead + v * LANES, 0, 2);
			sums[v] = VectorAdd(sums[v], VectorLoad(row + v * LANES));
		}
	}
	UNROLL
	for (int v = 0; v < nvectors; v++)
		VectorStore(y + v * LANES, sums[v]);
}

#define ADD_TILES(nvectors) \
	for (; u + (nvectors) * LANES <= width; u += (nvectors) * LANES) \
		AddTile(nvectors, start + u, nrows, rows, next, column + u, y + u)

KERNEL_TARGET static void
AddRows(int width, const float *start, int nrows, const float *const *rows,
		const float *const *next, Size column, float *y)
{
	int			u = 0;

	ADD_TILES(MAX_MIX_VECTORS);
	ADD_TILES(4);
	ADD_TILES(VECTORS);
}

#endif							/* MTL_RANK_KERNEL_TILES_H */
