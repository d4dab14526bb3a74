/*
 * large_pages.c
 *	  Large pages for what a score reads at random places.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "miscadmin.h"

#include "cache/large_pages.h"

#ifdef __linux__

/* Of x86-64 and, with base pages of 4 kB, of arm64. */
#define LARGE_PAGE ((Size) 2 * 1024 * 1024)

/* What is collapsed between two looks for interrupts; a few milliseconds. */
#define COLLAPSE_STEP (8 * LARGE_PAGE)

/* younger than some C libraries that the kernel is used with */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static Size
MappedSize(Size size)
{
	return TYPEALIGN(sysconf(_SC_PAGESIZE), size);
}

/*
 * Makes room for the mapping at an aligned address; the room is larger than needed, so
 * that there is one.
 */
char *
LargePagesMap(char *address, Size size)
{
	Size		mapped = MappedSize(size);
	char	   *room;
	char	   *aligned;
	char	   *end;

	if (size < LARGE_PAGE || (uintptr_t) address % LARGE_PAGE == 0)
		return NULL;
	room = mmap(NULL, mapped + LARGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return NULL;
	end = room + mapped + LARGE_PAGE;

	/* an old size of 0 leaves the mapping where it is, and makes another one */
	aligned = (char *) TYPEALIGN(LARGE_PAGE, (uintptr_t) room);
	if (mremap(address, 0, mapped, MREMAP_MAYMOVE | MREMAP_FIXED, aligned) == MAP_FAILED)
	{
		(void) munmap(room, end - room);
		return NULL;
	}
	if (aligned > room)
		(void) munmap(room, aligned - room);
	if (end > aligned + mapped)
		(void) munmap(aligned + mapped, end - (aligned + mapped));
	return aligned;
}

void
LargePagesUnmap(char *address, Size size)
{
	(void) munmap(address, MappedSize(size));
}

void
LargePagesCollapse(char *address, Size size)
{
	char	   *end = address + TYPEALIGN_DOWN(LARGE_PAGE, size);

	Assert((uintptr_t) address % LARGE_PAGE == 0);
	for (char *step = address; step < end; step += COLLAPSE_STEP)
	{
		CHECK_FOR_INTERRUPTS();
		if (madvise(step, Min(COLLAPSE_STEP, (Size) (end - step)), MADV_COLLAPSE) != 0)
			return;
	}
}

#else

char *
LargePagesMap(char *address, Size size)
{
	return NULL;
}

void
LargePagesUnmap(char *address, Size size)
{
}

void
LargePagesCollapse(char *address, Size size)
{
}

#endif
