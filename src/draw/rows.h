/*
 * rows.h
 *	  What stands side by side in a picture.
 */
#ifndef MTL_RANK_ROWS_H
#define MTL_RANK_ROWS_H

#include "postgres.h"

#include "draw/picture.h"

typedef struct Place
{
	int			node;
	int			kind;			/* these two tell the row */
	int			level;
	int			column;
	int			rank;			/* within its column: what stands left of what */
	int			index;
} Place;

/*
 * Rows from left to right: the features, the experts and gates of each level, its
 * mixes, the towers, the scores.
 */
typedef struct Rows
{
	int			n;
	Place	   *places;			/* row by row */
} Rows;

/* Whether two places are in one row. */
extern bool SameRow(const Place *p, const Place *q);

/* Allocated in the current context. */
extern Rows *RowsCreate(const Picture *picture);

#endif							/* MTL_RANK_ROWS_H */
