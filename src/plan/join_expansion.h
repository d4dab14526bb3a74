/*
 * join_expansion.h
 *	  Whole rows of scans below a join, as columns that the scans deliver instead.
 */
#ifndef MTL_RANK_JOIN_EXPANSION_H
#define MTL_RANK_JOIN_EXPANSION_H

#include "postgres.h"

#include "nodes/plannodes.h"

/*
 * ExpandWholeRow() for an expression of a join that is a whole row of a scan below it:
 * the constructor is over the join's inputs, *whole is the row as the scan sees it.
 * The scan delivers NULL in the row's place, so it is NULL, too, if the join needs the
 * row for more than to be features of these calls.  Also NULL where an outer join may
 * have no row, which columns do not tell from one of nulls.
 *
 * Nodes that have got another target list are added to *changes.
 */
extern RowExpr *ExpandJoinedRow(const PlannedStmt *statement, Plan *join, Node *row, List *calls,
								List **changes, Node **whole);

/* Gives the nodes their target lists back. */
extern void UndoExpansions(List *changes);

#endif							/* MTL_RANK_JOIN_EXPANSION_H */
