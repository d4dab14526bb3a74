/*
 * network_ops.c
 *	  The operations without layers: softmax, mix, combination, concatenation, choice,
 *	  product, dot product, slices.
 */
#include "postgres.h"

#include "math/functions.h"
#include "train/network.h"

static const real *
Row(const Vectors *vectors, int r)
{
	return vectors->value + (Size) r * vectors->stride;
}

static real *
GradientRow(const Vectors *vectors, int r)
{
	return vectors->gradient + (Size) r * vectors->stride;
}

static real *
OutRow(const NetworkOp *op, int r)
{
	return op->out.value + (Size) r * op->out.stride;
}

/* ---------------------------------------------------------------- softmax */

void
SoftmaxForward(Network *network, NetworkOp *op)
{
	const NetworkOp *input = InputOf(network, op, 0);

	for (int r = 0; r < network->nrows; r++)
	{
		const real *in = Row(&input->out, r);
		real	   *out = OutRow(op, r);
		real		max = in[0];
		real		sum = 0;

		for (int u = 1; u < op->width; u++)
			max = Max(max, in[u]);
		for (int u = 0; u < op->width; u++)
		{
			out[u] = (real) MtlExp((in[u] - max) / op->op->temperature);
			sum += out[u];
		}
		for (int u = 0; u < op->width; u++)
			out[u] /= sum;
	}
}

void
SoftmaxBackward(Network *network, NetworkOp *op)
{
	const NetworkOp *input = InputOf(network, op, 0);

	for (int r = 0; r < network->nrows; r++)
	{
		const real *out = OutRow(op, r);
		const real *gradient = GradientRow(&op->out, r);
		real	   *in = GradientRow(&input->out, r);
		real		dot = 0;

		for (int u = 0; u < op->width; u++)
			dot += gradient[u] * out[u];
		for (int u = 0; u < op->width; u++)
			in[u] += (real) (out[u] * (gradient[u] - dot) / op->op->temperature);
		if (op->direct)
			for (int u = 0; u < op->width; u++)
				in[u] += op->direct[(Size) r * op->width + u];
	}
}

/* -------------------------------------------------------------------- mix */

/* to = weight * from, or is increased by it. */
MTL_VECTORIZED static void
SetScaled(int n, real weight, const real *restrict from, real *restrict to)
{
	for (int u = 0; u < n; u++)
		to[u] = weight * from[u];
}

MTL_VECTORIZED static void
AddScaled(int n, real weight, const real *restrict from, real *restrict to)
{
	for (int u = 0; u < n; u++)
		to[u] += weight * from[u];
}

/* Sums that are computed side by side. */
#define NUM_SUMS 16

/* The product of both, and weight times the first added to the third. */
MTL_VECTORIZED static real
DotAndAddScaled(int n, real weight, const real *restrict gradient, const real *restrict value,
				real *restrict value_gradient)
{
	real		sums[NUM_SUMS] = {0};
	real		sum = 0;
	int			u = 0;

	for (; u + NUM_SUMS <= n; u += NUM_SUMS)
		for (int k = 0; k < NUM_SUMS; k++)
		{
			sums[k] += gradient[u + k] * value[u + k];
			value_gradient[u + k] += weight * gradient[u + k];
		}
	for (; u < n; u++)
	{
		sums[u % NUM_SUMS] += gradient[u] * value[u];
		value_gradient[u] += weight * gradient[u];
	}
	for (int k = 0; k < NUM_SUMS; k++)
		sum += sums[k];
	return sum;
}

void
MixForward(Network *network, NetworkOp *op)
{
	const NetworkOp *gate = InputOf(network, op, 0);

	for (int i = 1; i < op->op->ninputs; i++)
	{
		const Vectors *expert = &InputOf(network, op, i)->out;

		for (int r = 0; r < network->nrows; r++)
		{
			real		weight = Row(&gate->out, r)[i - 1];

			CheckAtRow(r, op->width);
			if (i == 1)
				SetScaled(op->width, weight, Row(expert, r), OutRow(op, r));
			else
				AddScaled(op->width, weight, Row(expert, r), OutRow(op, r));
		}
	}
}

