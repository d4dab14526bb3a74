/*
 * reader.c
 *	  How the rows of a plan node are asked for.
 */
#include "postgres.h"

#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"

#include "compat.h"
#include "plan/reader.h"

/* What a reader is for a child that is read row by row as its parent is. */
static Reader
Unbounded(Reader reader)
{
	if (reader.limit_count)
	{
		reader.limit_count = NULL;
		reader.limit_offset = NULL;
		reader.stops_early = true;
	}
	return reader;
}

static Reader
ReadsAll(void)
{
	Reader		reader = {0};

	reader.reads_all = true;
	return reader;
}

Reader
StopsEarly(void)
{
	Reader		reader = {0};

	reader.stops_early = true;
	return reader;
}

static Reader
LimitReader(const Limit *limit, const Reader *parent)
{
	Reader		reader = StopsEarly();
	List	   *bounds = list_make2(limit->limitCount, limit->limitOffset);

	if (limit->limitCount == NULL)
	{
		/* OFFSET alone */
		return Unbounded(*parent);
	}
	if (limit->limitOption != LIMIT_OPTION_COUNT ||
		contain_subplans((Node *) bounds) || contain_volatile_functions((Node *) bounds))
		return reader;
	reader.limit_count = limit->limitCount;
	reader.limit_offset = limit->limitOffset;
	reader.limit_is_most = parent->stops_early || parent->limit_count != NULL;
	return reader;
}

Reader
OuterReader(Plan *plan, Reader parent)
{
	Reader		reader = Unbounded(parent);

	switch (nodeTag(plan))
	{
		case T_Limit:
			return LimitReader((Limit *) plan, &parent);
		case T_Sort:
		case T_Hash:
		case T_ModifyTable:
			return ReadsAll();
		case T_Agg:
			if (((Agg *) plan)->aggstrategy == AGG_PLAIN || ((Agg *) plan)->aggstrategy == AGG_HASHED)
				return ReadsAll();
			break;
		case T_Gather:
		case T_GatherMerge:
			/* workers go on until they are stopped */
			reader.stops_early = false;
			break;
		case T_Result:
			reader = parent;
			if (plan->qual != NIL)
				reader = Unbounded(reader);
			return reader;
		case T_Append:
		case T_MergeAppend:
			return reader;
		case T_MergeJoin:
			/* ends with the other side */
			return StopsEarly();
		case T_HashJoin:
			/* not read if the other side is empty */
			reader.reads_all = false;
			break;
		case T_WindowAgg:
			if (((WindowAgg *) plan)->runCondition != NIL)
				return StopsEarly();
			break;
		case T_Memoize:
			if (((Memoize *) plan)->singlerow)
				return StopsEarly();
			break;
		default:
			break;
	}
	reader.goes_back = false;
	return reader;
}

Reader
InnerReader(Plan *plan, Reader parent)
{
	Reader		reader = Unbounded(parent);
	Join	   *join = (Join *) plan;

	reader.goes_back = false;
	switch (nodeTag(plan))
	{
		case T_NestLoop:
			if (join->inner_unique || join->jointype == JOIN_SEMI || join->jointype == JOIN_ANTI)
				return StopsEarly();
			return reader;
		case T_MergeJoin:
			reader = StopsEarly();
			reader.goes_back = !((MergeJoin *) plan)->skip_mark_restore;
			return reader;
		default:
			return reader;
	}
}
