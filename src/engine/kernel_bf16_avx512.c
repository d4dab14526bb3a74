/*
 * kernel_bf16_avx512.c
 *	  bf16 on CPUs with AVX512_BF16.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")))

#define KERNEL_PART KERNEL_TARGET static pg_attribute_always_inline

#include "engine/vectors_avx512.h"

/* --------------------------------------------------- rows, as in kernel_compact_loops.h */

/* Of subnormal numbers the instruction makes zeros, as is to become of more than those. */
KERNEL_PART __m256i
CompactNumbers(Vector numbers)
{
	__m256i		rounded = (__m256i) _mm512_cvtneps_pbh(numbers);
	__m256i		sizes = _mm256_and_si256(rounded, _mm256_set1_epi16(0x7FFF));
	__mmask16	kept = _mm256_cmpge_epu16_mask(sizes, _mm256_set1_epi16(MTL_BF16_LEAST));

	return _mm256_maskz_mov_epi16(kept, rounded);
}

KERNEL_TARGET static void
CompactBf16(int nrows, int n, Vectors x, const CompactRows *rows)
{
	/* what is left after whole vectors, and with zeros up to a whole group */
	int			left = n % MTL_STRIP;
	__mmask16	rest = (1 << left) - 1;
	__mmask16	groups = (1 << (left + left % MTL_BF16_GROUP)) - 1;

	for (int r = 0; r < nrows; r++)
	{
		const float *numbers = x.numbers + r * x.stride;
		Bf16	   *row = (Bf16 *) (rows->groups + r * rows->stride);
		int			k = 0;

		for (; k + MTL_STRIP <= n; k += MTL_STRIP)
			_mm256_storeu_si256((__m256i *) (row + k), CompactNumbers(VectorLoad(numbers + k)));
		if (left > 0)
			_mm256_mask_storeu_epi16(row + k, groups,
									 CompactNumbers(_mm512_maskz_loadu_ps(rest, numbers + k)));
	}
}

/* -------------------------------------------------------------- linear maps */

typedef __m512 StripSums;
typedef __m512bh StripWeights;
typedef __m512bh Input;

KERNEL_PART StripSums
ZeroSums(void)
{
	return _mm512_setzero_ps();
}

KERNEL_PART StripWeights
LoadWeights(const uint32 *weights)
{
	return (__m512bh) _mm512_loadu_si512(weights);
}

KERNEL_PART Input
LoadInput(uint32 group)
{
	return (__m512bh) _mm512_set1_epi32(group);
}

KERNEL_PART void
Accumulate(StripSums *sums, Input input, const StripWeights *weights)
{
	*sums = _mm512_dpbf16_ps(*sums, *weights, input);
}

KERNEL_PART void
FinishSums(const StripSums *sums, const CompactRows *x, int row,
		   const CompactWeights *weights, int strip, const float *start, Vector *y)
{
	*y = VectorMultiplyAdd(*sums, VectorLoad(weights->scales + strip * MTL_STRIP),
						   VectorLoad(start));
}

#include "engine/kernel_compact_avx512.h"

const CompactKernels mtl_avx512_bf16_kernels = {CompactBf16, Linear};

#endif							/* MTL_X86_KERNELS */
