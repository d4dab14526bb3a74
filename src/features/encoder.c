/*
 * encoder.c
 *	  Encoders, and the choice of a row's form.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "features/feature_encoder.h"

/* ---------------------------------------------------------------- encoder */

static int
CountSlots(const Feature *feature)
{
	return (feature->columns ? feature->width : 1) + (feature->weights_column ? 1 : 0);
}

static void
FillSlot(Encoder *encoder, int feature, const char *name, const char *label)
{
	Slot	   *slot = &encoder->slots[encoder->nslots++];

	slot->name = name;
	slot->name_length = strlen(name);
	slot->label = label;
	slot->feature = feature;
}

static char *
ColumnLabel(const Feature *feature, const char *column)
{
	return psprintf("column \"%s\" of feature \"%s\"", column, feature->name);
}

static void
FillSlots(Encoder *encoder, int position)
{
	FeatureEncoder *encoded = &encoder->features[position];
	const Feature *feature = encoded->feature;

	encoded->first_slot = encoder->nslots;
	encoded->label = psprintf("feature \"%s\"", feature->name);

	if (feature->columns == NULL)
		FillSlot(encoder, position, feature->name, encoded->label);
	else
		for (int i = 0; i < feature->width; i++)
			FillSlot(encoder, position, feature->columns[i],
					 ColumnLabel(feature, feature->columns[i]));

	if (feature->weights_column)
	{
		encoded->weights_label = ColumnLabel(feature, feature->weights_column);
		FillSlot(encoder, position, feature->weights_column, encoded->weights_label);
	}
}

static int
CompareSlots(const void *a, const void *b, void *slots)
{
	return strcmp(((const Slot *) slots)[*(const int *) a].name,
				  ((const Slot *) slots)[*(const int *) b].name);
}

/*
 * Whether a missing value is an error, by its own rule or because it falls under
 * a rule for unknown values that makes it one.
 */
static bool
IsRequired(const Feature *feature)
{
	return feature->missing == MISSING_ERROR ||
		(feature->missing == MISSING_OOV && feature->oov == OOV_ERROR);
}

Encoder *
EncoderCreate(const Contract *contract, const InputLayout *layout,
			  Vocabulary *const *vocabularies)
{
	Encoder    *encoder = palloc0(sizeof(Encoder));
	int			nslots = 0;
	int			nnumbers = 1;

	encoder->nfeatures = contract->nfeatures;
	encoder->features = palloc0(sizeof(FeatureEncoder) * contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
		nslots += CountSlots(&contract->features[i]);
	encoder->slots = palloc(sizeof(Slot) * nslots);

	for (int i = 0; i < contract->nfeatures; i++)
	{
		const Feature *feature = &contract->features[i];
		FeatureEncoder *encoded = &encoder->features[i];

		encoded->feature = feature;
		encoded->field = &layout->fields[i];
		encoded->vocabulary = vocabularies[i];
		encoded->required = IsRequired(feature);
		FillSlots(encoder, i);
		if (feature->kind == FEATURE_DENSE)
			PrepareDense(encoded);
		else
			PrepareLookup(encoded);
		encoder->array_length += ArrayPlaces(feature);
		nnumbers = Max(nnumbers, feature->kind == FEATURE_DENSE ? feature->width : feature->max_length);
	}
	encoder->numbers = palloc0(sizeof(double) * nnumbers);

	encoder->slots_by_name = palloc(sizeof(int) * nslots);
	for (int i = 0; i < nslots; i++)
		encoder->slots_by_name[i] = i;
	qsort_arg(encoder->slots_by_name, nslots, sizeof(int), CompareSlots, encoder->slots);
	return encoder;
}

/* ----------------------------------------------------------------- sources */

static void
CheckTwoRows(Oid type, Oid second_type)
{
	Oid			wrong = type_is_rowtype(type) ? second_type : type;

	if (!type_is_rowtype(wrong))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("context and candidate must be rows, found type %s", format_type_be(wrong)),
				 errhint("Pass two rows, whose columns are matched by name together.")));
}

FeatureSource *
FeatureSourceCreate(const Encoder *encoder, Oid type, Oid second_type, MemoryContext context)
{
	Oid			base = getBaseType(type);

	if (OidIsValid(second_type))
	{
		CheckTwoRows(type, second_type);
		return RowSourceCreate(encoder, context, 2);
	}
	if (type_is_rowtype(type))
		return RowSourceCreate(encoder, context, 1);

	switch (base)
	{
		case JSONBOID:
			return JsonbSourceCreate(encoder, context);
		case JSONOID:
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("type json cannot be features"),
					 errhint("Cast it to jsonb.")));
			break;
		case UNKNOWNOID:
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_DATATYPE),
					 errmsg("type of the features is unknown"),
					 errhint("Cast the literal: '{...}'::real[] or '{...}'::jsonb.")));
			break;
		default:
			break;
	}
	return ArraySourceCreate(encoder, type, context);
}

FeatureSource *
FeatureSourceCreateColumns(const Encoder *encoder, Oid first_type, const RowShape *shape, MemoryContext context)
{
	if (!OidIsValid(first_type))
		return ColumnSourceCreate(encoder, context, 1, shape);
	CheckTwoRows(first_type, RECORDOID);
	return ColumnSourceCreate(encoder, context, 2, shape);
}

void
FeatureSourceSetColumns(FeatureSource *source, const Datum *values, const bool *nulls)
{
	SetColumns(source, values, nulls);
}

void
FeatureSourceEncode(FeatureSource *source, Datum row, Datum second_row, float *floats, int32 *ids)
{
	source->encode(source, row, second_row, floats, ids);
}

bool
FeatureSourceEncodeSecond(FeatureSource *source, Datum row, Datum second_row, float *floats, int32 *ids)
{
	return source->encode_second(source, row, second_row, floats, ids);
}

uint32
FeatureSourceMap(const FeatureSource *source)
{
	return source->map;
}

const bool *
FeatureSourceOfFirst(const FeatureSource *source)
{
	return source->of_first;
}
