/*
 * explain.h
 *	  What EXPLAIN says of the node MtlScore.
 */
#ifndef MTL_RANK_EXPLAIN_H
#define MTL_RANK_EXPLAIN_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "compat.h"
#include EXPLAIN_STATE_HEADER

/*
 * Adds models, their versions, and tasks; with ANALYZE also the rows that were
 * scored, in all loops and by all processes, in how many batches, and how many contexts
 * were computed for them, where that is known (0 or more).  groups is a list of lists of
 * calls over the same model and features.
 */
extern void ScoreNodeExplain(const PlanState *node, List *groups, int64 contexts, ExplainState *es);

#endif							/* MTL_RANK_EXPLAIN_H */
