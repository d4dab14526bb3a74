/*
 * score_batch.c
 *	  Calls over the same model and features, for many rows at once.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "compat.h"
#include "score/contexts.h"
#include "score/model_argument.h"
#include "score/score_batch.h"
#include "score/score_kind.h"

/*
 * What is known of how many rows come to a part: so many stand for what was guessed
 * before, half of which do; and about so many are looked back to.
 */
#define GUESSED_ROWS	16
#define REMEMBERED_ROWS	8192

typedef struct BatchCall
{
	const ScoreKind *kind;
	int			part;
	struct varlena *option;		/* NULL: none, or null */
	bool		isnull;			/* the option is null, so is the result */
	ScoreWanted wanted;
	int			first_result;	/* of the part's */
} BatchCall;

/* Operations that are computed in one run. */
typedef struct BatchRun
{
	int			nresults;
	Selection  *selection;		/* NULL: no results */
	const float **results;
	int64		cost;			/* multiply-adds for a row */
} BatchRun;

/* Calls that are asked for together, of rows that come so far. */
typedef struct BatchPart
{
	bool		selected;		/* the options have been read */
	BatchRun	run;
	double		entered;		/* rows that have come to it; not counted for the first */

	/* the current batch */
	float	   *scores;			/* MTL_MAX_BATCH of each result */
	const float **row_scores;	/* of one call and row */
	bool		computed[MTL_MAX_BATCH];	/* by row */
} BatchPart;

struct ScoreBatch
{
	int			ncalls;
	BatchCall  *calls;
	int			nparts;
	BatchPart  *parts;
	Oid			feature_types[2];
	const RowShape *shape;		/* of the last row, if that is given by columns, or NULL */
	ModelArgument *argument;
	FmgrInfo	function;
	FunctionCallInfo fcinfo;	/* has the model alone */
	bool		by_name;

	LoadedModel *model;
	MemoryContext model_context;	/* what depends on the model */
	FeatureSource *source;
	int			capacity;		/* rows that these have room for */
	float	   *floats;
	int32	   *ids;
	int			picked_capacity;
	float	   *picked_floats;	/* rows that are not one after the other */
	int32	   *picked_ids;
	Contexts   *contexts;		/* of pairs, or NULL */
	const Selection *shares_of; /* what the contexts' shares are of, or NULL */
	int16		of_row[MTL_MAX_BATCH];	/* the context of each row, or -1 */
	int64		ncontexts;		/* that were computed, once or for one row */

	bool		options_read;
	MemoryContext selection_context;	/* what depends on the options too */
	BatchRun	together;		/* of all parts; without a selection if one was not selected */
	Size		scratch_size;
	void	   *scratch;
	Datum		name;			/* by name: a copy */

	double		rows;			/* that came to the first part, in batches before */
	int64		ntogether;		/* batches that were computed together */

	/* the current batch */
	Oid			user;
	TimestampTz statement_start;
	int			nrows;
};

ScoreBatch *
ScoreBatchCreate(int ncalls, FuncExpr *const *calls, const int *parts, const RowShape *shape)
{
	ScoreBatch *batch = palloc0(sizeof(ScoreBatch));
	List	   *args = calls[0]->args;

	batch->ncalls = ncalls;
	batch->calls = palloc0(sizeof(BatchCall) * ncalls);
	for (int i = 0; i < ncalls; i++)
	{
		batch->calls[i].kind = ScoreKindFind(calls[i]->funcid);
		batch->calls[i].part = parts[i];
	}
	batch->nparts = parts[ncalls - 1] + 1;
	batch->parts = palloc0(sizeof(BatchPart) * batch->nparts);
	for (int i = 0; i < batch->calls[0].kind->nrows; i++)
		batch->feature_types[i] = exprType(list_nth(args, 1 + i));
	batch->shape = shape;
	batch->by_name = exprType(linitial(args)) == TEXTOID;

	fmgr_info(calls[0]->funcid, &batch->function);
	batch->fcinfo = palloc0(SizeForFunctionCallInfo(1));
	InitFunctionCallInfoData(*batch->fcinfo, &batch->function, 1, InvalidOid, NULL, NULL);
	batch->argument = ModelArgumentCreate(batch->fcinfo);
	batch->model_context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank batch", ALLOCSET_SMALL_SIZES);
	batch->selection_context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank selection", ALLOCSET_SMALL_SIZES);
	return batch;
}

