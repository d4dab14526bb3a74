/*
 * linear_compact.c
 *	  Linear maps of bf16 and int8: their weights in the order in which kernels read
 *	  them, and rows made compact on the way in.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "engine/kernel_compact.h"
#include "engine/program.h"
#include "math/bf16.h"

/* Multiply-adds between checks for interrupts; some tenths of a second at worst. */
#define INTERRUPT_COST (1 << 25)

/* Kernels take strips in groups; a call gets a number of whole ones. */
#define CALL_STRIPS 12

/*
 * Rows a multiple of so many groups long would compete for the same lines of the CPU's
 * cache.
 */
#define CACHE_STRIDE 128

static int
GroupSize(Precision precision)
{
	return precision == PRECISION_BF16 ? MTL_BF16_GROUP : MTL_INT8_GROUP;
}

static int
GroupCount(const CompiledLinear *linear)
{
	int			size = GroupSize(linear->precision);

	return (linear->ninputs + size - 1) / size;
}

/* Groups from one row to the next. */
static Size
RowStride(const CompiledLinear *linear)
{
	Size		groups = GroupCount(linear);

	return groups % CACHE_STRIDE == 0 ? groups + MTL_STRIP : groups;
}

static int
StripCount(const CompiledLinear *linear)
{
	return (linear->units + MTL_STRIP - 1) / MTL_STRIP;
}

/* ----------------------------------------------------------- compilation */

/* Of numbers for each unit, zeros for units that fill the last strip. */
static void *
AllocUnits(Program *program, const CompiledLinear *linear, Size size)
{
	void	   *numbers = BulkAlloc(program->bulk, size * StripCount(linear) * MTL_STRIP);

	if (BulkWantsContent(program->bulk))
		memset(numbers, 0, size * StripCount(linear) * MTL_STRIP);
	return numbers;
}

void
CreateCompactWeights(Program *program, CompiledLinear *linear)
{
	/* a row, and its scale and zero, in doubles */
	Size		row = sizeof(uint32) * RowStride(linear) + sizeof(float) + sizeof(int32);

	linear->groups = AllocUnits(program, linear, sizeof(uint32) * GroupCount(linear));
	linear->scales = AllocUnits(program, linear, sizeof(float));
	linear->bias = AllocUnits(program, linear, sizeof(float));
	if (linear->precision == PRECISION_INT8)
		linear->unit_sums = AllocUnits(program, linear, sizeof(int32));
	ProgramNeedRowTemporary(program, (row + sizeof(double) - 1) / sizeof(double));
}

/* A weight without the numbers that the kernels take for zeros. */
static Bf16
Bf16Weight(const Tensor *weight, int64 i)
{
	Bf16		number = FloatToBf16(TensorFloat(weight, i));

	return (number & 0x7FFF) < MTL_BF16_LEAST ? 0 : number;
}

/*
 * The weights of one unit, and for int8 their sum.
 */
static void
FillUnit(CompiledLinear *linear, int column, const Tensor *weight, int unit)
{
	int			size = GroupSize(linear->precision);
	int64		begin = (int64) unit * linear->ninputs;
	uint32	   *groups = linear->groups +
		(Size) (column / MTL_STRIP) * GroupCount(linear) * MTL_STRIP + column % MTL_STRIP;
	int32		sum = 0;

	for (int k = 0; k < linear->ninputs; k++)
	{
		uint32	   *group = groups + (Size) (k / size) * MTL_STRIP;

		if (linear->precision == PRECISION_BF16)
			((Bf16 *) group)[k % size] = Bf16Weight(weight, begin + k);
		else
		{
			int8		number = TensorFloat(weight, begin + k);

			((int8 *) group)[k % size] = number;
			sum += number;
		}
	}
	if (linear->precision == PRECISION_INT8)
		linear->unit_sums[column] = sum;
}

void
FillCompactWeights(CompiledLinear *linear, int column, const Tensor *weight,
				   const Tensor *weight_scale, const double *scales, const double *biases,
				   const char *name)
{
	int			units = weight->dims[0];

	Assert(weight->dims[1] == linear->ninputs && column + units <= linear->units);
	for (int u = 0; u < units; u++)
	{
		double		scale = weight_scale ? TensorFloat(weight_scale, u) : 1;

		CHECK_FOR_INTERRUPTS();
		FillUnit(linear, column + u, weight, u);
		linear->scales[column + u] = RoundFolded(scales ? scale * scales[u] : scale, name);
		if (biases)
			linear->bias[column + u] = RoundFolded(biases[u], name);
	}
}

/* ------------------------------------------------------------------- run */

/* Where rows are made compact: in the temporary numbers. */
static CompactRows
TemporaryRows(const Run *run, const CompiledLinear *linear)
{
	CompactRows rows;

	rows.scales = (float *) run->temporary;
	rows.zeros = (int32 *) (rows.scales + run->nrows);
	rows.groups = (uint32 *) (rows.zeros + run->nrows);
	rows.stride = RowStride(linear);
	return rows;
}

static CompactWeights
WeightsFrom(const CompiledLinear *linear, int strip)
{
	CompactWeights weights = {
		.groups = linear->groups + (Size) strip * GroupCount(linear) * MTL_STRIP,
		.scales = linear->scales + strip * MTL_STRIP,
		.bias = linear->bias + strip * MTL_STRIP,
		.sums = linear->unit_sums ? linear->unit_sums + strip * MTL_STRIP : NULL
	};

	return weights;
}

bool
RunCompactLinear(const Run *run, const CompiledLinear *linear, int nruns, const StripRun *runs,
				 bool narrow, bool relu, Vectors x, float *y, Size y_stride)
{
	const CompactKernels *kernels = ChooseCompactKernels(linear->precision);
	StripRun	rest = {LinearStrips(linear), StripCount(linear)};
	CompactRows rows = TemporaryRows(run, linear);
	int64		most = INTERRUPT_COST / ((int64) linear->ninputs * MTL_STRIP * run->nrows);
	int			step = Max(most / CALL_STRIPS, 1) * CALL_STRIPS;
	bool		finite = true;

	kernels->compact(run->nrows, linear->ninputs, x, &rows);
	for (int i = 0; i < nruns + narrow; i++)
	{
		const StripRun *strips = i < nruns ? &runs[i] : &rest;

		for (int strip = strips->begin; strip < strips->end; strip += step)
		{
			int			nstrips = Min(step, strips->end - strip);
			CompactWeights weights = WeightsFrom(linear, strip);

			CHECK_FOR_INTERRUPTS();
			finite &= kernels->linear(run->nrows, GroupCount(linear), &rows, nstrips, &weights,
									  relu, y, y_stride);
			y += nstrips * MTL_STRIP;
		}
	}
	return finite;
}
