/*
 * prefetch.h
 *	  Has the CPU fetch rows of a table before they are read.
 */
#ifndef MTL_RANK_PREFETCH_H
#define MTL_RANK_PREFETCH_H

#include "postgres.h"

#include "executor/tuptable.h"

/*
 * To be called for each row of a scan that goes through a table's pages: begins to
 * fetch the row that comes after it, or soon after.  A hint, which changes nothing.
 */
extern void PrefetchNextRow(const TupleTableSlot *slot);

#endif							/* MTL_RANK_PREFETCH_H */
