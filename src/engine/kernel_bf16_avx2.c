/*
 * kernel_bf16_avx2.c
 *	  bf16 on CPUs with AVX2 and FMA: each group by two multiply-adds of float32.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx2,fma")))

#define COMPACT_BF16
#include "engine/kernel_compact_loops.h"
#include "engine/vectors_avx2.h"

typedef struct StripSums
{
	Vector		half[VECTORS];
} StripSums;

/* The earlier and the later number of each group, as float32. */
typedef struct StripWeights
{
	Vector		earlier[VECTORS];
	Vector		later[VECTORS];
} StripWeights;

typedef struct Input
{
	Vector		earlier;
	Vector		later;
} Input;

KERNEL_PART StripSums
ZeroSums(void)
{
	return (StripSums) {{VectorFill(0), VectorFill(0)}};
}

KERNEL_PART Vector
EarlierNumbers(__m256i groups)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(groups, 16));
}

KERNEL_PART Vector
LaterNumbers(__m256i groups)
{
	return _mm256_castsi256_ps(_mm256_and_si256(groups, _mm256_set1_epi32(0xFFFF0000)));
}

KERNEL_PART StripWeights
LoadWeights(const uint32 *weights)
{
	StripWeights loaded;

	for (int v = 0; v < VECTORS; v++)
	{
		__m256i		groups = _mm256_loadu_si256((const __m256i *) weights + v);

		loaded.earlier[v] = EarlierNumbers(groups);
		loaded.later[v] = LaterNumbers(groups);
	}
	return loaded;
}

KERNEL_PART Input
LoadInput(uint32 group)
{
	__m256i		groups = _mm256_set1_epi32(group);

	return (Input) {EarlierNumbers(groups), LaterNumbers(groups)};
}

KERNEL_PART void
Accumulate(StripSums *sums, Input input, const StripWeights *weights)
{
	for (int v = 0; v < VECTORS; v++)
	{
		sums->half[v] = VectorMultiplyAdd(input.later, weights->later[v], sums->half[v]);
		sums->half[v] = VectorMultiplyAdd(input.earlier, weights->earlier[v], sums->half[v]);
	}
}

KERNEL_PART void
FinishSums(const StripSums *sums, const CompactRows *x, int row,
		   const CompactWeights *weights, int strip, const float *start, Vector *y)
{
	for (int v = 0; v < VECTORS; v++)
	{
		int			unit = strip * MTL_STRIP + v * (MTL_STRIP / VECTORS);

		y[v] = VectorMultiplyAdd(sums->half[v], VectorLoad(weights->scales + unit),
								 VectorLoad(start + v * (MTL_STRIP / VECTORS)));
	}
}

#include "engine/kernel_compact_avx2.h"

const CompactKernels mtl_avx2_bf16_kernels = {CompactBf16, Linear};

#endif							/* MTL_X86_KERNELS */
