/*
 * arch_stem.c
 *	  STEM, shared and task-specific embeddings: every task has a slice of each
 *	  feature's vector, there is a shared one, and every task's gate mixes the
 *	  experts of all tasks.
 *
 * Su et al., "STEM: Unleashing the Power of Embeddings for Multi-task
 * Recommendation", AAAI 2024.
 */
#include "postgres.h"

#include "graph/architecture.h"

static void
CheckSlices(const InputField *field, int ntasks)
{
	const Feature *feature = field->feature;

	if (field->x_width % (ntasks + 1) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: the vector of feature \"%s\" has %d numbers, expected a multiple of %d: a slice for each of %d tasks and a shared one",
						feature->name, field->x_width, ntasks + 1, ntasks),
				 feature->kind == FEATURE_DENSE && feature->embedding_dim == 0 ?
				 errhint("Give the feature an \"embedding_dim\".") : 0));
}

/*
 * Slice number i of the vectors of all features, in the order of the input.
 */
static int
AddSlice(GraphBuilder *builder, int i, const char *name)
{
	const InputLayout *layout = builder->graph->layout;
	VectorRange *ranges = palloc(sizeof(VectorRange) * layout->nfields);

	for (int k = 0; k < layout->nfields; k++)
	{
		const InputField *field = &layout->fields[builder->contract->input[k]];
		int			length = field->x_width / (builder->ntasks + 1);

		ranges[k].begin = field->x_offset + i * length;
		ranges[k].length = length;
	}
	return AddSlices(builder, name, builder->input, layout->nfields, ranges);
}

void
BuildStem(GraphBuilder *builder, JsonObject *object, int *representations)
{
	const InputLayout *layout = builder->graph->layout;
	int			ntasks = builder->ntasks;
	Levels	   *levels = LevelsOpen(object, false);
	int			shared;

	for (int i = 0; i < layout->nfields; i++)
		CheckSlices(&layout->fields[i], ntasks);
	for (int t = 0; t < ntasks; t++)
		representations[t] = AddSlice(builder, t, psprintf("task.%s.slices", builder->tasks[t]->name));
	shared = AddSlice(builder, ntasks, "shared.slices");

	for (int j = 0; j < levels->nlevels; j++)
		AddExtractionLevel(builder, EXTRACTION_STEM, levels->objects[j], j,
						   j == levels->nlevels - 1, representations, &shared);
	LevelsClose(levels);
}
