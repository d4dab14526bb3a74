/*
 * kernel.c
 *	  The loops that scoring spends its time in, in variants for CPUs.
 *
 * Each loop is written once, as a body that is inlined into one function per
 * variant, and vectorised there.
 */
#include "postgres.h"

#include "engine/kernel.h"
#include "math/ieee.h"

#if defined(__x86_64__)
#define HAVE_AVX2_KERNELS
#endif

/*
 * Sums of one row that live in registers while its inputs pass: eight registers of
 * AVX2, enough to hide the latency of its multiply-add.
 */
#define TILE_UNITS	64

int			mtl_rank_kernel = MTL_KERNEL_AUTO;

/* ---------------------------------------------------- fused multiply-add */

/*
 * a * b + c rounded once, without an instruction for it; where there is none, the C
 * library's fmaf takes some fifty times as long.  The product is exact in double.
 * The sum is rounded to odd, that is, made odd if it is not exact, which keeps the
 * second rounding, to float, from going another way than a single one: Boldo and
 * Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on
 * Computers 57, 2008.
 */
static pg_attribute_always_inline float
EmulatedMultiplyAdd(float a, float b, float c)
{
	double		product = (double) a * b;
	double		sum = product + c;
	double		added = sum - product;
	double		lost = (product - (sum - added)) + (c - added);
	int64		bits;

	memcpy(&bits, &sum, sizeof(bits));
	if (lost != 0 && (bits & 1) == 0)
		bits += (lost > 0) == (sum > 0) ? 1 : -1;
	memcpy(&sum, &bits, sizeof(bits));
	return (float) sum;
}

/*
 * hardware is a constant where this is inlined.
 */
static pg_attribute_always_inline float
MultiplyAdd(bool hardware, float a, float b, float c)
{
	return hardware ? __builtin_fmaf(a, b, c) : EmulatedMultiplyAdd(a, b, c);
}

/* ------------------------------------------------------------------ bodies */

/*
 * The first units of a layer with total_units.  units is a constant, too, so that
 * the loops over it unroll; the strip's weights stay in the CPU's cache from row to
 * row.
 */
static pg_attribute_always_inline void
LinearStripBody(bool hardware, int units, int total_units, int nrows, int ninputs,
				const float *x, Size x_stride, const float *weight, const float *bias,
				float *y, Size y_stride)
{
	for (int r = 0; r < nrows; r++)
	{
		float		sums[TILE_UNITS];

		for (int u = 0; u < units; u++)
			sums[u] = bias[u];
		for (int k = 0; k < ninputs; k++)
		{
			float		input = x[r * x_stride + k];
			const float *weights = weight + (Size) k * total_units;

			for (int u = 0; u < units; u++)
				sums[u] = MultiplyAdd(hardware, input, weights[u], sums[u]);
		}
		for (int u = 0; u < units; u++)
			y[r * y_stride + u] = sums[u];
	}
}

static pg_attribute_always_inline void
LinearBody(bool hardware, int nrows, int ninputs, int units,
		   const float *x, Size x_stride, const float *weight, const float *bias,
		   float *y, Size y_stride)
{
	int			u = 0;

#define LINEAR_STRIPS(width) \
	for (; u + (width) <= units; u += (width)) \
		LinearStripBody(hardware, width, units, nrows, ninputs, \
						x, x_stride, weight + u, bias + u, y + u, y_stride)

	LINEAR_STRIPS(TILE_UNITS);
	LINEAR_STRIPS(TILE_UNITS / 2);
	LINEAR_STRIPS(TILE_UNITS / 4);
	LINEAR_STRIPS(TILE_UNITS / 8);
	LINEAR_STRIPS(1);
}

static pg_attribute_always_inline void
AddScaledBody(bool hardware, int n, float scale, const float *x, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = MultiplyAdd(hardware, scale, x[i], y[i]);
}

static pg_attribute_always_inline void
AddProductsBody(bool hardware, int n, const float *scales, const float *x, float *y)
{
	for (int i = 0; i < n; i++)
		y[i] = MultiplyAdd(hardware, scales[i], x[i], y[i]);
}

/* ---------------------------------------------------------------- variants */

#define DEFINE_KERNELS(variant, hardware, target) \
target static void \
Linear##variant(int nrows, int ninputs, int units, const float *x, Size x_stride, \
				const float *weight, const float *bias, float *y, Size y_stride) \
{ \
	LinearBody(hardware, nrows, ninputs, units, x, x_stride, weight, bias, y, y_stride); \
} \
target static void \
AddScaled##variant(int n, float scale, const float *x, float *y) \
{ \
	AddScaledBody(hardware, n, scale, x, y); \
} \
target static void \
AddProducts##variant(int n, const float *scales, const float *x, float *y) \
{ \
	AddProductsBody(hardware, n, scales, x, y); \
} \
static const Kernels variant##_kernels = { \
	Linear##variant, AddScaled##variant, AddProducts##variant \
}

/* the compiler defines this where every CPU that it compiles for has the instruction */
#ifdef __FP_FAST_FMAF
DEFINE_KERNELS(portable, true, );
#else
DEFINE_KERNELS(portable, false, );
#endif

#ifdef HAVE_AVX2_KERNELS
DEFINE_KERNELS(avx2, true, __attribute__((target("avx2,fma"))));
#endif

const Kernels *
ChooseKernels(void)
{
#ifdef HAVE_AVX2_KERNELS
	if (mtl_rank_kernel == MTL_KERNEL_AUTO &&
		__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return &avx2_kernels;
#endif
	return &portable_kernels;
}
