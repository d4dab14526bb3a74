/*
 * functions.c
 *	  Transcendental functions of our own, so that a score does not depend on the
 *	  C library.
 *
 * Every operation is one of IEEE 754 and rounded on its own, so the same bits come
 * out wherever a compiler does as it is told.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "math/functions.h"

/* ln 2 in two parts; the first has 32 bits, so its products with exponents are exact. */
#define LN2_HIGH	6.93147180369123816490e-01
#define LN2_LOW		1.90821492927058770002e-10
#define INVERSE_LN2 1.44269504088896340736e+00
#define SQRT_2		1.41421356237309504880e+00

/* Beyond these exp is infinite, or rounds to zero. */
#define EXP_MAX		709.79
#define EXP_MIN		(-745.14)

/* A sum with this has no bits left for a fraction, so it rounds to an integer. */
#define ROUNDER		6755399441055744.0	/* 1.5 * 2^52 */

#define MANTISSA_BITS	52
#define EXPONENT_BIAS	1023

/* 2^n for -1022 <= n <= 1023. */
static double
PowerOfTwo(int n)
{
	return DoubleFromBits((uint64) (n + EXPONENT_BIAS) << MANTISSA_BITS);
}

static double
Polynomial(const double *coefficients, int n, double x)
{
	double		sum = coefficients[n - 1];

	for (int i = n - 2; i >= 0; i--)
		sum = sum * x + coefficients[i];
	return sum;
}

/*
 * exp(r) - 1 for |r| <= ln(2) / 2 and a bit: the Taylor series, whose first
 * omitted term is below 5e-18 of the result.
 */
static double
ExpMinusOne(double r)
{
	static const double inverse_factorials[] = {
		1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320,
		1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0
	};

	return r + r * r * Polynomial(inverse_factorials, lengthof(inverse_factorials), r);
}

double
MtlExp(double x)
{
	double		rounded;
	double		r;
	int			k;
	int			half;

	if (isnan(x))
		return x;
	if (x > EXP_MAX)
		return INFINITY;
	if (x < EXP_MIN)
		return 0;

	/* exp(x) = 2^k exp(r) */
	rounded = (x * INVERSE_LN2 + ROUNDER) - ROUNDER;
	r = (x - rounded * LN2_HIGH) - rounded * LN2_LOW;

	/* 2^k itself can be out of range where exp(x) is not */
	k = (int) rounded;
	half = k / 2;
	return (1 + ExpMinusOne(r)) * PowerOfTwo(half) * PowerOfTwo(k - half);
}

/*
 * With x = 2^k (1 + f), 1 + f between sqrt(1/2) and sqrt(2), and s = f / (2 + f):
 * ln(1 + f) = 2 artanh(s) = 2s + s R, R = 2 s^2/3 + 2 s^4/5 + ...  As 2s = f - s f
 * this is f - s (f - R), where f is exact and the rest is small.
 */
double
MtlLog(double x)
{
	static const double artanh[] = {
		2.0 / 3, 2.0 / 5, 2.0 / 7, 2.0 / 9, 2.0 / 11, 2.0 / 13, 2.0 / 15, 2.0 / 17,
		2.0 / 19, 2.0 / 21, 2.0 / 23
	};
	uint64		bits;
	int			k = 0;
	double		m;
	double		f;
	double		s;
	double		rest;

	if (!(x > 0))
		return x == 0 ? -INFINITY : NAN;
	if (isinf(x))
		return x;
	if (x < DBL_MIN)
	{
		x *= PowerOfTwo(64);
		k = -64;
	}

	bits = BitsOfDouble(x);
	k += (int) (bits >> MANTISSA_BITS) - EXPONENT_BIAS;
	bits &= (UINT64CONST(1) << MANTISSA_BITS) - 1;
	m = DoubleFromBits(bits | (uint64) EXPONENT_BIAS << MANTISSA_BITS);
	if (m > SQRT_2)
	{
		m *= 0.5;
		k++;
	}

	f = m - 1;
	s = f / (2 + f);
	rest = s * s * Polynomial(artanh, lengthof(artanh), s * s);
	return k * LN2_HIGH + (f - (s * (f - rest) - k * LN2_LOW));
}

/*
 * ln(u) for u = 1 + x rounded, and what the rounding lost to first order.
 */
double
MtlLog1p(double x)
{
	double		u = 1 + x;
	double		added = u - 1;
	double		lost;

	if (!(u > 0) || isinf(u))
		return MtlLog(u);
	lost = (1 - (u - added)) + (x - added);
	return MtlLog(u) + lost / u;
}

/*
 * x times a polynomial in x^2 up to 1, then 1 - exp(-x^2) times a polynomial in
 * (x - 3) / (x + 3), as Shepherd and Laframboise (Mathematics of Computation 36,
 * 1981) have it; 1 from 6 on, where it differs by 2e-17.  The polynomials
 * interpolate erf(sqrt(z)) / sqrt(z) on [0, 1] and exp(x^2) erfc(x) on [1, 9] in
 * Chebyshev nodes, computed with 60 digits and then rounded; each is off by less
 * than 1e-17 of its value.
 */
double
MtlErf(double x)
{
	static const double near[] = {
		1.1283791670955126, -0.37612638903183543, 0.11283791670945006,
		-0.02686617064323777, 0.0052239776071164225, -0.0008548325975389692,
		0.00012055294904839707, -1.492473690741966e-05, 1.6447424703317362e-06,
		-1.6208483801871705e-07, 1.3720064546777686e-08, -7.795898827002142e-10
	};
	static const double far[] = {
		0.17900115118139004, -0.3262335600430372, 0.24560380171228494,
		-0.15011593650077032, 0.07166583720184586, -0.02439249931924967,
		0.004269136208586319, 0.0007077464574137438, -0.0005970599831373501,
		4.525500789991717e-05, 6.403960155618868e-05, -1.285801730719931e-05,
		-7.896445117647888e-06, 2.1082893099405643e-06, 1.0433972111391503e-06,
		-2.651364818532004e-07
	};
	double		z = fabs(x);
	double		y;

	if (isnan(x))
		return x;
	if (z < 1)
		return x * Polynomial(near, lengthof(near), x * x);
	if (z < 6)
		y = 1 - MtlExp(-z * z) * Polynomial(far, lengthof(far), (z - 3) / (z + 3));
	else
		y = 1;
	return x < 0 ? -y : y;
}

/*
 * With e = exp(2x) - 1: e / (e + 2).
 */
double
MtlTanh(double x)
{
	double		z = fabs(x);
	double		e;
	double		y;

	if (isnan(x))
		return x;
	if (z < 0.17)
		e = ExpMinusOne(2 * z);
	else if (z < 20)
		e = MtlExp(2 * z) - 1;
	else
		return x < 0 ? -1 : 1;
	y = e / (e + 2);
	return x < 0 ? -y : y;
}

/*
 * Never takes exp of a positive number, which could overflow.
 */
double
MtlSigmoid(double x)
{
	double		e;

	if (x >= 0)
		return 1 / (1 + MtlExp(-x));
	e = MtlExp(x);
	return e / (1 + e);
}

double
MtlSqrt(double x)
{
	return sqrt(x);
}
