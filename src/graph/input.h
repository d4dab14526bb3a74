/*
 * input.h
 *	  The shape of one encoded row: what features/ writes and the engine reads.
 *
 * A row is nfloats float32 numbers and nids row numbers of embedding tables.
 * Rows of a batch lie one after the other.  Each feature owns a range:
 *
 *	dense		floats[float_offset .. + feature->width): transformed values
 *	sparse		ids[id_offset]: the row of its table
 *	sequence	ids[id_offset]: how many values, n <= max_length (where they are
 *				concatenated, padding among them, as MTL_ZERO_ROW);
 *				ids[id_offset + 1 .. + n]: their rows;
 *				floats[float_offset .. + n): their weights as given by the row
 *				(only if the feature has weights; normalising is the engine's)
 *
 * The row number MTL_ZERO_ROW stands for a vector of zeros.  Slots of a sequence
 * beyond n are not read.
 */
#ifndef MTL_RANK_INPUT_H
#define MTL_RANK_INPUT_H

#include "postgres.h"

#include "model/contract.h"

#define MTL_ZERO_ROW (-1)

typedef struct InputField
{
	const Feature *feature;
	int			x_offset;		/* first number of its vector in x */
	int			x_width;
	int			float_offset;
	int			id_offset;
	int			rows;			/* of the table; 0 for dense */
	int			dim;			/* numbers in a row of it */
} InputField;

typedef struct InputLayout
{
	int			nfields;
	InputField *fields;			/* in declared order */
	int			nfloats;
	int			nids;
	int			width;			/* of x */
} InputLayout;

#endif							/* MTL_RANK_INPUT_H */
