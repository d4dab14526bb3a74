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

MTL_FUNCTION(mtl_score);
MTL_FUNCTION(mtl_score_task);
MTL_FUNCTION(mtl_score_pair);
MTL_FUNCTION(mtl_score_pair_task);

/*
 * Every output, in declared order.
 */
static Datum
ScoreAll(FunctionCallInfo fcinfo, bool pair)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, pair);
	int			noutputs = call->model->contract->noutputs;
	const float *const *scores;
	Datum	   *elements;

	if (call->selection == NULL)
		ScoreCallSelect(call, noutputs, call->model->output_ops);
	scores = ScoreCallRun(call, fcinfo);

	elements = palloc(sizeof(Datum) * noutputs);
	for (int i = 0; i < noutputs; i++)
		elements[i] = Float4GetDatum(scores[i][0]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, noutputs, FLOAT4OID,
										  sizeof(float4), true, TYPALIGN_INT));
}

/*
 * One output; extra is the name that was selected.
 */
static Datum
ScoreTask(FunctionCallInfo fcinfo, bool pair, const text *task)
{
	ScoreCall  *call = ScoreCallGet(fcinfo, pair);
	const text *selected = call->extra;

	if (selected == NULL || VARSIZE_ANY_EXHDR(selected) != VARSIZE_ANY_EXHDR(task) ||
		memcmp(VARDATA_ANY(selected), VARDATA_ANY(task), VARSIZE_ANY_EXHDR(task)) != 0)
	{
		int			output;

		ScoreCallReset(call);
		output = ContractOutput(call->model->contract, text_to_cstring(task));
		ScoreCallSelect(call, 1, &call->model->output_ops[output]);
		call->extra = MemoryContextAlloc(call->context, VARSIZE_ANY(task));
		memcpy(call->extra, task, VARSIZE_ANY(task));
	}
	PG_RETURN_FLOAT4(ScoreCallRun(call, fcinfo)[0][0]);
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
