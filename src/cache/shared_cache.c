/*
 * shared_cache.c
 *	  Images of loaded models that all processes of the server share, by digest.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"

#include "compat.h"
#include "cache/shared_cache.h"
#include "cache/shared_memory.h"

/* Places in the directory; they are searched one by one. */
#define NUM_SLOTS 256

/* Segments are made of whole pages. */
#define SEGMENT_PAGE 4096

typedef enum SlotState
{
	SLOT_FREE,
	SLOT_LOADING,				/* claimed */
	SLOT_READY
} SlotState;

/*
 * Protected by the lock; who holds it shared may pin, and anybody may unpin what he has
 * pinned, without it.
 */
typedef struct Slot
{
	uint8		digest[MTL_DIGEST_SIZE];
	SlotState	state;
	uint64		generation;		/* another for each claim */
	dsm_handle	handle;			/* SLOT_READY */
	Size		size;			/* of the image; 0 until it is reserved */
	pg_atomic_uint32 pins;		/* processes that use it */
	pg_atomic_uint64 uses;
	pg_atomic_uint64 age;		/* the directory's clock when it was last pinned */
	pg_atomic_uint64 last_used; /* TimestampTz */
} Slot;

typedef struct Directory
{
	LWLock		lock;
	int			tranche;
	ConditionVariable loaded;	/* a claim has ended */
	pg_atomic_uint64 clock;
	uint64		generations;
	Size		used;			/* what all images take */
	Slot		slots[NUM_SLOTS];
} Directory;

int			mtl_rank_shared_cache_size;

/* of this process */
static Directory *directory = NULL;
static dlist_head pins = DLIST_STATIC_INIT(pins);
static Slot *claimed = NULL;
static Segment claimed_segment;

/* ------------------------------------------------------------- directory */

static void
InitDirectory(void *memory)
{
	Directory  *new = memory;

	memset(new, 0, sizeof(Directory));
	new->tranche = LWLockNewTrancheId();
	LWLockInitialize(&new->lock, new->tranche);
	ConditionVariableInit(&new->loaded);
	pg_atomic_init_u64(&new->clock, 0);
	for (int i = 0; i < NUM_SLOTS; i++)
	{
		pg_atomic_init_u32(&new->slots[i].pins, 0);
		pg_atomic_init_u64(&new->slots[i].uses, 0);
		pg_atomic_init_u64(&new->slots[i].age, 0);
		pg_atomic_init_u64(&new->slots[i].last_used, 0);
	}
}

void
SharedCacheInit(void)
{
	SharedMemoryRequest(sizeof(Directory), InitDirectory);
}

/* -------------------------------------------------------------- eviction */

/* What is out of the directory, and still has to be destroyed. */
typedef struct Evicted
{
	int			n;
	dsm_handle	handles[NUM_SLOTS];
} Evicted;

static Size
SegmentSize(Size size)
{
	return TYPEALIGN(SEGMENT_PAGE, size);
}

static Size
SizeLimit(void)
{
	return (Size) mtl_rank_shared_cache_size * 1024;
}

static bool
CanGo(Slot *slot)
{
	return slot->state == SLOT_READY && pg_atomic_read_u32(&slot->pins) == 0;
}

/* The functions up to TakeOut() want the lock; this one shared, those after it exclusive. */
static Slot *
FindSlot(const uint8 digest[MTL_DIGEST_SIZE])
{
	for (int i = 0; i < NUM_SLOTS; i++)
	{
		Slot	   *slot = &directory->slots[i];

		if (slot->state != SLOT_FREE && memcmp(slot->digest, digest, MTL_DIGEST_SIZE) == 0)
			return slot;
	}
	return NULL;
}

static Slot *
FindFreeSlot(void)
{
	for (int i = 0; i < NUM_SLOTS; i++)
		if (directory->slots[i].state == SLOT_FREE)
			return &directory->slots[i];
	return NULL;
}

/* The least recently used one that nobody has pinned. */
static Slot *
FindOldest(void)
{
	Slot	   *oldest = NULL;

	for (int i = 0; i < NUM_SLOTS; i++)
	{
		Slot	   *slot = &directory->slots[i];

		if (CanGo(slot) && (oldest == NULL || pg_atomic_read_u64(&slot->age) <
							pg_atomic_read_u64(&oldest->age)))
			oldest = slot;
	}
	return oldest;
}

