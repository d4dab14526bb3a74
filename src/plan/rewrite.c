/*
 * rewrite.c
 *	  Puts MtlScore nodes into a finished plan.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "jit/jit.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planmain.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "plan/batchable.h"
#include "plan/join_expansion.h"
#include "plan/plan_walk.h"
#include "plan/reader.h"
#include "plan/rewrite.h"
#include "plan/row_expansion.h"
#include "plan/score_node.h"
#include "score/score_kind.h"

typedef struct Rewrite
{
	PlannedStmt *statement;
	int			last_node_id;
} Rewrite;

static Plan *RewritePlan(Rewrite *rewrite, Plan *plan, Reader reader);

/* ------------------------------------------------------------ expressions */

/*
 * Whole rows that are features, which become row constructors of columns.
 */
typedef struct RowExpansion
{
	const PlannedStmt *statement;
	Plan	   *plan;			/* a scan or a join */
	List	   *calls;			/* those that will be computed in batches */
	List	   *replaced;		/* features */
	List	   *rows;			/* by these */
	List	   *wholes;			/* what they are for EXPLAIN */
	List	   *changes;		/* of nodes below a join */
} RowExpansion;

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

static Node *
ExpandRows(Node *node, RowExpansion *expansion)
{
	FuncExpr   *call;
	ListCell   *features;
	RowExpr    *row;

	if (node == NULL)
		return NULL;
	if (!IsA(node, FuncExpr) || !list_member(expansion->calls, node))
		return expression_tree_mutator(node, ExpandRows, (void *) expansion);
	call = copyObject((FuncExpr *) node);
	/* contexts are remembered as values */
	features = list_nth_cell(call->args, ScoreKindFind(call->funcid)->nrows);
	row = ExpandRow(expansion, lfirst(features));
	if (row)
		lfirst(features) = row;
	return (Node *) call;
}

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
	ListCell   *cell;
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
	foreach(cell, columns->entries)
	{
		entry = lfirst_node(TargetEntry, cell);
		if (equal(entry->expr, node))
			return (Node *) makeVarFromTargetEntry(OUTER_VAR, entry);
	}
	entry = makeTargetEntry(copyObject((Expr *) node), list_length(columns->entries) + 1, NULL, false);
	columns->entries = lappend(columns->entries, entry);
	return (Node *) makeVarFromTargetEntry(OUTER_VAR, entry);
}

/*
 * From expressions over the lower part's result to those over an MtlScore node's
 * scan tuple: its columns, then the calls.
 */
typedef struct ScanTuple
{
	int			ncolumns;
	List	   *calls;
	Index		varno;			/* INDEX_VAR; OUTER_VAR for the node above */
} ScanTuple;

static Node *
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
			if (equal(lfirst(cell), node))
				return (Node *) makeVar(tuple->varno, tuple->ncolumns + foreach_current_index(cell) + 1,
										exprType(node), exprTypmod(node), exprCollation(node), 0);
	return expression_tree_mutator(node, UseScores, (void *) tuple);
}

/*
 * A target list that hands the whole scan tuple on.
 */
static List *
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

/* ------------------------------------------------------------------ nodes */

static bool
AllFeaturesAreSafe(List *calls)
{
	ListCell   *cell;

	foreach(cell, calls)
		if (!FeaturesAreSafe(lfirst_node(FuncExpr, cell)))
			return false;
	return true;
}

/*
 * Whether calls may be computed ahead over this plan.
 */
static bool
MayReadAhead(const Rewrite *rewrite, Plan *child, List *calls, const Reader *reader, bool bounded)
{
	if (PlanHasEffects(rewrite->statement, child))
		return false;
	if (!reader->stops_early || bounded)
		return true;
	return AllFeaturesAreSafe(calls) && !PlanCanRaise(rewrite->statement, child);
}

/*
 * An MtlScore node in place of a plan: like it in all that its parent knows of it.
 */
