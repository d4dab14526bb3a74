/*
 * dot.h
 *	  Pictures in Graphviz's DOT language.
 */
#ifndef MTL_RANK_DOT_H
#define MTL_RANK_DOT_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "draw/picture.h"

/*
 * Appends a picture as a digraph, drawn from the features at the bottom to the
 * scores at the top, as papers do; the same bytes for the same model.
 */
extern void AppendDot(StringInfo dot, const Picture *picture);

#endif							/* MTL_RANK_DOT_H */
