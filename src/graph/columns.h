/*
 * columns.h
 *	  Soft sharing at scoring time: a column of layers per task, stitched together
 *	  between layers (cross-stitch, sluice).
 */
#ifndef MTL_RANK_COLUMNS_H
#define MTL_RANK_COLUMNS_H

#include "graph/layers.h"

/* Replaces columns[t] by layer l of task t's column over it. */
extern void AddColumnLayer(GraphBuilder *builder, const MlpSpec *spec, int l, int *columns);

/*
 * Replaces columns[t] by a linear combination of all columns.  stitch is (T * G,
 * T * G) for G subspaces, or (T, T, units) with per_unit.
 */
extern void AddStitch(GraphBuilder *builder, const Tensor *stitch, int subspaces, bool per_unit,
					  int *columns);

#endif							/* MTL_RANK_COLUMNS_H */
