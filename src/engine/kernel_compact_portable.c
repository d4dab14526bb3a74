/*
 * kernel_compact_portable.c
 *	  bf16 and int8 in plain C.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"
#include "engine/multiply_add.h"

#define KERNEL_TARGET
#define COMPACT_BF16
#define COMPACT_INT8
#include "engine/kernel_compact_loops.h"

/*
 * Adds the sums to start, and says whether all numbers are finite: zero times another is
 * NaN.
 */
static bool
FinishStrip(const float *sums, const float *scales, const float *start, bool relu, float *y)
{
	bool		finite = true;

	for (int u = 0; u < MTL_STRIP; u++)
	{
		float		number = MultiplyAdd(sums[u], scales[u], start[u]);

		finite &= number * 0.0f == 0.0f;
		y[u] = relu && !(number > 0) ? 0 : number;
	}
	return finite;
}

/* -------------------------------------------------------------------- bf16 */

static void
SumsBf16(int ngroups, const uint32 *x, const uint32 *weights, float *sums)
{
	for (int u = 0; u < MTL_STRIP; u++)
		sums[u] = 0;
	for (int g = 0; g < ngroups; g++, weights += MTL_STRIP)
		for (int later = 1; later >= 0; later--)
		{
			float		input = Bf16ToFloat(x[g] >> (16 * later));

			for (int u = 0; u < MTL_STRIP; u++)
				sums[u] = MultiplyAdd(input, Bf16ToFloat(weights[u] >> (16 * later)), sums[u]);
		}
}

static bool
LinearBf16(int nrows, int ngroups, const CompactRows *x, int nstrips, const CompactWeights *weights,
		   Vectors start, bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	for (int r = 0; r < nrows; r++)
		for (int s = 0; s < nstrips; s++)
		{
			int			unit = s * MTL_STRIP;
			float		sums[MTL_STRIP];

			SumsBf16(ngroups, x->groups + r * x->stride,
					 weights->groups + (Size) s * ngroups * MTL_STRIP, sums);
			finite &= FinishStrip(sums, weights->scales + unit,
								  start.numbers + r * start.stride + unit, relu,
								  y + r * y_stride + unit);
		}
	return finite;
}

const CompactKernels mtl_portable_bf16_kernels = {CompactBf16, LinearBf16};

/* -------------------------------------------------------------------- int8 */

static void
SumsInt8(int ngroups, const uint8 *x, const int8 *weights, int32 *sums)
{
	for (int u = 0; u < MTL_STRIP; u++)
		sums[u] = 0;
	for (int g = 0; g < ngroups; g++, x += MTL_INT8_GROUP, weights += MTL_STRIP * MTL_INT8_GROUP)
		for (int u = 0; u < MTL_STRIP; u++)
			for (int i = 0; i < MTL_INT8_GROUP; i++)
				sums[u] += x[i] * weights[u * MTL_INT8_GROUP + i];
}

static bool
LinearInt8(int nrows, int ngroups, const CompactRows *x, int nstrips, const CompactWeights *weights,
		   Vectors start, bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	for (int r = 0; r < nrows; r++)
		for (int s = 0; s < nstrips; s++)
		{
			int			unit = s * MTL_STRIP;
			int32		sums[MTL_STRIP];
			float		numbers[MTL_STRIP];
			float		scales[MTL_STRIP];

			SumsInt8(ngroups, (const uint8 *) (x->groups + r * x->stride),
					 (const int8 *) (weights->groups + (Size) s * ngroups * MTL_STRIP), sums);
			for (int u = 0; u < MTL_STRIP; u++)
			{
				numbers[u] = sums[u] - x->zeros[r] * weights->sums[unit + u];
				scales[u] = x->scales[r] * weights->scales[unit + u];
			}
			finite &= FinishStrip(numbers, scales, start.numbers + r * start.stride + unit, relu,
								  y + r * y_stride + unit);
		}
	return finite;
}

const CompactKernels mtl_portable_int8_kernels = {CompactInt8, LinearInt8};
