/*
 * kernel_compact_linear.h
 *	  Linear maps of bf16 and int8; included once by what each kind of CPU has in common,
 *	  after kernel_compact_tiles.h.
 *
 * The including file defines tiles, max_rows and TileStrips(), as for kernel_linear.h.
 */
#ifndef MTL_RANK_KERNEL_COMPACT_LINEAR_H
#define MTL_RANK_KERNEL_COMPACT_LINEAR_H

#include "engine/kernel_compact_tiles.h"

static bool
Linear(int nrows, int ngroups, const CompactRows *x, int nstrips, const CompactWeights *weights,
	   Vectors start, bool relu, float *y, Size y_stride)
{
	CompactWeights rest = *weights;
	bool		finite = true;

	while (nstrips > 0)
	{
		int			strips = TileStrips(nrows, nstrips);

		finite &= LinearStrips(tiles[strips], max_rows[strips], nrows, ngroups, x,
							   &rest, start, relu, y, y_stride);
		rest = LaterStrips(&rest, strips, ngroups);
		nstrips -= strips;
		start.numbers += strips * MTL_STRIP;
		y += strips * MTL_STRIP;
	}
	return finite;
}

#endif							/* MTL_RANK_KERNEL_COMPACT_LINEAR_H */
