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
#include "score/score_kind.h"

MTL_FUNCTION(mtl_rank_score);
MTL_FUNCTION(mtl_rank_score_weights);

/*
 * The terms of a formula, in the order of the outputs.
 */
static void
WantTerms(const LoadedModel *model, const RankFormula *formula, ScoreWanted *wanted)
{
	wanted->nops = formula->nterms;
	wanted->ops = palloc(sizeof(int) * formula->nterms);
	for (int i = 0; i < formula->nterms; i++)
		wanted->ops[i] = model->output_ops[formula->outputs[i]];
	wanted->formula = formula;
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
				 errmsg("rank value %g is outside the range of type real", value),
				 errhint("Use weights nearer to zero.")));
	return (float4) value;
}

Datum
RankResult(const LoadedModel *model, const ScoreWanted *wanted, const float *const *scores)
{
	PG_RETURN_FLOAT4(ApplyFormula(model->contract, wanted->formula, scores));
}

void
SelectRank(const LoadedModel *model, Datum option, ScoreWanted *wanted)
{
	const RankFormula *formula = model->contract->rank;

	if (formula == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model has no rank formula"),
				 errhint("Give weights, as in mtl_rank(model, features, '{\"task\": 1}').")));
	WantTerms(model, formula, wanted);
}

/* mtl_rank(model, features) */
Datum
mtl_rank_score(PG_FUNCTION_ARGS)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, false);

	ScoreCallWant(call, SelectRank, NULL);
	return RankResult(call->model, &call->wanted, ScoreCallRun(call, fcinfo));
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
					 errmsg("a rank weight is outside the range of a double"),
					 errhint("Give a number nearer to zero.")));
	}
}

void
SelectWeightedRank(const LoadedModel *model, Datum option, ScoreWanted *wanted)
{
	const Contract *contract = model->contract;
	Jsonb	   *weights = DatumGetJsonbP(option);

	CheckWeights(weights);
	WantTerms(model,
			  RankFormulaParse(contract, JsonRoot(weights), "weights",
							   contract->rank && contract->rank->product),
			  wanted);
}

/* mtl_rank(model, features, weights): the model's form, other weights */
Datum
mtl_rank_score_weights(PG_FUNCTION_ARGS)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, false);
	Jsonb	   *weights = PG_GETARG_JSONB_P(2);

	ScoreCallWant(call, SelectWeightedRank, weights);
	PG_FREE_IF_COPY(weights, 2);
	return RankResult(call->model, &call->wanted, ScoreCallRun(call, fcinfo));
}
