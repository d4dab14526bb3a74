/*
 * prefetch.c
 *	  Has the CPU fetch rows of a table before they are read.
 *
 * A row that is scored is on its way from memory for about as long as encoding it
 * takes, or longer: a table is seldom in the CPU's caches, and what a batch computes
 * drives it out of them.  The CPU fetches ahead by itself, but only what follows in
 * one direction within a page of its own, and begins anew with each row.
 */
#include "postgres.h"

#include "storage/bufmgr.h"
#include "storage/bufpage.h"

#include "plan/prefetch.h"

#define CACHE_LINE		64

/* How far ahead, and of one row at most; by measurement. */
#define AHEAD			1024
#define MOST			2048

static void
Prefetch(const char *address, Size size)
{
	for (Size i = 0; i < Min(size, MOST); i += CACHE_LINE)
		__builtin_prefetch(address + i);
}

void
PrefetchNextRow(const TupleTableSlot *slot)
{
	const BufferHeapTupleTableSlot *row = (const BufferHeapTupleTableSlot *) slot;
	Page		page;
	Size		size;
	int			offset;
	int			beyond;

	if (!TTS_IS_BUFFERTUPLE(slot) || !BufferIsValid(row->buffer) || BufferIsLocal(row->buffer))
		return;
	page = BufferGetPage(row->buffer);
	size = MAXALIGN(row->base.tuple->t_len);
	offset = ItemPointerGetOffsetNumber(&row->base.tuple->t_self) + 1 + AHEAD / size;
	beyond = offset - PageGetMaxOffsetNumber(page);
	if (beyond <= 0)
	{
		ItemId		item = PageGetItemId(page, offset);

		if (ItemIdHasStorage(item))
			Prefetch(PageGetItem(page, item), ItemIdGetLength(item));
	}
	else if (beyond * size < BLCKSZ && row->buffer < NBuffers)
		/* the next page is often in the next buffer, and pages are filled from the end */
		Prefetch((char *) BufferGetPage(row->buffer + 1) + BLCKSZ - beyond * size, size);
}
