/*
 * weighting.c
 *	  How the losses of the tasks become one gradient.
 *
 * Most kinds need the gradient of the weighted sum alone.  gradnorm and pcgrad need
 * the gradient of each task by itself, which are kept side by side; what they compare
 * are the gradients of parameters that more than one task's loss reaches.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"

#include "math/functions.h"
#include "model/memory.h"
#include "train/weighting.h"

/* Parameters that lie together and are shared, in a task's own gradient. */
typedef struct Segment
{
	int64		offset;
	int64		n;
} Segment;

struct Weighting
{
	const WeightingOptions *options;
	int			nlosses;
	const TaskLoss *losses;
	const Calibrator *calibrator;
	double	   *weights;

	double	   *uncertainty;	/* log variances, with adam's means */
	double	   *mean;
	double	   *square;
	int64		steps;

	double	   *before;			/* dwa: losses of the last epoch, and of that before */
	double	   *last;

	double	   *first;			/* gradnorm: losses of the first step; NaN: none yet */

	/* gradients of each task by itself: layers, then the rows of tables in the batch */
	real	  **own;
	int64		nown;
	int			nsegments;		/* of layers */
	Segment    *segments;
	bool	   *shared_tables;	/* by table */
	pg_prng_state random;
};

static bool
NeedsOwnGradients(const WeightingOptions *options)
{
	return options->kind == WEIGHTING_GRADNORM || options->kind == WEIGHTING_PCGRAD;
}

/* Numbers of one task's gradient at most. */
static int64
OwnNumbers(const Network *network)
{
	int64		n = network->parameters->nflat;

	for (int i = 0; i < network->ntables; i++)
		n += (int64) network->tables[i].capacity * network->tables[i].dim;
	return n;
}

Size
WeightingSize(const Network *network, const TrainOptions *options, int nlosses)
{
	/* pcgrad changes copies */
	int			copies = options->weighting.kind == WEIGHTING_PCGRAD ? 2 * nlosses : nlosses;

	return NeedsOwnGradients(&options->weighting) ? sizeof(real) * OwnNumbers(network) * copies : 0;
}

/* ------------------------------------------------------------ what is shared */

static void
ReachTensor(const Tensor *tensor)
{
	if (tensor)
		ParameterOf(tensor)->nlosses++;
}

/*
 * Counts a loss for all parameters of the operations that it depends on.
 */
static void
Reach(const Network *network, const TaskLoss *loss)
{
	const Graph *graph = network->graph;
	bool	   *reached = palloc0(sizeof(bool) * graph->nops);
	bool	   *counted = palloc0(sizeof(bool) * network->parameters->nparameters);

	reached[loss->op] = true;
	for (int i = loss->op; i >= 0; i--)
	{
		const GraphOp *op = &graph->ops[i];
		const Tensor *tensors[] = {op->weight, op->bias, op->norm.weight, op->norm.bias,
		op->activation.alpha, op->weights_tensor};

		CHECK_FOR_INTERRUPTS();
		if (!reached[i])
			continue;
		for (int k = 0; k < op->ninputs; k++)
			reached[op->inputs[k]] |= !(op->stopped && op->stopped[k]);
		for (int k = 0; k < (int) lengthof(tensors); k++)
		{
			/* one tensor may serve several operations */
			if (tensors[k] == NULL || counted[ParameterOf(tensors[k])->position])
				continue;
			counted[ParameterOf(tensors[k])->position] = true;
			ReachTensor(tensors[k]);
		}
		for (int k = 0; op->kind == OP_INPUT && k < graph->layout->nfields; k++)
		{
			ReachTensor(op->biases[k]);
			/* features may share a table */
			if (op->tables[k] && !counted[ParameterOf(op->tables[k])->position])
			{
				counted[ParameterOf(op->tables[k])->position] = true;
				ReachTensor(op->tables[k]);
			}
		}
	}
	pfree(reached);
	pfree(counted);
}

