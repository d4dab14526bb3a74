/*
 * json_reader.c
 *	  Strict reading of JSON objects: every key must be known and of its type.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

#include "compat.h"
#include "model/json_reader.h"
#include "model/limits.h"
#include "model/model_error.h"
#include "model/names.h"
#include "model/value.h"

struct JsonObject
{
	char	   *path;
	JsonbContainer *container;
	List	   *known;			/* keys that were asked for, char * */
	bool		any_key;		/* the object maps names: all keys are known */
};

/* Integers in contracts stay exact in a double. */
#define MAX_EXACT_INTEGER INT64CONST(9007199254740992)

static MTL_NORETURN void
TypeError(const char *path, const char *expected, const JsonbValue *found)
{
	ModelError(FORMAT_HINT,
			   "\"%s\" must be %s, found %s", path, expected, JsonTypeName(found));
}

static MTL_NORETURN void
MissingKeyError(const JsonObject *object, const char *key)
{
	ModelError(FORMAT_HINT,
			   "key \"%s\" is missing", JsonKeyPath(object, key));
}

const char *
JsonTypeName(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "a string";
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "a truth value";
		case jbvArray:
			return "an array";
		case jbvObject:
			return "an object";
		case jbvBinary:
			return JsonContainerIsObject(value->val.binary.data) ? "an object" : "an array";
		default:
			return "something else";
	}
}

void
JsonCheckNumbers(Jsonb *json, const char *what)
{
	char	   *text = psprintf("1e%d", MTL_MAX_DIGITS);
	Datum		high = DirectFunctionCall3(numeric_in, CStringGetDatum(text),
										   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	Datum		low = DirectFunctionCall1(numeric_uminus, high);
	JsonbIterator *iterator = JsonbIteratorInit(&json->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE)
	{
		Datum		number;

		CHECK_FOR_INTERRUPTS();
		if ((token != WJB_VALUE && token != WJB_ELEM) || value.type != jbvNumeric)
			continue;
		number = NumericGetDatum(value.val.numeric);
		if (DatumGetInt32(DirectFunctionCall1(numeric_scale, number)) > MTL_MAX_DIGITS ||
			DatumGetBool(DirectFunctionCall2(numeric_ge, number, high)) ||
			DatumGetBool(DirectFunctionCall2(numeric_le, number, low)))
			ModelLimitError("Round the number, or write it in a string.",
							"a number in the %s has more than %d digits before or after its point",
							what, MTL_MAX_DIGITS);
	}
}

JsonbValue *
JsonRoot(const Jsonb *json)
{
	JsonbContainer *container = unconstify(JsonbContainer *, &json->root);
	JsonbValue *value = palloc(sizeof(JsonbValue));

	if (!JsonbExtractScalar(container, value))
	{
		value->type = jbvBinary;
		value->val.binary.data = container;
		value->val.binary.len = VARSIZE(json) - VARHDRSZ;
	}
	return value;
}

JsonObject *
JsonObjectOpen(const JsonbValue *value, const char *path)
{
	JsonObject *object;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		TypeError(path[0] == '\0' ? "contract" : path, "an object", value);

	object = palloc(sizeof(JsonObject));
	object->path = pstrdup(path);
	object->container = value->val.binary.data;
	object->known = NIL;
	object->any_key = false;
	return object;
}

const char *
JsonObjectPath(const JsonObject *object)
{
	return object->path;
}

/*
 * A path and what follows it.  Paths are made for every key, though few are ever shown:
 * psprintf() would take most of the time that reading a contract takes, and more memory.
 */
static char *
ExtendPath(const char *path, const char *separator, const char *more)
{
	Size		size = strlen(path) + strlen(separator) + strlen(more) + 1;
	char	   *result = palloc(size);

	strlcpy(result, path, size);
	strlcat(result, separator, size);
	strlcat(result, more, size);
	return result;
}

char *
JsonKeyPath(const JsonObject *object, const char *key)
{
	return ExtendPath(object->path, object->path[0] == '\0' ? "" : ".", key);
}

static bool
IsKnownKey(const JsonObject *object, const char *key, int length)
{
	ListCell   *cell;

	if (object->any_key)
		return true;
	foreach(cell, object->known)
	{
		const char *known = lfirst(cell);

		if (strlen(known) == (Size) length && memcmp(known, key, length) == 0)
			return true;
	}
	return false;
}

/*
 * Copies a string or key at, or in, path.  Names and switches are short; what is
 * not must not come back in an error message of megabytes.
 */
static char *
CopyString(const JsonbValue *value, const char *path)
{
	if (value->val.string.len > MTL_MAX_STRING)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("\"%s\" has a string of %d bytes, the limit is %d",
						path[0] == '\0' ? "contract" : path,
						value->val.string.len, MTL_MAX_STRING),
				 errhint("Use a shorter one.")));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

