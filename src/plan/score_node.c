/*
 * score_node.c
 *	  Executes the plan node MtlScore: its beginning and end, and the rows that it hands on.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"

#include "compat.h"
#include "plan/batchable.h"
#include "plan/explain.h"
#include "plan/score_gather.h"
#include "plan/score_levels.h"
#include "plan/score_node.h"
#include "score/score_kind.h"

static Node *CreateState(CustomScan *plan);
static void BeginNode(CustomScanState *css, EState *estate, int eflags);
static TupleTableSlot *ExecNode(CustomScanState *css);
static void EndNode(CustomScanState *css);
static void RescanNode(CustomScanState *css);
static void ExplainNode(CustomScanState *css, List *ancestors, ExplainState *es);

const CustomScanMethods score_node_methods = {
	.CustomName = MTL_SCORE_NODE_NAME,
	.CreateCustomScanState = CreateState
};

static const CustomExecMethods exec_methods = {
	.CustomName = MTL_SCORE_NODE_NAME,
	.BeginCustomScan = BeginNode,
	.ExecCustomScan = ExecNode,
	.EndCustomScan = EndNode,
	.ReScanCustomScan = RescanNode,
	.ExplainCustomScan = ExplainNode
};

void
ScoreNodeRegister(void)
{
	RegisterCustomScanMethods(&score_node_methods);
}

/* ------------------------------------------------------------------ begin */

static Node *
CreateState(CustomScan *plan)
{
	ScoreNodeState *state = (ScoreNodeState *) newNode(sizeof(ScoreNodeState), T_CustomScanState);

	state->css.methods = &exec_methods;
	return (Node *) state;
}

/*
 * The parts of the group's batch: levels that it has calls of.
 */
static int *
BeginParts(ScoreGroup *group, List *levels)
{
	int		   *parts = palloc(sizeof(int) * group->ncalls);

	group->call_levels = palloc(sizeof(int) * group->ncalls);
	group->part_levels = palloc(sizeof(int) * group->ncalls);
	for (int i = 0; i < group->ncalls; i++)
	{
		int			level = list_nth_int(levels, group->first_call + i);

		group->call_levels[i] = level;
		if (i == 0 || level != group->call_levels[i - 1])
			group->part_levels[group->nparts++] = level;
		parts[i] = group->nparts - 1;
	}
	return parts;
}

static void
BeginGroup(ScoreNodeState *state, ScoreGroup *group, List *calls, List *levels)
{
	PlanState  *parent = &state->css.ss.ps;
	FuncExpr   *first = linitial_node(FuncExpr, calls);
	const ScoreKind *kind = ScoreKindFind(first->funcid);
	FuncExpr  **array = palloc(sizeof(FuncExpr *) * list_length(calls));
	ListCell   *cell;

	/* it was when the call was planned */
	if (kind == NULL)
		elog(ERROR, "function %u computes no scores", first->funcid);
	group->ncalls = list_length(calls);
	group->options = palloc0(sizeof(ExprState *) * group->ncalls);
	group->option_values = palloc0(sizeof(NullableDatum) * group->ncalls);
	foreach(cell, calls)
	{
		FuncExpr   *call = lfirst_node(FuncExpr, cell);
		int			i = foreach_current_index(cell);

		/* checks the right to execute the function, as a call by itself does */
		(void) ExecInitExpr((Expr *) call, parent);
		array[i] = call;
		if (ScoreKindFind(call->funcid)->has_option)
			group->options[i] = ExecInitExpr(llast(call->args), parent);
	}
	group->model = ExecInitExpr(linitial(first->args), parent);
	group->pair = kind->nrows == 2;
	for (int i = 0; i < kind->nrows; i++)
	{
		Node	   *features = list_nth(first->args, 1 + i);

		/* contexts are remembered as values */
		if (i == kind->nrows - 1 && IsA(features, RowExpr))
		{
			group->row = RowArgumentCreate((RowExpr *) features, state->ncolumns, parent);
			break;
		}
		group->features[i] = ExecInitExpr((Expr *) features, parent);
		group->columns[i] = IsA(features, Var) ? ((Var *) features)->varattno - 1 : -1;
	}
	group->batch = ScoreBatchCreate(group->ncalls, array, BeginParts(group, levels),
									group->row ? RowArgumentShape(group->row) : NULL);
}