/* What cannot be evicted. */
static Size
SizeInUse(void)
{
	Size		size = 0;

	for (int i = 0; i < NUM_SLOTS; i++)
		if (!CanGo(&directory->slots[i]))
			size += SegmentSize(directory->slots[i].size);
	return size;
}

static void
FreeSlot(Slot *slot)
{
	directory->used -= SegmentSize(slot->size);
	slot->state = SLOT_FREE;
	slot->size = 0;
	slot->handle = DSM_HANDLE_INVALID;
}

static void
TakeOut(Slot *slot, Evicted *evicted)
{
	evicted->handles[evicted->n++] = slot->handle;
	FreeSlot(slot);
}

/*
 * After the lock was released, and before interrupts are let in again: nobody else knows
 * of these segments.
 */
static void
Destroy(const Evicted *evicted)
{
	for (int i = 0; i < evicted->n; i++)
		SegmentDestroy(evicted->handles[i]);
}

static bool
EvictOldest(void)
{
	Evicted		evicted = {0};
	Slot	   *slot;

	HOLD_INTERRUPTS();
	LWLockAcquire(&directory->lock, LW_EXCLUSIVE);
	slot = FindOldest();
	if (slot)
		TakeOut(slot, &evicted);
	LWLockRelease(&directory->lock);
	Destroy(&evicted);
	RESUME_INTERRUPTS();
	return slot != NULL;
}

/*
 * The setting may have been lowered.  It is no matter if this looks a moment too early.
 */
static void
Trim(void)
{
	while (directory->used > SizeLimit() && EvictOldest())
		;
}

/* ------------------------------------------------------------ the process */

/*
 * Gives up what this process has claimed, if it has.
 */
void
SharedCacheAbandon(void)
{
	Slot	   *slot = claimed;

	if (slot == NULL)
		return;
	claimed = NULL;
	LWLockAcquire(&directory->lock, LW_EXCLUSIVE);
	FreeSlot(slot);
	LWLockRelease(&directory->lock);
	ConditionVariableBroadcast(&directory->loaded);
	SegmentDetach(&claimed_segment);
}

static void
LeaveDirectory(int code, Datum arg)
{
	while (!dlist_is_empty(&pins))
		SharedCacheUnpin(dlist_container(SharedPin, node, dlist_head_node(&pins)));
	SharedCacheAbandon();
}

/*
 * Whether there is a directory, and this process has been told where it is.
 */
static bool
EnterDirectory(void)
{
	Directory  *shared;

	if (directory)
		return true;
	shared = SharedMemoryGet();
	if (shared == NULL)
		return false;
	LWLockRegisterTranche(shared->tranche, "mtl_rank");

	/* before, not on: then dynamic shared memory, which may have all this, is gone */
	before_shmem_exit(LeaveDirectory, (Datum) 0);
	directory = shared;
	return true;
}

/* ------------------------------------------------------------------ pins */

/*
 * With the lock, shared at least.
 */
static void
PinSlot(Slot *slot, SharedPin *pin)
{
	pg_atomic_fetch_add_u32(&slot->pins, 1);
	pg_atomic_fetch_add_u64(&slot->uses, 1);
	pg_atomic_write_u64(&slot->age, pg_atomic_add_fetch_u64(&directory->clock, 1));
	pg_atomic_write_u64(&slot->last_used, GetCurrentStatementStartTimestamp());
	pin->slot = slot - directory->slots;
	pin->generation = slot->generation;
	pin->size = slot->size;
	pin->pinned = true;
	dlist_push_head(&pins, &pin->node);
}

void
SharedCacheUnpin(SharedPin *pin)
{
	if (!pin->pinned)
		return;
	pin->pinned = false;
	dlist_delete(&pin->node);
	pg_atomic_fetch_sub_u32(&directory->slots[pin->slot].pins, 1);
}

void
SharedCacheForget(SharedPin *pin)
{
	SharedCacheUnpin(pin);
	SegmentDetach(&pin->segment);
}

void
SharedPinMove(SharedPin *to, SharedPin *from)
{
	*to = *from;
	if (from->pinned)
	{
		dlist_delete(&from->node);
		dlist_push_head(&pins, &to->node);
	}
	memset(from, 0, sizeof(SharedPin));
}

Size
SharedPinSize(const SharedPin *pin)
{
	return SegmentSize(pin->size);
}

