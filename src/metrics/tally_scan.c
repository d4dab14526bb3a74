/*
 * tally_scan.c
 *	  Reading many sorted runs as one.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "metrics/tally.h"

/* Entries between two looks for a cancelled query. */
#define ENTRIES_PER_CHECK 4096

static int
CompareReaders(Datum a, Datum b, void *arg)
{
	TallyScan  *scan = arg;
	RunReader  *left = &scan->readers[DatumGetInt32(a)];
	RunReader  *right = &scan->readers[DatumGetInt32(b)];
	int			order = 0;

	/* the heap has the largest first */
	if (OidIsValid(scan->type->type))
		order = GroupCompare(scan->type, &right->group, &left->group);
	if (order == 0 && left->entry.key != right->entry.key)
		order = left->entry.key > right->entry.key ? -1 : 1;
	if (order == 0 && left->entry.label != right->entry.label)
		order = left->entry.label > right->entry.label ? -1 : 1;
	return order;
}

TallyScan *
RunsScanBegin(GroupType *type, int nruns, const Run *runs, Size window_size)
{
	TallyScan  *scan = palloc0(sizeof(TallyScan));

	scan->type = type;
	scan->context = CurrentMemoryContext;
	scan->nreaders = nruns;
	scan->readers = palloc(sizeof(RunReader) * Max(nruns, 1));
	scan->heap = binaryheap_allocate(Max(nruns, 1), CompareReaders, scan);
	for (int i = 0; i < nruns; i++)
	{
		RunReaderInit(&scan->readers[i], type, &runs[i], window_size, scan->context);
		if (RunReaderNext(&scan->readers[i]))
			binaryheap_add_unordered(scan->heap, Int32GetDatum(i));
	}
	binaryheap_build(scan->heap);
	return scan;
}

TallyScan *
TallyScanBegin(Tally *tally)
{
	TallyPool  *pool = TallyGetPool(tally);
	const Run  *runs;
	int			nruns = TallyFreeze(tally, &runs);

	return RunsScanBegin(TallyPoolGroupType(pool), nruns, runs, TallyPoolWindow(pool, nruns));
}

/* Moves a reader that has been read on, and to its new place in the heap. */
static inline void
Advance(TallyScan *scan, RunReader *reader, Datum place)
{
	if (!RunReaderNext(reader))
		binaryheap_remove_first(scan->heap);
	else if (scan->heap->bh_size > 1)
		binaryheap_replace_first(scan->heap, place);
}

/* Keeps the group of an entry, which its reader will overwrite. */
static void
KeepGroup(TallyScan *scan, const Group *group)
{
	scan->last_group = *group;
	if (group->isnull || scan->type->typbyval)
		return;
	if (scan->last_group_capacity < group->size)
	{
		if (scan->last_group_bytes)
			pfree(scan->last_group_bytes);
		scan->last_group_bytes = MemoryContextAllocHuge(scan->context, group->size);
		scan->last_group_capacity = group->size;
	}
	memcpy(scan->last_group_bytes, DatumGetPointer(group->datum), group->size);
	scan->last_group.datum = PointerGetDatum(scan->last_group_bytes);
}

/* Whether a reader's entry belongs to another group than the entry delivered last. */
static inline bool
IsNewGroup(TallyScan *scan, const RunReader *reader)
{
	return OidIsValid(scan->type->type) &&
		GroupCompare(scan->type, &reader->group, &scan->last_group) != 0;
}

bool
TallyScanNext(TallyScan *scan)
{
	RunReader  *reader;
	Datum		place;

	if (binaryheap_empty(scan->heap))
		return false;
	if (++scan->ndelivered % ENTRIES_PER_CHECK == 0)
		CHECK_FOR_INTERRUPTS();
	place = binaryheap_first(scan->heap);
	reader = &scan->readers[DatumGetInt32(place)];
	scan->new_group = !scan->started || IsNewGroup(scan, reader);
	if (scan->new_group && OidIsValid(scan->type->type))
	{
		KeepGroup(scan, &reader->group);
		scan->group = &scan->last_group;
	}
	scan->started = true;
	scan->entry = reader->entry;
	Advance(scan, reader, place);

	/* what is alike in other runs */
	while (scan->nreaders > 1 && !binaryheap_empty(scan->heap))
	{
		place = binaryheap_first(scan->heap);
		reader = &scan->readers[DatumGetInt32(place)];
		if (reader->entry.key != scan->entry.key || reader->entry.label != scan->entry.label ||
			IsNewGroup(scan, reader))
			break;
		scan->entry.count += reader->entry.count;
		Advance(scan, reader, place);
	}
	return true;
}

void
TallyScanEnd(TallyScan *scan)
{
	for (int i = 0; i < scan->nreaders; i++)
		RunReaderFree(&scan->readers[i]);
	if (scan->last_group_bytes)
		pfree(scan->last_group_bytes);
	binaryheap_free(scan->heap);
	pfree(scan->readers);
	pfree(scan);
}

void
RunsMerge(GroupType *type, int nruns, const Run *runs, Size window_size, RunWriter *writer)
{
	TallyScan  *scan = RunsScanBegin(type, nruns, runs, window_size);

	while (TallyScanNext(scan))
		RunWriterAdd(writer, scan->new_group ? scan->group : NULL, &scan->entry);
	TallyScanEnd(scan);
}
