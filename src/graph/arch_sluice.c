/*
 * arch_sluice.c
 *	  Sluice networks: columns are cut in subspaces that are stitched after every
 *	  layer, and each tower reads a learnt mix of all layers.
 *
 * Ruder et al., "Latent Multi-task Architecture Learning", AAAI 2019: alpha is
 * stitch, beta is skip.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "graph/columns.h"
#include "model/model_error.h"

/*
 * layers[l * T + t] is the stitched output of layer l of task t.
 */
static void
AddSkips(GraphBuilder *builder, int nlayers, const int *layers, int *representations)
{
	int			ntasks = builder->ntasks;
	int64		shape[2] = {ntasks, nlayers};
	const Tensor *skip = ModelFileNeed(builder->file, "skip.weight", TENSOR_F32, 2, shape);
	int		   *inputs = palloc(sizeof(int) * nlayers);

	for (int t = 0; t < ntasks; t++)
	{
		float	   *weights = palloc(sizeof(float) * nlayers);

		for (int l = 0; l < nlayers; l++)
		{
			inputs[l] = layers[l * ntasks + t];
			weights[l] = TensorHasNumbers(skip) ? TensorFloat(skip, (int64) t * nlayers + l) : 0;
		}
		representations[t] = AddCombine(builder, skip->name, nlayers, inputs, weights, 1, false);
		TieCombine(builder, representations[t], skip, (int64) t * nlayers);
	}
	pfree(inputs);
}

void
BuildSluice(GraphBuilder *builder, JsonObject *object, int *representations)
{
	MlpSpec    *column = MlpSpecNeed(object, "column");
	int			subspaces = JsonGetInt(object, "subspaces", 1, MTL_MAX_WIDTH, 2);
	bool		skip = JsonGetBool(object, "skip", true);
	int			ntasks = builder->ntasks;
	int		   *layers = palloc(sizeof(int) * Max(column->nlayers, 1) * ntasks);

	if (column->nlayers == 0)
		ModelError("Give \"hidden_units\" of one layer or more.",
				   "\"%s\" has no layers, expected at least 1", JsonKeyPath(object, "column.hidden_units"));
	for (int t = 0; t < ntasks; t++)
		representations[t] = builder->input;
	for (int l = 0; l < column->nlayers; l++)
	{
		int64		side = (int64) ntasks * subspaces;
		int64		shape[2] = {side, side};

		if (column->layers[l].units % subspaces != 0)
			ModelError("Change the units of the layer, or \"subspaces\".",
					   "layer %d of \"%s\" has %d units, expected a multiple of the %d subspaces",
					   l, JsonKeyPath(object, "column"), column->layers[l].units, subspaces);
		AddColumnLayer(builder, column, l, representations);
		AddStitch(builder,
				  ModelFileNeed(builder->file, psprintf("stitch.%d.weight", l), TENSOR_F32, 2, shape),
				  subspaces, false, representations);
		memcpy(layers + l * ntasks, representations, sizeof(int) * ntasks);
	}
	if (skip)
		AddSkips(builder, column->nlayers, layers, representations);
}
