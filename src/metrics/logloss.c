/*
 * logloss.c
 *	  mtl_logloss: the mean negative log-likelihood of the labels.
 *
 * As in scikit-learn's log_loss a score is first clipped to [eps, 1 - eps], where eps
 * is the machine epsilon of its type: 2^-23 for real, 2^-52 for double precision.
 * So a score that is wrong for sure costs 15.9 or 36.0 and is not infinite.  The
 * logarithms are in double precision for both types.
 *
 * The losses are added exactly (exact_sum.h), so that neither the order of the rows
 * nor how workers share them shows in the result.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "fmgr.h"

#include "compat.h"
#include "math/exact_sum.h"
#include "math/functions.h"
#include "metrics/arguments.h"
#include "metrics/sum_state.h"

MTL_FUNCTION(mtl_logloss_add_boolean_real);
MTL_FUNCTION(mtl_logloss_add_boolean_double);
MTL_FUNCTION(mtl_logloss_add_double_real);
MTL_FUNCTION(mtl_logloss_add_double_double);
MTL_FUNCTION(mtl_logloss_result);

/* What the state's sums are. */
enum
{
	LOSSES,
	WEIGHTS,
	NSUMS
};

/* The loss of a row. */
static double
Loss(double label, double score, double epsilon)
{
	score = Max(epsilon, Min(1 - epsilon, score));
	return 0 - MtlLog(label == 1 ? score : 1 - score);
}

/* The weight of a row: the last argument, which need not be there. */
static double
WeightArgument(FunctionCallInfo fcinfo)
{
	return PG_NARGS() <= 3 ? 1 : RowWeight(PG_GETARG_FLOAT8(3));
}

static Datum
AddRow(FunctionCallInfo fcinfo, double label, double score, double epsilon)
{
	double		loss = Loss(label, ProbabilityScore(score), epsilon);
	double		weight = WeightArgument(fcinfo);
	SumState   *state = SumStateGet(fcinfo, NSUMS, 0);

	ExactSumAdd(&SumStateSums(state)[LOSSES], weight * loss);
	ExactSumAdd(&SumStateSums(state)[WEIGHTS], weight);
	PG_RETURN_POINTER(state);
}

Datum
mtl_logloss_add_boolean_real(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	METRIC_SKIP_IF(PG_NARGS() > 3 && PG_ARGISNULL(3));
	return AddRow(fcinfo, PG_GETARG_BOOL(1), PG_GETARG_FLOAT4(2), FLT_EPSILON);
}

Datum
mtl_logloss_add_boolean_double(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	METRIC_SKIP_IF(PG_NARGS() > 3 && PG_ARGISNULL(3));
	return AddRow(fcinfo, PG_GETARG_BOOL(1), PG_GETARG_FLOAT8(2), DBL_EPSILON);
}

Datum
mtl_logloss_add_double_real(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	METRIC_SKIP_IF(PG_NARGS() > 3 && PG_ARGISNULL(3));
	return AddRow(fcinfo, BinaryLabel(PG_GETARG_FLOAT8(1)), PG_GETARG_FLOAT4(2), FLT_EPSILON);
}

Datum
mtl_logloss_add_double_double(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	METRIC_SKIP_IF(PG_NARGS() > 3 && PG_ARGISNULL(3));
	return AddRow(fcinfo, BinaryLabel(PG_GETARG_FLOAT8(1)), PG_GETARG_FLOAT8(2), DBL_EPSILON);
}

Datum
mtl_logloss_result(PG_FUNCTION_ARGS)
{
	SumState   *state;
	double		weights;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (SumState *) PG_GETARG_POINTER(0);
	weights = ExactSumValue(&SumStateSums(state)[WEIGHTS]);
	if (weights == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(ExactSumValue(&SumStateSums(state)[LOSSES]) / weights);
}
