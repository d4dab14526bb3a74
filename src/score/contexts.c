/*
 * contexts.c
 *	  Contexts of two-row calls that are met again.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/memutils.h"

#include "features/type_reader.h"
#include "score/contexts.h"

/* Of the hash table: more than twice as many as contexts. */
#define PLACES 1024

typedef struct Context
{
	uint32		hash;
	Size		length;
	char	   *bytes;			/* of the row */
} Context;

struct Contexts
{
	const LoadedModel *model;
	FeatureSource *source;
	int			limit;
	Size		memory;
	MemoryContext context;		/* of all this */
	MemoryContext bytes;		/* of the rows */

	uint32		map;			/* the source's, that all this is for */
	uint64		type_changes;	/* of values that the same bytes stand for */
	int			nfields;		/* that shares have */
	bool		changed;		/* all was forgotten since ContextsBegin() */
	bool		full;
	int			n;
	int			nshares;		/* the first of them have shares */
	int			last;			/* that was met, or -1 */
	Context    *contexts;
	int16		places[PLACES]; /* by hash: number of a context + 1, or 0 */

	/* by context: a row that has its features encoded */
	int			capacity;
	float	   *floats;
	int32	   *ids;

	Size		share_size;
	int			shares_capacity;
	char	   *shares;
};

Contexts *
ContextsCreate(const LoadedModel *model, FeatureSource *source, int limit, Size memory)
{
	Contexts   *contexts = palloc0(sizeof(Contexts));

	Assert(limit >= 1 && limit <= MTL_MAX_BATCH);
	contexts->model = model;
	contexts->source = source;
	contexts->limit = limit;
	contexts->memory = memory;
	contexts->context = CurrentMemoryContext;
	contexts->bytes = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank contexts", ALLOCSET_SMALL_SIZES);
	contexts->contexts = palloc(sizeof(Context) * limit);
	contexts->last = -1;
	StaticAssertStmt(PLACES > 2 * MTL_MAX_BATCH, "the table must not be full");
	return contexts;
}

static void
Forget(Contexts *contexts)
{
	contexts->changed |= contexts->n > 0;
	contexts->n = 0;
	contexts->nshares = 0;
	contexts->last = -1;
	contexts->full = false;
	memset(contexts->places, 0, sizeof(contexts->places));
	MemoryContextReset(contexts->bytes);
}

void
ContextsBegin(Contexts *contexts)
{
	if (contexts->full || contexts->type_changes != TypeReaderChanges())
		Forget(contexts);
	contexts->type_changes = TypeReaderChanges();
	contexts->changed = false;
}

/* ------------------------------------------------------------------ lookup */

static bool
IsContext(const Context *context, uint32 hash, Size length, const void *bytes)
{
	return context->hash == hash && context->length == length &&
		memcmp(context->bytes, bytes, length) == 0;
}

/*
 * The number of a context, or -1; *hash becomes that of its bytes.  The one that was met
 * last is looked at first.
 */
static int
Find(const Contexts *contexts, Size length, const void *bytes, uint32 *hash)
{
	if (contexts->last >= 0)
	{
		const Context *last = &contexts->contexts[contexts->last];

		*hash = last->hash;
		if (IsContext(last, last->hash, length, bytes))
			return contexts->last;
	}
	*hash = hash_bytes(bytes, length);
	for (uint32 place = *hash % PLACES; contexts->places[place]; place = (place + 1) % PLACES)
		if (IsContext(&contexts->contexts[contexts->places[place] - 1], *hash, length, bytes))
			return contexts->places[place] - 1;
	return -1;
}

/*
 * Makes room for one more encoded row.
 */
static void
Reserve(Contexts *contexts)
{
	const InputLayout *layout = contexts->model->layout;
	int			capacity = Min(Max(2 * contexts->capacity, 1), contexts->limit);
	Size		nfloats = Max((Size) capacity * layout->nfloats, 1);
	Size		nids = Max((Size) capacity * layout->nids, 1);

	if (contexts->n < contexts->capacity)
		return;
	if (contexts->capacity == 0)
	{
		contexts->floats = MemoryContextAllocHuge(contexts->context, sizeof(float) * nfloats);
		contexts->ids = MemoryContextAllocHuge(contexts->context, sizeof(int32) * nids);
	}
	else
	{
		contexts->floats = repalloc_huge(contexts->floats, sizeof(float) * nfloats);
		contexts->ids = repalloc_huge(contexts->ids, sizeof(int32) * nids);
	}
	contexts->capacity = capacity;
}

/*
 * The limit, in contexts or in memory, is reached.
 */
static bool
IsFull(const Contexts *contexts)
{
	const InputLayout *layout = contexts->model->layout;
	Size		row_size = sizeof(float) * layout->nfloats + sizeof(int32) * layout->nids;

	return contexts->n == contexts->limit ||
		(contexts->n > 0 && (contexts->n + 1) * (row_size + contexts->share_size) +
		 MemoryContextMemAllocated(contexts->bytes, false) > contexts->memory);
}

