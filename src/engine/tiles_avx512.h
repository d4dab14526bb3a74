/*
 * tiles_avx512.h
 *	  The sizes of tiles that there are registers for on CPUs with AVX-512, as
 *	  kernel_linear.h and kernel_compact_linear.h want them; included once by the file of
 *	  each kernel, after DEFINE_TILE and TileFunction.
 */
#ifndef MTL_RANK_TILES_AVX512_H
#define MTL_RANK_TILES_AVX512_H

/* Sums, weights and an input take up to 32 registers. */
DEFINE_TILE(1, 4) DEFINE_TILE(2, 4) DEFINE_TILE(3, 4) DEFINE_TILE(4, 4) DEFINE_TILE(5, 4) DEFINE_TILE(6, 4)
DEFINE_TILE(1, 3) DEFINE_TILE(2, 3) DEFINE_TILE(3, 3) DEFINE_TILE(4, 3) DEFINE_TILE(5, 3) DEFINE_TILE(6, 3)
DEFINE_TILE(7, 3) DEFINE_TILE(8, 3)
DEFINE_TILE(1, 2) DEFINE_TILE(2, 2) DEFINE_TILE(3, 2) DEFINE_TILE(4, 2) DEFINE_TILE(5, 2) DEFINE_TILE(6, 2)
DEFINE_TILE(7, 2) DEFINE_TILE(8, 2) DEFINE_TILE(9, 2) DEFINE_TILE(10, 2) DEFINE_TILE(11, 2) DEFINE_TILE(12, 2)
DEFINE_TILE(1, 1) DEFINE_TILE(2, 1) DEFINE_TILE(3, 1) DEFINE_TILE(4, 1) DEFINE_TILE(5, 1) DEFINE_TILE(6, 1)
DEFINE_TILE(7, 1) DEFINE_TILE(8, 1) DEFINE_TILE(9, 1) DEFINE_TILE(10, 1) DEFINE_TILE(11, 1) DEFINE_TILE(12, 1)

static const TileFunction tiles[][MAX_ROWS + 1] = {
	{NULL},
	{NULL, Tile_1_1, Tile_2_1, Tile_3_1, Tile_4_1, Tile_5_1, Tile_6_1,
	Tile_7_1, Tile_8_1, Tile_9_1, Tile_10_1, Tile_11_1, Tile_12_1},
	{NULL, Tile_1_2, Tile_2_2, Tile_3_2, Tile_4_2, Tile_5_2, Tile_6_2,
	Tile_7_2, Tile_8_2, Tile_9_2, Tile_10_2, Tile_11_2, Tile_12_2},
	{NULL, Tile_1_3, Tile_2_3, Tile_3_3, Tile_4_3, Tile_5_3, Tile_6_3, Tile_7_3, Tile_8_3},
	{NULL, Tile_1_4, Tile_2_4, Tile_3_4, Tile_4_4, Tile_5_4, Tile_6_4}
};

static const int max_rows[] = {0, 12, 12, 8, 6};

/* Five are better split into three and two than into four and one. */
static int
TileStrips(int nrows, int nstrips)
{
	return nstrips == 5 ? 3 : Min(nstrips, MAX_STRIPS);
}

#endif							/* MTL_RANK_TILES_AVX512_H */
