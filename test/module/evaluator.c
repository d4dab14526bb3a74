/*
 * evaluator.c
 *	  Training's validation of more rows than a test can bring.
 */
#include "postgres.h"

#include "fmgr.h"

#include "train/evaluate.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(evaluator_create);

/* evaluator_create(nrows bigint): prepares for so many rows, and no tasks. */
Datum
evaluator_create(PG_FUNCTION_ARGS)
{
	(void) EvaluatorCreate(PG_GETARG_INT64(0), 0, NULL);
	PG_RETURN_VOID();
}
