/*
 * model_cache.h
 *	  Loaded models of this backend, by digest.
 *
 * A digest names a model's bytes, so an entry can never be stale; what is in the
 * cache says nothing of who may use it: rights are checked where a model's value
 * is read.  The cache holds up to mtl_rank.cache_size; least recently used models
 * that nobody has pinned make room.  A model that does not fit, or found no room,
 * lives as long as it is pinned.
 */
#ifndef MTL_RANK_MODEL_CACHE_H
#define MTL_RANK_MODEL_CACHE_H

#include "cache/loaded_model.h"

/* mtl_rank.cache_size, in kB */
extern int	mtl_rank_cache_size;

/* The model of this digest, pinned once more, or NULL. */
extern LoadedModel *ModelCachePin(const uint8 digest[MTL_DIGEST_SIZE]);

/* Takes over a model that LoadedModelCreate() returned; it is pinned once. */
extern void ModelCacheAdd(LoadedModel *model);

/* Gives back a pin. */
extern void ModelCacheUnpin(LoadedModel *model);

#endif							/* MTL_RANK_MODEL_CACHE_H */
