/*
 * aggregate_arguments.h
 *	  Scores that are arguments of aggregates, or in their filters; also of those that are
 *	  computed over windows.
 */
#ifndef MTL_RANK_AGGREGATE_ARGUMENTS_H
#define MTL_RANK_AGGREGATE_ARGUMENTS_H

#include "postgres.h"

#include "nodes/plannodes.h"

#include "plan/placement.h"
#include "plan/reader.h"

/* The child of an Agg or a WindowAgg, which is read so, or what is below its sort. */
extern Plan *ScanBelowAggregation(Plan *plan, const Reader *reader);

/*
 * Has that compute them.  False, and nothing is changed, if it is no scan, or would not
 * gain by it.
 */
extern bool PushAggregateArguments(Rewrite *rewrite, Plan *plan, const Reader *reader);

/* Has them computed directly below, if they can be computed ahead. */
extern void BatchAggregateArguments(Rewrite *rewrite, Plan *plan, const Reader *reader);

#endif							/* MTL_RANK_AGGREGATE_ARGUMENTS_H */
