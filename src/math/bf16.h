/*
 * bf16.h
 *	  bfloat16: the upper half of a float32, with 8 bits of precision.
 */
#ifndef MTL_RANK_BF16_H
#define MTL_RANK_BF16_H

#include "postgres.h"

#include "math/ieee.h"

typedef uint16 Bf16;

static inline float
Bf16ToFloat(Bf16 number)
{
	uint32		bits = (uint32) number << 16;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/*
 * The nearest bf16 of a finite number, ties to even; an infinity beyond its range.
 */
static inline Bf16
FloatToBf16(float value)
{
	uint32		bits;

	memcpy(&bits, &value, sizeof(bits));
	/* a carry out of the significand makes the exponent one larger, as it should */
	return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
}

static inline bool
Bf16IsFinite(Bf16 number)
{
	return (number & 0x7F80) != 0x7F80;
}

#endif							/* MTL_RANK_BF16_H */
