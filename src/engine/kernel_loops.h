/*
 * kernel_loops.h
 *	  The loops of kernels that compilers vectorise by themselves; included once by the
 *	  file of each variant.
 *
 * The including file defines KERNEL_TARGET, the attribute that allows the variant's
 * instructions, and MultiplyAdd(a, b, c), a * b + c rounded once.
 */
#ifndef MTL_RANK_KERNEL_LOOPS_H
#define MTL_RANK_KERNEL_LOOPS_H

#include "engine/kernel.h"
#include "math/functions.h"
#include "math/quick_functions.h"

/*
 * Sums of a row's numbers, and rows of a softmax, that are taken side by side; so many
 * that compilers see a loop to vectorise.
 */
#define PARTIAL_SUMS 32
#define SOFTMAX_ROWS 32

/* Fewer rows, or wider ones, are not worth it. */
#define SOFTMAX_FEW_ROWS 8
#define SOFTMAX_WIDTH (MTL_SOFTMAX_WORK / SOFTMAX_ROWS)

#define KERNEL KERNEL_TARGET static
#define KERNEL_PART KERNEL_TARGET static pg_attribute_always_inline

/* ----------------------------------------------------------------- vectors */

/*
 * Zero times a number is zero, unless the number is infinite or NaN: then it is NaN.
 */
KERNEL bool
AllFinite(Size n, const float *y)
{
	int			finite = 1;

	/* without a way out in between, so that it vectorises */
	for (Size i = 0; i < n; i++)
		finite &= y[i] * 0.0f == 0.0f;
	return finite;
}

KERNEL void
AddScaled(int n, float scale, const float *x, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = MultiplyAdd(scale, x[i], y[i]);
}

KERNEL void
AddProducts(int n, const float *scales, const float *x, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = MultiplyAdd(scales[i], x[i], y[i]);
}

KERNEL void
PoolSum(int n, double weight, const float *x, double *sums)
{
	for (int i = 0; i < n; i++)
		sums[i] += weight * x[i];
}

KERNEL void
PoolMax(int n, double weight, const float *x, double *sums)
{
	for (int i = 0; i < n; i++)
	{
		double		value = weight * x[i];

		sums[i] = sums[i] > value ? sums[i] : value;
	}
}

/* ----------------------------------------------------- softmax, statistics */

/*
 * Up to SOFTMAX_ROWS rows, which lie in work as columns, so that rows are what
 * vectorises; zeros take the place of rows that are not there.
 */
KERNEL_PART void
SoftmaxTile(int nrows, int width, Vectors x, double temperature, double *work,
			float *y, Size y_stride)
{
	double		max[SOFTMAX_ROWS];
	double		sums[SOFTMAX_ROWS];

	for (int r = 0; r < nrows; r++)
		for (int u = 0; u < width; u++)
			work[u * SOFTMAX_ROWS + r] = x.numbers[r * x.stride + u];
	for (int r = nrows; r < SOFTMAX_ROWS; r++)
		for (int u = 0; u < width; u++)
			work[u * SOFTMAX_ROWS + r] = 0;

	for (int r = 0; r < SOFTMAX_ROWS; r++)
	{
		max[r] = work[r];
		sums[r] = 0;
	}
	for (int u = 1; u < width; u++)
	{
		const double *column = work + u * SOFTMAX_ROWS;

		for (int r = 0; r < SOFTMAX_ROWS; r++)
			max[r] = column[r] > max[r] ? column[r] : max[r];
	}
	for (int u = 0; u < width; u++)
	{
		double	   *column = work + u * SOFTMAX_ROWS;

		if (temperature == 1)
			for (int r = 0; r < SOFTMAX_ROWS; r++)
				column[r] -= max[r];
		else
			for (int r = 0; r < SOFTMAX_ROWS; r++)
				column[r] = (column[r] - max[r]) / temperature;
		for (int r = 0; r < SOFTMAX_ROWS; r++)
			column[r] = QuickExp(column[r]);
		for (int r = 0; r < SOFTMAX_ROWS; r++)
			sums[r] += column[r];
	}
	for (int r = 0; r < SOFTMAX_ROWS; r++)
		sums[r] = 1 / sums[r];
	for (int r = 0; r < nrows; r++)
		for (int u = 0; u < width; u++)
			y[r * y_stride + u] = work[u * SOFTMAX_ROWS + r] * sums[r];
}

/* One row; the same operations on each number. */
KERNEL_PART void
SoftmaxRow(int width, const float *x, double temperature, double *work, float *y)
{
	float		max = x[0];
	double		sum = 0;

	for (int u = 1; u < width; u++)
		max = x[u] > max ? x[u] : max;
	for (int u = 0; u < width; u++)
		work[u] = (double) x[u] - max;
	if (temperature != 1)
		for (int u = 0; u < width; u++)
			work[u] /= temperature;
	for (int u = 0; u < width; u++)
		work[u] = QuickExp(work[u]);
	for (int u = 0; u < width; u++)
		sum += work[u];
	sum = 1 / sum;
	for (int u = 0; u < width; u++)
		y[u] = work[u] * sum;
}

