/*
 * score_gather.c
 *	  Gathers rows of an MtlScore node's child into a batch, and computes its scores.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "common/int.h"
#include "executor/executor.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "plan/prefetch.h"
#include "plan/score_gather.h"

/*
 * The number of rows that Limit will ask for at most; -1 if it says none.
 */
static int64
EvaluateLimit(ScoreNodeState *state)
{
	Datum		value;
	bool		isnull;
	int64		nrows;

	ResetExprContext(state->arguments);
	value = ExecEvalExprSwitchContext(state->limit_count, state->arguments, &isnull);
	if (isnull)
		return -1;
	/* what is not a number of rows, Limit complains about */
	nrows = Max(DatumGetInt64(value), 0);
	if (state->limit_offset)
	{
		value = ExecEvalExprSwitchContext(state->limit_offset, state->arguments, &isnull);
		if (!isnull && pg_add_s64_overflow(nrows, Max(DatumGetInt64(value), 0), &nrows))
			return -1;
	}
	return nrows;
}

void
ReadBound(ScoreNodeState *state)
{
	state->bound_ready = true;
	state->bounded = false;
	if (state->limit_count == NULL)
		return;
	state->remaining = EvaluateLimit(state);
	state->bounded = state->remaining >= 0;
	ExecSetTupleBound(state->remaining, outerPlanState(&state->css));
}

/*
 * Rows to gather next.  With the last batch begun when returned rows had been asked
 * for, scored + size <= 2 * (returned + 1) - 1 holds: one more will be.
 */
static int
BatchSize(const ScoreNodeState *state)
{
	double		size = MTL_MAX_BATCH;

	if (state->one_by_one)
		return 1;
	if (state->mode == BATCH_ALL)
		return MTL_MAX_BATCH;
	/* a child that has been told gives no more than that */
	if (state->bounded)
		size = Min(size, state->remaining);
	if (!state->bounded || state->limit_is_most)
		size = Min(size, 2 * state->rows_returned + 1 - state->rows_scored);
	return Max(size, 1);
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
	/* a row of the stage may have to wait */
	if (stage == NULL || (stage->exhausted && stage->next_row == stage->nrows))
		state->exhausted = true;
	return NULL;
}

/*
 * An option of a call.  That of a subquery may come as it is stored, out of line.
 */
static Datum
ReadOption(ExprState *option, ExprContext *context, bool *isnull)
{
	Datum		value = ExecEvalExpr(option, context, isnull);

	return *isnull ? value : PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
}

/*
 * Looks up the model for the batch.  What that leaves behind goes with the row.
 */
static void
BeginBatch(ScoreNodeState *state, ScoreGroup *group)
{
	ExprContext *context = state->arguments;
	MemoryContext caller = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
	bool		isnull;
	Datum		model = ExecEvalExpr(group->model, context, &isnull);
	int			limit = 0;

	for (int i = 0; i < group->ncalls; i++)
		if (group->options[i])
			group->option_values[i].value = ReadOption(group->options[i], context,
													   &group->option_values[i].isnull);
	if (!isnull)
		limit = ScoreBatchBegin(group->batch, model, group->option_values, state->memory);
	MemoryContextSwitchTo(caller);
	group->idle = limit == 0;
	group->begun = true;
	if (!group->idle)
		state->most = Min(state->most, limit);
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
	state->rejected[row] = false;
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
	return state->nrows >= state->most ||
		(state->keeps_memory && MemoryContextMemAllocated(state->batch_context, false) > state->memory);
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
		if (state->encoding == NULL)
			PG_RE_THROW();
		ScoreErrorPutOff(caller);
		state->waiting = state->encoding;
	}
	PG_END_TRY();
}

bool
NextBatch(ScoreNodeState *state)
{
	int			size;
	double		scored = state->rows_scored;

	if (!state->bound_ready)
		ReadBound(state);
	size = BatchSize(state);
	state->nrows = 0;
	state->next_row = 0;
	state->most = MTL_MAX_BATCH;
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