static void
FindShared(Weighting *weighting, const Network *network)
{
	const Parameters *parameters = network->parameters;

	for (int i = 0; i < parameters->nparameters; i++)
		parameters->list[i]->nlosses = 0;
	for (int i = 0; i < weighting->nlosses; i++)
		Reach(network, &weighting->losses[i]);

	weighting->segments = palloc(sizeof(Segment) * Max(parameters->nparameters, 1));
	weighting->shared_tables = palloc0(sizeof(bool) * Max(network->ntables, 1));
	for (int i = 0; i < parameters->nparameters; i++)
	{
		const Parameter *parameter = parameters->list[i];

		if (parameter->nlosses < 2)
			continue;
		if (parameter->role == PARAMETER_TABLE)
			weighting->shared_tables[parameter->table] = true;
		else if (parameter->role == PARAMETER_LAYER)
			weighting->segments[weighting->nsegments++] =
				(Segment) {parameter->offset, parameter->tensor.nelements};
	}
}

/* --------------------------------------------------------------- creation */

static double *
Doubles(int n, double number)
{
	double	   *doubles = palloc(sizeof(double) * n);

	for (int i = 0; i < n; i++)
		doubles[i] = number;
	return doubles;
}

Weighting *
WeightingCreate(Network *network, const TrainOptions *options, int nlosses, const TaskLoss *losses,
				const Calibrator *calibrator)
{
	Weighting  *weighting = palloc0(sizeof(Weighting));
	int			copies = WeightingSize(network, options, nlosses) / (sizeof(real) * Max(OwnNumbers(network), 1));

	weighting->options = &options->weighting;
	weighting->nlosses = nlosses;
	weighting->losses = losses;
	weighting->calibrator = calibrator;
	weighting->weights = Doubles(nlosses, 1);
	weighting->uncertainty = Doubles(nlosses, 0);
	weighting->mean = Doubles(nlosses, 0);
	weighting->square = Doubles(nlosses, 0);
	weighting->before = Doubles(nlosses, NAN);
	weighting->last = Doubles(nlosses, NAN);
	weighting->first = Doubles(nlosses, NAN);
	for (int i = 0; i < nlosses; i++)
		weighting->weights[i] = options->weighting.weights[losses[i].position];
	RandomSeed(&weighting->random, options->seed, RANDOM_SURGERY, 0);
	if (copies > 0)
	{
		FindShared(weighting, network);
		weighting->own = palloc(sizeof(real *) * copies);
		for (int i = 0; i < copies; i++)
			weighting->own[i] = AllocateLarge(sizeof(real) * OwnNumbers(network));
	}
	return weighting;
}

/* -------------------------------------------------- gradients side by side */

/* Copies the gradients of parameters away, or adds factor times a copy to them. */
static void
SaveGradient(Weighting *weighting, const Network *network, real *own)
{
	int64		n = network->parameters->nflat;

	memcpy(own, network->gradient, sizeof(real) * n);
	for (int i = 0; i < network->ntables; i++)
	{
		int64		size = (int64) network->tables[i].nrows * network->tables[i].dim;

		memcpy(own + n, network->tables[i].gradient, sizeof(real) * size);
		n += size;
	}
	weighting->nown = n;
}

static void
AddTo(int64 n, real factor, const real *from, real *to)
{
	for (int64 i = 0; i < n; i++)
		to[i] += factor * from[i];
}

static void
AddGradient(const Weighting *weighting, Network *network, double factor, const real *own)
{
	int64		n = network->parameters->nflat;

	AddTo(n, (real) factor, own, network->gradient);
	for (int i = 0; i < network->ntables; i++)
	{
		int64		size = (int64) network->tables[i].nrows * network->tables[i].dim;

		AddTo(size, (real) factor, own + n, network->tables[i].gradient);
		n += size;
	}
}

/*
 * The shared part of two gradients, multiplied; or factor times the shared part of
 * one added to the other.
 */
static double
SharedDot(const Weighting *weighting, const Network *network, const real *a, const real *b)
{
	double		dot = 0;
	int64		position = network->parameters->nflat;

	for (int s = 0; s < weighting->nsegments; s++)
	{
		const Segment *segment = &weighting->segments[s];

		for (int64 i = segment->offset; i < segment->offset + segment->n; i++)
			dot += (double) a[i] * b[i];
	}
	for (int t = 0; t < network->ntables; t++)
	{
		int64		size = (int64) network->tables[t].nrows * network->tables[t].dim;

		for (int64 i = position; weighting->shared_tables[t] && i < position + size; i++)
			dot += (double) a[i] * b[i];
		position += size;
	}
	return dot;
}

