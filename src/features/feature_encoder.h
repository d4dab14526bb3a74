/*
 * feature_encoder.h
 *	  What an encoder holds, and the one path that each kind of feature takes.
 *
 * The forms of a row (array, composite, jsonb) find the values; from there on
 * EncodeNumbers(), LookupValue() and the SequenceWriter do the rest for all of
 * them.
 */
#ifndef MTL_RANK_FEATURE_ENCODER_H
#define MTL_RANK_FEATURE_ENCODER_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "features/encoder.h"
#include "features/type_reader.h"

/* A column or key that a model reads. */
typedef struct Slot
{
	const char *name;
	const char *label;			/* what errors call its values */
	int			name_length;
	int			feature;
} Slot;

typedef struct FeatureEncoder
{
	const Feature *feature;
	const InputField *field;
	const char *label;			/* feature "age" */
	const char *weights_label;	/* column "w" of feature "clicked" */
	bool		required;		/* a missing value is an error */

	/* slots: the value (or the dense feature's columns), then the weights */
	int			first_slot;

	float	   *missing_numbers;	/* dense, unless required: transformed */

	/* sparse and sequence */
	const Vocabulary *vocabulary;	/* LOOKUP_VOCABULARY */
	int32		buckets;		/* LOOKUP_HASH */
	int32		missing_row;	/* sparse, unless required */
} FeatureEncoder;

struct Encoder
{
	int			nfeatures;
	FeatureEncoder *features;
	int			nslots;
	Slot	   *slots;
	int		   *slots_by_name;	/* positions in strcmp's order of the names */
	int			array_length;	/* numbers in the array form */
	double	   *numbers;		/* space for the widest list of an array or a dense feature */
};

/* A call site's argument types, made ready; each form has a struct of its own. */
struct FeatureSource
{
	const Encoder *encoder;
	void		(*encode) (FeatureSource *source, Datum row, Datum second_row,
						   float *floats, int32 *ids);

	/* two rows; see FeatureSourceEncodeSecond() */
	bool		(*encode_second) (FeatureSource *source, Datum row, Datum second_row,
								  float *floats, int32 *ids);
	uint32		map;
	bool	   *of_first;
};

/* ------------------------------------------------------- kinds of features */

/* dense.c: checks the default value and computes missing_numbers. */
extern void PrepareDense(FeatureEncoder *encoder);

/*
 * Transforms n numbers, those of the places from place on, and writes them to
 * the row's floats.  Errors if one is not finite before or after.
 */
extern void EncodeNumbers(const FeatureEncoder *encoder, int place, int n,
						  const double *numbers, float *floats);

/* The feature's numbers from a list; numbers is space for them. */
extern void EncodeList(const FeatureEncoder *encoder, ValueList *list, double *numbers, float *floats);

/* A weight or any other number that is stored as float32 as it is. */
extern float NumberToFloat(double number, const char *label);

/*
 * lookup.c: checks the lookup, its defaults and rules against the rows of the table.
 */
extern void PrepareLookup(FeatureEncoder *encoder);

/*
 * The row of a value after the rule for unknown values; false if the value is to
 * be skipped.
 */
extern bool LookupValue(const FeatureEncoder *encoder, const FeatureValue *value, int32 *row);

/* sequence.c: collects the rows (and weights) of one sequence. */
typedef struct SequenceWriter
{
	const FeatureEncoder *encoder;
	int32	   *rows;
	float	   *weights;		/* NULL: none */
	int64		count;			/* values so far, dropped ones too */
	int32	   *result;
} SequenceWriter;

extern void SequenceBegin(SequenceWriter *writer, const FeatureEncoder *encoder,
						  float *floats, int32 *ids);

/* weight is ignored without weights */
extern void SequenceAdd(SequenceWriter *writer, const FeatureValue *value, double weight);
extern void SequenceEnd(SequenceWriter *writer);

/* ---------------------------------------------------------- forms of a row */

typedef enum SlotKind
{
	SLOT_MISSING,
	SLOT_VALUE,
	SLOT_LIST
} SlotKind;

typedef struct SlotContent
{
	SlotKind	kind;
	FeatureValue value;
	ValueList	list;
} SlotContent;

/* Reads one slot of the row that form stands for. */
typedef void (*ReadSlot) (void *form, const Slot *slot, SlotContent *content);

/*
 * encode_slots.c: encodes a row that is given by names, but for the features that are
 * there already, by declared order (NULL: none).
 */
extern void EncodeSlots(const Encoder *encoder, const bool *there, ReadSlot read, void *form,
						float *floats, int32 *ids);

/* The names as a message lists them: "a", "b". */
extern char *NamesShow(List *names);

/* encode_array.c, encode_row.c, encode_jsonb.c */
extern FeatureSource *ArraySourceCreate(const Encoder *encoder, Oid type, MemoryContext context);
extern FeatureSource *RowSourceCreate(const Encoder *encoder, MemoryContext context, int nrows);
extern FeatureSource *ColumnSourceCreate(const Encoder *encoder, MemoryContext context, int nrows,
										 const RowShape *shape);
extern void SetColumns(FeatureSource *source, const Datum *values, const bool *nulls);
extern FeatureSource *JsonbSourceCreate(const Encoder *encoder, MemoryContext context);

#endif							/* MTL_RANK_FEATURE_ENCODER_H */
