/*
 * moe_level.c
 *	  One level of a mixture of experts, for omoe, mmoe and dbmtl.
 */
#include "postgres.h"

#include "graph/architecture.h"

/*
 * The experts of the level, applied to one vector.
 */
static int *
AddExperts(GraphBuilder *builder, const MlpSpec *spec, char **names, int nexperts, int input)
{
	int		   *experts = palloc(sizeof(int) * nexperts);

	for (int i = 0; i < nexperts; i++)
		experts[i] = AddMlp(builder, spec, names[i], input);
	return experts;
}

/*
 * Replaces each task's representation by the level's mix of experts.  With
 * per_task every task has a gate, otherwise they share one gate and one mix.
 * Experts are applied once per distinct representation: where all tasks still
 * read the same vector, that is once.
 */
void
AddMoeLevel(GraphBuilder *builder, JsonObject *object, int level, bool per_task,
			int *representations)
{
	int			nexperts = JsonNeedInt(object, "num_experts", 1, MTL_MAX_EXPERTS);
	MlpSpec    *expert = MlpSpecNeed(object, "expert");
	GateSpec   *gate = GateSpecGet(object, "gate");
	bool		raw = GateReadsRaw(object);
	char	  **names = palloc(sizeof(char *) * nexperts);
	int			previous_input = -1;
	int		   *experts = NULL;

	for (int i = 0; i < nexperts; i++)
		names[i] = psprintf("level.%d.expert.%d", level, i);

	for (int t = 0; t < builder->ntasks; t++)
	{
		int			input = representations[t];

		if (input != previous_input)
			experts = AddExperts(builder, expert, names, nexperts, input);
		if (per_task)
			representations[t] =
				AddGatedMix(builder, gate,
							psprintf("level.%d.task.%s.gate", level, builder->tasks[t]->name),
							level, builder->tasks[t]->name, raw ? builder->input : input,
							nexperts, experts, names);
		else if (t == 0)
			representations[t] =
				AddGatedMix(builder, gate, psprintf("level.%d.shared.gate", level),
							level, NULL, raw ? builder->input : input,
							nexperts, experts, names);
		else
			representations[t] = representations[0];
		previous_input = input;
	}
}
