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
	return linear->precision == PRECISION_FLOAT32 && linear->units % MTL_STRIP != 0;
}

CompiledLinear *
CreateLinear(Program *program, int ninputs, int units, bool relu, CompiledSums *sums,
			 Precision precision)
{
	CompiledLinear *linear = ProgramAlloc(program, sizeof(CompiledLinear));
	int			padded = TYPEALIGN(MTL_STRIP, units);

	linear->ninputs = ninputs;
	linear->units = units;
	linear->relu = relu;
	linear->precision = precision;
	linear->sums = sums;
	if (precision == PRECISION_FLOAT32)
		linear->weight = BulkAlloc(program->bulk, sizeof(float) * units * ninputs);
	else
		CreateCompactWeights(program, linear);
	linear->bias = BulkAlloc(program->bulk, sizeof(float) * padded);
	if (BulkWantsContent(program->bulk))
		memset(linear->bias, 0, sizeof(float) * padded);
	if (sums)
		CreateFolded(program, linear);
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
 * Weights of a tensor for ninputs columns of it, those named or all from the first on.
 */
typedef struct WeightSource
{
	const Tensor *weight;
	const double *scales;
	const char *name;
	int			ninputs;
	const int  *columns;
	int			first;
} WeightSource;

/*
 * Some units of one strip, width numbers wide, so that reading and writing both go along
 * memory.
 */
static void
FillStrip(const WeightSource *source, int unit, int nunits, int width, float *packed)
{
	int64		row_size = source->weight->dims[1];

	for (int k = 0; k < source->ninputs; k++, packed += width)
	{
		int64		column = source->columns ? source->columns[k] : source->first + k;

		for (int u = 0; u < nunits; u++)
		{
			float		number = TensorFloat(source->weight, (unit + u) * row_size + column);

			packed[u] = source->scales ?
				RoundFolded(number * source->scales[unit + u], source->name) : number;
		}
	}
}

/*
 * Units of a layer whose first is the map's unit column; the last strip is as wide as
 * the map's rest is, or full.
 */
static void
FillStrips(const CompiledLinear *linear, int column, const WeightSource *source, bool full,
		   float *packed)
{
	int			units = source->weight->dims[0];
	int			nunits;

	for (int u = 0; u < units; u += nunits)
	{
		int			strip = (column + u) / MTL_STRIP;
		int			place = (column + u) % MTL_STRIP;
		int			width = full ? MTL_STRIP : Min(linear->units - strip * MTL_STRIP, MTL_STRIP);

		CHECK_FOR_INTERRUPTS();
		nunits = Min(units - u, MTL_STRIP - place);
		FillStrip(source, u, nunits, width,
				  packed + (Size) strip * MTL_STRIP * source->ninputs + place);
	}
}

void
FillLinear(CompiledLinear *linear, int column, const Tensor *weight,
		   const double *scales, const double *biases, const char *name)
{
	const CompiledSums *sums = linear->sums;
	WeightSource source = {weight, scales, name, linear->ninputs, sums ? sums->columns : NULL, 0};

	Assert(column + weight->dims[0] <= linear->units);
	FillStrips(linear, column, &source, false, linear->weight);
	for (int i = 0; sums && i < sums->nfolded; i++)
	{
		const CompiledField *field = &sums->input->fields[sums->folded[i]];
		WeightSource slice = {weight, scales, name, field->dim, NULL, field->x_offset};

		FillStrips(linear, column, &slice, true, linear->fold_weights[i]);
	}
	for (int u = 0; biases && u < weight->dims[0]; u++)
		linear->bias[column + u] = RoundFolded(biases[u], name);
}

/* ------------------------------------------------------------------- run */

bool
RunLinear(const Run *run, const CompiledLinear *linear, int nruns, const StripRun *runs,
		  bool narrow, bool relu, Vectors x, int begin, int end, const Vectors *start,
		  float *y, Size y_stride)
{
	const Kernels *kernels = run->kernels;
	int64		strip_size = (int64) linear->ninputs * MTL_STRIP;
	int			ninputs = end - begin;
	int64		most = INTERRUPT_COST / Max((int64) ninputs * MTL_STRIP * run->nrows, 1);
	int			step = Max(most, 1) * CALL_STRIPS;
	int			rest = LinearStrips(linear);
	bool		finite = true;
	const float *first = y;

	if (linear->precision != PRECISION_FLOAT32)
		return RunCompactLinear(run, linear, nruns, runs, relu, x, begin, end, start, y, y_stride);
	x.numbers += begin;
	for (int i = 0; i < nruns; i++)
		for (int strip = runs[i].begin; strip < runs[i].end; strip += step)
		{
			int			nstrips = Min(step, runs[i].end - strip);

			CHECK_FOR_INTERRUPTS();
			finite &= kernels->linear(run->nrows, ninputs, x, nstrips,
									  linear->weight + strip * strip_size + begin * MTL_STRIP,
									  strip_size, StartOfStrip(linear, strip, start, y - first), relu, y, y_stride);
			y += nstrips * MTL_STRIP;
		}
	if (narrow)
	{
		int			units = linear->units % MTL_STRIP;

		finite &= kernels->linear_narrow(run->nrows, ninputs, x, units,
										 linear->weight + rest * strip_size + begin * units,
										 StartOfStrip(linear, rest, start, y - first), relu, y, y_stride);
	}
	return finite;
}
