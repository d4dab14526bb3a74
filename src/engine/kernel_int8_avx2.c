/*
 * kernel_int8_avx2.c
 *	  int8 on CPUs with AVX2.
 *
 * Its instruction for bytes saturates sums of two products, which the one for 16 bits
 * does not: bytes are made those.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx2,fma")))

#define COMPACT_INT8
#include "engine/kernel_compact_loops.h"
#include "engine/vectors_avx2.h"

/* A group is 64 bits wide here, so that a vector has those of four units. */
#define QUARTERS 4

/* Each unit's sum is that of two neighbours. */
typedef struct StripSums
{
	__m256i		quarters[QUARTERS];
} StripSums;

typedef struct StripWeights
{
	__m256i		quarters[QUARTERS];
} StripWeights;

typedef __m256i Input;

KERNEL_PART StripSums
ZeroSums(void)
{
	StripSums	sums;

	for (int i = 0; i < QUARTERS; i++)
		sums.quarters[i] = _mm256_setzero_si256();
	return sums;
}

KERNEL_PART StripWeights
LoadWeights(const uint32 *weights)
{
	StripWeights loaded;

	for (int i = 0; i < QUARTERS; i++)
		loaded.quarters[i] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) weights + i));
	return loaded;
}

KERNEL_PART Input
LoadInput(uint32 group)
{
	return _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(group)));
}

KERNEL_PART void
Accumulate(StripSums *sums, Input input, const StripWeights *weights)
{
	for (int i = 0; i < QUARTERS; i++)
		sums->quarters[i] = _mm256_add_epi32(sums->quarters[i],
											 _mm256_madd_epi16(input, weights->quarters[i]));
}

/* The sums of eight units, from those of two quarters. */
KERNEL_PART __m256i
AddNeighbours(__m256i first, __m256i second)
{
	/* units 0, 1, 4, 5, 2, 3, 6, 7: the instruction works on halves */
	__m256i		sums = _mm256_hadd_epi32(first, second);

	return _mm256_permute4x64_epi64(sums, _MM_SHUFFLE(3, 1, 2, 0));
}

KERNEL_PART void
FinishSums(const StripSums *sums, const CompactRows *x, int row,
		   const CompactWeights *weights, int strip, const float *start, Vector *y)
{
	__m256i		zero = _mm256_set1_epi32(x->zeros[row]);
	Vector		row_scale = VectorFill(x->scales[row]);

	for (int v = 0; v < VECTORS; v++)
	{
		int			unit = strip * MTL_STRIP + v * (MTL_STRIP / VECTORS);
		__m256i		whole = AddNeighbours(sums->quarters[2 * v], sums->quarters[2 * v + 1]);
		__m256i		unit_sums = _mm256_loadu_si256((const __m256i *) (weights->sums + unit));
		Vector		sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(whole, _mm256_mullo_epi32(zero, unit_sums)));
		Vector		scale = VectorMultiply(row_scale, VectorLoad(weights->scales + unit));

		y[v] = VectorMultiplyAdd(sum, scale, VectorLoad(start + v * (MTL_STRIP / VECTORS)));
	}
}

#include "engine/kernel_compact_avx2.h"

const CompactKernels mtl_avx2_int8_kernels = {CompactInt8, Linear};

#endif							/* MTL_X86_KERNELS */
