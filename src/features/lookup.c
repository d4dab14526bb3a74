/*
 * lookup.c
 *	  From the value of a sparse feature or a sequence to the row of its table.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "utils/builtins.h"

#include "compat.h"
#include "features/feature_encoder.h"
#include "features/feature_value.h"
#include "features/hash.h"
#include "model/model_error.h"

/* The longest number as %f prints it: sign, 309 digits, point, 6 digits. */
#define MAX_NUMBER_TEXT 320

typedef enum LookupResult
{
	LOOKUP_FOUND,
	LOOKUP_UNKNOWN,
	LOOKUP_IS_TEXT,				/* numbers are asked for */
	LOOKUP_HAS_FRACTION,
	LOOKUP_TOO_LARGE,			/* its decimal text is not known */
	LOOKUP_NOT_FINITE
} LookupResult;

/* Whether the lookup reads numbers only, no texts. */
static bool
ReadsNumbers(const FeatureEncoder *encoder)
{
	switch (encoder->feature->lookup.kind)
	{
		case LOOKUP_INDEX:
			return true;
		case LOOKUP_VOCABULARY:
			return !encoder->vocabulary->is_text;
		case LOOKUP_HASH:
			return false;
	}
	return false;
}

/*
 * Numbers as index and integer vocabulary read them.  An integer beyond int64 is
 * in no table.
 */
static LookupResult
ReadInteger(const FeatureValue *value, int64 *integer)
{
	switch (value->kind)
	{
		case VALUE_INTEGER:
			*integer = value->u.integer;
			return LOOKUP_FOUND;
		case VALUE_BOOL:
			*integer = value->u.boolean ? 1 : 0;
			return LOOKUP_FOUND;
		case VALUE_REAL:
			if (!isfinite(value->u.real))
				return LOOKUP_NOT_FINITE;
			return value->u.real == rint(value->u.real) ? LOOKUP_UNKNOWN : LOOKUP_HAS_FRACTION;
		case VALUE_TEXT:
			return LOOKUP_IS_TEXT;
	}
	return LOOKUP_IS_TEXT;
}

/*
 * The same after the number was rounded to float32, where a fraction may go, and
 * large numbers fall together.
 */
static LookupResult
ReadSingle(const FeatureValue *value, int64 *integer)
{
	float		rounded;

	if (value->kind == VALUE_INTEGER)
		rounded = (float) value->u.integer;
	else if (value->kind == VALUE_REAL && isfinite(value->u.real))
		rounded = (float) value->u.real;
	else
		return ReadInteger(value, integer);

	if (rounded != rintf(rounded))
		return LOOKUP_HAS_FRACTION;
	/* -2^63 and 2^63 are numbers of float32, so nothing is between them and int64's */
	if (!(rounded >= -0x1p63f && rounded < 0x1p63f))
		return LOOKUP_UNKNOWN;
	*integer = (int64) rounded;
	return LOOKUP_FOUND;
}

/*
 * The text that string vocabularies and hashes read; buffer is for numbers.
 */
static LookupResult
ReadText(const FeatureValue *value, bool float_format, char *buffer,
		 const char **text, int *length)
{
	*text = buffer;
	switch (value->kind)
	{
		case VALUE_TEXT:
			*text = value->u.text.data;
			*length = value->u.text.length;
			return LOOKUP_FOUND;
		case VALUE_BOOL:
			*text = value->u.boolean ? "true" : "false";
			*length = strlen(*text);
			return LOOKUP_FOUND;
		case VALUE_INTEGER:
			*length = float_format ?
				snprintf(buffer, MAX_NUMBER_TEXT, "%f", (double) value->u.integer) :
				pg_lltoa(value->u.integer, buffer);
			return LOOKUP_FOUND;
		case VALUE_REAL:
			if (!isfinite(value->u.real))
				return LOOKUP_NOT_FINITE;
			if (!float_format)
				return value->u.real == rint(value->u.real) ? LOOKUP_TOO_LARGE : LOOKUP_HAS_FRACTION;
			*length = snprintf(buffer, MAX_NUMBER_TEXT, "%f", value->u.real);
			return LOOKUP_FOUND;
	}
	return LOOKUP_UNKNOWN;
}

static LookupResult
FindIndex(const FeatureEncoder *encoder, const FeatureValue *value, int32 *row)
{
	int64		integer;
	LookupResult result = encoder->feature->lookup.single_precision ?
		ReadSingle(value, &integer) : ReadInteger(value, &integer);

	if (result != LOOKUP_FOUND)
		return result;
	if (pg_add_s64_overflow(integer, encoder->feature->lookup.offset, &integer) ||
		integer < 0 || integer >= encoder->field->rows)
		return LOOKUP_UNKNOWN;
	*row = (int32) integer;
	return LOOKUP_FOUND;
}

