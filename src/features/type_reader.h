/*
 * type_reader.h
 *	  From Datums of PostgreSQL's types to FeatureValues.
 *
 * A TypeReader holds what reading a type needs, looked up once; reading does no
 * catalog access.  A ValueList walks over an array, of SQL or of JSON.
 */
#ifndef MTL_RANK_TYPE_READER_H
#define MTL_RANK_TYPE_READER_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"
#include "utils/jsonb.h"

#include "model/contract.h"

/* What reads a scalar, or the elements of an array. */
typedef enum ScalarType
{
	SCALAR_INT2,
	SCALAR_INT4,
	SCALAR_INT8,
	SCALAR_FLOAT4,
	SCALAR_FLOAT8,
	SCALAR_NUMERIC,
	SCALAR_BOOL,
	SCALAR_TEXT,
	SCALAR_BPCHAR,
	SCALAR_CHAR,
	SCALAR_NAME,
	SCALAR_UUID,
	SCALAR_ENUM,
	SCALAR_DATE,
	SCALAR_TIMESTAMP			/* with and without time zone */
} ScalarType;

typedef struct TypeReader
{
	bool		is_list;
	ScalarType	scalar;			/* of the value, or of the list's elements */
	int16		typlen;			/* of the list's elements */
	bool		typbyval;
	char		typalign;
	FmgrInfo   *cast;			/* to real[], or NULL */
	int			cast_nargs;
	struct EnumLabel *labels;	/* of enum values that were met, by hash */
	MemoryContext context;
} TypeReader;

typedef struct ValueList
{
	const char *label;			/* what errors call it */
	int			length;
	const TypeReader *reader;	/* an array: type and next element */
	const char *next;
	JsonbIterator *iterator;	/* a JSON array */
} ValueList;

/*
 * Prepares for a type, or a domain over it; false if it cannot be a feature.
 * Memory that the reader needs is taken from context.
 */
extern bool TypeReaderInit(TypeReader *reader, Oid type, MemoryContext context);

/*
 * Whether reading a type calls a function of a cast to real[], which may be anybody's
 * and do anything.
 */
extern bool TypeReaderCallsCast(Oid type);

/*
 * Another number once the same Datum may be another value, as after a label of an enum
 * was changed.
 */
extern uint64 TypeReaderChanges(void);

/* Reads a Datum of a type that is no list. */
extern FeatureValue TypeReaderValue(const TypeReader *reader, Datum datum);

/* The array of a Datum of a list type, cast to real[] if it is of another type. */
extern ArrayType *TypeReaderArray(const TypeReader *reader, Datum datum);

/*
 * Opens an array: it must have at most one dimension and no NULL, which
 * ArrayFirstNull() finds (-1: there is none).
 */
extern int	ArrayFirstNull(ArrayType *array);
extern void ValueListOpenArray(ValueList *list, const TypeReader *reader, ArrayType *array,
							   const char *label);
extern void ValueListOpenJson(ValueList *list, JsonbContainer *array, const char *label);

/* The next value; the caller counts. */
extern FeatureValue ValueListNext(ValueList *list);

/* The next n values as numbers, which may be NaN or infinite. */
extern void ValueListNumbers(ValueList *list, int n, double *numbers);

/*
 * The next n values rounded to float32, as EncodeNumbers() does without transforms.
 * False, and nothing is read, if one is not finite then, or if the list is none of
 * those that can be read in place.
 */
extern bool ValueListFloats(ValueList *list, int n, float *floats);

/* Passes over n values of an array. */
extern void ValueListSkip(ValueList *list, int n);

/* A JSON scalar as a value; an error for null, arrays, and objects. */
extern FeatureValue JsonScalarValue(const JsonbValue *json, const char *label);

#endif							/* MTL_RANK_TYPE_READER_H */
