/*
 * score_levels.h
 *	  Makes a row of a batch the scan tuple of an MtlScore node, and checks its conditions.
 */
#ifndef MTL_RANK_SCORE_LEVELS_H
#define MTL_RANK_SCORE_LEVELS_H

#include "postgres.h"

#include "plan/score_node_state.h"

/*
 * Whether a row of the batch, whose turn it is, passes all conditions.  If so, it is the
 * scan tuple, with the results of all calls.
 */
extern bool RowPasses(ScoreNodeState *state, int row);

/*
 * The same before its turn, when whoever reads the node reads ahead: false if a result has
 * an error, which waits until the row is asked for.
 */
extern bool TryRowPasses(ScoreNodeState *state, int row, bool *passes);

#endif							/* MTL_RANK_SCORE_LEVELS_H */
