/*
 * loop.h
 *	  The epochs of a training.
 */
#ifndef MTL_RANK_LOOP_H
#define MTL_RANK_LOOP_H

#include "postgres.h"

#include "train/evaluate.h"
#include "train/network.h"
#include "train/options.h"
#include "train/rows.h"

/* What one epoch gave; arrays by loss. */
typedef struct EpochRecord
{
	double		learning_rate;	/* of its last step */
	double	   *weights;		/* of the tasks, at its end */
	double	   *losses;			/* mean over its steps */
	double		calibrator;		/* the same of the calibrator, NaN: there is none */
	TaskMetric *metrics;		/* of the validation rows, NULL: there are none */
} EpochRecord;

typedef struct Training
{
	/* given */
	const TrainOptions *options;
	Network    *network;
	int			nlosses;
	const TaskLoss *losses;
	RowStore   *rows;
	RowStore   *validation;		/* NULL: none */
	Batch	   *batch;

	/* made */
	int			nepochs;
	EpochRecord *history;
	int			best;			/* the epoch whose parameters are kept, from 0 */
} Training;

/* Bytes that the loop takes besides its parts. */
extern Size TrainingSize(const Network *network, const TrainOptions *options);

/*
 * Trains; reports every epoch as a NOTICE and in the progress view.  With early
 * stopping, the parameters are those of the best epoch in the end.  Errors when a
 * loss is no number any more.
 */
extern void TrainingRun(Training *training);

#endif							/* MTL_RANK_LOOP_H */
