/*
 * split_node.c
 *	  Splits a plan node that evaluates calls into one that does not, and MtlScore nodes.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/tlist.h"

#include "compat.h"
#include "plan/batchable.h"
#include "plan/feature_rows.h"
#include "plan/join_expansion.h"
#include "plan/plan_walk.h"
#include "plan/row_expansion.h"
#include "plan/scan_tuple.h"
#include "plan/split_node.h"

/*
 * The columns that the lower part of a node delivers.
 */
typedef struct Columns
{
	List	   *entries;		/* TargetEntries */
} Columns;

/*
 * Replaces what only the node itself can evaluate by columns of its result.
 */
static Node *
UseColumns(Node *node, Columns *columns)
{
	TargetEntry *entry;

	if (node == NULL)
		return NULL;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Aggref:
		case T_WindowFunc:
		case T_GroupingFunc:
			break;
		default:
			return expression_tree_mutator(node, UseColumns, (void *) columns);
	}
	entry = tlist_member((Expr *) node, columns->entries);
	if (entry)
		return (Node *) makeVarFromTargetEntry(OUTER_VAR, entry);
	entry = makeTargetEntry(copyObject((Expr *) node), list_length(columns->entries) + 1, NULL, false);
	columns->entries = lappend(columns->entries, entry);
	return (Node *) makeVarFromTargetEntry(OUTER_VAR, entry);
}

/*
 * A stage for the calls of an expression that no stage has yet, if there are some.
 */
static List *
AddStage(List *stages, List **calls, Node *expression)
{
	int			known = list_length(*calls);
	ScoreLevel *stage;

	*calls = FindBatchableCalls(expression, *calls);
	if (list_length(*calls) == known)
		return stages;
	stage = palloc0(sizeof(ScoreLevel));
	stage->calls = list_copy_tail(*calls, known);
	return lappend(stages, stage);
}

/*
 * Divides conditions, the first of which has a call, and target list into stages, which are
 * levels: calls of a later one are computed for rows that have passed the conditions of
 * those before.
 */
static List *
MakeStages(List *quals, List *targetlist)
{
	List	   *stages = NIL;
	List	   *calls = NIL;
	ListCell   *cell;

	foreach(cell, quals)
	{
		ScoreLevel *stage;

		stages = AddStage(stages, &calls, lfirst(cell));
		Assert(stages != NIL);
		stage = llast(stages);
		stage->qual = lappend(stage->qual, lfirst(cell));
	}
	return AddStage(stages, &calls, (Node *) targetlist);
}

/*
 * The place in a list of conditions where the first call is, or its length.
 */
static int
FirstCall(List *quals)
{
	ListCell   *cell;

	foreach(cell, quals)
		if (FindBatchableCalls(lfirst(cell), NIL) != NIL)
			return foreach_current_index(cell);
	return list_length(quals);
}

/* The conditions that an inner join checks before plan.qual; NULL for other nodes. */
static Join *
InnerJoin(Plan *plan)
{
	if (IsJoin(plan) && ((Join *) plan)->jointype == JOIN_INNER)
		return (Join *) plan;
	return NULL;
}

bool
CanSplit(const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_Result:
			/* a single row; PL/pgSQL wants to find it as it is */
			return plan->lefttree != NULL;
		case T_ForeignScan:
			return ((const ForeignScan *) plan)->operation == CMD_SELECT;
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_SubqueryScan:
		case T_FunctionScan:
		case T_TableFuncScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_NamedTuplestoreScan:
		case T_WorkTableScan:
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
		case T_Group:
		case T_Agg:
		case T_WindowAgg:
		case T_Gather:
		case T_GatherMerge:
			return true;
		default:
			return false;
	}
}

static bool
MultiexprWalker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) && ((SubPlan *) node)->subLinkType == MULTIEXPR_SUBLINK)
		return true;
	return expression_tree_walker(node, MultiexprWalker, context);
}

/*
 * Takes the calls out of a stage that can be of a later level of a node.
 */
static List *
TakeJoining(const Rewrite *rewrite, ScoreLevel *stage, const ScoreLevel *first)
{
	List	   *joining = NIL;
	List	   *others = NIL;
	ListCell   *cell;

	foreach(cell, stage->calls)
	{
		if (ScoreNodeCanJoin(lfirst(cell), first->calls, rewrite->lazy_params))
			joining = lappend(joining, lfirst(cell));
		else
			others = lappend(others, lfirst(cell));
	}
	stage->calls = others;
	return joining;
}

