/*
 * score_node.h
 *	  The plan node MtlScore: computes scores for batches of its child's rows.
 *
 * The node's scan tuple is the child's columns, followed by the results of the
 * calls; its qual and target list see nothing else.  Rows come out one by one in
 * the child's order.
 *
 * How far it reads ahead is the plan's decision (see BatchMode).  What is computed
 * ahead for a row has no effect that can be seen: an error in it is raised when the
 * row's turn comes.
 */
#ifndef MTL_RANK_SCORE_NODE_H
#define MTL_RANK_SCORE_NODE_H

#include "postgres.h"

#include "nodes/plannodes.h"

#define MTL_SCORE_NODE_NAME "MtlScore"

typedef enum BatchMode
{
	/* batches of 1, 2, 4, ...: at most twice the rows that are asked for are scored */
	BATCH_GROW,
	/* full batches: whoever reads the node reads it to its end */
	BATCH_ALL
} BatchMode;

typedef struct ScoreNodeSpec
{
	Plan	   *child;
	List	   *calls;			/* FuncExprs over OUTER_VAR; those with equal models and
								 * features stand together */
	List	   *qual;			/* over INDEX_VAR, as is the target list */
	List	   *targetlist;
	BatchMode	mode;

	/* RowExprs that are features, and the whole rows that EXPLAIN shows for them */
	List	   *rows;
	List	   *wholes;

	/*
	 * Whether an error in computing ahead can be put off until its row is asked for:
	 * only the encoder's own, and those of functions without side effects.
	 */
	bool		put_off_errors;

	/*
	 * Expressions without Vars: as many rows as both together are asked for, if there are
	 * so many, or no more than that; or NULL
	 */
	Node	   *limit_count;
	Node	   *limit_offset;
	bool		limit_is_most;
} ScoreNodeSpec;

/* Positions in custom_private; each entry is a list of integers. */
enum
{
	PRIVATE_SETTINGS,			/* mode, put_off_errors, has a count, an offset, limit_is_most */
	PRIVATE_GROUPS,				/* number of calls of each group */
	PRIVATE_KEPT				/* the child's columns that qual and target list see */
};

/* What the executor knows the node by. */
extern const struct CustomScanMethods score_node_methods;

/*
 * Builds the node.  Costs and what else a plan node has in common are for the
 * caller to set.
 */
extern CustomScan *ScoreNodeMake(const ScoreNodeSpec *spec);

/* Whether a plan is such a node, and the calls that it computes. */
extern bool IsScoreNode(const Plan *plan);
extern List *ScoreNodeCalls(const Plan *plan);

/* The order in which ScoreNodeMake() takes calls: those of a group together. */
extern List *ScoreNodeSortCalls(List *calls);

/* Makes the node known to the executor and to parallel workers; once per process. */
extern void ScoreNodeRegister(void);

#endif							/* MTL_RANK_SCORE_NODE_H */
