/*
 * fail_allocation.h
 *	  Lets an allocation of the module fail, the n-th from now on, so that a test can
 *	  see what is left behind.
 *
 * Included before all else in each file of a build with FAIL_ALLOCATION=1.  Only what
 * our own files call can fail, which is where pins, claims and the like are in hand.
 */
#ifndef MTL_RANK_FAIL_ALLOCATION_H
#define MTL_RANK_FAIL_ALLOCATION_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Counts, and raises an error when it is time. */
extern void FailAllocation(void);

/* Waits when it is time; see pause_loading.c. */
extern void PauseLoading(void);

#define palloc(...) (FailAllocation(), palloc(__VA_ARGS__))
#define palloc0(...) (FailAllocation(), palloc0(__VA_ARGS__))
#define palloc_extended(...) (FailAllocation(), palloc_extended(__VA_ARGS__))
#define repalloc(...) (FailAllocation(), repalloc(__VA_ARGS__))
#define repalloc_huge(...) (FailAllocation(), repalloc_huge(__VA_ARGS__))
#define pstrdup(...) (FailAllocation(), pstrdup(__VA_ARGS__))
#define psprintf(...) (FailAllocation(), psprintf(__VA_ARGS__))
#define MemoryContextAlloc(...) (FailAllocation(), MemoryContextAlloc(__VA_ARGS__))
#define MemoryContextAllocZero(...) (FailAllocation(), MemoryContextAllocZero(__VA_ARGS__))
#define MemoryContextAllocHuge(...) (FailAllocation(), MemoryContextAllocHuge(__VA_ARGS__))
#define MemoryContextStrdup(...) (FailAllocation(), MemoryContextStrdup(__VA_ARGS__))
#define AllocSetContextCreateInternal(...) (FailAllocation(), AllocSetContextCreateInternal(__VA_ARGS__))
#define initStringInfo(...) (FailAllocation(), initStringInfo(__VA_ARGS__))
#define lappend(...) (FailAllocation(), lappend(__VA_ARGS__))
#define hash_create(...) (FailAllocation(), hash_create(__VA_ARGS__))
#define text_to_cstring(...) (FailAllocation(), text_to_cstring(__VA_ARGS__))
#define cstring_to_text(...) (FailAllocation(), cstring_to_text(__VA_ARGS__))

#endif							/* MTL_RANK_FAIL_ALLOCATION_H */
