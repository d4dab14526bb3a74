/*
 * columns.h
 *	  Where features, labels and weights are in the rows of a query.
 */
#ifndef MTL_RANK_COLUMNS_H
#define MTL_RANK_COLUMNS_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "lib/stringinfo.h"

#include "features/type_reader.h"
#include "model/contract.h"
#include "train/loss.h"
#include "train/spec.h"

typedef struct RowColumn
{
	int			column;			/* from 0 */
	const char *name;
	TypeReader	reader;
} RowColumn;

/* The columns of one feature: its own, or those it is gathered from; then its weights. */
typedef struct FeatureColumns
{
	const char *label;			/* feature "age" */
	int			ncolumns;		/* without the weights */
	RowColumn  *columns;
	RowColumn  *weights;		/* NULL: none */
} FeatureColumns;

/*
 * Finds the columns of all features, in the current context; an error names one
 * that is not there, or that cannot be a feature.  what is "training query" or the
 * like, here and below.
 */
extern FeatureColumns *FeatureColumnsCreate(const Contract *contract, TupleDesc columns, const char *what);

/* Appends a row as the JSON object that has the same features. */
extern void AppendRowJson(StringInfo text, const Contract *contract, const FeatureColumns *features,
						  TupleTableSlot *row);

/* What the labels of one column were, in rows whose weight is more than 0. */
typedef struct LabelCounts
{
	int64		zeros;
	int64		others;
} LabelCounts;

typedef struct LabelColumns LabelColumns;

/* Finds the columns of the losses' labels and of the weights. */
extern LabelColumns *LabelColumnsCreate(const TrainSpec *spec, int nlosses, const TaskLoss *losses,
										const char *weight_column, TupleDesc columns, const char *what);

/*
 * Reads labels (NaN: none) and weight of a row, whose number counts from 1; errors
 * name column, task and row.
 */
extern void LabelColumnsRead(LabelColumns *columns, TupleTableSlot *row, int64 number,
							 float *labels, float *weight);

/*
 * Counts the labels of a row that has been read; then checks that each task has some,
 * and both kinds where there are two.  rows says what was counted: "training rows".
 */
extern LabelCounts *LabelCountsCreate(int nlosses);
extern void LabelCountsAdd(LabelCounts *counts, int nlosses, const float *labels, float weight);
extern void LabelCountsCheck(const LabelColumns *columns, const LabelCounts *counts, const char *rows);

#endif							/* MTL_RANK_COLUMNS_H */
