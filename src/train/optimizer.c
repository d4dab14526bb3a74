/*
 * optimizer.c
 *	  Moves parameters against their gradients.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "math/functions.h"
#include "model/memory.h"
#include "train/optimizer.h"

#define PI 3.14159265358979323846

/* Two tensors of two tasks that soft sharing holds together. */
typedef struct SharedPair
{
	int64		first;			/* offsets in the flat arrays */
	int64		second;
	int64		n;
} SharedPair;

struct Optimizer
{
	const TrainOptions *options;
	int64		steps;
	real	   *flat[2];		/* state of layers: up to two numbers for each */
	real	   **tables[2];		/* the same of tables */
	double	   *decay;			/* by parameter: its L2 penalty */
	int			npairs;
	SharedPair *pairs;
};

/* Numbers of state for each parameter. */
static int
StateNumbers(const OptimizerOptions *options)
{
	switch (options->kind)
	{
		case OPTIMIZER_ADAM:
		case OPTIMIZER_FTRL:
			return 2;
		case OPTIMIZER_ADAGRAD:
			return 1;
		case OPTIMIZER_SGD:
			return options->momentum > 0 ? 1 : 0;
	}
	return 0;
}

Size
OptimizerSize(const Network *network, const TrainOptions *options)
{
	Size		size = sizeof(real) * network->parameters->nflat * StateNumbers(&options->layers);

	for (int i = 0; i < network->ntables; i++)
		size += sizeof(real) * network->tables[i].parameter->tensor.nelements *
			StateNumbers(&options->embeddings);
	return size;
}

static real *
AllocateState(int64 n, double initial)
{
	real	   *state = AllocateZeros(n * sizeof(real));

	for (int64 i = 0; initial != 0 && i < n; i++)
	{
		if (i % MTL_NUMBERS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		state[i] = (real) initial;
	}
	return state;
}

/* What a state starts from: the first number of adagrad and ftrl accumulates squares. */
static double
InitialState(const OptimizerOptions *options, int k)
{
	bool		accumulates = options->kind == OPTIMIZER_ADAGRAD || options->kind == OPTIMIZER_FTRL;

	return accumulates && k == 0 ? options->initial_accumulator : 0;
}

/*
 * Tensors of two tasks that have the same name after the task's and the same
 * shape; not those that make scores, which are of different things.
 */
static const char *
NameInTask(const char *name)
{
	const char *rest;

	if (strncmp(name, "task.", 5) != 0 || strstr(name, ".logit.") != NULL)
		return NULL;
	rest = strchr(name + 5, '.');
	return rest;
}

static void
FindPairs(Optimizer *optimizer, const Parameters *parameters)
{
	int			capacity = 16;

	optimizer->pairs = palloc(sizeof(SharedPair) * capacity);
	for (int i = 0; i < parameters->nparameters; i++)
	{
		const Parameter *first = parameters->list[i];
		const char *name = NameInTask(first->tensor.name);

		CHECK_FOR_INTERRUPTS();
		for (int k = i + 1; name && first->role == PARAMETER_LAYER && k < parameters->nparameters; k++)
		{
			const Parameter *second = parameters->list[k];
			const char *other = NameInTask(second->tensor.name);

			if (other == NULL || strcmp(name, other) != 0 || second->role != PARAMETER_LAYER ||
				first->tensor.ndims != second->tensor.ndims ||
				memcmp(first->tensor.dims, second->tensor.dims, sizeof(int64) * first->tensor.ndims) != 0)
				continue;
			if (optimizer->npairs == capacity)
			{
				capacity *= 2;
				optimizer->pairs = repalloc(optimizer->pairs, sizeof(SharedPair) * capacity);
			}
			optimizer->pairs[optimizer->npairs++] =
				(SharedPair) {first->offset, second->offset, first->tensor.nelements};
		}
	}
	if (optimizer->npairs == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"options.l2.soft_sharing\" is given, but no two tasks have layers of the same shape"),
				 errhint("It is for single_task and other architectures whose tasks have hidden layers of their own.")));
}

