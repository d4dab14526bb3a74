/*
 * tally.c
 *	  Counts of rows by group, score and label, in bounded memory.
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "metrics/tally.h"

#define FIRST_ITEMS			16
#define MAX_ITEMS			(1 << 30)
#define ITEMS_PER_CHECK		4096	/* between two looks for a cancelled query */
#define MAX_MEMORY_RUNS		8	/* of a tally, before they are merged */
#define MIN_WINDOW			((Size) 4 * 1024)
#define MAX_WINDOW			((Size) 64 * 1024)

/* Labels from here on are places in Tally.labels; those below are themselves. */
#define OTHER_LABEL			0x80000000U

typedef struct TallyItem
{
	uint64		key;
	uint32		group;			/* number in Tally.groups, then its place */
	uint32		label;
} TallyItem;

struct TallyPool
{
	MemoryContext context;
	GroupType	group_type;
	Size		limit;			/* bytes */
	Size		used;
	dlist_head	tallies;
	TempFile   *file;			/* NULL: nothing has been spilled yet */
	int			nfile_runs;		/* of all tallies */
};

struct Tally
{
	TallyPool  *pool;
	dlist_node	node;
	MemoryContext context;
	MemoryContextCallback callback;
	TallyParameter parameter;
	Size		used;			/* what pool->used has of it */

	/* rows since the last run */
	TallyItem  *items;
	Size		nitems;
	Size		capacity;
	double	   *labels;			/* that are no integers, or large */
	uint32		nlabels;
	uint32		labels_capacity;
	GroupSet   *groups;

	Run		   *runs;
	int			nruns;
	int			runs_capacity;
	int			nmemory_runs;
	Size		run_memory;
};

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

/* ----------
 * pools and what they hold
 * ----------
 */

TallyPool *
TallyPoolCreate(Oid group_type, Oid collation, MemoryContext context)
{
	TallyPool  *pool = MemoryContextAllocZero(context, sizeof(TallyPool));

	pool->context = context;
	pool->limit = (Size) work_mem * 1024;
	dlist_init(&pool->tallies);
	if (OidIsValid(group_type))
		GroupTypeInit(&pool->group_type, group_type, collation, context);
	return pool;
}

GroupType *
TallyPoolGroupType(TallyPool *pool)
{
	return &pool->group_type;
}

Size
TallyPoolWindow(const TallyPool *pool, int nruns)
{
	return Max(MIN_WINDOW, Min(MAX_WINDOW, pool->limit / 2 / Max(nruns, 1)));
}

/* How many runs can be read at once. */
static int
MaxRuns(const TallyPool *pool)
{
	return Max(MAX_MEMORY_RUNS, Min(pool->limit / 2 / MIN_WINDOW, PG_INT16_MAX));
}

/* Brings pool->used up to date. */
static void
Account(Tally *tally)
{
	Size		used = tally->capacity * sizeof(TallyItem) + tally->labels_capacity * sizeof(double) +
		(tally->groups ? GroupSetMemory(tally->groups) : 0) + tally->run_memory;

	tally->pool->used += used - tally->used;
	tally->used = used;
}

/* The file has no holes to fill; once nothing in it is needed it starts anew. */
static void
ForgetFileRuns(TallyPool *pool, int n)
{
	pool->nfile_runs -= n;
	if (pool->nfile_runs == 0 && pool->file)
		pool->file->size = 0;
}

static TempFile *
PoolFile(TallyPool *pool)
{
	if (pool->file == NULL)
		pool->file = TempFileCreate(pool->context);
	return pool->file;
}

/* The context of a tally is reset; the pool's is the same, or above it, and still there. */
static void
LeavePool(void *arg)
{
	Tally	   *tally = arg;

	tally->pool->used -= tally->used;
	ForgetFileRuns(tally->pool, tally->nruns - tally->nmemory_runs);
	dlist_delete(&tally->node);
}

