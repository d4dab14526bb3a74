/*
 * plan_walk.h
 *	  Questions to a finished plan that the server has no functions for.
 */
#ifndef MTL_RANK_PLAN_WALK_H
#define MTL_RANK_PLAN_WALK_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* Whether a plan joins two others: it is a Join. */
extern bool IsJoin(const Plan *plan);

/* Plans directly below, in any of a node's fields. */
extern List *PlanChildren(Plan *plan);

/* All expressions that a node itself evaluates. */
extern List *PlanExpressions(Plan *plan);

/* Whether evaluating an expression, or all of a list, has effects that can be noticed. */
extern bool ExpressionHasEffects(const PlannedStmt *statement, Node *expression);

/*
 * Whether reading more rows of a plan has effects that can be noticed: volatile
 * functions, locks on rows, changes.  Subplans are looked into.
 */
extern bool PlanHasEffects(const PlannedStmt *statement, Plan *plan);

/*
 * Whether reading more rows of a plan than are asked for can raise an error, or
 * compute scores.  What a node does before its first row comes out does not count.
 */
extern bool PlanCanRaise(const PlannedStmt *statement, Plan *plan, Bitmapset *lazy_params);

/*
 * Parameters that stand for subqueries, which run when one of these is first used, and
 * then can raise errors and have effects.  After an error they must not run again.
 */
extern Bitmapset *LazyParams(const PlannedStmt *statement);

/*
 * Whether an expression uses one of these parameters; or may use it for another row than
 * the first, as inside CASE.
 */
extern bool HasParam(Node *expression, Bitmapset *params);
extern bool MayNeedParamLater(Node *expression, Bitmapset *params);

/* Parameters that a plan has used for certain when its first row comes out. */
extern Bitmapset *ParamsOfFirstRow(const Plan *plan);

#endif							/* MTL_RANK_PLAN_WALK_H */