/*
 * Divides stages among nodes: lists of levels.  A node goes on with the calls of the next
 * stage that are over models and features of its first, and with its conditions if those
 * are all.
 */
static List *
DivideAmongNodes(const Rewrite *rewrite, List *stages)
{
	List	   *nodes = NIL;
	ScoreLevel *first = NULL;
	ListCell   *cell;

	foreach(cell, stages)
	{
		ScoreLevel *stage = lfirst(cell);
		List	   *joining = first ? TakeJoining(rewrite, stage, first) : NIL;

		if (joining != NIL)
		{
			ScoreLevel *level = palloc0(sizeof(ScoreLevel));

			level->calls = joining;
			llast(nodes) = lappend(llast(nodes), level);
			if (stage->calls == NIL)
			{
				level->qual = stage->qual;
				continue;
			}
		}
		first = stage;
		nodes = lappend(nodes, list_make1(stage));
	}
	return nodes;
}

static List *
CallsOfLevels(List *levels)
{
	List	   *calls = NIL;
	ListCell   *cell;

	foreach(cell, levels)
		calls = list_concat(calls, ((ScoreLevel *) lfirst(cell))->calls);
	return calls;
}

/*
 * The conditions of a node's levels over its scan tuple.  They see results of the calls up
 * to their level alone: one of a later level that they come to for some rows, as in a
 * CASE, stays a call.
 */
static List *
LevelsOverTuple(List *levels, ScanTuple tuple)
{
	List	   *result = NIL;
	ListCell   *cell;

	tuple.hidden = CallsOfLevels(levels);
	foreach(cell, levels)
	{
		const ScoreLevel *level = lfirst(cell);
		ScoreLevel *over = palloc(sizeof(ScoreLevel));

		tuple.hidden = list_difference_ptr(tuple.hidden, level->calls);
		over->calls = level->calls;
		over->qual = (List *) UseScores((Node *) level->qual, &tuple);
		result = lappend(result, over);
	}
	return result;
}

/*
 * Whether conditions can be checked before a row's turn.
 */
static bool
CanCheckAhead(const Rewrite *rewrite, List *quals, const Reader *reader)
{
	return !ExpressionHasEffects(rewrite->statement, (Node *) quals) &&
		!(reader->stops_early &&
		  (contain_leaked_vars((Node *) quals) || HasParam((Node *) quals, rewrite->lazy_params)));
}

/*
 * The same for those of the first nlevels levels.
 */
static bool
CanCheckLevelsAhead(const Rewrite *rewrite, const List *levels, int nlevels, const Reader *reader)
{
	for (int i = 0; i < nlevels; i++)
		if (!CanCheckAhead(rewrite, ((ScoreLevel *) list_nth(levels, i))->qual, reader))
			return false;
	return true;
}

/*
 * Puts the nodes over the lower part, whose columns the expressions see.  NULL if a node
 * would read ahead in another whose conditions must not be checked ahead.
 */
static Plan *
StackNodes(Rewrite *rewrite, Plan *child, const Plan *like, List *nodes, List *targetlist,
		   const RowExpansion *expansion, const Reader *reader, bool bounded)
{
	ScanTuple	tuple = {list_length(child->targetlist), NIL, NIL, INDEX_VAR};
	List	   *columns = child->targetlist;
	Plan	   *top = child;
	ListCell   *cell;

	foreach(cell, nodes)
	{
		bool		last = lnext(nodes, cell) == NULL;
		int			nlevels = list_length(lfirst(cell));
		ScoreNodeSpec spec = {0};

		spec.child = top;
		spec.calls = ScoreNodeSortCalls(CallsOfLevels(lfirst(cell)));
		spec.rows = expansion->rows;
		spec.wholes = expansion->wholes;
		tuple.calls = list_concat(tuple.calls, spec.calls);
		spec.levels = LevelsOverTuple(lfirst(cell), tuple);
		if (last)
			spec.targetlist = (List *) UseScores((Node *) targetlist, &tuple);
		else
			spec.targetlist = WholeTuple(columns, tuple.calls);
		if (!last && !CanCheckLevelsAhead(rewrite, spec.levels, nlevels, reader))
			return NULL;
		spec.check_ahead = CanCheckLevelsAhead(rewrite, spec.levels, nlevels - 1, reader);
		top = PlaceScoreNode(rewrite, like, &spec, reader, bounded);
	}
	return top;
}

