/*
 * value.c
 *	  Numbers of PostgreSQL as feature values.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "model/value.h"

/* Texts of numerics up to this length may hold an int64. */
#define MAX_INT64_TEXT 20

double
NumericToDouble(Numeric number)
{
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											  NumericGetDatum(number)));
}

FeatureValue
FeatureValueFromDouble(double number)
{
	FeatureValue value;

	/* 2^63 is a double, and the first that does not fit */
	if (number == rint(number) && number >= -0x1p63 && number < 0x1p63)
	{
		value.kind = VALUE_INTEGER;
		value.u.integer = (int64) number;
	}
	else
	{
		value.kind = VALUE_REAL;
		value.u.real = number;
	}
	return value;
}

/*
 * Whether the number has no fraction and fits int64.
 */
static bool
NumericIsInt64(Numeric number, int64 *integer)
{
	/* drop trailing zeros of the fraction, so that 17.00 is an integer */
	Numeric		trimmed = DatumGetNumeric(DirectFunctionCall1(numeric_trim_scale,
															  NumericGetDatum(number)));
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out,
														   NumericGetDatum(trimmed)));
	bool		fits = false;

	if (strlen(text) <= MAX_INT64_TEXT && strchr(text, '.') == NULL)
	{
		char	   *end;

		errno = 0;
		*integer = strtoll(text, &end, 10);
		fits = errno == 0 && *end == '\0';
	}
	/* a list of numbers of many digits would fill the memory */
	pfree(text);
	pfree(trimmed);
	return fits;
}

FeatureValue
FeatureValueFromNumeric(Numeric number)
{
	FeatureValue value;

	if (!numeric_is_nan(number) && !numeric_is_inf(number) &&
		NumericIsInt64(number, &value.u.integer))
		value.kind = VALUE_INTEGER;
	else
	{
		value.kind = VALUE_REAL;
		value.u.real = NumericToDouble(number);
	}
	return value;
}