static LookupResult
FindInVocabulary(const FeatureEncoder *encoder, const FeatureValue *value, int32 *row)
{
	const Vocabulary *vocabulary = encoder->vocabulary;
	LookupResult result;
	int			position = -1;

	if (vocabulary->is_text)
	{
		char		buffer[MAX_NUMBER_TEXT];
		const char *text;
		int			length;

		result = ReadText(value, false, buffer, &text, &length);
		if (result == LOOKUP_FOUND)
			position = VocabularyFindText(vocabulary, text, length);
	}
	else
	{
		int64		integer;

		result = ReadInteger(value, &integer);
		if (result == LOOKUP_FOUND)
			position = VocabularyFindId(vocabulary, integer);
	}

	if (result != LOOKUP_FOUND)
		return result;
	if (position < 0)
		return LOOKUP_UNKNOWN;
	*row = (int32) (encoder->feature->lookup.offset + position);
	return LOOKUP_FOUND;
}

static bool
TextIs(const char *text, int length, const char *expected)
{
	return length == (int) strlen(expected) && memcmp(text, expected, length) == 0;
}

/*
 * TensorFlow's string_to_hash_bucket_fast, and DeepCTR's Hash layer for
 * mask_zero.
 */
static LookupResult
FindBucket(const FeatureEncoder *encoder, const FeatureValue *value, int32 *row)
{
	const Lookup *lookup = &encoder->feature->lookup;
	char		buffer[MAX_NUMBER_TEXT];
	const char *text;
	int			length;
	LookupResult result = ReadText(value, lookup->float_format, buffer, &text, &length);
	uint64		bucket;

	if (result != LOOKUP_FOUND)
		return result;

	if (!lookup->mask_zero)
		bucket = Fingerprint64(text, length) % encoder->buckets;
	else if (TextIs(text, length, text == buffer && lookup->float_format ? "0.000000" : "0"))
		bucket = 0;
	else
		bucket = 1 + Fingerprint64(text, length) % (encoder->buckets - 1);
	*row = (int32) (lookup->offset + (int64) bucket);
	return LOOKUP_FOUND;
}

static LookupResult
FindRow(const FeatureEncoder *encoder, const FeatureValue *value, int32 *row)
{
	switch (encoder->feature->lookup.kind)
	{
		case LOOKUP_INDEX:
			return FindIndex(encoder, value, row);
		case LOOKUP_VOCABULARY:
			return FindInVocabulary(encoder, value, row);
		case LOOKUP_HASH:
			return FindBucket(encoder, value, row);
	}
	return LOOKUP_UNKNOWN;
}

/*
 * Why there is no row for a value, as a message goes on after its name.
 */
static char *
DescribeFault(const FeatureEncoder *encoder, LookupResult result, const FeatureValue *value)
{
	char	   *shown = FeatureValueShow(value);

	switch (result)
	{
		case LOOKUP_FOUND:
			break;
		case LOOKUP_UNKNOWN:
			if (encoder->vocabulary)
				return psprintf("is %s, which is not in vocabulary \"%s\"",
								shown, encoder->vocabulary->name);
			return psprintf("is %s, expected " INT64_FORMAT " to " INT64_FORMAT " for the %d rows of its table",
							shown, -encoder->feature->lookup.offset,
							encoder->field->rows - encoder->feature->lookup.offset - 1,
							encoder->field->rows);
		case LOOKUP_IS_TEXT:
			return psprintf("is the text %s, expected a number", shown);
		case LOOKUP_HAS_FRACTION:
			return psprintf("is %s, expected a number without a fraction", shown);
		case LOOKUP_TOO_LARGE:
			return psprintf("is %s, expected a number in the range of bigint", shown);
		case LOOKUP_NOT_FINITE:
			return psprintf("is %s, expected a finite number", shown);
	}
	return NULL;				/* keep the compiler quiet */
}

static const char *
FaultHint(LookupResult result)
{
	switch (result)
	{
		case LOOKUP_UNKNOWN:
			return "Leave such values out of the query, or give the feature an \"oov\" rule when the model is made.";
		case LOOKUP_TOO_LARGE:
			return "Give the value as text.";
		case LOOKUP_NOT_FINITE:
			return "Replace NaN and infinity, as with nullif(), or leave such rows out.";
		default:
			return "Cast the value to what the feature reads; mtl_features() shows it.";
	}
}

