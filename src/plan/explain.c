/*
 * explain.c
 *	  What EXPLAIN says of the node MtlScore.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include EXPLAIN_FORMAT_HEADER
#include "model/model_value.h"
#include "plan/explain.h"
#include "registry/lookup.h"
#include "score/score_kind.h"

/* Hexadecimal digits that tell models apart, as in the names of commits. */
#define DIGEST_DIGITS 12

/*
 * "feed, version 2"; a value is named by its digest.
 */
static char *
DescribeModel(const FuncExpr *call)
{
	Node	   *model = strip_implicit_coercions(linitial(call->args));
	Const	   *constant = IsA(model, Const) ? (Const *) model : NULL;
	char	   *name;
	int			version;

	if (constant == NULL || constant->constisnull)
		return pstrdup("parameter");
	if (constant->consttype != TEXTOID)
	{
		MtlModel   *value = DatumGetMtlModelP(constant->constvalue);

		return psprintf("digest %.*s", DIGEST_DIGITS, DigestHex(value->digest));
	}
	name = TextDatumGetCString(constant->constvalue);
	if (strchr(name, '@') == NULL && ActiveSnapshotSet() &&
		RegistryActiveVersion(get_func_namespace(call->funcid), name, &version))
		return psprintf("%s, version %d", name, version);
	if (strchr(name, '@'))
		return psprintf("%.*s, version %s", (int) (strchr(name, '@') - name), name, strchr(name, '@') + 1);
	return name;
}

static char *
DescribeTask(const FuncExpr *call)
{
	const ScoreKind *kind = ScoreKindFind(call->funcid);
	Node	   *option;

	if (kind->select == SelectAllScores)
		return "all";
	if (kind->select != SelectTaskScore)
		return "rank";
	option = strip_implicit_coercions(llast(call->args));
	if (IsA(option, Const) && !((Const *) option)->constisnull)
		return TextDatumGetCString(((Const *) option)->constvalue);
	return "parameter";
}

/*
 * Adds what other processes have no place to count in, unless they scored too.
 */
static void
ExplainOwnCounts(const ScoreNodeState *state, ExplainState *es)
{
	bool		pairs = false;
	int64		contexts = 0;
	int64		together = 0;

	if (state->css.ss.ps.instrument->ntuples2 != state->rows_scored)
		return;
	for (int i = 0; i < state->ngroups; i++)
	{
		const ScoreGroup *group = &state->groups[i];

		pairs |= group->pair;
		if (group->pair)
			contexts += ScoreBatchContexts(group->batch);
		if (group->nparts > 1)
			together += ScoreBatchTogether(group->batch);
	}
	if (state->nlevels > 1)
		ExplainPropertyInteger("Joint Batches", NULL, together, es);
	if (pairs)
		ExplainPropertyInteger("Contexts", NULL, contexts, es);
}

void
ScoreNodeExplain(const ScoreNodeState *state, ExplainState *es)
{
	const Instrumentation *instrument = state->css.ss.ps.instrument;
	const CustomScan *plan = (const CustomScan *) state->css.ss.ps.plan;
	List	   *models = NIL;
	List	   *tasks = NIL;
	List	   *later_tasks = NIL;

	for (int i = 0; i < state->ngroups; i++)
	{
		const ScoreGroup *group = &state->groups[i];

		models = lappend(models, DescribeModel(list_nth(plan->custom_exprs, group->first_call)));
		for (int k = 0; k < group->ncalls; k++)
		{
			char	   *task = DescribeTask(list_nth(plan->custom_exprs, group->first_call + k));

			if (group->call_levels[k] == 0)
				tasks = lappend(tasks, task);
			else
				later_tasks = lappend(later_tasks, task);
		}
	}
	ExplainPropertyList("Model", models, es);
	ExplainPropertyList("Tasks", tasks, es);
	if (later_tasks != NIL)
		ExplainPropertyList("Tasks after Filter", later_tasks, es);

	if (es->analyze && instrument)
	{
		double		batches = instrument->nfiltered2;

		ExplainPropertyFloat("Scored Rows", NULL, instrument->ntuples2, 0, es);
		ExplainPropertyFloat("Batches", NULL, batches, 0, es);
		ExplainPropertyFloat("Mean Batch", NULL, batches > 0 ? instrument->ntuples2 / batches : 0, 1, es);
		ExplainOwnCounts(state, es);
	}
}
