/*
 * extraction_level.c
 *	  One level of customized gate control, for cgc and ple.
 */
#include "postgres.h"

#include "graph/architecture.h"

/* A group of experts: a task's own, or the shared ones. */
typedef struct ExpertGroup
{
	int			nexperts;
	int		   *ops;
	char	  **names;
} ExpertGroup;

/*
 * How many experts each task has of its own: one number for all, or a list.
 */
static int *
SpecificExperts(const GraphBuilder *builder, JsonObject *object)
{
	static const char *const key = "specific_expert_num";
	JsonbValue *json = JsonGet(object, key);
	JsonArray  *list = NULL;
	int		   *counts = palloc(sizeof(int) * builder->ntasks);

	if (json && json->type == jbvBinary)
	{
		list = JsonGetArray(object, key);
		if (list->length != builder->ntasks)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: \"%s\" has %d numbers, expected one for each of %d tasks",
							list->path, list->length, builder->ntasks)));
	}
	for (int t = 0; t < builder->ntasks; t++)
		counts[t] = list ?
			JsonValueInt(&list->elements[t], list->path, 0, MTL_MAX_EXPERTS) :
			JsonNeedInt(object, key, 0, MTL_MAX_EXPERTS);
	return counts;
}

static ExpertGroup
AddGroup(GraphBuilder *builder, const MlpSpec *spec, const char *prefix, int nexperts, int input)
{
	ExpertGroup group;

	group.nexperts = nexperts;
	group.ops = palloc(sizeof(int) * Max(nexperts, 1));
	group.names = palloc(sizeof(char *) * Max(nexperts, 1));
	for (int i = 0; i < nexperts; i++)
	{
		group.names[i] = psprintf("%s.expert.%d", prefix, i);
		group.ops[i] = AddMlp(builder, spec, group.names[i], input);
	}
	return group;
}

/*
 * The experts of several groups as one.
 */
static ExpertGroup
JoinGroups(const ExpertGroup *const *groups, int ngroups, const char *gate)
{
	ExpertGroup all = {0};

	for (int g = 0; g < ngroups; g++)
		all.nexperts += groups[g]->nexperts;
	if (all.nexperts == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: gate \"%s\" has no experts", gate)));

	all.ops = palloc(sizeof(int) * all.nexperts);
	all.names = palloc(sizeof(char *) * all.nexperts);
	all.nexperts = 0;
	for (int g = 0; g < ngroups; g++)
	{
		for (int i = 0; i < groups[g]->nexperts; i++)
		{
			all.ops[all.nexperts] = groups[g]->ops[i];
			all.names[all.nexperts++] = groups[g]->names[i];
		}
	}
	return all;
}

/*
 * Replaces each task's representation by its gate's mix of its own and the shared
 * experts, and (but on the last level) *shared by the shared gate's mix.
 */
void
AddExtractionLevel(GraphBuilder *builder, JsonObject *object, int level, bool last,
				   int *representations, int *shared)
{
	static const char *const orders[] = {"specific_first", "shared_first", NULL};
	static const char *const scopes[] = {"all", "shared", NULL};
	int			ntasks = builder->ntasks;
	MlpSpec    *expert = MlpSpecNeed(object, "expert");
	GateSpec   *gate = GateSpecGet(object, "gate");
	bool		raw = GateReadsRaw(object);
	bool		shared_first = JsonGetChoice(object, "expert_order", orders, 0) == 1;
	bool		shared_only = JsonGetChoice(object, "shared_gate", scopes, 0) == 1;
	int			nshared = JsonNeedInt(object, "shared_expert_num", 0, MTL_MAX_EXPERTS);
	int		   *nspecific = SpecificExperts(builder, object);
	ExpertGroup *groups = palloc(sizeof(ExpertGroup) * (ntasks + 1));
	const ExpertGroup **members = palloc(sizeof(ExpertGroup *) * (ntasks + 1));
	ExpertGroup *common = &groups[ntasks];
	ExpertGroup joined;

	for (int t = 0; t < ntasks; t++)
		groups[t] = AddGroup(builder, expert,
							 psprintf("level.%d.task.%s", level, builder->tasks[t]->name),
							 nspecific[t], representations[t]);
	*common = AddGroup(builder, expert, psprintf("level.%d.shared", level), nshared, *shared);

	for (int t = 0; t < ntasks; t++)
	{
		const char *task = builder->tasks[t]->name;
		char	   *prefix = psprintf("level.%d.task.%s.gate", level, task);

		members[shared_first ? 1 : 0] = &groups[t];
		members[shared_first ? 0 : 1] = common;
		joined = JoinGroups(members, 2, prefix);
		representations[t] = AddGatedMix(builder, gate, prefix, level, task,
										 raw ? builder->input : representations[t],
										 joined.nexperts, joined.ops, joined.names);
	}

	if (!last)
	{
		char	   *prefix = psprintf("level.%d.shared.gate", level);
		int			nmembers = 0;

		if (shared_first || shared_only)
			members[nmembers++] = common;
		for (int t = 0; t < ntasks && !shared_only; t++)
			members[nmembers++] = &groups[t];
		if (!shared_first && !shared_only)
			members[nmembers++] = common;
		joined = JoinGroups(members, nmembers, prefix);
		*shared = AddGatedMix(builder, gate, prefix, level, NULL,
							  raw ? builder->input : *shared,
							  joined.nexperts, joined.ops, joined.names);
	}
}
