/*
 * compat.h
 *	  Differences between the PostgreSQL versions that are supported, 15 to 18.
 *
 * No other file tests PG_VERSION_NUM.
 */
#ifndef MTL_RANK_COMPAT_H
#define MTL_RANK_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "mtl_rank needs PostgreSQL 15 or newer"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "storage/proc.h"
#include "utils/wait_event.h"

#if PG_VERSION_NUM >= 170000
#include "storage/dsm_registry.h"
#endif

/* 18 gave EXPLAIN's state and its ways of printing headers of their own */
#if PG_VERSION_NUM >= 180000
#define EXPLAIN_STATE_HEADER "commands/explain_state.h"
#define EXPLAIN_FORMAT_HEADER "commands/explain_format.h"
#else
#define EXPLAIN_STATE_HEADER "commands/explain.h"
#define EXPLAIN_FORMAT_HEADER "commands/explain.h"
#endif

/* 17 moved the local transaction id into a struct */
#if PG_VERSION_NUM >= 170000
#define MyLocalTransactionId() (MyProc->vxid.lxid)
#else
#define MyLocalTransactionId() (MyProc->lxid)
#endif

/*
 * Named shared memory.  From 17 on a backend can ask for it at any time.  Before, it has
 * to be asked for when the server starts, by a module in shared_preload_libraries.
 */
#if PG_VERSION_NUM >= 170000
#define MTL_HAVE_DSM_REGISTRY 1
#else
#define MTL_HAVE_DSM_REGISTRY 0
#endif

/* 17 lets a module name what it waits for; name must be a literal */
#if PG_VERSION_NUM >= 170000
#define MtlWaitEvent(name) WaitEventExtensionNew(name)
#else
#define MtlWaitEvent(name) PG_WAIT_EXTENSION
#endif

/* 18 lets a module say its name and version */
#ifdef PG_MODULE_MAGIC_EXT
#define MTL_RANK_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "mtl_rank", .version = MTL_RANK_VERSION)
#else
#define MTL_RANK_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/*
 * Declares a function that SQL calls.  From 16 on PG_FUNCTION_INFO_V1 exports it
 * by itself; before, only its info record would be visible outside the library.
 */
#define MTL_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/* 16 has a function for reads that must not come short */
#if PG_VERSION_NUM >= 160000
#define BufFileReadAll(file, data, size) BufFileReadExact(file, data, size)
#else
#define BufFileReadAll(file, data, size) \
	do \
	{ \
		if (BufFileRead(file, data, size) != (Size) (size)) \
			ereport(ERROR, \
					(errcode_for_file_access(), \
					 errmsg("could not read a temporary file: it is too short"))); \
	} while (0)
#endif

/* 16 renamed the look at one backend's status */
#if PG_VERSION_NUM >= 160000
#define BackendStatusByIndex(i) pgstat_get_local_beentry_by_index(i)
#else
#define BackendStatusByIndex(i) pgstat_fetch_stat_local_beentry(i)
#endif

/* 16 took the rights out of the range table; for ExecutorCheckPerms_hook, which a test has */
#if PG_VERSION_NUM >= 160000
#define MTL_CHECK_PERMISSIONS_PARAMETERS List *range_table, List *rights, bool report
#define MTL_CHECK_PERMISSIONS_ARGUMENTS range_table, rights, report
#else
#define MTL_CHECK_PERMISSIONS_PARAMETERS List *range_table, bool report
#define MTL_CHECK_PERMISSIONS_ARGUMENTS range_table, report
#endif

/* 18 renamed the attribute and moved it to the front; this works everywhere */
#define MTL_NORETURN __attribute__((noreturn))

#endif							/* MTL_RANK_COMPAT_H */
