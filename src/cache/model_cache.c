/*
 * model_cache.c
 *	  Loaded models that this process uses, by digest.
 */
#include "postgres.h"

#include "access/xact.h"
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

/* -------------------------------------------------------------- eviction */

/*
 * Frees a model that nobody has pinned.
 */
static void
Evict(LoadedModel *model)
{
	Assert(model->pins == 0);
	hash_search(cache, model->digest, HASH_REMOVE, NULL);
	dlist_delete(&model->lru);
	cache_used -= model->size;
	SharedCacheForget(&model->shared);
	MemoryContextDelete(model->context);
}

/*
 * Evicts models that nobody has pinned until all others fit, as far as it can be done;
 * one that is too large by itself never makes others go.
 */
static void
Shrink(void)
{
	Size		limit = (Size) mtl_rank_cache_size * 1024;
	dlist_mutable_iter iter;

	if (cache_used <= limit)
		return;
	dlist_foreach_modify(iter, &cache_lru)
	{
		LoadedModel *model = dlist_container(LoadedModel, lru, iter.cur);

		if (model->pins == 0 && model->size > limit)
			Evict(model);
	}
	while (cache_used > limit)
	{
		LoadedModel *oldest = NULL;
		dlist_iter	all;

		dlist_foreach(all, &cache_lru)
		{
			LoadedModel *model = dlist_container(LoadedModel, lru, all.cur);

			if (model->pins == 0)
				oldest = model;
		}
		if (oldest == NULL)
			break;
		Evict(oldest);
	}
}

/* ------------------------------------------------------------------ pins */

static LoadedModel *
Pin(LoadedModel *model)
{
	model->pins++;
	model->uses++;
	model->last_used = GetCurrentStatementStartTimestamp();
	dlist_move_head(&cache_lru, &model->lru);
	return model;
}

/*
 * Takes a new model into the cache.  Nothing has happened when this fails.
 */
static void
Enter(LoadedModel *model)
{
	CacheEntry *entry;
	bool		found;

	if (cache == NULL)
		InitCache();
	entry = hash_search(cache, model->digest, HASH_ENTER, &found);
	Assert(!found);
	entry->model = model;
	MemoryContextSetParent(model->context, cache_context);
	dlist_push_head(&cache_lru, &model->lru);
	cache_used += model->size;
}

/*
 * The model that this process has, if it is still good.
 */
static LoadedModel *
PinOwn(const uint8 digest[MTL_DIGEST_SIZE])
{
	CacheEntry *entry = cache ? hash_search(cache, digest, HASH_FIND, NULL) : NULL;

	if (entry == NULL)
		return NULL;
	if (SharedPinAddress(&entry->model->shared) && !entry->model->shared.pinned &&
		!SharedCachePinAgain(&entry->model->shared))
	{
		Evict(entry->model);
		return NULL;
	}
	return Pin(entry->model);
}

/*
 * The model that another process has loaded; NULL if there is none, or if there is a
 * reason why this process cannot use it.
 */
static LoadedModel *
PinShared(const uint8 digest[MTL_DIGEST_SIZE], char **reason)
{
	SharedPin	pin = {0};
	LoadedModel *volatile model = NULL;

	if (!SharedCachePin(digest, &pin, reason))
		return NULL;
	PG_TRY();
	{
		model = LoadedModelAttach(SharedPinAddress(&pin), pin.size, digest);
		Enter(model);
	}
	PG_CATCH();
	{
		SharedCacheForget(&pin);
		PG_RE_THROW();
	}
	PG_END_TRY();
	SharedPinMove(&model->shared, &pin);
	return Pin(model);
}

LoadedModel *
ModelCachePin(const uint8 digest[MTL_DIGEST_SIZE])
{
	LoadedModel *model = PinOwn(digest);
	char	   *reason;

	return model ? model : PinShared(digest, &reason);
}

void
ModelCacheUnpin(LoadedModel *model)
{
	Assert(model->pins > 0);
	model->pins--;
	if (model->pins > 0)
		return;
	SharedCacheUnpin(&model->shared);
	Shrink();
}

/* --------------------------------------------------------------- loading */

/*
 * Begins to load a value.  The digest says what others will take it for, so it is
 * compared with the file before all else.
 */
static ModelLoad *
BeginLoad(const MtlModel *value)
{
	MtlModelCheck(value);
	CheckModelSize(value->file_size);
	return ModelLoadBegin(value->file, value->file_size, value->digest, true);
}

static LoadedModel *
LoadOwn(ModelLoad *load, char *reason)
{
	LoadedModel *model = ModelLoadFinish(load, NULL);

	model->reason = MemoryContextStrdup(model->context, reason);
	Enter(model);
	return Pin(model);
}

/*
 * Loads a model whose place in the shared cache is claimed.
 */
static LoadedModel *
LoadClaimed(const MtlModel *value)
{
	ModelLoad  *volatile load = NULL;
	LoadedModel *volatile model = NULL;
	char	   *reason = NULL;

	PG_TRY();
	{
		char	   *image;

		load = BeginLoad(value);
		image = SharedCacheReserve(ModelLoadImageSize(load), &reason);
		if (image)
		{
			model = ModelLoadFinish(load, image);
			Enter(model);
		}
	}
	PG_CATCH();
	{
		SharedCacheAbandon();
		PG_RE_THROW();
	}
	PG_END_TRY();

	if (model == NULL)
	{
		SharedCacheAbandon();
		return LoadOwn(load, reason);
	}
	SharedCachePublish(&model->shared);
	return Pin(model);
}

LoadedModel *
ModelCacheLoad(const MtlModel *value)
{
	char	   *reason = NULL;

	for (;;)
	{
		LoadedModel *model;

		switch (SharedCacheClaim(value->digest, &reason))
		{
			case CLAIM_GRANTED:
				return LoadClaimed(value);
			case CLAIM_REFUSED:
				return LoadOwn(BeginLoad(value), reason);
			case CLAIM_EXISTS:
				model = PinShared(value->digest, &reason);
				if (model)
					return model;
				if (reason)
					return LoadOwn(BeginLoad(value), reason);
				break;			/* it has gone meanwhile */
		}
	}
}

/* ----------------------------------------------------------- for the view */

int
ModelCacheEvict(const uint8 *digest)
{
	dlist_mutable_iter iter;
	int			nown = 0;

	dlist_foreach_modify(iter, &cache_lru)
	{
		LoadedModel *model = dlist_container(LoadedModel, lru, iter.cur);

		if (model->pins == 0 &&
			(digest == NULL || memcmp(model->digest, digest, MTL_DIGEST_SIZE) == 0))
		{
			nown += SharedPinAddress(&model->shared) == NULL;
			Evict(model);
		}
	}
	return nown + SharedCacheEvict(digest);
}

LoadedModel **
ModelCacheList(int *nmodels)
{
	LoadedModel **models = palloc(sizeof(LoadedModel *) * Max(cache ? hash_get_num_entries(cache) : 0, 1));
	dlist_iter	iter;

	*nmodels = 0;
	dlist_foreach(iter, &cache_lru)
	{
		LoadedModel *model = dlist_container(LoadedModel, lru, iter.cur);

		if (SharedPinAddress(&model->shared) == NULL)
			models[(*nmodels)++] = model;
	}
	return models;
}
