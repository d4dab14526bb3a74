/*
 * batchable.c
 *	  Which calls of scoring functions can be computed for many rows at once.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/tupdesc.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "features/type_reader.h"
#include "plan/batchable.h"
#include "plan/plan_walk.h"
#include "score/score_kind.h"

/* -------------------------------------------------------------- arguments */

static bool
VariesWalker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Aggref:
		case T_WindowFunc:
		case T_GroupingFunc:
		case T_SubPlan:
		case T_AlternativeSubPlan:
			return true;
		default:
			return expression_tree_walker(node, VariesWalker, context);
	}
}

/*
 * Whether an expression has one value for a whole scan: a change of a parameter
 * makes the executor begin the scan again.
 */
static bool
IsConstantInScan(Node *node)
{
	return !VariesWalker(node, NULL) && !contain_mutable_functions(node);
}

static bool
IsBatchable(const FuncExpr *call, const ScoreKind *kind)
{
	List	   *args = call->args;

	if (list_length(args) != 1 + kind->nrows + (kind->has_option ? 1 : 0) ||
		!IsConstantInScan(linitial(args)) ||
		(kind->has_option && !IsConstantInScan(llast(args))))
		return false;
	for (int i = 0; i < kind->nrows; i++)
	{
		Node	   *features = list_nth(args, 1 + i);

		if (contain_subplans(features) || contain_volatile_functions(features))
			return false;
	}
	return true;
}

/* -------------------------------------------------- unconditional evaluation */

typedef struct CallSearch
{
	List	   *calls;
} CallSearch;

static bool FindWalker(Node *node, CallSearch *search);

static void
FindFirst(List *nodes, CallSearch *search)
{
	if (nodes != NIL)
		(void) FindWalker(linitial(nodes), search);
}

/*
 * Goes where evaluation goes in any case.  Of a node that is not known here, nothing
 * is taken for granted.
 */
static bool
FindWalker(Node *node, CallSearch *search)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_FuncExpr:
			{
				FuncExpr   *call = (FuncExpr *) node;
				const ScoreKind *kind = ScoreKindFind(call->funcid);

				if (kind && IsBatchable(call, kind))
				{
					search->calls = list_append_unique(search->calls, call);
					return false;
				}
				if (call->funcretset)
					return false;
				break;
			}
		case T_BoolExpr:
			{
				BoolExpr   *expression = (BoolExpr *) node;

				/* the others may be skipped */
				FindFirst(expression->args, search);
				return false;
			}
		case T_CaseExpr:
			{
				CaseExpr   *expression = (CaseExpr *) node;

				(void) FindWalker((Node *) expression->arg, search);
				if (expression->arg == NULL && expression->args != NIL)
					(void) FindWalker((Node *) linitial_node(CaseWhen, expression->args)->expr, search);
				return false;
			}
		case T_CoalesceExpr:
			FindFirst(((CoalesceExpr *) node)->args, search);
			return false;
		case T_SubscriptingRef:
			/* subscripts of a null are not computed */
			return FindWalker((Node *) ((SubscriptingRef *) node)->refexpr, search);
		case T_ArrayCoerceExpr:
			return FindWalker((Node *) ((ArrayCoerceExpr *) node)->arg, search);
		case T_RowCompareExpr:
			FindFirst(((RowCompareExpr *) node)->largs, search);
			FindFirst(((RowCompareExpr *) node)->rargs, search);
			return false;
		case T_OpExpr:
			if (((OpExpr *) node)->opretset)
				return false;
			break;
		case T_List:
		case T_TargetEntry:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_MinMaxExpr:
		case T_RowExpr:
		case T_ArrayExpr:
		case T_RelabelType:
		case T_CoerceViaIO:
		case T_CoerceToDomain:
		case T_ConvertRowtypeExpr:
		case T_CollateExpr:
		case T_FieldSelect:
		case T_NullTest:
		case T_BooleanTest:
			break;
		default:
			return false;
	}
	return expression_tree_walker(node, FindWalker, (void *) search);
}

List *
FindBatchableCalls(Node *expression, List *calls)
{
	CallSearch	search = {calls};

	(void) FindWalker(expression, &search);
	return search.calls;
}

static bool
AnyCallWalker(Node *node, FuncExpr **found)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ScoreKindFind(((FuncExpr *) node)->funcid))
	{
		*found = (FuncExpr *) node;
		return true;
	}
	return expression_tree_walker(node, AnyCallWalker, (void *) found);
}

FuncExpr *
FindAnyCall(Node *expression)
{
	FuncExpr   *found = NULL;

	(void) AnyCallWalker(expression, &found);
	return found;
}

/* ----------------------------------------------------------------- safety */

/* Of the server itself, immutable; or proven not to raise errors. */
static bool
FunctionIsUnsafe(Oid function, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	bool		safe;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	safe = form->prolang == INTERNALlanguageId &&
		(form->proleakproof || form->provolatile == PROVOLATILE_IMMUTABLE);
	ReleaseSysCache(tuple);
	return !safe;
}

