/*
 * exact_sum.c
 *	  Sums of doubles without rounding, so that their order does not matter.
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"

#include "math/exact_sum.h"

#define MANTISSA_BITS	52
#define LIMB_BITS		32
#define LIMB_MASK		UINT64CONST(0xFFFFFFFF)

/* A limb of 64 bits holds this many terms below 2^32 and one limb's rest. */
#define MAX_ADDITIONS	PG_INT32_MAX

/* Exponent of the last bit of the first limb. */
#define LOWEST_EXPONENT (-1074)

void
ExactSumNormalize(ExactSum *sum)
{
	uint64		carry = 0;

	for (int i = 0; i < EXACT_SUM_LIMBS; i++)
	{
		carry += sum->limbs[i];
		sum->limbs[i] = carry & LIMB_MASK;
		carry >>= LIMB_BITS;
	}
	Assert(carry == 0);
	sum->additions = 0;
}

void
ExactSumAdd(ExactSum *sum, double term)
{
	uint64		bits = BitsOfDouble(term);
	uint64		mantissa = bits & ((UINT64CONST(1) << MANTISSA_BITS) - 1);
	int			position = (int) (bits >> MANTISSA_BITS);
	uint64	   *limbs;
	int			shift;

	Assert(isfinite(term) && !signbit(term));

	/* subnormal numbers have the exponent of the smallest normal ones */
	if (position > 0)
	{
		mantissa |= UINT64CONST(1) << MANTISSA_BITS;
		position--;
	}
	limbs = &sum->limbs[position / LIMB_BITS];
	shift = position % LIMB_BITS;
	limbs[0] += (mantissa << shift) & LIMB_MASK;
	limbs[1] += (mantissa << shift) >> LIMB_BITS;
	if (shift > 0)
		limbs[2] += mantissa >> (64 - shift);
	if (++sum->additions == MAX_ADDITIONS)
		ExactSumNormalize(sum);
}

void
ExactSumMerge(ExactSum *sum, ExactSum *other)
{
	ExactSumNormalize(sum);
	ExactSumNormalize(other);
	for (int i = 0; i < EXACT_SUM_LIMBS; i++)
		sum->limbs[i] += other->limbs[i];
	ExactSumNormalize(sum);
}

static bool
BitIsSet(const ExactSum *sum, int position)
{
	return (sum->limbs[position / LIMB_BITS] >> (position % LIMB_BITS)) & 1;
}

/* Whether any bit below a position is set. */
static bool
AnyBitBelow(const ExactSum *sum, int position)
{
	int			limb = position / LIMB_BITS;

	if (sum->limbs[limb] & ((UINT64CONST(1) << (position % LIMB_BITS)) - 1))
		return true;
	while (--limb >= 0)
	{
		if (sum->limbs[limb] != 0)
			return true;
	}
	return false;
}

/* The n <= 53 bits from a position on. */
static uint64
BitsFrom(const ExactSum *sum, int position, int n)
{
	uint64		value = 0;

	for (int i = n - 1; i >= 0; i--)
		value = value << 1 | BitIsSet(sum, position + i);
	return value;
}

double
ExactSumValue(ExactSum *sum)
{
	int			top = EXACT_SUM_LIMBS - 1;
	int			last;			/* position of the last bit of the result's mantissa */
	uint64		mantissa;

	ExactSumNormalize(sum);
	while (top >= 0 && sum->limbs[top] == 0)
		top--;
	if (top < 0)
		return 0;

	last = top * LIMB_BITS + pg_leftmost_one_pos64(sum->limbs[top]) - MANTISSA_BITS;
	if (last <= 0)
		return ldexp((double) BitsFrom(sum, 0, MANTISSA_BITS + 1), LOWEST_EXPONENT);
	mantissa = BitsFrom(sum, last, MANTISSA_BITS + 1);
	if (BitIsSet(sum, last - 1) && ((mantissa & 1) || AnyBitBelow(sum, last - 1)))
		mantissa++;
	return ldexp((double) mantissa, last + LOWEST_EXPONENT);
}
