/*
 * tally_state.h
 *	  Tallies as states of aggregates.
 */
#ifndef MTL_RANK_TALLY_STATE_H
#define MTL_RANK_TALLY_STATE_H

#include "postgres.h"

#include "fmgr.h"

#include "metrics/tally.h"

/*
 * The state of a transition function, made for the first row.  group_arg is the
 * number of the argument that is the group, 0 if there is none.  Error if the
 * parameter is not that of earlier rows.
 */
extern Tally *TallyStateGet(FunctionCallInfo fcinfo, int group_arg, TallyParameter parameter);

/* Adds a row to the state of a transition function; its group is that argument. */
extern void TallyStateAdd(FunctionCallInfo fcinfo, Tally *tally, int group_arg, double score,
						  double label);

#endif							/* MTL_RANK_TALLY_STATE_H */