Tally *
TallyCreate(TallyPool *pool, TallyParameter parameter, MemoryContext context)
{
	Tally	   *tally = MemoryContextAllocZero(context, sizeof(Tally));

	tally->pool = pool;
	tally->parameter = parameter;
	tally->context = context;
	dlist_push_tail(&pool->tallies, &tally->node);
	tally->callback.func = LeavePool;
	tally->callback.arg = tally;
	MemoryContextRegisterResetCallback(context, &tally->callback);
	return tally;
}

TallyPool *
TallyGetPool(const Tally *tally)
{
	return tally->pool;
}

const TallyParameter *
TallyGetParameter(const Tally *tally)
{
	return &tally->parameter;
}

/* ----------
 * runs
 * ----------
 */

static void
AddRun(Tally *tally, const Run *run)
{
	if (tally->nruns == tally->runs_capacity)
	{
		tally->runs_capacity = Max(4, 2 * tally->runs_capacity);
		if (tally->runs == NULL)
			tally->runs = MemoryContextAlloc(tally->context, sizeof(Run) * tally->runs_capacity);
		else
			tally->runs = repalloc(tally->runs, sizeof(Run) * tally->runs_capacity);
	}
	tally->runs[tally->nruns++] = *run;
	if (run->bytes)
	{
		tally->nmemory_runs++;
		tally->run_memory += run->size;
	}
	else
		tally->pool->nfile_runs++;
	Account(tally);
}

/* Forgets the runs from a place on, or only those in memory. */
static void
DropRuns(Tally *tally, int first, int n, bool memory_only)
{
	int			kept = first;
	int			nfile_runs = 0;

	for (int i = first; i < tally->nruns; i++)
	{
		Run		   *run = &tally->runs[i];

		if (i >= first + n || (memory_only && run->bytes == NULL))
		{
			tally->runs[kept++] = *run;
			continue;
		}
		if (run->bytes)
		{
			tally->nmemory_runs--;
			tally->run_memory -= run->size;
			pfree(run->bytes);
		}
		else
			nfile_runs++;
	}
	tally->nruns = kept;
	if (nfile_runs > 0)
		ForgetFileRuns(tally->pool, nfile_runs);
	Account(tally);
}

/* Frees the array of rows. */
static void
DropItems(Tally *tally)
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
	Account(tally);
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

/* Makes a run in memory of the array of rows. */
static void
ItemsToRun(Tally *tally)
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
	DropItems(tally);
	AddRun(tally, &run);
}

/* Makes one run of those in memory, in which rows that are alike are one entry. */
static void
MergeMemoryRuns(Tally *tally)
{
	Run		   *runs;
	int			nruns = 0;
	RunWriter	writer;
	Run			run;

	if (tally->nmemory_runs <= 1)
		return;
	runs = palloc(sizeof(Run) * tally->nmemory_runs);
	for (int i = 0; i < tally->nruns; i++)
	{
		if (tally->runs[i].bytes)
			runs[nruns++] = tally->runs[i];
	}
	RunWriterInit(&writer, &tally->pool->group_type, tally->context);
	RunsMerge(&tally->pool->group_type, nruns, runs, 0, &writer);
	run = RunWriterFinish(&writer);
	DropRuns(tally, 0, tally->nruns, true);
	AddRun(tally, &run);
	pfree(runs);
}

/* Writes the runs in memory to the pool's file. */
static void
SpillRuns(Tally *tally)
{
	TempFile   *file = PoolFile(tally->pool);

	for (int i = 0; i < tally->nruns; i++)
	{
		Run		   *run = &tally->runs[i];
		char	   *bytes = run->bytes;

		if (bytes == NULL)
			continue;
		run->file = file;
		run->offset = file->size;
		TempFileAppend(file, bytes, run->size);
		run->bytes = NULL;
		pfree(bytes);
		tally->nmemory_runs--;
		tally->run_memory -= run->size;
		tally->pool->nfile_runs++;
	}
	Account(tally);
}

/*
 * Makes room in a pool that has come to half of its memory.  The other half is for
 * what this takes: the runs that are being written.
 */
