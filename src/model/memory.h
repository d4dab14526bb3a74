/*
 * memory.h
 *	  Large blocks of memory, which a cancelled query does not wait for.
 */
#ifndef MTL_RANK_MEMORY_H
#define MTL_RANK_MEMORY_H

#include "postgres.h"

/*
 * What loops over large blocks do between two checks for interrupts: some
 * milliseconds, even if the kernel has to find the pages first.
 */
#define MTL_BYTES_PER_CHECK ((Size) 4 * 1024 * 1024)
#define MTL_NUMBERS_PER_CHECK (1024 * 1024)

/*
 * Asks for huge pages for a block that was allocated, if it is large and the system
 * has them.  The kernel takes some 200 ms to give back a gigabyte of small pages, which
 * whoever cancels waits for, and some 10 ms with huge ones.
 */
extern void PreferHugePages(void *memory, Size size);

/* Allocates in the current context, of huge pages if it is large. */
extern void *AllocateLarge(Size size);

/* The same, filled with zeros. */
extern void *AllocateZeros(Size size);

/* memset to zero, and memcpy. */
extern void ClearLarge(void *memory, Size size);
extern void CopyLarge(void *to, const void *from, Size size);

#endif							/* MTL_RANK_MEMORY_H */
