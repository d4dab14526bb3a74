/*
 * kernel_compact_loops.h
 *	  Rows of float32 as bf16 and as int8, in loops that compilers vectorise by
 *	  themselves; included once by the file of each variant.
 *
 * The including file defines KERNEL_TARGET, and COMPACT_BF16 or COMPACT_INT8 or both.
 */
#ifndef MTL_RANK_KERNEL_COMPACT_LOOPS_H
#define MTL_RANK_KERNEL_COMPACT_LOOPS_H

#include "engine/kernel_compact.h"

#define KERNEL_PART KERNEL_TARGET static pg_attribute_always_inline

#ifdef COMPACT_BF16

/* n numbers, and zeros up to a whole group. */
KERNEL_PART void
CompactRowBf16(int n, const float *restrict x, Bf16 *restrict row)
{
	for (int k = 0; k < n; k++)
	{
		uint32		bits;
		uint32		rounded;

		memcpy(&bits, &x[k], sizeof(bits));
		rounded = bits + 0x7FFF + ((bits >> 16) & 1);
		row[k] = (rounded & 0x7FFFFFFF) < MTL_BF16_LEAST_BITS ? 0 : rounded >> 16;
	}
	if (n % MTL_BF16_GROUP != 0)
		row[n] = 0;
}

KERNEL_TARGET static void
CompactBf16(int nrows, int n, Vectors x, const CompactRows *rows)
{
	for (int r = 0; r < nrows; r++)
		CompactRowBf16(n, x.numbers + r * x.stride, (Bf16 *) (rows->groups + r * rows->stride));
}

#endif							/* COMPACT_BF16 */

#ifdef COMPACT_INT8

/* Bounds of a row's numbers that are taken side by side. */
#define BOUND_LANES 32

/* Added to a number below 2^22 it leaves the nearest integer in the lower bits. */
#define ROUNDING_NUMBER 0x1.8p23f
#define ROUNDING_BITS	0x4B400000

/* The nearest integer, ties to even. */
KERNEL_PART int32
NearestInteger(float value)
{
	float		sum = value + ROUNDING_NUMBER;
	int32		bits;

	memcpy(&bits, &sum, sizeof(bits));
	return bits - ROUNDING_BITS;
}

/* The least and the largest of n numbers and 0. */
KERNEL_PART void
RowBounds(int n, const float *restrict x, float *least, float *largest)
{
	float		low[BOUND_LANES] = {0};
	float		high[BOUND_LANES] = {0};
	const float *rest = x + (n - n % BOUND_LANES);

	for (const float *part = x; part < rest; part += BOUND_LANES)
		for (int l = 0; l < BOUND_LANES; l++)
		{
			low[l] = part[l] < low[l] ? part[l] : low[l];
			high[l] = part[l] > high[l] ? part[l] : high[l];
		}
	for (int l = 0; l < n % BOUND_LANES; l++)
	{
		low[l] = rest[l] < low[l] ? rest[l] : low[l];
		high[l] = rest[l] > high[l] ? rest[l] : high[l];
	}
	for (int half = BOUND_LANES / 2; half > 0; half /= 2)
		for (int l = 0; l < half; l++)
		{
			low[l] = low[l + half] < low[l] ? low[l + half] : low[l];
			high[l] = high[l + half] > high[l] ? high[l + half] : high[l];
		}
	*least = low[0];
	*largest = high[0];
}

/* n numbers, and zeros up to a whole group. */
KERNEL_PART void
CompactRowInt8(int n, const float *restrict x, uint8 *restrict row, float *scale, int32 *zero)
{
	float		low;
	float		high;
	float		range;
	float		inverse;
	int32		offset;

	RowBounds(n, x, &low, &high);
	range = high - low;
	*scale = range < MTL_INT8_LEAST_RANGE ? 0 : range / 255;
	inverse = range < MTL_INT8_LEAST_RANGE ? 0 : 255 / range;
	*zero = offset = NearestInteger(-low * inverse);
	for (int k = 0; k < n; k++)
	{
		int32		q = NearestInteger(x[k] * inverse) + offset;

		q = q < 0 ? 0 : q;
		row[k] = q > 255 ? 255 : q;
	}
	for (int k = n; k % MTL_INT8_GROUP != 0; k++)
		row[k] = 0;
}

KERNEL_TARGET static void
CompactInt8(int nrows, int n, Vectors x, const CompactRows *rows)
{
	for (int r = 0; r < nrows; r++)
		CompactRowInt8(n, x.numbers + r * x.stride, (uint8 *) (rows->groups + r * rows->stride),
					   &rows->scales[r], &rows->zeros[r]);
}

#endif							/* COMPACT_INT8 */

#endif							/* MTL_RANK_KERNEL_COMPACT_LOOPS_H */
