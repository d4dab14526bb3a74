/*
 * rows.h
 *	  What stands side by side in a picture.
 */
#ifndef MTL_RANK_ROWS_H
#define MTL_RANK_ROWS_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "draw/picture.h"

/*
 * Appends what keeps nodes of a kind at one height and in order: left to right the
 * features, the experts and gates of each level, its mixes, the towers, the scores.
 */
extern void AppendRows(StringInfo dot, const Picture *picture);

#endif							/* MTL_RANK_ROWS_H */
