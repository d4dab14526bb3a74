/*
 * kernel_linear.h
 *	  Linear maps of whole strips; included once by the file of each variant, after
 *	  kernel_tiles.h.
 *
 * The including file defines tiles[strips][rows], the functions of tiles,
 * max_rows[strips], and TileStrips(nrows, nstrips), how many of nstrips strips the next
 * tiles take when there are nrows rows.
 */
#ifndef MTL_RANK_KERNEL_LINEAR_H
#define MTL_RANK_KERNEL_LINEAR_H

#include "engine/kernel_tiles.h"

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

#endif							/* MTL_RANK_KERNEL_LINEAR_H */
