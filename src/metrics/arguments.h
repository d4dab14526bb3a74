/*
 * arguments.h
 *	  What the metrics accept as labels and scores, and where their states live.
 *
 * A transition function's arguments are the state, the label, the score, and others.
 */
#ifndef MTL_RANK_ARGUMENTS_H
#define MTL_RANK_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"

/* Rows without a label, a score or, where there is one, a weight leave the state as it was. */
#define METRIC_SKIP_ROW() METRIC_SKIP_IF(PG_ARGISNULL(1) || PG_ARGISNULL(2))
#define METRIC_SKIP_IF(condition) \
	do { \
		if (condition) \
		{ \
			if (PG_ARGISNULL(0)) \
				PG_RETURN_NULL(); \
			PG_RETURN_DATUM(PG_GETARG_DATUM(0)); \
		} \
	} while (0)

/* The memory of an aggregate's states. */
extern MemoryContext AggregateContext(FunctionCallInfo fcinfo);

/* A label that is 0 or 1, or an error. */
extern double BinaryLabel(double label);

/* A label that is finite and not negative, or an error. */
extern double GradedLabel(double label);

/* A score that is finite, or an error. */
extern double FiniteScore(double score);

/* A score that is a probability, or an error. */
extern double ProbabilityScore(double score);

/* A weight that is at least 0, and small enough that 2^64 of them can be added, or an error. */
extern double RowWeight(double weight);

#endif							/* MTL_RANK_ARGUMENTS_H */
