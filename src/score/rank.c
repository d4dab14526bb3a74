/*
 * rank.c
 *	  mtl_rank: the value formula over the scores of a row.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "math/functions.h"
#include "model/json_reader.h"
#include "model/value.h"
#include "score/score_call.h"

MTL_FUNCTION(mtl_rank_score);
MTL_FUNCTION(mtl_rank_score_weights);

/* What the call site keeps: the formula, and the argument that it came from. */
typedef struct RankExtra
{
	const RankFormula *formula;
	Jsonb	   *weights;		/* NULL: the model's own */
} RankExtra;

static void
SelectTerms(ScoreCall *call, const RankFormula *formula)
{
	int		   *ops = palloc(sizeof(int) * formula->nterms);

	for (int i = 0; i < formula->nterms; i++)
		ops[i] = call->model->output_ops[formula->outputs[i]];
	ScoreCallSelect(call, formula->nterms, ops);
	pfree(ops);
}

/*
 * score ^ weight.  A score of 0 is possible, since a probability can be rounded
 * to it.
 */
static double
Power(double score, double weight, const char *output)
{
	if (weight == 0)
		return 1;
	if (score == 0 && weight > 0)
		return 0;
	if (!(score > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_ARGUMENT_FOR_POWER_FUNCTION),
				 errmsg("score %g of task \"%s\" cannot be raised to the power %g", score, output, weight),
				 errhint("A product of powers needs scores that are not negative, and not 0 where a weight is negative.")));
	return MtlExp(weight * MtlLog(score));
}

/*
 * In double precision, in the order of the outputs; rounded once.
 */
static float4
ApplyFormula(const Contract *contract, const RankFormula *formula, const float *const *scores)
{
	double		value = formula->product ? 1 : 0;

	for (int i = 0; i < formula->nterms; i++)
	{
		double		weight = formula->weights[i];

		if (formula->product)
			value *= Power(scores[i][0], weight, contract->outputs[formula->outputs[i]].name);
		else
			value += weight * scores[i][0];
	}
	if (!isfinite((float4) value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("rank value %g is outside the range of type real", value)));
	return (float4) value;
}

static Datum
Rank(FunctionCallInfo fcinfo, ScoreCall *call)
{
	const RankExtra *extra = call->extra;

	PG_RETURN_FLOAT4(ApplyFormula(call->model->contract, extra->formula, ScoreCallRun(call, fcinfo)));
}

static void
KeepFormula(ScoreCall *call, const RankFormula *formula, Jsonb *weights)
{
	RankExtra  *extra;

	SelectTerms(call, formula);
	extra = MemoryContextAlloc(call->context, sizeof(RankExtra));
	extra->formula = formula;
	extra->weights = weights;
	call->extra = extra;
}

/* mtl_rank(model, features) */
Datum
mtl_rank_score(PG_FUNCTION_ARGS)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, false);

	if (call->extra == NULL)
	{
		const RankFormula *formula = call->model->contract->rank;

		if (formula == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("model has no rank formula"),
					 errhint("Give weights, as in mtl_rank(model, features, '{\"task\": 1}').")));
		KeepFormula(call, formula, NULL);
	}
	return Rank(fcinfo, call);
}

/*
 * The reader speaks of invalid models; these weights come from the query.
 */
static void
CheckWeights(Jsonb *weights)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(weights))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rank weights are not a JSON object"),
				 errhint("Give a weight per task, as in '{\"ctr\": 1, \"cvr\": 4}'.")));
	iterator = JsonbIteratorInit(&weights->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token != WJB_VALUE)
			continue;
		if (value.type != jbvNumeric)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a rank weight is %s, expected a number", JsonTypeName(&value)),
					 errhint("Give a weight per task, as in '{\"ctr\": 1, \"cvr\": 4}'.")));
		if (!isfinite(NumericToDouble(value.val.numeric)))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("a rank weight is outside the range of a double")));
	}
}

static void
ParseWeights(ScoreCall *call, Jsonb *weights)
{
	const Contract *contract = call->model->contract;
	MemoryContext caller;
	RankFormula *formula;

	CheckWeights(weights);
	ScoreCallReset(call);
	caller = MemoryContextSwitchTo(call->context);
	formula = RankFormulaParse(contract, JsonRoot(weights), "weights",
							   contract->rank && contract->rank->product);
	weights = (Jsonb *) memcpy(palloc(VARSIZE(weights)), weights, VARSIZE(weights));
	MemoryContextSwitchTo(caller);
	KeepFormula(call, formula, weights);
}

/* mtl_rank(model, features, weights): the model's form, other weights */
Datum
mtl_rank_score_weights(PG_FUNCTION_ARGS)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, false);
	const RankExtra *extra = call->extra;
	Jsonb	   *weights = PG_GETARG_JSONB_P(2);

	if (extra == NULL || VARSIZE(extra->weights) != VARSIZE(weights) ||
		memcmp(extra->weights, weights, VARSIZE(weights)) != 0)
		ParseWeights(call, weights);
	PG_FREE_IF_COPY(weights, 2);
	return Rank(fcinfo, call);
}
