/*
 * arch_asymmetric_sharing.c
 *	  Asymmetric sharing: a tower reads its task's bottom and those of tasks that
 *	  it learns from, in one direction.
 *
 * Tang et al., "Progressive Layered Extraction (PLE)", RecSys 2020, figure 1b.
 */
#include "postgres.h"

#include "graph/architecture.h"

typedef enum Fusion
{
	FUSION_CONCAT,
	FUSION_SUM,
	FUSION_AVERAGE
} Fusion;

static int
FindTask(const GraphBuilder *builder, const char *name, const char *path)
{
	for (int t = 0; t < builder->ntasks; t++)
	{
		if (strcmp(builder->tasks[t]->name, name) == 0)
			return t;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid model: \"%s\" names \"%s\", which is no task with a tower", path, name)));
}

static int
AddFusion(GraphBuilder *builder, Fusion fusion, const char *name, int nparts, const int *parts)
{
	float	   *weights;

	if (nparts == 1)
		return parts[0];
	if (fusion == FUSION_CONCAT)
		return AddConcat(builder, name, nparts, parts);

	weights = palloc(sizeof(float) * nparts);
	for (int i = 0; i < nparts; i++)
		weights[i] = fusion == FUSION_SUM ? 1.0f : 1.0f / nparts;
	return AddCombine(builder, name, nparts, parts, weights, 1, false);
}

/*
 * The tasks whose bottoms task t reads besides its own; NULL for none.
 */
static JsonArray *
TasksRead(GraphBuilder *builder, JsonObject *reads, int t)
{
	JsonArray  *list = reads ? JsonGetArray(reads, builder->tasks[t]->name) : NULL;

	if (list && list->length >= builder->ntasks)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: \"%s\" has %d tasks, the model has %d others",
						list->path, list->length, builder->ntasks - 1)));
	return list;
}

void
BuildAsymmetricSharing(GraphBuilder *builder, JsonObject *object, int *representations)
{
	static const char *const fusions[] = {"concat", "sum", "average", NULL};
	MlpSpec    *bottom = MlpSpecNeed(object, "bottom");
	JsonObject *reads = JsonGetObject(object, "reads");
	Fusion		fusion = JsonGetChoice(object, "fusion", fusions, FUSION_CONCAT);
	int		   *bottoms = palloc(sizeof(int) * builder->ntasks);
	int		   *parts = palloc(sizeof(int) * builder->ntasks);

	for (int t = 0; t < builder->ntasks; t++)
		bottoms[t] = AddMlp(builder, bottom, psprintf("task.%s.bottom", builder->tasks[t]->name),
							builder->input);

	for (int t = 0; t < builder->ntasks; t++)
	{
		JsonArray  *list = TasksRead(builder, reads, t);
		int			nparts = 0;

		parts[nparts++] = bottoms[t];
		for (int i = 0; list && i < list->length; i++)
		{
			int			other = FindTask(builder, JsonValueString(&list->elements[i], list->path),
										 list->path);

			for (int k = 0; k < nparts; k++)
			{
				if (parts[k] == bottoms[other] && bottom->nlayers > 0)
					ereport(ERROR,
							(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
							 errmsg("invalid model: \"%s\" names task \"%s\" twice, or the task itself",
									list->path, builder->tasks[other]->name)));
			}
			parts[nparts++] = bottoms[other];
		}
		representations[t] = AddFusion(builder, fusion, builder->tasks[t]->name, nparts, parts);
	}
	if (reads)
		JsonObjectClose(reads);
}