KERNEL void
Softmax(int nrows, int width, Vectors x, double temperature, double *work, float *y, Size y_stride)
{
	while (nrows >= SOFTMAX_FEW_ROWS && width <= SOFTMAX_WIDTH)
	{
		int			rows = nrows < SOFTMAX_ROWS ? nrows : SOFTMAX_ROWS;

		SoftmaxTile(rows, width, x, temperature, work, y, y_stride);
		nrows -= rows;
		x.numbers += rows * x.stride;
		y += rows * y_stride;
	}
	for (int r = 0; r < nrows; r++)
		SoftmaxRow(width, x.numbers + r * x.stride, temperature, work, y + r * y_stride);
}

/*
 * The sum of what each lane has, as a tree.
 */
KERNEL_PART double
AddLanes(double *sums)
{
	for (int half = PARTIAL_SUMS / 2; half > 0; half /= 2)
		for (int l = 0; l < half; l++)
			sums[l] += sums[l + half];
	return sums[0];
}

/*
 * Lane l takes numbers l, l + PARTIAL_SUMS, ...
 */
KERNEL void
Statistics(int n, const float *y, double *mean, double *variance)
{
	double		sums[PARTIAL_SUMS] = {0};
	double		squares[PARTIAL_SUMS] = {0};
	double		middle;
	const float *rest = y + (n - n % PARTIAL_SUMS);

	for (const float *part = y; part < rest; part += PARTIAL_SUMS)
		for (int l = 0; l < PARTIAL_SUMS; l++)
			sums[l] += part[l];
	for (int l = 0; l < n % PARTIAL_SUMS; l++)
		sums[l] += rest[l];
	middle = AddLanes(sums) / n;

	for (const float *part = y; part < rest; part += PARTIAL_SUMS)
		for (int l = 0; l < PARTIAL_SUMS; l++)
			squares[l] += (part[l] - middle) * (part[l] - middle);
	for (int l = 0; l < n % PARTIAL_SUMS; l++)
		squares[l] += (rest[l] - middle) * (rest[l] - middle);
	*mean = middle;
	*variance = AddLanes(squares) / n;
}

/* --------------------------------------- normalizations and activations */

KERNEL void
BatchNorm(int n, const double *mean, const double *scale, const double *shift, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = (y[i] - mean[i]) * scale[i] + shift[i];
}

KERNEL void
LayerNorm(int n, double mean, double inverse, const double *scale, const double *shift, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = (y[i] - mean) * inverse * scale[i] + shift[i];
}

KERNEL void
Relu(int n, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = y[i] > 0 ? y[i] : 0;
}

KERNEL void
LeakyRelu(int n, double slope, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = y[i] > 0 ? y[i] : slope * y[i];
}

KERNEL void
Prelu(int n, const double *alpha, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = y[i] > 0 ? y[i] : alpha[i] * y[i];
}

KERNEL void
Sigmoid(int n, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = QuickSigmoid(y[i]);
}

KERNEL void
Tanh(int n, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = QuickTanh(y[i]);
}

KERNEL void
Silu(int n, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = y[i] * QuickSigmoid(y[i]);
}

KERNEL void
Gelu(int n, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = y[i] * QuickNormal(y[i]);
}

/* (1 + tanh(z)) / 2 is sigmoid(2z), which does not cancel */
KERNEL void
GeluTanh(int n, float *y)
{
	for (int i = 0; i < n; i++)
	{
		double		v = y[i];

		y[i] = v * QuickSigmoid(2 * QUICK_SQRT_2_PER_PI * (v + 0.044715 * v * v * v));
	}
}

KERNEL_PART double
Dice(double y, double z, double alpha)
{
	double		p = QuickSigmoid(z);

	return p * y + alpha * (1 - p) * y;
}

KERNEL void
DiceEach(int n, const double *mean, const double *scale, const double *alpha, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = Dice(y[i], (y[i] - mean[i]) * scale[i], alpha[i]);
}

KERNEL void
RowDice(int n, double mean, double scale, const double *alpha, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = Dice(y[i], (y[i] - mean) * scale, alpha[i]);
}

/* For the variant's Kernels, beside what it has itself. */
#define LOOP_KERNELS \
	.add_scaled = AddScaled, \
	.add_products = AddProducts, \
	.pool_sum = PoolSum, \
	.pool_max = PoolMax, \
	.all_finite = AllFinite, \
	.softmax = Softmax, \
	.statistics = Statistics, \
	.relu = Relu, \
	.leaky_relu = LeakyRelu, \
	.prelu = Prelu, \
	.sigmoid = Sigmoid, \
	.tanh = Tanh, \
	.silu = Silu, \
	.gelu = Gelu, \
	.gelu_tanh = GeluTanh, \
	.batch_norm = BatchNorm, \
	.layer_norm = LayerNorm, \
	.dice = DiceEach, \
	.row_dice = RowDice

#endif							/* MTL_RANK_KERNEL_LOOPS_H */
