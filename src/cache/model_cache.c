/*
 * model_cache.c
 *	  Loaded models of this backend, by digest.
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "cache/model_cache.h"

typedef struct CacheEntry
{
	uint8		digest[MTL_DIGEST_SIZE];	/* hash key */
	LoadedModel *model;
} CacheEntry;

int			mtl_rank_cache_size;

static MemoryContext cache_context = NULL;
static HTAB *cache = NULL;
static Size cache_used = 0;
static dlist_head cache_lru = DLIST_STATIC_INIT(cache_lru); /* most recent first */

static void
InitCache(void)
{
	HASHCTL		control;

	if (cache_context == NULL)
		cache_context = AllocSetContextCreate(TopMemoryContext, "mtl_rank cache",
											  ALLOCSET_SMALL_SIZES);
	control.keysize = MTL_DIGEST_SIZE;
	control.entrysize = sizeof(CacheEntry);
	control.hcxt = cache_context;
	cache = hash_create("mtl_rank models", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Takes the model out of the cache; it is freed now or with its last pin.
 */
static void
Evict(LoadedModel *model)
{
	hash_search(cache, model->digest, HASH_REMOVE, NULL);
	dlist_delete(&model->lru);
	cache_used -= model->size;
	model->cached = false;
	if (model->pins == 0)
		MemoryContextDelete(model->context);
}

/*
 * Evicts models that nobody uses until needed bytes fit; false if they cannot.
 */
static bool
MakeRoom(Size needed)
{
	Size		limit = (Size) mtl_rank_cache_size * 1024;
	dlist_node *node = dlist_is_empty(&cache_lru) ? NULL : dlist_tail_node(&cache_lru);

	if (needed > limit)
		return false;
	while (cache_used > limit - needed && node != NULL)
	{
		LoadedModel *model = dlist_container(LoadedModel, lru, node);

		node = dlist_has_prev(&cache_lru, node) ? dlist_prev_node(&cache_lru, node) : NULL;
		if (model->pins == 0)
			Evict(model);
	}
	return cache_used <= limit - needed;
}

LoadedModel *
ModelCachePin(const uint8 digest[MTL_DIGEST_SIZE])
{
	CacheEntry *entry = cache ? hash_search(cache, digest, HASH_FIND, NULL) : NULL;

	if (entry == NULL)
		return NULL;
	entry->model->pins++;
	dlist_move_head(&cache_lru, &entry->model->lru);
	return entry->model;
}

void
ModelCacheAdd(LoadedModel *model)
{
	if (cache == NULL)
		InitCache();

	if (MakeRoom(model->size))
	{
		bool		found;
		CacheEntry *entry = hash_search(cache, model->digest, HASH_ENTER, &found);

		Assert(!found);
		entry->model = model;
		model->cached = true;
		cache_used += model->size;
		dlist_push_head(&cache_lru, &model->lru);
	}
	model->pins = 1;
	MemoryContextSetParent(model->context, cache_context);
}

void
ModelCacheUnpin(LoadedModel *model)
{
	Assert(model->pins > 0);
	model->pins--;
	if (model->pins > 0)
		return;
	if (!model->cached)
		MemoryContextDelete(model->context);
	else
		/* the setting may have been lowered since the model came in */
		(void) MakeRoom(0);
}