static void
BeginGroups(ScoreNodeState *state, const CustomScan *plan)
{
	List	   *counts = list_nth(plan->custom_private, PRIVATE_GROUPS);
	List	   *levels = list_nth(plan->custom_private, PRIVATE_LEVELS);
	ListCell   *cell;

	state->ngroups = list_length(counts);
	state->groups = palloc0(sizeof(ScoreGroup) * state->ngroups);
	foreach(cell, counts)
	{
		ScoreGroup *group = &state->groups[foreach_current_index(cell)];
		List	   *calls = list_copy_tail(plan->custom_exprs, state->ncalls);

		group->first_call = state->ncalls;
		BeginGroup(state, group, list_truncate(calls, lfirst_int(cell)), levels);
		state->ncalls += group->ncalls;
	}
}

static void
BeginQuals(ScoreNodeState *state, const CustomScan *plan)
{
	List	   *counts = list_nth(plan->custom_private, PRIVATE_QUALS);
	List	   *rest = plan->scan.plan.qual;
	ListCell   *cell;

	state->nlevels = list_length(counts);
	state->quals = palloc(sizeof(ExprState *) * state->nlevels);
	if (state->nlevels == 1)
	{
		/* the executor has made it */
		state->quals[0] = state->css.ss.ps.qual;
		return;
	}
	foreach(cell, counts)
	{
		state->quals[foreach_current_index(cell)] = ExecInitQual(list_copy_head(rest, lfirst_int(cell)), &state->css.ss.ps);
		rest = list_copy_tail(rest, lfirst_int(cell));
	}
}

/*
 * Whether errors in computing ahead can be put off as the plan meant to.
 */
static bool
CanPutOffErrors(const ScoreNodeState *state, const CustomScan *plan)
{
	for (int i = 0; i < state->ncalls; i++)
		if (!FeatureTypesAreSafe(list_nth_node(FuncExpr, plan->custom_exprs, i)))
			return false;
	return true;
}

static void
BeginKept(ScoreNodeState *state, const CustomScan *plan)
{
	TupleDesc	child = ExecGetResultType(outerPlanState(&state->css));
	List	   *kept = list_nth(plan->custom_private, PRIVATE_KEPT);
	Bitmapset  *used = NULL;
	ListCell   *cell;

	state->nkept = list_length(kept);
	state->kept = palloc(sizeof(KeptColumn) * Max(state->nkept, 1));
	foreach(cell, kept)
	{
		KeptColumn *column = &state->kept[foreach_current_index(cell)];

		column->column = lfirst_int(cell);
		column->typlen = TupleDescAttr(child, column->column)->attlen;
		column->typbyval = TupleDescAttr(child, column->column)->attbyval;
		state->last_column = Max(state->last_column, column->column + 1);
		state->keeps_memory |= !column->typbyval;
	}

	pull_varattnos((Node *) plan->custom_exprs, OUTER_VAR, &used);
	for (int i = 0; i < state->ncolumns; i++)
		if (bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, used))
			state->last_column = Max(state->last_column, i + 1);
}

/*
 * The scan of a table whose rows the node hands on one to one, or NULL.
 */
static ScanState *
ScanOfTable(PlanState *child)
{
	switch (nodeTag(child))
	{
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
		case T_ForeignScanState:
			break;
		case T_CustomScanState:
			if (!IsScoreNode(child->plan))
				return NULL;
			break;
		default:
			return NULL;
	}
	return ((ScanState *) child)->ss_currentRelation ? (ScanState *) child : NULL;
}