bool
LookupValue(const FeatureEncoder *encoder, const FeatureValue *value, int32 *row)
{
	LookupResult result = FindRow(encoder, value, row);

	if (result == LOOKUP_FOUND)
		return true;
	if (result == LOOKUP_UNKNOWN)
	{
		switch (encoder->feature->oov)
		{
			case OOV_ROW:
				*row = (int32) encoder->feature->oov_row;
				return true;
			case OOV_ZERO:
				*row = MTL_ZERO_ROW;
				return true;
			case OOV_SKIP:
				return false;
			case OOV_ERROR:
				break;
		}
	}
	ereport(ERROR,
			(errcode(result == LOOKUP_IS_TEXT ? ERRCODE_DATATYPE_MISMATCH :
					 result == LOOKUP_UNKNOWN ? ERRCODE_INVALID_PARAMETER_VALUE :
					 ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("%s %s", encoder->label, DescribeFault(encoder, result, value)),
			 errhint("%s", FaultHint(result))));
}

/* ------------------------------------------------------------- preparation */

/*
 * All rows that the lookup can give must be in the table.
 */
static void
CheckRows(FeatureEncoder *encoder)
{
	const Lookup *lookup = &encoder->feature->lookup;
	int64		rows = encoder->field->rows;
	int64		needed = 1;		/* of an index, one row at least */

	if (lookup->kind == LOOKUP_VOCABULARY)
		needed = encoder->vocabulary->nentries;
	else if (lookup->kind == LOOKUP_HASH)
		needed = lookup->num_buckets > 0 ? lookup->num_buckets : Max(rows - lookup->offset, 1);

	if (lookup->offset + needed > rows)
		ModelError(TENSORS_HINT,
				   "the lookup of %s needs " INT64_FORMAT " rows from row " INT64_FORMAT " on, but table \"%s\" has " INT64_FORMAT,
				   encoder->label, needed, lookup->offset, encoder->feature->embedding, rows);
	if (lookup->kind == LOOKUP_HASH && lookup->mask_zero && needed < 2)
		ModelError("Give it more buckets, or leave \"mask_zero\" out.",
				   "the lookup of %s has " INT64_FORMAT " buckets with \"mask_zero\", expected at least 2",
				   encoder->label, needed);
	if (lookup->kind == LOOKUP_HASH)
		encoder->buckets = (int32) needed;
}

static void
CheckOov(const FeatureEncoder *encoder)
{
	const Feature *feature = encoder->feature;

	if (feature->oov == OOV_ROW &&
		(feature->oov_row < 0 || feature->oov_row >= encoder->field->rows))
		ModelError("Give a row of the table.",
				   "\"oov\" of %s is row " INT64_FORMAT ", but table \"%s\" has %d rows",
				   encoder->label, feature->oov_row, feature->embedding, encoder->field->rows);
}

static int32
OovRow(const Feature *feature)
{
	return feature->oov == OOV_ROW ? (int32) feature->oov_row : MTL_ZERO_ROW;
}

/* The row for a missing value of a sparse feature. */
static int32
MissingRow(const FeatureEncoder *encoder)
{
	const Feature *feature = encoder->feature;
	LookupResult result;
	int32		row;

	if (feature->missing == MISSING_ZERO)
		return MTL_ZERO_ROW;
	if (feature->missing == MISSING_OOV)
		return OovRow(feature);

	result = FindRow(encoder, &feature->missing_value, &row);
	if (result == LOOKUP_UNKNOWN && feature->oov != OOV_ERROR)
		return OovRow(feature);
	if (result != LOOKUP_FOUND)
		ModelError("Give the feature another \"missing\" value.",
				   "the default of %s %s",
				   encoder->label, DescribeFault(encoder, result, &feature->missing_value));
	return row;
}

void
PrepareLookup(FeatureEncoder *encoder)
{
	const Feature *feature = encoder->feature;

	CheckRows(encoder);
	CheckOov(encoder);
	if (feature->has_padding && feature->padding.kind == VALUE_TEXT && ReadsNumbers(encoder))
		ModelError("Give \"padding\" as a number.",
				   "\"padding\" of %s is the text %s, but its lookup reads numbers",
				   encoder->label, FeatureValueShow(&feature->padding));
	if (feature->kind == FEATURE_SPARSE && !encoder->required)
		encoder->missing_row = MissingRow(encoder);
}