void
MixBackward(Network *network, NetworkOp *op)
{
	const NetworkOp *gate = InputOf(network, op, 0);

	for (int i = 1; i < op->op->ninputs; i++)
	{
		const Vectors *expert = &InputOf(network, op, i)->out;
		bool		stopped = op->op->stopped && op->op->stopped[i];

		for (int r = 0; r < network->nrows; r++)
		{
			CheckAtRow(r, op->width);
			GradientRow(&gate->out, r)[i - 1] +=
				DotAndAddScaled(op->width, stopped ? 0 : Row(&gate->out, r)[i - 1],
								GradientRow(&op->out, r), Row(expert, r), GradientRow(expert, r));
		}
	}
}

/* ------------------------------------------------------------ combination */

/* The weight at a position of a combination, constant or trained. */
static real
CombineWeight(const GraphOp *op, int64 position)
{
	return op->weights_tensor ?
		ValueOf(op->weights_tensor)[op->weights_offset + position] : op->weights[position];
}

void
CombineForward(Network *network, NetworkOp *op)
{
	const GraphOp *combine = op->op;
	int			slice = op->width / combine->subspaces;
	int64		side = (int64) combine->ninputs * combine->subspaces;

	for (int r = 0; r < network->nrows; r++)
	{
		real	   *out = OutRow(op, r);

		CheckAtRow(r, op->width);
		memset(out, 0, sizeof(real) * op->width);
		for (int i = 0; i < combine->ninputs; i++)
		{
			const real *in = Row(&InputOf(network, op, i)->out, r);

			if (combine->per_unit)
			{
				for (int u = 0; u < op->width; u++)
					out[u] += CombineWeight(combine, (int64) i * op->width + u) * in[u];
				continue;
			}
			for (int g = 0; g < combine->subspaces; g++)
				for (int h = 0; h < combine->subspaces; h++)
				{
					real		weight = CombineWeight(combine, g * side + (int64) i * combine->subspaces + h);

					for (int u = 0; u < slice; u++)
						out[g * slice + u] += weight * in[h * slice + u];
				}
		}
	}
}

void
CombineBackward(Network *network, NetworkOp *op)
{
	const GraphOp *combine = op->op;
	int			slice = op->width / combine->subspaces;
	int64		side = (int64) combine->ninputs * combine->subspaces;
	real	   *weights = combine->weights_tensor ?
		GradientOf(network, combine->weights_tensor) + combine->weights_offset : NULL;

	for (int r = 0; r < network->nrows; r++)
	{
		const real *gradient = GradientRow(&op->out, r);

		CheckAtRow(r, op->width);
		for (int i = 0; i < combine->ninputs; i++)
		{
			const Vectors *input = &InputOf(network, op, i)->out;
			const real *in = Row(input, r);
			real	   *in_gradient = GradientRow(input, r);

			if (combine->per_unit)
			{
				for (int u = 0; u < op->width; u++)
				{
					int64		position = (int64) i * op->width + u;

					in_gradient[u] += CombineWeight(combine, position) * gradient[u];
					if (weights)
						weights[position] += gradient[u] * in[u];
				}
				continue;
			}
			for (int g = 0; g < combine->subspaces; g++)
				for (int h = 0; h < combine->subspaces; h++)
				{
					int64		position = g * side + (int64) i * combine->subspaces + h;
					real		weight = CombineWeight(combine, position);
					real		dot = 0;

					for (int u = 0; u < slice; u++)
					{
						dot += gradient[g * slice + u] * in[h * slice + u];
						in_gradient[h * slice + u] += weight * gradient[g * slice + u];
					}
					if (weights)
						weights[position] += dot;
				}
		}
	}
}

/* --------------------------------------------------- dot product, slices */

void
DotForward(Network *network, NetworkOp *op)
{
	const NetworkOp *a = InputOf(network, op, 0);
	const NetworkOp *b = InputOf(network, op, 1);

	for (int r = 0; r < network->nrows; r++)
	{
		real		dot = 0;

		for (int u = 0; u < a->width; u++)
			dot += Row(&a->out, r)[u] * Row(&b->out, r)[u];
		OutRow(op, r)[0] = dot;
	}
}

