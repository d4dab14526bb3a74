/*
 * contexts.h
 *	  Contexts of two-row calls that are met again: encoded once, and their shares of
 *	  the first layers computed once.
 *
 * A context is the first row of a call (model, context, candidate); it is the same one
 * if its bytes are.  What is remembered of it changes no bit of a score, and no error.
 */
#ifndef MTL_RANK_CONTEXTS_H
#define MTL_RANK_CONTEXTS_H

#include "postgres.h"

#include "cache/loaded_model.h"

typedef struct Contexts Contexts;

/*
 * Remembers up to limit contexts, at most MTL_MAX_BATCH, in about memory bytes.
 * Allocated in the current context, as source is, for which ContextsEncode() is.
 */
extern Contexts *ContextsCreate(const LoadedModel *model, FeatureSource *source, int limit, Size memory);

/*
 * Says that no row refers to a context any more: if there is no room left, all are
 * forgotten.
 */
extern void ContextsBegin(Contexts *contexts);

/*
 * FeatureSourceEncode(), and the number of the context, -1 if it could not be
 * remembered.  *again says whether it was met before.
 */
extern int	ContextsEncode(Contexts *contexts, Datum context, Datum candidate,
						   float *floats, int32 *ids, bool *again);

/* How many features a share has, in the order of sums. */
extern int	ContextsFields(const Contexts *contexts);

/* Contexts without a share so far; -1 if nothing can be shared since ContextsBegin(). */
extern int	ContextsWithoutShare(const Contexts *contexts);

/* Computes the shares of all of them, no more than scratch has room for rows. */
extern void ContextsComputeShares(Contexts *contexts, const Selection *selection, void *scratch);

/* Forgets all shares: they are of one selection. */
extern void ContextsForgetShares(Contexts *contexts);

/* The shares of rows by their contexts; or that of one context, false if it has none. */
extern ContextShares ContextsShares(const Contexts *contexts, const int16 *of_row);
extern bool ContextsShare(const Contexts *contexts, int context, ContextShares *shares);

#endif							/* MTL_RANK_CONTEXTS_H */
