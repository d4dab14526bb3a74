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

void
BuildAsymmetricSharing(GraphBuilder *builder, JsonObject *object, int *representations)
{
	static const char *const fusions[] = {"concat", "sum", "average", NULL};
	MlpSpec    *bottom = MlpSpecNeed(object, "bottom");
	JsonObject *reads = JsonGetObject(object, "reads");
	Fusion		fusion = JsonGetChoice(object, "fusion", fusions, FUSION_CONCAT);
	NameIndex  *names = IndexTasks(builder);
	int		   *bottoms = palloc(sizeof(int) * builder->ntasks);
	int		   *parts = palloc(sizeof(int) * builder->ntasks);

	for (int t = 0; t < builder->ntasks; t++)
		bottoms[t] = AddMlp(builder, bottom, psprintf("task.%s.bottom", builder->tasks[t]->name),
							builder->input);

	for (int t = 0; t < builder->ntasks; t++)
	{
		int			nothers;
		JsonArray  *list = reads ? JsonGetArray(reads, builder->tasks[t]->name) : NULL;
		int		   *others = ReadTaskList(builder, names, list, t, false, &nothers);

		parts[0] = bottoms[t];
		for (int i = 0; i < nothers; i++)
			parts[i + 1] = bottoms[others[i]];
		representations[t] = AddFusion(builder, fusion, builder->tasks[t]->name, nothers + 1, parts);
		pfree(others);
	}
	if (reads)
		JsonObjectClose(reads);
}
