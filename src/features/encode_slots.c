/*
 * encode_slots.c
 *	  Encodes a row whose values are found by name: a composite row or jsonb.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "features/feature_encoder.h"
#include "features/feature_value.h"
#include "model/names.h"

/* One row on its way. */
typedef struct SlotEncoding
{
	const Encoder *encoder;
	ReadSlot	read;
	void	   *form;
	float	   *floats;
	int32	   *ids;
	List	   *missing;		/* names of slots without a value that need one */
} SlotEncoding;

char *
NamesShow(List *names)
{
	StringInfoData shown;
	ListCell   *cell;

	initStringInfo(&shown);
	foreach(cell, names)
		AppendQuotedName(&shown, lfirst(cell));
	return shown.data;
}

/*
 * Reads a slot; false if it has no value.
 */
static bool
ReadContent(SlotEncoding *encoding, const Slot *slot, SlotContent *content)
{
	encoding->read(encoding->form, slot, content);
	return content->kind != SLOT_MISSING;
}

static void
NoteMissing(SlotEncoding *encoding, const Slot *slot)
{
	encoding->missing = lappend(encoding->missing, unconstify(char *, slot->name));
}

static const FeatureValue *
NeedValue(const Slot *slot, const SlotContent *content)
{
	if (content->kind == SLOT_LIST)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s is a list, expected a single value", slot->label),
				 errhint("mtl_features() shows which features take lists.")));
	return &content->value;
}

static ValueList *
NeedList(const Slot *slot, SlotContent *content)
{
	if (content->kind == SLOT_VALUE)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s is a single value, expected a list", slot->label),
				 errhint("Give it an array.")));
	return &content->list;
}

static double
NeedNumber(const Slot *slot, const SlotContent *content)
{
	return FeatureValueNumber(NeedValue(slot, content), slot->label);
}

/*
 * A dense feature that is a scalar, or is gathered from several.
 */
static void
EncodeDenseColumns(SlotEncoding *encoding, const FeatureEncoder *feature)
{
	float	   *floats = encoding->floats + feature->field->float_offset;

	for (int i = 0; i < feature->feature->width; i++)
	{
		const Slot *slot = &encoding->encoder->slots[feature->first_slot + i];
		SlotContent content;

		if (ReadContent(encoding, slot, &content))
		{
			double		number = NeedNumber(slot, &content);

			EncodeNumbers(feature, i, 1, &number, encoding->floats);
		}
		else if (feature->required)
			NoteMissing(encoding, slot);
		else
			floats[i] = feature->missing_numbers[i];
	}
}

static void
EncodeDenseList(SlotEncoding *encoding, const FeatureEncoder *feature)
{
	const Slot *slot = &encoding->encoder->slots[feature->first_slot];
	int			width = feature->feature->width;
	SlotContent content;
	ValueList  *list;

	if (!ReadContent(encoding, slot, &content))
	{
		if (feature->required)
			NoteMissing(encoding, slot);
		else
			memcpy(encoding->floats + feature->field->float_offset, feature->missing_numbers,
				   sizeof(float) * width);
		return;
	}

	list = NeedList(slot, &content);
	if (list->length != width)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has %d numbers, expected %d", slot->label, list->length, width),
				 errhint("mtl_features() shows how many numbers each feature takes.")));
	EncodeList(feature, list, encoding->encoder->numbers, encoding->floats);
}

static void
EncodeSparse(SlotEncoding *encoding, const FeatureEncoder *feature)
{
	const Slot *slot = &encoding->encoder->slots[feature->first_slot];
	int32	   *row = &encoding->ids[feature->field->id_offset];
	SlotContent content;

	if (ReadContent(encoding, slot, &content))
		(void) LookupValue(feature, NeedValue(slot, &content), row);
	else if (feature->required)
		NoteMissing(encoding, slot);
	else
		*row = feature->missing_row;
}

/*
 * The weights of a sequence of the given length; NULL if they are missing.
 */
static double *
ReadWeights(SlotEncoding *encoding, const Slot *slot, const Slot *values_slot, int length)
{
	SlotContent content;
	ValueList  *list;
	double	   *weights;

	if (!ReadContent(encoding, slot, &content))
	{
		NoteMissing(encoding, slot);
		return NULL;
	}

	list = NeedList(slot, &content);
	if (list->length != length)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s has %d values, but column \"%s\" has %d weights",
						values_slot->label, length, slot->name, list->length),
				 errhint("Give one weight for each value.")));
	weights = palloc(sizeof(double) * Max(length, 1));
	ValueListNumbers(list, length, weights);
	return weights;
}

static void
EncodeSequence(SlotEncoding *encoding, const FeatureEncoder *feature)
{
	const Slot *slot = &encoding->encoder->slots[feature->first_slot];
	double	   *weights = NULL;
	SequenceWriter writer;
	SlotContent content;
	ValueList  *list;

	SequenceBegin(&writer, feature, encoding->floats, encoding->ids);
	if (ReadContent(encoding, slot, &content))
	{
		list = NeedList(slot, &content);
		if (feature->feature->weights_column)
		{
			weights = ReadWeights(encoding, slot + 1, slot, list->length);
			if (weights == NULL)
				return;
		}
		for (int i = 0; i < list->length; i++)
		{
			FeatureValue value = ValueListNext(list);

			CHECK_FOR_INTERRUPTS();
			SequenceAdd(&writer, &value, weights ? weights[i] : 1);
		}
	}
	else if (feature->required)
	{
		NoteMissing(encoding, slot);
		return;
	}
	SequenceEnd(&writer);
}

static MTL_NORETURN void
MissingError(List *missing)
{
	ereport(ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg_plural("no value for %s, which the model needs",
						   "no values for %s, which the model needs",
						   list_length(missing), NamesShow(missing)),
			 errhint("Give a value, as with coalesce(), or give the feature a \"missing\" rule when the model is made.")));
}

void
EncodeSlots(const Encoder *encoder, const bool *there, ReadSlot read, void *form,
			float *floats, int32 *ids)
{
	SlotEncoding encoding = {encoder, read, form, floats, ids, NIL};

	for (int i = 0; i < encoder->nfeatures; i++)
	{
		const FeatureEncoder *feature = &encoder->features[i];

		if (there && there[i])
			continue;
		switch (feature->feature->kind)
		{
			case FEATURE_DENSE:
				if (feature->feature->columns || feature->feature->width == 1)
					EncodeDenseColumns(&encoding, feature);
				else
					EncodeDenseList(&encoding, feature);
				break;
			case FEATURE_SPARSE:
				EncodeSparse(&encoding, feature);
				break;
			case FEATURE_SEQUENCE:
				EncodeSequence(&encoding, feature);
				break;
		}
	}
	if (encoding.missing != NIL)
		MissingError(encoding.missing);
}
