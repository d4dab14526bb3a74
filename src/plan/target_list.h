/*
 * target_list.h
 *	  Changes of target lists that leave the places and types of columns as they are.
 */
#ifndef MTL_RANK_TARGET_LIST_H
#define MTL_RANK_TARGET_LIST_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/* A copy of an entry that has a NULL of its type instead. */
extern TargetEntry *NullInPlace(const TargetEntry *entry);

/* Adds entries for expressions at the end of a list. */
extern List *AppendEntries(List *targetlist, List *expressions);

#endif							/* MTL_RANK_TARGET_LIST_H */
