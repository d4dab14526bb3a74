/*
 * plan_walk.c
 *	  Questions to a finished plan that the server has no functions for.
 */
#include "postgres.h"

#include "access/transam.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"

#include "compat.h"
#include "plan/plan_walk.h"

bool
IsJoin(const Plan *plan)
{
	return IsA(plan, NestLoop) || IsA(plan, MergeJoin) || IsA(plan, HashJoin);
}

List *
PlanChildren(Plan *plan)
{
	List	   *children = NIL;

	if (plan->lefttree)
		children = lappend(children, plan->lefttree);
	if (plan->righttree)
		children = lappend(children, plan->righttree);
	switch (nodeTag(plan))
	{
		case T_Append:
			return list_concat(children, ((Append *) plan)->appendplans);
		case T_MergeAppend:
			return list_concat(children, ((MergeAppend *) plan)->mergeplans);
		case T_BitmapAnd:
			return list_concat(children, ((BitmapAnd *) plan)->bitmapplans);
		case T_BitmapOr:
			return list_concat(children, ((BitmapOr *) plan)->bitmapplans);
		case T_CustomScan:
			return list_concat(children, ((CustomScan *) plan)->custom_plans);
		case T_SubqueryScan:
			return lappend(children, ((SubqueryScan *) plan)->subplan);
		default:
			return children;
	}
}

List *
PlanExpressions(Plan *plan)
{
	List	   *list = list_make2(plan->targetlist, plan->qual);

	switch (nodeTag(plan))
	{
		case T_SampleScan:
			return lappend(list, ((SampleScan *) plan)->tablesample);
		case T_IndexScan:
			list = lappend(list, ((IndexScan *) plan)->indexqual);
			list = lappend(list, ((IndexScan *) plan)->indexqualorig);
			list = lappend(list, ((IndexScan *) plan)->indexorderby);
			return lappend(list, ((IndexScan *) plan)->indexorderbyorig);
		case T_IndexOnlyScan:
			list = lappend(list, ((IndexOnlyScan *) plan)->indexqual);
			list = lappend(list, ((IndexOnlyScan *) plan)->recheckqual);
			return lappend(list, ((IndexOnlyScan *) plan)->indexorderby);
		case T_BitmapIndexScan:
			return lappend(list, ((BitmapIndexScan *) plan)->indexqual);
		case T_BitmapHeapScan:
			return lappend(list, ((BitmapHeapScan *) plan)->bitmapqualorig);
		case T_TidScan:
			return lappend(list, ((TidScan *) plan)->tidquals);
		case T_TidRangeScan:
			return lappend(list, ((TidRangeScan *) plan)->tidrangequals);
		case T_FunctionScan:
			return lappend(list, ((FunctionScan *) plan)->functions);
		case T_TableFuncScan:
			return lappend(list, ((TableFuncScan *) plan)->tablefunc);
		case T_ValuesScan:
			return lappend(list, ((ValuesScan *) plan)->values_lists);
		case T_ForeignScan:
			list = lappend(list, ((ForeignScan *) plan)->fdw_exprs);
			return lappend(list, ((ForeignScan *) plan)->fdw_recheck_quals);
		case T_CustomScan:
			return lappend(list, ((CustomScan *) plan)->custom_exprs);
		case T_NestLoop:
			return lappend(list, ((NestLoop *) plan)->join.joinqual);
		case T_MergeJoin:
			list = lappend(list, ((MergeJoin *) plan)->mergeclauses);
			return lappend(list, ((MergeJoin *) plan)->join.joinqual);
		case T_HashJoin:
			list = lappend(list, ((HashJoin *) plan)->hashclauses);
			list = lappend(list, ((HashJoin *) plan)->hashkeys);
			return lappend(list, ((HashJoin *) plan)->join.joinqual);
		case T_Hash:
			return lappend(list, ((Hash *) plan)->hashkeys);
		case T_Memoize:
			return lappend(list, ((Memoize *) plan)->param_exprs);
		case T_Result:
			return lappend(list, ((Result *) plan)->resconstantqual);
		case T_Limit:
			list = lappend(list, ((Limit *) plan)->limitOffset);
			return lappend(list, ((Limit *) plan)->limitCount);
		case T_WindowAgg:
			list = lappend(list, ((WindowAgg *) plan)->runCondition);
			list = lappend(list, ((WindowAgg *) plan)->startOffset);
			return lappend(list, ((WindowAgg *) plan)->endOffset);
		case T_ModifyTable:
			list = lappend(list, ((ModifyTable *) plan)->returningLists);
			list = lappend(list, ((ModifyTable *) plan)->withCheckOptionLists);
			list = lappend(list, ((ModifyTable *) plan)->onConflictSet);
			list = lappend(list, ((ModifyTable *) plan)->onConflictWhere);
			return lappend(list, ((ModifyTable *) plan)->mergeActionLists);
		default:
			return list;
	}
}

