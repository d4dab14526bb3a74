/*
 * type_reader.c
 *	  From Datums of PostgreSQL's types to FeatureValues.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/int.h"
#include "datatype/timestamp.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "features/feature_value.h"
#include "features/type_reader.h"
#include "model/value.h"

/* Labels that a reader of an enum keeps; a power of two. */
#define KEPT_LABELS 64

typedef struct EnumLabel
{
	Oid			value;			/* InvalidOid: none */
	uint64		changes;		/* that there had been when it was read */
	FeatureValue label;
} EnumLabel;

/* Of enums, that this process has heard of: a reader may outlive them. */
static uint64 enum_changes = 0;

/* Days and seconds from the Unix epoch to PostgreSQL's. */
#define EPOCH_DAYS (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE)
#define EPOCH_SECONDS ((int64) EPOCH_DAYS * SECS_PER_DAY)

static bool
FindScalarType(Oid type, ScalarType *scalar)
{
	switch (type)
	{
		case INT2OID:
			*scalar = SCALAR_INT2;
			return true;
		case INT4OID:
			*scalar = SCALAR_INT4;
			return true;
		case INT8OID:
			*scalar = SCALAR_INT8;
			return true;
		case FLOAT4OID:
			*scalar = SCALAR_FLOAT4;
			return true;
		case FLOAT8OID:
			*scalar = SCALAR_FLOAT8;
			return true;
		case NUMERICOID:
			*scalar = SCALAR_NUMERIC;
			return true;
		case BOOLOID:
			*scalar = SCALAR_BOOL;
			return true;
		case BPCHAROID:
			*scalar = SCALAR_BPCHAR;
			return true;
		case CHAROID:
			*scalar = SCALAR_CHAR;
			return true;
		case NAMEOID:
			*scalar = SCALAR_NAME;
			return true;
		case UUIDOID:
			*scalar = SCALAR_UUID;
			return true;
		case DATEOID:
			*scalar = SCALAR_DATE;
			return true;
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			*scalar = SCALAR_TIMESTAMP;
			return true;
		default:
			break;
	}

	/* text, varchar, and types of extensions that are text inside */
	if (IsBinaryCoercible(type, TEXTOID))
		*scalar = SCALAR_TEXT;
	else if (type_is_enum(type))
		*scalar = SCALAR_ENUM;
	else
		return false;
	return true;
}

/*
 * Prepares the cast function.  It may be called wherever a score is computed,
 * so it must be immutable as scoring is, and the user must be allowed to.
 */
static void
InitCast(TypeReader *reader, Oid type, Oid function)
{
	Datum		allowed = DirectFunctionCall2(has_function_privilege_id,
											  ObjectIdGetDatum(function),
											  CStringGetTextDatum("EXECUTE"));

	if (!DatumGetBool(allowed))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);

	if (func_volatile(function) != PROVOLATILE_IMMUTABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the cast from %s to real[] is not immutable", format_type_be(type)),
				 errhint("Write the cast to real[] in the query.")));

	reader->cast = MemoryContextAlloc(reader->context, sizeof(FmgrInfo));
	reader->cast_nargs = get_func_nargs(function);
	fmgr_info_cxt(function, reader->cast, reader->context);
}

static void
CountEnumChange(Datum arg, int cache, uint32 hash)
{
	enum_changes++;
}

uint64
TypeReaderChanges(void)
{
	return enum_changes;
}

static void
InitEnum(TypeReader *reader)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(ENUMOID, CountEnumChange, (Datum) 0);
		registered = true;
	}
	reader->labels = MemoryContextAllocZero(reader->context, sizeof(EnumLabel) * KEPT_LABELS);
}

static void
InitList(TypeReader *reader, Oid element)
{
	reader->is_list = true;
	get_typlenbyvalalign(element, &reader->typlen, &reader->typbyval, &reader->typalign);
}

bool
TypeReaderInit(TypeReader *reader, Oid type, MemoryContext context)
{
	Oid			base = getBaseType(type);
	Oid			element = get_element_type(base);
	Oid			function;

	memset(reader, 0, sizeof(TypeReader));
	reader->context = context;

	if (OidIsValid(element))
	{
		InitList(reader, element);
		element = getBaseType(element);
		if (!FindScalarType(element, &reader->scalar))
			return false;
	}
	else if (!FindScalarType(base, &reader->scalar))
	{
		switch (find_coercion_pathway(FLOAT4ARRAYOID, base, COERCION_EXPLICIT, &function))
		{
			case COERCION_PATH_FUNC:
				InitCast(reader, base, function);
				break;
			case COERCION_PATH_RELABELTYPE:
				break;
			default:
				return false;
		}
		reader->scalar = SCALAR_FLOAT4;
		InitList(reader, FLOAT4OID);
	}

	if (reader->scalar == SCALAR_ENUM)
		InitEnum(reader);
	return true;
}

bool
TypeReaderCallsCast(Oid type)
{
	Oid			base = getBaseType(type);
	ScalarType	scalar;
	Oid			function;

	return !OidIsValid(get_element_type(base)) && !FindScalarType(base, &scalar) &&
		find_coercion_pathway(FLOAT4ARRAYOID, base, COERCION_EXPLICIT, &function) == COERCION_PATH_FUNC;
}