/*
 * Makes the batch ready for a model.
 */
static void
UseModel(ScoreBatch *batch, LoadedModel *model, Size memory)
{
	MemoryContext caller;

	batch->model = NULL;
	batch->contexts = NULL;
	batch->shares_of = NULL;
	MemoryContextReset(batch->model_context);
	if (batch->shape)
		batch->source = FeatureSourceCreateColumns(model->encoder,
												   OidIsValid(batch->feature_types[1]) ? batch->feature_types[0] : InvalidOid,
												   batch->shape, batch->model_context);
	else
		batch->source = FeatureSourceCreate(model->encoder, batch->feature_types[0],
											batch->feature_types[1], batch->model_context);
	caller = MemoryContextSwitchTo(batch->model_context);
	if (OidIsValid(batch->feature_types[1]))
		batch->contexts = ContextsCreate(model, batch->source, MTL_MAX_BATCH, memory / 4);
	MemoryContextSwitchTo(caller);
	batch->capacity = 0;
	batch->picked_capacity = 0;
	batch->model = model;
}

/*
 * Makes room for more encoded rows, and keeps those that are there.
 */
static void
Reserve(ScoreBatch *batch, int nrows)
{
	const InputLayout *layout = batch->model->layout;
	int			capacity = batch->capacity == 0 ? nrows : Max(nrows, Min(2 * batch->capacity, MTL_MAX_BATCH));
	Size		nfloats = (Size) capacity * layout->nfloats;
	Size		nids = (Size) capacity * layout->nids;

	if (batch->capacity == 0)
	{
		batch->floats = MemoryContextAllocHuge(batch->model_context, sizeof(float) * Max(nfloats, 1));
		batch->ids = MemoryContextAllocHuge(batch->model_context, sizeof(int32) * Max(nids, 1));
	}
	else
	{
		batch->floats = repalloc_huge(batch->floats, sizeof(float) * Max(nfloats, 1));
		batch->ids = repalloc_huge(batch->ids, sizeof(int32) * Max(nids, 1));
	}
	batch->capacity = capacity;
}

static bool
OptionsChanged(const ScoreBatch *batch, const NullableDatum *options)
{
	for (int i = 0; i < batch->ncalls; i++)
	{
		const BatchCall *call = &batch->calls[i];

		if (call->kind->has_option &&
			(call->isnull != options[i].isnull ||
			 !ScoreOptionsEqual(call->option, options[i].isnull ? NULL : DatumGetPointer(options[i].value))))
			return true;
	}
	return false;
}

/*
 * Selects operations of the model, in the context of selections.
 */
static void
SelectRun(ScoreBatch *batch, BatchRun *run, int nops, const int *ops)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->selection_context);

	run->nresults = nops;
	run->selection = NULL;
	run->cost = 0;
	if (nops > 0)
	{
		run->results = palloc(sizeof(float *) * nops);
		run->cost = ProgramCost(batch->model->program, nops, ops);
		run->selection = ProgramSelect(batch->model->program, nops, ops);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * The operations that the calls of a part want, or those of all parts; palloc'd.
 */
static int *
WantedOps(const ScoreBatch *batch, int first_part, int last_part, int *nops)
{
	int		   *ops = NULL;

	*nops = 0;
	for (int i = 0; i < batch->ncalls; i++)
	{
		const BatchCall *call = &batch->calls[i];

		if (call->part < first_part || call->part > last_part || call->isnull)
			continue;
		*nops += call->wanted.nops;
		ops = ops ? repalloc(ops, sizeof(int) * *nops) : palloc(sizeof(int) * *nops);
		memcpy(ops + *nops - call->wanted.nops, call->wanted.ops, sizeof(int) * call->wanted.nops);
	}
	return ops;
}

/*
 * Selects all that the calls of a part want.  An error if one has an option that the
 * model cannot follow.
 */
static void
SelectPart(ScoreBatch *batch, int part)
{
	MemoryContext caller = MemoryContextSwitchTo(batch->selection_context);
	BatchPart  *p = &batch->parts[part];
	int			nresults = 0;
	int			nops;
	int		   *ops;

	for (int i = 0; i < batch->ncalls; i++)
	{
		BatchCall  *call = &batch->calls[i];

		if (call->part != part || call->isnull)
			continue;
		call->kind->select(batch->model, PointerGetDatum(call->option), &call->wanted);
		call->first_result = nresults;
		nresults += call->wanted.nops;
	}
	ops = WantedOps(batch, part, part, &nops);
	SelectRun(batch, &p->run, nops, ops);
	p->scores = palloc(sizeof(float) * MTL_MAX_BATCH * Max(nops, 1));
	p->row_scores = palloc(sizeof(float *) * Max(nops, 1));
	p->selected = true;
	MemoryContextSwitchTo(caller);
}

/*
 * The same ahead: for a row that has not come so far.  An error waits until one does.
 */
static bool
TrySelectPart(ScoreBatch *batch, int part)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		SelectPart(batch, part);
	}
	PG_CATCH();
	{
		if (!ScoreErrorIsData())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();
	return batch->parts[part].selected;
}

