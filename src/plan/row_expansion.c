/*
 * row_expansion.c
 *	  Whole rows of a scan, as the columns that they are made of.
 *
 * A whole row as a value is a tuple that is made for each row, with all that is toasted
 * in it fetched, and taken apart again.  The columns are there without any of that.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "compat.h"
#include "plan/row_expansion.h"

/* The range table entry that a node scans, or NULL. */
static RangeTblEntry *
ScannedEntry(const PlannedStmt *statement, const Plan *plan)
{
	switch (nodeTag(plan))
	{
		case T_ForeignScan:
			if (((const ForeignScan *) plan)->fdw_scan_tlist != NIL)
				return NULL;
			break;
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_BitmapHeapScan:
		case T_TidScan:
		case T_TidRangeScan:
		case T_SubqueryScan:
		case T_CteScan:
			break;
		default:
			return NULL;
	}
	if (((const Scan *) plan)->scanrelid == 0)
		return NULL;
	return rt_fetch(((const Scan *) plan)->scanrelid, statement->rtable);
}

static RowExpr *
MakeRow(Oid type, List *columns, List *names)
{
	RowExpr    *row = makeNode(RowExpr);

	row->args = columns;
	row->row_typeid = type;
	row->row_format = COERCE_IMPLICIT_CAST;
	row->colnames = names;
	row->location = -1;
	return row;
}

/* What stands for a column that was dropped. */
static void
AddDropped(List **columns, List **names)
{
	*columns = lappend(*columns, makeNullConst(INT4OID, -1, InvalidOid));
	*names = lappend(*names, makeString(pstrdup("")));
}

static RowExpr *
ExpandTableRow(const RangeTblEntry *entry, const Var *row)
{
	Relation	table;
	List	   *columns = NIL;
	List	   *names = NIL;

	if (typeidTypeRelid(row->vartype) != entry->relid)
		return NULL;
	/* the planner has locked it */
	table = table_open(entry->relid, NoLock);
	for (int i = 0; i < RelationGetNumberOfAttributes(table); i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), i);

		if (attribute->attisdropped)
		{
			AddDropped(&columns, &names);
			continue;
		}
		columns = lappend(columns, makeVar(row->varno, i + 1, attribute->atttypid, attribute->atttypmod,
										   attribute->attcollation, 0));
		names = lappend(names, makeString(pstrdup(NameStr(attribute->attname))));
	}
	table_close(table, NoLock);
	return MakeRow(row->vartype, columns, names);
}

/*
 * A row of a subquery, whose columns are those of its plan, under the names that the
 * query gives them.
 */
static RowExpr *
ExpandSubqueryRow(const RangeTblEntry *entry, const Plan *subplan, const Var *row)
{
	List	   *columns = NIL;
	ListCell   *cell;

	if (row->vartype != RECORDOID)
		return NULL;
	foreach(cell, subplan->targetlist)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);

		if (!target->resjunk)
			columns = lappend(columns, makeVarFromTargetEntry(row->varno, target));
	}
	if (list_length(columns) != list_length(entry->eref->colnames))
		return NULL;
	return MakeRow(RECORDOID, columns, copyObject(entry->eref->colnames));
}

/* The position of a name that is not that of a dropped column, or -1. */
static int
FindName(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(strVal(lfirst(cell)), name) == 0)
			return foreach_current_index(cell);
	return -1;
}

/*
 * A row converted to that of a parent table: columns go by their names.
 */
static RowExpr *
ConvertRow(const RowExpr *row, Oid type)
{
	TupleDesc	descriptor = lookup_rowtype_tupdesc(type, -1);
	List	   *columns = NIL;
	List	   *names = NIL;
	bool		matches = true;

	for (int i = 0; matches && i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		int			position;
		Node	   *column;

		if (attribute->attisdropped)
		{
			AddDropped(&columns, &names);
			continue;
		}
		position = FindName(row->colnames, NameStr(attribute->attname));
		column = position < 0 ? NULL : list_nth(row->args, position);
		matches = column && exprType(column) == attribute->atttypid;
		columns = lappend(columns, column);
		names = lappend(names, makeString(pstrdup(NameStr(attribute->attname))));
	}
	ReleaseTupleDesc(descriptor);
	return matches ? MakeRow(type, columns, names) : NULL;
}

RowExpr *
ExpandWholeRow(const PlannedStmt *statement, const Plan *scan, Node *row)
{
	RangeTblEntry *entry = ScannedEntry(statement, scan);
	const Var  *var = (const Var *) row;

	if (entry == NULL)
		return NULL;
	if (IsA(row, ConvertRowtypeExpr))
	{
		ConvertRowtypeExpr *conversion = (ConvertRowtypeExpr *) row;
		RowExpr    *child = ExpandWholeRow(statement, scan, (Node *) conversion->arg);

		return child ? ConvertRow(child, conversion->resulttype) : NULL;
	}
	if (!IsA(row, Var) || var->varattno != InvalidAttrNumber || var->varno != (int) ((const Scan *) scan)->scanrelid)
		return NULL;
	if (entry->rtekind == RTE_RELATION)
		return ExpandTableRow(entry, var);
	if (IsA(scan, SubqueryScan))
		return ExpandSubqueryRow(entry, ((const SubqueryScan *) scan)->subplan, var);
	if (IsA(scan, CteScan))
		return ExpandSubqueryRow(entry, list_nth(statement->subplans, ((const CteScan *) scan)->ctePlanId - 1), var);
	return NULL;
}

List *
PhysicalTargetList(const PlannedStmt *statement, const Plan *scan)
{
	RangeTblEntry *entry = ScannedEntry(statement, scan);
	Relation	table;
	List	   *columns = NIL;

	if (entry == NULL || entry->rtekind != RTE_RELATION || IsA(scan, ForeignScan))
		return NIL;
	table = table_open(entry->relid, NoLock);
	for (int i = 0; i < RelationGetNumberOfAttributes(table); i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table), i);
		Var		   *column;

		if (attribute->attisdropped || attribute->atthasmissing)
		{
			/* rows are not stored like this */
			columns = NIL;
			break;
		}
		column = makeVar(((const Scan *) scan)->scanrelid, i + 1, attribute->atttypid, attribute->atttypmod,
						 attribute->attcollation, 0);
		columns = lappend(columns, makeTargetEntry((Expr *) column, i + 1, NULL, false));
	}
	table_close(table, NoLock);
	return columns;
}
