/*
 * network_activation.c
 *	  Activations in training.  Formulas: docs/model-format.md, "Layers".
 */
#include "postgres.h"

#include "math/functions.h"
#include "train/network.h"

#define SQRT_HALF		0.70710678118654752440
#define SQRT_2_PER_PI	0.79788456080286535588
#define GELU_CUBIC		0.044715
/* 1 / sqrt(2 pi) */
#define NORMAL_PEAK		0.39894228040143267794

/* Whether the way back can be gone with what came out alone. */
bool
ActivatesInPlace(ActivationKind kind)
{
	switch (kind)
	{
		case ACTIVATION_LINEAR:
		case ACTIVATION_RELU:
		case ACTIVATION_SIGMOID:
		case ACTIVATION_TANH:
			return true;
		default:
			return false;
	}
}

/* ---------------------------------------- functions of a single number */

static double
Silu(double z)
{
	return z * MtlSigmoid(z);
}

static double
SiluSlope(double z)
{
	double		s = MtlSigmoid(z);

	return s + z * s * (1 - s);
}

static double
Gelu(double z)
{
	return z / 2 * (1 + MtlErf(z * SQRT_HALF));
}

static double
GeluSlope(double z)
{
	return (1 + MtlErf(z * SQRT_HALF)) / 2 + z * NORMAL_PEAK * MtlExp(-z * z / 2);
}

/* (1 + tanh(t)) / 2 is sigmoid(2t) */
static double
GeluTanh(double z)
{
	return z * MtlSigmoid(2 * SQRT_2_PER_PI * (z + GELU_CUBIC * z * z * z));
}

static double
GeluTanhSlope(double z)
{
	double		s = MtlSigmoid(2 * SQRT_2_PER_PI * (z + GELU_CUBIC * z * z * z));

	return s + z * s * (1 - s) * 2 * SQRT_2_PER_PI * (1 + 3 * GELU_CUBIC * z * z);
}

static double
SigmoidSlope(double z)
{
	double		s = MtlSigmoid(z);

	return s * (1 - s);
}

static double
TanhSlope(double z)
{
	double		t = MtlTanh(z);

	return 1 - t * t;
}

typedef double (*Function) (double z);

static Function
FunctionOf(ActivationKind kind)
{
	switch (kind)
	{
		case ACTIVATION_SIGMOID:
			return MtlSigmoid;
		case ACTIVATION_TANH:
			return MtlTanh;
		case ACTIVATION_SILU:
			return Silu;
		case ACTIVATION_GELU:
			return Gelu;
		case ACTIVATION_GELU_TANH:
			return GeluTanh;
		default:
			return NULL;
	}
}

static Function
SlopeOf(ActivationKind kind)
{
	switch (kind)
	{
		case ACTIVATION_SIGMOID:
			return SigmoidSlope;
		case ACTIVATION_TANH:
			return TanhSlope;
		case ACTIVATION_SILU:
			return SiluSlope;
		case ACTIVATION_GELU:
			return GeluSlope;
		case ACTIVATION_GELU_TANH:
			return GeluTanhSlope;
		default:
			return NULL;
	}
}

/* ------------------------------------------------- prelu, leaky relu, dice */

/* alpha of a unit: its own, or the one for all. */
static int
AlphaOf(const Activation *activation, int u)
{
	return activation->alpha->nelements == 1 ? 0 : u;
}

static double
SlopeBelow(const Activation *activation, int u)
{
	return activation->kind == ACTIVATION_PRELU ?
		ValueOf(activation->alpha)[AlphaOf(activation, u)] : activation->slope;
}

/*
 * dice's sigmoid reads s, its input standardized; with row_sum squares are summed
 * and not averaged.
 */
static double
DiceScale(const NetworkOp *op)
{
	return op->op->activation.kind == ACTIVATION_DICE_ROW_SUM ? 1 / MtlSqrt(op->width) : 1;
}

