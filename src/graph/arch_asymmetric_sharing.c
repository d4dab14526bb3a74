/*
 * arch_asymmetric_sharing.c
 *	  Asymmetric sharing: a tower reads its task's bottom and those of tasks that
 *	  it learns from, in one direction.
 *
 * Tang et al., "Progressive Layered Extraction (PLE)", RecSys 2020, figure 1b.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "model/names.h"

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

/*
 * The tasks whose bottoms task t reads besides its own, as positions; *nothers is
 * their number.
 */
static int *
TasksRead(GraphBuilder *builder, const NameIndex *names, JsonObject *reads, int t, int *nothers)
{
	JsonArray  *list = reads ? JsonGetArray(reads, builder->tasks[t]->name) : NULL;
	int		   *others = palloc(sizeof(int) * builder->ntasks);
	bool	   *seen;

	*nothers = 0;
	if (list == NULL)
		return others;
	if (list->length >= builder->ntasks)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: \"%s\" has %d tasks, the model has %d others",
						list->path, list->length, builder->ntasks - 1)));

	seen = palloc0(sizeof(bool) * builder->ntasks);
	seen[t] = true;
	for (int i = 0; i < list->length; i++)
	{
		char	   *name = JsonValueString(&list->elements[i], list->path);
		int			other = NameIndexFind(names, name);

		if (other < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: \"%s\" names \"%s\", which is no task with a tower",
							list->path, name)));
		if (seen[other])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: \"%s\" names task \"%s\" twice, or the task itself",
							list->path, name)));
		seen[other] = true;
		others[(*nothers)++] = other;
	}
	pfree(seen);
	return others;
}

static NameIndex *
IndexTasks(const GraphBuilder *builder)
{
	char	  **names = palloc(sizeof(char *) * builder->ntasks);

	for (int t = 0; t < builder->ntasks; t++)
		names[t] = builder->tasks[t]->name;
	return NameIndexCreate(names, builder->ntasks);
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
		int		   *others = TasksRead(builder, names, reads, t, &nothers);

		parts[0] = bottoms[t];
		for (int i = 0; i < nothers; i++)
			parts[i + 1] = bottoms[others[i]];
		representations[t] = AddFusion(builder, fusion, builder->tasks[t]->name, nothers + 1, parts);
		pfree(others);
	}
	if (reads)
		JsonObjectClose(reads);
}
