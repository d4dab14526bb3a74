/*
 * target_list.c
 *	  Changes of target lists that leave the places and types of columns as they are.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "compat.h"
#include "plan/target_list.h"

TargetEntry *
NullInPlace(const TargetEntry *entry)
{
	TargetEntry *null = flatCopyTargetEntry(unconstify(TargetEntry *, entry));
	Node	   *old = (Node *) entry->expr;

	null->expr = (Expr *) makeNullConst(exprType(old), exprTypmod(old), exprCollation(old));
	return null;
}

List *
AppendEntries(List *targetlist, List *expressions)
{
	ListCell   *cell;

	foreach(cell, expressions)
		targetlist = lappend(targetlist, makeTargetEntry(lfirst(cell), list_length(targetlist) + 1, NULL, false));
	return targetlist;
}
