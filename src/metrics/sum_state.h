/*
 * sum_state.h
 *	  Exact sums and counts as states of aggregates.
 *
 * Of fixed size, whatever the number of rows; what a process hands over are the
 * state's bytes.  Sums and counts of parts are added, which is exact, so that parts
 * do not show in the result.
 */
#ifndef MTL_RANK_SUM_STATE_H
#define MTL_RANK_SUM_STATE_H

#include "postgres.h"

#include "fmgr.h"

#include "math/exact_sum.h"

typedef struct SumState
{
	int32		nsums;
	int32		ncounts;
	int64		counts[FLEXIBLE_ARRAY_MEMBER];	/* the sums follow */
} SumState;

static inline ExactSum *
SumStateSums(SumState *state)
{
	return (ExactSum *) (state->counts + state->ncounts);
}

/*
 * The state of a transition function, made for the first row.  Only
 * mtl_calibration has states of several sizes, one sum per bin; error if the number
 * is not that of earlier rows.
 */
extern SumState *SumStateGet(FunctionCallInfo fcinfo, int32 nsums, int32 ncounts);

#endif							/* MTL_RANK_SUM_STATE_H */
