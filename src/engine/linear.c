/*
 * linear.c
 *	  Linear maps: their weights in the order in which kernels read them.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "engine/program.h"

/* Multiply-adds between checks for interrupts; some tenths of a second at worst. */
#define INTERRUPT_COST (1 << 25)

/* Kernels take strips in groups; a call gets a number of whole ones. */
#define CALL_STRIPS 8

/* ----------------------------------------------------------- compilation */

int
LinearStrips(const CompiledLinear *linear)
{
	return linear->units / MTL_STRIP;
}

bool
LinearHasRest(const CompiledLinear *linear)
{
	return linear->units % MTL_STRIP != 0;
}

CompiledLinear *
CreateLinear(Program *program, int ninputs, int units, bool relu, Precision precision)
{
	CompiledLinear *linear = ProgramAlloc(program, sizeof(CompiledLinear));
	int			padded = TYPEALIGN(MTL_STRIP, units);

	linear->ninputs = ninputs;
	linear->units = units;
	linear->relu = relu;
	linear->precision = precision;
	if (precision != PRECISION_FLOAT32)
	{
		CreateCompactWeights(program, linear);
		return linear;
	}
	linear->weight = BulkAlloc(program->bulk, sizeof(float) * units * ninputs);
	linear->bias = BulkAlloc(program->bulk, sizeof(float) * padded);
	if (BulkWantsContent(program->bulk))
		memset(linear->bias, 0, sizeof(float) * padded);
	return linear;
}

/*
 * A weight or bias after batch norm, as float32.
 */
float
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

/*
 * Units of one strip, or of the narrow rest, so that reading and writing both go along
 * memory.
 */
static void
FillStrip(CompiledLinear *linear, int column, const Tensor *weight, int unit, int nunits,
		  const double *scales, const char *name)
{
	int			strip = column / MTL_STRIP;
	int			width = Min(linear->units - strip * MTL_STRIP, MTL_STRIP);
	float	   *packed = linear->weight + (Size) strip * MTL_STRIP * linear->ninputs +
		column % MTL_STRIP;

	for (int k = 0; k < linear->ninputs; k++, packed += width)
		for (int u = 0; u < nunits; u++)
		{
			float		number = TensorFloat(weight, (int64) (unit + u) * linear->ninputs + k);

			packed[u] = scales ? RoundFolded(number * scales[unit + u], name) : number;
		}
}

void
FillLinear(CompiledLinear *linear, int column, const Tensor *weight,
		   const double *scales, const double *biases, const char *name)
{
	int			units = weight->dims[0];
	int			nunits;

	Assert(weight->dims[1] == linear->ninputs && column + units <= linear->units);
	for (int u = 0; u < units; u += nunits)
	{
		CHECK_FOR_INTERRUPTS();
		nunits = Min(units - u, MTL_STRIP - (column + u) % MTL_STRIP);
		FillStrip(linear, column + u, weight, u, nunits, scales, name);
	}
	for (int u = 0; biases && u < units; u++)
		linear->bias[column + u] = RoundFolded(biases[u], name);
}

/* ------------------------------------------------------------------- run */

bool
RunLinear(const Run *run, const CompiledLinear *linear, int nruns, const StripRun *runs,
		  bool narrow, bool relu, Vectors x, float *y, Size y_stride)
{
	const Kernels *kernels = run->kernels;
	int64		strip_size = (int64) linear->ninputs * MTL_STRIP;
	int64		most = INTERRUPT_COST / (strip_size * run->nrows);
	int			step = Max(most, 1) * CALL_STRIPS;
	bool		finite = true;

	if (linear->precision != PRECISION_FLOAT32)
		return RunCompactLinear(run, linear, nruns, runs, narrow, relu, x, y, y_stride);
	for (int i = 0; i < nruns; i++)
		for (int strip = runs[i].begin; strip < runs[i].end; strip += step)
		{
			int			nstrips = Min(step, runs[i].end - strip);

			CHECK_FOR_INTERRUPTS();
			finite &= kernels->linear(run->nrows, linear->ninputs, x, nstrips,
									  linear->weight + strip * strip_size,
									  linear->bias + strip * MTL_STRIP, relu, y, y_stride);
			y += nstrips * MTL_STRIP;
		}
	if (narrow)
		finite &= kernels->linear_narrow(run->nrows, linear->ninputs, x, linear->units % MTL_STRIP,
										 linear->weight + LinearStrips(linear) * strip_size,
										 linear->bias + LinearStrips(linear) * MTL_STRIP,
										 relu, y, y_stride);
	return finite;
}
