/*
 * arguments.c
 *	  What the metrics accept as labels and scores, and where their states live.
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/float.h"

#include "metrics/arguments.h"

#define MAX_WEIGHT 1e280

MemoryContext
AggregateContext(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "function of an aggregate called in non-aggregate context");
	return context;
}

/* As float8 shows it. */
static const char *
NumberText(double number)
{
	return float8out_internal(number);
}

double
BinaryLabel(double label)
{
	if (label != 0 && label != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("label %s is neither 0 nor 1", NumberText(label)),
				 errhint("Make it a condition, such as label > 3; rows whose label is NULL are left out.")));
	return label;
}

double
GradedLabel(double label)
{
	if (!isfinite(label))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("label %s is not a finite number", NumberText(label)),
				 errhint("Make it NULL to leave the row out.")));
	if (label < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("label %s is less than 0", NumberText(label)),
				 errhint("A label says how relevant a row is, from 0 for not at all.")));
	return label;
}

double
FiniteScore(double score)
{
	if (!isfinite(score))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("score %s is not a finite number", NumberText(score)),
				 errhint("Make it NULL to leave the row out.")));
	return score;
}

double
ProbabilityScore(double score)
{
	FiniteScore(score);
	if (score < 0 || score > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("score %s is not between 0 and 1", NumberText(score)),
				 errhint("This metric is about probabilities.")));
	return score;
}

double
RowWeight(double weight)
{
	if (!(weight >= 0 && weight <= MAX_WEIGHT))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weight %s is not between 0 and %g", NumberText(weight), MAX_WEIGHT),
				 errhint("Make it NULL to leave the row out.")));
	return weight;
}
