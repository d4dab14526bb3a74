/*
 * rewrite.c
 *	  Puts MtlScore nodes into a finished plan: the walk through it, and what concerns the
 *	  statement as a whole.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "optimizer/planmain.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "plan/aggregate_arguments.h"
#include "plan/batchable.h"
#include "plan/placement.h"
#include "plan/plan_walk.h"
#include "plan/reader.h"
#include "plan/rewrite.h"
#include "plan/score_node.h"
#include "plan/split_node.h"

static Plan *RewritePlan(Rewrite *rewrite, Plan *plan, Reader reader);

/* ------------------------------------------------------------------- walk */

static void
RewriteList(Rewrite *rewrite, List *plans, Reader reader)
{
	ListCell   *cell;

	foreach(cell, plans)
		lfirst(cell) = RewritePlan(rewrite, lfirst(cell), reader);
}

static void
RewriteChildren(Rewrite *rewrite, Plan *plan, Reader reader)
{
	Reader		outer = OuterReader(plan, reader);

	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			/* its plan is a stand-in for what runs elsewhere */
			return;
		case T_Append:
			RewriteList(rewrite, ((Append *) plan)->appendplans, outer);
			break;
		case T_MergeAppend:
			RewriteList(rewrite, ((MergeAppend *) plan)->mergeplans, outer);
			break;
		case T_SubqueryScan:
			{
				SubqueryScan *scan = (SubqueryScan *) plan;

				if (plan->qual == NIL)
					outer = reader;
				outer.goes_back = false;
				scan->subplan = RewritePlan(rewrite, scan->subplan, outer);
				break;
			}
		default:
			break;
	}
	if (plan->lefttree)
		plan->lefttree = RewritePlan(rewrite, plan->lefttree, outer);
	if (plan->righttree)
		plan->righttree = RewritePlan(rewrite, plan->righttree, InnerReader(plan, reader));
}

/* Whether there is nothing below a node that could be rewritten. */
static bool
ScansTable(Plan *plan)
{
	return PlanChildren(plan) == NIL || IsA(plan, BitmapHeapScan);
}

/*
 * The scan of a table below gets calls before its own are split off, so that both can be
 * in one node.
 */
static void
RewriteAggregation(Rewrite *rewrite, Plan *plan, Reader reader)
{
	Reader		input = OuterReader(plan, reader);
	bool		pushed = ScansTable(ScanBelowAggregation(plan, &input)) &&
		PushAggregateArguments(rewrite, plan, &input);

	RewriteChildren(rewrite, plan, reader);
	if (!pushed && !PushAggregateArguments(rewrite, plan, &input))
		BatchAggregateArguments(rewrite, plan, &input);
}

static Plan *
RewritePlan(Rewrite *rewrite, Plan *plan, Reader reader)
{
	check_stack_depth();
	if (plan == NULL || IsScoreNode(plan))
		return plan;
	if (IsA(plan, Agg) || IsA(plan, WindowAgg))
		RewriteAggregation(rewrite, plan, reader);
	else
		RewriteChildren(rewrite, plan, reader);
	if (!reader.goes_back && CanSplit(plan))
		return SplitNode(rewrite, plan, &reader);
	return plan;
}

/* ------------------------------------------------------------- statements */

static void
FindLastNodeId(Rewrite *rewrite, Plan *plan)
{
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL)
		return;
	rewrite->last_node_id = Max(rewrite->last_node_id, plan->plan_node_id);
	foreach(cell, PlanChildren(plan))
		FindLastNodeId(rewrite, lfirst(cell));
}

/*
 * The first call that a plan makes by itself, or NULL; with_single also those of
 * plans of a single row without a FROM.
 */