/* Whether expressions over a scan see what is no column of its own, as ctid is. */
static bool
SystemColumnWalker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varattno <= 0;
	return expression_tree_walker(node, SystemColumnWalker, context);
}

Plan *
SplitNode(Rewrite *rewrite, Plan *plan, const Reader *reader)
{
	Join	   *join = InnerJoin(plan);
	int			first_join_qual = join ? FirstCall(join->joinqual) : 0;
	bool		split_join_qual = join && first_join_qual < list_length(join->joinqual);
	int			first_qual = split_join_qual ? 0 : FirstCall(plan->qual);
	List	   *quals = NIL;
	List	   *old_qual = plan->qual;
	List	   *old_join_qual = join ? join->joinqual : NIL;
	List	   *old_targetlist = plan->targetlist;
	List	   *targetlist;
	List	   *calls;
	RowExpansion expansion = {rewrite->statement, plan, NIL, NIL, NIL, NIL, NIL};
	Columns		columns = {NIL};
	bool		bounded;
	Plan	   *top = NULL;

	/* its conditions see rows that the node above must not see */
	if (IsA(plan, WindowAgg))
		first_qual = list_length(plan->qual);
	if (split_join_qual)
		quals = list_copy_tail(join->joinqual, first_join_qual);
	quals = list_concat(quals, list_copy_tail(plan->qual, first_qual));
	calls = FindBatchableCalls((Node *) plan->targetlist, FindBatchableCalls((Node *) quals, NIL));
	if (calls == NIL || MultiexprWalker((Node *) plan->targetlist, NULL))
		return plan;

	if (IsA(plan, Result) && plan->qual == NIL && ((Result *) plan)->resconstantqual == NULL && plan->initPlan == NIL)
	{
		/* it does nothing else: its child is the lower part */
		targetlist = plan->targetlist;
		bounded = reader->limit_count != NULL;
		if (!MayReadAhead(rewrite, plan->lefttree, calls, reader, bounded))
			return plan;
		return StackNodes(rewrite, plan->lefttree, plan, DivideAmongNodes(rewrite, MakeStages(NIL, targetlist)), targetlist,
						  &expansion, reader, bounded);
	}

	expansion.calls = calls;
	quals = (List *) ExpandFeatureRows((Node *) quals, &expansion);
	targetlist = (List *) ExpandFeatureRows((Node *) plan->targetlist, &expansion);
	if (!SystemColumnWalker((Node *) quals, NULL) && !SystemColumnWalker((Node *) targetlist, NULL))
		columns.entries = PhysicalTargetList(rewrite->statement, plan);
	quals = (List *) UseColumns((Node *) quals, &columns);
	targetlist = (List *) UseColumns((Node *) targetlist, &columns);
	expansion.rows = (List *) UseColumns((Node *) expansion.rows, &columns);
	bounded = reader->limit_count != NULL && quals == NIL;

	plan->targetlist = columns.entries;
	plan->qual = list_copy_head(plan->qual, first_qual);
	if (split_join_qual)
		join->joinqual = list_copy_head(join->joinqual, first_join_qual);

	if (MayReadAhead(rewrite, plan,
					 FindBatchableCalls((Node *) targetlist, FindBatchableCalls((Node *) quals, NIL)),
					 reader, bounded))
		top = StackNodes(rewrite, plan, plan, DivideAmongNodes(rewrite, MakeStages(quals, targetlist)), targetlist,
						 &expansion, reader, bounded);
	if (top == NULL)
	{
		UndoExpansions(expansion.changes);
		plan->targetlist = old_targetlist;
		plan->qual = old_qual;
		if (join)
			join->joinqual = old_join_qual;
		return plan;
	}
	/* a match was one that passes all of the conditions */
	if (split_join_qual)
		join->inner_unique = false;
	/* the node above does not know how to wait */
	plan->async_capable = false;
	top->initPlan = plan->initPlan;
	plan->initPlan = NIL;
	return top;
}
