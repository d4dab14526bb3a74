/*
 * loss.h
 *	  The loss of each task over its own sample space, and its gradient.
 *
 * A row without a label is outside the space of the task (Tang et al., "Progressive
 * Layered Extraction", RecSys 2020: delta).  A loss is the mean over the batch's rows
 * in the space, weighted by the rows' weights.
 */
#ifndef MTL_RANK_LOSS_H
#define MTL_RANK_LOSS_H

#include "postgres.h"

#include "train/network.h"

typedef enum LossKind
{
	LOSS_BINARY,				/* cross-entropy of a sigmoid */
	LOSS_CLASSES,				/* cross-entropy of a softmax; binary tasks with two units too */
	LOSS_PROBABILITY,			/* cross-entropy of a product of probabilities */
	LOSS_SQUARED
} LossKind;

/* A task with a label. */
typedef struct TaskLoss
{
	const Task *task;
	int			position;		/* among the tasks of the contract */
	int			label;			/* position among the labels */
	LossKind	kind;
	int			op;				/* whose vector is the score, or the class probabilities */
} TaskLoss;

/* Of a batch, or of more: sums over rows in the task's space. */
typedef struct LossSum
{
	double		loss;			/* weighted */
	double		weight;
} LossSum;

/* The losses of the tasks that have labels; returns how many, *losses is an array. */
extern int	LossesCreate(const Graph *graph, const Contract *contract, const bool *labelled,
						 TaskLoss **losses);

/*
 * The loss of the batch that went forward last.  labels is (rows, nlabels), NaN for
 * none; weights is by row, NULL: all 1.
 */
extern LossSum LossCompute(const Network *network, const TaskLoss *loss, const float *labels,
						   int nlabels, const float *weights);

/*
 * Adds scale times the gradient of the mean loss to the heads; sum is what
 * LossCompute() gave.
 */
extern void LossBackward(Network *network, const TaskLoss *loss, const float *labels, int nlabels,
						 const float *weights, LossSum sum, double scale);

/* The score of a row of the batch, for metrics: of the class, where there are classes. */
extern double LossScore(const Network *network, const TaskLoss *loss, int row, int class);

#endif							/* MTL_RANK_LOSS_H */
