/*
 * join_expansion.c
 *	  Whole rows of scans below a join, as columns that the scans deliver instead.
 *
 * Columns are added at the end of target lists, so that all places that others know
 * stay as they are; a NULL of its type takes the place of the row.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/tlist.h"

#include "compat.h"
#include "plan/join_expansion.h"
#include "plan/plan_walk.h"
#include "plan/row_expansion.h"
#include "plan/target_list.h"
#include "score/score_kind.h"

typedef struct Change
{
	Plan	   *plan;
	List	   *targetlist;		/* that it had */
} Change;

typedef struct Expansion
{
	const PlannedStmt *statement;
	List	  **changes;		/* the last one first */
	Node	  **whole;
} Expansion;

static void
SetTargetList(Expansion *expansion, Plan *plan, List *targetlist)
{
	Change	   *change = palloc(sizeof(Change));

	change->plan = plan;
	change->targetlist = plan->targetlist;
	*expansion->changes = lcons(change, *expansion->changes);
	plan->targetlist = targetlist;
}

void
UndoExpansions(List *changes)
{
	ListCell   *cell;

	foreach(cell, changes)
	{
		Change	   *change = lfirst(cell);

		change->plan->targetlist = change->targetlist;
	}
}

/* ------------------------------------------------------------------- uses */

typedef struct UseSearch
{
	int			varno;
	AttrNumber	column;
	List	   *calls;			/* the last row of their features is no use */
	int			nuses;
} UseSearch;

static bool
UseWalker(Node *node, UseSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		if (((Var *) node)->varno == search->varno && ((Var *) node)->varattno == search->column)
			search->nuses++;
		return false;
	}
	if (IsA(node, FuncExpr) && list_member(search->calls, node))
	{
		FuncExpr   *call = (FuncExpr *) node;
		int			last = ScoreKindFind(call->funcid)->nrows;
		ListCell   *cell;

		foreach(cell, call->args)
			if (foreach_current_index(cell) != last || !IsA(lfirst(cell), Var))
				(void) UseWalker(lfirst(cell), search);
		return false;
	}
	return expression_tree_walker(node, UseWalker, (void *) search);
}

/*
 * How often a node's expressions see a column of its input.
 */
static int
CountUses(Plan *plan, int varno, AttrNumber column, List *calls)
{
	UseSearch	search = {varno, column, calls, 0};
	ListCell   *cell;

	foreach(cell, PlanExpressions(plan))
		(void) UseWalker(lfirst(cell), &search);
	if (IsA(plan, NestLoop))
		foreach(cell, ((NestLoop *) plan)->nestParams)
			(void) UseWalker((Node *) lfirst_node(NestLoopParam, cell)->paramval, &search);
	return search.nuses;
}

/* -------------------------------------------------------------- expansion */

static RowExpr *ExpandColumn(Expansion *expansion, Plan *plan, AttrNumber column);

/*
 * Adds what a row has to the target list, unless it is there, and takes the row itself
 * out.  The result is over OUTER_VAR, the node's own result.
 */
static RowExpr *
DeliverColumns(Expansion *expansion, Plan *plan, AttrNumber column, const RowExpr *row)
{
	RowExpr    *delivered = copyObject(unconstify(RowExpr *, row));
	List	   *targetlist = list_copy(plan->targetlist);
	ListCell   *place = list_nth_cell(targetlist, column - 1);
	TargetEntry *entry;
	ListCell   *cell;

	lfirst(place) = NullInPlace(lfirst(place));
	foreach(cell, delivered->args)
	{
		/* anything else is what stands for a dropped column */
		if (!IsA(lfirst(cell), Var))
			continue;
		entry = tlist_member(lfirst(cell), targetlist);
		if (entry == NULL)
		{
			entry = makeTargetEntry(lfirst(cell), list_length(targetlist) + 1, NULL, false);
			targetlist = lappend(targetlist, entry);
		}
		lfirst(cell) = makeVarFromTargetEntry(OUTER_VAR, entry);
	}
	SetTargetList(expansion, plan, targetlist);
	return delivered;
}

