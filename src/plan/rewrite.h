/*
 * rewrite.h
 *	  Puts MtlScore nodes into a finished plan.
 *
 * The planner knows nothing of them: a plan node that evaluates calls of scoring
 * functions is split.  Its lower part, the node as it was, delivers columns and
 * checks the conditions that come before the first call; an MtlScore node above it
 * computes the scores and does the rest.  So each call is evaluated for the rows for
 * which the plan evaluated it before, after the same conditions, and in the same
 * order.  Doing this to the finished plan, and not with paths, leaves all of the
 * planner's choices as they are.
 */
#ifndef MTL_RANK_REWRITE_H
#define MTL_RANK_REWRITE_H

#include "postgres.h"

#include "nodes/plannodes.h"

/*
 * Changes the plan in place.  cursor_options are those that it was planned with.
 * With required, an error for a call that remains as it was, unless it is in a plan
 * of a single row without a FROM.
 */
extern void BatchScores(PlannedStmt *statement, int cursor_options, bool required);

/* Whether a plan calls scoring functions anywhere but in MtlScore nodes. */
extern bool StatementCallsScores(PlannedStmt *statement);

#endif							/* MTL_RANK_REWRITE_H */
