/*
 * support.c
 *	  What the planner is told about scoring functions: the cost of a call.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "registry/lookup.h"
#include "score/model_argument.h"
#include "score/score_kind.h"
#include "score/support.h"

MTL_FUNCTION(mtl_score_support);

/*
 * In units of cpu_operator_cost, some six nanoseconds of a plain operator's call, as
 * measured for rows in batches: what a call takes in any case, a feature by the form that it
 * comes in, each of its numbers after the first, and the multiply-adds of the engine in
 * that time.
 */
#define COST_OF_CALL			15
#define COST_OF_COLUMN			5
#define COST_OF_KEY				40
#define COST_OF_ELEMENT			2
#define COST_OF_NUMBER			0.25
#define MULTIPLY_ADDS_PER_UNIT	300

uint64		mtl_rank_calls_planned = 0;

/*
 * Of the last name looked up, which the planner asks for again and again.
 */
static struct
{
	char		name[NAMEDATALEN + 12];
	Oid			schema;
	Oid			user;
	LocalTransactionId transaction;
	CommandId	command;
	TimestampTz statement_start;
	bool		found;
	uint8		digest[MTL_DIGEST_SIZE];
} last_name;

/*
 * The model of a name, pinned; NULL if the planner should not know.
 */
static LoadedModel *
ModelOfName(Oid schema, const char *name)
{
	LoadedModel *model = NULL;
	Datum		value;

	if (!ActiveSnapshotSet() || strlen(name) >= sizeof(last_name.name))
		return NULL;
	if (strcmp(last_name.name, name) == 0 && last_name.schema == schema && last_name.user == GetUserId() &&
		last_name.transaction == MyLocalTransactionId() && last_name.command == GetCurrentCommandId(false) &&
		last_name.statement_start == GetCurrentStatementStartTimestamp())
	{
		if (!last_name.found)
			return NULL;
		model = ModelCachePin(last_name.digest);
		if (model)
			return model;
	}

	last_name.name[0] = '\0';
	if (RegistryPeek(schema, name, &value))
		model = ModelPeek(value);
	strlcpy(last_name.name, name, sizeof(last_name.name));
	last_name.schema = schema;
	last_name.user = GetUserId();
	last_name.transaction = MyLocalTransactionId();
	last_name.command = GetCurrentCommandId(false);
	last_name.statement_start = GetCurrentStatementStartTimestamp();
	last_name.found = model != NULL;
	if (model)
		memcpy(last_name.digest, model->digest, MTL_DIGEST_SIZE);
	return model;
}

/*
 * Multiply-adds of a call for one row.  An option that is not known, or not one of
 * the model's, is left to the execution.
 */
static int64
CallMultiplyAdds(const LoadedModel *model, const FuncExpr *call, const ScoreKind *kind)
{
	bool		with_share = kind->nrows == 2;
	Node	   *option = kind->has_option ? strip_implicit_coercions(llast(call->args)) : NULL;

	if (kind->select == SelectTaskScore && IsA(option, Const) && !((Const *) option)->constisnull)
	{
		char	   *task = TextDatumGetCString(((Const *) option)->constvalue);

		for (int i = 0; i < model->contract->noutputs; i++)
			if (strcmp(model->contract->outputs[i].name, task) == 0)
				return ProgramCost(model->program, 1, &model->output_ops[i], with_share);
	}
	return ProgramCost(model->program, model->contract->noutputs, model->output_ops, with_share);
}

/*
 * What it takes to encode the features of a call, of two rows those of the second.
 */
static double
EncodingCost(const LoadedModel *model, const FuncExpr *call, const ScoreKind *kind)
{
	Oid			type = exprType(lsecond(call->args));
	double		form = COST_OF_ELEMENT;
	double		cost = 0;

	if (type == JSONBOID)
		form = COST_OF_KEY;
	else if (kind->nrows == 2 || type_is_rowtype(type))
		form = COST_OF_COLUMN;
	for (int i = 0; i < model->contract->nfeatures; i++)
	{
		const Feature *feature = &model->contract->features[i];

		if (kind->nrows == 1 || !feature->context)
			cost += form + COST_OF_NUMBER * (ArrayPlaces(feature) - 1);
	}
	return cost;
}

/*
 * A call's cost in units of cpu_operator_cost; gives back the pin of the model, which
 * nobody else would do after an error.
 */
static double
PinnedCallCost(LoadedModel *model, const FuncExpr *call, const ScoreKind *kind)
{
	volatile int64 multiply_adds = 0;
	double		cost;

	PG_TRY();
	{
		multiply_adds = CallMultiplyAdds(model, call, kind);
	}
	PG_CATCH();
	{
		ModelCacheUnpin(model);
		PG_RE_THROW();
	}
	PG_END_TRY();

	cost = COST_OF_CALL + EncodingCost(model, call, kind) + (double) multiply_adds / MULTIPLY_ADDS_PER_UNIT;
	ModelCacheUnpin(model);
	return cost;
}

static bool
EstimateCost(SupportRequestCost *request)
{
	FuncExpr   *call = (FuncExpr *) request->node;
	const ScoreKind *kind;
	LoadedModel *model;
	Node	   *argument;
	Datum		value;

	if (call == NULL || !IsA(call, FuncExpr))
		return false;
	kind = ScoreKindFind(call->funcid);
	argument = strip_implicit_coercions(linitial(call->args));
	if (kind == NULL || !IsA(argument, Const) || ((Const *) argument)->constisnull)
		return false;

	value = ((Const *) argument)->constvalue;
	if (((Const *) argument)->consttype == TEXTOID)
		model = ModelOfName(get_func_namespace(call->funcid), TextDatumGetCString(value));
	else
		model = ModelPeek(value);
	if (model == NULL)
		return false;

	request->startup = 0;
	request->per_tuple = cpu_operator_cost * PinnedCallCost(model, call, kind);
	return true;
}

/* mtl_score_support(internal): the planner support function of mtl_score and mtl_rank */
Datum
mtl_score_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	mtl_rank_calls_planned++;
	if (IsA(request, SupportRequestCost) && EstimateCost((SupportRequestCost *) request))
		PG_RETURN_POINTER(request);
	PG_RETURN_POINTER(NULL);
}