/* Both may be the same vector, which then gets both parts. */
void
DotBackward(Network *network, NetworkOp *op)
{
	const NetworkOp *a = InputOf(network, op, 0);
	const NetworkOp *b = InputOf(network, op, 1);

	for (int r = 0; r < network->nrows; r++)
	{
		real		gradient = GradientRow(&op->out, r)[0];

		for (int u = 0; u < a->width; u++)
		{
			GradientRow(&a->out, r)[u] += gradient * Row(&b->out, r)[u];
			GradientRow(&b->out, r)[u] += gradient * Row(&a->out, r)[u];
		}
	}
}

void
SlicesForward(Network *network, NetworkOp *op)
{
	const NetworkOp *input = InputOf(network, op, 0);

	for (int r = 0; r < network->nrows; r++)
	{
		real	   *out = OutRow(op, r);

		for (int i = 0; i < op->op->nranges; i++)
		{
			const VectorRange *range = &op->op->ranges[i];

			memcpy(out, Row(&input->out, r) + range->begin, sizeof(real) * range->length);
			out += range->length;
		}
	}
}

void
SlicesBackward(Network *network, NetworkOp *op)
{
	const NetworkOp *input = InputOf(network, op, 0);

	for (int r = 0; r < network->nrows; r++)
	{
		const real *gradient = GradientRow(&op->out, r);

		for (int i = 0; i < op->op->nranges; i++)
		{
			const VectorRange *range = &op->op->ranges[i];
			real	   *in = GradientRow(&input->out, r) + range->begin;

			for (int u = 0; u < range->length; u++)
				in[u] += gradient[u];
			gradient += range->length;
		}
	}
}

/* ------------------------------------------- concatenation, choice, product */

void
ConcatForward(Network *network, NetworkOp *op)
{
	int			position = 0;

	for (int i = 0; i < op->op->ninputs; i++)
	{
		const NetworkOp *input = InputOf(network, op, i);

		for (int r = 0; r < network->nrows; r++)
			memcpy(OutRow(op, r) + position, Row(&input->out, r), sizeof(real) * input->width);
		position += input->width;
	}
}

void
ConcatBackward(Network *network, NetworkOp *op)
{
	int			position = 0;

	for (int i = 0; i < op->op->ninputs; i++)
	{
		const NetworkOp *input = InputOf(network, op, i);

		for (int r = 0; r < network->nrows; r++)
		{
			const real *gradient = GradientRow(&op->out, r) + position;
			real	   *in = GradientRow(&input->out, r);

			for (int u = 0; u < input->width; u++)
				in[u] += gradient[u];
		}
		position += input->width;
	}
}

void
PickForward(Network *network, NetworkOp *op)
{
	for (int r = 0; r < network->nrows; r++)
		OutRow(op, r)[0] = Row(&InputOf(network, op, 0)->out, r)[op->op->index];
}

void
PickBackward(Network *network, NetworkOp *op)
{
	for (int r = 0; r < network->nrows; r++)
		GradientRow(&InputOf(network, op, 0)->out, r)[op->op->index] += GradientRow(&op->out, r)[0];
}

void
ProductForward(Network *network, NetworkOp *op)
{
	for (int r = 0; r < network->nrows; r++)
	{
		real		product = 1;

		for (int i = 0; i < op->op->ninputs; i++)
			product *= Row(&InputOf(network, op, i)->out, r)[0];
		OutRow(op, r)[0] = product;
	}
}

/* By one factor, it is the product of the others, whatever of them is 0. */
void
ProductBackward(Network *network, NetworkOp *op)
{
	int			n = op->op->ninputs;

	for (int r = 0; r < network->nrows; r++)
	{
		real		gradient = GradientRow(&op->out, r)[0];

		for (int i = 0; gradient != 0 && i < n; i++)
		{
			real		others = gradient;

			for (int k = 0; k < n; k++)
				if (k != i)
					others *= Row(&InputOf(network, op, k)->out, r)[0];
			GradientRow(&InputOf(network, op, i)->out, r)[0] += others;
		}
	}
}
