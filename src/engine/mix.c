/*
 * mix.c
 *	  The operations without weights of their own, and linear combinations.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "engine/program.h"

/* Row r of input i of an operation. */
static const float *
InputRow(const Run *run, const CompiledOp *op, int i, int r)
{
	Vectors		vectors = VectorsOf(run, op->inputs[i]);

	return vectors.numbers + r * vectors.stride;
}

void
RunSoftmax(const Run *run, const CompiledOp *op, float *y)
{
	run->kernels->softmax(run->nrows, op->width, VectorsOf(run, op->inputs[0]),
						  op->u.temperature, run->temporary, y, op->width);
}

int
MixTemporary(int ninputs)
{
	return (ninputs * sizeof(Vectors) + sizeof(double) - 1) / sizeof(double);
}

/*
 * The first input is the gate, the others are the experts.
 */
void
RunMix(const Run *run, const CompiledOp *op, float *y)
{
	Vectors    *experts = (Vectors *) run->temporary;

	for (int i = 1; i < op->ninputs; i++)
		experts[i - 1] = VectorsOf(run, op->inputs[i]);
	run->kernels->mix(run->nrows, op->width, op->ninputs - 1, VectorsOf(run, op->inputs[0]),
					  experts, y, op->width);
}

static void
CombineRowPerUnit(const Run *run, const CompiledOp *op, int r, float *y)
{
	for (int i = 0; i < op->ninputs; i++)
		run->kernels->add_products(op->width, op->u.combine.weights + (Size) i * op->width,
								   InputRow(run, op, i, r), y);
}

static void
CombineRowSlices(const Run *run, const CompiledOp *op, int r, float *y)
{
	int			subspaces = op->u.combine.subspaces;
	int			slice = op->width / subspaces;
	const float *weight = op->u.combine.weights;

	for (int g = 0; g < subspaces; g++)
		for (int i = 0; i < op->ninputs; i++)
			for (int h = 0; h < subspaces; h++)
				run->kernels->add_scaled(slice, *weight++,
										 InputRow(run, op, i, r) + h * slice, y + g * slice);
}

void
RunCombine(const Run *run, const CompiledOp *op, float *y)
{
	memset(y, 0, sizeof(float) * run->nrows * op->width);
	for (int r = 0; r < run->nrows; r++, y += op->width)
	{
		CHECK_FOR_INTERRUPTS();
		if (op->u.combine.per_unit)
			CombineRowPerUnit(run, op, r, y);
		else
			CombineRowSlices(run, op, r, y);
	}
}

void
RunConcat(const Run *run, const CompiledOp *op, float *y)
{
	for (int r = 0; r < run->nrows; r++)
		for (int i = 0; i < op->ninputs; i++)
		{
			int			width = run->program->ops[op->inputs[i]].width;

			memcpy(y, InputRow(run, op, i, r), sizeof(float) * width);
			y += width;
		}
}

void
RunSlices(const Run *run, const CompiledOp *op, float *y)
{
	for (int r = 0; r < run->nrows; r++)
	{
		const float *x = InputRow(run, op, 0, r);

		for (int i = 0; i < op->u.slices.nranges; i++)
		{
			const VectorRange *range = &op->u.slices.ranges[i];

			memcpy(y, x + range->begin, sizeof(float) * range->length);
			y += range->length;
		}
	}
}

void
RunPick(const Run *run, const CompiledOp *op, float *y)
{
	for (int r = 0; r < run->nrows; r++)
		y[r] = InputRow(run, op, 0, r)[op->u.index];
}

void
RunProduct(const Run *run, const CompiledOp *op, float *y)
{
	for (int r = 0; r < run->nrows; r++)
	{
		double		product = 1;

		for (int i = 0; i < op->ninputs; i++)
			product *= InputRow(run, op, i, r)[0];
		y[r] = product;
	}
}

/*
 * In double, where the products are exact, in the order of the numbers.
 */
static double
DotRow(int width, const float *a, const float *b)
{
	double		sum = 0;

	for (int u = 0; u < width; u++)
		sum += (double) a[u] * b[u];
	return sum;
}

void
RunDot(const Run *run, const CompiledOp *op, float *y)
{
	int			width = run->program->ops[op->inputs[0]].width;

	for (int r = 0; r < run->nrows; r++)
		y[r] = DotRow(width, InputRow(run, op, 0, r), InputRow(run, op, 1, r));
}
