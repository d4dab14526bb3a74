/*
 * aggregate_arguments.c
 *	  Scores that are arguments of aggregates, or in their filters.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "compat.h"
#include "plan/aggregate_arguments.h"
#include "plan/batchable.h"
#include "plan/row_expansion.h"
#include "plan/scan_tuple.h"
#include "plan/split_node.h"
#include "score/score_kind.h"

static bool
AggregateCallsWalker(Node *node, List **calls)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		Aggref	   *aggregate = (Aggref *) node;

		if (DO_AGGSPLIT_COMBINE(aggregate->aggsplit))
			return false;
		*calls = FindBatchableCalls((Node *) aggregate->aggfilter, *calls);
		/* with a filter, arguments are computed for the rows that pass it */
		if (aggregate->aggfilter == NULL)
			*calls = FindBatchableCalls((Node *) aggregate->args, *calls);
		return false;
	}
	return expression_tree_walker(node, AggregateCallsWalker, (void *) calls);
}

static Node *
UseScoresInAggregates(Node *node, ScanTuple *tuple)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Aggref))
	{
		Aggref	   *aggregate = copyObject((Aggref *) node);

		if (!DO_AGGSPLIT_COMBINE(aggregate->aggsplit))
		{
			aggregate->aggfilter = (Expr *) UseScores((Node *) aggregate->aggfilter, tuple);
			aggregate->args = (List *) UseScores((Node *) aggregate->args, tuple);
		}
		return (Node *) aggregate;
	}
	return expression_tree_mutator(node, UseScoresInAggregates, (void *) tuple);
}

/*
 * Nulls in the place of columns that the node above does not read.
 */
static void
DropUnused(List *targetlist, int ncolumns, const Agg *agg)
{
	Bitmapset  *used = NULL;
	ListCell   *cell;

	pull_varattnos((Node *) agg->plan.targetlist, OUTER_VAR, &used);
	pull_varattnos((Node *) agg->plan.qual, OUTER_VAR, &used);
	for (int i = 0; i < agg->numCols; i++)
		used = bms_add_member(used, agg->grpColIdx[i] - FirstLowInvalidHeapAttributeNumber);
	foreach(cell, targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resno <= ncolumns &&
			!bms_is_member(entry->resno - FirstLowInvalidHeapAttributeNumber, used))
			entry->expr = (Expr *) makeNullConst(exprType((Node *) entry->expr), exprTypmod((Node *) entry->expr),
												 exprCollation((Node *) entry->expr));
	}
}

/*
 * Expressions over a child's result as expressions of the child itself.
 */
static Node *
InlineColumns(Node *node, List *targetlist)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return copyObject((Node *) list_nth_node(TargetEntry, targetlist, ((Var *) node)->varattno - 1)->expr);
	return expression_tree_mutator(node, InlineColumns, (void *) targetlist);
}

/*
 * Whether a call has a whole row of a scan as its features, and nothing that would be
 * computed once more if the scan computed the call.
 */
static bool
HasWholeRow(const Rewrite *rewrite, const FuncExpr *call, const Plan *scan)
{
	int			nrows = ScoreKindFind(call->funcid)->nrows;
	Node	   *features = list_nth(call->args, nrows);
	TargetEntry *entry;

	if (!IsA(features, Var) || (nrows > 1 && contain_var_clause(lsecond(call->args))))
		return false;
	entry = list_nth_node(TargetEntry, scan->targetlist, ((Var *) features)->varattno - 1);
	return ExpandWholeRow(rewrite->statement, scan, (Node *) entry->expr) != NULL;
}

/*
 * Has the scan below an aggregation compute calls over its whole rows, so that they
 * can be taken column by column.  False if it is no such scan.
 */
static bool
PushCalls(Rewrite *rewrite, Agg *agg, List *calls, List *entries, const Reader *reader)
{
	Plan	   *scan = agg->plan.lefttree;
	List	   *old_targetlist = scan->targetlist;
	ListCell   *cell;

	foreach(cell, calls)
	{
		FuncExpr   *call = lfirst_node(FuncExpr, cell);

		if (!HasWholeRow(rewrite, call, scan))
			return false;
		entries = lappend(entries, makeTargetEntry((Expr *) InlineColumns((Node *) call, scan->targetlist),
												   list_length(entries) + 1, NULL, false));
	}
	scan->targetlist = entries;
	agg->plan.lefttree = SplitNode(rewrite, scan, reader);
	if (agg->plan.lefttree != scan)
		return true;
	scan->targetlist = old_targetlist;
	return false;
}

void
BatchAggregateArguments(Rewrite *rewrite, Agg *agg, const Reader *reader)
{
	Plan	   *child = agg->plan.lefttree;
	ScoreNodeSpec spec = {0};
	ScoreLevel	level = {0};
	ScanTuple	tuple = {list_length(child->targetlist), NIL, NIL, OUTER_VAR};
	List	   *entries = NIL;
	ListCell   *cell;

	(void) AggregateCallsWalker((Node *) agg->plan.targetlist, &spec.calls);
	(void) AggregateCallsWalker((Node *) agg->plan.qual, &spec.calls);
	if (spec.calls == NIL || agg->chain != NIL ||
		!MayReadAhead(rewrite, child, spec.calls, reader, false))
		return;

	spec.child = child;
	spec.calls = ScoreNodeSortCalls(spec.calls);
	level.calls = spec.calls;
	spec.levels = list_make1(&level);
	tuple.calls = spec.calls;
	agg->plan.targetlist = (List *) UseScoresInAggregates((Node *) agg->plan.targetlist, &tuple);
	agg->plan.qual = (List *) UseScoresInAggregates((Node *) agg->plan.qual, &tuple);

	foreach(cell, child->targetlist)
		entries = lappend(entries, flatCopyTargetEntry(lfirst(cell)));
	DropUnused(entries, tuple.ncolumns, agg);
	if (PushCalls(rewrite, agg, spec.calls, entries, reader))
		return;
	spec.targetlist = WholeTuple(child->targetlist, spec.calls);
	DropUnused(spec.targetlist, tuple.ncolumns, agg);
	agg->plan.lefttree = PlaceScoreNode(rewrite, child, &spec, reader, false);
}
