/*
 * kernel_compact_avx512.h
 *	  What linear maps of bf16 and of int8 have in common on CPUs with AVX-512; included
 *	  once by the file of each, after what kernel_compact_tiles.h asks for.
 */
#ifndef MTL_RANK_KERNEL_COMPACT_AVX512_H
#define MTL_RANK_KERNEL_COMPACT_AVX512_H

#include "engine/kernel_compact_tiles.h"
#include "engine/tiles_avx512.h"

static bool
Linear(int nrows, int ngroups, const CompactRows *x, int nstrips, const CompactWeights *weights,
	   Vectors start, bool relu, float *y, Size y_stride)
{
	CompactWeights rest = *weights;
	bool		finite = true;

	while (nstrips > 0)
	{
		/* five are better split into three and two than into four and one */
		int			strips = nstrips == 5 ? 3 : Min(nstrips, MAX_STRIPS);

		finite &= LinearStrips(tiles[strips], max_rows[strips], nrows, ngroups, x,
							   &rest, start, relu, y, y_stride);
		rest = LaterStrips(&rest, strips, ngroups);
		nstrips -= strips;
		start.numbers += strips * MTL_STRIP;
		y += strips * MTL_STRIP;
	}
	return finite;
}

#endif							/* MTL_RANK_KERNEL_COMPACT_AVX512_H */
