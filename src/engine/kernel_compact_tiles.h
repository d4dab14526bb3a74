/*
 * kernel_compact_tiles.h
 *	  Linear maps of bf16 or int8 in vector registers; included once by the file of each
 *	  variant.
 *
 * Tiles are as in kernel_tiles.h.  The including file defines KERNEL_TARGET, the vectors
 * of vectors_*.h, the types StripSums, StripWeights and Input, and over these
 *
 *	StripSums ZeroSums(void)
 *	StripWeights LoadWeights(const uint32 *weights)
 *	Input LoadInput(uint32 group)
 *	void Accumulate(StripSums *sums, Input input, const StripWeights *weights)
 *	void FinishSums(const StripSums *sums, const CompactRows *x, int row,
 *					const CompactWeights *weights, int strip, const float *start, Vector *y)
 *
 * of which the last makes the numbers of kernel_compact.h for one strip of one row, before
 * relu.
 */
#ifndef MTL_RANK_KERNEL_COMPACT_TILES_H
#define MTL_RANK_KERNEL_COMPACT_TILES_H

#include "engine/kernel_compact.h"

#define LANES		(MTL_STRIP / VECTORS)

#define MAX_ROWS	12
#define MAX_STRIPS	4

typedef bool (*TileFunction) (int row, int ngroups, const CompactRows *x,
							  const CompactWeights *weights, Vectors start, bool relu,
							  float *y, Size y_stride);

/* nrows and nstrips are constants where this is inlined. */
KERNEL_TARGET static pg_attribute_always_inline bool
Tile(const int nrows, const int nstrips, int row, int ngroups, const CompactRows *x,
	 const CompactWeights *weights, Vectors start, bool relu, float *y, Size y_stride)
{
	const Size	strip_size = (Size) ngroups * MTL_STRIP;
	const Size	stride = x->stride;
	const uint32 *inputs = x->groups + row * stride;
	const uint32 *groups = weights->groups;
	/* copies, which the stores into y cannot change */
	const CompactRows rows = *x;
	const CompactWeights units = *weights;
	StripSums	sums[MAX_ROWS][MAX_STRIPS];
	Vector		check = VectorFill(0);

	UNROLL
	for (int r = 0; r < nrows; r++)
	{
		UNROLL
		for (int s = 0; s < nstrips; s++)
			sums[r][s] = ZeroSums();
	}
	for (int g = 0; g < ngroups; g++)
	{
		StripWeights loaded[MAX_STRIPS];

		UNROLL
		for (int s = 0; s < nstrips; s++)
			loaded[s] = LoadWeights(groups + s * strip_size);
		UNROLL
		for (int r = 0; r < nrows; r++)
		{
			Input		input = LoadInput(inputs[r * stride + g]);

			UNROLL
			for (int s = 0; s < nstrips; s++)
				Accumulate(&sums[r][s], input, &loaded[s]);
		}
		groups += MTL_STRIP;
	}
	UNROLL
	for (int r = 0; r < nrows; r++)
	{
		UNROLL
		for (int s = 0; s < nstrips; s++)
		{
			Vector		numbers[VECTORS];

			FinishSums(&sums[r][s], &rows, row + r, &units, s,
					   start.numbers + r * start.stride + s * MTL_STRIP, numbers);
			UNROLL
			for (int v = 0; v < VECTORS; v++)
			{
				/* zero for finite numbers, NaN for all others */
				check = VectorMultiplyAdd(numbers[v], VectorFill(0), check);
				if (relu)
					numbers[v] = VectorPositive(numbers[v]);
				VectorStore(y + s * MTL_STRIP + v * LANES, numbers[v]);
			}
		}
		y += y_stride;
	}
	return VectorIsZero(check);
}

#define DEFINE_TILE(nrows, nstrips) \
KERNEL_TARGET static pg_noinline bool \
Tile_##nrows##_##nstrips(int row, int ngroups, const CompactRows *x, \
						 const CompactWeights *weights, Vectors start, bool relu, \
						 float *y, Size y_stride) \
{ \
	return Tile(nrows, nstrips, row, ngroups, x, weights, start, relu, y, y_stride); \
}

/* The weights from a later strip on. */
static CompactWeights
LaterStrips(const CompactWeights *weights, int nstrips, int ngroups)
{
	CompactWeights later = *weights;

	later.groups += (Size) nstrips * ngroups * MTL_STRIP;
	later.scales += nstrips * MTL_STRIP;
	/* bf16 has none */
	if (later.sums)
		later.sums += nstrips * MTL_STRIP;
	return later;
}

/*
 * All rows of some strips that one tile can be wide, in tiles of about the same
 * height; tiles[] has the function for each number of rows.
 */
static bool
LinearStrips(const TileFunction *tiles, int max_rows, int nrows, int ngroups, const CompactRows *x,
			 const CompactWeights *weights, Vectors start, bool relu, float *y, Size y_stride)
{
	bool		finite = true;
	int			row = 0;

	for (int left = (nrows + max_rows - 1) / max_rows; left > 0; left--)
	{
		int			rows = (nrows - row + left - 1) / left;

		finite &= tiles[rows] (row, ngroups, x, weights, start, relu, y, y_stride);
		row += rows;
		start.numbers += rows * start.stride;
		y += rows * y_stride;
	}
	return finite;
}

#endif							/* MTL_RANK_KERNEL_COMPACT_TILES_H */
