/*
 * activation.c
 *	  Normalizations and activations, in place.
 *
 * Everything but relu is computed in double, and each result rounded to float32 once.
 * Formulas: docs/model-format.md, "Layers".
 */
#include "postgres.h"

#include "engine/program.h"
#include "math/functions.h"

/* ---------------------------------------------------------- normalization */

void
Normalize(const Run *run, const CompiledNorm *norm, int units, float *y, Size y_stride)
{
	for (int r = 0; r < run->nrows; r++, y += y_stride)
	{
		double		mean;
		double		variance;

		if (norm->kind == NORM_BATCH)
		{
			run->kernels->batch_norm(units, norm->mean, norm->scale, norm->shift, y);
			continue;
		}
		run->kernels->statistics(units, y, &mean, &variance);
		run->kernels->layer_norm(units, mean, 1 / MtlSqrt(variance + norm->epsilon),
								 norm->scale, norm->shift, y);
	}
}

/* ------------------------------------------------------------- activations */

/*
 * torch-rechub's dice: statistics over the units of the row; with sum, squares and
 * epsilons are summed and not averaged.
 */
static void
RowDice(const Run *run, const CompiledActivation *activation, bool sum, int units, float *y)
{
	double		mean;
	double		variance;
	double		deviation;

	run->kernels->statistics(units, y, &mean, &variance);
	deviation = MtlSqrt((variance + activation->epsilon) * (sum ? units : 1));
	run->kernels->row_dice(units, mean, 1 / deviation, activation->alpha, y);
}

/*
 * The activation of one row, or of as many numbers as there are if it is the same for
 * all units.
 */
static void
ActivateNumbers(const Run *run, const CompiledActivation *activation, int n, float *y)
{
	const Kernels *kernels = run->kernels;

	switch (activation->kind)
	{
		case ACTIVATION_LINEAR:
			break;
		case ACTIVATION_RELU:
			kernels->relu(n, y);
			break;
		case ACTIVATION_LEAKY_RELU:
			kernels->leaky_relu(n, activation->slope, y);
			break;
		case ACTIVATION_PRELU:
			kernels->prelu(n, activation->alpha, y);
			break;
		case ACTIVATION_SIGMOID:
			kernels->sigmoid(n, y);
			break;
		case ACTIVATION_TANH:
			kernels->tanh(n, y);
			break;
		case ACTIVATION_SILU:
			kernels->silu(n, y);
			break;
		case ACTIVATION_GELU:
			kernels->gelu(n, y);
			break;
		case ACTIVATION_GELU_TANH:
			kernels->gelu_tanh(n, y);
			break;
		case ACTIVATION_DICE:
			kernels->dice(n, activation->mean, activation->scale, activation->alpha, y);
			break;
		case ACTIVATION_DICE_ROW_MEAN:
		case ACTIVATION_DICE_ROW_SUM:
			RowDice(run, activation, activation->kind == ACTIVATION_DICE_ROW_SUM, n, y);
			break;
	}
}

static bool
SameForAllUnits(const CompiledActivation *activation)
{
	return activation->alpha == NULL;
}

/*
 * The few units of all rows brought together: a score has one.
 */
static void
ActivateNarrow(const Run *run, const CompiledActivation *activation, int units,
			   float *y, Size y_stride)
{
	float	   *numbers = (float *) run->temporary;

	for (int r = 0; r < run->nrows; r++)
		for (int u = 0; u < units; u++)
			numbers[r * units + u] = y[r * y_stride + u];
	ActivateNumbers(run, activation, run->nrows * units, numbers);
	for (int r = 0; r < run->nrows; r++)
		for (int u = 0; u < units; u++)
			y[r * y_stride + u] = numbers[r * units + u];
}

void
Activate(const Run *run, const CompiledActivation *activation, int units, float *y, Size y_stride)
{
	if (activation->kind == ACTIVATION_LINEAR)
		return;
	if (units < MTL_STRIP && SameForAllUnits(activation))
		ActivateNarrow(run, activation, units, y, y_stride);
	else
		for (int r = 0; r < run->nrows; r++)
			ActivateNumbers(run, activation, units, y + r * y_stride);
}
