/*
 * explain.h
 *	  What EXPLAIN says of the node MtlScore.
 */
#ifndef MTL_RANK_EXPLAIN_H
#define MTL_RANK_EXPLAIN_H

#include "postgres.h"

#include "compat.h"
#include EXPLAIN_STATE_HEADER
#include "plan/score_node_state.h"

/*
 * Adds models, their versions, and tasks, first those of all rows; with ANALYZE also the
 * rows that were scored, in all loops and by all processes, in how many batches, and, where
 * no other process scored, how many contexts were computed for them and how many batches
 * were computed for tasks of all levels at once.
 */
extern void ScoreNodeExplain(const ScoreNodeState *state, ExplainState *es);

#endif							/* MTL_RANK_EXPLAIN_H */
