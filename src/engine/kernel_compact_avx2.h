/*
 * kernel_compact_avx2.h
 *	  What linear maps of bf16 and of int8 have in common on CPUs with AVX2; included
 *	  once by the file of each, after what kernel_compact_tiles.h asks for.
 */
#ifndef MTL_RANK_KERNEL_COMPACT_AVX2_H
#define MTL_RANK_KERNEL_COMPACT_AVX2_H

#include "engine/kernel_compact_tiles.h"

/* Sums, weights and an input take up to 16 registers. */
DEFINE_TILE(1, 1) DEFINE_TILE(2, 1) DEFINE_TILE(3, 1)

static const TileFunction tiles[MAX_ROWS + 1] = {NULL, Tile_1_1, Tile_2_1, Tile_3_1};

static bool
Linear(int nrows, int ngroups, const CompactRows *x, int nstrips, const CompactWeights *weights,
	   Vectors start, bool relu, float *y, Size y_stride)
{
	CompactWeights rest = *weights;
	bool		finite = true;

	for (int strip = 0; strip < nstrips; strip++)
	{
		finite &= LinearStrips(tiles, 3, nrows, ngroups, x, &rest, start, relu, y, y_stride);
		rest = LaterStrips(&rest, 1, ngroups);
		start.numbers += MTL_STRIP;
		y += MTL_STRIP;
	}
	return finite;
}

#endif							/* MTL_RANK_KERNEL_COMPACT_AVX2_H */