ArrayType *
TypeReaderArray(const TypeReader *reader, Datum datum)
{
	if (reader->cast)
	{
		LOCAL_FCINFO(fcinfo, 3);

		InitFunctionCallInfoData(*fcinfo, reader->cast, reader->cast_nargs, InvalidOid, NULL, NULL);
		fcinfo->args[0].value = datum;
		fcinfo->args[0].isnull = false;
		fcinfo->args[1].value = Int32GetDatum(-1);	/* typmod */
		fcinfo->args[1].isnull = false;
		fcinfo->args[2].value = BoolGetDatum(true); /* explicit */
		fcinfo->args[2].isnull = false;
		datum = FunctionCallInvoke(fcinfo);
		if (fcinfo->isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("cast function \"%s\" to real[] returned NULL",
							get_func_name(reader->cast->fn_oid)),
					 errhint("Write the cast to real[] in the query, with a value in place of NULL.")));
	}
	return DatumGetArrayTypeP(datum);
}

static FeatureValue
IntegerValue(int64 integer)
{
	FeatureValue value;

	value.kind = VALUE_INTEGER;
	value.u.integer = integer;
	return value;
}

/*
 * The label of an enum value.  enum_out() reads the catalog, so the reader keeps
 * labels that it met.
 */
static FeatureValue
EnumValue(const TypeReader *reader, Oid oid)
{
	EnumLabel  *kept = &reader->labels[murmurhash32(oid) % KEPT_LABELS];

	if (kept->value != oid || kept->changes != enum_changes)
	{
		uint64		changes = enum_changes;
		char	   *text = DatumGetCString(DirectFunctionCall1(enum_out, ObjectIdGetDatum(oid)));
		FeatureValue label = FeatureValueFromText(text, strlen(text));
		char	   *copy = MemoryContextAlloc(reader->context, Max(label.u.text.length, 1));

		memcpy(copy, label.u.text.data, label.u.text.length);
		label.u.text.data = copy;
		if (OidIsValid(kept->value))
			pfree(unconstify(char *, kept->label.u.text.data));
		kept->value = oid;
		kept->changes = changes;
		kept->label = label;
	}
	return kept->label;
}

static FeatureValue
DateValue(DateADT date)
{
	if (DATE_NOT_FINITE(date))
		return FeatureValueFromDouble(INFINITY);
	return IntegerValue(((int64) date + EPOCH_DAYS) * SECS_PER_DAY);
}

/*
 * Seconds since 1970, as the nearest double when there is a fraction (up to the
 * year 2255, where microseconds are beyond what a double holds).
 */
static FeatureValue
TimestampValue(Timestamp timestamp)
{
	int64		microseconds;

	if (TIMESTAMP_NOT_FINITE(timestamp))
		return FeatureValueFromDouble(INFINITY);
	if (timestamp % USECS_PER_SEC == 0)
		return IntegerValue(timestamp / USECS_PER_SEC + EPOCH_SECONDS);
	if (pg_add_s64_overflow(timestamp, EPOCH_SECONDS * USECS_PER_SEC, &microseconds))
		return FeatureValueFromDouble((double) timestamp / USECS_PER_SEC + EPOCH_SECONDS);
	return FeatureValueFromDouble((double) microseconds / USECS_PER_SEC);
}

FeatureValue
TypeReaderValue(const TypeReader *reader, Datum datum)
{
	switch (reader->scalar)
	{
		case SCALAR_INT2:
			return IntegerValue(DatumGetInt16(datum));
		case SCALAR_INT4:
			return IntegerValue(DatumGetInt32(datum));
		case SCALAR_INT8:
			return IntegerValue(DatumGetInt64(datum));
		case SCALAR_FLOAT4:
			return FeatureValueFromDouble(DatumGetFloat4(datum));
		case SCALAR_FLOAT8:
			return FeatureValueFromDouble(DatumGetFloat8(datum));
		case SCALAR_NUMERIC:
			return FeatureValueFromNumeric(DatumGetNumeric(datum));
		case SCALAR_BOOL:
			{
				FeatureValue value;

				value.kind = VALUE_BOOL;
				value.u.boolean = DatumGetBool(datum);
				return value;
			}
		case SCALAR_CHAR:
			datum = DirectFunctionCall1(char_text, datum);
			/* FALLTHROUGH */
		case SCALAR_TEXT:
			{
				text	   *string = DatumGetTextPP(datum);

				return FeatureValueFromText(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
			}
		case SCALAR_BPCHAR:
			{
				/* trailing blanks are no part of the value, as its cast to text has it */
				BpChar	   *string = DatumGetBpCharPP(datum);

				return FeatureValueFromText(VARDATA_ANY(string),
											bpchartruelen(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string)));
			}
		case SCALAR_NAME:
			return FeatureValueFromText(NameStr(*DatumGetName(datum)),
										strlen(NameStr(*DatumGetName(datum))));
		case SCALAR_UUID:
			{
				char	   *text = DatumGetCString(DirectFunctionCall1(uuid_out, datum));

				return FeatureValueFromText(text, strlen(text));
			}
		case SCALAR_ENUM:
			return EnumValue(reader, DatumGetObjectId(datum));
		case SCALAR_DATE:
			return DateValue(DatumGetDateADT(datum));
		case SCALAR_TIMESTAMP:
			return TimestampValue(DatumGetTimestamp(datum));
	}
	elog(ERROR, "unrecognized scalar type: %d", (int) reader->scalar);
}
