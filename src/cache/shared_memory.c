/*
 * shared_memory.c
 *	  The shared memory of the module: one piece of fixed size, and segments.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "compat.h"
#include "cache/large_pages.h"
#include "cache/shared_memory.h"

/* a session may have another version loaded, where nobody has restarted the server */
#define SHARED_MEMORY_NAME "mtl_rank " MTL_RANK_VERSION

static Size piece_size;
static void (*init_piece) (void *memory);
static void *piece = NULL;

/* ----------------------------------------------------------- fixed piece */

#if MTL_HAVE_DSM_REGISTRY

void
SharedMemoryRequest(Size size, void (*init) (void *memory))
{
	piece_size = size;
	init_piece = init;
}

void *
SharedMemoryGet(void)
{
	bool		found;

	if (piece == NULL)
		piece = GetNamedDSMSegment(SHARED_MEMORY_NAME, piece_size, init_piece, &found);
	return piece;
}

#else

static shmem_request_hook_type next_request_hook = NULL;
static shmem_startup_hook_type next_startup_hook = NULL;

static void
RequestPiece(void)
{
	if (next_request_hook)
		next_request_hook();
	RequestAddinShmemSpace(MAXALIGN(piece_size));
}

/*
 * Also called when the server starts anew after a crash.
 */
static void
StartPiece(void)
{
	bool		found;

	if (next_startup_hook)
		next_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	piece = ShmemInitStruct(SHARED_MEMORY_NAME, piece_size, &found);
	if (!found)
		init_piece(piece);
	LWLockRelease(AddinShmemInitLock);
}

void
SharedMemoryRequest(Size size, void (*init) (void *memory))
{
	piece_size = size;
	init_piece = init;
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_request_hook = shmem_request_hook;
	shmem_request_hook = RequestPiece;
	next_startup_hook = shmem_startup_hook;
	shmem_startup_hook = StartPiece;
}

void *
SharedMemoryGet(void)
{
	return piece;
}

#endif

/* -------------------------------------------------------------- segments */

/*
 * Whether the error is that the system has no more of something.  All else, such as a
 * cancelled query, is the caller's business.
 */
static bool
LacksResources(MemoryContext caller, char **reason)
{
	ErrorData  *error;

	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_INSUFFICIENT_RESOURCES)
		return false;
	*reason = error->message;
	return true;
}

/*
 * With what it still has.
 */
static void
ReleaseOwner(ResourceOwner owner)
{
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(owner);
}

/*
 * Creates a segment, or attaches to one if there is a handle.  What is left of one that
 * could not be made belongs to a resource owner of its own, so that it can be removed
 * without a subtransaction, which a parallel worker cannot have.
 */
static dsm_segment *
OpenDsm(dsm_handle handle, Size size, char **reason)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner outer = CurrentResourceOwner;
	ResourceOwner own = ResourceOwnerCreate(outer, "mtl_rank segment");
	dsm_segment *volatile segment = NULL;

	*reason = NULL;
	CurrentResourceOwner = own;
	PG_TRY();
	{
		if (handle != DSM_HANDLE_INVALID)
			segment = dsm_attach(handle);
		else
			segment = dsm_create(size, 0);
		if (segment)
			dsm_pin_mapping(segment);
	}
	PG_CATCH();
	{
		CurrentResourceOwner = outer;
		ReleaseOwner(own);
		if (!LacksResources(caller, reason))
			PG_RE_THROW();
		FlushErrorState();
		return NULL;
	}
	PG_END_TRY();
	CurrentResourceOwner = outer;
	ReleaseOwner(own);
	return segment;
}

static bool
OpenSegment(dsm_handle handle, Size size, Segment *segment, char **reason)
{
	dsm_segment *dsm = OpenDsm(handle, size, reason);

	memset(segment, 0, sizeof(Segment));
	if (dsm == NULL)
		return false;
	segment->dsm = dsm;
	segment->large_pages = LargePagesMap(dsm_segment_address(dsm), dsm_segment_map_length(dsm));
	segment->address = segment->large_pages ? segment->large_pages : dsm_segment_address(dsm);
	return true;
}

bool
SegmentCreate(Size size, Segment *segment, char **reason)
{
	return OpenSegment(DSM_HANDLE_INVALID, size, segment, reason);
}

void
SegmentPrepare(const Segment *segment)
{
	if (segment->large_pages)
		LargePagesCollapse(segment->large_pages, dsm_segment_map_length(segment->dsm));
}

bool
SegmentAttach(dsm_handle handle, Segment *segment, char **reason)
{
	return OpenSegment(handle, 0, segment, reason);
}

void
SegmentDetach(Segment *segment)
{
	dsm_segment *dsm = segment->dsm;

	if (segment->large_pages)
		LargePagesUnmap(segment->large_pages, dsm_segment_map_length(dsm));
	memset(segment, 0, sizeof(Segment));
	if (dsm)
		dsm_detach(dsm);
}

/*
 * Takes the pages away from whoever has them mapped.  Where the system cannot do that,
 * the memory goes with the last mapping.
 */
static void
RemovePages(dsm_segment *dsm)
{
#ifdef MADV_REMOVE
	uintptr_t	page = sysconf(_SC_PAGESIZE);
	uintptr_t	begin = (uintptr_t) dsm_segment_address(dsm);
	uintptr_t	end = begin + dsm_segment_map_length(dsm);

	begin = TYPEALIGN(page, begin);
	end = TYPEALIGN_DOWN(page, end);
	if (begin < end)
		(void) madvise((void *) begin, end - begin, MADV_REMOVE);
#endif
}

void
SegmentDestroy(dsm_handle handle)
{
	dsm_segment *dsm = dsm_find_mapping(handle);
	bool		mapped = dsm != NULL;
	char	   *reason;

	/* if nobody has it mapped, it is gone after this */
	dsm_unpin_segment(handle);
	if (dsm == NULL)
		dsm = OpenDsm(handle, 0, &reason);
	if (dsm == NULL)
		return;
	RemovePages(dsm);
	if (!mapped)
		dsm_detach(dsm);
}
