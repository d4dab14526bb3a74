/*
 * ieee.h
 *	  Refuses to compile where floating point is not what scores rely on: operations
 *	  of IEEE 754, each rounded to its own type.
 *
 * Contraction has no macro to test: -ffp-contract=off is the Makefile's.
 */
#ifndef MTL_RANK_IEEE_H
#define MTL_RANK_IEEE_H

#include <float.h>

#if FLT_EVAL_METHOD != 0
#error "floating-point operations must round to their own type: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif

#ifdef __FAST_MATH__
#error "-ffast-math would change scores"
#endif

#endif							/* MTL_RANK_IEEE_H */