/* L2 penalties are on matrices: not on biases, and not on normalizations. */
static double
DecayOf(const Parameter *parameter, const TrainOptions *options)
{
	if (parameter->role == PARAMETER_TABLE)
		return options->l2_embeddings;
	return parameter->role == PARAMETER_LAYER && parameter->tensor.ndims == 2 ? options->l2_layers : 0;
}

Optimizer *
OptimizerCreate(const Network *network, const TrainOptions *options)
{
	Optimizer  *optimizer = palloc0(sizeof(Optimizer));
	const Parameters *parameters = network->parameters;

	optimizer->options = options;
	for (int k = 0; k < StateNumbers(&options->layers); k++)
		optimizer->flat[k] = AllocateState(parameters->nflat, InitialState(&options->layers, k));
	for (int k = 0; k < StateNumbers(&options->embeddings); k++)
	{
		optimizer->tables[k] = palloc(sizeof(real *) * Max(network->ntables, 1));
		for (int i = 0; i < network->ntables; i++)
			optimizer->tables[k][i] = AllocateState(network->tables[i].parameter->tensor.nelements,
													InitialState(&options->embeddings, k));
	}
	optimizer->decay = palloc(sizeof(double) * Max(parameters->nparameters, 1));
	for (int i = 0; i < parameters->nparameters; i++)
		optimizer->decay[i] = DecayOf(parameters->list[i], options);
	if (options->soft_sharing > 0)
		FindPairs(optimizer, parameters);
	return optimizer;
}

/* ------------------------------------------------------------- penalties */

static void
AddPenalty(double penalty, int64 n, const real *value, real *gradient)
{
	real		factor = (real) (2 * penalty);

	for (int64 i = 0; i < n; i++)
		gradient[i] += factor * value[i];
}

/*
 * The gradient of penalty * sum of squares; for tables, of the rows in the batch.
 */
static void
AddPenalties(const Optimizer *optimizer, Network *network)
{
	const Parameters *parameters = network->parameters;
	real		soft = (real) (2 * optimizer->options->soft_sharing);

	for (int i = 0; i < parameters->nparameters; i++)
	{
		const Parameter *parameter = parameters->list[i];

		if (optimizer->decay[i] == 0)
			continue;
		if (parameter->role == PARAMETER_LAYER)
			AddPenalty(optimizer->decay[i], parameter->tensor.nelements, parameter->value,
					   network->gradient + parameter->offset);
		else
		{
			TableGradient *table = &network->tables[parameter->table];

			for (int k = 0; k < table->nrows; k++)
				AddPenalty(optimizer->decay[i], table->dim,
						   parameter->value + (Size) table->rows[k] * table->dim,
						   table->gradient + (Size) k * table->dim);
		}
	}
	for (int i = 0; i < optimizer->npairs; i++)
	{
		const SharedPair *pair = &optimizer->pairs[i];
		const real *value = parameters->flat;

		for (int64 k = 0; k < pair->n; k++)
		{
			real		difference = soft * (value[pair->first + k] - value[pair->second + k]);

			network->gradient[pair->first + k] += difference;
			network->gradient[pair->second + k] -= difference;
		}
	}
}

static double
SumOfSquares(int64 n, const real *numbers)
{
	double		sum = 0;

	for (int64 i = 0; i < n; i++)
		sum += (double) numbers[i] * numbers[i];
	return sum;
}

static void
Scale(int64 n, real *numbers, double factor)
{
	for (int64 i = 0; i < n; i++)
		numbers[i] *= (real) factor;
}

