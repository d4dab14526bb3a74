/*
 * memory.c
 *	  Large blocks of memory, which a cancelled query does not wait for.
 */
#include "postgres.h"

#ifndef WIN32
#include <sys/mman.h>
#endif

#include "miscadmin.h"
#include "utils/memutils.h"

#include "model/memory.h"

/*
 * Blocks of at least this size ask for huge pages.  Smaller ones may lie among
 * others.
 */
#define LARGE_BLOCK (4 * 1024 * 1024)
#define HUGE_PAGE (2 * 1024 * 1024)

void
ClearLarge(void *memory, Size size)
{
	for (Size done = 0; done < size; done += MTL_BYTES_PER_CHECK)
	{
		CHECK_FOR_INTERRUPTS();
		memset((char *) memory + done, 0, Min(size - done, MTL_BYTES_PER_CHECK));
	}
}

void
CopyLarge(void *to, const void *from, Size size)
{
	for (Size done = 0; done < size; done += MTL_BYTES_PER_CHECK)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy((char *) to + done, (const char *) from + done, Min(size - done, MTL_BYTES_PER_CHECK));
	}
}

/* The pages at both ends are not the block's alone. */
void
PreferHugePages(void *memory, Size size)
{
#ifdef MADV_HUGEPAGE
	char	   *begin = (char *) TYPEALIGN(HUGE_PAGE, memory);
	char	   *end = (char *) TYPEALIGN_DOWN(HUGE_PAGE, (char *) memory + size);

	if (size >= LARGE_BLOCK && begin < end)
		(void) madvise(begin, end - begin, MADV_HUGEPAGE);
#endif
}

void *
AllocateLarge(Size size)
{
	void	   *memory = MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1));

	PreferHugePages(memory, size);
	return memory;
}

void *
AllocateZeros(Size size)
{
	void	   *memory = AllocateLarge(size);

	ClearLarge(memory, size);
	return memory;
}
