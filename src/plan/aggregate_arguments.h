/*
 * aggregate_arguments.h
 *	  Scores that are arguments of aggregates, or in their filters.
 */
#ifndef MTL_RANK_AGGREGATE_ARGUMENTS_H
#define MTL_RANK_AGGREGATE_ARGUMENTS_H

#include "postgres.h"

#include "nodes/plannodes.h"

#include "plan/placement.h"
#include "plan/reader.h"

/*
 * Has them computed below the aggregation, if they can be computed ahead.  reader is how
 * the aggregation reads its child.
 */
extern void BatchAggregateArguments(Rewrite *rewrite, Agg *agg, const Reader *reader);

#endif							/* MTL_RANK_AGGREGATE_ARGUMENTS_H */
