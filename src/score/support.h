/*
 * support.h
 *	  What the planner is told about scoring functions.
 */
#ifndef MTL_RANK_SUPPORT_H
#define MTL_RANK_SUPPORT_H

#include "postgres.h"

/*
 * Times that the planner has asked about a scoring function in this process: a
 * statement whose planning does not change it has no call of one.
 */
extern uint64 mtl_rank_calls_planned;

#endif							/* MTL_RANK_SUPPORT_H */
