/*
 * score_node.c
 *	  Executes the plan node MtlScore.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "common/int.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "optimizer/optimizer.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "engine/engine.h"
#include "plan/batchable.h"
#include "plan/explain.h"
#include "plan/prefetch.h"
#include "plan/row_argument.h"
#include "plan/score_node.h"
#include "score/score_batch.h"
#include "score/score_kind.h"

/* Calls over the same model and features. */
typedef struct ScoreGroup
{
	int			first_call;
	int			ncalls;
	ScoreBatch *batch;
	ExprState  *model;
	bool		pair;			/* features are two rows */
	ExprState  *features[2];	/* the second NULL but for pairs */
	int			columns[2];		/* of the child, that features are, or -1 */
	RowArgument *row;			/* the last of the features instead, or NULL */
	ExprState **options;		/* by call; NULL: takes none */
	NullableDatum *option_values;

	/* the current batch */
	bool		begun;
	bool		idle;			/* no row has a result */
	int			nencoded;
	int16		rows[MTL_MAX_BATCH];	/* by row of the node: row of the batch, or -1 */
} ScoreGroup;

/* A column of the child that qual or target list see. */
typedef struct KeptColumn
{
	int			column;			/* from 0 */
	int16		typlen;
	bool		typbyval;
} KeptColumn;

typedef struct ScoreNodeState
{
	CustomScanState css;

	BatchMode	mode;
	bool		put_off_errors;
	bool		one_by_one;		/* it meant to, but no longer can */
	ExprState  *limit_count;
	ExprState  *limit_offset;
	int			ncolumns;		/* of the child */
	int			ncalls;
	int			ngroups;
	ScoreGroup *groups;
	int			nkept;
	KeptColumn *kept;
	bool		keeps_memory;	/* a kept column is by reference */
	int			last_column;	/* of the child that is used at all */
	ExprContext *arguments;		/* for what is computed when a row is gathered */
	Size		memory;			/* of a batch */

	/* rows of the current batch */
	int			nrows;
	int			next_row;
	MemoryContext batch_context;
	Datum	   *values;			/* nkept for each row */
	bool	   *nulls;
	bool	   *scored;			/* by row: it took part in a batch */

	/* for WHERE CURRENT OF: the place of each row in the table that the child scans */
	bool		has_places;
	ItemPointerData *places;
	Oid		   *tables;

	/* the child */
	TupleTableSlot *table_rows; /* of the scan of a whole table, or NULL */
	TupleTableSlot *waiting;	/* a row that begins the next batch, or NULL */
	TupleTableSlot *encoding;	/* the row that is being encoded */
	bool		exhausted;
	bool		bounded;		/* remaining is known */
	bool		bound_ready;
	int64		remaining;		/* rows that may still be asked for */

	/*
	 * Set by a parent of this kind that reads ahead: return what there is, and no
	 * row rather than begin another batch.
	 */
	bool		no_new_batch;

	double		rows_scored;	/* since the node began */
	double		rows_returned;	/* of those */
} ScoreNodeState;

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

static void
BeginGroup(ScoreNodeState *state, ScoreGroup *group, List *calls)
{
	PlanState  *parent = &state->css.ss.ps;
	FuncExpr   *first = linitial_node(FuncExpr, calls);
	const ScoreKind *kind = ScoreKindFind(first->funcid);
	FuncExpr  **array = palloc(sizeof(FuncExpr *) * list_length(calls));
	ListCell   *cell;

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
	group->batch = ScoreBatchCreate(group->ncalls, array, group->row ? RowArgumentShape(group->row) : NULL);
}

