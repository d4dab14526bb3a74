/*
 * functions.h
 *	  Transcendental functions of our own, so that a score does not depend on the
 *	  C library.
 *
 * All work in double precision with IEEE 754 operations alone, none of them
 * contracted, and give the same bits wherever these hold.  The largest errors seen
 * on 20,000 random arguments per range against 40 digits, in units in the last
 * place of the result, stand beside them; float32 has 5e8 such units.  NaN gives
 * NaN; where a function is not defined it gives NaN, at its poles infinity.
 */
#ifndef MTL_RANK_FUNCTIONS_H
#define MTL_RANK_FUNCTIONS_H

#include "math/ieee.h"

extern double MtlExp(double x);		/* 1.0 */
extern double MtlLog(double x);		/* 0.9 */
extern double MtlLog1p(double x);	/* 1.4 */
extern double MtlErf(double x);		/* 1.7 */
extern double MtlTanh(double x);	/* 2.8 */
extern double MtlSigmoid(double x); /* 2.2 */
extern double MtlSqrt(double x);	/* 0.5: IEEE 754 has it correctly rounded */

#endif							/* MTL_RANK_FUNCTIONS_H */
