/*
 * layer.c
 *	  OP_LAYER: a linear map, a normalization, an activation.
 *
 * Batch norm before the activation is a linear map of its own and goes into weight
 * and bias: with s = norm weight / sqrt(running_var + epsilon) they become weight * s
 * and (bias - running_mean) * s + norm bias, computed in double and rounded once.  Of
 * weights in bf16 or int8, s goes into the unit's scale.
 */
#include "postgres.h"

#include "engine/program.h"
#include "math/functions.h"

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
	double	   *numbers = BulkAlloc(program->bulk, sizeof(double) * units);

	if (BulkWantsContent(program->bulk))
		for (int u = 0; u < units; u++)
			numbers[u] = VectorAt(vector, u, default_value);
	return numbers;
}

/*
 * factor / sqrt(variance + epsilon) for each unit; factors are 1 if NULL.
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

static double *
CompileScales(Program *program, const Tensor *factors, const Tensor *variances, double epsilon,
			  int units)
{
	double	   *scales = BulkAlloc(program->bulk, sizeof(double) * units);

	if (BulkWantsContent(program->bulk))
		FillScales(scales, units, factors, variances, epsilon);
	return scales;
}

/* ----------------------------------------------------------- compilation */

/*
 * Weight and bias of a layer, with batch norm folded in or not.
 */
static void
FillLayer(CompiledLayer *layer, const GraphOp *op)
{
	const Norm *norm = &op->norm;
	bool		fold = norm->kind == NORM_BATCH && !norm->after_activation;
	double	   *biases = palloc(sizeof(double) * layer->units);
	double	   *scales = NULL;

	for (int u = 0; u < layer->units; u++)
		biases[u] = VectorAt(op->bias, u, 0);
	if (fold)
	{
		scales = palloc(sizeof(double) * layer->units);
		FillScales(scales, layer->units, norm->weight, norm->running_var, norm->epsilon);
		for (int u = 0; u < layer->units; u++)
			biases[u] = (biases[u] - VectorAt(norm->running_mean, u, 0)) * scales[u] +
				VectorAt(norm->bias, u, 0);
	}
	if (op->precision == PRECISION_FLOAT32)
		FillLinear(layer->linear, layer->column, op->weight, scales, biases, op->name);
	else
		FillCompactWeights(layer->linear, layer->column, op->weight, op->weight_scale,
						   scales, biases, op->name);
	pfree(biases);
	if (scales)
		pfree(scales);
}

/* Whether relu can be the kernel's, which knows nothing else between it and the sums. */
bool
LayerEndsInRelu(const GraphOp *op)
{
	return op->activation.kind == ACTIVATION_RELU &&
		(op->norm.kind != NORM_LAYER || op->norm.after_activation);
}

static void
CompileNorm(Program *program, const Norm *source, int units, CompiledNorm *norm)
{
	if (source->kind == NORM_NONE || (source->kind == NORM_BATCH && !source->after_activation))
		return;
	norm->kind = source->kind;
	norm->after_activation = source->after_activation;
	norm->epsilon = source->epsilon;
	norm->shift = CompileVector(program, source->bias, units, 0);
	if (source->kind == NORM_BATCH)
	{
		norm->mean = CompileVector(program, source->running_mean, units, 0);
		norm->scale = CompileScales(program, source->weight, source->running_var,
									source->epsilon, units);
	}
	else
		norm->scale = CompileVector(program, source->weight, units, 1);
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
		activation->scale = CompileScales(program, NULL, source->running_var,
										  source->epsilon, units);
	}
}

CompiledLayer *
CompileLayer(Program *program, const GraphOp *op, CompiledLinear *linear, int column)
{
	CompiledLayer *layer = ProgramAlloc(program, sizeof(CompiledLayer));

	layer->linear = linear;
	layer->column = column;
	layer->units = op->width;
	if (BulkWantsContent(program->bulk))
		FillLayer(layer, op);
	CompileNorm(program, &op->norm, layer->units, &layer->norm);
	if (!linear->relu)
		CompileActivation(program, &op->activation, layer->units, &layer->activation);
	if (layer->units < MTL_STRIP)
		ProgramNeedRowTemporary(program, MTL_STRIP / 2);
	return layer;
}

/* ------------------------------------------------------------------- run */

static bool
RunStepLinear(const Run *run, const Step *step, const CompiledLinear *linear, bool relu, float *y)
{
	if (linear->sums)
		return RunSums(run, linear, step, relu, y, step->stride);
	return RunLinear(run, linear, step->nruns, step->runs, step->narrow, relu,
					 VectorsOf(run, run->program->ops[step->position].inputs[0]),
					 0, linear->ninputs, NULL, y, step->stride);
}

/*
 * Numbers are checked before an activation, which could hide that one has left the
 * range: the sigmoid of infinity is 1.  The kernel has looked at all sums at once;
 * when one is bad the layers are computed without relu to see whose it is.  It may
 * be of a layer that nobody asked for, in a strip with one of those.
 */
static void
CheckSums(const Run *run, const Step *step, const CompiledLinear *linear, float *y)
{
	(void) RunStepLinear(run, step, linear, false, y);
	for (int i = 0; i < step->nlayers; i++)
		CheckVectors(run, step->layers[i]);
	(void) RunStepLinear(run, step, linear, linear->relu, y);
}

/*
 * Whether what comes after the sums can leave the range.
 */
static bool
LayerCanOverflow(const CompiledLayer *layer)
{
	switch (layer->activation.kind)
	{
		case ACTIVATION_LEAKY_RELU:
		case ACTIVATION_PRELU:
		case ACTIVATION_DICE:
		case ACTIVATION_DICE_ROW_MEAN:
		case ACTIVATION_DICE_ROW_SUM:
			return true;
		default:
			return layer->norm.kind != NORM_NONE && layer->norm.after_activation;
	}
}

static void
FinishLayer(const Run *run, int position, const CompiledLayer *layer)
{
	Vectors		vectors = VectorsOf(run, position);
	float	   *y = (float *) vectors.numbers;

	if (layer->norm.kind != NORM_NONE && !layer->norm.after_activation)
	{
		Normalize(run, &layer->norm, layer->units, y, vectors.stride);
		CheckVectors(run, position);
	}
	Activate(run, &layer->activation, layer->units, y, vectors.stride);
	if (layer->norm.kind != NORM_NONE && layer->norm.after_activation)
		Normalize(run, &layer->norm, layer->units, y, vectors.stride);
	if (LayerCanOverflow(layer))
		CheckVectors(run, position);
}

void
RunLayers(const Run *run, const Step *step)
{
	const CompiledOp *op = &run->program->ops[step->position];
	const CompiledLinear *linear = op->u.layer->linear;
	float	   *y = run->vectors + run->selection->places[step->position].offset * run->nrows;

	if (run->new_shares)
	{
		/* not whole yet: whoever goes on from them looks at the sums */
		if (linear->sums)
			(void) RunSums(run, linear, step, false, run->new_shares + step->share,
						   run->selection->share_size);
		return;
	}
	if (!RunStepLinear(run, step, linear, linear->relu, y))
		CheckSums(run, step, linear, y);
	for (int i = 0; i < step->nlayers; i++)
		FinishLayer(run, step->layers[i], run->program->ops[step->layers[i]].u.layer);
}
