/*
 * memory.h
 *	  Large blocks of memory, which a cancelled query does not wait for.
 */
#ifndef MTL_RANK_TRAIN_MEMORY_H
#define MTL_RANK_TRAIN_MEMORY_H

#include "postgres.h"

/* Allocates zeros in the current context. */
extern void *AllocateZeros(Size size);

/* memset to zero, and memcpy. */
extern void ClearLarge(void *memory, Size size);
extern void CopyLarge(void *to, const void *from, Size size);

#endif							/* MTL_RANK_TRAIN_MEMORY_H */
