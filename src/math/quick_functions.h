/*
 * quick_functions.h
 *	  Transcendental functions to the precision of float32, for loops over vectors.
 *
 * Like functions.h they are made of IEEE 754 operations in double that are rounded
 * one by one, so they give the same bits on every CPU and in every lane of a vector
 * register.  Without branches, tables and calls, so that compilers vectorise the
 * loops that they are inlined in.  Bounds of their errors stand beside them, which
 * test/module compares with functions.h; rounding to float32 is off by up to 6e-8.
 * Arguments are finite.
 */
#ifndef MTL_RANK_QUICK_FUNCTIONS_H
#define MTL_RANK_QUICK_FUNCTIONS_H

#include "postgres.h"

#include "math/ieee.h"

/* Reciprocals of logarithms and roots, rounded to double. */
#define QUICK_LN2			0.69314718055994530942
#define QUICK_INVERSE_LN2	1.44269504088896340736
#define QUICK_SQRT_HALF		0.70710678118654752440
#define QUICK_SQRT_2_PER_PI	0.79788456080286535588

/* A sum with this rounds to an integer, which its lowest bits hold: 1.5 * 2^52. */
#define QUICK_ROUNDER		6755399441055744.0
#define QUICK_MANTISSA_BITS 52

/* float32 has nothing left to tell beyond, and double is far from its limits. */
#define QUICK_EXP_LIMIT		700.0

/*
 * exp(x) = 2^k exp(r), |r| <= ln(2) / 2; within 3e-10 of its value for |x| <= 700,
 * beyond that as if x were there.  The polynomial interpolates
 * (exp(r) - 1 - r) / r^2 in Chebyshev nodes.
 */
static pg_attribute_always_inline double
QuickExp(double x)
{
	double		bounded = x < -QUICK_EXP_LIMIT ? -QUICK_EXP_LIMIT : x;
	double		shifted;
	double		r;
	double		sum;
	uint64		power;
	uint64		bits;

	bounded = bounded > QUICK_EXP_LIMIT ? QUICK_EXP_LIMIT : bounded;
	shifted = bounded * QUICK_INVERSE_LN2 + QUICK_ROUNDER;
	r = bounded - (shifted - QUICK_ROUNDER) * QUICK_LN2;

	sum = 0.00019890990824673654;
	sum = sum * r + 0.0013933649996309251;
	sum = sum * r + 0.0083333109254809;
	sum = sum * r + 0.041666464925285904;
	sum = sum * r + 0.16666666681623232;
	sum = sum * r + 0.500000001346581;
	sum = 1 + (r + r * r * sum);

	/* k is added to the exponent */
	memcpy(&power, &shifted, sizeof(power));
	memcpy(&bits, &sum, sizeof(bits));
	bits += power << QUICK_MANTISSA_BITS;
	memcpy(&sum, &bits, sizeof(sum));
	return sum;
}

/* 1 / (1 + exp(-x)), from the exp that cannot overflow; within 3e-10 of its value. */
static pg_attribute_always_inline double
QuickSigmoid(double x)
{
	double		e = QuickExp(x < 0 ? x : -x);

	return (x < 0 ? e : 1) / (1 + e);
}

/* Within 2e-10. */
static pg_attribute_always_inline double
QuickTanh(double x)
{
	double		e = QuickExp(x < 0 ? 2 * x : -2 * x);
	double		y = (1 - e) / (1 + e);

	return x < 0 ? -y : y;
}

/*
 * The probability of the standard normal distribution below x: erfc(z) / 2 with
 * z = |x| / sqrt(2), or what that leaves to 1; within 2e-9.  exp(z^2) erfc(z) / 2 is a
 * polynomial in (z - 3) / (z + 3), as in MtlErf(), that interpolates it in
 * Chebyshev nodes for z from 0 to 27.
 */
static pg_attribute_always_inline double
QuickNormal(double x)
{
	double		z = (x < 0 ? -x : x) * QUICK_SQRT_HALF;
	double		t = (z - 3) / (z + 3);
	double		tail;

	tail = 2.752312326276442e-05;
	tail = tail * t + 1.3558808306805437e-05;
	tail = tail * t - 0.0002972090829694063;
	tail = tail * t + 0.00035895987016882936;
	tail = tail * t + 0.0021348468203149975;
	tail = tail * t - 0.012197483904432597;
	tail = tail * t + 0.03583274168623578;
	tail = tail * t - 0.07505785430384862;
	tail = tail * t + 0.12280192086944323;
	tail = tail * t - 0.1631167824429863;
	tail = tail * t + 0.08950057526791903;
	tail *= QuickExp(-(z * z));
	return x < 0 ? tail : 1 - tail;
}

#endif							/* MTL_RANK_QUICK_FUNCTIONS_H */