static int
Remember(Contexts *contexts, uint32 hash, Size length, const void *bytes, const float *floats, const int32 *ids)
{
	const InputLayout *layout = contexts->model->layout;
	Context    *context = &contexts->contexts[contexts->n];
	uint32		place = hash % PLACES;

	Reserve(contexts);
	context->hash = hash;
	context->length = length;
	context->bytes = memcpy(MemoryContextAllocHuge(contexts->bytes, length), bytes, length);
	memcpy(contexts->floats + (Size) contexts->n * layout->nfloats, floats, sizeof(float) * layout->nfloats);
	memcpy(contexts->ids + (Size) contexts->n * layout->nids, ids, sizeof(int32) * layout->nids);
	while (contexts->places[place])
		place = (place + 1) % PLACES;
	contexts->places[place] = contexts->n + 1;
	return contexts->n++;
}

/* ------------------------------------------------------------------ encode */

/*
 * What is remembered holds for rows whose columns are found in the same places.
 */
static void
FollowMap(Contexts *contexts)
{
	uint32		map = FeatureSourceMap(contexts->source);

	if (map == contexts->map)
		return;
	Forget(contexts);
	contexts->map = map;
	contexts->nfields = ProgramContextFields(contexts->model->program,
											 FeatureSourceOfFirst(contexts->source));
}

int
ContextsEncode(Contexts *contexts, Datum context, Datum candidate, float *floats, int32 *ids,
			   bool *again)
{
	const InputLayout *layout = contexts->model->layout;
	HeapTupleHeader row = DatumGetHeapTupleHeader(context);
	Size		length = HeapTupleHeaderGetDatumLength(row);
	uint32		hash;
	int			found = Find(contexts, length, row, &hash);

	if (found >= 0)
	{
		memcpy(floats, contexts->floats + (Size) found * layout->nfloats, sizeof(float) * layout->nfloats);
		memcpy(ids, contexts->ids + (Size) found * layout->nids, sizeof(int32) * layout->nids);
		if (FeatureSourceEncodeSecond(contexts->source, PointerGetDatum(row), candidate, floats, ids))
		{
			contexts->last = found;
			*again = true;
			return found;
		}
	}
	*again = false;
	FeatureSourceEncode(contexts->source, PointerGetDatum(row), candidate, floats, ids);
	FollowMap(contexts);
	if (contexts->limit == 1)
		Forget(contexts);
	if (IsFull(contexts))
	{
		contexts->full = true;
		return -1;
	}
	contexts->last = Remember(contexts, hash, length, row, floats, ids);
	return contexts->last;
}

/* ------------------------------------------------------------------ shares */

int
ContextsFields(const Contexts *contexts)
{
	return contexts->nfields;
}

int
ContextsWithoutShare(const Contexts *contexts)
{
	if (contexts->changed || contexts->nfields == 0)
		return -1;
	return contexts->n - contexts->nshares;
}

static void
ReserveShares(Contexts *contexts)
{
	int			capacity = Min(Max(2 * contexts->shares_capacity, contexts->n), contexts->limit);
	Size		size = Max(contexts->share_size, 1);

	if (contexts->n <= contexts->shares_capacity)
		return;
	if (contexts->shares == NULL)
		contexts->shares = MemoryContextAllocHuge(contexts->context, capacity * size);
	else
		contexts->shares = repalloc_huge(contexts->shares, capacity * size);
	contexts->shares_capacity = capacity;
}

void
ContextsComputeShares(Contexts *contexts, const Selection *selection, void *scratch)
{
	const InputLayout *layout = contexts->model->layout;
	int			first = contexts->nshares;

	if (contexts->n == first)
		return;
	Assert(first == 0 || contexts->share_size == SelectionShareSize(selection));
	contexts->share_size = SelectionShareSize(selection);
	ReserveShares(contexts);
	ProgramRunContexts(contexts->model->program, selection, contexts->nfields, contexts->n - first,
					   contexts->floats + (Size) first * layout->nfloats,
					   contexts->ids + (Size) first * layout->nids, scratch,
					   (float *) (contexts->shares + first * contexts->share_size));
	contexts->nshares = contexts->n;
}

void
ContextsForgetShares(Contexts *contexts)
{
	if (contexts->shares)
		pfree(contexts->shares);
	contexts->shares = NULL;
	contexts->shares_capacity = 0;
	contexts->share_size = 0;
	contexts->nshares = 0;
}

ContextShares
ContextsShares(const Contexts *contexts, const int16 *of_row)
{
	return (ContextShares) {contexts->nfields, (const float *) contexts->shares, of_row};
}

bool
ContextsShare(const Contexts *contexts, int context, ContextShares *shares)
{
	if (contexts->nfields == 0 || context < 0 || context >= contexts->nshares)
		return false;
	*shares = (ContextShares) {contexts->nfields,
		(const float *) (contexts->shares + context * contexts->share_size), NULL};
	return true;
}
