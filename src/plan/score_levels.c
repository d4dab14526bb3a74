/*
 * score_levels.c
 *	  Makes a row of a batch the scan tuple of an MtlScore node, and checks its conditions.
 *
 * A level's results are asked for when the row has passed the conditions of the levels
 * before.  If they are not there then, rows that follow are checked as far, and all that
 * pass are computed at once.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"

#include "compat.h"
#include "plan/score_levels.h"

/*
 * Begins the scan tuple with what was kept of a row.
 */
static void
StoreColumns(ScoreNodeState *state, int row)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * (state->ncolumns + state->ncalls));
	for (int i = 0; i < state->nkept; i++)
	{
		slot->tts_values[state->kept[i].column] = state->values[(Size) row * state->nkept + i];
		slot->tts_isnull[state->kept[i].column] = state->nulls[(Size) row * state->nkept + i];
	}
	ExecStoreVirtualTuple(slot);
	if (state->has_places)
	{
		slot->tts_tid = state->places[row];
		slot->tts_tableOid = state->tables[row];
	}
}

/*
 * Adds the results of a level's calls.
 */
static void
StoreResults(ScoreNodeState *state, int row, int level)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	MemoryContext caller = MemoryContextSwitchTo(state->css.ss.ps.ps_ExprContext->ecxt_per_tuple_memory);

	state->computing = true;
	for (int i = 0; i < state->ngroups; i++)
	{
		const ScoreGroup *group = &state->groups[i];

		if (group->rows[row] < 0)
			continue;
		for (int k = 0; k < group->ncalls; k++)
		{
			int			column = state->ncolumns + group->first_call + k;

			if (group->call_levels[k] == level)
				slot->tts_values[column] = ScoreBatchResult(group->batch, k, group->rows[row], &slot->tts_isnull[column]);
		}
	}
	state->computing = false;
	MemoryContextSwitchTo(caller);
}

static bool EnterLevel(ScoreNodeState *state, int row, int level);

/*
 * Whether a row passes the conditions of the first nlevels levels.  Before its turn it
 * does not count as one that came to a level.
 */
static bool
PassesLevels(ScoreNodeState *state, int row, int nlevels, bool its_turn)
{
	ExprContext *context = state->css.ss.ps.ps_ExprContext;

	ResetExprContext(context);
	context->ecxt_scantuple = state->css.ss.ss_ScanTupleSlot;
	StoreColumns(state, row);
	for (int level = 0; level < nlevels; level++)
	{
		if (level > 0 && its_turn && EnterLevel(state, row, level))
		{
			/* the scan tuple has been another row */
			ResetExprContext(context);
			StoreColumns(state, row);
			for (int i = 0; i < level; i++)
				StoreResults(state, row, i);
		}
		StoreResults(state, row, level);
		if (!ExecQual(state->quals[level], context))
			return false;
	}
	return true;
}

static void
CheckRights(const ScoreNodeState *state, int row)
{
	for (int i = 0; i < state->ngroups; i++)
		if (state->groups[i].rows[row] >= 0)
			ScoreBatchCheckRights(state->groups[i].batch);
}

/*
 * Before a row's turn: false if a result has an error.  Of what is at work there, nothing
 * but results may have one that is to wait; so rights, which queries may be run for, are
 * checked before.
 */
static bool
TryPassesLevels(ScoreNodeState *state, int row, int nlevels, bool its_turn, bool *passes)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = false;

	state->computing = false;
	CheckRights(state, row);
	PG_TRY();
	{
		*passes = PassesLevels(state, row, nlevels, its_turn);
		done = true;
	}
	PG_CATCH();
	{
		if (!state->computing)
			PG_RE_THROW();
		ScoreErrorPutOff(caller);
		state->computing = false;
	}
	PG_END_TRY();
	return done;
}

/*
 * Finds the rows from a given one on that come to a level, up to one with an error, and
 * computes it for them.
 */
static void
ComputeLevel(ScoreNodeState *state, int row, int level)
{
	int			rows[MTL_MAX_BATCH];
	int			group_rows[MTL_MAX_BATCH];
	int			nrows = 0;

	rows[nrows++] = row;
	for (int next = row + 1; next < state->nrows; next++)
	{
		bool		passes;

		CHECK_FOR_INTERRUPTS();
		if (state->rejected[next])
			continue;
		if (!TryPassesLevels(state, next, level, false, &passes))
			break;
		if (passes)
			rows[nrows++] = next;
		else
			state->rejected[next] = true;
	}

	for (int i = 0; i < state->ngroups; i++)
	{
		const ScoreGroup *group = &state->groups[i];

		for (int part = 1; part < group->nparts; part++)
		{
			int			n = 0;

			if (group->part_levels[part] != level)
				continue;
			for (int k = 0; k < nrows; k++)
				if (group->rows[rows[k]] >= 0)
					group_rows[n++] = group->rows[rows[k]];
			ScoreBatchRunPart(group->batch, part, n, group_rows);
		}
	}
}

/*
 * A row has come to a level.  True if rows that follow were looked at.
 */
static bool
EnterLevel(ScoreNodeState *state, int row, int level)
{
	bool		missing = false;

	state->computing = true;
	for (int i = 0; i < state->ngroups; i++)
	{
		const ScoreGroup *group = &state->groups[i];

		for (int part = 1; part < group->nparts; part++)
			if (group->part_levels[part] == level && group->rows[row] >= 0)
				missing |= !ScoreBatchEnter(group->batch, part, group->rows[row]);
	}
	state->computing = false;
	if (!missing || !state->check_ahead || row + 1 == state->nrows)
		return false;
	ComputeLevel(state, row, level);
	return true;
}

bool
RowPasses(ScoreNodeState *state, int row)
{
	return !state->rejected[row] && PassesLevels(state, row, state->nlevels, true);
}

bool
TryRowPasses(ScoreNodeState *state, int row, bool *passes)
{
	*passes = false;
	return state->rejected[row] || TryPassesLevels(state, row, state->nlevels, true, passes);
}
