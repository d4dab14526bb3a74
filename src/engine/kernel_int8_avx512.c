/*
 * kernel_int8_avx512.c
 *	  int8 on CPUs with AVX512_VNNI.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma")))

#define KERNEL_PART KERNEL_TARGET static pg_attribute_always_inline

#include "engine/vectors_avx512.h"

/* --------------------------------------------------- rows, as in kernel_compact_loops.h */

#define ROUND_TO_EVEN (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

/* The first n of sixteen numbers. */
KERNEL_PART __mmask16
FirstNumbers(int n)
{
	return (1 << n) - 1;
}

/* The least and the largest of n numbers and 0. */
KERNEL_PART void
RowBounds(int n, const float *x, float *least, float *largest)
{
	Vector		low[2] = {VectorFill(0), VectorFill(0)};
	Vector		high[2] = {VectorFill(0), VectorFill(0)};
	int			k = 0;

	for (; k + 2 * MTL_STRIP <= n; k += 2 * MTL_STRIP)
	{
		UNROLL
		for (int i = 0; i < 2; i++)
		{
			Vector		numbers = VectorLoad(x + k + i * MTL_STRIP);

			low[i] = _mm512_min_ps(low[i], numbers);
			high[i] = _mm512_max_ps(high[i], numbers);
		}
	}
	for (; k < n; k += MTL_STRIP)
	{
		/* zeros in place of what is not there */
		Vector		numbers = n - k >= MTL_STRIP ? VectorLoad(x + k) :
			_mm512_maskz_loadu_ps(FirstNumbers(n - k), x + k);

		low[0] = _mm512_min_ps(low[0], numbers);
		high[0] = _mm512_max_ps(high[0], numbers);
	}
	*least = _mm512_reduce_min_ps(_mm512_min_ps(low[0], low[1]));
	*largest = _mm512_reduce_max_ps(_mm512_max_ps(high[0], high[1]));
}

KERNEL_PART __m512i
Quantize(Vector numbers, Vector inverse, __m512i zero)
{
	return _mm512_add_epi32(_mm512_cvt_roundps_epi32(VectorMultiply(numbers, inverse), ROUND_TO_EVEN),
							zero);
}

KERNEL_PART __m128i
CompactNumbers(Vector numbers, Vector inverse, __m512i zero)
{
	/* the conversion saturates at 255 */
	return _mm512_cvtusepi32_epi8(_mm512_max_epi32(Quantize(numbers, inverse, zero),
												   _mm512_setzero_si512()));
}

/* Four vectors of numbers; what packs them saturates at 0 and 255, and works on quarters. */
KERNEL_PART __m512i
CompactVectors(const float *x, Vector inverse, __m512i zero)
{
	const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
	__m512i		first = _mm512_packs_epi32(Quantize(VectorLoad(x), inverse, zero),
										   Quantize(VectorLoad(x + MTL_STRIP), inverse, zero));
	__m512i		second = _mm512_packs_epi32(Quantize(VectorLoad(x + 2 * MTL_STRIP), inverse, zero),
											Quantize(VectorLoad(x + 3 * MTL_STRIP), inverse, zero));

	return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
}

KERNEL_PART void
CompactRow(int n, const float *x, uint8 *row, float *scale, int32 *zero)
{
	float		low;
	float		high;
	float		range;
	Vector		inverse;
	__m512i		zeros;
	int			k = 0;

	RowBounds(n, x, &low, &high);
	range = high - low;
	*scale = range < MTL_INT8_LEAST_RANGE ? 0 : range / 255;
	inverse = VectorFill(range < MTL_INT8_LEAST_RANGE ? 0 : 255 / range);
	zeros = _mm512_cvt_roundps_epi32(VectorMultiply(VectorFill(-low), inverse), ROUND_TO_EVEN);
	*zero = _mm512_cvtsi512_si32(zeros);
	for (; k + 4 * MTL_STRIP <= n; k += 4 * MTL_STRIP)
		_mm512_storeu_si512(row + k, CompactVectors(x + k, inverse, zeros));
	for (; k + MTL_STRIP <= n; k += MTL_STRIP)
		_mm_storeu_si128((__m128i *) (row + k), CompactNumbers(VectorLoad(x + k), inverse, zeros));
	if (k < n)
	{
		Vector		rest = _mm512_maskz_loadu_ps(FirstNumbers(n - k), x + k);
		__m128i		numbers = _mm_maskz_mov_epi8(FirstNumbers(n - k), CompactNumbers(rest, inverse, zeros));

		/* with zeros up to a whole group */
		_mm_mask_storeu_epi8(row + k, FirstNumbers((n - k + MTL_INT8_GROUP - 1) / MTL_INT8_GROUP * MTL_INT8_GROUP),
							 numbers);
	}
}

KERNEL_TARGET static void
CompactInt8(int nrows, int n, Vectors x, const CompactRows *rows)
{
	for (int r = 0; r < nrows; r++)
		CompactRow(n, x.numbers + r * x.stride, (uint8 *) (rows->groups + r * rows->stride),
				   &rows->scales[r], &rows->zeros[r]);
}

/* -------------------------------------------------------------- linear maps */

/* A type of 32-bit integers: the general one makes gcc 12 keep sums in memory. */
typedef int Integers __attribute__((vector_size(64)));

typedef Integers StripSums;
typedef Integers StripWeights;
typedef Integers Input;

KERNEL_PART StripSums
ZeroSums(void)
{
	return (Integers) _mm512_setzero_si512();
}

KERNEL_PART StripWeights
LoadWeights(const uint32 *weights)
{
	return (Integers) _mm512_loadu_si512(weights);
}

KERNEL_PART Input
LoadInput(uint32 group)
{
	return (Integers) _mm512_set1_epi32(group);
}

KERNEL_PART void
Accumulate(StripSums *sums, Input input, const StripWeights *weights)
{
	*sums = (Integers) _mm512_dpbusd_epi32((__m512i) *sums, (__m512i) input, (__m512i) *weights);
}

KERNEL_PART void
FinishSums(const StripSums *sums, const CompactRows *x, int row,
		   const CompactWeights *weights, int strip, const float *start, Vector *y)
{
	__m512i		zeros = _mm512_mullo_epi32(_mm512_set1_epi32(x->zeros[row]),
										   _mm512_loadu_si512(weights->sums + strip * MTL_STRIP));
	Vector		sum = _mm512_cvtepi32_ps(_mm512_sub_epi32((__m512i) *sums, zeros));
	Vector		scale = VectorMultiply(VectorFill(x->scales[row]),
									   VectorLoad(weights->scales + strip * MTL_STRIP));

	*y = VectorMultiplyAdd(sum, scale, VectorLoad(start));
}

#include "engine/kernel_compact_avx512.h"

const CompactKernels mtl_avx512_int8_kernels = {CompactInt8, Linear};

#endif							/* MTL_X86_KERNELS */
