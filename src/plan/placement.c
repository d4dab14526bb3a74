/*
 * placement.c
 *	  Where an MtlScore node may stand, and the node for the place.
 */
#include "postgres.h"

#include "compat.h"
#include "plan/batchable.h"
#include "plan/placement.h"
#include "plan/plan_walk.h"

static bool
AllFeaturesAreSafe(List *calls, Bitmapset *lazy_params)
{
	ListCell   *cell;

	foreach(cell, calls)
		if (!FeaturesAreSafe(lfirst_node(FuncExpr, cell), lazy_params))
			return false;
	return true;
}

/*
 * The parameters that may be used for the first time when rows have come out of a plan.
 */
static Bitmapset *
ParamsOfLaterRows(const Rewrite *rewrite, const Plan *plan)
{
	if (rewrite->lazy_params == NULL)
		return NULL;
	return bms_difference(rewrite->lazy_params, ParamsOfFirstRow(plan));
}

bool
MayReadAhead(const Rewrite *rewrite, Plan *child, List *calls, const Reader *reader, bool bounded)
{
	Bitmapset  *lazy_params;

	if (PlanHasEffects(rewrite->statement, child))
		return false;
	if (!reader->stops_early || (bounded && !reader->limit_is_most))
		return true;
	lazy_params = ParamsOfLaterRows(rewrite, child);
	return AllFeaturesAreSafe(calls, lazy_params) && !PlanCanRaise(rewrite->statement, child, lazy_params);
}

Plan *
PlaceScoreNode(Rewrite *rewrite, const Plan *like, ScoreNodeSpec *spec, const Reader *reader, bool bounded)
{
	Plan	   *node;

	spec->mode = reader->reads_all ? BATCH_ALL : BATCH_GROW;
	spec->put_off_errors = AllFeaturesAreSafe(spec->calls, ParamsOfLaterRows(rewrite, spec->child));
	if (bounded)
	{
		spec->limit_count = copyObject(reader->limit_count);
		spec->limit_offset = copyObject(reader->limit_offset);
		spec->limit_is_most = reader->limit_is_most;
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