/*
 * Copies the options, and selects what they say.
 */
static void
ReadOptions(ScoreBatch *batch, const NullableDatum *options, Datum model)
{
	MemoryContext caller;
	bool		all = true;
	int			nops;
	int		   *ops;

	batch->options_read = false;
	batch->shares_of = NULL;
	batch->scratch_size = 0;
	batch->together.selection = NULL;
	for (int i = 0; i < batch->ncalls; i++)
		batch->calls[i].option = NULL;
	for (int i = 0; i < batch->nparts; i++)
		batch->parts[i].selected = false;
	MemoryContextReset(batch->selection_context);
	caller = MemoryContextSwitchTo(batch->selection_context);

	if (batch->by_name)
		batch->name = datumCopy(model, false, -1);
	for (int i = 0; i < batch->ncalls; i++)
	{
		BatchCall  *call = &batch->calls[i];

		call->isnull = call->kind->has_option && options[i].isnull;
		if (call->kind->has_option && !call->isnull)
			call->option = ScoreOptionCopy(DatumGetPointer(options[i].value));
	}
	SelectPart(batch, 0);
	for (int i = 1; i < batch->nparts; i++)
		all &= TrySelectPart(batch, i);
	if (all && batch->nparts > 1)
	{
		ops = WantedOps(batch, 0, batch->nparts - 1, &nops);
		SelectRun(batch, &batch->together, nops, ops);
	}
	MemoryContextSwitchTo(caller);
	batch->options_read = true;
}

static bool
AllNull(const ScoreBatch *batch, const NullableDatum *options)
{
	for (int i = 0; i < batch->ncalls; i++)
		if (!batch->calls[i].kind->has_option || !options[i].isnull)
			return false;
	return true;
}

static Size
ScratchSize(const BatchRun *run, int nrows)
{
	return run->selection ? SelectionScratchSize(run->selection, nrows) : 0;
}

/*
 * Rows that a batch can have within so many bytes, at least 1.
 */
static int
RowsWithin(const ScoreBatch *batch, Size memory)
{
	const InputLayout *layout = batch->model->layout;
	Size		encoded = sizeof(float) * (Size) layout->nfloats + sizeof(int32) * (Size) layout->nids;
	int			nrows = MTL_MAX_BATCH;

	if (batch->nparts > 1)
		encoded *= 2;			/* rows may be picked */
	while (nrows > 1 &&
		   encoded * nrows + Max(ScratchSize(&batch->parts[0].run, nrows), ScratchSize(&batch->together, nrows)) > memory)
		nrows /= 2;
	return nrows;
}

/*
 * Notes whose rights the model was looked up with.
 */
static void
NoteStatement(ScoreBatch *batch)
{
	batch->user = GetUserId();
	batch->statement_start = GetCurrentStatementStartTimestamp();
}

