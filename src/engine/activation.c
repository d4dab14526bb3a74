/*
 * activation.c
 *	  Normalizations and activations, in place.
 *
 * Everything but relu is computed in double, sums over the units of a row in their
 * order, and each result rounded to float32 once.  Formulas: docs/model-format.md,
 * "Layers".
 */
#include "postgres.h"

#include "engine/program.h"
#include "math/functions.h"

#define SQRT_HALF		0.70710678118654752440
#define SQRT_2_PER_PI	0.79788456080286535588

/* Mean and biased variance over the units of one row. */
static void
RowStatistics(int units, const float *y, double *mean, double *variance)
{
	double		sum = 0;
	double		squares = 0;

	for (int u = 0; u < units; u++)
		sum += y[u];
	*mean = sum / units;
	for (int u = 0; u < units; u++)
		squares += (y[u] - *mean) * (y[u] - *mean);
	*variance = squares / units;
}

/* ---------------------------------------------------------- normalization */

static void
LayerNormRow(const CompiledNorm *norm, int units, float *y)
{
	double		mean;
	double		variance;
	double		deviation;

	RowStatistics(units, y, &mean, &variance);
	deviation = MtlSqrt(variance + norm->epsilon);
	for (int u = 0; u < units; u++)
		y[u] = (y[u] - mean) / deviation * norm->scale[u] + norm->shift[u];
}

static void
BatchNormRow(const CompiledNorm *norm, int units, float *y)
{
	for (int u = 0; u < units; u++)
		y[u] = (y[u] - norm->mean[u]) * norm->scale[u] + norm->shift[u];
}

void
Normalize(const CompiledNorm *norm, int nrows, int units, float *y)
{
	if (norm->kind == NORM_NONE)
		return;
	for (int r = 0; r < nrows; r++, y += units)
	{
		if (norm->kind == NORM_LAYER)
			LayerNormRow(norm, units, y);
		else
			BatchNormRow(norm, units, y);
	}
}

/* ------------------------------------------- activations of single numbers */

static double
Silu(double y)
{
	return y * MtlSigmoid(y);
}

static double
Gelu(double y)
{
	return y / 2 * (1 + MtlErf(y * SQRT_HALF));
}

/* (1 + tanh(z)) / 2 is sigmoid(2z), which does not cancel */
static double
GeluTanh(double y)
{
	return y * MtlSigmoid(2 * SQRT_2_PER_PI * (y + 0.044715 * y * y * y));
}

static void
ApplyToEach(double (*function) (double), Size n, float *y)
{
	for (Size i = 0; i < n; i++)
		y[i] = function(y[i]);
}

static void
Relu(Size n, float *y)
{
	for (Size i = 0; i < n; i++)
		y[i] = y[i] > 0 ? y[i] : 0;
}

static void
LeakyRelu(double slope, Size n, float *y)
{
	for (Size i = 0; i < n; i++)
		y[i] = y[i] > 0 ? y[i] : slope * y[i];
}

/* -------------------------------------------------- activations of a unit */

static void
PreluRow(const double *alpha, int units, float *y)
{
	for (int u = 0; u < units; u++)
		y[u] = y[u] > 0 ? y[u] : alpha[u] * y[u];
}

/*
 * p * y + alpha * (1 - p) * y with p = sigmoid(z); Zhou et al., "Deep Interest
 * Network for Click-Through Rate Prediction", KDD 2018.
 */
static double
Dice(double y, double z, double alpha)
{
	double		p = MtlSigmoid(z);

	return p * y + alpha * (1 - p) * y;
}

static void
DiceRow(const CompiledActivation *activation, int units, float *y)
{
	for (int u = 0; u < units; u++)
		y[u] = Dice(y[u], (y[u] - activation->mean[u]) * activation->scale[u],
					activation->alpha[u]);
}

/*
 * torch-rechub's dice: statistics over the units of the row; with sum, squares and
 * epsilons are summed and not averaged.
 */
static void
RowDiceRow(const CompiledActivation *activation, bool sum, int units, float *y)
{
	double		mean;
	double		variance;
	double		deviation;

	RowStatistics(units, y, &mean, &variance);
	deviation = MtlSqrt((variance + activation->epsilon) * (sum ? units : 1));
	for (int u = 0; u < units; u++)
		y[u] = Dice(y[u], (y[u] - mean) / deviation, activation->alpha[u]);
}

void
Activate(const CompiledActivation *activation, int nrows, int units, float *y)
{
	Size		n = (Size) nrows * units;

	switch (activation->kind)
	{
		case ACTIVATION_LINEAR:
			break;
		case ACTIVATION_RELU:
			Relu(n, y);
			break;
		case ACTIVATION_LEAKY_RELU:
			LeakyRelu(activation->slope, n, y);
			break;
		case ACTIVATION_PRELU:
			for (int r = 0; r < nrows; r++)
				PreluRow(activation->alpha, units, y + (Size) r * units);
			break;
		case ACTIVATION_SIGMOID:
			ApplyToEach(MtlSigmoid, n, y);
			break;
		case ACTIVATION_TANH:
			ApplyToEach(MtlTanh, n, y);
			break;
		case ACTIVATION_SILU:
			ApplyToEach(Silu, n, y);
			break;
		case ACTIVATION_GELU:
			ApplyToEach(Gelu, n, y);
			break;
		case ACTIVATION_GELU_TANH:
			ApplyToEach(GeluTanh, n, y);
			break;
		case ACTIVATION_DICE:
			for (int r = 0; r < nrows; r++)
				DiceRow(activation, units, y + (Size) r * units);
			break;
		case ACTIVATION_DICE_ROW_MEAN:
		case ACTIVATION_DICE_ROW_SUM:
			for (int r = 0; r < nrows; r++)
				RowDiceRow(activation, activation->kind == ACTIVATION_DICE_ROW_SUM,
						   units, y + (Size) r * units);
			break;
	}
}