static void
MakeRoom(TallyPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->tallies)
	{
		Tally	   *tally = dlist_container(Tally, node, iter.cur);

		CHECK_FOR_INTERRUPTS();
		ItemsToRun(tally);
		MergeMemoryRuns(tally);
	}
	if (pool->used <= pool->limit / 4)
		return;
	dlist_foreach(iter, &pool->tallies)
		SpillRuns(dlist_container(Tally, node, iter.cur));
}

/* Merges the oldest runs until all can be read at once. */
static void
ReduceRuns(Tally *tally)
{
	TallyPool  *pool = tally->pool;
	int			max = MaxRuns(pool);

	while (tally->nruns > max)
	{
		RunWriter	writer;
		Run			run;

		RunWriterInit(&writer, &pool->group_type, tally->context);
		RunWriterUseFile(&writer, PoolFile(pool));
		RunsMerge(&pool->group_type, max, tally->runs, TallyPoolWindow(pool, max), &writer);
		run = RunWriterFinish(&writer);
		AddRun(tally, &run);
		DropRuns(tally, 0, max, false);
	}
}

int
TallyFreeze(Tally *tally, const Run **runs)
{
	ItemsToRun(tally);
	if (tally->nmemory_runs > MAX_MEMORY_RUNS)
		MergeMemoryRuns(tally);
	ReduceRuns(tally);
	*runs = tally->runs;
	return tally->nruns;
}

/* ----------
 * rows
 * ----------
 */

/* Makes the array larger, or empty. */
static void
GrowItems(Tally *tally)
{
	TallyPool  *pool = tally->pool;
	Size		room = pool->limit / 2 > pool->used ? (pool->limit / 2 - pool->used) / sizeof(TallyItem) : 0;
	Size		more = Max(FIRST_ITEMS, Min(tally->capacity, room));

	if (tally->capacity > 0 && (room < tally->capacity / 4 || tally->capacity + more > MAX_ITEMS))
	{
		MakeRoom(pool);
		more = FIRST_ITEMS;
	}
	if (tally->items == NULL)
		tally->items = MemoryContextAlloc(tally->context, sizeof(TallyItem) * more);
	else
		tally->items = repalloc_huge(tally->items, sizeof(TallyItem) * (tally->capacity + more));
	tally->capacity += more;
	Account(tally);
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
		Account(tally);
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
		Account(tally);
	return number;
}

void
TallyAdd(Tally *tally, const Group *group, uint64 key, double label)
{
	TallyPool  *pool = tally->pool;
	TallyItem	item = {.key = key};

	if (pool->used > pool->limit / 2 && tally->nitems > 0)
		MakeRoom(pool);
	if (tally->nitems == tally->capacity)
		GrowItems(tally);
	item.label = LabelNumber(tally, label);
	if (group)
		item.group = GroupNumber(tally, group);
	tally->items[tally->nitems++] = item;
}

void
TallyReset(Tally *tally)
{
	DropItems(tally);
	DropRuns(tally, 0, tally->nruns, false);
}

void
TallyAddRun(Tally *tally, const char *bytes, Size size)
{
	Run			run = {.size = size};

	if (size == 0)
		return;
	run.bytes = MemoryContextAllocHuge(tally->context, size);
	memcpy(run.bytes, bytes, size);
	AddRun(tally, &run);
	if (tally->pool->used > tally->pool->limit / 2)
		MakeRoom(tally->pool);
}

void
TallyAddFile(Tally *tally, const TempFile *file)
{
	TempFile   *own = PoolFile(tally->pool);
	Run			run = {.file = own, .offset = own->size, .size = file->size};
	char	   *buffer = palloc(MAX_WINDOW);
	int64		done = 0;

	while (done < file->size)
	{
		Size		n = Min(MAX_WINDOW, (Size) (file->size - done));

		CHECK_FOR_INTERRUPTS();
		TempFileRead(file, done, buffer, n);
		TempFileAppend(own, buffer, n);
		done += n;
	}
	pfree(buffer);
	AddRun(tally, &run);
}