void
JsonObjectClose(JsonObject *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(object->container);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY &&
			!IsKnownKey(object, value.val.string.val, value.val.string.len))
			ModelError("Remove the key, or use a version of mtl_rank that knows it.",
					   "unknown key \"%s\"", JsonKeyPath(object, CopyString(&value, JsonObjectPath(object))));
	}
}

JsonbValue *
JsonGet(JsonObject *object, const char *key)
{
	JsonbValue *value;

	if (!IsKnownKey(object, key, strlen(key)))
		object->known = lappend(object->known, pstrdup(key));
	value = getKeyJsonValueFromContainer(object->container, key, strlen(key), NULL);
	if (value == NULL || value->type == jbvNull)
		return NULL;
	return value;
}

static JsonbValue *
JsonNeed(JsonObject *object, const char *key)
{
	JsonbValue *value = JsonGet(object, key);

	if (value == NULL)
		MissingKeyError(object, key);
	return value;
}

int
JsonObjectEntries(JsonObject *object, char ***keys, JsonbValue **values)
{
	JsonbIterator *iterator = JsonbIteratorInit(object->container);
	JsonbIteratorToken token;
	JsonbValue	value;
	int			size = Max(JsonContainerSize(object->container), 1);
	int			nkeys = 0;

	object->any_key = true;
	*keys = palloc(sizeof(char *) * size);
	*values = palloc(sizeof(JsonbValue) * size);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			(*keys)[nkeys] = CopyString(&value, object->path);
		else if (token == WJB_VALUE)
			(*values)[nkeys++] = value;
	}
	return nkeys;
}

char *
JsonValueString(const JsonbValue *value, const char *path)
{
	if (value->type != jbvString)
		TypeError(path, "a string", value);
	return CopyString(value, path);
}

double
JsonValueNumber(const JsonbValue *value, const char *path)
{
	double		number;

	if (value->type != jbvNumeric)
		TypeError(path, "a number", value);
	number = NumericToDouble(value->val.numeric);
	if (!isfinite(number))
		ModelError("Give a number nearer to zero.",
				   "\"%s\" is outside the range of a double", path);
	return number;
}

int64
JsonValueInt(const JsonbValue *value, const char *path, int64 min, int64 max)
{
	double		number;

	if (value->type != jbvNumeric)
		TypeError(path, "an integer", value);
	number = NumericToDouble(value->val.numeric);
	if (number != rint(number) || fabs(number) > MAX_EXACT_INTEGER ||
		number < min || number > max)
		ModelError(FORMAT_HINT,
				   "\"%s\" must be an integer from " INT64_FORMAT " to " INT64_FORMAT ", found %.15g",
				   path, min, max, number);
	return (int64) number;
}

char *
JsonGetString(JsonObject *object, const char *key, const char *default_value)
{
	JsonbValue *value = JsonGet(object, key);

	if (value == NULL)
		return default_value ? pstrdup(default_value) : NULL;
	return JsonValueString(value, JsonKeyPath(object, key));
}