/* ---------------------------------------------------------------- effects */

static Plan *
SubplanOf(const PlannedStmt *statement, int id)
{
	return list_nth(statement->subplans, id - 1);
}

static bool
SubplanEffectsWalker(Node *node, const PlannedStmt *statement)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) &&
		PlanHasEffects(statement, SubplanOf(statement, ((SubPlan *) node)->plan_id)))
		return true;
	return expression_tree_walker(node, SubplanEffectsWalker, (void *) statement);
}

bool
ExpressionHasEffects(const PlannedStmt *statement, Node *expression)
{
	return contain_volatile_functions(expression) || SubplanEffectsWalker(expression, statement);
}

bool
PlanHasEffects(const PlannedStmt *statement, Plan *plan)
{
	ListCell   *cell;

	check_stack_depth();
	if (plan == NULL)
		return false;
	if (IsA(plan, ModifyTable) || IsA(plan, LockRows))
		return true;
	foreach(cell, PlanExpressions(plan))
		if (ExpressionHasEffects(statement, lfirst(cell)))
			return true;
	if (ExpressionHasEffects(statement, (Node *) plan->initPlan))
		return true;
	if (IsA(plan, CteScan) && PlanHasEffects(statement, SubplanOf(statement, ((CteScan *) plan)->ctePlanId)))
		return true;
	foreach(cell, PlanChildren(plan))
		if (PlanHasEffects(statement, lfirst(cell)))
			return true;
	return false;
}

/* ----------------------------------------------------------------- errors */

static bool
HasParamWalker(Node *node, Bitmapset *params)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_EXEC && bms_is_member(((Param *) node)->paramid, params);
	return expression_tree_walker(node, HasParamWalker, (void *) params);
}

bool
HasParam(Node *expression, Bitmapset *params)
{
	return params != NULL && HasParamWalker(expression, params);
}

/* Whether the parts of an expression are evaluated for some rows only. */
static bool
IsConditional(const Node *node)
{
	return IsA(node, BoolExpr) || IsA(node, CaseExpr) || IsA(node, CoalesceExpr) || IsA(node, SubscriptingRef);
}

static bool
LaterWalker(Node *node, Bitmapset *params)
{
	if (node == NULL)
		return false;
	if (IsConditional(node))
		return HasParam(node, params);
	return expression_tree_walker(node, LaterWalker, (void *) params);
}

bool
MayNeedParamLater(Node *expression, Bitmapset *params)
{
	return params != NULL && LaterWalker(expression, params);
}

/*
 * Aggregates of the server finish without an error once they have their input;
 * anything else must be leakproof.
 */
static bool
ExpressionCanRaise(Node *expression, Bitmapset *lazy_params)
{
	if (expression == NULL)
		return false;
	if (IsA(expression, List))
	{
		ListCell   *cell;

		foreach(cell, (List *) expression)
			if (ExpressionCanRaise(lfirst(cell), lazy_params))
				return true;
		return false;
	}
	if (IsA(expression, TargetEntry))
		return ExpressionCanRaise((Node *) ((TargetEntry *) expression)->expr, lazy_params);
	if (IsA(expression, Aggref))
		return ((Aggref *) expression)->aggfnoid >= FirstNormalObjectId;
	return contain_leaked_vars(expression) || HasParam(expression, lazy_params);
}

