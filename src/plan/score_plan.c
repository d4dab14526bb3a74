/*
 * score_plan.c
 *	  Builds the plan node MtlScore.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "compat.h"
#include "plan/score_node.h"
#include "score/score_kind.h"

bool
IsScoreNode(const Plan *plan)
{
	return plan != NULL && IsA(plan, CustomScan) && ((const CustomScan *) plan)->methods == &score_node_methods;
}

/*
 * Whether two calls can share rows of a batch.
 */
static bool
SameGroup(const FuncExpr *a, const FuncExpr *b)
{
	const ScoreKind *kind = ScoreKindFind(a->funcid);

	if (kind->nrows != ScoreKindFind(b->funcid)->nrows)
		return false;
	for (int i = 0; i <= kind->nrows; i++)
		if (!equal(list_nth(a->args, i), list_nth(b->args, i)))
			return false;
	return true;
}

static List *
CountGroups(List *calls)
{
	List	   *counts = NIL;
	FuncExpr   *first = NULL;
	ListCell   *cell;

	foreach(cell, calls)
	{
		FuncExpr   *call = lfirst_node(FuncExpr, cell);

		if (first && SameGroup(first, call))
			lfirst_int(list_tail(counts))++;
		else
		{
			counts = lappend_int(counts, 1);
			first = call;
		}
	}
	return counts;
}

List *
ScoreNodeSortCalls(List *calls)
{
	List	   *sorted = NIL;
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, calls)
	{
		if (list_member_ptr(sorted, lfirst(cell)))
			continue;
		for_each_cell(other, calls, cell)
		{
			if (!list_member_ptr(sorted, lfirst(other)) && SameGroup(lfirst(cell), lfirst(other)))
				sorted = lappend(sorted, lfirst(other));
		}
	}
	return sorted;
}

/* The child's columns that expressions over the scan tuple see, from 0. */
static List *
FindKept(const ScoreNodeSpec *spec)
{
	int			ncolumns = list_length(spec->child->targetlist);
	Bitmapset  *seen = NULL;
	List	   *kept = NIL;

	pull_varattnos((Node *) spec->qual, INDEX_VAR, &seen);
	pull_varattnos((Node *) spec->targetlist, INDEX_VAR, &seen);
	for (int i = 0; i < ncolumns; i++)
		if (bms_is_member(i + 1 - FirstLowInvalidHeapAttributeNumber, seen))
			kept = lappend_int(kept, i);
	return kept;
}

/*
 * A call as it was written.  Nobody evaluates it.
 */
static Expr *
ShowCall(const ScoreNodeSpec *spec, FuncExpr *call)
{
	FuncExpr   *shown = copyObject(call);
	ListCell   *argument;
	ListCell   *row;

	foreach(argument, shown->args)
		foreach(row, spec->rows)
			if (equal(lfirst(argument), lfirst(row)))
			{
				lfirst(argument) = copyObject(list_nth(spec->wholes, foreach_current_index(row)));
				break;
			}
	return (Expr *) shown;
}

/*
 * Describes the scan tuple, for its types and for EXPLAIN.
 */
static List *
ScanTuple(const ScoreNodeSpec *spec)
{
	List	   *tuple = NIL;
	ListCell   *cell;

	foreach(cell, spec->child->targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		tuple = lappend(tuple, makeTargetEntry((Expr *) makeVarFromTargetEntry(OUTER_VAR, entry),
											   list_length(tuple) + 1, entry->resname, false));
	}
	foreach(cell, spec->calls)
		tuple = lappend(tuple, makeTargetEntry(ShowCall(spec, lfirst_node(FuncExpr, cell)),
											   list_length(tuple) + 1, NULL, false));
	return tuple;
}

CustomScan *
ScoreNodeMake(const ScoreNodeSpec *spec)
{
	CustomScan *node = makeNode(CustomScan);
	List	   *settings = NIL;

	Assert(equal(spec->calls, ScoreNodeSortCalls(spec->calls)));
	node->methods = &score_node_methods;
	node->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	node->scan.plan.lefttree = spec->child;
	node->scan.plan.qual = spec->qual;
	node->scan.plan.targetlist = spec->targetlist;
	node->custom_scan_tlist = ScanTuple(spec);
	node->custom_exprs = list_copy(spec->calls);
	if (spec->limit_count)
		node->custom_exprs = lappend(node->custom_exprs, spec->limit_count);
	if (spec->limit_count && spec->limit_offset)
		node->custom_exprs = lappend(node->custom_exprs, spec->limit_offset);

	settings = list_make3_int(spec->mode, spec->put_off_errors, spec->limit_count != NULL);
	settings = lappend_int(settings, spec->limit_count && spec->limit_offset);
	settings = lappend_int(settings, spec->limit_is_most);
	node->custom_private = list_make3(settings, CountGroups(spec->calls), FindKept(spec));
	return node;
}

static int
CountCalls(const CustomScan *node)
{
	int			ncalls = 0;
	ListCell   *cell;

	foreach(cell, (List *) list_nth(node->custom_private, PRIVATE_GROUPS))
		ncalls += lfirst_int(cell);
	return ncalls;
}

List *
ScoreNodeCalls(const Plan *plan)
{
	const CustomScan *node = (const CustomScan *) plan;

	return list_copy_head(node->custom_exprs, CountCalls(node));
}