char *
JsonNeedString(JsonObject *object, const char *key)
{
	return JsonValueString(JsonNeed(object, key), JsonKeyPath(object, key));
}

char *
JsonNeedText(JsonObject *object, const char *key)
{
	JsonbValue *value = JsonNeed(object, key);

	if (value->type != jbvString)
		TypeError(JsonKeyPath(object, key), "a string", value);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

bool
JsonGetBool(JsonObject *object, const char *key, bool default_value)
{
	JsonbValue *value = JsonGet(object, key);

	return value ? JsonValueBool(value, JsonKeyPath(object, key)) : default_value;
}

bool
JsonValueBool(const JsonbValue *value, const char *path)
{
	if (value->type != jbvBool)
		TypeError(path, "true or false", value);
	return value->val.boolean;
}

int64
JsonGetInt(JsonObject *object, const char *key, int64 min, int64 max, int64 default_value)
{
	JsonbValue *value = JsonGet(object, key);

	if (value == NULL)
		return default_value;
	return JsonValueInt(value, JsonKeyPath(object, key), min, max);
}

int64
JsonNeedInt(JsonObject *object, const char *key, int64 min, int64 max)
{
	return JsonValueInt(JsonNeed(object, key), JsonKeyPath(object, key), min, max);
}

double
JsonGetNumber(JsonObject *object, const char *key, double default_value)
{
	JsonbValue *value = JsonGet(object, key);

	if (value == NULL)
		return default_value;
	return JsonValueNumber(value, JsonKeyPath(object, key));
}

double
JsonNeedNumber(JsonObject *object, const char *key)
{
	return JsonValueNumber(JsonNeed(object, key), JsonKeyPath(object, key));
}

JsonObject *
JsonGetObject(JsonObject *object, const char *key)
{
	JsonbValue *value = JsonGet(object, key);

	if (value == NULL)
		return NULL;
	return JsonObjectOpen(value, JsonKeyPath(object, key));
}

static JsonArray *
ArrayOpen(const JsonbValue *value, char *path)
{
	JsonArray  *array;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		TypeError(path, "an array", value);

	array = palloc(sizeof(JsonArray));
	array->path = path;
	array->length = 0;
	array->elements = palloc(sizeof(JsonbValue) *
							 Max(JsonContainerSize(value->val.binary.data), 1));
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			array->elements[array->length++] = element;
	}
	return array;
}

JsonArray *
JsonGetArray(JsonObject *object, const char *key)
{
	JsonbValue *value = JsonGet(object, key);

	if (value == NULL)
		return NULL;
	return ArrayOpen(value, JsonKeyPath(object, key));
}

JsonArray *
JsonNeedArray(JsonObject *object, const char *key)
{
	return ArrayOpen(JsonNeed(object, key), JsonKeyPath(object, key));
}

JsonObject *
JsonArrayObject(const JsonArray *array, int i)
{
	char		position[16];

	strcpy(position + pg_ltoa(i, position), "]");
	return JsonObjectOpen(&array->elements[i], ExtendPath(array->path, "[", position));
}

int
JsonValueChoice(const char *value, const char *path, const char *const *names)
{
	StringInfoData known;

	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(value, names[i]) == 0)
			return i;

	initStringInfo(&known);
	for (int i = 0; names[i] != NULL; i++)
		AppendQuotedName(&known, names[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid model: \"%s\" has the unknown value \"%s\"", path, value),
			 errhint("Known values are %s.", known.data)));
}

int
JsonGetChoice(JsonObject *object, const char *key, const char *const *names, int default_choice)
{
	JsonbValue *value = JsonGet(object, key);
	char	   *path;

	if (value == NULL)
	{
		if (default_choice < 0)
			MissingKeyError(object, key);
		return default_choice;
	}
	path = JsonKeyPath(object, key);
	return JsonValueChoice(JsonValueString(value, path), path, names);
}
