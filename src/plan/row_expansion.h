/*
 * row_expansion.h
 *	  Whole rows of a scan, as the columns that they are made of.
 */
#ifndef MTL_RANK_ROW_EXPANSION_H
#define MTL_RANK_ROW_EXPANSION_H

#include "postgres.h"

#include "nodes/plannodes.h"

/*
 * A row constructor with the same type, names and values as an expression of a scan
 * that is a whole row of it, converted to the row type of a parent table or not.  NULL
 * if the expression is something else, or the columns are not known.
 */
extern RowExpr *ExpandWholeRow(const PlannedStmt *statement, const Plan *scan, Node *row);

/*
 * A target list with all columns of the table that is scanned, which costs the scan
 * nothing; NIL if there is none like that.
 */
extern List *PhysicalTargetList(const PlannedStmt *statement, const Plan *scan);

#endif							/* MTL_RANK_ROW_EXPANSION_H */
