/*
 * verify.c
 *	  mtl_verify: replays the examples stored in a model.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "cache/replay.h"
#include "compat.h"
#include "model/examples.h"
#include "score/model_argument.h"

MTL_FUNCTION(mtl_verify);

#define NUM_COLUMNS 5			/* example, output, expected, score, difference */

/*
 * Reports one score, and raises when it moved.
 */
static void
CompareScore(ReturnSetInfo *result, const Contract *contract, int example, int output,
			 float expected, float score)
{
	Datum		values[NUM_COLUMNS];
	bool		nulls[NUM_COLUMNS] = {false};
	double		difference = (double) score - (double) expected;
	double		allowed = contract->tolerance * Max(1.0, fabs(expected));

	if (!(fabs(difference) <= allowed))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("example %d of the model moved: task \"%s\" scores %.9g, expected %.9g",
						example, contract->outputs[output].name, score, expected),
				 errdetail("The difference %.3g exceeds the tolerance %.3g.", fabs(difference), allowed),
				 errhint("The contract does not describe what the training library computes, or its tolerance is too small.")));

	values[0] = Int32GetDatum(example);
	values[1] = CStringGetTextDatum(contract->outputs[output].name);
	values[2] = Float4GetDatum(expected);
	values[3] = Float4GetDatum(score);
	values[4] = Float4GetDatum((float) difference);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
ReplayExamples(ReturnSetInfo *result, const LoadedModel *model, const Examples *examples)
{
	const Contract *contract = model->contract;
	Replay	   *replay = ReplayCreate(model);

	for (int i = 0; i < examples->nrows; i++)
	{
		const float *scores = ReplayExample(replay, i + 1, examples->rows[i]);

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < contract->noutputs; k++)
			CompareScore(result, contract, i + 1, k,
						 TensorFloat(examples->scores, (int64) i * contract->noutputs + k),
						 scores[k]);
	}
}

/* mtl_verify(model) */
Datum
mtl_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank verify",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller;
	MtlModel   *value;
	LoadedModel *model;
	Examples   *examples;

	InitMaterializedSRF(fcinfo, 0);
	caller = MemoryContextSwitchTo(work);
	value = ModelArgumentValue(fcinfo);
	model = LoadedModelCreate(value->file, value->file_size, value->digest);
	examples = ExamplesRead(model->contract, ModelFileReadStored(value->file, value->file_size));
	if (examples)
		ReplayExamples(result, model, examples);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return (Datum) 0;
}
