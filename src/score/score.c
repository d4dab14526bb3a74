/*
 * score.c
 *	  mtl_score: the scores of a row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "compat.h"
#include "score/score_call.h"
#include "score/score_kind.h"

MTL_FUNCTION(mtl_score);
MTL_FUNCTION(mtl_score_task);
MTL_FUNCTION(mtl_score_pair);
MTL_FUNCTION(mtl_score_pair_task);

/* Every output, in declared order. */
void
SelectAllScores(const LoadedModel *model, Datum option, ScoreWanted *wanted)
{
	wanted->nops = model->contract->noutputs;
	wanted->ops = model->output_ops;
	wanted->formula = NULL;
}

Datum
AllScoresResult(const LoadedModel *model, const ScoreWanted *wanted, const float *const *scores)
{
	Datum	   *elements = palloc(sizeof(Datum) * wanted->nops);

	for (int i = 0; i < wanted->nops; i++)
		elements[i] = Float4GetDatum(scores[i][0]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, wanted->nops, FLOAT4OID,
										  sizeof(float4), true, TYPALIGN_INT));
}

/* One output; the option is its name. */
void
SelectTaskScore(const LoadedModel *model, Datum option, ScoreWanted *wanted)
{
	int			output = ContractOutput(model->contract, TextDatumGetCString(option));

	wanted->nops = 1;
	wanted->ops = &model->output_ops[output];
	wanted->formula = NULL;
}

Datum
TaskScoreResult(const LoadedModel *model, const ScoreWanted *wanted, const float *const *scores)
{
	PG_RETURN_FLOAT4(scores[0][0]);
}

static Datum
ScoreAll(FunctionCallInfo fcinfo, bool pair)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, pair);

	ScoreCallWant(call, SelectAllScores, NULL);
	return AllScoresResult(call->model, &call->wanted, ScoreCallRun(call, fcinfo));
}

static Datum
ScoreTask(FunctionCallInfo fcinfo, bool pair, const text *task)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, pair);

	ScoreCallWant(call, SelectTaskScore, task);
	return TaskScoreResult(call->model, &call->wanted, ScoreCallRun(call, fcinfo));
}

/* mtl_score(model, features) */
Datum
mtl_score(PG_FUNCTION_ARGS)
{
	return ScoreAll(fcinfo, false);
}

/* mtl_score(model, features, task) */
Datum
mtl_score_task(PG_FUNCTION_ARGS)
{
	return ScoreTask(fcinfo, false, PG_GETARG_TEXT_PP(2));
}

/* mtl_score(model, context, candidate) */
Datum
mtl_score_pair(PG_FUNCTION_ARGS)
{
	return ScoreAll(fcinfo, true);
}

/* mtl_score(model, context, candidate, task) */
Datum
mtl_score_pair_task(PG_FUNCTION_ARGS)
{
	return ScoreTask(fcinfo, true, PG_GETARG_TEXT_PP(3));
}