/*
 * A node that hands its child's rows on as they are.
 */
static RowExpr *
ExpandHandedOn(Expansion *expansion, Plan *plan, AttrNumber column)
{
	Plan	   *child = plan->lefttree;
	int			known = list_length(plan->targetlist);
	List	   *targetlist = list_copy(plan->targetlist);
	RowExpr    *row;

	/* the one use is to hand it on */
	if (known != list_length(child->targetlist) || CountUses(plan, OUTER_VAR, column, NIL) != 1)
		return NULL;
	row = ExpandColumn(expansion, child, column);
	if (row == NULL)
		return NULL;
	for (int i = known; i < list_length(child->targetlist); i++)
	{
		TargetEntry *entry = flatCopyTargetEntry(list_nth(child->targetlist, i));

		entry->expr = (Expr *) makeVarFromTargetEntry(OUTER_VAR, entry);
		targetlist = lappend(targetlist, entry);
	}
	SetTargetList(expansion, plan, targetlist);
	return row;
}

/* Whether each row of a join has a row of this input. */
static bool
HasRows(const Join *join, int varno)
{
	switch (join->jointype)
	{
		case JOIN_INNER:
			return true;
		case JOIN_LEFT:
		case JOIN_SEMI:
		case JOIN_ANTI:
			return varno == OUTER_VAR;
		case JOIN_RIGHT:
			return varno == INNER_VAR;
		default:
			return false;
	}
}

/*
 * A column of a join's input that nothing but so many uses see.  The result is over
 * the join's inputs.
 */
static RowExpr *
ExpandInput(Expansion *expansion, Plan *join, const Node *input, List *calls, int nuses)
{
	const Var  *var = (const Var *) input;
	RowExpr    *row;
	ListCell   *cell;

	if (!IsA(input, Var) || (var->varno != OUTER_VAR && var->varno != INNER_VAR) || var->varattno <= 0 ||
		!HasRows((Join *) join, var->varno) || CountUses(join, var->varno, var->varattno, calls) != nuses)
		return NULL;
	row = ExpandColumn(expansion, var->varno == OUTER_VAR ? join->lefttree : join->righttree, var->varattno);
	if (row)
		foreach(cell, row->args)
			if (IsA(lfirst(cell), Var))
				((Var *) lfirst(cell))->varno = var->varno;
	return row;
}

/*
 * A column of a node's result that is a whole row of a scan, which nobody needs.
 */
static RowExpr *
ExpandColumn(Expansion *expansion, Plan *plan, AttrNumber column)
{
	Node	   *expression = (Node *) list_nth_node(TargetEntry, plan->targetlist, column - 1)->expr;
	RowExpr    *row;

	check_stack_depth();
	if (IsA(plan, Hash) || IsA(plan, Material) || IsA(plan, Memoize))
		return ExpandHandedOn(expansion, plan, column);
	if (IsJoin(plan))
		row = ExpandInput(expansion, plan, expression, NIL, 1);
	else
	{
		row = ExpandWholeRow(expansion->statement, plan, expression);
		*expansion->whole = expression;
	}
	/* tuples on their way must stay within the server's limit */
	if (row == NULL || list_length(plan->targetlist) + list_length(row->args) > MaxTupleAttributeNumber)
		return NULL;
	return DeliverColumns(expansion, plan, column, row);
}

RowExpr *
ExpandJoinedRow(const PlannedStmt *statement, Plan *join, Node *row, List *calls, List **changes, Node **whole)
{
	List	   *own = NIL;
	Expansion	expansion = {statement, &own, whole};
	RowExpr    *expanded;

	if (!IsJoin(join))
		return NULL;
	expanded = ExpandInput(&expansion, join, row, calls, 0);
	if (expanded)
		*changes = list_concat(own, *changes);
	else
		UndoExpansions(own);
	return expanded;
}
