/*
 * source.h
 *	  From a query's rows to encoded rows.
 *
 * The training query runs once.  Its rows are kept in a tuplestore, which spills to
 * disk by itself, while what the spec leaves out is learnt from them; then they are
 * encoded by the same code that encodes rows for scoring.
 */
#ifndef MTL_RANK_SOURCE_H
#define MTL_RANK_SOURCE_H

#include "postgres.h"

#include "features/encoder.h"
#include "train/columns.h"
#include "train/learner.h"
#include "train/options.h"
#include "train/rows.h"

#define TRAINING_QUERY "training query"
#define VALIDATION_QUERY "validation query"

/* Rows that were read, not yet encoded. */
typedef struct ReadRows
{
	int64		nrows;
	TupleDesc	columns;
	FeatureColumns *features;
	struct Tuplestorestate *store;
} ReadRows;

/*
 * Runs the training query, which must have all columns that spec and options name, and
 * lets learner, which *learner is set to, observe each
 * row.  start: the contract and file of a model to take over from, or NULL.  Half of
 * memory is for vocabularies, a quarter for the rows.
 */
extern ReadRows *ReadTrainingRows(const char *query, const TrainSpec *spec,
								  const TrainOptions *options, Size memory,
								  const Contract *start, ModelFile *start_file, Learner **learner);

/* Where encoded rows go, and what encoding needs. */
typedef struct EncodeTarget
{
	const TrainSpec *spec;
	const TrainOptions *options;
	const Contract *contract;	/* complete */
	const Encoder *encoder;
	const InputLayout *layout;
	int			nlosses;
	const TaskLoss *losses;
	RowStore   *rows;
	RowStore   *validation;		/* NULL: none */
} EncodeTarget;

/*
 * Encodes the rows and deals them to partitions of about partition_size bytes, the
 * validation fraction to the validation rows, and frees what was read.  Some rows
 * become examples: their JSON, an array, is appended; returns how many.
 */
extern int	EncodeTrainingRows(ReadRows *read, const EncodeTarget *target, Size partition_size,
							   StringInfo examples);

/* Runs and encodes the validation query. */
extern void EncodeValidationRows(const EncodeTarget *target, Size partition_size);

#endif							/* MTL_RANK_SOURCE_H */
