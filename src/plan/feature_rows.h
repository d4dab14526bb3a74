/*
 * feature_rows.h
 *	  Whole rows that are features of calls, which become row constructors of columns.
 */
#ifndef MTL_RANK_FEATURE_ROWS_H
#define MTL_RANK_FEATURE_ROWS_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* What is replaced in the expressions of one plan node. */
typedef struct RowExpansion
{
	const PlannedStmt *statement;
	Plan	   *plan;			/* a scan or a join */
	List	   *calls;			/* those that will be computed in batches */
	List	   *replaced;		/* features */
	List	   *rows;			/* by these */
	List	   *wholes;			/* what they are for EXPLAIN */
	List	   *changes;		/* of nodes below a join, for UndoExpansions() */
} RowExpansion;

/*
 * An expression of the plan node, or a list of them, with a row constructor in place of
 * each whole row that is the features of a call and whose columns are known.  What a
 * call has as its context stays a value.  The result is a copy; nodes below a join get
 * other target lists.
 */
extern Node *ExpandFeatureRows(Node *node, RowExpansion *expansion);

#endif							/* MTL_RANK_FEATURE_ROWS_H */
