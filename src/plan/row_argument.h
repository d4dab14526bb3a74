/*
 * row_argument.h
 *	  Features that are a row constructor, ROW(...): read without making the row.
 */
#ifndef MTL_RANK_ROW_ARGUMENT_H
#define MTL_RANK_ROW_ARGUMENT_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "features/encoder.h"

typedef struct RowArgument RowArgument;

/*
 * Prepares for a constructor over OUTER_VAR, a child with so many columns.  Its types
 * have been checked by ExecInitExpr().  In the current context.
 */
extern RowArgument *RowArgumentCreate(const RowExpr *row, int ncolumns, PlanState *parent);

/* What encodes the row needs to know of it. */
extern const RowShape *RowArgumentShape(const RowArgument *argument);

/*
 * The values of context's outer tuple, of which all columns that the row has were
 * taken apart.  All expressions are evaluated, as making the row would.
 */
extern void RowArgumentRead(RowArgument *argument, ExprContext *context,
							const Datum **values, const bool **nulls);

#endif							/* MTL_RANK_ROW_ARGUMENT_H */