static void
DiceForward(Network *network, NetworkOp *op, const real *in, int in_stride, real *out, int out_stride)
{
	const Activation *activation = &op->op->activation;
	const real *alpha = ValueOf(activation->alpha);
	double		scale = DiceScale(op);

	if (activation->kind == ACTIVATION_DICE)
		StandardizeUnits(network, &op->dice, op->width, activation->epsilon,
						 activation->running_mean, activation->running_var, in, in_stride);
	else
		StandardizeRows(network, &op->dice, op->width, activation->epsilon, in, in_stride);
	for (int r = 0; r < network->nrows; r++)
	{
		CheckAtRow(r, op->width);
		for (int u = 0; u < op->width; u++)
		{
			double		p = MtlSigmoid(scale * op->dice.normalized[(Size) r * op->width + u]);
			double		a = alpha[AlphaOf(activation, u)];

			out[(Size) r * out_stride + u] = (real) (in[(Size) r * in_stride + u] * (p + a * (1 - p)));
		}
	}
}

/*
 * gradient (rows, width).  The input has two ways to the output: itself, and through
 * what the sigmoid reads.
 */
static void
DiceBackward(Network *network, NetworkOp *op, const real *in, int in_stride, real *gradient)
{
	const Activation *activation = &op->op->activation;
	const real *alpha = ValueOf(activation->alpha);
	real	   *alpha_gradient = GradientOf(network, activation->alpha);
	double		scale = DiceScale(op);
	real	   *through = op->through;

	for (int r = 0; r < network->nrows; r++)
	{
		CheckAtRow(r, op->width);
		for (int u = 0; u < op->width; u++)
		{
			Size		i = (Size) r * op->width + u;
			double		y = in[(Size) r * in_stride + u];
			double		a = alpha[AlphaOf(activation, u)];
			double		p = MtlSigmoid(scale * op->dice.normalized[i]);
			double		g = gradient[i];

			alpha_gradient[AlphaOf(activation, u)] += (real) (g * (1 - p) * y);
			through[i] = (real) (g * y * (1 - a) * p * (1 - p) * scale);
			gradient[i] = (real) (g * (p + a * (1 - p)));
		}
	}
	if (activation->kind == ACTIVATION_DICE)
		StandardizeUnitsBack(network, &op->dice, op->width, through);
	else
		StandardizeRowsBack(network, &op->dice, op->width, through);
	for (Size i = 0; i < (Size) network->nrows * op->width; i++)
	{
		if (i % NUMBERS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		gradient[i] += through[i];
	}
}

/* ------------------------------------------------------------------- relu */

/* Rows between two looks for a cancelled query. */
#define ROWS_PER_CALL 256

MTL_VECTORIZED static void
ReluInPlace(int nrows, int width, real *vectors, int stride)
{
	for (int r = 0; r < nrows; r++, vectors += stride)
		for (int u = 0; u < width; u++)
			vectors[u] = vectors[u] > 0 ? vectors[u] : 0;
}

static void
Relu(int nrows, int width, const real *in, int in_stride, real *out, int out_stride)
{
	for (int begin = 0; begin < nrows; begin += ROWS_PER_CALL)
	{
		int			n = Min(ROWS_PER_CALL, nrows - begin);
		real	   *rows = out + (Size) begin * out_stride;

		CheckAtRow(0, width);
		for (int r = 0; in != out && r < n; r++)
			memcpy(rows + (Size) r * out_stride, in + (Size) (begin + r) * in_stride, sizeof(real) * width);
		ReluInPlace(n, width, rows, out_stride);
	}
}

MTL_VECTORIZED static void
ReluBackRows(int nrows, int width, const real *restrict out, int out_stride,
			 real *restrict gradient, int gradient_stride)
{
	for (int r = 0; r < nrows; r++, out += out_stride, gradient += gradient_stride)
		for (int u = 0; u < width; u++)
			gradient[u] = out[u] > 0 ? gradient[u] : 0;
}

static void
ReluBack(int nrows, int width, const real *out, int out_stride, real *gradient, int gradient_stride)
{
	for (int begin = 0; begin < nrows; begin += ROWS_PER_CALL)
	{
		CheckAtRow(0, width);
		ReluBackRows(Min(ROWS_PER_CALL, nrows - begin), width, out + (Size) begin * out_stride, out_stride,
					 gradient + (Size) begin * gradient_stride, gradient_stride);
	}
}

/* ------------------------------------------------------------------ passes */

void
ActivationForward(Network *network, NetworkOp *op, const real *in, int in_stride, real *out, int out_stride)
{
	const Activation *activation = &op->op->activation;
	Function	function = FunctionOf(activation->kind);

	if (activation->kind >= ACTIVATION_DICE)
	{
		DiceForward(network, op, in, in_stride, out, out_stride);
		return;
	}
	if (activation->kind == ACTIVATION_RELU)
	{
		Relu(network->nrows, op->width, in, in_stride, out, out_stride);
		return;
	}
	for (int r = 0; r < network->nrows; r++, in += in_stride, out += out_stride)
	{
		CheckAtRow(r, op->width);
		if (function)
			for (int u = 0; u < op->width; u++)
				out[u] = (real) function(in[u]);
		else if (activation->kind == ACTIVATION_LINEAR)
		{
			if (out != in)
				memcpy(out, in, sizeof(real) * op->width);
		}
		else
			for (int u = 0; u < op->width; u++)
				out[u] = in[u] > 0 ? in[u] : (real) (SlopeBelow(activation, u) * in[u]);
	}
}

static void
SlopeBackward(Network *network, const NetworkOp *op, const real *in, int in_stride,
			  real *gradient, int gradient_stride)
{
	const Activation *activation = &op->op->activation;
	real	   *alpha_gradient = GradientOf(network, activation->alpha);

	for (int r = 0; r < network->nrows; r++, in += in_stride, gradient += gradient_stride)
		for (int u = 0; u < op->width; u++)
		{
			if (in[u] > 0)
				continue;
			if (alpha_gradient)
				alpha_gradient[AlphaOf(activation, u)] += gradient[u] * in[u];
			gradient[u] *= (real) SlopeBelow(activation, u);
		}
}

/*
 * gradient: by what came out, and then by what went in.  What came out is not that
 * any more where dropout has changed it.
 */
void
ActivationBackward(Network *network, NetworkOp *op, const real *in, int in_stride,
				   const real *out, int out_stride, real *gradient, int gradient_stride)
{
	ActivationKind kind = op->op->activation.kind;
	Function	slope = SlopeOf(kind);

	if (kind == ACTIVATION_LINEAR)
		return;
	if (kind >= ACTIVATION_DICE)
	{
		DiceBackward(network, op, in, in_stride, gradient);
		return;
	}
	if (kind == ACTIVATION_LEAKY_RELU || kind == ACTIVATION_PRELU)
	{
		SlopeBackward(network, op, in, in_stride, gradient, gradient_stride);
		return;
	}
	if (kind == ACTIVATION_RELU)
	{
		ReluBack(network->nrows, op->width, out, out_stride, gradient, gradient_stride);
		return;
	}
	for (int r = 0; r < network->nrows;
		 r++, in += in_stride, out += out_stride, gradient += gradient_stride)
	{
		CheckAtRow(r, op->width);
		if (kind == ACTIVATION_SIGMOID && !op->dropped)
			for (int u = 0; u < op->width; u++)
				gradient[u] *= out[u] * (1 - out[u]);
		else if (kind == ACTIVATION_TANH && !op->dropped)
			for (int u = 0; u < op->width; u++)
				gradient[u] *= 1 - out[u] * out[u];
		else
			for (int u = 0; u < op->width; u++)
				gradient[u] *= (real) slope(in[u]);
	}
}
