/*
 * encoder.h
 *	  From a row of features, in any of its forms, to the engine's input.
 *
 * Encoder: what a model needs to encode rows; built once per loaded model.
 * FeatureSource: what a call site needs besides; built once per statement from
 * the types of its arguments (column map of a row type, element type of an
 * array).  The same values give the same bits in every form.
 */
#ifndef MTL_RANK_ENCODER_H
#define MTL_RANK_ENCODER_H

#include "postgres.h"

#include "access/tupdesc.h"

#include "features/vocabulary.h"
#include "graph/input.h"
#include "model/contract.h"

typedef struct Encoder Encoder;
typedef struct FeatureSource FeatureSource;

/*
 * Builds the encoder in the current context.  contract, layout and vocabularies must
 * live as long as it.
 */
extern Encoder *EncoderCreate(const Contract *contract, const InputLayout *layout,
							  Vocabulary *const *vocabularies);

/*
 * Prepares for arguments of this type; with two types (two rows, matched by
 * name together) both must be row types.  InvalidOid as second type: one
 * argument.  Raises an error for a type that cannot bring features.  Allocated
 * in context.
 */
extern FeatureSource *FeatureSourceCreate(const Encoder *encoder, Oid type, Oid second_type,
										  MemoryContext context);

/* A row that is given by its columns. */
typedef struct RowShape
{
	TupleDesc	descriptor;		/* names and types */
	const int  *places;			/* of each column's value, but for dropped ones */
} RowShape;

/*
 * The same for a row that is given by its columns: the only one, or the second after
 * one of the type first_type.  The shape must live as long.
 */
extern FeatureSource *FeatureSourceCreateColumns(const Encoder *encoder, Oid first_type, const RowShape *shape,
												 MemoryContext context);

/*
 * The values of the row that is given by its columns, from now on.  Where the functions
 * below take that row, they ignore what they are given.
 */
extern void FeatureSourceSetColumns(FeatureSource *source, const Datum *values, const bool *nulls);

/*
 * Encodes one row: writes layout->nfloats floats and layout->nids ids.
 * Temporary memory is taken from the current context, which the caller resets.
 */
extern void FeatureSourceEncode(FeatureSource *source, Datum row, Datum second_row,
								float *floats, int32 *ids);

/*
 * Two rows: encodes what the second brings into an encoded row that has the features of
 * the first alone already, from FeatureSourceEncode() with an equal first row.  False,
 * and nothing is written, unless the columns are still found in the same places.
 * FeatureSourceMap() is a number that changes when those do, 0 before the first row;
 * FeatureSourceOfFirst() says which features, in declared order, take no column of the
 * second row.
 */
extern bool FeatureSourceEncodeSecond(FeatureSource *source, Datum row, Datum second_row,
									  float *floats, int32 *ids);
extern uint32 FeatureSourceMap(const FeatureSource *source);
extern const bool *FeatureSourceOfFirst(const FeatureSource *source);

/* Numbers that a feature takes in the array form. */
extern int	ArrayPlaces(const Feature *feature);

/*
 * What the first transforms of a dense feature make of the number at a place; NaN
 * when one of them does not take it.  (Training learns the numbers of the next.)
 */
extern double TransformNumber(const Feature *feature, int ntransforms, int place, double number);

/* Encodes a row in jsonb form (also used to replay stored examples). */
extern void EncodeJsonb(const Encoder *encoder, Jsonb *row, float *floats, int32 *ids);

#endif							/* MTL_RANK_ENCODER_H */
