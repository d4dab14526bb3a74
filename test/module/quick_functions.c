/*
 * quick_functions.c
 *	  How far math/quick_functions.h is from math/functions.h.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "math/functions.h"
#include "math/quick_functions.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(quick_errors);

/* A prime, so that all exponents and all kinds of fractions come. */
#define STEP 4093

static void
Note(double *worst, double error)
{
	*worst = Max(*worst, fabs(error));
}

/*
 * quick_errors() returns float8[]: of exp and sigmoid relative to their values where
 * float32 has those, of tanh and the normal distribution as they are; the largest over
 * a million finite float32 arguments.
 */
Datum
quick_errors(PG_FUNCTION_ARGS)
{
	double		worst[4] = {0};
	Datum		elements[4];

	for (uint64 bits = 0; bits <= PG_UINT32_MAX; bits += STEP)
	{
		uint32		word = bits;
		float		x;
		double		normal;

		CHECK_FOR_INTERRUPTS();
		memcpy(&x, &word, sizeof(x));
		if (!isfinite(x))
			continue;
		if (fabs(x) < 88)
		{
			Note(&worst[0], QuickExp(x) / MtlExp(x) - 1);
			Note(&worst[1], QuickSigmoid(x) / MtlSigmoid(x) - 1);
		}
		Note(&worst[2], QuickTanh(x) - MtlTanh(x));
		normal = (1 + MtlErf(x * QUICK_SQRT_HALF)) / 2;
		Note(&worst[3], QuickNormal(x) - normal);
	}
	for (int i = 0; i < lengthof(worst); i++)
		elements[i] = Float8GetDatum(worst[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, lengthof(worst), FLOAT8OID, sizeof(float8),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