int
ScoreBatchBegin(ScoreBatch *batch, Datum model, const NullableDatum *options, Size memory)
{
	LoadedModel *loaded;

	batch->nrows = 0;
	/* the functions are strict: without any result the model need not exist */
	if (AllNull(batch, options))
	{
		for (int i = 0; i < batch->ncalls; i++)
			batch->calls[i].isnull = true;
		batch->options_read = false;
		return 0;
	}

	batch->fcinfo->args[0].value = model;
	loaded = ModelArgumentGet(batch->argument, batch->fcinfo);
	if (loaded != batch->model)
	{
		UseModel(batch, loaded, memory);
		batch->options_read = false;
	}
	if (!batch->options_read || OptionsChanged(batch, options))
		ReadOptions(batch, options, model);
	NoteStatement(batch);
	if (batch->contexts)
		ContextsBegin(batch->contexts);
	return RowsWithin(batch, memory);
}

/*
 * The place of an encoded row.
 */
static void
PlaceRow(ScoreBatch *batch, int row, float **floats, int32 **ids)
{
	const InputLayout *layout = batch->model->layout;

	Assert(row < MTL_MAX_BATCH);
	if (row >= batch->capacity)
		Reserve(batch, row + 1);
	*floats = batch->floats + (Size) row * layout->nfloats;
	*ids = batch->ids + (Size) row * layout->nids;
}

void
ScoreBatchEncode(ScoreBatch *batch, int row, Datum features, Datum second_features)
{
	float	   *floats;
	int32	   *ids;
	bool		again = false;

	PlaceRow(batch, row, &floats, &ids);
	if (batch->contexts)
		batch->of_row[row] = ContextsEncode(batch->contexts, features, second_features, floats, ids, &again);
	else
		FeatureSourceEncode(batch->source, features, (Datum) 0, floats, ids);
	ProgramPrefetch(batch->model->program, again ? ContextsFields(batch->contexts) : 0, ids);
}

void
ScoreBatchEncodeColumns(ScoreBatch *batch, int row, Datum context, const Datum *values, const bool *nulls)
{
	FeatureSourceSetColumns(batch->source, values, nulls);
	ScoreBatchEncode(batch, row, context, (Datum) 0);
}

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

bool
ScoreErrorIsData(void)
{
	switch (ERRCODE_TO_CATEGORY(geterrcode()))
	{
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:	/* columns and types of a row */
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:	/* sizes of a value */
			return true;
		default:
			return false;
	}
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
		if (!ScoreErrorIsData())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
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

bool
ScoreBatchEnter(ScoreBatch *batch, int part, int row)
{
	batch->parts[part].entered++;
	if (!batch->parts[part].selected)
		SelectPart(batch, part);
	return batch->parts[part].run.selection == NULL || batch->parts[part].computed[row];
}

/*
 * Looks the model up again, for another user or statement.
 */
static void
CheckRights(ScoreBatch *batch)
{
	if (batch->user == GetUserId() && batch->statement_start == GetCurrentStatementStartTimestamp())
		return;
	if (batch->by_name)
	{
		batch->fcinfo->args[0].value = batch->name;
		if (ModelArgumentGet(batch->argument, batch->fcinfo) != batch->model)
			elog(ERROR, "the model of a row has changed since it was scored");
	}
	NoteStatement(batch);
}

/*
 * Computes a part of a row that is asked for.
 */
static void
RunRow(ScoreBatch *batch, int part, int row)
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

Datum
ScoreBatchResult(ScoreBatch *batch, int index, int row, bool *isnull)
{
	const BatchCall *call = &batch->calls[index];
	BatchPart  *part = &batch->parts[call->part];

	*isnull = call->isnull;
	if (call->isnull)
		return (Datum) 0;

	CheckRights(batch);
	if (!part->computed[row])
		RunRow(batch, call->part, row);
	for (int i = 0; i < call->wanted.nops; i++)
		part->row_scores[i] = &part->scores[(Size) (call->first_result + i) * MTL_MAX_BATCH + row];
	return call->kind->result(batch->model, &call->wanted, part->row_scores);
}

int64
ScoreBatchContexts(const ScoreBatch *batch)
{
	return batch->ncontexts;
}

int64
ScoreBatchTogether(const ScoreBatch *batch)
{
	return batch->ntogether;
}