static void
BeginGroups(ScoreNodeState *state, const CustomScan *plan)
{
	List	   *counts = list_nth(plan->custom_private, PRIVATE_GROUPS);
	ListCell   *cell;

	state->ngroups = list_length(counts);
	state->groups = palloc0(sizeof(ScoreGroup) * state->ngroups);
	foreach(cell, counts)
	{
		ScoreGroup *group = &state->groups[foreach_current_index(cell)];
		List	   *calls = list_copy_tail(plan->custom_exprs, state->ncalls);

		group->first_call = state->ncalls;
		BeginGroup(state, group, list_truncate(calls, lfirst_int(cell)));
		state->ncalls += group->ncalls;
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
	state->mode = linitial_int(settings);
	state->put_off_errors = lsecond_int(settings);
	BeginGroups(state, plan);
	state->one_by_one = state->put_off_errors && !CanPutOffErrors(state, plan);
	if (lthird_int(settings))
		state->limit_count = ExecInitExpr(list_nth(plan->custom_exprs, state->ncalls), &css->ss.ps);
	if (lfourth_int(settings))
		state->limit_offset = ExecInitExpr(list_nth(plan->custom_exprs, state->ncalls + 1), &css->ss.ps);
	BeginKept(state, plan);

	state->arguments = CreateExprContext(estate);
	state->batch_context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank rows", ALLOCSET_DEFAULT_SIZES);
	state->memory = (Size) work_mem * 1024;
	state->values = palloc(sizeof(Datum) * MTL_MAX_BATCH * Max(state->nkept, 1));
	state->nulls = palloc(sizeof(bool) * MTL_MAX_BATCH * Max(state->nkept, 1));
	state->scored = palloc(sizeof(bool) * MTL_MAX_BATCH);

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
	state->bound_ready = false;
	ExecClearTuple(css->ss.ss_ScanTupleSlot);
	MemoryContextReset(state->batch_context);

	/* otherwise the child notices by itself */
	if (outerPlanState(css)->chgParam == NULL)
		ExecReScan(outerPlanState(css));
}

/* ----------------------------------------------------------------- gather */

/*
 * The number of rows that Limit will ask for, if it says.
 */
static void
ReadBound(ScoreNodeState *state)
{
	Datum		value;
	bool		isnull;

	state->bound_ready = true;
	state->bounded = false;
	if (state->limit_count == NULL)
		return;
	ResetExprContext(state->arguments);
	value = ExecEvalExprSwitchContext(state->limit_count, state->arguments, &isnull);
	if (isnull)
		return;
	/* what is not a number of rows, Limit complains about */
	state->remaining = Max(DatumGetInt64(value), 0);
	if (state->limit_offset)
	{
		value = ExecEvalExprSwitchContext(state->limit_offset, state->arguments, &isnull);
		if (!isnull && pg_add_s64_overflow(state->remaining, Max(DatumGetInt64(value), 0), &state->remaining))
			return;
	}
	state->bounded = true;
}

/*
 * Rows to gather next.  With the last batch begun when returned rows had been asked
 * for, scored + size <= 2 * (returned + 1) - 1 holds: one more will be.
 */
static int
BatchSize(const ScoreNodeState *state)
{
	double		size;

	if (state->one_by_one)
		return 1;
	if (state->mode == BATCH_ALL)
		return MTL_MAX_BATCH;
	if (state->bounded)
		return Max(Min(state->remaining, MTL_MAX_BATCH), 1);
	size = 2 * state->rows_returned + 1 - state->rows_scored;
	return Max(Min(size, MTL_MAX_BATCH), 1);
}

/*
 * The next row of the child, or NULL.  Ahead, a child of this kind is not made to
 * read ahead itself.
 */
static TupleTableSlot *
FetchRow(ScoreNodeState *state, bool ahead)
{
	PlanState  *child = outerPlanState(&state->css);
	ScoreNodeState *stage = NULL;
	TupleTableSlot *slot = state->waiting;

	if (slot)
	{
		state->waiting = NULL;
		return slot;
	}
	if (state->exhausted)
		return NULL;
	if (ahead && state->mode == BATCH_GROW && IsScoreNode(child->plan))
	{
		stage = (ScoreNodeState *) child;
		stage->no_new_batch = true;
	}
	slot = ExecProcNode(child);
	if (stage)
		stage->no_new_batch = false;
	if (!TupIsNull(slot))
		return slot;
	if (stage == NULL || stage->exhausted)
		state->exhausted = true;
	return NULL;
}

/*
 * Looks up the model for the batch.
 */
static void
BeginBatch(ScoreNodeState *state, ScoreGroup *group)
{
	bool		isnull;
	Datum		model = ExecEvalExprSwitchContext(group->model, state->arguments, &isnull);
	int			limit = 0;

	for (int i = 0; i < group->ncalls; i++)
		if (group->options[i])
			group->option_values[i].value =
				ExecEvalExprSwitchContext(group->options[i], state->arguments,
										  &group->option_values[i].isnull);
	if (!isnull)
		limit = ScoreBatchBegin(group->batch, model, group->option_values, state->memory);
	group->idle = limit == 0;
	group->begun = true;
}

/* The features of a row. */
typedef struct Features
{
	Datum		rows[2];
	const Datum *values;		/* of the last, by columns */
	const bool *nulls;
} Features;

/*
 * The features of the child's row; false if one is null.
 */
static bool
ReadFeatures(ScoreNodeState *state, ScoreGroup *group, Features *features)
{
	const TupleTableSlot *slot = state->arguments->ecxt_outertuple;
	bool		all = true;

	for (int k = 0; k < 2 && group->features[k]; k++)
	{
		int			column = group->columns[k];
		bool		isnull;

		if (column >= 0)
		{
			features->rows[k] = slot->tts_values[column];
			isnull = slot->tts_isnull[column];
		}
		else
			features->rows[k] = ExecEvalExprSwitchContext(group->features[k], state->arguments, &isnull);
		all &= !isnull;
	}
	if (group->row)
		RowArgumentRead(group->row, state->arguments, &features->values, &features->nulls);
	return all;
}

/*
 * Encodes the child's row for all groups, as the given row of the node.  Ahead, a
 * group's model is not looked up: false, the row must wait until it is asked for.
 */
static bool
EncodeGroups(ScoreNodeState *state, int row, bool ahead)
{
	ExprContext *context = state->arguments;

	for (int i = 0; i < state->ngroups; i++)
	{
		ScoreGroup *group = &state->groups[i];
		Features	features = {{0}, NULL, NULL};

		group->rows[row] = -1;
		if (!ReadFeatures(state, group, &features))
			continue;
		if (!group->begun)
		{
			if (ahead)
				return false;
			BeginBatch(state, group);
		}
		if (!group->idle)
		{
			MemoryContext caller = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);

			if (group->row)
				ScoreBatchEncodeColumns(group->batch, group->nencoded, features.rows[0], features.values, features.nulls);
			else
				ScoreBatchEncode(group->batch, group->nencoded, features.rows[0], features.rows[1]);
			MemoryContextSwitchTo(caller);
			group->rows[row] = group->nencoded;
		}
	}
	return true;
}

