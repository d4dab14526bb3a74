/*
 * score_node.h
 *	  The plan node MtlScore: computes scores for batches of its child's rows.
 *
 * The node's scan tuple is the child's columns, followed by the results of the
 * calls; its qual and target list see nothing else.  Rows come out one by one in
 * the child's order.
 *
 * Calls and conditions may have levels: the calls of a level are for rows that have
 * passed the conditions of those before.  Where it costs less the node computes calls of
 * all levels at once, for all rows (see score_batch.h); that cannot be noticed.
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

/* Lists, both of which may be NIL. */
typedef struct ScoreLevel
{
	List	   *calls;			/* FuncExprs over OUTER_VAR */
	List	   *qual;			/* over INDEX_VAR */
} ScoreLevel;

typedef struct ScoreNodeSpec
{
	Plan	   *child;
	List	   *levels;			/* ScoreLevels, at least one */
	List	   *calls;			/* of all levels, by ScoreNodeSortCalls() */
	List	   *targetlist;		/* over INDEX_VAR */
	BatchMode	mode;

	/* RowExprs that are features, and the whole rows that EXPLAIN shows for them */
	List	   *rows;
	List	   *wholes;

	/*
	 * Whether an error in computing ahead can be put off until its row is asked for:
	 * only the encoder's own, and those of functions without side effects.
	 */
	bool		put_off_errors;

	/* Whether conditions of all levels but the last may be checked before a row's turn. */
	bool		check_ahead;

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
	PRIVATE_SETTINGS,			/* see below */
	PRIVATE_GROUPS,				/* number of calls of each group */
	PRIVATE_LEVELS,				/* the level of each call */
	PRIVATE_QUALS,				/* number of conditions of each level */
	PRIVATE_KEPT				/* the child's columns that qual and target list see */
};

/* Positions in PRIVATE_SETTINGS. */
enum
{
	SETTING_MODE,
	SETTING_PUT_OFF_ERRORS,
	SETTING_CHECK_AHEAD,
	SETTING_BOUNDED,			/* there is a limit_count */
	SETTING_OFFSET,				/* and a limit_offset */
	SETTING_LIMIT_IS_MOST
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

/*
 * Whether a call can be of a later level of a node whose first level has these: one of
 * them is over the same model and features, and has a result for all rows that have these;
 * and its own option can be read before any row has come to it.  See LazyParams().
 */
extern bool ScoreNodeCanJoin(const FuncExpr *call, const List *first_calls, Bitmapset *lazy_params);

/* Makes the node known to the executor and to parallel workers; once per process. */
extern void ScoreNodeRegister(void);

#endif							/* MTL_RANK_SCORE_NODE_H */
