/*
 * aggregate_arguments.c
 *	  Scores that are arguments of aggregates, or in their filters; also of those that are
 *	  computed over windows.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "compat.h"
#include "plan/aggregate_arguments.h"
#include "plan/batchable.h"
#include "plan/plan_walk.h"
#include "plan/row_expansion.h"
#include "plan/scan_tuple.h"
#include "plan/split_node.h"
#include "plan/target_list.h"
#include "score/score_kind.h"

/* ---------------------------------------------------------------- windows */

/*
 * Whether each row is in the frame of one row at least, its own, so that arguments are
 * computed for all of them.
 */
static bool
FramesHoldAllRows(const WindowAgg *window)
{
	int			options = window->frameOptions;

	/* somebody else's functions may say that a value is not in its own range */
	if (window->startInRangeFunc >= FirstNormalObjectId || window->endInRangeFunc >= FirstNormalObjectId)
		return false;
	return (options & (FRAMEOPTION_START_UNBOUNDED_PRECEDING | FRAMEOPTION_START_OFFSET_PRECEDING |
					   FRAMEOPTION_START_CURRENT_ROW)) &&
		(options & (FRAMEOPTION_END_UNBOUNDED_FOLLOWING | FRAMEOPTION_END_OFFSET_FOLLOWING |
					FRAMEOPTION_END_CURRENT_ROW)) &&
		!(options & FRAMEOPTION_EXCLUSION);
}

/*
 * Whether arguments of all rows that are read are computed before the first row comes out.
 */
static bool
FirstFrameIsAll(const WindowAgg *window)
{
	int			options = window->frameOptions;
	bool		all_are_peers = window->ordNumCols == 0 && !(options & FRAMEOPTION_ROWS);

	return window->partNumCols == 0 &&
		((options & FRAMEOPTION_START_UNBOUNDED_PRECEDING) ||
		 (all_are_peers && (options & FRAMEOPTION_START_CURRENT_ROW))) &&
		((options & FRAMEOPTION_END_UNBOUNDED_FOLLOWING) ||
		 (all_are_peers && (options & FRAMEOPTION_END_CURRENT_ROW)));
}

/*
 * Whether the node computes arguments of its aggregates for each row that it reads.
 */
static bool
ComputesForAllRows(const Plan *plan, const Reader *reader)
{
	const WindowAgg *window = (const WindowAgg *) plan;

	if (IsA(plan, Agg))
		return ((const Agg *) plan)->chain == NIL;
	return FramesHoldAllRows(window) && (!reader->stops_early || FirstFrameIsAll(window));
}

/* ------------------------------------------------------------------ calls */

/*
 * The arguments and the filter of an aggregate that sees rows of the child; NULL for
 * anything else.  Other window functions do not look at all rows.
 */
static bool
SeesRows(Node *node, List **args, Expr **filter)
{
	if (IsA(node, Aggref) && !DO_AGGSPLIT_COMBINE(((Aggref *) node)->aggsplit))
	{
		*args = ((Aggref *) node)->args;
		*filter = ((Aggref *) node)->aggfilter;
		return true;
	}
	if (IsA(node, WindowFunc) && ((WindowFunc *) node)->winagg)
	{
		*args = ((WindowFunc *) node)->args;
		*filter = ((WindowFunc *) node)->aggfilter;
		return true;
	}
	return false;
}

static bool
AggregateCallsWalker(Node *node, List **calls)
{
	List	   *args;
	Expr	   *filter;

	if (node == NULL)
		return false;
	if (SeesRows(node, &args, &filter))
	{
		*calls = FindBatchableCalls((Node *) filter, *calls);
		/* with a filter, arguments are computed for the rows that pass it */
		if (filter == NULL)
			*calls = FindBatchableCalls((Node *) args, *calls);
		return false;
	}
	if (IsA(node, Aggref) || IsA(node, WindowFunc))
		return false;
	return expression_tree_walker(node, AggregateCallsWalker, (void *) calls);
}

