/*
 * multiply_add.h
 *	  a * b + c rounded once, for code without vector instructions.
 */
#ifndef MTL_RANK_MULTIPLY_ADD_H
#define MTL_RANK_MULTIPLY_ADD_H

#include "postgres.h"

#include "math/ieee.h"

/*
 * a * b + c rounded once, without an instruction for it; where there is none, the C
 * library's fmaf takes some fifty times as long.  The product is exact in double.
 * The sum is rounded to odd, that is, made odd if it is not exact, which keeps the
 * second rounding, to float, from going another way than a single one: Boldo and
 * Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Transactions on
 * Computers 57, 2008.
 */
#ifndef __FP_FAST_FMAF
static pg_attribute_always_inline float
EmulatedMultiplyAdd(float a, float b, float c)
{
	double		product = (double) a * b;
	double		sum = product + c;
	double		added = sum - product;
	double		lost = (product - (sum - added)) + (c - added);
	uint64		bits;
	uint64		lost_bits;
	uint64		magnitude;
	uint64		inexact;
	uint64		downward;

	/* without branches, so that it vectorises */
	memcpy(&bits, &sum, sizeof(bits));
	memcpy(&lost_bits, &lost, sizeof(lost_bits));
	magnitude = lost_bits << 1;
	inexact = (magnitude | -magnitude) >> 63;	/* 1 unless it is zero */
	downward = (bits ^ lost_bits) >> 63;
	bits += (1 - 2 * downward) & -(inexact & ~bits & 1);
	memcpy(&sum, &bits, sizeof(sum));
	return (float) sum;
}
#endif

static pg_attribute_always_inline float
MultiplyAdd(float a, float b, float c)
{
#ifdef __FP_FAST_FMAF
	return __builtin_fmaf(a, b, c);
#else
	return EmulatedMultiplyAdd(a, b, c);
#endif
}

#endif							/* MTL_RANK_MULTIPLY_ADD_H */
