/*
 * score_call.c
 *	  What a call site of a scoring function keeps between rows.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "score/contexts.h"
#include "score/model_argument.h"
#include "score/score_call.h"

typedef struct CallSite
{
	ScoreCall	call;			/* first: what callers see */
	ModelArgument *argument;
	Oid			feature_types[2];	/* the second invalid but for pairs */
	MemoryContext model_context;	/* what depends on the model */
	MemoryContext row_context;	/* what encoding a row takes, reset per row */
	FeatureSource *source;
	Contexts   *contexts;		/* of pairs; it remembers the last */
	float	   *floats;
	int32	   *ids;

	/* what depends on the selection, in call.context */
	void	   *scratch;
	const float **results;
} CallSite;

static CallSite *
CreateCallSite(FunctionCallInfo fcinfo, bool pair)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	CallSite   *site = MemoryContextAllocZero(context, sizeof(CallSite));

	site->argument = ModelArgumentCreate(fcinfo);
	for (int i = 0; i < (pair ? 2 : 1); i++)
	{
		site->feature_types[i] = get_fn_expr_argtype(fcinfo->flinfo, 1 + i);
		if (!OidIsValid(site->feature_types[i]))
			elog(ERROR, "could not determine the type of the features");
	}
	site->model_context = AllocSetContextCreate(context, "mtl_rank call", ALLOCSET_SMALL_SIZES);
	site->call.context = AllocSetContextCreate(context, "mtl_rank selection", ALLOCSET_SMALL_SIZES);
	site->row_context = AllocSetContextCreate(context, "mtl_rank row", ALLOCSET_SMALL_SIZES);
	return site;
}

static void
ForgetSelection(ScoreCall *call)
{
	call->selection = NULL;
	call->option = NULL;
	if (((CallSite *) call)->contexts)
		ContextsForgetShares(((CallSite *) call)->contexts);
	MemoryContextReset(call->context);
}

/*
 * Makes the call site ready for a model.
 */
static void
UseModel(CallSite *site, LoadedModel *model)
{
	const InputLayout *layout = model->layout;
	MemoryContext caller;

	ForgetSelection(&site->call);
	site->call.model = NULL;
	site->contexts = NULL;
	MemoryContextReset(site->model_context);
	site->source = FeatureSourceCreate(model->encoder, site->feature_types[0],
									   site->feature_types[1], site->model_context);
	site->floats = MemoryContextAllocZero(site->model_context,
										  sizeof(float) * Max(layout->nfloats, 1));
	site->ids = MemoryContextAllocZero(site->model_context,
									   sizeof(int32) * Max(layout->nids, 1));
	caller = MemoryContextSwitchTo(site->model_context);
	if (OidIsValid(site->feature_types[1]))
		site->contexts = ContextsCreate(model, site->source, 1, 0);
	MemoryContextSwitchTo(caller);
	site->call.model = model;
}

ScoreCall *
ScoreCallGet(FunctionCallInfo fcinfo, bool pair)
{
	CallSite   *site = fcinfo->flinfo->fn_extra;
	LoadedModel *model;

	if (site == NULL)
	{
		site = CreateCallSite(fcinfo, pair);
		fcinfo->flinfo->fn_extra = site;
	}
	model = ModelArgumentGet(site->argument, fcinfo);
	if (model != site->call.model)
		UseModel(site, model);
	return &site->call;
}

void
ScoreCallSelect(ScoreCall *call, int nops, const int *ops)
{
	CallSite   *site = (CallSite *) call;
	MemoryContext caller = MemoryContextSwitchTo(call->context);
	Selection  *selection = ProgramSelect(call->model->program, nops, ops);

	site->scratch = palloc_extended(Max(SelectionScratchSize(selection, 1), 1), MCXT_ALLOC_HUGE);
	site->results = palloc(sizeof(float *) * nops);
	call->selection = selection;
	MemoryContextSwitchTo(caller);
}

void
ScoreCallWant(ScoreCall *call,
			  void (*select) (const LoadedModel *model, Datum option, ScoreWanted *wanted),
			  const void *option)
{
	MemoryContext caller;

	if (call->selection && ScoreOptionsEqual(call->option, option))
		return;

	ForgetSelection(call);
	caller = MemoryContextSwitchTo(call->context);
	select(call->model, PointerGetDatum(option), &call->wanted);
	if (option)
		call->option = ScoreOptionCopy(option);
	MemoryContextSwitchTo(caller);
	ScoreCallSelect(call, call->wanted.nops, call->wanted.ops);
}

/*
 * Encodes two rows; true if the context's share is known, from its second row on.
 */
static bool
EncodePair(CallSite *site, Datum context, Datum candidate, ContextShares *shares)
{
	bool		again;
	int			number;

	ContextsBegin(site->contexts);
	number = ContextsEncode(site->contexts, context, candidate, site->floats, site->ids, &again);
	if (again && ContextsWithoutShare(site->contexts) > 0)
		ContextsComputeShares(site->contexts, site->call.selection, site->scratch);
	return ContextsShare(site->contexts, number, shares);
}

const float *const *
ScoreCallRun(ScoreCall *call, FunctionCallInfo fcinfo)
{
	CallSite   *site = (CallSite *) call;
	MemoryContext caller = MemoryContextSwitchTo(site->row_context);
	ContextShares shares;
	bool		shared = false;

	if (site->contexts)
		shared = EncodePair(site, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), &shares);
	else
		FeatureSourceEncode(site->source, PG_GETARG_DATUM(1), (Datum) 0, site->floats, site->ids);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(site->row_context);
	ProgramRun(call->model->program, call->selection, 1, site->floats, site->ids,
			   shared ? &shares : NULL, site->scratch, site->results);
	return site->results;
}
