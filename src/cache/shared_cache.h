/*
 * shared_cache.h
 *	  Images of loaded models that all processes of the server share, by digest.
 *
 * A directory of fixed size says what there is; each image is in a segment of dynamic
 * shared memory of its own, so that only models that are used take memory, and give it
 * back when they go.  A process that uses a model pins it, once however often it uses
 * it.  Images without pins go when others need room, least recently used first, so that
 * all together never take more than mtl_rank.shared_cache_size.  A process keeps its
 * mapping of an image that it has unpinned, as mapping it anew costs a page fault for
 * every page; when it pins the image again it learns whether it is still there.
 *
 * The lock of the directory is never held while anything can fail.  Who loads a model
 * has claimed its place, and others who want it wait for him; he takes no other locks
 * meanwhile, so that nobody waits in a circle.  A process that ends, however it does,
 * gives its claim and its pins back as it leaves shared memory; one that is killed so
 * that it cannot has the server start anew, with an empty directory.
 *
 * What is here says nothing of who may use it: rights are checked where a model's value
 * is read, and its digest with it.
 */
#ifndef MTL_RANK_SHARED_CACHE_H
#define MTL_RANK_SHARED_CACHE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"

#include "cache/shared_memory.h"
#include "model/digest.h"

/* An image that this process has mapped. */
typedef struct SharedPin
{
	Segment		segment;
	Size		size;			/* of the image */
	int			slot;			/* its place in the directory */
	uint64		generation;		/* of what is in that place */
	bool		pinned;
	dlist_node	node;			/* while pinned */
} SharedPin;

typedef enum SharedClaim
{
	CLAIM_GRANTED,
	CLAIM_EXISTS,				/* pin it instead */
	CLAIM_REFUSED
} SharedClaim;

/* What the directory says of one image, or of one that is being loaded. */
typedef struct SharedEntry
{
	uint8		digest[MTL_DIGEST_SIZE];
	bool		loading;
	Size		size;
	int			pins;
	int64		uses;
	TimestampTz last_used;
} SharedEntry;

/* mtl_rank.shared_cache_size, in kB */
extern int	mtl_rank_shared_cache_size;

/* To be called when the module is loaded. */
extern void SharedCacheInit(void);

/*
 * Pins the image of this digest and maps it; false if there is none, or if it cannot be
 * mapped, and then there is a reason.  Waits while another process loads it.
 */
extern bool SharedCachePin(const uint8 digest[MTL_DIGEST_SIZE], SharedPin *pin, char **reason);

/* Pins an image again that is still mapped; false if it is no longer in the directory. */
extern bool SharedCachePinAgain(SharedPin *pin);

/* Never fails. */
extern void SharedCacheUnpin(SharedPin *pin);

/* Gives back the mapping, and the pin if there is one.  Never fails. */
extern void SharedCacheForget(SharedPin *pin);

/* Moves what from holds to another place in memory. */
extern void SharedPinMove(SharedPin *to, SharedPin *from);

/* Bytes that the image takes of mtl_rank.shared_cache_size. */
extern Size SharedPinSize(const SharedPin *pin);

/* Where the image is; NULL if this process has none mapped. */
static inline char *
SharedPinAddress(const SharedPin *pin)
{
	return pin->segment.address;
}

/*
 * Claims the place of a model that this process is going to load.  What must follow a
 * grant: SharedCacheReserve(), then SharedCachePublish(); or SharedCacheAbandon() at
 * any time, which on an error is the caller's duty.  A refusal has a reason, palloc'ed.
 */
extern SharedClaim SharedCacheClaim(const uint8 digest[MTL_DIGEST_SIZE], char **reason);

/*
 * Makes room for an image of this size and returns where to write it; NULL and the
 * reason if there is none.
 */
extern char *SharedCacheReserve(Size size, char **reason);

/* Others may use the image from now on; pin is this process's.  Never fails. */
extern void SharedCachePublish(SharedPin *pin);
extern void SharedCacheAbandon(void);

/*
 * Evicts the image of this digest, or all if NULL, unless it is pinned.  Returns how
 * many.
 */
extern int	SharedCacheEvict(const uint8 *digest);

/* All entries, palloc'ed. */
extern SharedEntry *SharedCacheList(int *nentries);

#endif							/* MTL_RANK_SHARED_CACHE_H */
