/*
 * layer.c
 *	  OP_LAYER: a linear map, a normalization, an activation.
 *
 * Batch norm before the activation is a linear map of its own and goes into weight
 * and bias: with s = norm weight / sqrt(running_var + epsilon) they become weight * s
 * and (bias - running_mean) * s + norm bias, computed in double and rounded once.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "engine/program.h"
#include "math/functions.h"

/* Outputs that are packed together, so that reading and writing both go along memory. */
#define PACK_UNITS 16

/* Multiply-adds between checks for interrupts; some tenths of a second at worst. */
#define INTERRUPT_COST (1 << 25)

/* Number i of a vector that has one for all units or one for each; default if NULL. */
static double
VectorAt(const Tensor *vector, int i, double default_value)
{
	if (vector == NULL)
		return default_value;
	return TensorFloat(vector, vector->nelements == 1 ? 0 : i);
}

static double *
CompileVector(Program *program, const Tensor *vector, int units, double default_value)
{
	double	   *numbers = ProgramAlloc(program, sizeof(double) * units);

	for (int u = 0; u < units; u++)
		numbers[u] = VectorAt(vector, u, default_value);
	return numbers;
}

/* ----------------------------------------------------------- compilation */

/*
 * A weight or bias after batch norm, as float32.
 */
static float
RoundFolded(double value, const char *layer)
{
	float		rounded = (float) value;

	if (!isfinite(rounded))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: batch norm makes a weight of layer \"%s\" %g, which exceeds the range of float32",
						layer, value),
				 errhint("Look for a running variance near zero.")));
	return rounded;
}

float *
PackWeight(Program *program, const Tensor *weight, const double *scales, const char *layer)
{
	int64		units = weight->dims[0];
	int64		ninputs = weight->dims[1];
	float	   *packed = ProgramAllocFloats(program, units * ninputs);

	for (int64 begin = 0; begin < units; begin += PACK_UNITS)
	{
		int64		end = Min(begin + PACK_UNITS, units);

		CHECK_FOR_INTERRUPTS();
		for (int64 k = 0; k < ninputs; k++)
			for (int64 u = begin; u < end; u++)
			{
				float		number = TensorFloat(weight, u * ninputs + k);

				packed[k * units + u] = scales ? RoundFolded(number * scales[u], layer) : number;
			}
	}
	return packed;
}

float *
PackBias(Program *program, const Tensor *bias, int units)
{
	float	   *packed = ProgramAllocFloats(program, units);

	for (int u = 0; u < units; u++)
		packed[u] = VectorAt(bias, u, 0);
	return packed;
}

/*
 * factor / sqrt(variance + epsilon) for each unit.
 */
static void
FillScales(double *scales, int units, const Tensor *factors, const Tensor *variances, double epsilon)
{
	for (int u = 0; u < units; u++)
	{
		double		variance = VectorAt(variances, u, 0) + epsilon;

		Assert(variance > 0);
		scales[u] = VectorAt(factors, u, 1) / MtlSqrt(variance);
	}
}

static void
FoldBatchNorm(Program *program, const GraphOp *op, CompiledLayer *layer)
{
	const Norm *norm = &op->norm;
	double	   *scales = palloc(sizeof(double) * layer->units);

	FillScales(scales, layer->units, norm->weight, norm->running_var, norm->epsilon);
	layer->weight = PackWeight(program, op->weight, scales, op->name);
	layer->bias = ProgramAllocFloats(program, layer->units);
	for (int u = 0; u < layer->units; u++)
	{
		double		centered = VectorAt(op->bias, u, 0) - VectorAt(norm->running_mean, u, 0);

		layer->bias[u] = RoundFolded(centered * scales[u] + VectorAt(norm->bias, u, 0), op->name);
	}
	pfree(scales);
}

static void
CompileNorm(Program *program, const Norm *source, int units, CompiledNorm *norm)
{
	norm->kind = source->kind;
	norm->after_activation = source->after_activation;
	norm->epsilon = source->epsilon;
	norm->scale = CompileVector(program, source->weight, units, 1);
	norm->shift = CompileVector(program, source->bias, units, 0);
	if (source->kind == NORM_BATCH)
	{
		norm->mean = CompileVector(program, source->running_mean, units, 0);
		FillScales(norm->scale, units, source->weight, source->running_var, source->epsilon);
	}
}

static void
CompileActivation(Program *program, const Activation *source, int units,
				  CompiledActivation *activation)
{
	activation->kind = source->kind;
	activation->slope = source->slope;
	activation->epsilon = source->epsilon;
	if (source->alpha)
		activation->alpha = CompileVector(program, source->alpha, units, 0);
	if (source->kind == ACTIVATION_DICE)
	{
		activation->mean = CompileVector(program, source->running_mean, units, 0);
		activation->scale = ProgramAlloc(program, sizeof(double) * units);
		FillScales(activation->scale, units, NULL, source->running_var, source->epsilon);
	}
}

CompiledLayer *
CompileLayer(Program *program, const GraphOp *op)
{
	CompiledLayer *layer = ProgramAlloc(program, sizeof(CompiledLayer));

	layer->units = op->width;
	layer->ninputs = op->weight->dims[1];
	if (op->norm.kind == NORM_BATCH && !op->norm.after_activation)
		FoldBatchNorm(program, op, layer);
	else
	{
		layer->weight = PackWeight(program, op->weight, NULL, op->name);
		layer->bias = PackBias(program, op->bias, op->width);
		if (op->norm.kind != NORM_NONE)
			CompileNorm(program, &op->norm, op->width, &layer->norm);
	}
	CompileActivation(program, &op->activation, op->width, &layer->activation);
	return layer;
}

/* ------------------------------------------------------------------- run */

/*
 * In blocks of rows, so that a large batch over a large layer can be interrupted.
 */
void
RunLinear(const Run *run, int ninputs, int units, const float *x, Size x_stride,
		  const float *weight, const float *bias, float *y, Size y_stride)
{
	int64		cost = (int64) ninputs * units;
	int			block = Max(INTERRUPT_COST / cost, 1);

	for (int begin = 0; begin < run->nrows; begin += block)
	{
		CHECK_FOR_INTERRUPTS();
		run->kernels->linear(Min(block, run->nrows - begin), ninputs, units,
							 x + begin * x_stride, x_stride, weight, bias,
							 y + begin * y_stride, y_stride);
	}
}

/*
 * Numbers are checked before an activation, which could hide that one has left the
 * range: the sigmoid of infinity is 1.
 */
void
RunLayer(const Run *run, const CompiledOp *op, float *y)
{
	const CompiledLayer *layer = op->u.layer;

	RunLinear(run, layer->ninputs, layer->units, VectorsOf(run, op->inputs[0]), layer->ninputs,
			  layer->weight, layer->bias, y, layer->units);
	if (!layer->norm.after_activation)
		Normalize(&layer->norm, run->nrows, layer->units, y);
	CheckVectors(run, op, y);
	Activate(&layer->activation, run->nrows, layer->units, y);
	if (layer->norm.after_activation)
		Normalize(&layer->norm, run->nrows, layer->units, y);
}
