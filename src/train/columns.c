/*
 * columns.c
 *	  Where features, labels and weights are in the rows of a query.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "compat.h"
#include "features/feature_value.h"
#include "train/columns.h"
#include "train/query.h"

/* --------------------------------------------------------------- features */

static void
FindColumn(RowColumn *column, TupleDesc columns, const char *name, const char *label, const char *what)
{
	Oid			type;

	column->name = name;
	column->column = QueryColumn(columns, name, label, what);
	type = TupleDescAttr(columns, column->column)->atttypid;
	if (!TypeReaderInit(&column->reader, type, CurrentMemoryContext))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has type %s, which cannot be read for %s",
						name, format_type_be(type), label),
				 errhint("Cast it to a number, a text, or an array of these.")));
}

FeatureColumns *
FeatureColumnsCreate(const Contract *contract, TupleDesc columns, const char *what)
{
	FeatureColumns *features = palloc0(sizeof(FeatureColumns) * contract->nfeatures);

	for (int i = 0; i < contract->nfeatures; i++)
	{
		const Feature *feature = &contract->features[i];
		FeatureColumns *found = &features[i];

		found->label = psprintf("feature \"%s\"", feature->name);
		found->ncolumns = feature->columns ? feature->width : 1;
		found->columns = palloc0(sizeof(RowColumn) * found->ncolumns);
		for (int k = 0; k < found->ncolumns; k++)
			FindColumn(&found->columns[k], columns,
					   feature->columns ? feature->columns[k] : feature->name, found->label, what);
		if (feature->weights_column)
		{
			found->weights = palloc0(sizeof(RowColumn));
			FindColumn(found->weights, columns, feature->weights_column, found->label, what);
		}
	}
	return features;
}

static void
AppendValue(StringInfo text, const FeatureValue *value)
{
	char	   *copy;

	switch (value->kind)
	{
		case VALUE_INTEGER:
			appendStringInfo(text, INT64_FORMAT, value->u.integer);
			break;
		case VALUE_REAL:
			appendStringInfo(text, "%.17g", value->u.real);
			break;
		case VALUE_BOOL:
			appendStringInfoString(text, value->u.boolean ? "true" : "false");
			break;
		case VALUE_TEXT:
			copy = pnstrdup(value->u.text.data, value->u.text.length);
			escape_json(text, pg_any_to_server(copy, value->u.text.length, PG_UTF8));
			break;
	}
}

static void
AppendColumn(StringInfo text, const RowColumn *column, const char *label, TupleTableSlot *row)
{
	Datum		datum = row->tts_values[column->column];
	FeatureValue value;
	ValueList	list;

	if (row->tts_isnull[column->column])
		return;
	if (text->data[text->len - 1] != '{')
		appendStringInfoString(text, ", ");
	escape_json(text, column->name);
	appendStringInfoString(text, ": ");
	if (!column->reader.is_list)
	{
		value = TypeReaderValue(&column->reader, datum);
		AppendValue(text, &value);
		return;
	}
	ValueListOpenArray(&list, &column->reader, TypeReaderArray(&column->reader, datum), label);
	appendStringInfoChar(text, '[');
	for (int i = 0; i < list.length; i++)
	{
		value = ValueListNext(&list);
		if (i > 0)
			appendStringInfoString(text, ", ");
		AppendValue(text, &value);
	}
	appendStringInfoChar(text, ']');
}

void
AppendRowJson(StringInfo text, const Contract *contract, const FeatureColumns *features, TupleTableSlot *row)
{
	appendStringInfoChar(text, '{');
	for (int i = 0; i < contract->nfeatures; i++)
	{
		for (int k = 0; k < features[i].ncolumns; k++)
			AppendColumn(text, &features[i].columns[k], features[i].label, row);
		if (features[i].weights)
			AppendColumn(text, features[i].weights, features[i].label, row);
	}
	appendStringInfoChar(text, '}');
}

/* ----------------------------------------------------------------- labels */

typedef struct LabelColumn
{
	const TaskLoss *loss;
	const char *label;			/* label "click" of task "ctr" */
	RowColumn	column;
} LabelColumn;

struct LabelColumns
{
	const char *what;
	int			nlosses;
	LabelColumn *labels;
	RowColumn  *weight;			/* NULL: none */
};

LabelColumns *
LabelColumnsCreate(const TrainSpec *spec, int nlosses, const TaskLoss *losses,
				   const char *weight_column, TupleDesc columns, const char *what)
{
	LabelColumns *labels = palloc0(sizeof(LabelColumns));

	labels->what = what;
	labels->nlosses = nlosses;
	labels->labels = palloc0(sizeof(LabelColumn) * nlosses);
	for (int i = 0; i < nlosses; i++)
	{
		LabelColumn *label = &labels->labels[i];
		char	   *name = spec->labels[losses[i].position];

		label->loss = &losses[i];
		label->label = psprintf("label \"%s\" of task \"%s\"", name, losses[i].task->name);
		FindColumn(&label->column, columns, name, psprintf("the label of task \"%s\"", losses[i].task->name), what);
		if (label->column.reader.is_list)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("%s is a list, expected a single value", label->label),
					 errhint("Select one value as the label.")));
	}
	if (weight_column)
	{
		labels->weight = palloc0(sizeof(RowColumn));
		FindColumn(labels->weight, columns, weight_column, "the weight of rows", what);
	}
	return labels;
}

