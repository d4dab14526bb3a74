/*
 * sequence.c
 *	  Sequences: padding, lookup, truncation.
 */
#include "postgres.h"

#include "features/feature_encoder.h"
#include "features/feature_value.h"

void
SequenceBegin(SequenceWriter *writer, const FeatureEncoder *encoder, float *floats, int32 *ids)
{
	const InputField *field = encoder->field;

	writer->encoder = encoder;
	writer->result = ids + field->id_offset;
	writer->rows = writer->result + 1;
	writer->weights = encoder->feature->weights_column ? floats + field->float_offset : NULL;
	writer->count = 0;
}

/*
 * Padding goes before anything else (but keeps its place where places matter), unknown values with the rule "skip" next.
 * What is then too much is still looked up, so that a value that is an error is
 * one wherever it stands.  When the last values are kept, the range is a ring.
 */
void
SequenceAdd(SequenceWriter *writer, const FeatureValue *value, double weight)
{
	const Feature *feature = writer->encoder->feature;
	float		rounded = 0;
	int32		row;

	if (feature->has_padding && FeatureValueEqual(value, &feature->padding))
	{
		if (feature->combiner != COMBINER_CONCAT)
			return;
		row = MTL_ZERO_ROW;
	}
	else if (!LookupValue(writer->encoder, value, &row))
		return;
	if (writer->weights)
		rounded = NumberToFloat(weight, writer->encoder->weights_label);

	if (writer->count < feature->max_length || feature->truncate_head)
	{
		int			place = writer->count % feature->max_length;

		writer->rows[place] = row;
		if (writer->weights)
			writer->weights[place] = rounded;
	}
	writer->count++;
}

/* Reverses 4-byte elements. */
static void
Reverse(void *array, int from, int to)
{
	char	   *low = (char *) array + (Size) from * 4;
	char	   *high = (char *) array + ((Size) to - 1) * 4;

	for (; low < high; low += 4, high -= 4)
	{
		int32		element;

		memcpy(&element, low, 4);
		memcpy(low, high, 4);
		memcpy(high, &element, 4);
	}
}

/*
 * Turns a ring of 4-byte elements so that the oldest, at start, comes first: the
 * reverse of both parts, reversed.
 */
static void
Unroll(void *ring, int length, int start)
{
	Reverse(ring, 0, start);
	Reverse(ring, start, length);
	Reverse(ring, 0, length);
}

void
SequenceEnd(SequenceWriter *writer)
{
	const Feature *feature = writer->encoder->feature;
	int			length = feature->max_length;

	*writer->result = (int32) Min(writer->count, length);
	if (writer->count > length && feature->truncate_head)
	{
		int			start = writer->count % length;

		Unroll(writer->rows, length, start);
		if (writer->weights)
			Unroll(writer->weights, length, start);
	}
}
