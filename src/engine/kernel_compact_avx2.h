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

static const TileFunction tiles[][MAX_ROWS + 1] = {
	{NULL},
	{NULL, Tile_1_1, Tile_2_1, Tile_3_1}
};

static const int max_rows[] = {0, 3};

static int
TileStrips(int nrows, int nstrips)
{
	return 1;
}

#include "engine/kernel_compact_linear.h"

#endif							/* MTL_RANK_KERNEL_COMPACT_AVX2_H */