static Plan *
MakeNode(Rewrite *rewrite, const Plan *like, ScoreNodeSpec *spec, const Reader *reader, bool bounded)
{
	Plan	   *node;

	spec->mode = reader->reads_all ? BATCH_ALL : BATCH_GROW;
	spec->put_off_errors = AllFeaturesAreSafe(spec->calls);
	if (bounded)
	{
		spec->limit_count = copyObject(reader->limit_count);
		spec->limit_offset = copyObject(reader->limit_offset);
	}
	node = (Plan *) ScoreNodeMake(spec);
	node->startup_cost = like->startup_cost;
	node->total_cost = like->total_cost;
	node->plan_rows = like->plan_rows;
	node->plan_width = like->plan_width;
	node->parallel_safe = like->parallel_safe;
	node->plan_node_id = ++rewrite->last_node_id;
	node->extParam = bms_copy(like->extParam);
	node->allParam = bms_copy(like->allParam);
	return node;
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

/* Whether the node computes a target list and conditions that can be split off. */
static bool
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
		top = MakeNode(rewrite, like, &spec, reader, bounded);
	}
	return top;
}

/*
 * Whether conditions between stages, which are checked ahead, can raise an error.
 */
static bool
StagesCanRaise(List *stages, int ncolumns)
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
			if (contain_leaked_vars(UseScores(lfirst(qual), &tuple)))
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

/*
 * Splits a node that has calls in its target list or conditions.
 */
static Plan *
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
	quals = (List *) ExpandRows((Node *) quals, &expansion);
	targetlist = (List *) ExpandRows((Node *) plan->targetlist, &expansion);
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
		(reader->stops_early && StagesCanRaise(stages, list_length(columns.entries))))
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

/* ------------------------------------------------- arguments of aggregates */

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

/*
 * Scores that are arguments of aggregates, or in their filters, are computed below
 * the aggregation.
 */
static void
BatchAggregateArguments(Rewrite *rewrite, Agg *agg, const Reader *reader)
{
	Plan	   *child = agg->plan.lefttree;
	ScoreNodeSpec spec = {0};
	ScanTuple	tuple = {list_length(child->targetlist), NIL, OUTER_VAR};
	List	   *entries = NIL;
	ListCell   *cell;

	(void) AggregateCallsWalker((Node *) agg->plan.targetlist, &spec.calls);
	(void) AggregateCallsWalker((Node *) agg->plan.qual, &spec.calls);
	if (spec.calls == NIL || agg->chain != NIL ||
		!MayReadAhead(rewrite, child, spec.calls, reader, false))
		return;

	spec.child = child;
	spec.calls = ScoreNodeSortCalls(spec.calls);
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
	agg->plan.lefttree = MakeNode(rewrite, child, &spec, reader, false);
}

/* ------------------------------------------------------------------- walk */

static void
RewriteList(Rewrite *rewrite, List *plans, Reader reader)
{
	ListCell   *cell;

	foreach(cell, plans)
		lfirst(cell) = RewritePlan(rewrite, lfirst(cell), reader);
}

static void
RewriteChildren(Rewrite *rewrite, Plan *plan, Reader reader)
{
	Reader		outer = OuterReader(plan, reader);

	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			/* its plan is a stand-in for what runs elsewhere */
			return;
		case T_Append:
			RewriteList(rewrite, ((Append *) plan)->appendplans, outer);
			break;
		case T_MergeAppend:
			RewriteList(rewrite, ((MergeAppend *) plan)->mergeplans, outer);
			break;
		case T_SubqueryScan:
			{
				SubqueryScan *scan = (SubqueryScan *) plan;

				if (plan->qual == NIL)
					outer = reader;
				outer.goes_back = false;
				scan->subplan = RewritePlan(rewrite, scan->subplan, outer);
				break;
			}
		default:
			break;
	}
	if (plan->lefttree)
		plan->lefttree = RewritePlan(rewrite, plan->lefttree, outer);
	if (plan->righttree)
		plan->righttree = RewritePlan(rewrite, plan->righttree, InnerReader(plan, reader));
}

static Plan *
RewritePlan(Rewrite *rewrite, Plan *plan, Reader reader)
{
	check_stack_depth();
	if (plan == NULL || IsScoreNode(plan))
		return plan;
	RewriteChildren(rewrite, plan, reader);
	if (IsA(plan, Agg))
	{
		Reader		input = OuterReader(plan, reader);

		BatchAggregateArguments(rewrite, (Agg *) plan, &input);
	}
	if (!reader.goes_back && CanSplit(plan))
		return SplitNode(rewrite, plan, &reader);
	return plan;
}

/* ------------------------------------------------------------- statements */

static void
FindLastNodeId(Rewrite *rewrite, Plan *plan)
{
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL)
		return;
	rewrite->last_node_id = Max(rewrite->last_node_id, plan->plan_node_id);
	foreach(cell, PlanChildren(plan))
		FindLastNodeId(rewrite, lfirst(cell));
}

