/*
 * source.c
 *	  From a query's rows to encoded rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "train/progress.h"
#include "train/query.h"
#include "train/random.h"
#include "train/source.h"

#define MAX_PARTITIONS 1024

/* Rows between two reports to the progress view. */
#define ROWS_PER_REPORT 1000

/* Bytes that all examples together may have. */
#define MAX_EXAMPLES_SIZE (8 * 1024 * 1024)

/* Which row of which query an error is about. */
typedef struct RowNumber
{
	const char *what;
	int64		number;			/* from 1 */
} RowNumber;

static void
RowErrorContext(void *row)
{
	errcontext("row " INT64_FORMAT " of the %s", ((RowNumber *) row)->number, ((RowNumber *) row)->what);
}

/* ---------------------------------------------------------------- reading */

/* The columns of labels and weights are read later, but missed at once. */
static void
CheckLabelColumns(const TrainSpec *spec, const TrainOptions *options, TupleDesc columns)
{
	for (int i = 0; i < spec->contract->ntasks; i++)
		if (spec->labelled[i])
			(void) QueryColumn(columns, spec->labels[i],
							   psprintf("the label of task \"%s\"", spec->contract->tasks[i].name),
							   TRAINING_QUERY);
	if (options->weight_column)
		(void) QueryColumn(columns, options->weight_column, "the weight of rows", TRAINING_QUERY);
}

ReadRows *
ReadTrainingRows(const char *query, const TrainSpec *spec, const TrainOptions *options, Size memory,
				 const Contract *start, ModelFile *start_file, Learner **learner)
{
	ReadRows   *read = palloc0(sizeof(ReadRows));
	QueryReader *reader = QueryReaderOpen(query, TRAINING_QUERY);
	RowNumber	number = {TRAINING_QUERY, 0};
	ErrorContextCallback context = {error_context_stack, RowErrorContext, &number};
	TupleTableSlot *row;

	ProgressSetPhase(PROGRESS_READING);
	read->columns = QueryReaderColumns(reader);
	read->features = FeatureColumnsCreate(spec->contract, read->columns, TRAINING_QUERY);
	CheckLabelColumns(spec, options, read->columns);
	read->store = tuplestore_begin_heap(false, false, (int) (memory / 4 / 1024));
	*learner = LearnerCreate(spec, read->features, memory / 2);
	if (start)
		LearnerStartFrom(*learner, start, start_file);
	while ((row = QueryReaderNext(reader)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		number.number++;
		error_context_stack = &context;
		LearnerObserve(*learner, row);
		error_context_stack = context.previous;
		tuplestore_puttupleslot(read->store, row);
		if (++read->nrows % ROWS_PER_REPORT == 0)
			ProgressSetRows(read->nrows, 0);
	}
	QueryReaderClose(reader);
	if (read->nrows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("the %s returns no rows", TRAINING_QUERY),
				 errhint("Run it by itself, and look at its conditions.")));
	return read;
}

/* --------------------------------------------------------------- encoding */

typedef struct Encoding
{
	const EncodeTarget *target;
	FeatureSource *source;
	LabelColumns *labels;
	TrainRow	row;
	MemoryContext row_context;
	RowNumber	number;
} Encoding;

static Encoding *
EncodingCreate(const EncodeTarget *target, TupleDesc columns, const char *what)
{
	Encoding   *encoding = palloc0(sizeof(Encoding));
	const InputLayout *layout = target->layout;

	encoding->target = target;
	encoding->number.what = what;
	encoding->source = FeatureSourceCreate(target->encoder, RECORDOID, InvalidOid, CurrentMemoryContext);
	encoding->labels = LabelColumnsCreate(target->spec, target->nlosses, target->losses,
										  target->options->weight_column, columns, what);
	encoding->row.floats = palloc0(sizeof(float) * Max(layout->nfloats, 1));
	encoding->row.ids = palloc0(sizeof(int32) * Max(layout->nids, 1));
	encoding->row.labels = palloc0(sizeof(float) * Max(target->nlosses, 1));
	encoding->row_context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank row", ALLOCSET_SMALL_SIZES);
	return encoding;
}

/* Encodes a row into encoding->row. */
static void
EncodeRow(Encoding *encoding, TupleTableSlot *row)
{
	MemoryContext caller = MemoryContextSwitchTo(encoding->row_context);
	ErrorContextCallback context = {error_context_stack, RowErrorContext, &encoding->number};

	CHECK_FOR_INTERRUPTS();
	encoding->number.number++;
	LabelColumnsRead(encoding->labels, row, encoding->number.number, encoding->row.labels, &encoding->row.weight);
	error_context_stack = &context;
	FeatureSourceEncode(encoding->source, ExecFetchSlotHeapTupleDatum(row), (Datum) 0,
						encoding->row.floats, encoding->row.ids);
	error_context_stack = context.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(encoding->row_context);
}

static int
PartitionCount(int64 nrows, const RowFormat *format, Size partition_size)
{
	Size		size = nrows * RowFormatMaxSize(format);

	return (int) Min(Max((size + partition_size - 1) / partition_size, 1), MAX_PARTITIONS);
}

/* ---------------------------------------------------------------- examples */

