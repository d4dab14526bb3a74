/*
 * bulk.h
 *	  The bulk of a loaded model: weights, embedding tables, vocabularies, in one piece.
 *
 * A model is made of its bulk, which never changes and can be shared, and of small
 * structures that point into it, which every process makes for itself.  Code that makes
 * them asks for each part of the bulk by BulkAlloc() and fills it if BulkWantsContent()
 * says so.  It runs in one of three modes, and in each must ask for the same parts in
 * the same order:
 *
 *	counting	there is no memory: parts are NULL, and their sizes are added up
 *	filling		there is as much memory as was counted, and its content is made
 *	attaching	the memory, at whatever address, was filled before
 *
 * So nothing in the bulk may be a pointer, and what is asked for may depend on the
 * contract and on the shapes of tensors only: their numbers are there only for filling.
 * The alternative, one image of all structures with offsets in place of pointers, would
 * put a translation into every use of them, and save what an attaching process needs a
 * fraction of a millisecond and some kilobytes for.
 */
#ifndef MTL_RANK_BULK_H
#define MTL_RANK_BULK_H

#include "postgres.h"

/* Of each part: a cache line, and the widest registers. */
#define MTL_BULK_ALIGNMENT 64

typedef struct Bulk
{
	char	   *base;			/* aligned; NULL for counting */
	Size		size;			/* what there is at base */
	Size		used;
	bool		filled;
} Bulk;

/*
 * size bytes of the bulk, aligned; NULL for counting.  Error when there is not as much
 * as was counted.
 */
extern void *BulkAlloc(Bulk *bulk, Size size);

/* The same with a copy of data, where content is wanted. */
extern void *BulkCopy(Bulk *bulk, const void *data, Size size);

/* Whether parts are to be filled. */
static inline bool
BulkWantsContent(const Bulk *bulk)
{
	return bulk->base != NULL && !bulk->filled;
}

/* Error unless all that was counted was asked for again. */
extern void BulkCheckComplete(const Bulk *bulk);

#endif							/* MTL_RANK_BULK_H */
