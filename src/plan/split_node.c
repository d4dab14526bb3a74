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

/* A condition's calls, and whether it begins a node of its own. */
typedef struct Stage
{
	List	   *calls;
	List	   *qual;
} Stage;

/*
 * Divides conditions and target list into stages: calls of a later one are computed
 * for rows that have passed the conditions of those before.
 */
static List *
MakeStages(List *quals, List *targetlist)
{
	List	   *stages = NIL;
	List	   *calls = NIL;
	Stage	   *stage = NULL;
	ListCell   *cell;

	foreach(cell, quals)
	{
		int			known = list_length(calls);

		calls = FindBatchableCalls(lfirst(cell), calls);
		if (list_length(calls) > known)
		{
			stage = palloc0(sizeof(Stage));
			stage->calls = list_copy_tail(calls, known);
			stages = lappend(stages, stage);
		}
		Assert(stage != NULL);
		stage->qual = lappend(stage->qual, lfirst(cell));
	}

	{
		int			known = list_length(calls);

		calls = FindBatchableCalls((Node *) targetlist, calls);
		if (list_length(calls) > known)
		{
			stage = palloc0(sizeof(Stage));
			stage->calls = list_copy_tail(calls, known);
			stages = lappend(stages, stage);
		}
	}
	return stages;
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
	if ((IsA(plan, NestLoop) || IsA(plan, MergeJoin) || IsA(plan, HashJoin)) &&
		((Join *) plan)->jointype == JOIN_INNER)
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
 * Puts the stages over the lower part, whose columns the expressions see.
 */
static Plan *
StackStages(Rewrite *rewrite, Plan *child, const Plan *like, List *stages, List *targetlist,
			const RowExpansion *expansion, const Reader *reader, bool bounded)
{
	ScanTuple	tuple = {list_length(child->targetlist), NIL, INDEX_VAR};
	List	   *columns = child->targetlist;
	Plan	   *top = child;
	ListCell   *cell;

	foreach(cell, stages)
	{
		Stage	   *stage = lfirst(cell);
		ScoreNodeSpec spec = {0};

		spec.child = top;
		spec.calls = ScoreNodeSortCalls(stage->calls);
		spec.rows = expansion->rows;
		spec.wholes = expansion->wholes;
		tuple.calls = list_concat(tuple.calls, spec.calls);
		spec.qual = (List *) UseScores((Node *) stage->qual, &tuple);
		if (lnext(stages, cell) == NULL)
			spec.targetlist = (List *) UseScores((Node *) targetlist, &tuple);
		else
			spec.targetlist = WholeTuple(columns, tuple.calls);
		top = PlaceScoreNode(rewrite, like, &spec, reader, bounded);
	}
	return top;
}

/*
 * Whether conditions between stages, which are checked ahead, can raise an error.
 */
static bool
StagesCanRaise(const Rewrite *rewrite, List *stages, int ncolumns)
{
	ScanTuple	tuple = {ncolumns, NIL, INDEX_VAR};
	ListCell   *cell;
	ListCell   *qual;

	foreach(cell, stages)
	{
		Stage	   *stage = lfirst(cell);

		if (lnext(stages, cell) == NULL)
			break;
		tuple.calls = list_concat(tuple.calls, stage->calls);
		foreach(qual, stage->qual)
			if (contain_leaked_vars(UseScores(lfirst(qual), &tuple)) ||
				HasParam(lfirst(qual), rewrite->lazy_params))
				return true;
	}
	return false;
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
	List	   *stages;
	List	   *calls;
	RowExpansion expansion = {rewrite->statement, plan, NIL, NIL, NIL, NIL, NIL};
	Columns		columns = {NIL};
	bool		bounded;

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
		stages = MakeStages(NIL, targetlist);
		bounded = reader->limit_count != NULL;
		if (!MayReadAhead(rewrite, plan->lefttree, calls, reader, bounded))
			return plan;
		return StackStages(rewrite, plan->lefttree, plan, stages, targetlist, &expansion, reader, bounded);
	}

	expansion.calls = calls;
	quals = (List *) ExpandFeatureRows((Node *) quals, &expansion);
	targetlist = (List *) ExpandFeatureRows((Node *) plan->targetlist, &expansion);
	if (!SystemColumnWalker((Node *) quals, NULL) && !SystemColumnWalker((Node *) targetlist, NULL))
		columns.entries = PhysicalTargetList(rewrite->statement, plan);
	quals = (List *) UseColumns((Node *) quals, &columns);
	targetlist = (List *) UseColumns((Node *) targetlist, &columns);
	expansion.rows = (List *) UseColumns((Node *) expansion.rows, &columns);
	stages = MakeStages(quals, targetlist);
	bounded = reader->limit_count != NULL && quals == NIL;

	plan->targetlist = columns.entries;
	plan->qual = list_copy_head(plan->qual, first_qual);
	if (split_join_qual)
		join->joinqual = list_copy_head(join->joinqual, first_join_qual);

	if (!MayReadAhead(rewrite, plan,
					  FindBatchableCalls((Node *) targetlist, FindBatchableCalls((Node *) quals, NIL)),
					  reader, bounded) ||
		(reader->stops_early && StagesCanRaise(rewrite, stages, list_length(columns.entries))))
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

	{
		Plan	   *top = StackStages(rewrite, plan, plan, stages, targetlist, &expansion, reader, bounded);

		top->initPlan = plan->initPlan;
		plan->initPlan = NIL;
		return top;
	}
}
