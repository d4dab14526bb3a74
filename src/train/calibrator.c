/*
 * calibrator.c
 *	  AITM's behavioral expectation calibrator.
 */
#include "postgres.h"

#include "train/calibrator.h"

Calibrator *
CalibratorCreate(const Graph *graph, const CalibratorOptions *options)
{
	Calibrator *calibrator;

	if (options->weight == 0)
		return NULL;
	calibrator = palloc(sizeof(Calibrator));
	calibrator->weight = options->weight;
	calibrator->nops = options->ntasks;
	calibrator->ops = palloc(sizeof(int) * options->ntasks);
	for (int i = 0; i < options->ntasks; i++)
		calibrator->ops[i] = graph->task_ops[options->tasks[i]];
	return calibrator;
}

static double
Score(const Calibrator *calibrator, const Network *network, int k, int row)
{
	const Vectors *out = &network->ops[calibrator->ops[k]].out;

	return out->value[(Size) row * out->stride];
}

LossSum
CalibratorCompute(const Calibrator *calibrator, const Network *network, const float *weights)
{
	LossSum		sum = {0, 0};

	for (int r = 0; r < network->nrows; r++)
	{
		double		weight = weights ? weights[r] : 1;

		for (int k = 1; k < calibrator->nops; k++)
			sum.loss += weight * Max(Score(calibrator, network, k, r) - Score(calibrator, network, k - 1, r), 0);
		sum.weight += weight;
	}
	return sum;
}

static void
AddGradient(const Calibrator *calibrator, Network *network, int k, int row, double gradient)
{
	Vectors    *out = &network->ops[calibrator->ops[k]].out;

	out->gradient[(Size) row * out->stride] += (real) gradient;
}

void
CalibratorBackward(const Calibrator *calibrator, Network *network, const float *weights)
{
	double		total = 0;

	for (int r = 0; r < network->nrows; r++)
		total += weights ? weights[r] : 1;
	if (!(total > 0))
		return;
	for (int r = 0; r < network->nrows; r++)
	{
		double		slope = calibrator->weight * (weights ? weights[r] : 1) / total;

		for (int k = 1; k < calibrator->nops; k++)
			if (Score(calibrator, network, k, r) > Score(calibrator, network, k - 1, r))
			{
				AddGradient(calibrator, network, k, r, slope);
				AddGradient(calibrator, network, k - 1, r, -slope);
			}
	}
}
