/*
 * functions.h
 *	  Transcendental functions of our own, so that a score does not depend on the
 *	  C library.
 *
 * All work in double precision with plain IEEE operations (no contraction, no
 * library calls) and are accurate to a few units in the last place of double,
 * far below float32's.
 */
#ifndef MTL_RANK_FUNCTIONS_H
#define MTL_RANK_FUNCTIONS_H

extern double MtlExp(double x);		/* 0 below -745, infinity above 709.78 */
extern double MtlLog(double x);		/* x > 0, finite */
extern double MtlLog1p(double x);	/* x > -1, finite */
extern double MtlErf(double x);
extern double MtlTanh(double x);
extern double MtlSigmoid(double x);
extern double MtlSqrt(double x);	/* correctly rounded by IEEE 754 */

#endif							/* MTL_RANK_FUNCTIONS_H */
