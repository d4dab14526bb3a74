/*
 * kernel_narrow.h
 *	  Linear maps of narrow weights in vector registers; included once by the file of a
 *	  variant, after kernel_tiles.h.
 *
 * The including file defines VectorLoadFirst(from, n), the first n numbers of a vector, 1
 * to LANES of them, and zeros; it reads nothing behind them, as there may be no more
 * weights.
 */
#ifndef MTL_RANK_KERNEL_NARROW_H
#define MTL_RANK_KERNEL_NARROW_H

#include "engine/kernel_tiles.h"

/* nrows and nvectors, how many vectors the units take, are constants where this is inlined. */
KERNEL_TARGET static pg_attribute_always_inline bool
NarrowTile(const int nrows, const int nvectors, int ninputs, Vectors x, int units,
		   const float *weight, Vectors start, bool relu, float *y, Size y_stride)
{
	const int	last = nvectors - 1;
	Vector		sums[MAX_ROWS][VECTORS];
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
		Vector		weights[VECTORS];

		UNROLL
		for (int v = 0; v < last; v++)
			weights[v] = VectorLoad(weight + v * LANES);
		weights[last] = VectorLoadFirst(weight + last * LANES, units - last * LANES);
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

/* In a function with the parameters of linear_narrow, and finite. */
#define NARROW_TILES(rows, vectors) \
	for (; nrows >= (rows); nrows -= (rows)) \
	{ \
		finite &= NarrowTile(rows, vectors, ninputs, x, units, weight, start, relu, y, y_stride); \
		x.numbers += (rows) * x.stride; \
		start.numbers += (rows) * start.stride; \
		y += (rows) * y_stride; \
	}

#endif							/* MTL_RANK_KERNEL_NARROW_H */
