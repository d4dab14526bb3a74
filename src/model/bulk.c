/*
 * bulk.c
 *	  The bulk of a loaded model: weights, embedding tables, vocabularies, in one piece.
 */
#include "postgres.h"

#include "storage/shmem.h"

#include "model/bulk.h"

void *
BulkAlloc(Bulk *bulk, Size size)
{
	Size		begin = bulk->used;

	bulk->used = add_size(begin, TYPEALIGN(MTL_BULK_ALIGNMENT, size));
	if (bulk->base == NULL)
		return NULL;
	if (bulk->used > bulk->size)
		elog(ERROR, "a model takes more than the %zu bytes that were counted", bulk->size);
	return bulk->base + begin;
}

void *
BulkCopy(Bulk *bulk, const void *data, Size size)
{
	void	   *part = BulkAlloc(bulk, size);

	if (BulkWantsContent(bulk))
		memcpy(part, data, size);
	return part;
}

void
BulkCheckComplete(const Bulk *bulk)
{
	if (bulk->used != bulk->size)
		elog(ERROR, "a model takes %zu bytes, %zu were counted", bulk->used, bulk->size);
}
