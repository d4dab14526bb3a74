/*
 * loss.c
 *	  The loss of each task over its own sample space, and its gradient.
 *
 * Where a sigmoid or softmax makes the score, the gradient goes straight to what
 * that reads, score minus label, which neither cancels nor overflows.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "math/functions.h"
#include "train/loss.h"

/* Probabilities of a product are kept this far from 0 and 1, as Keras keeps them. */
#define PROBABILITY_EPSILON 1e-7

int
LossesCreate(const Graph *graph, const Contract *contract, const bool *labelled, TaskLoss **losses)
{
	const bool *probability = ContractProbabilities(contract);
	int			n = 0;

	*losses = palloc(sizeof(TaskLoss) * contract->ntasks);
	for (int i = 0; i < contract->ntasks; i++)
	{
		const Task *task = &contract->tasks[i];
		TaskLoss   *loss = &(*losses)[n];

		if (!labelled[i])
			continue;
		loss->task = task;
		loss->position = i;
		loss->label = n++;
		loss->op = graph->task_ops[i];
		switch (task->type)
		{
			case TASK_BINARY:
				loss->kind = task->softmax_head ? LOSS_CLASSES : LOSS_BINARY;
				break;
			case TASK_MULTICLASS:
				loss->kind = LOSS_CLASSES;
				break;
			case TASK_REGRESSION:
				loss->kind = LOSS_SQUARED;
				break;
			case TASK_PRODUCT:
				loss->kind = probability[i] ? LOSS_PROBABILITY : LOSS_SQUARED;
				break;
		}
		/* the second of the two units is picked from the softmax */
		if (task->softmax_head)
			loss->op = graph->ops[loss->op].inputs[0];
	}
	return n;
}

/* What the sigmoid of a binary task's score reads. */
static double
Logit(const Network *network, const NetworkOp *op, int row)
{
	const LayerGroup *group = &network->groups[op->group];

	return group->z[(Size) row * group->width + op->column];
}

static double
ClampProbability(double p)
{
	return Min(Max(p, PROBABILITY_EPSILON), 1 - PROBABILITY_EPSILON);
}

static double
CrossEntropy(double p, double label)
{
	return -(label * MtlLog(p) + (1 - label) * MtlLog(1 - p));
}

/* The loss of one row. */
static double
RowLoss(const Network *network, const TaskLoss *loss, int row, double label)
{
	const NetworkOp *op = &network->ops[loss->op];
	const real *score = op->out.value + (Size) row * op->out.stride;

	switch (loss->kind)
	{
		case LOSS_BINARY:
			{
				double		z = Logit(network, op, row);

				/* log(1 + e^z) - label z, without overflow */
				return Max(z, 0) - z * label + MtlLog1p(MtlExp(-fabs(z)));
			}
		case LOSS_CLASSES:
			return -MtlLog(Max((double) score[(int) label], DBL_MIN));
		case LOSS_PROBABILITY:
			return CrossEntropy(ClampProbability(score[0]), label);
		case LOSS_SQUARED:
			return (score[0] - label) * (score[0] - label);
	}
	return 0;
}

LossSum
LossCompute(const Network *network, const TaskLoss *loss, const float *labels, int nlabels,
			const float *weights)
{
	LossSum		sum = {0, 0};

	for (int r = 0; r < network->nrows; r++)
	{
		float		label = labels[(Size) r * nlabels + loss->label];
		double		weight = weights ? weights[r] : 1;

		if (isnan(label) || weight == 0)
			continue;
		sum.loss += weight * RowLoss(network, loss, r, label);
		sum.weight += weight;
	}
	return sum;
}

static void
RowBackward(Network *network, const TaskLoss *loss, int row, double label, double scale)
{
	NetworkOp  *op = &network->ops[loss->op];
	const real *score = op->out.value + (Size) row * op->out.stride;
	real	   *gradient = op->out.gradient + (Size) row * op->out.stride;

	switch (loss->kind)
	{
		case LOSS_BINARY:
			op->direct[row] += (real) (scale * (score[0] - label));
			break;
		case LOSS_CLASSES:
			for (int k = 0; k < op->width; k++)
				op->direct[(Size) row * op->width + k] +=
					(real) (scale * (score[k] - (k == (int) label ? 1 : 0)));
			break;
		case LOSS_PROBABILITY:
			{
				double		p = ClampProbability(score[0]);

				gradient[0] += (real) (scale * (p - label) / (p * (1 - p)));
				break;
			}
		case LOSS_SQUARED:
			gradient[0] += (real) (scale * 2 * (score[0] - label));
			break;
	}
}

void
LossBackward(Network *network, const TaskLoss *loss, const float *labels, int nlabels,
			 const float *weights, LossSum sum, double scale)
{
	if (!(sum.weight > 0) || scale == 0)
		return;
	for (int r = 0; r < network->nrows; r++)
	{
		float		label = labels[(Size) r * nlabels + loss->label];
		double		weight = weights ? weights[r] : 1;

		if (!isnan(label) && weight != 0)
			RowBackward(network, loss, r, label, scale * weight / sum.weight);
	}
}

double
LossScore(const Network *network, const TaskLoss *loss, int row, int class)
{
	const NetworkOp *op = &network->ops[loss->op];

	return op->out.value[(Size) row * op->out.stride + (loss->kind == LOSS_CLASSES ? class : 0)];
}
