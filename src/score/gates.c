/*
 * gates.c
 *	  mtl_gates: which experts a row used.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "score/score_call.h"

MTL_FUNCTION(mtl_gates);

#define NUM_COLUMNS 4			/* level, task, expert, weight */

static void
SelectGates(ScoreCall *call)
{
	const LoadedModel *model = call->model;
	int		   *ops = palloc(sizeof(int) * Max(model->ngates, 1));

	if (model->ngates == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model has no gates"),
				 errhint("Gates are part of the architectures omoe, mmoe, cgc, ple, stem, aitm and dbmtl.")));
	for (int i = 0; i < model->ngates; i++)
		ops[i] = model->gates[i].op;
	ScoreCallSelect(call, model->ngates, ops);
	pfree(ops);
}

/* mtl_gates(model, features) */
Datum
mtl_gates(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ScoreCall  *call = ScoreCallGet(fcinfo, false);
	const float *const *weights;

	InitMaterializedSRF(fcinfo, 0);
	if (call->selection == NULL)
		SelectGates(call);
	weights = ScoreCallRun(call, fcinfo);

	for (int i = 0; i < call->model->ngates; i++)
	{
		const GraphGate *gate = &call->model->gates[i];

		for (int k = 0; k < gate->nexperts; k++)
		{
			Datum		values[NUM_COLUMNS];
			bool		nulls[NUM_COLUMNS] = {false};

			values[0] = Int32GetDatum(gate->level);
			nulls[1] = gate->task == NULL;
			values[1] = gate->task ? CStringGetTextDatum(gate->task) : (Datum) 0;
			values[2] = CStringGetTextDatum(gate->experts[k]);
			values[3] = Float4GetDatum(weights[i][k]);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}
