/*
 * split_node.h
 *	  Splits a plan node that evaluates calls into one that does not, and MtlScore nodes.
 */
#ifndef MTL_RANK_SPLIT_NODE_H
#define MTL_RANK_SPLIT_NODE_H

#include "postgres.h"

#include "nodes/plannodes.h"

#include "plan/placement.h"
#include "plan/reader.h"

/* Whether the node computes a target list and conditions that can be split off. */
extern bool CanSplit(const Plan *plan);

/*
 * Splits a node that has calls in its target list or conditions: the node itself stays
 * below, and the result is the MtlScore node on top.  The plan as it was, if there are no
 * calls or they cannot be computed ahead.  The node is one that CanSplit() says yes to.
 */
extern Plan *SplitNode(Rewrite *rewrite, Plan *plan, const Reader *reader);

#endif							/* MTL_RANK_SPLIT_NODE_H */