/*
 * Copies what qual and target list see of the child's row.
 */
static void
KeepRow(ScoreNodeState *state, int row, TupleTableSlot *slot)
{
	MemoryContext caller = MemoryContextSwitchTo(state->batch_context);
	Datum	   *values = state->values + (Size) row * state->nkept;
	bool	   *nulls = state->nulls + (Size) row * state->nkept;

	for (int i = 0; i < state->nkept; i++)
	{
		const KeptColumn *column = &state->kept[i];

		nulls[i] = slot->tts_isnull[column->column];
		values[i] = slot->tts_values[column->column];
		if (!nulls[i] && !column->typbyval)
			values[i] = datumCopy(values[i], false, column->typlen);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Notes where execCurrentOf() would find the child's row.  In EvalPlanQual, where the
 * scan does not run, there may be no place.
 */
static void
KeepPlace(ScoreNodeState *state, int row)
{
	ScanState  *scan = (ScanState *) outerPlanState(&state->css);

	if (IsA(scan, IndexOnlyScanState))
	{
		IndexScanDesc index = ((IndexOnlyScanState *) scan)->ioss_ScanDesc;

		ItemPointerSetInvalid(&state->places[row]);
		if (index)
			state->places[row] = index->xs_heaptid;
		state->tables[row] = RelationGetRelid(scan->ss_currentRelation);
	}
	else
	{
		state->places[row] = scan->ss_ScanTupleSlot->tts_tid;
		state->tables[row] = scan->ss_ScanTupleSlot->tts_tableOid;
	}
}

/*
 * Adds the child's row to the batch, unless it must wait: nobody has asked for it
 * yet, and a model has to be looked up for it.
 */
static bool
GatherRow(ScoreNodeState *state, TupleTableSlot *slot)
{
	int			row = state->nrows;

	if (state->table_rows)
		PrefetchNextRow(state->table_rows);
	slot_getsomeattrs(slot, state->last_column);
	ResetExprContext(state->arguments);
	state->arguments->ecxt_outertuple = slot;
	state->encoding = slot;
	if (!EncodeGroups(state, row, row > 0 && state->put_off_errors))
		return false;
	state->encoding = NULL;

	state->scored[row] = false;
	for (int i = 0; i < state->ngroups; i++)
		if (state->groups[i].rows[row] >= 0)
		{
			state->groups[i].nencoded++;
			state->scored[row] = true;
		}
	if (state->scored[row])
		state->rows_scored++;
	KeepRow(state, row, slot);
	if (state->has_places)
		KeepPlace(state, row);
	state->nrows++;
	return true;
}

static bool
BatchIsFull(const ScoreNodeState *state)
{
	return state->keeps_memory && MemoryContextMemAllocated(state->batch_context, false) > state->memory;
}

/*
 * Gathers rows until there are as many as size.
 */
static void
GatherRows(ScoreNodeState *state, int size)
{
	while (state->nrows < size && !BatchIsFull(state))
	{
		TupleTableSlot *slot = FetchRow(state, state->nrows > 0);

		if (slot == NULL)
			break;
		if (!GatherRow(state, slot))
		{
			state->waiting = slot;
			break;
		}
	}
}

/*
 * The same for rows that nobody has asked for yet: one that has an error waits until
 * somebody does.  There is no other way to know than to try.  No subtransaction is
 * needed, for where a row is encoded nothing is at work that takes locks or writes:
 * the plan made sure that only columns, the server's own immutable functions, and
 * the encoder are.
 */
static void
TryGatherRows(ScoreNodeState *state, int size)
{
	MemoryContext caller = CurrentMemoryContext;

	state->encoding = NULL;
	PG_TRY();
	{
		GatherRows(state, size);
	}
	PG_CATCH();
	{
		if (state->encoding == NULL || !ScoreErrorIsData())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		state->waiting = state->encoding;
	}
	PG_END_TRY();
}

/*
 * Gathers and computes the next batch; false if there are no more rows.
 */
static bool
NextBatch(ScoreNodeState *state)
{
	int			size;
	double		scored = state->rows_scored;

	if (!state->bound_ready)
		ReadBound(state);
	size = BatchSize(state);
	state->nrows = 0;
	state->next_row = 0;
	MemoryContextReset(state->batch_context);
	for (int i = 0; i < state->ngroups; i++)
	{
		state->groups[i].begun = false;
		state->groups[i].nencoded = 0;
	}

	if (state->put_off_errors)
	{
		GatherRows(state, 1);
		if (state->nrows == 1 && size > 1)
			TryGatherRows(state, size);
	}
	else
		GatherRows(state, size);

	for (int i = 0; i < state->ngroups; i++)
		if (state->groups[i].nencoded > 0)
			ScoreBatchRun(state->groups[i].batch, state->groups[i].nencoded);
	state->remaining -= state->nrows;
	if (state->rows_scored > scored)
	{
		/* counters that nothing else here uses, and that parallel workers report */
		InstrCountTuples2(state, state->rows_scored - scored);
		InstrCountFiltered2(state, 1);
	}
	return state->nrows > 0;
}

/* ---------------------------------------------------------------- execute */

/*
 * Makes the next row of the batch the scan tuple.
 */
static TupleTableSlot *
StoreRow(ScoreNodeState *state)
{
	int			row = state->next_row++;
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	ExprContext *context = state->css.ss.ps.ps_ExprContext;
	MemoryContext caller;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * state->ncolumns);
	for (int i = 0; i < state->nkept; i++)
	{
		slot->tts_values[state->kept[i].column] = state->values[(Size) row * state->nkept + i];
		slot->tts_isnull[state->kept[i].column] = state->nulls[(Size) row * state->nkept + i];
	}

	if (state->scored[row])
		state->rows_returned++;
	caller = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
	for (int i = 0; i < state->ngroups; i++)
	{
		const ScoreGroup *group = &state->groups[i];

		for (int k = 0; k < group->ncalls; k++)
		{
			int			column = state->ncolumns + group->first_call + k;

			slot->tts_isnull[column] = true;
			if (group->rows[row] >= 0)
				slot->tts_values[column] = ScoreBatchResult(group->batch, k, group->rows[row],
															&slot->tts_isnull[column]);
		}
	}
	MemoryContextSwitchTo(caller);
	ExecStoreVirtualTuple(slot);
	if (state->has_places)
	{
		slot->tts_tid = state->places[row];
		slot->tts_tableOid = state->tables[row];
	}
	return slot;
}

static TupleTableSlot *
ExecNode(CustomScanState *css)
{
	ScoreNodeState *state = (ScoreNodeState *) css;
	ExprContext *context = css->ss.ps.ps_ExprContext;
	ProjectionInfo *projection = css->ss.ps.ps_ProjInfo;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		if (state->next_row == state->nrows && (state->no_new_batch || !NextBatch(state)))
			break;

		ResetExprContext(context);
		context->ecxt_scantuple = StoreRow(state);
		if (ExecQual(css->ss.ps.qual, context))
			return projection ? ExecProject(projection) : context->ecxt_scantuple;
		InstrCountFiltered1(css, 1);
	}

	ExecClearTuple(css->ss.ss_ScanTupleSlot);
	return projection ? ExecClearTuple(projection->pi_state.resultslot) : css->ss.ss_ScanTupleSlot;
}

/*
 * Contexts that were computed for the node's rows; -1 if there are none, or if other
 * processes scored rows, of which only counters come back that have no place for this.
 */
static int64
CountContexts(const ScoreNodeState *state)
{
	const Instrumentation *instrument = state->css.ss.ps.instrument;
	int64		contexts = -1;

	if (instrument == NULL || instrument->ntuples2 != state->rows_scored)
		return -1;
	for (int i = 0; i < state->ngroups; i++)
		if (state->groups[i].pair)
			contexts = Max(contexts, 0) + ScoreBatchContexts(state->groups[i].batch);
	return contexts;
}

static void
ExplainNode(CustomScanState *css, List *ancestors, ExplainState *es)
{
	ScoreNodeState *state = (ScoreNodeState *) css;
	List	   *groups = NIL;

	for (int i = 0; i < state->ngroups; i++)
		groups = lappend(groups, list_truncate(list_copy_tail(((CustomScan *) css->ss.ps.plan)->custom_exprs,
															  state->groups[i].first_call),
											   state->groups[i].ncalls));
	ScoreNodeExplain(&css->ss.ps, groups, CountContexts(state), es);
}