/*
 * Pins the image, and returns the handle of its segment; an invalid one if there is no
 * image.  Waits while it is being loaded.
 */
static dsm_handle
PinByDigest(const uint8 digest[MTL_DIGEST_SIZE], SharedPin *pin)
{
	static uint32 wait_event = 0;
	dsm_handle	handle = DSM_HANDLE_INVALID;
	bool		loading;

	do
	{
		Slot	   *slot;

		LWLockAcquire(&directory->lock, LW_SHARED);
		slot = FindSlot(digest);
		loading = slot && slot->state == SLOT_LOADING;
		if (slot && !loading)
		{
			PinSlot(slot, pin);
			handle = slot->handle;
		}
		LWLockRelease(&directory->lock);

		if (loading)
		{
			if (wait_event == 0)
				wait_event = MtlWaitEvent("MtlRankModelLoad");
			ConditionVariableSleep(&directory->loaded, wait_event);
		}
	} while (loading);
	ConditionVariableCancelSleep();
	return handle;
}

bool
SharedCachePin(const uint8 digest[MTL_DIGEST_SIZE], SharedPin *pin, char **reason)
{
	dsm_handle	handle;
	volatile bool mapped = false;

	*reason = NULL;
	if (!EnterDirectory())
		return false;
	Trim();
	handle = PinByDigest(digest, pin);
	if (handle == DSM_HANDLE_INVALID)
		return false;

	PG_TRY();
	{
		mapped = SegmentAttach(handle, &pin->segment, reason);
	}
	PG_CATCH();
	{
		SharedCacheUnpin(pin);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (mapped)
		return true;
	SharedCacheUnpin(pin);
	*reason = psprintf("it could not be mapped: %s", *reason ? *reason : "its segment is gone");
	return false;
}

bool
SharedCachePinAgain(SharedPin *pin)
{
	Slot	   *slot = &directory->slots[pin->slot];
	bool		found;

	Trim();
	LWLockAcquire(&directory->lock, LW_SHARED);
	found = slot->state == SLOT_READY && slot->generation == pin->generation;
	if (found)
		PinSlot(slot, pin);
	LWLockRelease(&directory->lock);
	return found;
}

/* --------------------------------------------------------------- loading */

/*
 * Claims a free place for the digest; CLAIM_REFUSED if there is none.
 */
static SharedClaim
ClaimSlot(const uint8 digest[MTL_DIGEST_SIZE])
{
	SharedClaim result = CLAIM_EXISTS;

	LWLockAcquire(&directory->lock, LW_EXCLUSIVE);
	if (FindSlot(digest) == NULL)
	{
		Slot	   *slot = FindFreeSlot();

		if (slot)
		{
			memcpy(slot->digest, digest, MTL_DIGEST_SIZE);
			slot->state = SLOT_LOADING;
			slot->generation = ++directory->generations;
			pg_atomic_write_u64(&slot->uses, 0);
			pg_atomic_write_u64(&slot->last_used, GetCurrentStatementStartTimestamp());
			claimed = slot;
		}
		result = slot ? CLAIM_GRANTED : CLAIM_REFUSED;
	}
	LWLockRelease(&directory->lock);
	return result;
}

SharedClaim
SharedCacheClaim(const uint8 digest[MTL_DIGEST_SIZE], char **reason)
{
	SharedClaim result;

	Assert(claimed == NULL);
	if (!EnterDirectory())
	{
		*reason = pstrdup("mtl_rank is not in shared_preload_libraries, which PostgreSQL before 17 needs");
		return CLAIM_REFUSED;
	}
	if (mtl_rank_shared_cache_size == 0)
	{
		*reason = pstrdup("mtl_rank.shared_cache_size is 0");
		return CLAIM_REFUSED;
	}
	do
		result = ClaimSlot(digest);
	while (result == CLAIM_REFUSED && EvictOldest());
	if (result == CLAIM_REFUSED)
		*reason = psprintf("all %d places of the shared cache are in use", NUM_SLOTS);
	return result;
}

/*
 * Counts the claimed image, after evicting what need not stay; false, and what all
 * others take, if they take too much.
 */
static bool
MakeRoom(Size size, Size limit, Size *others)
{
	Size		needed = SegmentSize(size);
	Evicted		evicted = {0};
	bool		fits;

	HOLD_INTERRUPTS();
	LWLockAcquire(&directory->lock, LW_EXCLUSIVE);
	*others = SizeInUse();
	fits = needed <= limit && *others <= limit - needed;
	if (fits)
	{
		while (directory->used > limit - needed)
			TakeOut(FindOldest(), &evicted);
		claimed->size = size;
		directory->used += needed;
	}
	LWLockRelease(&directory->lock);
	Destroy(&evicted);
	RESUME_INTERRUPTS();
	return fits;
}

/*
 * Whether images as large as this one could be evicted.  If not, the system would hardly
 * have room for it even so, and other models would have gone for nothing.
 */
static bool
CanEvict(Size size)
{
	Size		in_use;
	Size		used;

	LWLockAcquire(&directory->lock, LW_SHARED);
	in_use = SizeInUse();
	used = directory->used;
	LWLockRelease(&directory->lock);
	return used - in_use >= SegmentSize(size);
}

char *
SharedCacheReserve(Size size, char **reason)
{
	Size		limit = SizeLimit();
	Size		others;

	bool		created;

	Assert(claimed != NULL && claimed_segment.dsm == NULL);
	if (!MakeRoom(size, limit, &others))
	{
		*reason = SegmentSize(size) > limit ?
			psprintf("its %zu bytes exceed mtl_rank.shared_cache_size, %zu bytes",
					 SegmentSize(size), limit) :
			psprintf("its %zu bytes exceed mtl_rank.shared_cache_size, %zu bytes, together with %zu bytes in use",
					 SegmentSize(size), limit, others);
		return NULL;
	}

	/* the system may have less than the setting allows */
	created = SegmentCreate(size, &claimed_segment, reason);
	if (!created && CanEvict(size))
		while (!created && EvictOldest())
			created = SegmentCreate(size, &claimed_segment, reason);
	if (!created)
	{
		*reason = psprintf("there is no memory for it: %s", *reason);
		return NULL;
	}
	SegmentPrepare(&claimed_segment);
	return claimed_segment.address;
}

void
SharedCachePublish(SharedPin *pin)
{
	Assert(claimed_segment.dsm != NULL);
	HOLD_INTERRUPTS();
	dsm_pin_segment(claimed_segment.dsm);
	LWLockAcquire(&directory->lock, LW_EXCLUSIVE);
	claimed->handle = dsm_segment_handle(claimed_segment.dsm);
	claimed->state = SLOT_READY;
	PinSlot(claimed, pin);
	LWLockRelease(&directory->lock);
	ConditionVariableBroadcast(&directory->loaded);
	pin->segment = claimed_segment;
	claimed = NULL;
	memset(&claimed_segment, 0, sizeof(Segment));
	RESUME_INTERRUPTS();
}

/* ----------------------------------------------------------- for the view */

int
SharedCacheEvict(const uint8 *digest)
{
	Evicted		evicted = {0};

	if (!EnterDirectory())
		return 0;
	HOLD_INTERRUPTS();
	LWLockAcquire(&directory->lock, LW_EXCLUSIVE);
	for (int i = 0; i < NUM_SLOTS; i++)
	{
		Slot	   *slot = &directory->slots[i];

		if (CanGo(slot) && (digest == NULL || memcmp(slot->digest, digest, MTL_DIGEST_SIZE) == 0))
			TakeOut(slot, &evicted);
	}
	LWLockRelease(&directory->lock);
	Destroy(&evicted);
	RESUME_INTERRUPTS();
	return evicted.n;
}

SharedEntry *
SharedCacheList(int *nentries)
{
	SharedEntry *entries = palloc0(sizeof(SharedEntry) * NUM_SLOTS);

	*nentries = 0;
	if (!EnterDirectory())
		return entries;
	LWLockAcquire(&directory->lock, LW_SHARED);
	for (int i = 0; i < NUM_SLOTS; i++)
	{
		Slot	   *slot = &directory->slots[i];
		SharedEntry *entry = &entries[*nentries];

		if (slot->state == SLOT_FREE)
			continue;
		memcpy(entry->digest, slot->digest, MTL_DIGEST_SIZE);
		entry->loading = slot->state == SLOT_LOADING;
		entry->size = SegmentSize(slot->size);
		entry->pins = pg_atomic_read_u32(&slot->pins);
		entry->uses = pg_atomic_read_u64(&slot->uses);
		entry->last_used = pg_atomic_read_u64(&slot->last_used);
		(*nentries)++;
	}
	LWLockRelease(&directory->lock);
	return entries;
}
