/*
 * tally.c
 *	  Counts of rows by group, score and label, in bounded memory: pools, runs, and
 *	  how they spill.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "metrics/tally_internal.h"

#define MAX_MEMORY_RUNS		8	/* of a tally, before they are merged */
#define MIN_WINDOW			((Size) 4 * 1024)
#define MAX_WINDOW			((Size) 64 * 1024)

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

void
TallyAccount(Tally *tally)
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

void
TallyTakeRun(Tally *tally, const Run *run)
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
	TallyAccount(tally);
}

/* Forgets n runs from a place on, or only those of them that are in memory. */
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
	TallyAccount(tally);
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
	TallyTakeRun(tally, &run);
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
	TallyAccount(tally);
}

/* The other half of the memory is for what this takes: the runs that are being written. */
void
TallyPoolMakeRoom(TallyPool *pool)
{
	dlist_iter	iter;

	dlist_foreach(iter, &pool->tallies)
	{
		Tally	   *tally = dlist_container(Tally, node, iter.cur);

		CHECK_FOR_INTERRUPTS();
		TallyItemsToRun(tally);
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
		TallyTakeRun(tally, &run);
		DropRuns(tally, 0, max, false);
	}
}

int
TallyFreeze(Tally *tally, const Run **runs)
{
	TallyItemsToRun(tally);
	if (tally->nmemory_runs > MAX_MEMORY_RUNS)
		MergeMemoryRuns(tally);
	ReduceRuns(tally);
	*runs = tally->runs;
	return tally->nruns;
}

void
TallyReset(Tally *tally)
{
	TallyDropItems(tally);
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
	TallyTakeRun(tally, &run);
	if (tally->pool->used > tally->pool->limit / 2)
		TallyPoolMakeRoom(tally->pool);
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
	TallyTakeRun(tally, &run);
}
