/*
 * score_batch_run.c
 *	  Computes the encoded rows of a batch: its parts together, or one of them for some rows.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "compat.h"
#include "score/score_batch_state.h"

/*
 * What is known of how many rows come to a part: so many stand for what was guessed
 * before, half of which do; and about so many are looked back to.
 */
#define GUESSED_ROWS	16
#define REMEMBERED_ROWS	8192

static void
ReserveScratch(ScoreBatch *batch, const BatchRun *run, int nrows)
{
	Size		size = Max(SelectionScratchSize(run->selection, nrows), 1);

	if (size <= batch->scratch_size)
		return;
	if (batch->scratch_size > 0)
		pfree(batch->scratch);
	batch->scratch_size = 0;
	batch->scratch = MemoryContextAllocHuge(batch->selection_context, size);
	batch->scratch_size = size;
}

/* Rows of a batch: so many from the first on, or those that are listed. */
typedef struct BatchRows
{
	int			n;
	int			first;
	const int  *list;			/* NULL: the former */
} BatchRows;

static int
RowAt(const BatchRows *rows, int i)
{
	return rows->list ? rows->list[i] : rows->first + i;
}

/*
 * Encoded rows one after the other, which those of a list may have to be copied for.
 */
static void
LayOutRows(ScoreBatch *batch, const BatchRows *rows, const float **floats, const int32 **ids)
{
	const InputLayout *layout = batch->model->layout;
	int			first = RowAt(rows, 0);

	*floats = batch->floats + (Size) first * layout->nfloats;
	*ids = batch->ids + (Size) first * layout->nids;
	if (RowAt(rows, rows->n - 1) - first == rows->n - 1)
		return;

	if (batch->picked_capacity < rows->n)
	{
		if (batch->picked_capacity > 0)
		{
			pfree(batch->picked_floats);
			pfree(batch->picked_ids);
		}
		batch->picked_capacity = 0;
		batch->picked_floats = MemoryContextAllocHuge(batch->model_context,
													  sizeof(float) * Max((Size) batch->capacity * layout->nfloats, 1));
		batch->picked_ids = MemoryContextAllocHuge(batch->model_context,
												   sizeof(int32) * Max((Size) batch->capacity * layout->nids, 1));
		batch->picked_capacity = batch->capacity;
	}
	for (int i = 0; i < rows->n; i++)
	{
		Size		row = RowAt(rows, i);

		memcpy(batch->picked_floats + (Size) i * layout->nfloats, batch->floats + row * layout->nfloats,
			   sizeof(float) * layout->nfloats);
		memcpy(batch->picked_ids + (Size) i * layout->nids, batch->ids + row * layout->nids,
			   sizeof(int32) * layout->nids);
	}
	*floats = batch->picked_floats;
	*ids = batch->picked_ids;
}

/*
 * Keeps a part's results of a run.
 */
static void
KeepScores(BatchPart *part, const float *const *results, const BatchRows *rows)
{
	for (int i = 0; i < part->run.nresults; i++)
		for (int r = 0; r < rows->n; r++)
			part->scores[(Size) i * MTL_MAX_BATCH + RowAt(rows, r)] = results[i][r];
	for (int r = 0; r < rows->n; r++)
		part->computed[RowAt(rows, r)] = true;
}

/*
 * Computes a part of some rows; all parts if it is -1.
 */
static void
RunRows(ScoreBatch *batch, int part, const BatchRows *rows, const ContextShares *contexts)
{
	BatchRun   *run = part < 0 ? &batch->together : &batch->parts[part].run;
	const float *floats;
	const int32 *ids;

	if (run->selection)
	{
		LayOutRows(batch, rows, &floats, &ids);
		ReserveScratch(batch, run, rows->n);
		if (batch->contexts && contexts == NULL)
			batch->ncontexts += rows->n;
		ProgramRun(batch->model->program, run->selection, rows->n, floats, ids, contexts, batch->scratch, run->results);
	}
	if (part >= 0)
		KeepScores(&batch->parts[part], run->results, rows);
	else
	{
		const float **results = run->results;

		for (int i = 0; i < batch->nparts; i++)
		{
			KeepScores(&batch->parts[i], results, rows);
			results += batch->parts[i].run.nresults;
		}
	}
}

