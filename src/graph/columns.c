/*
 * columns.c
 *	  Soft sharing at scoring time: a column of layers per task, stitched together
 *	  between layers (cross-stitch, sluice).
 */
#include "postgres.h"

#include "graph/columns.h"

void
AddColumnLayer(GraphBuilder *builder, const MlpSpec *spec, int l, int *columns)
{
	for (int t = 0; t < builder->ntasks; t++)
		columns[t] = AddLayer(builder, &spec->layers[l],
							  psprintf("task.%s.column.%d", builder->tasks[t]->name, l),
							  columns[t]);
}

void
AddStitch(GraphBuilder *builder, const Tensor *stitch, int subspaces, bool per_unit, int *columns)
{
	int			ntasks = builder->ntasks;
	int64		per_task = stitch->nelements / ntasks;
	int		   *stitched = palloc(sizeof(int) * ntasks);

	for (int t = 0; t < ntasks; t++)
	{
		float	   *weights = palloc_extended(sizeof(float) * per_task, MCXT_ALLOC_HUGE);

		if (TensorHasNumbers(stitch))
			memcpy(weights, stitch->data + sizeof(float) * per_task * t, sizeof(float) * per_task);
		stitched[t] = AddCombine(builder, stitch->name, ntasks, columns, weights, subspaces, per_unit);
		TieCombine(builder, stitched[t], stitch, per_task * t);
	}
	memcpy(columns, stitched, sizeof(int) * ntasks);
	pfree(stitched);
}
