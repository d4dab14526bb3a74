/*
 * dense.c
 *	  Dense features: transforms in double precision, rounded once.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "compat.h"
#include "features/feature_encoder.h"
#include "features/feature_value.h"
#include "math/functions.h"
#include "model/model_error.h"

/* Numbers that go through the transforms together. */
#define CHUNK 64

#define RANGE_HINT "Bring such values into range, as with nullif() or greatest(), or leave such rows out."

/*
 * Applies one transform to n numbers.  A number that it does not take becomes
 * NaN, and stays so in the transforms that follow.
 */
static void
ApplyTransform(const Transform *transform, int place, int n, double *numbers)
{
	const double *a = transform->a ? transform->a + place : NULL;
	const double *b = transform->b ? transform->b + place : NULL;

	switch (transform->kind)
	{
		case TRANSFORM_STANDARDIZE:
			for (int i = 0; i < n; i++)
				numbers[i] = (numbers[i] - a[i]) / b[i];
			break;
		case TRANSFORM_MIN_MAX:
			for (int i = 0; i < n; i++)
				numbers[i] = (numbers[i] - a[i]) / (b[i] - a[i]);
			break;
		case TRANSFORM_LOG1P:
			for (int i = 0; i < n; i++)
			{
				if (!(numbers[i] > -1))
					numbers[i] = NAN;
				else if (numbers[i] <= DBL_MAX)
					numbers[i] = MtlLog1p(numbers[i]);
			}
			break;
		case TRANSFORM_CLIP:
			for (int i = 0; i < n; i++)
			{
				double		raised = numbers[i] < a[i] ? a[i] : numbers[i];

				numbers[i] = raised > b[i] ? b[i] : raised;
			}
			break;
	}
}

double
TransformNumber(const Feature *feature, int ntransforms, int place, double number)
{
	for (int t = 0; t < ntransforms; t++)
		ApplyTransform(&feature->transforms[t], place, 1, &number);
	return number;
}

/*
 * Rounds n numbers; false if one is NaN or outside the range of float32.  Adding
 * 0 makes a negative zero positive: jsonb has none, and all forms agree.
 */
static bool
RoundNumbers(int n, const double *numbers, float *floats)
{
	bool		finite = true;

	for (int i = 0; i < n; i++)
	{
		floats[i] = (float) numbers[i] + 0.0f;
		finite &= fabsf(floats[i]) <= FLT_MAX;
	}
	return finite;
}

/* Transforms up to CHUNK numbers; false if one cannot be encoded. */
static bool
TransformNumbers(const Feature *feature, int place, int n, const double *numbers, float *floats)
{
	double		work[CHUNK];
	bool		finite = true;

	for (int i = 0; i < n; i++)
	{
		work[i] = numbers[i];
		finite &= fabs(work[i]) <= DBL_MAX;
	}
	for (int t = 0; t < feature->ntransforms; t++)
		ApplyTransform(&feature->transforms[t], place, n, work);
	return RoundNumbers(n, work, floats) && finite;
}

/* What an error calls the number of a place. */
static const char *
PlaceLabel(const FeatureEncoder *encoder, int place)
{
	const Feature *feature = encoder->feature;

	if (feature->columns)
		return psprintf("column \"%s\" of %s", feature->columns[place], encoder->label);
	if (feature->width > 1)
		return psprintf("number %d of %s", place + 1, encoder->label);
	return encoder->label;
}

/*
 * Why a number cannot be encoded, as a message goes on after its name.
 */
static char *
DescribeFault(const Feature *feature, int place, double number)
{
	double		result = number;

	if (!isfinite(number))
		return psprintf("is %s, expected a finite number", NumberShow(number));
	for (int t = 0; t < feature->ntransforms; t++)
	{
		double		before = result;

		ApplyTransform(&feature->transforms[t], place, 1, &result);
		if (feature->transforms[t].kind == TRANSFORM_LOG1P && isnan(result))
			return psprintf("is %s before log1p, expected more than -1", NumberShow(before));
	}
	if (feature->ntransforms > 0)
		return psprintf("is %s, and %s after its transforms, expected the range of real",
						NumberShow(number), NumberShow(result));
	return psprintf("is %s, expected the range of real", NumberShow(number));
}

void
EncodeNumbers(const FeatureEncoder *encoder, int place, int n, const double *numbers, float *floats)
{
	const Feature *feature = encoder->feature;
	float	   *results = floats + encoder->field->float_offset + place;

	for (int start = 0; start < n; start += CHUNK)
	{
		int			length = Min(n - start, CHUNK);

		if (TransformNumbers(feature, place + start, length, numbers + start, results + start))
			continue;

		for (int i = start; i < start + length; i++)
		{
			if (!TransformNumbers(feature, place + i, 1, numbers + i, results + i))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("%s %s", PlaceLabel(encoder, place + i),
								DescribeFault(feature, place + i, numbers[i])),
						 errhint(RANGE_HINT)));
		}
	}
}

void
EncodeList(const FeatureEncoder *encoder, ValueList *list, double *numbers, float *floats)
{
	int			width = encoder->feature->width;

	if (encoder->feature->ntransforms == 0 &&
		ValueListFloats(list, width, floats + encoder->field->float_offset))
		return;
	ValueListNumbers(list, width, numbers);
	EncodeNumbers(encoder, 0, width, numbers, floats);
}

void
PrepareDense(FeatureEncoder *encoder)
{
	const Feature *feature = encoder->feature;
	double		number;

	if (encoder->required)
		return;
	encoder->missing_numbers = palloc0(sizeof(float) * feature->width);
	if (feature->missing == MISSING_ZERO)
		return;

	number = FeatureValueNumber(&feature->missing_value, encoder->label);
	for (int i = 0; i < feature->width; i++)
	{
		if (!TransformNumbers(feature, i, 1, &number, &encoder->missing_numbers[i]))
			ModelError("Give the feature another \"missing\" value.",
					   "the default of %s %s", PlaceLabel(encoder, i), DescribeFault(feature, i, number));
	}
}

float
NumberToFloat(double number, const char *label)
{
	float		result;

	if (!RoundNumbers(1, &number, &result))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s is %s, expected a finite number in the range of real",
						label, NumberShow(number)),
				 errhint(RANGE_HINT)));
	return result;
}