static Node *
UseScoresInAggregates(Node *node, ScanTuple *tuple)
{
	List	   *args;
	Expr	   *filter;

	if (node == NULL)
		return NULL;
	if (!SeesRows(node, &args, &filter))
	{
		if (IsA(node, Aggref) || IsA(node, WindowFunc))
			return copyObject(node);
		return expression_tree_mutator(node, UseScoresInAggregates, (void *) tuple);
	}
	node = copyObject(node);
	args = (List *) UseScores((Node *) args, tuple);
	filter = (Expr *) UseScores((Node *) filter, tuple);
	if (IsA(node, Aggref))
	{
		((Aggref *) node)->args = args;
		((Aggref *) node)->aggfilter = filter;
	}
	else
	{
		((WindowFunc *) node)->args = args;
		((WindowFunc *) node)->aggfilter = filter;
	}
	return node;
}

/* -------------------------------------------------------------- rewriting */

static Bitmapset *
AddColumns(Bitmapset *used, int n, const AttrNumber *columns)
{
	for (int i = 0; i < n; i++)
		used = bms_add_member(used, columns[i] - FirstLowInvalidHeapAttributeNumber);
	return used;
}

/*
 * The columns that a node reads of its child.
 */
static Bitmapset *
ColumnsRead(Plan *plan)
{
	Bitmapset  *read = NULL;
	ListCell   *cell;

	foreach(cell, PlanExpressions(plan))
		pull_varattnos(lfirst(cell), OUTER_VAR, &read);
	if (IsA(plan, Agg))
		read = AddColumns(read, ((Agg *) plan)->numCols, ((Agg *) plan)->grpColIdx);
	if (IsA(plan, WindowAgg))
	{
		read = AddColumns(read, ((WindowAgg *) plan)->partNumCols, ((WindowAgg *) plan)->partColIdx);
		read = AddColumns(read, ((WindowAgg *) plan)->ordNumCols, ((WindowAgg *) plan)->ordColIdx);
	}
	return read;
}

/*
 * A target list with nulls in the place of columns that are not read.
 */
static List *
DropUnread(List *targetlist, const Bitmapset *read, int ncolumns)
{
	List	   *entries = NIL;
	ListCell   *cell;

	foreach(cell, targetlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resno <= ncolumns &&
			!bms_is_member(entry->resno - FirstLowInvalidHeapAttributeNumber, read))
			entry = NullInPlace(entry);
		entries = lappend(entries, entry);
	}
	return entries;
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

/* Whether expressions see columns that a scan does not hand on as they are. */
static bool
ComputedColumnWalker(Node *node, const Plan *scan)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return !IsA(list_nth_node(TargetEntry, scan->targetlist, ((Var *) node)->varattno - 1)->expr, Var);
	return expression_tree_walker(node, ComputedColumnWalker, (void *) scan);
}

/*
 * The calls, as those that the scan itself would compute; NIL if that would gain nothing,
 * or have it compute something twice.
 */
static List *
CallsOfScan(const Rewrite *rewrite, List *calls, const Plan *scan, bool sorted)
{
	bool		gains = sorted || FindAnyCall((Node *) scan->qual);
	List	   *inlined = NIL;
	ListCell   *cell;

	foreach(cell, calls)
	{
		FuncExpr   *call = lfirst_node(FuncExpr, cell);

		if (!HasWholeRow(rewrite, call, scan) &&
			(!gains || ComputedColumnWalker((Node *) call->args, scan)))
			return NIL;
		inlined = lappend(inlined, InlineColumns((Node *) call, scan->targetlist));
	}
	return inlined;
}

Plan *
ScanBelowAggregation(Plan *plan, const Reader *reader)
{
	Plan	   *child = plan->lefttree;

	/* if all of it is read */
	return IsA(child, Sort) && !reader->stops_early ? child->lefttree : child;
}

/*
 * Has the scan below an aggregation compute calls: whole rows can be taken column by
 * column there, and calls in its conditions may share layers with these.  Also below a
 * sort, which is read to its end, so that what they see need not be sorted.  False if it is
 * no such scan.
 */