static FuncExpr *
FindRemainingCall(Plan *plan, bool with_single)
{
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL)
		return NULL;
	if (with_single || !(IsA(plan, Result) && plan->lefttree == NULL))
	{
		List	   *expressions = PlanExpressions(plan);

		if (IsScoreNode(plan))
			expressions = list_make2(plan->targetlist, plan->qual);
		foreach(cell, expressions)
		{
			FuncExpr   *call = FindAnyCall(lfirst(cell));

			if (call)
				return call;
		}
	}
	foreach(cell, PlanChildren(plan))
	{
		FuncExpr   *call = FindRemainingCall(lfirst(cell), with_single);

		if (call)
			return call;
	}
	return NULL;
}

static FuncExpr *
FindRemainingCallInStatement(PlannedStmt *statement, bool with_single)
{
	FuncExpr   *call = FindRemainingCall(statement->planTree, with_single);
	ListCell   *cell;

	foreach(cell, statement->subplans)
		if (call == NULL)
			call = FindRemainingCall(lfirst(cell), with_single);
	return call;
}

bool
StatementCallsScores(PlannedStmt *statement)
{
	return FindRemainingCallInStatement(statement, true) != NULL;
}

static void
RequireNone(PlannedStmt *statement)
{
	FuncExpr   *call = FindRemainingCallInStatement(statement, false);

	if (call)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a call of %s cannot be computed in batches", get_func_name(call->funcid)),
				 errdetail("The setting mtl_rank.batching is \"require\"."),
				 errhint("A call can if it is evaluated for every row, the model is the same for all rows, and neither its arguments nor the rows below depend on volatile functions.")));
}

/*
 * What the planner took for the cost of scores that are computed in batches.
 */
static Cost
CostOfBatches(Plan *plan)
{
	Cost		cost = 0;
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL)
		return 0;
	if (IsScoreNode(plan))
	{
		QualCost	calls;

		cost_qual_eval(&calls, ScoreNodeCalls(plan), NULL);
		cost = calls.startup + calls.per_tuple * outerPlan(plan)->plan_rows;
	}
	foreach(cell, PlanChildren(plan))
		cost += CostOfBatches(lfirst(cell));
	return cost;
}

/*
 * Compiling expressions pays where a plan spends its time in them, but a batch is
 * compiled already.  So what decides is the cost of all else.
 */
static void
ChooseJit(PlannedStmt *statement)
{
	Cost		cost = statement->planTree->total_cost;
	ListCell   *cell;

	if (statement->jitFlags == PGJIT_NONE)
		return;
	cost -= CostOfBatches(statement->planTree);
	foreach(cell, statement->subplans)
		cost -= CostOfBatches(lfirst(cell));
	if (cost <= jit_above_cost)
		statement->jitFlags = PGJIT_NONE;
	if (cost <= jit_optimize_above_cost)
		statement->jitFlags &= ~PGJIT_OPT3;
	if (cost <= jit_inline_above_cost)
		statement->jitFlags &= ~PGJIT_INLINE;
}

/*
 * A scrollable cursor goes back in what it has kept.
 */
static void
KeepScrollable(Rewrite *rewrite, PlannedStmt *statement)
{
	Plan	   *top = statement->planTree;

	if (ExecSupportsBackwardScan(top))
		return;
	statement->planTree = materialize_finished_plan(top);
	statement->planTree->plan_node_id = ++rewrite->last_node_id;
}

void
BatchScores(PlannedStmt *statement, int cursor_options, bool required)
{
	Rewrite		rewrite = {statement, 0, LazyParams(statement)};
	Reader		reader = {0};
	ListCell   *cell;

	FindLastNodeId(&rewrite, statement->planTree);
	foreach(cell, statement->subplans)
		FindLastNodeId(&rewrite, lfirst(cell));

	/* cursors are planned for their first rows */
	reader.stops_early = (cursor_options & CURSOR_OPT_FAST_PLAN) != 0;
	statement->planTree = RewritePlan(&rewrite, statement->planTree, reader);
	RewriteList(&rewrite, statement->subplans, StopsEarly());
	ChooseJit(statement);
	if (cursor_options & CURSOR_OPT_SCROLL)
		KeepScrollable(&rewrite, statement);
	if (required)
		RequireNone(statement);
}