/* Shortens the gradient of all parameters together to a norm. */
static void
Clip(Network *network, double limit)
{
	double		norm = SumOfSquares(network->parameters->nflat, network->gradient);

	for (int i = 0; i < network->ntables; i++)
		norm += SumOfSquares((int64) network->tables[i].nrows * network->tables[i].dim,
							 network->tables[i].gradient);
	norm = MtlSqrt(norm);
	if (!(norm > limit))
		return;
	Scale(network->parameters->nflat, network->gradient, limit / norm);
	for (int i = 0; i < network->ntables; i++)
		Scale((int64) network->tables[i].nrows * network->tables[i].dim,
			  network->tables[i].gradient, limit / norm);
}

/* ------------------------------------------------------------------ steps */

static double
Power(double base, double exponent)
{
	return exponent == 0 ? 1 : MtlExp(exponent * MtlLog(base));
}

/* What one step has in common for all numbers. */
typedef struct Step
{
	const OptimizerOptions *options;
	double		rate;			/* the learning rate of this step */
	real		adam_rate;		/* the same, corrected for the bias of adam's means */
	real		adam_scale;		/* corrects the root of the mean square */
} Step;

static inline real
SquareRoot(real number)
{
#ifdef MTL_TRAIN_FLOAT64
	return sqrt(number);
#else
	return sqrtf(number);
#endif
}

MTL_VECTORIZED static void
AdamStep(const Step *step, int64 n, const real *restrict gradient, real *restrict value,
		 real *restrict mean, real *restrict square)
{
	real		beta1 = (real) step->options->beta1;
	real		beta2 = (real) step->options->beta2;
	real		epsilon = (real) step->options->epsilon;
	real		rate = step->adam_rate;
	real		scale = step->adam_scale;

	for (int64 i = 0; i < n; i++)
	{
		real		g = gradient[i];

		mean[i] = beta1 * mean[i] + (1 - beta1) * g;
		square[i] = beta2 * square[i] + (1 - beta2) * g * g;
		value[i] -= rate * mean[i] / (SquareRoot(square[i]) * scale + epsilon);
	}
}

MTL_VECTORIZED static void
AdagradStep(const Step *step, int64 n, const real *restrict gradient, real *restrict value,
			real *restrict square)
{
	real		rate = (real) step->rate;
	real		epsilon = (real) step->options->epsilon;

	for (int64 i = 0; i < n; i++)
	{
		square[i] += gradient[i] * gradient[i];
		value[i] -= rate * gradient[i] / (SquareRoot(square[i]) + epsilon);
	}
}

MTL_VECTORIZED static void
SgdStep(const Step *step, int64 n, const real *restrict gradient, real *restrict value,
		real *restrict velocity)
{
	real		rate = (real) step->rate;
	real		momentum = (real) step->options->momentum;

	for (int64 i = 0; i < n; i++)
	{
		real		g = gradient[i];

		if (velocity)
			g = velocity[i] = momentum * velocity[i] + g;
		value[i] -= rate * g;
	}
}

/*
 * Algorithm 1 of McMahan et al. 2013.  A row starts from its random value and not
 * from 0: z is set so that the first step moves from there.
 */
static void
FtrlStep(const Step *step, int64 n, const real *gradient, real *value, real *square, real *z, bool first)
{
	double		alpha = step->rate;
	const OptimizerOptions *options = step->options;

	for (int64 i = 0; i < n; i++)
	{
		double		g = gradient[i];
		double		before = MtlSqrt(square[i]);
		double		after = MtlSqrt(square[i] + g * g);
		double		sigma = (after - before) / alpha;

		if (first)
			z[i] = (real) (-value[i] * ((options->beta + before) / alpha + options->l2) -
						   (value[i] > 0 ? options->l1 : value[i] < 0 ? -options->l1 : 0));
		z[i] += (real) (g - sigma * value[i]);
		square[i] += (real) (g * g);
		if (fabs(z[i]) <= options->l1)
			value[i] = 0;
		else
			value[i] = (real) (-(z[i] - (z[i] > 0 ? options->l1 : -options->l1)) /
							   ((options->beta + after) / alpha + options->l2));
	}
}

