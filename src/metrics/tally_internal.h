/*
 * tally_internal.h
 *	  What a tally is, for tally.c and tally_rows.c alone.
 */
#ifndef MTL_RANK_TALLY_INTERNAL_H
#define MTL_RANK_TALLY_INTERNAL_H

#include "postgres.h"

#include "lib/ilist.h"

#include "metrics/tally.h"

typedef struct TallyItem
{
	uint64		key;
	uint32		group;			/* number in Tally.groups, then its place */
	uint32		label;
} TallyItem;

struct TallyPool
{
	MemoryContext context;
	GroupType	group_type;
	Size		limit;			/* bytes */
	Size		used;
	dlist_head	tallies;
	TempFile   *file;			/* NULL: nothing has been spilled yet */
	int			nfile_runs;		/* of all tallies */
};

struct Tally
{
	TallyPool  *pool;
	dlist_node	node;
	MemoryContext context;
	MemoryContextCallback callback;
	TallyParameter parameter;
	Size		used;			/* what pool->used has of it */

	/* rows since the last run */
	TallyItem  *items;
	Size		nitems;
	Size		capacity;
	double	   *labels;			/* that are no integers, or large */
	uint32		nlabels;
	uint32		labels_capacity;
	GroupSet   *groups;

	Run		   *runs;
	int			nruns;
	int			runs_capacity;
	int			nmemory_runs;
	Size		run_memory;
};

/* Brings pool->used up to date with what a tally holds. */
extern void TallyAccount(Tally *tally);

/* Makes room in a pool that has come to half of its memory. */
extern void TallyPoolMakeRoom(TallyPool *pool);

/* Adds a run, which the tally owns from now on. */
extern void TallyTakeRun(Tally *tally, const Run *run);

/* Makes a run in memory of the array of rows, which is freed. */
extern void TallyItemsToRun(Tally *tally);

/* Frees the array of rows. */
extern void TallyDropItems(Tally *tally);

#endif							/* MTL_RANK_TALLY_INTERNAL_H */