static void
BeginNode(CustomScanState *css, EState *estate, int eflags)
{
	ScoreNodeState *state = (ScoreNodeState *) css;
	CustomScan *plan = (CustomScan *) css->ss.ps.plan;
	List	   *settings = list_nth(plan->custom_private, PRIVATE_SETTINGS);
	ScanState  *scan;

	/* rows are handed on in one direction, and there is no way back to one of them */
	eflags &= ~(EXEC_FLAG_BACKWARD | EXEC_FLAG_MARK);
	outerPlanState(css) = ExecInitNode(outerPlan(plan), estate, eflags);

	state->ncolumns = ExecGetResultType(outerPlanState(css))->natts;
	state->mode = list_nth_int(settings, SETTING_MODE);
	state->put_off_errors = list_nth_int(settings, SETTING_PUT_OFF_ERRORS);
	state->check_ahead = list_nth_int(settings, SETTING_CHECK_AHEAD);
	BeginGroups(state, plan);
	BeginQuals(state, plan);
	state->one_by_one = state->put_off_errors && !CanPutOffErrors(state, plan);
	if (list_nth_int(settings, SETTING_BOUNDED))
		state->limit_count = ExecInitExpr(list_nth(plan->custom_exprs, state->ncalls), &css->ss.ps);
	if (list_nth_int(settings, SETTING_OFFSET))
		state->limit_offset = ExecInitExpr(list_nth(plan->custom_exprs, state->ncalls + 1), &css->ss.ps);
	state->limit_is_most = list_nth_int(settings, SETTING_LIMIT_IS_MOST);
	BeginKept(state, plan);

	state->arguments = CreateExprContext(estate);
	state->batch_context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank rows", ALLOCSET_DEFAULT_SIZES);
	state->memory = (Size) work_mem * 1024;
	state->values = palloc(sizeof(Datum) * MTL_MAX_BATCH * Max(state->nkept, 1));
	state->nulls = palloc(sizeof(bool) * MTL_MAX_BATCH * Max(state->nkept, 1));
	state->scored = palloc(sizeof(bool) * MTL_MAX_BATCH);
	state->rejected = palloc0(sizeof(bool) * MTL_MAX_BATCH);

	if (IsA(outerPlanState(css), SeqScanState))
		state->table_rows = ((ScanState *) outerPlanState(css))->ss_ScanTupleSlot;
	scan = ScanOfTable(outerPlanState(css));
	if (scan)
	{
		/* execCurrentOf() finds the place of the current row in the scan tuple */
		css->ss.ss_currentRelation = scan->ss_currentRelation;
		state->has_places = true;
		state->places = palloc(sizeof(ItemPointerData) * MTL_MAX_BATCH);
		state->tables = palloc(sizeof(Oid) * MTL_MAX_BATCH);
	}
}

static void
EndNode(CustomScanState *css)
{
	ExecEndNode(outerPlanState(css));
}

static void
RescanNode(CustomScanState *css)
{
	ScoreNodeState *state = (ScoreNodeState *) css;

	state->nrows = 0;
	state->next_row = 0;
	state->waiting = NULL;
	state->exhausted = false;
	ReadBound(state);
	ExecClearTuple(css->ss.ss_ScanTupleSlot);
	MemoryContextReset(state->batch_context);

	/* otherwise the child notices by itself */
	if (outerPlanState(css)->chgParam == NULL)
		ExecReScan(outerPlanState(css));
}

/* ---------------------------------------------------------------- execute */

static TupleTableSlot *
ExecNode(CustomScanState *css)
{
	ScoreNodeState *state = (ScoreNodeState *) css;
	ProjectionInfo *projection = css->ss.ps.ps_ProjInfo;

	for (;;)
	{
		bool		passes;

		CHECK_FOR_INTERRUPTS();
		if (state->next_row == state->nrows && (state->no_new_batch || !NextBatch(state)))
			break;

		if (!state->no_new_batch)
			passes = RowPasses(state, state->next_row);
		else if (!TryRowPasses(state, state->next_row, &passes))
			break;
		if (state->scored[state->next_row])
			state->rows_returned++;
		state->next_row++;
		if (passes)
			return projection ? ExecProject(projection) : css->ss.ss_ScanTupleSlot;
		InstrCountFiltered1(css, 1);
	}

	ExecClearTuple(css->ss.ss_ScanTupleSlot);
	return projection ? ExecClearTuple(projection->pi_state.resultslot) : css->ss.ss_ScanTupleSlot;
}

static void
ExplainNode(CustomScanState *css, List *ancestors, ExplainState *es)
{
	ScoreNodeExplain((ScoreNodeState *) css, es);
}
