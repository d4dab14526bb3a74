/*
 * arch_dbmtl.c
 *	  DBMTL, deep Bayesian multi-target learning: tasks read from those that they
 *	  depend on.
 *
 * Wang et al., "A Deep Bayesian Multi-Target Learning Framework for Recommender
 * Systems", 2019; with the shared bottom and the mixture of experts of EasyRec and
 * TorchEasyRec.
 */
#include "postgres.h"

#include "graph/architecture.h"

/*
 * Replaces representations by the task's MLP over them, where it has one.
 */
static void
AddTaskMlps(GraphBuilder *builder, JsonObject *parent, int *representations)
{
	JsonObject *mlps = JsonGetObject(parent, "mlps");

	if (mlps == NULL)
		return;
	for (int t = 0; t < builder->ntasks; t++)
	{
		const char *task = builder->tasks[t]->name;

		if (JsonGet(mlps, task))
			representations[t] = AddMlp(builder, MlpSpecNeed(mlps, task),
										psprintf("task.%s.mlp", task), representations[t]);
	}
	JsonObjectClose(mlps);
}

/*
 * The relation of task t: an MLP over its own representation and those of the tasks
 * it reads, which have theirs already.
 */
static int
AddRelation(GraphBuilder *builder, const NameIndex *names, JsonObject *relation, int t,
			const int *representations)
{
	const char *task = builder->tasks[t]->name;
	MlpSpec    *mlp = MlpSpecRead(relation);
	char	   *prefix = psprintf("task.%s.relation", task);
	int			nread;
	int		   *read = ReadTaskList(builder, names, JsonGetArray(relation, "reads"), t, true, &nread);
	int		   *parts = palloc(sizeof(int) * (nread + 1));
	int			op = representations[t];

	parts[0] = op;
	for (int i = 0; i < nread; i++)
		parts[i + 1] = representations[read[i]];
	if (nread > 0)
		op = AddConcat(builder, prefix, nread + 1, parts);
	pfree(parts);
	pfree(read);
	return AddMlp(builder, mlp, prefix, op);
}

static void
AddRelations(GraphBuilder *builder, JsonObject *parent, int *representations)
{
	JsonObject *relations = JsonGetObject(parent, "relations");
	NameIndex  *names;

	if (relations == NULL)
		return;
	names = IndexTasks(builder);
	for (int t = 0; t < builder->ntasks; t++)
	{
		JsonObject *relation = JsonGetObject(relations, builder->tasks[t]->name);

		if (relation == NULL)
			continue;
		representations[t] = AddRelation(builder, names, relation, t, representations);
		JsonObjectClose(relation);
	}
	JsonObjectClose(relations);
}

void
BuildDbmtl(GraphBuilder *builder, JsonObject *object, int *representations)
{
	int			bottom = builder->input;

	if (JsonGet(object, "bottom"))
		bottom = AddMlp(builder, MlpSpecNeed(object, "bottom"), "shared.bottom", bottom);
	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = bottom;
	if (JsonGet(object, "num_experts"))
		AddMoeLevel(builder, object, 0, true, representations);
	AddTaskMlps(builder, object, representations);
	AddRelations(builder, object, representations);
}
