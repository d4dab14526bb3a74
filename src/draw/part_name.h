/*
 * part_name.h
 *	  What the name of an operation says about its place in the network.
 *
 * Names of operations are prefixes of tensors (docs/model-format.md):
 * [level.<j>.][task.<t>. or shared.]<part>[.<i>][.<layer>].  Parts are whatever an
 * architecture calls them; names of tasks have no dots.
 */
#ifndef MTL_RANK_PART_NAME_H
#define MTL_RANK_PART_NAME_H

#include "postgres.h"

#include "graph/graph.h"

typedef struct PartName
{
	int			level;			/* -1: none */
	char	   *task;			/* NULL: none */
	bool		shared;			/* the name says so */
	char	   *part;			/* "expert", "tower", ...; NULL: the name is a task's alone */
	int			index;			/* of several such parts, -1: there is one */
	int			prefix;			/* bytes of the name that all layers of an MLP share */
	bool		stored;			/* of weights that are stored, not the architecture's */
} PartName;

/* Strings are allocated in the current context. */
extern PartName PartNameParse(const GraphOp *op);

#endif							/* MTL_RANK_PART_NAME_H */
