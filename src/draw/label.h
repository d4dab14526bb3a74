/*
 * label.h
 *	  What is written on the nodes of a picture.
 */
#ifndef MTL_RANK_LABEL_H
#define MTL_RANK_LABEL_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "draw/picture.h"

/*
 * Appends the label of a node as it stands between the quotes of a string of DOT;
 * its lines are bounded in number and length.
 */
extern void AppendNodeLabel(StringInfo dot, const Picture *picture, const PictureNode *node);

/*
 * Appends a name: quoted for DOT, which also reads entities of HTML in labels, and
 * cut when it is long.
 */
extern void AppendLabelName(StringInfo dot, const char *name);

/* Whether a NODE_COMBINE adds vectors as they are; else it has weights. */
extern bool CombineIsSum(const Picture *picture, const PictureNode *node);

#endif							/* MTL_RANK_LABEL_H */
