/*
 * gradients.c
 *	  Compares the gradients of training with central differences.
 *
 * Built with training in double precision (make FLOAT64=1), beside the extension and
 * not in it.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "train/prepare.h"
#include "train/weighting.h"

MTL_FUNCTION(mtl_gradients);

/* Numbers of one tensor that are compared at most. */
#define MAX_NUMBERS 48

/* How far parameters are moved from where training starts, so that none is 0 or 1. */
#define NOISE 0.3

#define NUM_COLUMNS 4			/* tensor, position, gradient, difference */

typedef struct Check
{
	TrainCall	call;
	const float *weights;
	Calibrator *calibrator;
	LossSum    *sums;
	double	   *scales;			/* of the losses */
	bool		only_first;		/* the loss of the first task alone, and gradients stop where they are to */
} Check;

static void
AddNoise(const Parameters *parameters)
{
	pg_prng_state state;

	RandomSeed(&state, 1, RANDOM_INITIAL, -1);
	for (int i = 0; i < parameters->nparameters; i++)
		for (int64 k = 0; k < parameters->list[i]->tensor.nelements; k++)
			if (parameters->list[i]->role != PARAMETER_STATISTIC)
				parameters->list[i]->value[k] += RandomUniform(&state, NOISE);
}

/* The weighted sum of all losses for the batch, and the calibrator's; dropout is the same each time. */
static double
TotalLoss(Check *check)
{
	Training   *training = &check->call.training;
	Batch	   *batch = training->batch;
	pg_prng_state dropout;
	double		total = 0;

	RandomSeed(&dropout, 1, RANDOM_DROPOUT, 0);
	NetworkForward(training->network, batch->nrows, batch->floats, batch->ids, true, &dropout);
	for (int i = 0; i < training->nlosses; i++)
	{
		check->sums[i] = LossCompute(training->network, &training->losses[i], batch->labels,
									 batch->nlabels, check->weights);
		if (check->sums[i].weight > 0)
			total += check->scales[i] * check->sums[i].loss / check->sums[i].weight;
	}
	if (check->calibrator)
	{
		LossSum		sum = CalibratorCompute(check->calibrator, training->network, check->weights);

		total += check->calibrator->weight * sum.loss / sum.weight;
	}
	return total;
}

static double
Difference(Check *check, Parameter *parameter, int64 position, double step)
{
	real		value = parameter->value[position];
	double		above;
	double		below;

	parameter->value[position] = value + step;
	above = TotalLoss(check);
	parameter->value[position] = value - step;
	below = TotalLoss(check);
	parameter->value[position] = value;
	return (above - below) / (2 * step);
}

/* A copy of the gradient of a parameter, rows that the batch has not touched being 0. */
static double *
CopyGradient(const Network *network, const Parameter *parameter)
{
	double	   *copy = palloc0(sizeof(double) * parameter->tensor.nelements);

	if (parameter->role == PARAMETER_LAYER)
		memcpy(copy, network->gradient + parameter->offset, sizeof(double) * parameter->tensor.nelements);
	else
	{
		const TableGradient *table = &network->tables[parameter->table];

		for (int i = 0; i < table->nrows; i++)
			memcpy(copy + (Size) table->rows[i] * table->dim, table->gradient + (Size) i * table->dim,
				   sizeof(double) * table->dim);
	}
	return copy;
}

static void
CompareTensor(Check *check, ReturnSetInfo *result, Parameter *parameter, const double *gradient, double step)
{
	int64		n = parameter->tensor.nelements;
	int64		stride = Max(n / MAX_NUMBERS, 1);

	for (int64 k = 0; k < n; k += stride)
	{
		Datum		values[NUM_COLUMNS];
		bool		nulls[NUM_COLUMNS] = {false};

		values[0] = CStringGetTextDatum(parameter->tensor.name);
		values[1] = Int64GetDatum(k);
		values[2] = Float8GetDatum(gradient[k]);
		values[3] = Float8GetDatum(Difference(check, parameter, k, step));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

static void
CompareAll(Check *check, ReturnSetInfo *result, double step)
{
	Training   *training = &check->call.training;
	Network    *network = training->network;
	Parameters *parameters = network->parameters;
	double	  **gradients = palloc(sizeof(double *) * parameters->nparameters);

	(void) TotalLoss(check);
	NetworkClearVectors(network);
	NetworkClearParameters(network);
	for (int i = 0; i < training->nlosses; i++)
		LossBackward(network, &training->losses[i], training->batch->labels, training->batch->nlabels,
					 check->weights, check->sums[i], check->scales[i]);
	if (check->calibrator)
		CalibratorBackward(check->calibrator, network, check->weights);
	NetworkBackward(network);
	for (int i = 0; i < parameters->nparameters; i++)
		if (parameters->list[i]->role != PARAMETER_STATISTIC)
			gradients[i] = CopyGradient(network, parameters->list[i]);
	for (int i = 0; i < parameters->nparameters; i++)
		if (parameters->list[i]->role != PARAMETER_STATISTIC)
			CompareTensor(check, result, parameters->list[i], gradients[i], step);
}

/* mtl_gradients(spec jsonb, query text, options jsonb, step float8, only_first bool): all rows are one batch */
Datum
mtl_gradients(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller = CurrentMemoryContext;
	Check		check = {0};
	Training   *training = &check.call.training;

	/* the settings are those of the extension, which need not be loaded */
	mtl_rank_max_model_size = 1024 * 1024;
	InitMaterializedSRF(fcinfo, 0);
	check.call.spec_json = PG_GETARG_JSONB_P(0);
	check.call.query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	check.call.options_json = PG_GETARG_JSONB_P(2);

	check.only_first = PG_GETARG_BOOL(4);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* not SPI's, which ends before the result is read */
	MemoryContextSwitchTo(caller);
	TrainPrepare(&check.call);
	check.sums = palloc(sizeof(LossSum) * training->nlosses);
	check.scales = palloc(sizeof(double) * training->nlosses);
	for (int i = 0; i < training->nlosses; i++)
		check.scales[i] = check.only_first && i > 0 ? 0 : 1.0 / (i + 1);
	/* differences know of no stop */
	for (int i = 0; !check.only_first && i < check.call.graph->nops; i++)
		check.call.graph->ops[i].stopped = NULL;
	AddNoise(training->network->parameters);
	BatchLoad(training->batch, RowStoreLoad(training->rows, 0), NULL,
			  Min(RowStorePartitionRows(training->rows, 0), training->options->batch_size));
	check.weights = BatchWeights(training->batch);
	check.calibrator = CalibratorCreate(check.call.graph, &check.call.options->calibrator);
	CompareAll(&check, result, PG_GETARG_FLOAT8(3));
	SPI_finish();
	return (Datum) 0;
}
