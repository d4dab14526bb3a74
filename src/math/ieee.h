/*
 * ieee.h
 *	  Refuses to compile where floating point is not what scores rely on: operations
 *	  of IEEE 754, each rounded to its own type.  And the bits of doubles.
 *
 * Contraction has no macro to test: -ffp-contract=off is the Makefile's.
 */
#ifndef MTL_RANK_IEEE_H
#define MTL_RANK_IEEE_H

#include "postgres.h"

#include <float.h>

#if FLT_EVAL_METHOD != 0
#error "floating-point operations must round to their own type: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

#ifdef __FAST_MATH__
#error "-ffast-math would change scores"
#endif

static inline double
DoubleFromBits(uint64 bits)
{
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static inline uint64
BitsOfDouble(double value)
{
	uint64		bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

#endif							/* MTL_RANK_IEEE_H */
