/*
 * encode_jsonb.c
 *	  Rows as jsonb: one key per feature.
 */
#include "postgres.h"

#include "compat.h"
#include "features/feature_encoder.h"

/* A ReadSlot. */
static void
ReadJsonbSlot(void *form, const Slot *slot, SlotContent *content)
{
	JsonbContainer *object = form;
	JsonbValue	space;
	JsonbValue *json = getKeyJsonValueFromContainer(object, slot->name, slot->name_length, &space);

	if (json == NULL || json->type == jbvNull)
		content->kind = SLOT_MISSING;
	else if (json->type == jbvBinary && JsonContainerIsArray(json->val.binary.data))
	{
		content->kind = SLOT_LIST;
		ValueListOpenJson(&content->list, json->val.binary.data, slot->label);
	}
	else
	{
		content->kind = SLOT_VALUE;
		content->value = JsonScalarValue(json, slot->label);
	}
}

void
EncodeJsonb(const Encoder *encoder, Jsonb *row, float *floats, int32 *ids)
{
	if (!JB_ROOT_IS_OBJECT(row))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("jsonb features are %s, expected an object with one key per feature",
						JB_ROOT_IS_SCALAR(row) ? "a scalar" : "an array"),
				 errhint("Use jsonb_build_object() or to_jsonb() of a row, or pass an SQL array of numbers.")));
	EncodeSlots(encoder, NULL, ReadJsonbSlot, &row->root, floats, ids);
}

static void
EncodeJsonbSource(FeatureSource *source, Datum row, Datum second_row, float *floats, int32 *ids)
{
	EncodeJsonb(source->encoder, DatumGetJsonbP(row), floats, ids);
}

FeatureSource *
JsonbSourceCreate(const Encoder *encoder, MemoryContext context)
{
	FeatureSource *source = MemoryContextAllocZero(context, sizeof(FeatureSource));

	source->encoder = encoder;
	source->encode = EncodeJsonbSource;
	return source;
}
