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
#include "score/score_batch_state.h"

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
 * Selects operations of the model, in the current context: that of selections.
 */
static void
SelectRun(const ScoreBatch *batch, BatchRun *run, int nops, const int *ops)
{
	run->nresults = nops;
	run->selection = NULL;
	run->cost = 0;
	if (nops > 0)
	{
		run->results = palloc(sizeof(float *) * nops);
		run->cost = ProgramCost(batch->model->program, nops, ops, batch->contexts != NULL);
		run->selection = ProgramSelect(batch->model->program, nops, ops);
	}
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

void
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
		ScoreErrorPutOff(caller);
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

static bool
ErrorIsData(void)
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
ScoreErrorPutOff(MemoryContext caller)
{
	if (!ErrorIsData())
		PG_RE_THROW();
	MemoryContextSwitchTo(caller);
	FlushErrorState();
}

bool
ScoreBatchEnter(ScoreBatch *batch, int part, int row)
{
	batch->parts[part].entered++;
	if (!batch->parts[part].selected)
		SelectPart(batch, part);
	return batch->parts[part].run.selection == NULL || batch->parts[part].computed[row];
}

void
ScoreBatchCheckRights(ScoreBatch *batch)
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
	BatchPart  *part = &batch->parts[call->part];

	*isnull = call->isnull;
	if (call->isnull)
		return (Datum) 0;

	ScoreBatchCheckRights(batch);
	if (!part->computed[row])
		RunPartOfRow(batch, call->part, row);
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
