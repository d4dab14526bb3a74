/*
 * score_gather.h
 *	  Gathers rows of an MtlScore node's child into a batch, and computes its scores.
 */
#ifndef MTL_RANK_SCORE_GATHER_H
#define MTL_RANK_SCORE_GATHER_H

#include "postgres.h"

#include "plan/score_node_state.h"

/*
 * Looks at the limit, and tells the child.  Before the child is scanned, and before it is
 * scanned again: a sort may have kept fewer rows than are wanted now.
 */
extern void ReadBound(ScoreNodeState *state);

/*
 * Gathers and computes the next batch; false if there are no more rows.  Afterwards the
 * state has nrows rows, of which the first is next, and each group's batch has results.
 * Errors of rows that nobody has asked for yet are put off, if the plan says so.
 */
extern bool NextBatch(ScoreNodeState *state);

#endif							/* MTL_RANK_SCORE_GATHER_H */
