/*
 * scan_tuple.c
 *	  Expressions over the scan tuple of an MtlScore node.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "compat.h"
#include "plan/scan_tuple.h"

Node *
UseScores(Node *node, ScanTuple *tuple)
{
	ListCell   *cell;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varno = tuple->varno;
		return (Node *) var;
	}
	if (IsA(node, FuncExpr))
		foreach(cell, tuple->calls)
			if (equal(lfirst(cell), node) && !list_member_ptr(tuple->hidden, lfirst(cell)))
				return (Node *) makeVar(tuple->varno, tuple->ncolumns + foreach_current_index(cell) + 1,
										exprType(node), exprTypmod(node), exprCollation(node), 0);
	return expression_tree_mutator(node, UseScores, (void *) tuple);
}

List *
WholeTuple(List *entries, List *calls)
{
	List	   *whole = NIL;
	ListCell   *cell;

	foreach(cell, entries)
	{
		TargetEntry *entry = flatCopyTargetEntry(lfirst(cell));

		entry->expr = (Expr *) makeVarFromTargetEntry(INDEX_VAR, entry);
		whole = lappend(whole, entry);
	}
	foreach(cell, calls)
	{
		Node	   *call = lfirst(cell);
		int			position = list_length(whole) + 1;

		whole = lappend(whole, makeTargetEntry((Expr *) makeVar(INDEX_VAR, position, exprType(call), exprTypmod(call),
																exprCollation(call), 0),
											   position, NULL, false));
	}
	return whole;
}
