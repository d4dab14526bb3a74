/*
 * train.c
 *	  mtl_train: from a query to a model.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "model/memory.h"
#include "train/prepare.h"
#include "train/progress.h"
#include "train/result.h"

MTL_FUNCTION(mtl_train);

static MtlModel *
Train(TrainCall *call)
{
	Training   *training = &call->training;

	TrainPrepare(call);
	TrainingRun(training);
	RowStoreFree(training->rows);
	if (training->validation)
		RowStoreFree(training->validation);
	return ResultModel(call);
}

/* mtl_train(spec, query, options, start) */
Datum
mtl_train(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context;
	TrainCall	call = {0};
	MtlModel   *model;
	MtlModel   *result;

	/* start alone may be NULL */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	call.spec_json = PG_GETARG_JSONB_P(0);
	call.query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	call.options_json = PG_GETARG_JSONB_P(2);
	call.start = PG_ARGISNULL(3) ? NULL : DatumGetMtlModelP(PG_GETARG_DATUM(3));
	context = AllocSetContextCreate(caller, "mtl_rank training", ALLOCSET_DEFAULT_SIZES);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	MemoryContextSwitchTo(context);
	model = Train(&call);
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
	ProgressEnd();

	MemoryContextSwitchTo(caller);
	result = AllocateLarge(VARSIZE(model));
	CopyLarge(result, model, VARSIZE(model));
	MemoryContextDelete(context);
	PG_RETURN_POINTER(result);
}
