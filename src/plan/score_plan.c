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
#include "plan/plan_walk.h"
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

/* The option of a call, or NULL if it takes none. */
static Node *
Option(const FuncExpr *call)
{
	return ScoreKindFind(call->funcid)->has_option ? llast(call->args) : NULL;
}

static bool
HasResult(const FuncExpr *call)
{
	Node	   *option = Option(call);

	return option == NULL || (IsA(option, Const) && !((Const *) option)->constisnull);
}

/*
 * Whether an option is there without being computed, which may raise errors.
 */
static bool
OptionIsThere(const FuncExpr *call, Bitmapset *lazy_params)
{
	Node	   *option = Option(call);

	return option == NULL || IsA(option, Const) || (IsA(option, Param) && !HasParam(option, lazy_params));
}

bool
ScoreNodeCanJoin(const FuncExpr *call, const List *first_calls, Bitmapset *lazy_params)
{
	ListCell   *cell;

	foreach(cell, first_calls)
		if (SameGroup(lfirst(cell), call) && HasResult(lfirst(cell)) && OptionIsThere(call, lazy_params))
			return true;
	return false;
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

static List *
AllConditions(const ScoreNodeSpec *spec)
{
	List	   *conditions = NIL;
	ListCell   *cell;

	foreach(cell, spec->levels)
		conditions = list_concat(conditions, ((ScoreLevel *) lfirst(cell))->qual);
	return conditions;
}

static List *
CountConditions(const ScoreNodeSpec *spec)
{
	List	   *counts = NIL;
	ListCell   *cell;

	foreach(cell, spec->levels)
		counts = lappend_int(counts, list_length(((ScoreLevel *) lfirst(cell))->qual));
	return counts;
}

static List *
LevelsOfCalls(const ScoreNodeSpec *spec)
{
	List	   *levels = NIL;
	ListCell   *call;
	ListCell   *cell;

	foreach(call, spec->calls)
		foreach(cell, spec->levels)
			if (list_member_ptr(((ScoreLevel *) lfirst(cell))->calls, lfirst(call)))
			{
				levels = lappend_int(levels, foreach_current_index(cell));
				break;
			}
	Assert(list_length(levels) == list_length(spec->calls));
	return levels;
}

/* The child's columns that expressions over the scan tuple see, from 0. */
static List *
FindKept(const ScoreNodeSpec *spec)
{
	int			ncolumns = list_length(spec->child->targetlist);
	Bitmapset  *seen = NULL;
	List	   *kept = NIL;

	pull_varattnos((Node *) AllConditions(spec), INDEX_VAR, &seen);
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
	node->scan.plan.qual = AllConditions(spec);
	node->scan.plan.targetlist = spec->targetlist;
	node->custom_scan_tlist = ScanTuple(spec);
	node->custom_exprs = list_copy(spec->calls);
	if (spec->limit_count)
		node->custom_exprs = lappend(node->custom_exprs, spec->limit_count);
	if (spec->limit_count && spec->limit_offset)
		node->custom_exprs = lappend(node->custom_exprs, spec->limit_offset);

	settings = list_make5_int(spec->mode, spec->put_off_errors, spec->check_ahead, spec->limit_count != NULL,
							  spec->limit_count && spec->limit_offset);
	settings = lappend_int(settings, spec->limit_is_most);
	node->custom_private = list_make5(settings, CountGroups(spec->calls), LevelsOfCalls(spec), CountConditions(spec),
									  FindKept(spec));
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