static void
SharedAdd(const Weighting *weighting, const Network *network, double factor, const real *from, real *to)
{
	int64		position = network->parameters->nflat;

	for (int s = 0; s < weighting->nsegments; s++)
		AddTo(weighting->segments[s].n, (real) factor, from + weighting->segments[s].offset,
			  to + weighting->segments[s].offset);
	for (int t = 0; t < network->ntables; t++)
	{
		int64		size = (int64) network->tables[t].nrows * network->tables[t].dim;

		if (weighting->shared_tables[t])
			AddTo(size, (real) factor, from + position, to + position);
		position += size;
	}
}

static void
Scale(int64 n, real *numbers, double factor)
{
	for (int64 i = 0; factor != 1 && i < n; i++)
		numbers[i] *= (real) factor;
}

/* The gradient of each task's loss by itself, and then that of the calibrator alone. */
static void
OwnGradients(Weighting *weighting, Network *network, const float *labels, int nlabels,
			 const float *weights, const LossSum *sums)
{
	for (int i = 0; i < weighting->nlosses; i++)
	{
		CHECK_FOR_INTERRUPTS();
		NetworkClearVectors(network);
		NetworkClearParameters(network);
		LossBackward(network, &weighting->losses[i], labels, nlabels, weights, sums[i], 1);
		NetworkBackward(network);
		SaveGradient(weighting, network, weighting->own[i]);
	}
	NetworkClearParameters(network);
	if (weighting->calibrator)
	{
		NetworkClearVectors(network);
		CalibratorBackward(weighting->calibrator, network, weights);
		NetworkBackward(network);
	}
}

/* ------------------------------------------------------------------ kinds */

/* Mean loss of the batch; NaN without rows in the task's space. */
static double
MeanLoss(LossSum sum)
{
	return sum.weight > 0 ? sum.loss / sum.weight : NAN;
}

/*
 * Gradient surgery: each task's gradient loses what conflicts with the others', which
 * it meets in random order.
 */
static void
PcgradBackward(Weighting *weighting, Network *network)
{
	int			n = weighting->nlosses;
	int		   *order = palloc(sizeof(int) * n);

	for (int i = 0; i < n; i++)
		Scale(weighting->nown, weighting->own[i], weighting->weights[i]);
	for (int i = 0; i < n; i++)
	{
		real	   *changed = weighting->own[n + i];

		CHECK_FOR_INTERRUPTS();
		memcpy(changed, weighting->own[i], sizeof(real) * weighting->nown);
		for (int k = 0; k < n; k++)
			order[k] = k;
		RandomShuffle(&weighting->random, n, order);
		for (int k = 0; k < n; k++)
		{
			const real *other = weighting->own[order[k]];
			double		dot = order[k] == i ? 0 : SharedDot(weighting, network, changed, other);
			double		norm = dot < 0 ? SharedDot(weighting, network, other, other) : 0;

			if (norm > 0)
				SharedAdd(weighting, network, -dot / norm, other, changed);
		}
		AddGradient(weighting, network, 1, changed);
	}
	pfree(order);
}

/*
 * Weights move so that the tasks' gradients have norms in proportion to how slowly
 * their losses fall; then they are scaled to sum up to the number of tasks.
 */
static void
GradnormUpdate(Weighting *weighting, const double *norms, const LossSum *sums)
{
	int			n = weighting->nlosses;
	double	   *rates = palloc(sizeof(double) * n);
	double		mean_rate = 0;
	double		mean_norm = 0;
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		double		loss = MeanLoss(sums[i]);

		if (isnan(loss))
		{
			pfree(rates);
			return;
		}
		if (isnan(weighting->first[i]))
			weighting->first[i] = Max(loss, DBL_MIN);
		rates[i] = loss / weighting->first[i];
		mean_rate += rates[i] / n;
		mean_norm += weighting->weights[i] * norms[i] / n;
	}
	for (int i = 0; i < n; i++)
	{
		double		relative = mean_rate > 0 ? Max(rates[i] / mean_rate, DBL_MIN) : 1;
		double		target = mean_norm * MtlExp(weighting->options->alpha * MtlLog(relative));
		double		difference = weighting->weights[i] * norms[i] - target;
		double		slope = difference > 0 ? norms[i] : difference < 0 ? -norms[i] : 0;

		weighting->weights[i] = Max(weighting->weights[i] - weighting->options->learning_rate * slope, 1e-3);
		sum += weighting->weights[i];
	}
	for (int i = 0; i < n; i++)
		weighting->weights[i] *= n / sum;
	pfree(rates);
}

