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
GroupCount(const CompiledLinear *linear, const CompactPart *part)
{
	int			size = GroupSize(linear->precision);

	return (part->ninputs + size - 1) / size;
}

/* Groups from one row to the next. */
static Size
RowStride(const CompiledLinear *linear, const CompactPart *part)
{
	Size		groups = GroupCount(linear, part);

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

static void
CreatePart(Program *program, const CompiledLinear *linear, CompactPart *part)
{
	/* a row, and its scale and zero, in doubles */
	Size		row = sizeof(uint32) * RowStride(linear, part) + sizeof(float) + sizeof(int32);

	if (part->ninputs == 0)
		return;
	part->groups = AllocUnits(program, linear, sizeof(uint32) * GroupCount(linear, part));
	if (linear->precision == PRECISION_INT8)
		part->unit_sums = AllocUnits(program, linear, sizeof(int32));
	ProgramNeedRowTemporary(program, (row + sizeof(double) - 1) / sizeof(double));
}

void
CreateCompactWeights(Program *program, CompiledLinear *linear)
{
	const CompiledSums *sums = linear->sums;

	linear->nparts = sums ? SUMS_PARTS : 1;
	for (int i = 0; i < linear->nparts; i++)
	{
		CompactPart *part = &linear->parts[i];

		part->first = sums ? sums->parts[i].inputs_begin : 0;
		part->ninputs = sums ? sums->parts[i].inputs_end - part->first : linear->ninputs;
		CreatePart(program, linear, part);
	}
	linear->scales = AllocUnits(program, linear, sizeof(float));
}

/* A weight without the numbers that the kernels take for zeros. */
static Bf16
Bf16Weight(const Tensor *weight, int64 i)
{
	Bf16		number = FloatToBf16(TensorFloat(weight, i));

	return (number & 0x7FFF) < MTL_BF16_LEAST ? 0 : number;
}

/*
 * The weights of one unit in a part, and for int8 their sum.
 */
static void
FillUnit(const CompiledLinear *linear, const CompactPart *part, int column, const Tensor *weight,
		 int unit)
{
	const int  *columns = linear->sums ? linear->sums->columns + part->first : NULL;
	int			size = GroupSize(linear->precision);
	int64		begin = unit * weight->dims[1];
	uint32	   *groups = part->groups +
		(Size) (column / MTL_STRIP) * GroupCount(linear, part) * MTL_STRIP + column % MTL_STRIP;
	int32		sum = 0;

	for (int k = 0; k < part->ninputs; k++)
	{
		int64		from = begin + (columns ? columns[k] : k);
		uint32	   *group = groups + (Size) (k / size) * MTL_STRIP;

		if (linear->precision == PRECISION_BF16)
			((Bf16 *) group)[k % size] = Bf16Weight(weight, from);
		else
		{
			int8		number = TensorFloat(weight, from);

			((int8 *) group)[k % size] = number;
			sum += number;
		}
	}
	if (part->unit_sums)
		part->unit_sums[column] = sum;
}

/*
 * The weights of one unit that folded embeddings are multiplied with, as float32.  One that
 * leaves its range makes the sums of the rows that it is for leave it, too.
 */
static void
FillFoldWeights(const CompiledLinear *linear, int column, const Tensor *weight, int unit)
{
	const CompiledSums *sums = linear->sums;
	double		scale = linear->scales[column];

	for (int i = 0; i < sums->nfolded; i++)
	{
		const CompiledField *field = &sums->input->fields[sums->folded[i]];
		int64		begin = unit * weight->dims[1] + field->x_offset;
		float	   *numbers = linear->fold_weights[i] +
			(Size) (column / MTL_STRIP) * field->dim * MTL_STRIP + column % MTL_STRIP;

		for (int k = 0; k < field->dim; k++)
			numbers[k * MTL_STRIP] = TensorFloat(weight, begin + k) * scale;
	}
}

void
FillCompactWeights(CompiledLinear *linear, int column, const Tensor *weight,
				   const Tensor *weight_scale, const double *scales, const double *biases,
				   const char *name)
{
	int			units = weight->dims[0];

	Assert(column + units <= linear->units);
	for (int u = 0; u < units; u++)
	{
		double		scale = weight_scale ? TensorFloat(weight_scale, u) : 1;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < linear->nparts; i++)
			FillUnit(linear, &linear->parts[i], column + u, weight, u);
		linear->scales[column + u] = RoundFolded(scales ? scale * scales[u] : scale, name);
		if (linear->sums)
			FillFoldWeights(linear, column + u, weight, u);
		if (biases)
			linear->bias[column + u] = RoundFolded(biases[u], name);
	}
}

