/*
 * json_reader.h
 *	  Strict reading of JSON objects: every key must be known and of its type.
 *
 * A reader remembers the keys it was asked for; JsonObjectClose() refuses the
 * rest.  All errors name the place by its path ("architecture.expert.bias"),
 * what was expected and what was found.  An explicit null reads as absent.
 * Everything is allocated in the current memory context; strings are copies.
 */
#ifndef MTL_RANK_JSON_READER_H
#define MTL_RANK_JSON_READER_H

#include "postgres.h"

#include "utils/jsonb.h"

typedef struct JsonObject JsonObject;

/* an array; its elements are JsonbValues in order */
typedef struct JsonArray
{
	char	   *path;			/* of the array itself */
	int			length;
	JsonbValue *elements;
} JsonArray;

/*
 * Error if a number anywhere in the document has more than MTL_MAX_DIGITS digits
 * before or after its point.  No double needs as many; but a few bytes of JSON
 * can ask for a hundred thousand, in each of a million numbers, wherever they are
 * read or shown.  what is the part of the model file.
 */
extern void JsonCheckNumbers(Jsonb *json, const char *what);

/* The whole document as a value. */
extern JsonbValue *JsonRoot(const Jsonb *json);

/*
 * Opens value, which must be an object, for reading; path is what errors call
 * it ("" for the contract itself).
 */
extern JsonObject *JsonObjectOpen(const JsonbValue *value, const char *path);

/* Error unless every key of the object was asked for. */
extern void JsonObjectClose(JsonObject *object);

/* The path of the object, or of one of its keys. */
extern const char *JsonObjectPath(const JsonObject *object);
extern char *JsonKeyPath(const JsonObject *object, const char *key);

/* Raw access; NULL when absent or null.  Marks the key as known. */
extern JsonbValue *JsonGet(JsonObject *object, const char *key);

/*
 * All keys and their values, in jsonb's order, for objects that map names; any
 * key counts as known from then on.
 */
extern int	JsonObjectEntries(JsonObject *object, char ***keys, JsonbValue **values);

/* The Get functions return the default when absent; Need functions raise. */
extern char *JsonGetString(JsonObject *object, const char *key, const char *default_value);
extern char *JsonNeedString(JsonObject *object, const char *key);

/* A string of any length; others may have MTL_MAX_STRING bytes. */
extern char *JsonNeedText(JsonObject *object, const char *key);

extern bool JsonGetBool(JsonObject *object, const char *key, bool default_value);
extern int64 JsonGetInt(JsonObject *object, const char *key, int64 min, int64 max, int64 default_value);
extern int64 JsonNeedInt(JsonObject *object, const char *key, int64 min, int64 max);
extern double JsonGetNumber(JsonObject *object, const char *key, double default_value);
extern double JsonNeedNumber(JsonObject *object, const char *key);
extern JsonObject *JsonGetObject(JsonObject *object, const char *key);
extern JsonArray *JsonGetArray(JsonObject *object, const char *key);
extern JsonArray *JsonNeedArray(JsonObject *object, const char *key);

/* Opens element i of an array as an object; its path is "path[i]". */
extern JsonObject *JsonArrayObject(const JsonArray *array, int i);

/* Scalars at a path, for elements of arrays. */
extern char *JsonValueString(const JsonbValue *value, const char *path);
extern int64 JsonValueInt(const JsonbValue *value, const char *path, int64 min, int64 max);
extern double JsonValueNumber(const JsonbValue *value, const char *path);
extern bool JsonValueBool(const JsonbValue *value, const char *path);

/*
 * The string at key must be one of the names in the NULL-terminated list;
 * returns its position.  When absent: default_choice, or an error if that is
 * negative.
 */
extern int	JsonGetChoice(JsonObject *object, const char *key, const char *const *names, int default_choice);
extern int	JsonValueChoice(const char *value, const char *path, const char *const *names);

/* "a string", "an object", ...: what an error says it found. */
extern const char *JsonTypeName(const JsonbValue *value);

#endif							/* MTL_RANK_JSON_READER_H */