static void
GradnormBackward(Weighting *weighting, Network *network, const LossSum *sums)
{
	double	   *norms = palloc(sizeof(double) * weighting->nlosses);

	for (int i = 0; i < weighting->nlosses; i++)
	{
		norms[i] = MtlSqrt(SharedDot(weighting, network, weighting->own[i], weighting->own[i]));
		AddGradient(weighting, network, weighting->weights[i], weighting->own[i]);
	}
	GradnormUpdate(weighting, norms, sums);
	pfree(norms);
}

/*
 * loss * exp(-s) * c + s / 2, with c = 1 for cross-entropies and 1/2 for squared
 * errors, where s is the log of a variance that is trained with adam.
 */
static double
UncertaintyFactor(const TaskLoss *loss)
{
	return loss->kind == LOSS_SQUARED ? 0.5 : 1;
}

static void
UncertaintyUpdate(Weighting *weighting, const LossSum *sums)
{
	weighting->steps++;
	for (int i = 0; i < weighting->nlosses; i++)
	{
		double		loss = MeanLoss(sums[i]);
		double		gradient;

		if (isnan(loss))
			continue;
		gradient = 0.5 - loss * weighting->weights[i];
		weighting->mean[i] = 0.9 * weighting->mean[i] + 0.1 * gradient;
		weighting->square[i] = 0.999 * weighting->square[i] + 0.001 * gradient * gradient;
		weighting->uncertainty[i] -= weighting->options->learning_rate * weighting->mean[i] / (1 - MtlExp(weighting->steps * MtlLog(0.9))) /
			(MtlSqrt(weighting->square[i] / (1 - MtlExp(weighting->steps * MtlLog(0.999)))) + 1e-8);
		weighting->weights[i] = UncertaintyFactor(&weighting->losses[i]) * MtlExp(-weighting->uncertainty[i]);
	}
}

void
WeightingBackward(Weighting *weighting, Network *network, const float *labels, int nlabels,
				  const float *weights, const LossSum *sums)
{
	if (NeedsOwnGradients(weighting->options))
	{
		OwnGradients(weighting, network, labels, nlabels, weights, sums);
		if (weighting->options->kind == WEIGHTING_PCGRAD)
			PcgradBackward(weighting, network);
		else
			GradnormBackward(weighting, network, sums);
		return;
	}

	if (weighting->options->kind == WEIGHTING_UNCERTAINTY && weighting->steps == 0)
		for (int i = 0; i < weighting->nlosses; i++)
			weighting->weights[i] = UncertaintyFactor(&weighting->losses[i]);
	NetworkClearVectors(network);
	NetworkClearParameters(network);
	for (int i = 0; i < weighting->nlosses; i++)
		LossBackward(network, &weighting->losses[i], labels, nlabels, weights, sums[i],
					 weighting->weights[i]);
	if (weighting->calibrator)
		CalibratorBackward(weighting->calibrator, network, weights);
	NetworkBackward(network);
	if (weighting->options->kind == WEIGHTING_UNCERTAINTY)
		UncertaintyUpdate(weighting, sums);
}

/* Weights in proportion to exp(r / temperature), r the loss over that of the epoch before. */
static void
DwaEpoch(Weighting *weighting, const double *losses)
{
	int			n = weighting->nlosses;
	double		sum = 0;

	for (int i = 0; i < n; i++)
	{
		weighting->before[i] = weighting->last[i];
		weighting->last[i] = losses[i];
	}
	for (int i = 0; i < n; i++)
		if (!(weighting->before[i] > 0) || isnan(weighting->last[i]))
			return;
	for (int i = 0; i < n; i++)
	{
		weighting->weights[i] = MtlExp(Min(weighting->last[i] / weighting->before[i] / weighting->options->temperature, 500));
		sum += weighting->weights[i];
	}
	for (int i = 0; i < n; i++)
		weighting->weights[i] *= n / sum;
}

void
WeightingEpoch(Weighting *weighting, const double *losses)
{
	if (weighting->options->kind == WEIGHTING_DWA)
		DwaEpoch(weighting, losses);
	if (weighting->options->kind == WEIGHTING_FIXED || weighting->options->kind == WEIGHTING_PCGRAD)
		for (int i = 0; i < weighting->nlosses; i++)
			weighting->weights[i] *= weighting->options->gamma[weighting->losses[i].position];
}

const double *
WeightingWeights(const Weighting *weighting)
{
	return weighting->weights;
}
