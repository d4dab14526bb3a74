/*
 * shared_memory.h
 *	  The shared memory of the module: one piece of fixed size, and segments.
 */
#ifndef MTL_RANK_SHARED_MEMORY_H
#define MTL_RANK_SHARED_MEMORY_H

#include "postgres.h"

#include "storage/dsm.h"

/*
 * Sees to it that there will be a piece of this size; to be called when the module is
 * loaded.  init is called once in the life of the server, on uninitialized memory.
 */
extern void SharedMemoryRequest(Size size, void (*init) (void *memory));

/*
 * The piece, or NULL where the server's version gives none to a module that is not in
 * shared_preload_libraries.
 */
extern void *SharedMemoryGet(void);

/* A segment that this process has mapped. */
typedef struct Segment
{
	dsm_segment *dsm;			/* NULL: none */
	char	   *address;		/* where to use it; not the one that dsm knows */
	char	   *large_pages;	/* what LargePagesMap() gave */
} Segment;

/*
 * Makes a segment of this size, mapped until SegmentDetach() or the end of the process.
 * When the system has not as much memory, false and what it said, palloc'ed.
 */
extern bool SegmentCreate(Size size, Segment *segment, char **reason);

/* To be called before a new segment is filled.  Can be interrupted. */
extern void SegmentPrepare(const Segment *segment);

/* Maps a segment that another process made; false also if it is gone. */
extern bool SegmentAttach(dsm_handle handle, Segment *segment, char **reason);

/* Never fails. */
extern void SegmentDetach(Segment *segment);

/*
 * Gives the memory of a segment that is pinned back to the system, though processes may
 * have it mapped that have not looked at it for long; nobody may read it any more.
 */
extern void SegmentDestroy(dsm_handle handle);

#endif							/* MTL_RANK_SHARED_MEMORY_H */
