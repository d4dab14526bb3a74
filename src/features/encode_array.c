/*
 * encode_array.c
 *	  Rows as an array of numbers: the features in declared order.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "compat.h"
#include "features/feature_encoder.h"

typedef struct ArraySource
{
	FeatureSource source;
	TypeReader	reader;
} ArraySource;

int
ArrayPlaces(const Feature *feature)
{
	switch (feature->kind)
	{
		case FEATURE_DENSE:
			return feature->width;
		case FEATURE_SPARSE:
			return 1;
		case FEATURE_SEQUENCE:
			return feature->max_length * (feature->weights_column ? 2 : 1);
	}
	return 0;
}

static const FeatureEncoder *
FeatureAtPlace(const Encoder *encoder, int place)
{
	const FeatureEncoder *feature = encoder->features;

	for (; place >= ArrayPlaces(feature->feature); feature++)
		place -= ArrayPlaces(feature->feature);
	return feature;
}

static void
CheckArray(const Encoder *encoder, ArrayType *array)
{
	int			expected = encoder->array_length;
	int			length;
	int			null_position;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array of features has %d dimensions, expected 1", ARR_NDIM(array)),
				 errhint("Pass one row as a one-dimensional array.")));
	length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	if (length != expected)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array of features has %d numbers, expected %d", length, expected),
				 errhint("mtl_features() lists the features in the order of the array.")));
	null_position = ArrayFirstNull(array);
	if (null_position >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array of features has a NULL at position %d, for %s",
						null_position + 1, FeatureAtPlace(encoder, null_position)->label),
				 errhint("Pass a row or jsonb, where a value may be missing.")));
}

/*
 * The values of a sequence come first, then all its weights.
 */
static void
EncodeArraySequence(const FeatureEncoder *feature, ValueList *list, double *numbers,
					float *floats, int32 *ids)
{
	int			length = feature->feature->max_length;
	ValueList	values = *list;
	SequenceWriter writer;

	ValueListSkip(list, length);
	if (feature->feature->weights_column)
		ValueListNumbers(list, length, numbers);

	SequenceBegin(&writer, feature, floats, ids);
	for (int i = 0; i < length; i++)
	{
		FeatureValue value = ValueListNext(&values);

		SequenceAdd(&writer, &value, numbers[i]);
	}
	SequenceEnd(&writer);
}

static void
EncodeArray(FeatureSource *source, Datum row, Datum second_row, float *floats, int32 *ids)
{
	const TypeReader *reader = &((ArraySource *) source)->reader;
	const Encoder *encoder = source->encoder;
	ArrayType  *array = TypeReaderArray(reader, row);
	ValueList	list;

	CheckArray(encoder, array);
	ValueListOpenArray(&list, reader, array, "array of features");
	for (int i = 0; i < encoder->nfeatures; i++)
	{
		const FeatureEncoder *feature = &encoder->features[i];

		switch (feature->feature->kind)
		{
			case FEATURE_DENSE:
				EncodeList(feature, &list, encoder->numbers, floats);
				break;
			case FEATURE_SPARSE:
				{
					FeatureValue value = ValueListNext(&list);

					(void) LookupValue(feature, &value, &ids[feature->field->id_offset]);
					break;
				}
			case FEATURE_SEQUENCE:
				EncodeArraySequence(feature, &list, encoder->numbers, floats, ids);
				break;
		}
	}
}

/*
 * Some features cannot be told by numbers of a fixed count.
 */
static void
CheckArrayForm(const FeatureEncoder *feature)
{
	const Vocabulary *vocabulary = feature->vocabulary;
	const char *reason = NULL;

	if (vocabulary && vocabulary->is_text && !vocabulary->is_decimal)
		reason = "Its vocabulary holds texts that are not integers.";
	else if (feature->feature->kind == FEATURE_SEQUENCE && !feature->feature->has_padding &&
			 feature->feature->combiner != COMBINER_CONCAT)
		reason = "It is a sequence without a padding value.";
	else if (feature->feature->kind == FEATURE_SEQUENCE && feature->feature->has_padding &&
			 feature->feature->padding.kind == VALUE_TEXT)
		reason = "It is a sequence whose padding value is a text.";
	if (reason)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s cannot be given in an array", feature->label),
				 errdetail("%s", reason),
				 errhint("Pass a row or jsonb.")));
}

static MTL_NORETURN void
TypeError(Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("type %s cannot be features", format_type_be(type)),
			 errhint("Pass an array of numbers, a type with a cast to real[], a row, or jsonb.")));
}

FeatureSource *
ArraySourceCreate(const Encoder *encoder, Oid type, MemoryContext context)
{
	ArraySource *source = MemoryContextAllocZero(context, sizeof(ArraySource));

	if (!TypeReaderInit(&source->reader, type, context) || !source->reader.is_list)
		TypeError(type);
	switch (source->reader.scalar)
	{
		case SCALAR_INT2:
		case SCALAR_INT4:
		case SCALAR_INT8:
		case SCALAR_FLOAT4:
		case SCALAR_FLOAT8:
		case SCALAR_NUMERIC:
		case SCALAR_BOOL:
			break;
		default:
			TypeError(type);
	}
	for (int i = 0; i < encoder->nfeatures; i++)
		CheckArrayForm(&encoder->features[i]);

	source->source.encoder = encoder;
	source->source.encode = EncodeArray;
	return &source->source;
}
