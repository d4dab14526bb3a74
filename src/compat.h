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

/* 17 moved the local transaction id into a struct */
#if PG_VERSION_NUM >= 170000
#define MyLocalTransactionId() (MyProc->vxid.lxid)
#else
#define MyLocalTransactionId() (MyProc->lxid)
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

/* 18 renamed the attribute and moved it to the front; this works everywhere */
#define MTL_NORETURN __attribute__((noreturn))

#endif							/* MTL_RANK_COMPAT_H */
