/*
 * value_list.c
 *	  Walks over the values of an array, of SQL or of JSON.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "access/tupmacs.h"
#include "miscadmin.h"
#include "utils/numeric.h"

#include "compat.h"
#include "features/feature_value.h"
#include "features/type_reader.h"
#include "model/json_reader.h"
#include "model/value.h"

int
ArrayFirstNull(ArrayType *array)
{
	const bits8 *bitmap = ARR_NULLBITMAP(array);
	int			nelements;

	if (bitmap == NULL)
		return -1;
	nelements = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	for (int i = 0; i < nelements; i++)
	{
		if ((bitmap[i / 8] & (1 << (i % 8))) == 0)
			return i;
	}
	return -1;
}

static MTL_NORETURN void
NullElementError(const char *label, int position)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s has a NULL at position %d of its list", label, position),
			 errhint("Take NULLs out of the list, as array_remove(list, NULL) does, or replace them.")));
}

void
ValueListOpenArray(ValueList *list, const TypeReader *reader, ArrayType *array, const char *label)
{
	int			null_position;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s is an array of %d dimensions, expected 1", label, ARR_NDIM(array)),
				 errhint("Give it a one-dimensional array.")));
	null_position = ArrayFirstNull(array);
	if (null_position >= 0)
		NullElementError(label, null_position + 1);

	list->label = label;
	list->length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	list->reader = reader;
	list->next = ARR_DATA_PTR(array);
	list->iterator = NULL;
}

void
ValueListOpenJson(ValueList *list, JsonbContainer *array, const char *label)
{
	JsonbValue	start;

	list->label = label;
	list->length = JsonContainerSize(array);
	list->reader = NULL;
	list->next = NULL;
	list->iterator = JsonbIteratorInit(array);
	(void) JsonbIteratorNext(&list->iterator, &start, true);
}

static Datum
NextDatum(ValueList *list)
{
	const TypeReader *reader = list->reader;
	Datum		datum = fetch_att(list->next, reader->typbyval, reader->typlen);

	list->next = att_addlength_pointer(list->next, reader->typlen, list->next);
	list->next = (const char *) att_align_nominal(list->next, reader->typalign);
	return datum;
}

static void
NextJson(ValueList *list, JsonbValue *json)
{
	if (JsonbIteratorNext(&list->iterator, json, true) != WJB_ELEM)
		elog(ERROR, "unexpected end of a JSON array");
}

FeatureValue
JsonScalarValue(const JsonbValue *json, const char *label)
{
	FeatureValue value;

	switch (json->type)
	{
		case jbvNumeric:
			return FeatureValueFromNumeric(json->val.numeric);
		case jbvBool:
			value.kind = VALUE_BOOL;
			value.u.boolean = json->val.boolean;
			return value;
		case jbvString:
			return FeatureValueFromText(json->val.string.val, json->val.string.len);
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("%s is %s, expected a number, a text, or a truth value",
							label, JsonTypeName(json)),
					 errhint("Give it a plain value.")));
	}
}

FeatureValue
ValueListNext(ValueList *list)
{
	JsonbValue	json;

	if (list->iterator == NULL)
		return TypeReaderValue(list->reader, NextDatum(list));
	NextJson(list, &json);
	if (json.type == jbvNull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s has a null in its list", list->label),
				 errhint("Take nulls out of the list, or replace them.")));
	return JsonScalarValue(&json, list->label);
}

/*
 * Elements of these types stand in the array without gaps, so they are read in
 * place.
 */
#define READ_NUMBERS(type) \
	do \
	{ \
		const type *elements = (const type *) list->next; \
\
		for (int i = 0; i < n; i++) \
			numbers[i] = (double) elements[i]; \
		list->next = (const char *) (elements + n); \
	} while (0)

void
ValueListNumbers(ValueList *list, int n, double *numbers)
{
	if (list->iterator == NULL)
	{
		switch (list->reader->scalar)
		{
			case SCALAR_INT2:
				READ_NUMBERS(int16);
				return;
			case SCALAR_INT4:
				READ_NUMBERS(int32);
				return;
			case SCALAR_INT8:
				READ_NUMBERS(int64);
				return;
			case SCALAR_FLOAT4:
				READ_NUMBERS(float4);
				return;
			case SCALAR_FLOAT8:
				READ_NUMBERS(float8);
				return;
			case SCALAR_NUMERIC:
				for (int i = 0; i < n; i++)
				{
					CHECK_FOR_INTERRUPTS();
					numbers[i] = NumericToDouble(DatumGetNumeric(NextDatum(list)));
				}
				return;
			default:
				break;
		}
	}

	for (int i = 0; i < n; i++)
	{
		FeatureValue value = ValueListNext(list);

		CHECK_FOR_INTERRUPTS();
		numbers[i] = FeatureValueNumber(&value, list->label);
	}
}

/*
 * Adding 0 makes a negative zero positive, as RoundNumbers() in dense.c does.
 */
#define READ_FLOATS(type) \
	do \
	{ \
		const type *elements = (const type *) list->next; \
\
		for (int i = 0; i < n; i++) \
		{ \
			floats[i] = (float) (double) elements[i] + 0.0f; \
			finite &= fabsf(floats[i]) <= FLT_MAX; \
		} \
		if (finite) \
			list->next = (const char *) (elements + n); \
	} while (0)

bool
ValueListFloats(ValueList *list, int n, float *floats)
{
	int			finite = 1;

	if (list->iterator)
		return false;
	switch (list->reader->scalar)
	{
		case SCALAR_INT2:
			READ_FLOATS(int16);
			break;
		case SCALAR_INT4:
			READ_FLOATS(int32);
			break;
		case SCALAR_INT8:
			READ_FLOATS(int64);
			break;
		case SCALAR_FLOAT4:
			READ_FLOATS(float4);
			break;
		case SCALAR_FLOAT8:
			READ_FLOATS(float8);
			break;
		default:
			return false;
	}
	return finite;
}

void
ValueListSkip(ValueList *list, int n)
{
	if (list->reader->typlen > 0)
		list->next += (Size) n * att_align_nominal(list->reader->typlen, list->reader->typalign);
	else
		for (int i = 0; i < n; i++)
			(void) NextDatum(list);
}
