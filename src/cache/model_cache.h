/*
 * model_cache.h
 *	  Loaded models that this process uses, by digest.
 *
 * A digest names a model's bytes, so an entry can never be stale; what is in the
 * cache says nothing of who may use it: rights are checked where a model's value
 * is read.
 *
 * The bulk of a model is shared with all other processes where that can be
 * (shared_cache.h), and the process's own where not.  The cache keeps up to
 * mtl_rank.cache_size of what is the process's own between statements; least recently
 * used models that nobody has pinned go first.
 */
#ifndef MTL_RANK_MODEL_CACHE_H
#define MTL_RANK_MODEL_CACHE_H

#include "cache/loaded_model.h"
#include "model/model_value.h"

/* mtl_rank.cache_size, in kB */
extern int	mtl_rank_cache_size;

/*
 * The model of this digest, pinned once more, or NULL.  Another process may have loaded
 * it; this one waits when it is just doing so.
 */
extern LoadedModel *ModelCachePin(const uint8 digest[MTL_DIGEST_SIZE]);

/*
 * Checks the value and loads it, after ModelCachePin() found nothing; the model is pinned
 * once.
 */
extern LoadedModel *ModelCacheLoad(const MtlModel *value);

/* Gives back a pin.  Never fails. */
extern void ModelCacheUnpin(LoadedModel *model);

/*
 * Frees the model of this digest, or all if NULL, unless somebody has pinned it: the
 * shared one, or this process's own.  Returns how many.
 */
extern int	ModelCacheEvict(const uint8 *digest);

/* Models whose bulk is this process's own, palloc'ed. */
extern LoadedModel **ModelCacheList(int *nmodels);

#endif							/* MTL_RANK_MODEL_CACHE_H */