/*
 * The first call that a plan makes by itself, or NULL; with_single also those of
 * plans of a single row without a FROM.
 */
static FuncExpr *
FindRemainingCall(Plan *plan, bool with_single)
{
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL)
		return NULL;
	if (with_single || !(IsA(plan, Result) && plan->lefttree == NULL))
	{
		List	   *expressions = PlanExpressions(plan);

		if (IsScoreNode(plan))
			expressions = list_make2(plan->targetlist, plan->qual);
		foreach(cell, expressions)
		{
			FuncExpr   *call = FindAnyCall(lfirst(cell));

			if (call)
				return call;
		}
	}
	foreach(cell, PlanChildren(plan))
	{
		FuncExpr   *call = FindRemainingCall(lfirst(cell), with_single);

		if (call)
			return call;
	}
	return NULL;
}

static FuncExpr *
FindRemainingCallInStatement(PlannedStmt *statement, bool with_single)
{
	FuncExpr   *call = FindRemainingCall(statement->planTree, with_single);
	ListCell   *cell;

	foreach(cell, statement->subplans)
		if (call == NULL)
			call = FindRemainingCall(lfirst(cell), with_single);
	return call;
}

bool
StatementCallsScores(PlannedStmt *statement)
{
	return FindRemainingCallInStatement(statement, true) != NULL;
}

static void
RequireNone(PlannedStmt *statement)
{
	FuncExpr   *call = FindRemainingCallInStatement(statement, false);

	if (call)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a call of %s cannot be computed in batches", get_func_name(call->funcid)),
				 errdetail("The setting mtl_rank.batching is \"require\"."),
				 errhint("A call can if it is evaluated for every row, the model is the same for all rows, and neither its arguments nor the rows below depend on volatile functions.")));
}

/*
 * What the planner took for the cost of scores that are computed in batches.
 */
static Cost
CostOfBatches(Plan *plan)
{
	Cost		cost = 0;
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL)
		return 0;
	if (IsScoreNode(plan))
	{
		QualCost	calls;

		cost_qual_eval(&calls, ScoreNodeCalls(plan), NULL);
		cost = calls.startup + calls.per_tuple * outerPlan(plan)->plan_rows;
	}
	foreach(cell, PlanChildren(plan))
		cost += CostOfBatches(lfirst(cell));
	return cost;
}

/*
 * Compiling expressions pays where a plan spends its time in them, but a batch is
 * compiled already.  So what decides is the cost of all else.
 */
static void
ChooseJit(PlannedStmt *statement)
{
	Cost		cost = statement->planTree->total_cost;
	ListCell   *cell;

	if (statement->jitFlags == PGJIT_NONE)
		return;
	cost -= CostOfBatches(statement->planTree);
	foreach(cell, statement->subplans)
		cost -= CostOfBatches(lfirst(cell));
	if (cost <= jit_above_cost)
		statement->jitFlags = PGJIT_NONE;
	if (cost <= jit_optimize_above_cost)
		statement->jitFlags &= ~PGJIT_OPT3;
	if (cost <= jit_inline_above_cost)
		statement->jitFlags &= ~PGJIT_INLINE;
}

/*
 * A scrollable cursor goes back in what it has kept.
 */
static void
KeepScrollable(Rewrite *rewrite, PlannedStmt *statement)
{
	Plan	   *top = statement->planTree;

	if (ExecSupportsBackwardScan(top))
		return;
	statement->planTree = materialize_finished_plan(top);
	statement->planTree->plan_node_id = ++rewrite->last_node_id;
}

void
BatchScores(PlannedStmt *statement, int cursor_options, bool required)
{
	Rewrite		rewrite = {statement, 0};
	Reader		reader = {0};
	ListCell   *cell;

	FindLastNodeId(&rewrite, statement->planTree);
	foreach(cell, statement->subplans)
		FindLastNodeId(&rewrite, lfirst(cell));

	/* cursors are planned for their first rows */
	reader.stops_early = (cursor_options & CURSOR_OPT_FAST_PLAN) != 0;
	statement->planTree = RewritePlan(&rewrite, statement->planTree, reader);
	RewriteList(&rewrite, statement->subplans, StopsEarly());
	ChooseJit(statement);
	if (cursor_options & CURSOR_OPT_SCROLL)
		KeepScrollable(&rewrite, statement);
	if (required)
		RequireNone(statement);
}
