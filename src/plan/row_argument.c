/*
 * row_argument.c
 *	  Features that are a row constructor, ROW(...): read without making the row.
 *
 * Columns of the child are read where they are.  If there is anything else in the row,
 * they are copied, and the rest is put after them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/typcache.h"

#include "compat.h"
#include "plan/row_argument.h"

struct RowArgument
{
	RowShape	shape;
	int			ncolumns;		/* of the child */
	int			ncopied;		/* those of them up to the last in the row */
	int			ncomputed;
	ExprState **computed;		/* values that follow those; NULL: constant */
	Datum	   *values;			/* NULL: the row has columns of the child alone */
	bool	   *nulls;
};

static TupleDesc
RowDescriptor(const RowExpr *row)
{
	TupleDesc	descriptor;

	if (row->row_typeid != RECORDOID)
		return lookup_rowtype_tupdesc_copy(row->row_typeid, -1);
	descriptor = ExecTypeFromExprList(row->args);
	ExecTypeSetColNames(descriptor, row->colnames);
	return descriptor;
}

/*
 * Takes a place for what is no column of the child: an expression, or NULL for a column
 * that the type has got since the row was written.
 */
static int
AddComputed(RowArgument *argument, Expr *expression, PlanState *parent)
{
	int			i = argument->ncomputed++;
	int			place = argument->ncolumns + i;
	const Const *constant = expression && IsA(expression, Const) ? (const Const *) expression : NULL;

	argument->computed[i] = NULL;
	argument->values[place] = constant ? constant->constvalue : (Datum) 0;
	argument->nulls[place] = constant ? constant->constisnull : true;
	if (expression && constant == NULL)
		argument->computed[i] = ExecInitExpr(expression, parent);
	return place;
}

RowArgument *
RowArgumentCreate(const RowExpr *row, int ncolumns, PlanState *parent)
{
	RowArgument *argument = palloc0(sizeof(RowArgument));
	TupleDesc	descriptor = RowDescriptor(row);
	int		   *places = palloc0(sizeof(int) * Max(descriptor->natts, 1));

	argument->ncolumns = ncolumns;
	argument->computed = palloc(sizeof(ExprState *) * Max(descriptor->natts, 1));
	argument->values = palloc0(sizeof(Datum) * (ncolumns + descriptor->natts));
	argument->nulls = palloc0(sizeof(bool) * (ncolumns + descriptor->natts));
	for (int i = 0; i < descriptor->natts; i++)
	{
		Expr	   *column = i < list_length(row->args) ? list_nth(row->args, i) : NULL;

		if (TupleDescAttr(descriptor, i)->attisdropped)
			continue;
		if (column && IsA(column, Var))
		{
			places[i] = ((Var *) column)->varattno - 1;
			argument->ncopied = Max(argument->ncopied, places[i] + 1);
		}
		else
			places[i] = AddComputed(argument, column, parent);
	}
	if (argument->ncomputed == 0)
		argument->values = NULL;	/* nothing to copy */
	argument->shape.descriptor = descriptor;
	argument->shape.places = places;
	return argument;
}

const RowShape *
RowArgumentShape(const RowArgument *argument)
{
	return &argument->shape;
}

void
RowArgumentRead(RowArgument *argument, ExprContext *context, const Datum **values, const bool **nulls)
{
	const TupleTableSlot *slot = context->ecxt_outertuple;
	int			first = argument->ncolumns;

	if (argument->values == NULL)
	{
		*values = slot->tts_values;
		*nulls = slot->tts_isnull;
		return;
	}
	memcpy(argument->values, slot->tts_values, sizeof(Datum) * argument->ncopied);
	memcpy(argument->nulls, slot->tts_isnull, sizeof(bool) * argument->ncopied);
	for (int i = 0; i < argument->ncomputed; i++)
		if (argument->computed[i])
			argument->values[first + i] = ExecEvalExprSwitchContext(argument->computed[i], context,
																   &argument->nulls[first + i]);
	*values = argument->values;
	*nulls = argument->nulls;
}