static void
Move(const Step *step, int64 n, const real *gradient, real *value, real *state0, real *state1)
{
	switch (step->options->kind)
	{
		case OPTIMIZER_ADAM:
			AdamStep(step, n, gradient, value, state0, state1);
			break;
		case OPTIMIZER_ADAGRAD:
			AdagradStep(step, n, gradient, value, state0);
			break;
		case OPTIMIZER_SGD:
			SgdStep(step, n, gradient, value, state0);
			break;
		case OPTIMIZER_FTRL:
			/* squares have not grown yet: the row is met for the first time */
			FtrlStep(step, n, gradient, value, state0, state1,
					 state0[0] == (real) step->options->initial_accumulator && state1[0] == 0);
			break;
	}
}

static Step
MakeStep(const OptimizerOptions *options, int64 steps, double rate)
{
	Step		step = {options, options->learning_rate * rate, 1, 1};

	/* all that ftrl has added up is in units of its rate, which falls by itself */
	if (options->kind == OPTIMIZER_FTRL)
		step.rate = options->learning_rate;
	if (options->kind == OPTIMIZER_ADAM)
	{
		step.adam_rate = (real) (step.rate / (1 - Power(options->beta1, (double) steps)));
		step.adam_scale = (real) (1 / MtlSqrt(1 - Power(options->beta2, (double) steps)));
	}
	return step;
}

static void
MoveTable(const Optimizer *optimizer, const Step *step, TableGradient *table)
{
	int			position = table->parameter->table;

	for (int k = 0; k < table->nrows; k++)
	{
		Size		place = (Size) table->rows[k] * table->dim;

		Move(step, table->dim, table->gradient + (Size) k * table->dim,
			 table->parameter->value + place,
			 optimizer->tables[0] ? optimizer->tables[0][position] + place : NULL,
			 optimizer->tables[1] ? optimizer->tables[1][position] + place : NULL);
	}
}

void
OptimizerStep(Optimizer *optimizer, Network *network, double rate)
{
	const TrainOptions *options = optimizer->options;
	Parameters *parameters = network->parameters;
	Step		layers;
	Step		embeddings;

	AddPenalties(optimizer, network);
	if (options->clip_norm > 0)
		Clip(network, options->clip_norm);

	optimizer->steps++;
	layers = MakeStep(&options->layers, optimizer->steps, rate);
	embeddings = MakeStep(&options->embeddings, optimizer->steps, rate);
	for (int64 i = 0; i < parameters->nflat; i += NUMBERS_PER_CHECK)
	{
		CHECK_FOR_INTERRUPTS();
		Move(&layers, Min(NUMBERS_PER_CHECK, parameters->nflat - i), network->gradient + i,
			 parameters->flat + i,
			 optimizer->flat[0] ? optimizer->flat[0] + i : NULL,
			 optimizer->flat[1] ? optimizer->flat[1] + i : NULL);
	}
	for (int i = 0; i < network->ntables; i++)
	{
		CHECK_FOR_INTERRUPTS();
		MoveTable(optimizer, &embeddings, &network->tables[i]);
	}
}

double
ScheduleRate(const ScheduleOptions *schedule, int64 step, int64 steps_per_epoch, int64 steps)
{
	double		epochs = (double) step / steps_per_epoch;
	double		done = (double) step / Max(steps, 1);
	double		rate = 1;

	switch (schedule->kind)
	{
		case SCHEDULE_CONSTANT:
			break;
		case SCHEDULE_STEP:
			rate = Power(schedule->decay, floor(epochs / schedule->every));
			break;
		case SCHEDULE_EXPONENTIAL:
			rate = Power(schedule->decay, epochs / schedule->every);
			break;
		case SCHEDULE_LINEAR:
			rate = schedule->floor + (1 - schedule->floor) * (1 - done);
			break;
		case SCHEDULE_COSINE:
			rate = schedule->floor + (1 - schedule->floor) * (1 + cos(PI * done)) / 2;
			break;
	}
	if (step < schedule->warmup_steps)
		rate *= (double) (step + 1) / schedule->warmup_steps;
	return rate;
}
