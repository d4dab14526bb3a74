/*
 * extraction_level.c
 *	  One level of extraction, for cgc, ple and stem: experts of each task and shared
 *	  ones, mixed by gates.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "model/model_error.h"

/* A group of experts: a task's own, or the shared ones. */
typedef struct ExpertGroup
{
	int			nexperts;
	int		   *ops;
	char	  **names;
} ExpertGroup;

typedef struct ExtractionSpec
{
	MlpSpec    *expert;
	GateSpec   *gate;
	int			nshared;
	int		   *nspecific;		/* by task */
	bool		raw;			/* gates read x */
	bool		sum;			/* a task's gate reads its representation plus the shared one */
	bool		every_task;		/* a task's gate mixes the experts of all tasks */
	bool		shared_first;	/* shared experts come first */
	bool		shared_only;	/* the shared gate mixes shared experts alone */
} ExtractionSpec;

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
			ModelError("Give one number for all tasks, or one for each.",
					   "\"%s\" has %d numbers, expected one for each of %d tasks",
					   list->path, list->length, builder->ntasks);
	}
	for (int t = 0; t < builder->ntasks; t++)
		counts[t] = list ?
			JsonValueInt(&list->elements[t], list->path, 0, MTL_MAX_EXPERTS) :
			JsonNeedInt(object, key, 0, MTL_MAX_EXPERTS);
	return counts;
}

static void
CheckExperts(const ExtractionSpec *spec, int ntasks, int level)
{
	int			nexperts = spec->nshared;

	for (int t = 0; t < ntasks; t++)
		nexperts += spec->nspecific[t];
	if (nexperts > MTL_MAX_EXPERTS)
		ModelLimitError("Use fewer experts.",
						"level %d has %d experts, the limit is %d", level, nexperts, MTL_MAX_EXPERTS);
}

static ExtractionSpec
ReadExtraction(const GraphBuilder *builder, ExtractionKind kind, JsonObject *object)
{
	static const char *const orders[] = {"specific_first", "shared_first", NULL};
	static const char *const scopes[] = {"all", "shared", NULL};
	ExtractionSpec spec = {
		.expert = MlpSpecNeed(object, "expert"),
		.gate = GateSpecGet(object, "gate"),
		.nshared = JsonNeedInt(object, "shared_expert_num", 0, MTL_MAX_EXPERTS),
		.nspecific = SpecificExperts(builder, object),
		.sum = kind == EXTRACTION_STEM,
		.every_task = kind == EXTRACTION_STEM
	};

	if (kind == EXTRACTION_CGC)
	{
		spec.raw = GateReadsRaw(object);
		spec.shared_first = JsonGetChoice(object, "expert_order", orders, 0) == 1;
		spec.shared_only = JsonGetChoice(object, "shared_gate", scopes, 0) == 1;
	}
	return spec;
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
		ModelError("Give the level an expert that the gate can read.",
				   "gate \"%s\" has no experts", gate);

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
 * The experts of the tasks from first to last and the shared ones, as one group for
 * a gate.  The shared ones are the last of the groups.
 */
static ExpertGroup
ExpertsOf(const ExtractionSpec *spec, const ExpertGroup *groups, int ntasks,
		  int first, int last, const char *gate)
{
	const ExpertGroup **members = palloc(sizeof(ExpertGroup *) * (ntasks + 1));
	int			nmembers = 0;
	ExpertGroup joined;

	if (spec->shared_first)
		members[nmembers++] = &groups[ntasks];
	for (int t = first; t <= last; t++)
		members[nmembers++] = &groups[t];
	if (!spec->shared_first)
		members[nmembers++] = &groups[ntasks];
	joined = JoinGroups(members, nmembers, gate);
	pfree(members);
	return joined;
}

/*
 * A task's loss does not train the experts of other tasks, though its gate mixes
 * them: the stop-gradient of STEM.
 */
static void
StopOthers(GraphBuilder *builder, const ExtractionSpec *spec, int mix, int task)
{
	GraphOp    *op = &builder->graph->ops[mix];
	int			input = 1;		/* the first is the gate */

	Assert(op->kind == OP_MIX && !spec->shared_first);
	op->stopped = palloc0(sizeof(bool) * op->ninputs);
	for (int t = 0; t < builder->ntasks; t++)
		for (int i = 0; i < spec->nspecific[t]; i++)
			op->stopped[input++] = t != task;
}

static int
AddTaskGate(GraphBuilder *builder, const ExtractionSpec *spec, const ExpertGroup *groups,
			int level, int t, int representation, int shared)
{
	const char *task = builder->tasks[t]->name;
	char	   *prefix = psprintf("level.%d.task.%s.gate", level, task);
	int			ntasks = builder->ntasks;
	ExpertGroup experts = ExpertsOf(spec, groups, ntasks,
									spec->every_task ? 0 : t,
									spec->every_task ? ntasks - 1 : t, prefix);
	int			input = spec->raw ? builder->input : representation;
	int			mix;

	if (spec->sum)
	{
		int			terms[2] = {representation, shared};
		float	   *weights = palloc(sizeof(float) * 2);

		weights[0] = weights[1] = 1;
		input = AddCombine(builder, prefix, 2, terms, weights, 1, false);
	}
	mix = AddGatedMix(builder, spec->gate, prefix, level, task, input,
					  experts.nexperts, experts.ops, experts.names);
	if (spec->every_task)
		StopOthers(builder, spec, mix, t);
	return mix;
}

static int
AddSharedGate(GraphBuilder *builder, const ExtractionSpec *spec, const ExpertGroup *groups,
			  int level, int shared)
{
	char	   *prefix = psprintf("level.%d.shared.gate", level);
	int			ntasks = builder->ntasks;
	ExpertGroup experts = ExpertsOf(spec, groups, ntasks, 0,
									spec->shared_only ? -1 : ntasks - 1, prefix);

	return AddGatedMix(builder, spec->gate, prefix, level, NULL,
					   spec->raw ? builder->input : shared,
					   experts.nexperts, experts.ops, experts.names);
}

/*
 * Replaces each task's representation by its gate's mix of experts, and (but on the
 * last level) *shared by the shared gate's.
 */
void
AddExtractionLevel(GraphBuilder *builder, ExtractionKind kind, JsonObject *object,
				   int level, bool last, int *representations, int *shared)
{
	int			ntasks = builder->ntasks;
	ExtractionSpec spec = ReadExtraction(builder, kind, object);
	ExpertGroup *groups = palloc(sizeof(ExpertGroup) * (ntasks + 1));

	CheckExperts(&spec, ntasks, level);
	for (int t = 0; t < ntasks; t++)
		groups[t] = AddGroup(builder, spec.expert,
							 psprintf("level.%d.task.%s", level, builder->tasks[t]->name),
							 spec.nspecific[t], representations[t]);
	groups[ntasks] = AddGroup(builder, spec.expert, psprintf("level.%d.shared", level),
							  spec.nshared, *shared);

	for (int t = 0; t < ntasks; t++)
		representations[t] = AddTaskGate(builder, &spec, groups, level, t,
										 representations[t], *shared);
	if (!last)
		*shared = AddSharedGate(builder, &spec, groups, level, *shared);
}