/*
 * Whether the rows have contexts whose shares are there or worth it: a share takes as
 * much work as the context takes of one row.
 */
static bool
RowsShare(const ScoreBatch *batch, int nrows)
{
	int			nnew = batch->contexts ? ContextsWithoutShare(batch->contexts) : -1;

	if (nnew < 0 || 2 * nnew > nrows)
		return false;
	for (int r = 0; r < nrows; r++)
		if (batch->of_row[r] < 0)
			return false;
	return true;
}

/*
 * Computes a part of all rows, or all parts.
 */
static void
RunAllRows(ScoreBatch *batch, int part)
{
	const BatchRun *run = part < 0 ? &batch->together : &batch->parts[part].run;
	BatchRows	rows = {batch->nrows, 0, NULL};
	ContextShares shares;

	if (batch->contexts && batch->shares_of != run->selection)
	{
		ContextsForgetShares(batch->contexts);
		batch->shares_of = run->selection;
	}
	if (!RowsShare(batch, batch->nrows))
	{
		RunRows(batch, part, &rows, NULL);
		return;
	}
	ReserveScratch(batch, run, batch->nrows);
	batch->ncontexts += ContextsWithoutShare(batch->contexts);
	ContextsComputeShares(batch->contexts, run->selection, batch->scratch);
	shares = ContextsShares(batch->contexts, batch->of_row);
	RunRows(batch, part, &rows, &shares);
}

/*
 * Runs a part, or all, of all rows or of a list of them.  The engine says which number
 * left its range, but not in which row.  It holds nothing that an error would have to
 * release, so after one the rows are computed one by one instead, as they are asked for.
 */
static bool
TryRun(ScoreBatch *batch, int part, const BatchRows *rows)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		if (rows)
			RunRows(batch, part, rows, NULL);
		else
			RunAllRows(batch, part);
		done = true;
	}
	PG_CATCH();
	{
		ScoreErrorPutOff(caller);
	}
	PG_END_TRY();
	return done;
}

/*
 * Whether all parts of all rows cost less than each part of the rows that come to it, as
 * far as those before tell; until there are some, half of them do.
 */
static bool
TogetherPays(const ScoreBatch *batch)
{
	double		apart = batch->parts[0].run.cost;

	for (int i = 1; i < batch->nparts; i++)
		apart += batch->parts[i].run.cost * (batch->parts[i].entered + GUESSED_ROWS / 2) / (batch->rows + GUESSED_ROWS);
	return batch->together.cost <= apart;
}

/*
 * Rows far back count less.
 */
static void
CountRows(ScoreBatch *batch, int nrows)
{
	batch->rows += nrows;
	if (batch->rows < REMEMBERED_ROWS)
		return;
	batch->rows /= 2;
	for (int i = 1; i < batch->nparts; i++)
		batch->parts[i].entered /= 2;
}

void
ScoreBatchRun(ScoreBatch *batch, int nrows)
{
	bool		together = batch->together.selection && TogetherPays(batch);

	batch->nrows = nrows;
	for (int i = 0; i < batch->nparts; i++)
		memset(batch->parts[i].computed, false, sizeof(bool) * nrows);
	CountRows(batch, nrows);
	if (together && TryRun(batch, -1, NULL))
		batch->ntogether++;
	else if (nrows > 1)
		(void) TryRun(batch, 0, NULL);
}

void
ScoreBatchRunPart(ScoreBatch *batch, int part, int nrows, const int *rows)
{
	int			list[MTL_MAX_BATCH];
	BatchRows	left = {0, 0, list};

	for (int i = 0; i < nrows; i++)
		if (!batch->parts[part].computed[rows[i]])
			list[left.n++] = rows[i];
	if (batch->parts[part].selected && left.n > 1)
		(void) TryRun(batch, part, &left);
}

void
RunPartOfRow(ScoreBatch *batch, int part, int row)
{
	BatchRows	rows = {1, row, NULL};
	ContextShares share;
	bool		shared;

	if (!batch->parts[part].selected)
		SelectPart(batch, part);
	shared = batch->contexts && batch->shares_of == batch->parts[part].run.selection &&
		ContextsShare(batch->contexts, batch->of_row[row], &share);
	RunRows(batch, part, &rows, shared ? &share : NULL);
}
