/*
 * network_norm.c
 *	  Normalizations in training: over the rows of a batch for each unit (Ioffe and
 *	  Szegedy 2015), or over the units of each row (Ba et al. 2016).
 *
 * Sums are in double.  Where the running statistics are used, as in validation,
 * nothing is kept to go back through.
 */
#include "postgres.h"

#include "math/functions.h"
#include "train/network.h"

/* ------------------------------------------------------- standardizing */

/*
 * running = (1 - momentum) * running + momentum * batch, of the variance as if of a
 * sample, as torch.nn.BatchNorm1d has it.
 */
static void
MoveRunning(const Network *network, const Tensor *tensor, int u, double batch)
{
	real	   *value = ValueOf(tensor);

	value[u] = (real) ((1 - network->momentum) * value[u] + network->momentum * batch);
}

void
StandardizeUnits(Network *network, NormState *state, int width, double epsilon,
				 const Tensor *running_mean, const Tensor *running_var, const real *in, int in_stride)
{
	int			nrows = network->nrows;

	for (int u = 0; u < width; u++)
	{
		double		mean = ValueOf(running_mean)[u];
		double		variance = ValueOf(running_var)[u];
		double		inverse;

		CheckAtRow(u, nrows);
		if (network->training)
		{
			double		sum = 0;
			double		squares = 0;

			for (int r = 0; r < nrows; r++)
				sum += in[(Size) r * in_stride + u];
			mean = sum / nrows;
			for (int r = 0; r < nrows; r++)
			{
				double		difference = in[(Size) r * in_stride + u] - mean;

				squares += difference * difference;
			}
			variance = squares / nrows;
			MoveRunning(network, running_mean, u, mean);
			MoveRunning(network, running_var, u, nrows > 1 ? squares / (nrows - 1) : variance);
		}
		inverse = 1 / MtlSqrt(variance + epsilon);
		state->inverse[u] = (real) inverse;
		for (int r = 0; r < nrows; r++)
			state->normalized[(Size) r * width + u] =
				(real) ((in[(Size) r * in_stride + u] - mean) * inverse);
	}
}

void
StandardizeRows(Network *network, NormState *state, int width, double epsilon, const real *in, int in_stride)
{
	for (int r = 0; r < network->nrows; r++, in += in_stride)
	{
		real	   *normalized = state->normalized + (Size) r * width;
		double		sum = 0;
		double		squares = 0;
		double		mean;
		double		inverse;

		CheckAtRow(r, width);
		for (int u = 0; u < width; u++)
			sum += in[u];
		mean = sum / width;
		for (int u = 0; u < width; u++)
			squares += (in[u] - mean) * (in[u] - mean);
		inverse = 1 / MtlSqrt(squares / width + epsilon);
		state->inverse[r] = (real) inverse;
		for (int u = 0; u < width; u++)
			normalized[u] = (real) ((in[u] - mean) * inverse);
	}
}

/*
 * Both ways back are the same: with n numbers that were standardized together to
 * s, dx = inverse * (ds - mean(ds) - s * mean(ds * s)).
 */
void
StandardizeUnitsBack(Network *network, const NormState *state, int width, real *gradient)
{
	int			nrows = network->nrows;

	for (int u = 0; u < width; u++)
	{
		double		sum = 0;
		double		product = 0;

		for (int r = 0; r < nrows; r++)
		{
			Size		i = (Size) r * width + u;

			sum += gradient[i];
			product += (double) gradient[i] * state->normalized[i];
		}
		sum /= nrows;
		product /= nrows;
		for (int r = 0; r < nrows; r++)
		{
			Size		i = (Size) r * width + u;

			gradient[i] = (real) (state->inverse[u] * (gradient[i] - sum - state->normalized[i] * product));
		}
	}
}

void
StandardizeRowsBack(Network *network, const NormState *state, int width, real *gradient)
{
	for (int r = 0; r < network->nrows; r++)
	{
		const real *normalized = state->normalized + (Size) r * width;
		real	   *row = gradient + (Size) r * width;
		double		sum = 0;
		double		product = 0;

		for (int u = 0; u < width; u++)
		{
			sum += row[u];
			product += (double) row[u] * normalized[u];
		}
		sum /= width;
		product /= width;
		for (int u = 0; u < width; u++)
			row[u] = (real) (state->inverse[r] * (row[u] - sum - normalized[u] * product));
	}
}

/* ------------------------------------------------------ scale and shift */

void
NormForward(Network *network, const Norm *norm, NormState *state, int width,
			const real *in, int in_stride, real *out)
{
	const real *scale = ValueOf(norm->weight);
	const real *shift = ValueOf(norm->bias);

	if (norm->kind == NORM_BATCH)
		StandardizeUnits(network, state, width, norm->epsilon, norm->running_mean, norm->running_var,
						 in, in_stride);
	else
		StandardizeRows(network, state, width, norm->epsilon, in, in_stride);
	for (int r = 0; r < network->nrows; r++)
	{
		const real *normalized = state->normalized + (Size) r * width;
		real	   *row = out + (Size) r * width;

		for (int u = 0; u < width; u++)
			row[u] = normalized[u] * (scale ? scale[u] : 1) + (shift ? shift[u] : 0);
	}
}

/* gradient (rows, width): by what came out, and then by what went in. */
void
NormBackward(Network *network, const Norm *norm, const NormState *state, int width, real *gradient)
{
	const real *scale = ValueOf(norm->weight);
	real	   *scale_gradient = GradientOf(network, norm->weight);
	real	   *shift_gradient = GradientOf(network, norm->bias);

	for (int r = 0; r < network->nrows; r++)
	{
		const real *normalized = state->normalized + (Size) r * width;
		real	   *row = gradient + (Size) r * width;

		if (scale_gradient)
			for (int u = 0; u < width; u++)
				scale_gradient[u] += row[u] * normalized[u];
		if (shift_gradient)
			for (int u = 0; u < width; u++)
				shift_gradient[u] += row[u];
		if (scale)
			for (int u = 0; u < width; u++)
				row[u] *= scale[u];
	}
	if (norm->kind == NORM_BATCH)
		StandardizeUnitsBack(network, state, width, gradient);
	else
		StandardizeRowsBack(network, state, width, gradient);
}
