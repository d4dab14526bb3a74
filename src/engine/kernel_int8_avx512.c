/*
 * kernel_int8_avx512.c
 *	  int8 on CPUs with AVX512_VNNI.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni,avx2,fma")))

#define COMPACT_INT8
#include "engine/kernel_compact_loops.h"
#include "engine/vectors_avx512.h"

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
		   const CompactWeights *weights, int strip, Vector *y)
{
	__m512i		zeros = _mm512_mullo_epi32(_mm512_set1_epi32(x->zeros[row]),
										   _mm512_loadu_si512(weights->sums + strip * MTL_STRIP));
	Vector		sum = _mm512_cvtepi32_ps(_mm512_sub_epi32((__m512i) *sums, zeros));
	Vector		scale = VectorMultiply(VectorFill(x->scales[row]),
									   VectorLoad(weights->scales + strip * MTL_STRIP));

	*y = VectorMultiplyAdd(sum, scale, VectorLoad(weights->bias + strip * MTL_STRIP));
}

#include "engine/kernel_compact_avx512.h"

const CompactKernels mtl_avx512_int8_kernels = {CompactInt8, Linear};

#endif							/* MTL_X86_KERNELS */