static int
CompareNumbers(const void *a, const void *b)
{
	int64		first = *(const int64 *) a;
	int64		second = *(const int64 *) b;

	return first < second ? -1 : first > second;
}

/* Distinct row numbers, from 1, in ascending order. */
static int64 *
ChooseExamples(int64 nrows, int64 seed, int *n)
{
	int64	   *chosen = palloc(sizeof(int64) * Max(*n, 1));
	int			distinct = 0;
	pg_prng_state state;

	RandomSeed(&state, seed, RANDOM_EXAMPLES, 0);
	for (int i = 0; i < *n; i++)
		chosen[i] = 1 + (int64) RandomBelow(&state, nrows);
	qsort(chosen, *n, sizeof(int64), CompareNumbers);
	for (int i = 0; i < *n; i++)
		if (distinct == 0 || chosen[i] != chosen[distinct - 1])
			chosen[distinct++] = chosen[i];
	*n = distinct;
	return chosen;
}

/* A row as an example, unless it would make all of them too large for a model. */
static bool
AppendExample(StringInfo examples, const ReadRows *read, const Contract *contract, TupleTableSlot *row)
{
	int			before = examples->len;

	appendStringInfoString(examples, before == 0 ? "[" : ", ");
	AppendRowJson(examples, contract, read->features, row);
	if (examples->len <= MAX_EXAMPLES_SIZE)
		return true;
	examples->len = before;
	examples->data[before] = '\0';
	return false;
}

/* ------------------------------------------------------------------ queries */

int
EncodeTrainingRows(ReadRows *read, const EncodeTarget *target, Size partition_size, StringInfo examples)
{
	Encoding   *encoding = EncodingCreate(target, read->columns, TRAINING_QUERY);
	const RowFormat *format = RowStoreFormat(target->rows);
	int			npartitions = PartitionCount(read->nrows, format, partition_size);
	double		fraction = target->options->validation_fraction;
	int			nchosen = target->options->examples;
	int64	   *chosen = ChooseExamples(read->nrows, target->options->seed, &nchosen);
	TupleTableSlot *row = MakeSingleTupleTableSlot(read->columns, &TTSOpsMinimalTuple);
	LabelCounts *trained = LabelCountsCreate(target->nlosses);
	LabelCounts *validated = LabelCountsCreate(target->nlosses);
	pg_prng_state state;
	int			nexamples = 0;
	int			next = 0;

	ProgressSetPhase(PROGRESS_ENCODING);
	RandomSeed(&state, target->options->seed, RANDOM_DEAL, 0);
	while (tuplestore_gettupleslot(read->store, true, false, row))
	{
		double		share = pg_prng_double(&state);
		int			partition = (int) RandomBelow(&state, npartitions);
		bool		validates = share < fraction;

		slot_getallattrs(row);
		EncodeRow(encoding, row);
		RowStoreAdd(validates ? target->validation : target->rows, partition, &encoding->row);
		LabelCountsAdd(validates ? validated : trained, target->nlosses, encoding->row.labels,
					   encoding->row.weight);
		if (next < nchosen && chosen[next] == encoding->number.number)
		{
			nexamples += AppendExample(examples, read, target->contract, row) ? 1 : 0;
			next++;
		}
		if (encoding->number.number % ROWS_PER_REPORT == 0)
			ProgressSetRows(encoding->number.number, read->nrows);
	}
	if (nexamples > 0)
		appendStringInfoChar(examples, ']');
	ExecDropSingleTupleTableSlot(row);
	tuplestore_end(read->store);

	if (RowStoreRows(target->rows) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the validation fraction leaves no rows for training"),
				 errhint("Lower the fraction, or train on more rows.")));
	LabelCountsCheck(encoding->labels, trained, "training rows");
	if (fraction > 0)
		LabelCountsCheck(encoding->labels, validated, "validation rows");
	return nexamples;
}

void
EncodeValidationRows(const EncodeTarget *target, Size partition_size)
{
	QueryReader *reader = QueryReaderOpen(target->options->validation_query, VALIDATION_QUERY);
	Encoding   *encoding;
	int64		per_partition = Max(partition_size / Max(RowFormatMaxSize(RowStoreFormat(target->rows)), 1), 1);
	LabelCounts *counts = LabelCountsCreate(target->nlosses);
	TupleTableSlot *row;

	(void) FeatureColumnsCreate(target->contract, QueryReaderColumns(reader), VALIDATION_QUERY);
	encoding = EncodingCreate(target, QueryReaderColumns(reader), VALIDATION_QUERY);
	while ((row = QueryReaderNext(reader)) != NULL)
	{
		EncodeRow(encoding, row);
		RowStoreAdd(target->validation, (int) ((encoding->number.number - 1) / per_partition), &encoding->row);
		LabelCountsAdd(counts, target->nlosses, encoding->row.labels, encoding->row.weight);
		if (encoding->number.number % ROWS_PER_REPORT == 0)
			ProgressSetRows(encoding->number.number, 0);
	}
	QueryReaderClose(reader);
	if (encoding->number.number == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA),
				 errmsg("the %s returns no rows", VALIDATION_QUERY),
				 errhint("Run it by itself, and look at its conditions.")));
	LabelCountsCheck(encoding->labels, counts, "validation rows");
}
