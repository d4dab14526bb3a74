/*
 * kernel_bf16_avx512.c
 *	  bf16 on CPUs with AVX512_BF16.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")))

#define COMPACT_BF16
#include "engine/kernel_compact_loops.h"
#include "engine/vectors_avx512.h"

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
		   const CompactWeights *weights, int strip, Vector *y)
{
	*y = VectorMultiplyAdd(*sums, VectorLoad(weights->scales + strip * MTL_STRIP),
						   VectorLoad(weights->bias + strip * MTL_STRIP));
}

#include "engine/kernel_compact_avx512.h"

const CompactKernels mtl_avx512_bf16_kernels = {CompactBf16, Linear};

#endif							/* MTL_X86_KERNELS */
