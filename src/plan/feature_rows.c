/*
 * feature_rows.c
 *	  Whole rows that are features of calls, which become row constructors of columns.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"

#include "compat.h"
#include "plan/feature_rows.h"
#include "plan/join_expansion.h"
#include "plan/row_expansion.h"
#include "score/score_kind.h"

/*
 * The row constructor for a whole row; NULL if there is none.
 */
static RowExpr *
ExpandRow(RowExpansion *expansion, Node *features)
{
	Node	   *whole = features;
	RowExpr    *row;
	ListCell   *cell;

	foreach(cell, expansion->replaced)
		if (equal(lfirst(cell), features))
			return list_nth(expansion->rows, foreach_current_index(cell));
	row = ExpandWholeRow(expansion->statement, expansion->plan, features);
	if (row == NULL)
		row = ExpandJoinedRow(expansion->statement, expansion->plan, features, expansion->calls,
							  &expansion->changes, &whole);
	if (row)
	{
		expansion->replaced = lappend(expansion->replaced, features);
		expansion->rows = lappend(expansion->rows, row);
		expansion->wholes = lappend(expansion->wholes, whole);
	}
	return row;
}

Node *
ExpandFeatureRows(Node *node, RowExpansion *expansion)
{
	FuncExpr   *call;
	ListCell   *features;
	RowExpr    *row;

	if (node == NULL)
		return NULL;
	if (!IsA(node, FuncExpr) || !list_member(expansion->calls, node))
		return expression_tree_mutator(node, ExpandFeatureRows, (void *) expansion);
	call = copyObject((FuncExpr *) node);
	/* contexts are remembered as values */
	features = list_nth_cell(call->args, ScoreKindFind(call->funcid)->nrows);
	row = ExpandRow(expansion, lfirst(features));
	if (row)
		lfirst(features) = row;
	return (Node *) call;
}