bool
PlanCanRaise(const PlannedStmt *statement, Plan *plan, Bitmapset *lazy_params)
{
	bool		before_first_row = false;
	ListCell   *cell;

	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_Sort:
		case T_Hash:
			before_first_row = true;
			break;
		case T_Agg:
			before_first_row = ((Agg *) plan)->aggstrategy == AGG_HASHED || ((Agg *) plan)->aggstrategy == AGG_PLAIN;
			break;
		case T_Gather:
		case T_GatherMerge:
			/* workers read ahead anyway */
			before_first_row = true;
			break;
		case T_Result:
		case T_Append:
		case T_MergeAppend:
		case T_SubqueryScan:
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_BitmapIndexScan:
		case T_BitmapAnd:
		case T_BitmapOr:
		case T_TidScan:
		case T_TidRangeScan:
		case T_ValuesScan:
		case T_CteScan:
		case T_WorkTableScan:
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
		case T_Material:
		case T_Unique:
		case T_Limit:
			break;
		case T_FunctionScan:
			/* the function has run to its end */
			return ExpressionCanRaise((Node *) plan->targetlist, lazy_params) ||
				ExpressionCanRaise((Node *) plan->qual, lazy_params);
		default:
			return true;
	}
	foreach(cell, PlanExpressions(plan))
		if (ExpressionCanRaise(lfirst(cell), lazy_params))
			return true;
	if (IsA(plan, CteScan) &&
		PlanCanRaise(statement, SubplanOf(statement, ((CteScan *) plan)->ctePlanId), lazy_params))
		return true;
	if (before_first_row)
		return false;
	foreach(cell, PlanChildren(plan))
		if (PlanCanRaise(statement, lfirst(cell), lazy_params))
			return true;
	return false;
}

/* --------------------------------------------------------- initial plans */

static bool
AlwaysWalker(Node *node, Bitmapset **params)
{
	if (node == NULL || IsConditional(node) || IsA(node, SubPlan) || IsA(node, AlternativeSubPlan))
		return false;
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_EXEC)
		*params = bms_add_member(*params, ((Param *) node)->paramid);
	return expression_tree_walker(node, AlwaysWalker, (void *) params);
}

/*
 * What a join's first row tells of its inputs: that those whose rows it must have had
 * their first.
 */
static Bitmapset *
ParamsOfJoin(const Join *join)
{
	Bitmapset  *params = NULL;

	if (join->jointype == JOIN_INNER)
	{
		(void) AlwaysWalker((Node *) join->joinqual, &params);
		params = bms_join(params, ParamsOfFirstRow(join->plan.righttree));
	}
	if (join->jointype == JOIN_INNER || join->jointype == JOIN_LEFT ||
		join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI)
		params = bms_join(params, ParamsOfFirstRow(join->plan.lefttree));
	return params;
}

Bitmapset *
ParamsOfFirstRow(const Plan *plan)
{
	Bitmapset  *params = NULL;

	check_stack_depth();
	switch (nodeTag(plan))
	{
		case T_IndexScan:
			(void) AlwaysWalker((Node *) ((const IndexScan *) plan)->indexqual, &params);
			break;
		case T_IndexOnlyScan:
			(void) AlwaysWalker((Node *) ((const IndexOnlyScan *) plan)->indexqual, &params);
			break;
		case T_BitmapIndexScan:
			(void) AlwaysWalker((Node *) ((const BitmapIndexScan *) plan)->indexqual, &params);
			break;
		case T_SubqueryScan:
			params = ParamsOfFirstRow(((const SubqueryScan *) plan)->subplan);
			break;
		case T_NestLoop:
		case T_MergeJoin:
		case T_HashJoin:
			params = ParamsOfJoin((const Join *) plan);
			break;
		case T_Result:
		case T_BitmapHeapScan:
		case T_Material:
		case T_Hash:
		case T_Sort:
		case T_Unique:
		case T_Limit:
			if (plan->lefttree)
				params = ParamsOfFirstRow(plan->lefttree);
			break;
		default:
			break;
	}
	/* a row has passed all conditions */
	(void) AlwaysWalker((Node *) plan->qual, &params);
	return params;
}

static Bitmapset *
AddParams(Bitmapset *params, Plan *plan)
{
	ListCell   *cell;
	ListCell   *param;

	check_stack_depth();
	if (plan == NULL)
		return params;
	foreach(cell, plan->initPlan)
		foreach(param, lfirst_node(SubPlan, cell)->setParam)
			params = bms_add_member(params, lfirst_int(param));
	foreach(cell, PlanChildren(plan))
		params = AddParams(params, lfirst(cell));
	return params;
}

Bitmapset *
LazyParams(const PlannedStmt *statement)
{
	Bitmapset  *params = AddParams(NULL, statement->planTree);
	ListCell   *cell;

	foreach(cell, statement->subplans)
		params = AddParams(params, lfirst(cell));
	return params;
}
