/*
 * tally_rows.c
 *	  The rows that a tally has collected since its last run.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "metrics/tally_internal.h"

#define FIRST_ITEMS			16
#define MAX_ITEMS			(1 << 30)
#define ITEMS_PER_CHECK		4096	/* between two looks for a cancelled query */

/* Labels from here on are places in Tally.labels; those below are themselves. */
#define OTHER_LABEL			0x80000000U

static inline double
LabelOf(const Tally *tally, uint32 label)
{
	return label < OTHER_LABEL ? label : tally->labels[label - OTHER_LABEL];
}

static inline int
CompareItems(const TallyItem *a, const TallyItem *b, const Tally *tally)
{
	if (a->group != b->group)
		return a->group < b->group ? -1 : 1;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->label != b->label)
	{
		double		left = LabelOf(tally, a->label);
		double		right = LabelOf(tally, b->label);

		if (left != right)
			return left < right ? -1 : 1;
	}
	return 0;
}

#define ST_SORT SortItems
#define ST_ELEMENT_TYPE TallyItem
#define ST_COMPARE(a, b, tally) CompareItems(a, b, tally)
#define ST_COMPARE_ARG_TYPE const Tally
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
TallyDropItems(Tally *tally)
{
	if (tally->items)
		pfree(tally->items);
	tally->items = NULL;
	tally->nitems = tally->capacity = 0;
	if (tally->labels)
		pfree(tally->labels);
	tally->labels = NULL;
	tally->nlabels = tally->labels_capacity = 0;
	if (tally->groups)
		GroupSetDelete(tally->groups);
	tally->groups = NULL;
	TallyAccount(tally);
}

/* Writes the rows of the array, which is sorted. */
static void
WriteItems(Tally *tally, RunWriter *writer)
{
	const TallyItem *items = tally->items;
	Size		next;
	uint64		nentries = 0;

	for (Size i = 0; i < tally->nitems; i = next)
	{
		RunEntry	entry = {.key = items[i].key, .label = LabelOf(tally, items[i].label)};
		const Group *group = NULL;

		if (++nentries % ITEMS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		for (next = i + 1; next < tally->nitems; next++)
		{
			if (CompareItems(&items[i], &items[next], tally) != 0)
				break;
		}
		entry.count = next - i;
		if (tally->groups && (i == 0 || items[i].group != items[i - 1].group))
			group = GroupSetGet(tally->groups, items[i].group);
		RunWriterAdd(writer, group, &entry);
	}
}

void
TallyItemsToRun(Tally *tally)
{
	RunWriter	writer;
	Run			run;

	if (tally->nitems == 0)
		return;
	if (tally->groups)
	{
		uint32	   *places = GroupSetSort(tally->groups);

		for (Size i = 0; i < tally->nitems; i++)
			tally->items[i].group = places[tally->items[i].group];
	}
	SortItems(tally->items, tally->nitems, tally);
	RunWriterInit(&writer, &tally->pool->group_type, tally->context);
	WriteItems(tally, &writer);
	run = RunWriterFinish(&writer);
	TallyDropItems(tally);
	TallyTakeRun(tally, &run);
}

/* Makes the array larger, or empty. */
static void
GrowItems(Tally *tally)
{
	TallyPool  *pool = tally->pool;
	Size		room = pool->limit / 2 > pool->used ? (pool->limit / 2 - pool->used) / sizeof(TallyItem) : 0;
	Size		more = Max(FIRST_ITEMS, Min(tally->capacity, room));

	if (tally->capacity > 0 && (room < tally->capacity / 4 || tally->capacity + more > MAX_ITEMS))
	{
		TallyPoolMakeRoom(pool);
		more = FIRST_ITEMS;
	}
	if (tally->items == NULL)
		tally->items = MemoryContextAlloc(tally->context, sizeof(TallyItem) * more);
	else
		tally->items = repalloc_huge(tally->items, sizeof(TallyItem) * (tally->capacity + more));
	tally->capacity += more;
	TallyAccount(tally);
}

/* What stands for a label in the array. */
static uint32
LabelNumber(Tally *tally, double label)
{
	if (label >= 0 && label < OTHER_LABEL && label == (uint32) label)
		return (uint32) label;

	if (tally->nlabels == tally->labels_capacity)
	{
		uint32		capacity = Max(FIRST_ITEMS, 2 * tally->labels_capacity);

		if (tally->labels == NULL)
			tally->labels = MemoryContextAlloc(tally->context, sizeof(double) * capacity);
		else
			tally->labels = repalloc_huge(tally->labels, sizeof(double) * capacity);
		tally->labels_capacity = capacity;
		TallyAccount(tally);
	}
	tally->labels[tally->nlabels] = label;
	return OTHER_LABEL + tally->nlabels++;
}

static uint32
GroupNumber(Tally *tally, const Group *group)
{
	Size		before;
	uint32		number;

	if (tally->groups == NULL)
		tally->groups = GroupSetCreate(&tally->pool->group_type, tally->context);
	before = GroupSetMemory(tally->groups);
	number = GroupSetAdd(tally->groups, group);
	if (GroupSetMemory(tally->groups) != before)
		TallyAccount(tally);
	return number;
}

void
TallyAdd(Tally *tally, const Group *group, uint64 key, double label)
{
	TallyPool  *pool = tally->pool;
	TallyItem	item = {.key = key};

	if (pool->used > pool->limit / 2 && tally->nitems > 0)
		TallyPoolMakeRoom(pool);
	if (tally->nitems == tally->capacity)
		GrowItems(tally);
	item.label = LabelNumber(tally, label);
	if (group)
		item.group = GroupNumber(tally, group);
	tally->items[tally->nitems++] = item;
}
