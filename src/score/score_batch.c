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

typedef struct BatchCall
{
	const ScoreKind *kind;
	struct varlena *option;		/* NULL: none, or null */
	bool		isnull;			/* the option is null, so is the result */
	ScoreWanted wanted;
	int			first_result;	/* of the selection's */
} BatchCall;

struct ScoreBatch
{
	int			ncalls;
	BatchCall  *calls;
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
	Contexts   *contexts;		/* of pairs, or NULL */
	int16		of_row[MTL_MAX_BATCH];	/* the context of each row, or -1 */
	int64		ncontexts;		/* that were computed, once or for one row */

	Selection  *selection;		/* NULL: all results are null */
	MemoryContext selection_context;	/* what depends on the options too */
	int			nresults;
	int			scratch_rows;	/* that scratch has room for */
	void	   *scratch;
	const float **results;
	const float **row_results;	/* of one row */
	Datum		name;			/* by name: a copy */

	/* the current batch */
	Oid			user;
	TimestampTz statement_start;
	bool		row_by_row;		/* not computed as a whole */
	int			computed_row;	/* then the row that scratch holds, or -1 */
};

ScoreBatch *
ScoreBatchCreate(int ncalls, FuncExpr *const *calls, const RowShape *shape)
{
	ScoreBatch *batch = palloc0(sizeof(ScoreBatch));
	List	   *args = calls[0]->args;

	batch->ncalls = ncalls;
	batch->calls = palloc0(sizeof(BatchCall) * ncalls);
	for (int i = 0; i < ncalls; i++)
		batch->calls[i].kind = ScoreKindFind(calls[i]->funcid);
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
 * Reads the options and selects all that the calls want.
 */
static void
SelectWanted(ScoreBatch *batch, const NullableDatum *options)
{
	MemoryContext caller;
	int			nops = 0;
	int		   *ops;

	batch->selection = NULL;
	if (batch->contexts)
		ContextsForgetShares(batch->contexts);
	for (int i = 0; i < batch->ncalls; i++)
		batch->calls[i].option = NULL;
	MemoryContextReset(batch->selection_context);
	batch->scratch_rows = 0;
	caller = MemoryContextSwitchTo(batch->selection_context);

	for (int i = 0; i < batch->ncalls; i++)
	{
		BatchCall  *call = &batch->calls[i];

		call->isnull = call->kind->has_option && options[i].isnull;
		if (call->isnull)
			continue;
		if (call->kind->has_option)
			call->option = ScoreOptionCopy(DatumGetPointer(options[i].value));
		call->kind->select(batch->model, PointerGetDatum(call->option), &call->wanted);
		call->first_result = nops;
		nops += call->wanted.nops;
	}

	batch->nresults = nops;
	if (nops > 0)
	{
		ops = palloc(sizeof(int) * nops);
		for (int i = 0; i < batch->ncalls; i++)
			if (!batch->calls[i].isnull)
				memcpy(ops + batch->calls[i].first_result, batch->calls[i].wanted.ops,
					   sizeof(int) * batch->calls[i].wanted.nops);
		batch->results = palloc(sizeof(float *) * nops);
		batch->row_results = palloc(sizeof(float *) * nops);
		batch->selection = ProgramSelect(batch->model->program, nops, ops);
	}
	MemoryContextSwitchTo(caller);
}

static bool
AllNull(const ScoreBatch *batch, const NullableDatum *options)
{
	for (int i = 0; i < batch->ncalls; i++)
		if (!batch->calls[i].kind->has_option || !options[i].isnull)
			return false;
	return true;
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

	while (nrows > 1 && encoded * nrows + SelectionScratchSize(batch->selection, nrows) > memory)
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

	/* the functions are strict: without any result the model need not exist */
	if (AllNull(batch, options))
	{
		for (int i = 0; i < batch->ncalls; i++)
			batch->calls[i].isnull = true;
		batch->selection = NULL;
		return 0;
	}

	batch->fcinfo->args[0].value = model;
	loaded = ModelArgumentGet(batch->argument, batch->fcinfo);
	if (loaded != batch->model)
	{
		UseModel(batch, loaded, memory);
		batch->selection = NULL;
	}
	if (batch->selection == NULL || OptionsChanged(batch, options))
	{
		SelectWanted(batch, options);
		if (batch->by_name)
		{
			MemoryContext caller = MemoryContextSwitchTo(batch->selection_context);

			batch->name = datumCopy(model, false, -1);
			MemoryContextSwitchTo(caller);
		}
	}
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
ReserveScratch(ScoreBatch *batch, int nrows)
{
	if (nrows <= batch->scratch_rows)
		return;
	if (batch->scratch_rows > 0)
		pfree(batch->scratch);
	batch->scratch_rows = 0;
	batch->scratch = MemoryContextAllocHuge(batch->selection_context,
											Max(SelectionScratchSize(batch->selection, nrows), 1));
	batch->scratch_rows = nrows;
}

static void
RunRows(ScoreBatch *batch, int first, int nrows, const ContextShares *contexts)
{
	const InputLayout *layout = batch->model->layout;

	ReserveScratch(batch, nrows);
	if (batch->contexts && contexts == NULL)
		batch->ncontexts += nrows;
	ProgramRun(batch->model->program, batch->selection, nrows,
			   batch->floats + (Size) first * layout->nfloats, batch->ids + (Size) first * layout->nids,
			   contexts, batch->scratch, batch->results);
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

static void
RunAllRows(ScoreBatch *batch, int nrows)
{
	ContextShares shares;

	if (!RowsShare(batch, nrows))
	{
		RunRows(batch, 0, nrows, NULL);
		return;
	}
	ReserveScratch(batch, nrows);
	batch->ncontexts += ContextsWithoutShare(batch->contexts);
	ContextsComputeShares(batch->contexts, batch->selection, batch->scratch);
	shares = ContextsShares(batch->contexts, batch->of_row);
	RunRows(batch, 0, nrows, &shares);
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

void
ScoreBatchRun(ScoreBatch *batch, int nrows)
{
	MemoryContext caller = CurrentMemoryContext;

	batch->row_by_row = nrows == 1;
	batch->computed_row = -1;
	if (nrows <= 1)
		return;

	/*
	 * The engine says which number left its range, but not in which row.  It holds
	 * nothing that an error would have to release, so the rows are computed one by
	 * one instead, as they are asked for.
	 */
	PG_TRY();
	{
		RunAllRows(batch, nrows);
	}
	PG_CATCH();
	{
		if (!ScoreErrorIsData())
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		batch->row_by_row = true;
	}
	PG_END_TRY();
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

Datum
ScoreBatchResult(ScoreBatch *batch, int index, int row, bool *isnull)
{
	const BatchCall *call = &batch->calls[index];
	int			place = batch->row_by_row ? 0 : row;

	*isnull = call->isnull;
	if (call->isnull)
		return (Datum) 0;

	CheckRights(batch);
	if (batch->row_by_row && batch->computed_row != row)
	{
		ContextShares share;
		bool		shared = batch->contexts && ContextsShare(batch->contexts, batch->of_row[row], &share);

		batch->computed_row = -1;
		RunRows(batch, row, 1, shared ? &share : NULL);
		batch->computed_row = row;
	}
	for (int i = 0; i < call->wanted.nops; i++)
		batch->row_results[i] = batch->results[call->first_result + i] + place;
	return call->kind->result(batch->model, &call->wanted, batch->row_results);
}

int64
ScoreBatchContexts(const ScoreBatch *batch)
{
	return batch->ncontexts;
}
