/*
 * exact_sum.h
 *	  Sums of doubles without rounding, so that their order does not matter.
 *
 * A sum is a fixed-point number wide enough for every double there is, from
 * 2^-1074 to 2^1024, and for 2^64 of them (a "superaccumulator": Kulisch, Computer
 * Arithmetic and Validity, 2008).  Adding is exact and hence associative: any
 * order, and any split over processes, ends in the same number, which is rounded
 * once.  Only doubles that are finite and not negative can be added.
 */
#ifndef MTL_RANK_EXACT_SUM_H
#define MTL_RANK_EXACT_SUM_H

#include "math/ieee.h"

/* (2046 + 53) / 32 rounded up, and two for what the number of terms adds. */
#define EXACT_SUM_LIMBS 68

typedef struct ExactSum
{
	uint64		limbs[EXACT_SUM_LIMBS]; /* of weight 2^(32 i - 1074) */
	uint32		additions;		/* since each limb was below 2^32 */
} ExactSum;

/* A sum whose bytes are all zero is the sum of nothing. */
extern void ExactSumAdd(ExactSum *sum, double term);

/* Adds a sum to another, which it leaves alone but for its inner form. */
extern void ExactSumMerge(ExactSum *sum, ExactSum *other);

/* Gives equal sums equal bytes, and each limb a value below 2^32. */
extern void ExactSumNormalize(ExactSum *sum);

/* The nearest double, ties to even; infinite when it is too large. */
extern double ExactSumValue(ExactSum *sum);

#endif							/* MTL_RANK_EXACT_SUM_H */
