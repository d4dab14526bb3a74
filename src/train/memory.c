/*
 * memory.c
 *	  Large blocks of memory, which a cancelled query does not wait for.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "train/memory.h"

/* Some milliseconds, even if the kernel has to find the pages first. */
#define BYTES_PER_CHECK (8 * 1024 * 1024)

void
ClearLarge(void *memory, Size size)
{
	for (Size done = 0; done < size; done += BYTES_PER_CHECK)
	{
		CHECK_FOR_INTERRUPTS();
		memset((char *) memory + done, 0, Min(size - done, BYTES_PER_CHECK));
	}
}

void
CopyLarge(void *to, const void *from, Size size)
{
	for (Size done = 0; done < size; done += BYTES_PER_CHECK)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy((char *) to + done, (const char *) from + done, Min(size - done, BYTES_PER_CHECK));
	}
}

void *
AllocateZeros(Size size)
{
	void	   *memory = MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1));

	ClearLarge(memory, size);
	return memory;
}
