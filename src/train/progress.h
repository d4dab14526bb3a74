/*
 * progress.h
 *	  What a training is doing, for other sessions.
 *
 * It is kept in the session's entry of the server's backend status, where PostgreSQL
 * keeps the progress of its own commands.  That needs no shared memory of our own,
 * so it works without shared_preload_libraries on all versions.  The entry holds a
 * number for the command; ours is none that PostgreSQL's views look for.
 */
#ifndef MTL_RANK_PROGRESS_H
#define MTL_RANK_PROGRESS_H

#include "postgres.h"

typedef enum ProgressPhase
{
	PROGRESS_READING,
	PROGRESS_ENCODING,
	PROGRESS_TRAINING,
	PROGRESS_VALIDATING,
	PROGRESS_FINISHING
} ProgressPhase;

/* Losses and figures of this many tasks are shown. */
#define PROGRESS_MAX_TASKS 10

/*
 * Starts reporting, unless the session reports the progress of a command that the
 * training is a part of, as COPY.  An error ends it, and so does ProgressEnd().
 */
extern void ProgressStart(int epochs, int ntasks);
extern void ProgressEnd(void);

extern void ProgressSetPhase(ProgressPhase phase);
extern void ProgressSetRows(int64 done, int64 total);
extern void ProgressSetEpoch(int epoch);
extern void ProgressSetRate(double learning_rate, double rows_per_second, double seconds_left);

/* Of the last epoch; auc is NaN where a task has none. */
extern void ProgressSetTask(int task, double loss, double auc);

#endif							/* MTL_RANK_PROGRESS_H */