static MTL_NORETURN void
LabelError(const LabelColumns *columns, const char *label, const FeatureValue *value, int64 number,
		   const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is %s in row " INT64_FORMAT " of the %s, expected %s",
					label, FeatureValueShow(value), number, columns->what, expected),
			 errhint("NULL stands for a row that is outside the task's sample space.")));
}

/* The number of a class, given by its name or its number. */
static float
ReadClass(const LabelColumns *columns, const LabelColumn *label, const FeatureValue *value, int64 number)
{
	const Task *task = label->loss->task;

	if (value->kind == VALUE_TEXT)
	{
		char	   *name = pnstrdup(value->u.text.data, value->u.text.length);

		name = pg_any_to_server(name, value->u.text.length, PG_UTF8);
		for (int i = 0; i < task->nclasses; i++)
			if (strcmp(task->classes[i], name) == 0)
				return i;
		LabelError(columns, label->label, value, number, "one of the task's classes");
	}
	if (value->kind != VALUE_INTEGER || value->u.integer < 0 || value->u.integer >= task->nclasses)
		LabelError(columns, label->label, value, number, psprintf("0 to %d", task->nclasses - 1));
	return value->u.integer;
}

static float
ReadLabel(const LabelColumns *columns, const LabelColumn *label, const FeatureValue *value, int64 number)
{
	double		found;

	if (label->loss->task->type == TASK_MULTICLASS)
		return ReadClass(columns, label, value, number);
	found = FeatureValueNumber(value, label->label);
	if (label->loss->kind == LOSS_SQUARED)
	{
		if (!isfinite((float) found))
			LabelError(columns, label->label, value, number, "a finite number in the range of real");
	}
	else if (found != 0 && found != 1)
		LabelError(columns, label->label, value, number, "0 or 1");
	return (float) found;
}

void
LabelColumnsRead(LabelColumns *columns, TupleTableSlot *row, int64 number, float *labels, float *weight)
{
	FeatureValue value;
	double		found;

	for (int i = 0; i < columns->nlosses; i++)
	{
		const LabelColumn *label = &columns->labels[i];

		labels[i] = NAN;
		if (row->tts_isnull[label->column.column])
			continue;
		value = TypeReaderValue(&label->column.reader, row->tts_values[label->column.column]);
		labels[i] = ReadLabel(columns, label, &value, number);
	}

	*weight = 1;
	if (columns->weight == NULL)
		return;
	if (row->tts_isnull[columns->weight->column])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("weight \"%s\" is NULL in row " INT64_FORMAT " of the %s, expected 0 or more",
						columns->weight->name, number, columns->what),
				 errhint("Select 0 for rows that should not count, as coalesce(weight, 0) does.")));
	value = TypeReaderValue(&columns->weight->reader, row->tts_values[columns->weight->column]);
	found = FeatureValueNumber(&value, psprintf("weight \"%s\"", columns->weight->name));
	if (!(found >= 0 && isfinite((float) found)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("weight \"%s\" is %s in row " INT64_FORMAT " of the %s, expected 0 or more",
						columns->weight->name, FeatureValueShow(&value), number, columns->what),
				 errhint("Select 0 for rows that should not count.")));
	*weight = (float) found;
}

LabelCounts *
LabelCountsCreate(int nlosses)
{
	return palloc0(sizeof(LabelCounts) * nlosses);
}

void
LabelCountsAdd(LabelCounts *counts, int nlosses, const float *labels, float weight)
{
	for (int i = 0; weight > 0 && i < nlosses; i++)
	{
		if (labels[i] == 0)
			counts[i].zeros++;
		else if (!isnan(labels[i]))
			counts[i].others++;
	}
}

void
LabelCountsCheck(const LabelColumns *columns, const LabelCounts *counts, const char *rows)
{
	for (int i = 0; i < columns->nlosses; i++)
	{
		const LabelColumn *label = &columns->labels[i];

		if (counts[i].zeros + counts[i].others == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg(columns->weight ? "%s is NULL, or the weight is 0, in all %s" : "%s is NULL in all %s",
							label->label, rows),
					 errhint("Give it labels, or leave out the task's \"label\" if a product trains it.")));
		if (label->loss->kind == LOSS_SQUARED || label->loss->task->type == TASK_MULTICLASS)
			continue;
		if (counts[i].zeros == 0 || counts[i].others == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("%s is %d in all " INT64_FORMAT " %s that have one%s", label->label,
							counts[i].zeros == 0 ? 1 : 0, counts[i].zeros + counts[i].others, rows,
							columns->weight ? " and a weight above 0" : ""),
					 errhint("Nothing can be learnt from one class alone: select rows of both.")));
	}
}
