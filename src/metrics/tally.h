/*
 * tally.h
 *	  Counts of rows by group, score and label: what the metrics of ranking need to
 *	  know of their rows, exactly, in any order, and in bounded memory.
 *
 * A metric of ranking depends on the whole order of the scores, so nothing smaller
 * than the multiset of rows (group, score, label) is enough to be exact.  A tally
 * is that multiset.  Its rows are collected in an array, which is sorted and turned
 * into a run (run.h) when it is full; runs are merged in memory, and spill to a
 * temporary file.
 *
 *	exact		Rows that are alike are counted and never rounded.
 *	bounded		All tallies of a call site (an aggregate's groups in GROUP BY) form
 *				a pool, whose arrays and runs take half of work_mem, and as much again
 *				while they are sorted and merged.  When the arrays fill their half they
 *				are made runs, and when these are more than a quarter of work_mem they
 *				are written to the pool's file.  Few different scores never
 *				leave memory, however many rows have them.  What is read back takes a
 *				window per run, and as many runs are merged at once as have room.
 *	parallel	A worker merges each tally into one run.  A small run goes to the
 *				leader as a value; a large one through a file (handover.h), of which
 *				the leader makes a run of its own.  So neither holds more than before.
 *	same bits	A scan delivers what is alike as one entry, in the order of group,
 *				score and label.  That sequence is a function of the multiset alone:
 *				how the rows were ordered and split over workers, and what was
 *				spilled, cannot be seen in it, and so not in the result either.
 */
#ifndef MTL_RANK_TALLY_H
#define MTL_RANK_TALLY_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/binaryheap.h"

#include "math/ieee.h"
#include "metrics/group.h"
#include "metrics/run.h"

typedef struct Tally Tally;
typedef struct TallyPool TallyPool;

/* The key of a finite score, smaller for higher scores; 0 and -0 are one. */
static inline uint64
TallyKey(double score)
{
	uint64		bits = BitsOfDouble(score + 0.0);

	return bits >> 63 ? bits : ~(bits | UINT64CONST(1) << 63);
}

/* The score of a key. */
static inline double
TallyScore(uint64 key)
{
	return DoubleFromBits(key >> 63 ? key : ~key & ~(UINT64CONST(1) << 63));
}

/*
 * A pool in a context, whose tallies may be in contexts below it; group_type is
 * InvalidOid if there are no groups.
 */
extern TallyPool *TallyPoolCreate(Oid group_type, Oid collation, MemoryContext context);
extern GroupType *TallyPoolGroupType(TallyPool *pool);

/* What an aggregate wants of all its rows besides. */
typedef enum TallyParameterKind
{
	TALLY_NO_PARAMETER,
	TALLY_K,					/* 0: no limit */
	TALLY_WEIGHTING				/* a GaucWeighting */
} TallyParameterKind;

typedef enum GaucWeighting
{
	GAUC_IMPRESSIONS,
	GAUC_CLICKS
} GaucWeighting;

typedef struct TallyParameter
{
	TallyParameterKind kind;
	int32		value;
} TallyParameter;

/* A tally, which ends with its context. */
extern Tally *TallyCreate(TallyPool *pool, TallyParameter parameter, MemoryContext context);
extern TallyPool *TallyGetPool(const Tally *tally);
extern const TallyParameter *TallyGetParameter(const Tally *tally);

/* Adds a row; group is NULL if the pool has none. */
extern void TallyAdd(Tally *tally, const Group *group, uint64 key, double label);

/* Forgets all rows. */
extern void TallyReset(Tally *tally);

/* Adds the rows of a run, which is copied: bytes, or a whole file. */
extern void TallyAddRun(Tally *tally, const char *bytes, Size size);
extern void TallyAddFile(Tally *tally, const TempFile *file);

/*
 * Puts all rows in runs, not more than can be read at once; the runs are valid
 * until something is added.
 */
extern int	TallyFreeze(Tally *tally, const Run **runs);

/* What may be in memory of a run besides the tallies. */
extern Size TallyPoolWindow(const TallyPool *pool, int nruns);

/* ----------
 * scans (tally_scan.c)
 * ----------
 */

typedef struct TallyScan
{
	GroupType  *type;
	MemoryContext context;
	int			nreaders;
	RunReader  *readers;
	binaryheap *heap;			/* of readers that have an entry */
	Group		last_group;		/* of the entry delivered last */
	char	   *last_group_bytes;
	Size		last_group_capacity;
	bool		started;
	uint64		ndelivered;

	/* the entry delivered last */
	RunEntry	entry;
	const Group *group;			/* valid until the next entry; NULL: no groups */
	bool		new_group;		/* its group is another one than before */
} TallyScan;

/* Scans all rows of a tally, to which nothing must be added before the end. */
extern TallyScan *TallyScanBegin(Tally *tally);

/* The same for some runs, with a window of this size for each that is in a file. */
extern TallyScan *RunsScanBegin(GroupType *type, int nruns, const Run *runs, Size window_size);
extern bool TallyScanNext(TallyScan *scan);
extern void TallyScanEnd(TallyScan *scan);

/* Merges runs into one. */
extern void RunsMerge(GroupType *type, int nruns, const Run *runs, Size window_size,
					  RunWriter *writer);

#endif							/* MTL_RANK_TALLY_H */
