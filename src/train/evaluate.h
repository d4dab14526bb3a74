/*
 * evaluate.h
 *	  How well a network does on rows that it is not trained on.
 */
#ifndef MTL_RANK_EVALUATE_H
#define MTL_RANK_EVALUATE_H

#include "postgres.h"

#include "train/batch.h"
#include "train/loss.h"
#include "train/rows.h"

/*
 * figure is what training stops by: higher is better and 1 is perfect.  It is the
 * AUC of a task with probabilities; else the share of the loss that the task's mean,
 * or its classes' frequencies, would have and the model has not (R squared).
 */
typedef struct TaskMetric
{
	double		loss;
	double		auc;			/* NaN for tasks without */
	double		figure;
} TaskMetric;

typedef struct Evaluator Evaluator;

/* Bytes that evaluating this many rows takes besides the network. */
extern Size EvaluatorSize(int64 nrows, int nlosses, const TaskLoss *losses);

extern Evaluator *EvaluatorCreate(int64 nrows, int nlosses, const TaskLoss *losses);

/* Runs the network over all rows of the store; metrics is by loss. */
extern void Evaluate(Evaluator *evaluator, Network *network, RowStore *rows, Batch *batch,
					 TaskMetric *metrics);

#endif							/* MTL_RANK_EVALUATE_H */
