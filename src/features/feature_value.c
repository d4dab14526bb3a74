/*
 * feature_value.c
 *	  What is asked of a FeatureValue.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/float.h"

#include "compat.h"
#include "features/feature_value.h"

/* Bytes of a text that a message shows at most. */
#define MAX_SHOWN_TEXT 64

FeatureValue
FeatureValueFromText(const char *data, int length)
{
	FeatureValue value;

	value.kind = VALUE_TEXT;
	value.u.text.data = pg_server_to_any(data, length, PG_UTF8);
	value.u.text.length = value.u.text.data == data ? length : (int) strlen(value.u.text.data);
	return value;
}

double
FeatureValueNumber(const FeatureValue *value, const char *label)
{
	switch (value->kind)
	{
		case VALUE_INTEGER:
			return (double) value->u.integer;
		case VALUE_REAL:
			return value->u.real;
		case VALUE_BOOL:
			return value->u.boolean ? 1 : 0;
		case VALUE_TEXT:
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s is the text %s, expected a number", label, FeatureValueShow(value)),
			 errhint("Give the value as a number, or cast it to one.")));
}

bool
FeatureValueEqual(const FeatureValue *a, const FeatureValue *b)
{
	if (a->kind == VALUE_TEXT || b->kind == VALUE_TEXT)
		return a->kind == b->kind &&
			a->u.text.length == b->u.text.length &&
			memcmp(a->u.text.data, b->u.text.data, a->u.text.length) == 0;

	/* a real is never a number that an integer can be */
	if (a->kind == VALUE_REAL || b->kind == VALUE_REAL)
		return a->kind == b->kind && a->u.real == b->u.real;

	return (a->kind == VALUE_BOOL ? (int64) a->u.boolean : a->u.integer) ==
		(b->kind == VALUE_BOOL ? (int64) b->u.boolean : b->u.integer);
}

char *
NumberShow(double number)
{
	return float8out_internal(number);
}

char *
FeatureValueShow(const FeatureValue *value)
{
	switch (value->kind)
	{
		case VALUE_INTEGER:
			return psprintf(INT64_FORMAT, value->u.integer);
		case VALUE_REAL:
			return NumberShow(value->u.real);
		case VALUE_BOOL:
			return pstrdup(value->u.boolean ? "true" : "false");
		case VALUE_TEXT:
			{
				const char *data = value->u.text.data;
				int			length = value->u.text.length;
				int			shown = pg_encoding_mbcliplen(PG_UTF8, data, length, MAX_SHOWN_TEXT);

				data = pg_any_to_server(pnstrdup(data, shown), shown, PG_UTF8);
				return psprintf("\"%s%s\"", data, shown < length ? "..." : "");
			}
	}
	return NULL;				/* keep the compiler quiet */
}