static bool
PushCalls(Rewrite *rewrite, Plan *plan, List *calls, const Reader *reader)
{
	Plan	   *scan = ScanBelowAggregation(plan, reader);
	Plan	   *sort = scan == plan->lefttree ? NULL : plan->lefttree;
	Reader		scan_reader = sort ? OuterReader(sort, *reader) : *reader;
	List	   *old_targetlist = scan->targetlist;
	Bitmapset  *read = ColumnsRead(plan);
	List	   *columns = NIL;
	Plan	   *top;
	ListCell   *cell;

	if (!CanSplit(scan) || IsScoreNode(scan))
		return false;
	/* a sort hands its child's columns on in their places */
	calls = CallsOfScan(rewrite, calls, scan, sort != NULL);
	if (calls == NIL)
		return false;
	if (sort)
		read = AddColumns(read, ((Sort *) sort)->numCols, ((Sort *) sort)->sortColIdx);
	scan->targetlist = AppendEntries(DropUnread(old_targetlist, read, list_length(old_targetlist)), calls);
	top = SplitNode(rewrite, scan, &scan_reader);
	if (top == scan)
	{
		scan->targetlist = old_targetlist;
		return false;
	}

	if (sort == NULL)
	{
		plan->lefttree = top;
		return true;
	}
	sort->lefttree = top;
	foreach(cell, list_copy_tail(top->targetlist, list_length(old_targetlist)))
		columns = lappend(columns, makeVarFromTargetEntry(OUTER_VAR, lfirst(cell)));
	sort->targetlist = AppendEntries(sort->targetlist, columns);
	return true;
}

/*
 * Calls of a node that can be computed below it.
 */
static List *
FindCalls(const Rewrite *rewrite, Plan *plan, const Reader *reader)
{
	List	   *calls = NIL;

	if (!ComputesForAllRows(plan, reader))
		return NIL;
	(void) AggregateCallsWalker((Node *) plan->targetlist, &calls);
	(void) AggregateCallsWalker((Node *) plan->qual, &calls);
	if (calls == NIL || !MayReadAhead(rewrite, plan->lefttree, calls, reader, false))
		return NIL;
	return ScoreNodeSortCalls(calls);
}

/*
 * Replaces calls by columns that the child will have after its own.
 */
static void
UseCallsBelow(Plan *plan, List *calls)
{
	ScanTuple	tuple = {list_length(plan->lefttree->targetlist), calls, NIL, OUTER_VAR};

	/* what else a window's row has sees the same row */
	if (IsA(plan, WindowAgg))
		plan->targetlist = (List *) UseScores((Node *) plan->targetlist, &tuple);
	else
		plan->targetlist = (List *) UseScoresInAggregates((Node *) plan->targetlist, &tuple);
	plan->qual = (List *) UseScoresInAggregates((Node *) plan->qual, &tuple);
}

bool
PushAggregateArguments(Rewrite *rewrite, Plan *plan, const Reader *reader)
{
	List	   *calls = FindCalls(rewrite, plan, reader);
	List	   *old_targetlist = plan->targetlist;
	List	   *old_qual = plan->qual;

	if (calls == NIL)
		return false;
	UseCallsBelow(plan, calls);
	if (PushCalls(rewrite, plan, calls, reader))
		return true;
	plan->targetlist = old_targetlist;
	plan->qual = old_qual;
	return false;
}

void
BatchAggregateArguments(Rewrite *rewrite, Plan *plan, const Reader *reader)
{
	Plan	   *child = plan->lefttree;
	int			ncolumns = list_length(child->targetlist);
	ScoreNodeSpec spec = {0};
	ScoreLevel	level = {0};

	spec.calls = FindCalls(rewrite, plan, reader);
	if (spec.calls == NIL)
		return;
	UseCallsBelow(plan, spec.calls);
	spec.child = child;
	level.calls = spec.calls;
	spec.levels = list_make1(&level);
	spec.targetlist = DropUnread(WholeTuple(child->targetlist, spec.calls), ColumnsRead(plan), ncolumns);
	plan->lefttree = PlaceScoreNode(rewrite, child, &spec, reader, false);
}