/*
 * Whether the server's functions may call somebody else's for values of a type, as to
 * compare rows, or the elements of an array.
 */
static bool
TypeIsForeign(Oid type)
{
	Oid			base = getBaseType(type);

	return base == RECORDOID || base == RECORDARRAYOID ||
		(base >= FirstNormalObjectId && !type_is_enum(base));
}

static bool
ArgumentsAreForeign(List *args)
{
	ListCell   *cell;

	foreach(cell, args)
		if (TypeIsForeign(exprType(lfirst(cell))))
			return true;
	return false;
}

static bool
UnsafeWalker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_Param:
		case T_Aggref:
		case T_WindowFunc:
		case T_GroupingFunc:
			return false;		/* computed by the child, or nothing to compute */
		case T_MinMaxExpr:
			/* compares with the type's own function */
			if (TypeIsForeign(((MinMaxExpr *) node)->minmaxtype))
				return true;
			break;
		case T_SubscriptingRef:
			if (((SubscriptingRef *) node)->refcontainertype >= FirstNormalObjectId)
				return true;
			break;
		case T_FuncExpr:
			if (ArgumentsAreForeign(((FuncExpr *) node)->args))
				return true;
			break;
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
			if (ArgumentsAreForeign(((OpExpr *) node)->args))
				return true;
			break;
		case T_ScalarArrayOpExpr:
			if (ArgumentsAreForeign(((ScalarArrayOpExpr *) node)->args))
				return true;
			break;
		case T_CoerceViaIO:
		case T_ArrayCoerceExpr:
		case T_List:
		case T_BoolExpr:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_RowExpr:
		case T_ArrayExpr:
		case T_RelabelType:
		case T_ConvertRowtypeExpr:
		case T_CollateExpr:
		case T_FieldSelect:
		case T_NullTest:
		case T_BooleanTest:
		case T_SQLValueFunction:
			break;
		default:
			return true;
	}
	return check_functions_in_node(node, FunctionIsUnsafe, context) ||
		expression_tree_walker(node, UnsafeWalker, context);
}

/* The row type that was looked at last: it is mostly the same. */
static struct
{
	Oid			type;			/* InvalidOid: none */
	uint64		identifier;		/* another one once the type was altered */
	bool		safe;
} last_row_type;

/* There may be a cast now that was not there. */
static void
ForgetRowType(Datum arg, int cache, uint32 hash)
{
	last_row_type.type = InvalidOid;
}

static bool
RowTypeIsSafe(Oid type)
{
	static bool registered = false;
	uint64		identifier = assign_record_type_identifier(type, -1);
	TupleDesc	descriptor;
	bool		safe = true;

	if (type == last_row_type.type && identifier == last_row_type.identifier)
		return last_row_type.safe;
	if (!registered)
	{
		CacheRegisterSyscacheCallback(CASTSOURCETARGET, ForgetRowType, (Datum) 0);
		registered = true;
	}

	last_row_type.type = InvalidOid;
	descriptor = lookup_rowtype_tupdesc(type, -1);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		safe = safe && (attribute->attisdropped || !TypeReaderCallsCast(attribute->atttypid));
	}
	ReleaseTupleDesc(descriptor);
	last_row_type.type = type;
	last_row_type.identifier = identifier;
	last_row_type.safe = safe;
	return safe;
}

static bool
FeatureTypeIsSafe(Node *features)
{
	Oid			type = exprType(features);
	Oid			base = getBaseType(type);
	ListCell   *cell;

	if (base == RECORDOID)
	{
		/* of any other record the columns are not known yet */
		if (!IsA(features, RowExpr))
			return false;
		foreach(cell, ((RowExpr *) features)->args)
			if (TypeReaderCallsCast(exprType(lfirst(cell))))
				return false;
		return true;
	}
	if (type_is_rowtype(base))
		return RowTypeIsSafe(base);
	return !TypeReaderCallsCast(base);
}

bool
FeatureTypesAreSafe(const FuncExpr *call)
{
	const ScoreKind *kind = ScoreKindFind(call->funcid);

	for (int i = 0; i < kind->nrows; i++)
		if (!FeatureTypeIsSafe(list_nth(call->args, 1 + i)))
			return false;
	return true;
}

bool
FeaturesAreSafe(const FuncExpr *call, Bitmapset *lazy_params)
{
	const ScoreKind *kind = ScoreKindFind(call->funcid);

	/* the first row of a batch is not read ahead: by then, parameters that each row needs are there */
	for (int i = 0; i < kind->nrows; i++)
		if (UnsafeWalker(list_nth(call->args, 1 + i), NULL) ||
			MayNeedParamLater(list_nth(call->args, 1 + i), lazy_params))
			return false;
	return FeatureTypesAreSafe(call);
}
