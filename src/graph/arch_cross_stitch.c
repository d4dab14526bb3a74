/*
 * arch_cross_stitch.c
 *	  Cross-stitch networks: after chosen layers each task's column becomes a
 *	  learnt linear combination of all columns.
 *
 * Misra et al., "Cross-stitch Networks for Multi-task Learning", CVPR 2016.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "graph/columns.h"
#include "model/model_error.h"

/*
 * Which layers are followed by a stitch: those listed, all by default.
 */
static bool *
ReadStitchAfter(JsonObject *object, int nlayers)
{
	JsonArray  *list = JsonGetArray(object, "stitch_after");
	bool	   *stitched = palloc0(sizeof(bool) * Max(nlayers, 1));

	for (int l = 0; list == NULL && l < nlayers; l++)
		stitched[l] = true;
	for (int i = 0; list && i < list->length; i++)
	{
		int			l = JsonValueInt(&list->elements[i], list->path, 0, nlayers - 1);

		if (stitched[l])
			ModelError("Name each layer once.",
					   "\"%s\" names layer %d twice", list->path, l);
		stitched[l] = true;
	}
	return stitched;
}

void
BuildCrossStitch(GraphBuilder *builder, JsonObject *object, int *representations)
{
	static const char *const kinds[] = {"scalar", "per_unit", NULL};
	MlpSpec    *column = MlpSpecNeed(object, "column");
	bool	   *stitched = ReadStitchAfter(object, column->nlayers);
	bool		per_unit = JsonGetChoice(object, "stitch", kinds, 0) == 1;

	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = builder->input;
	for (int l = 0; l < column->nlayers; l++)
	{
		AddColumnLayer(builder, column, l, representations);
		if (stitched[l])
		{
			int64		shape[3] = {builder->ntasks, builder->ntasks, column->layers[l].units};

			AddStitch(builder,
					  ModelFileNeed(builder->file, psprintf("stitch.%d.weight", l), TENSOR_F32,
									per_unit ? 3 : 2, shape),
					  1, per_unit, representations);
		}
	}
}
