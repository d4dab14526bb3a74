/*
 * score_batch.h
 *	  Calls over the same model and features, for many rows at once.
 *
 * The caller adds rows with ScoreBatchEncode(), computes them with one
 * ScoreBatchRun(), and takes the results with ScoreBatchResult(), row by row.  They
 * are the bits, or the error, that the call by itself gives for the row: a row
 * whose numbers leave their range raises its error when its result is asked for,
 * not before.
 *
 * Calls may be in parts, of which each is asked for rows that have come so far: those
 * that passed a filter on results of the parts before.  All parts are computed together
 * for all rows where that costs less, as it does where layers that they share cost most
 * and many rows come far.  What a row does not come to raises no error.
 */
#ifndef MTL_RANK_SCORE_BATCH_H
#define MTL_RANK_SCORE_BATCH_H

#include "postgres.h"

#include "nodes/primnodes.h"

#include "features/encoder.h"

typedef struct ScoreBatch ScoreBatch;

/*
 * Prepares for calls of scoring functions whose model and features are the same;
 * their options may differ.  parts[i] is the part of call i: from 0 on, ascending.  With
 * several, a call of the first must have a result whatever its option.  With a shape, the
 * last row is given by its columns.  Allocated in the current context, which also keeps
 * the model pinned.
 */
extern ScoreBatch *ScoreBatchCreate(int ncalls, FuncExpr *const *calls, const int *parts, const RowShape *shape);

/*
 * Begins a batch: the model, not null, and the option of each call (ignored where
 * it takes none).  A call whose option is null has the result null.  Returns the
 * number of rows that the batch can have within memory bytes, at least 1 and at most
 * MTL_MAX_BATCH; 0 if all results are null.
 */
extern int	ScoreBatchBegin(ScoreBatch *batch, Datum model, const NullableDatum *options, Size memory);

/*
 * Encodes features, not null, as the given row of the batch.  Temporary memory is
 * taken from the current context.  After an error that ScoreErrorPutOff() has
 * flushed, the same row may be encoded again.
 */
extern void ScoreBatchEncode(ScoreBatch *batch, int row, Datum features, Datum second_features);

/* The same for a last row that is given by columns; context, of pairs, is the first. */
extern void ScoreBatchEncodeColumns(ScoreBatch *batch, int row, Datum context, const Datum *values, const bool *nulls);

/* Computes all rows up to nrows: the first part, or all. */
extern void ScoreBatchRun(ScoreBatch *batch, int nrows);

/*
 * Says that a row has come to a part, not the first; false if its results of it are not
 * computed yet.  They are when they are asked for, or with those of other rows by
 * ScoreBatchRunPart(), which has no effect on rows that have them.
 */
extern bool ScoreBatchEnter(ScoreBatch *batch, int part, int row);
extern void ScoreBatchRunPart(ScoreBatch *batch, int part, int nrows, const int *rows);

/*
 * Contexts that were computed so far: one for each row, less where rows of a batch, or
 * of later ones, have one in common and its share was computed once.  0 unless features
 * are two rows.
 */
extern int64 ScoreBatchContexts(const ScoreBatch *batch);

/* Batches so far whose parts were computed together. */
extern int64 ScoreBatchTogether(const ScoreBatch *batch);

/*
 * Looks a model up by its name again, with the rights that it takes, if the user or the
 * statement is another one than before, as with a cursor.  That may run a query.
 */
extern void ScoreBatchCheckRights(ScoreBatch *batch);

/*
 * The result of a call for a row, in the current context.  Rights are checked.
 */
extern Datum ScoreBatchResult(ScoreBatch *batch, int call, int row, bool *isnull);

/*
 * Inside PG_CATCH, where no code but the encoder, the engine and functions without side
 * effects can have raised the error: flushes it, back in the caller's memory context, if it
 * is about a value that was given, so that its row can be tried again.  Any other, as a
 * cancellation or lack of memory, is thrown again.
 */
extern void ScoreErrorPutOff(MemoryContext caller);

#endif							/* MTL_RANK_SCORE_BATCH_H */
