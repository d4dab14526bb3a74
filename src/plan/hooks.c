/*
 * hooks.c
 *	  Where batching takes part in planning.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "utils/plancache.h"

#include "compat.h"
#include "plan/hooks.h"
#include "plan/rewrite.h"
#include "plan/score_node.h"
#include "score/support.h"

int			mtl_rank_batching = BATCHING_ON;

const struct config_enum_entry mtl_rank_batching_options[] = {
	{"on", BATCHING_ON, false},
	{"off", BATCHING_OFF, false},
	{"require", BATCHING_REQUIRE, false},
	{"true", BATCHING_ON, true},
	{"false", BATCHING_OFF, true},
	{"yes", BATCHING_ON, true},
	{"no", BATCHING_OFF, true},
	{"1", BATCHING_ON, true},
	{"0", BATCHING_OFF, true},
	{NULL, 0, false}
};

static planner_hook_type next_planner;
static ExecutorStart_hook_type next_executor_start;

/*
 * Whether a statement may come to its execution that was planned before the hooks
 * were there.
 */
static bool planned_before;

static PlannedStmt *
PlanStatement(Query *query, const char *query_string, int cursor_options, ParamListInfo parameters)
{
	uint64		calls = mtl_rank_calls_planned;
	PlannedStmt *statement;

	/* nobody has asked for a cost yet: the library was loaded for something else */
	if (calls == 0)
		planned_before = false;

	if (next_planner)
		statement = next_planner(query, query_string, cursor_options, parameters);
	else
		statement = standard_planner(query, query_string, cursor_options, parameters);

	if (mtl_rank_batching != BATCHING_OFF && mtl_rank_calls_planned != calls)
		BatchScores(statement, cursor_options, mtl_rank_batching == BATCHING_REQUIRE);
	return statement;
}

/*
 * Changes a plan that was made before the hooks were there.  It may be a cached one
 * that others execute too, so a copy is; and the cache makes its plans anew when
 * they are next needed.
 */
static void
BatchLate(QueryDesc *query, int eflags)
{
	PlannedStmt *statement = query->plannedstmt;

	if (!StatementCallsScores(statement))
		return;
	planned_before = false;
	ResetPlanCache();

	/* a cursor that was found fit to go backward */
	if (eflags & EXEC_FLAG_BACKWARD)
		return;
	statement = copyObject(statement);
	BatchScores(statement, CURSOR_OPT_FAST_PLAN, mtl_rank_batching == BATCHING_REQUIRE);
	query->plannedstmt = statement;
}

static void
StartExecution(QueryDesc *query, int eflags)
{
	if (planned_before && mtl_rank_calls_planned > 0 && mtl_rank_batching != BATCHING_OFF && !IsParallelWorker())
		BatchLate(query, eflags);

	if (next_executor_start)
		next_executor_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

void
PlanHooksInstall(void)
{
	ScoreNodeRegister();
	next_planner = planner_hook;
	planner_hook = PlanStatement;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = StartExecution;
	planned_before = !process_shared_preload_libraries_in_progress;
}