/* ------------------------------------------------------------------- run */

/* Where rows are made compact: in the temporary numbers. */
static CompactRows
TemporaryRows(const Run *run, const CompiledLinear *linear, const CompactPart *part)
{
	CompactRows rows;

	rows.scales = (float *) run->temporary;
	rows.zeros = (int32 *) (rows.scales + run->nrows);
	rows.groups = (uint32 *) (rows.zeros + run->nrows);
	rows.stride = RowStride(linear, part);
	return rows;
}

static CompactWeights
WeightsFrom(const CompiledLinear *linear, const CompactPart *part, int strip)
{
	CompactWeights weights = {
		.groups = part->groups + (Size) strip * GroupCount(linear, part) * MTL_STRIP,
		.scales = linear->scales + strip * MTL_STRIP,
		.sums = part->unit_sums ? part->unit_sums + strip * MTL_STRIP : NULL
	};

	return weights;
}

/*
 * Adds the inputs of one part, which begin at x.
 */
static bool
RunPart(const Run *run, const CompiledLinear *linear, const CompactPart *part, int nruns,
		const StripRun *runs, bool relu, Vectors x, const Vectors *start, float *y, Size y_stride)
{
	const CompactKernels *kernels = ChooseCompactKernels(linear->precision);
	CompactRows rows = TemporaryRows(run, linear, part);
	int64		most = INTERRUPT_COST / ((int64) part->ninputs * MTL_STRIP * run->nrows);
	int			step = Max(most / CALL_STRIPS, 1) * CALL_STRIPS;
	bool		finite = true;
	Size		column = 0;

	kernels->compact(run->nrows, part->ninputs, x, &rows);
	for (int i = 0; i < nruns; i++)
		for (int strip = runs[i].begin; strip < runs[i].end; strip += step)
		{
			int			nstrips = Min(step, runs[i].end - strip);
			CompactWeights weights = WeightsFrom(linear, part, strip);

			CHECK_FOR_INTERRUPTS();
			finite &= kernels->linear(run->nrows, GroupCount(linear, part), &rows, nstrips, &weights,
									  StartOfStrip(linear, strip, start, column), relu,
									  y + column, y_stride);
			column += nstrips * MTL_STRIP;
		}
	return finite;
}

/*
 * Sums without inputs: relu, and the look at them.
 */
static bool
RunNothing(const Run *run, const CompiledLinear *linear, int nruns, const StripRun *runs, bool relu,
		   const Vectors *start, float *y, Size y_stride)
{
	bool		finite = true;
	Size		column = 0;

	for (int i = 0; i < nruns; i++)
	{
		int			nstrips = runs[i].end - runs[i].begin;
		Vectors		sums = StartOfStrip(linear, runs[i].begin, start, column);

		finite &= run->kernels->linear(run->nrows, 0, sums, nstrips, linear->scales, 0, sums, relu,
									   y + column, y_stride);
		column += nstrips * MTL_STRIP;
	}
	return finite;
}

bool
RunCompactLinear(const Run *run, const CompiledLinear *linear, int nruns, const StripRun *runs,
				 bool relu, Vectors x, int begin, int end, const Vectors *start,
				 float *y, Size y_stride)
{
	Vectors		so_far = {y, y_stride};
	bool		finite = true;

	if (begin == end)
		return RunNothing(run, linear, nruns, runs, relu, start, y, y_stride);
	for (int i = 0; i < linear->nparts; i++)
	{
		const CompactPart *part = &linear->parts[i];
		Vectors		inputs = {x.numbers + part->first, x.stride};
		int			part_end = part->first + part->ninputs;

		if (part->ninputs == 0 || part->first < begin || part_end > end)
			continue;
		finite = RunPart(run, linear, part, nruns, runs, relu && part_end == end, inputs, start,
						 y, y_stride);
		start = &so_far;
	}
	return finite;
}
