/*
 * rows.h
 *	  Encoded rows of a training, compact, in memory or in temporary files.
 *
 * Rows lie in partitions, each of which fits in memory.  As long as all of them fit
 * together they stay there; from the row on that does not, they are in temporary
 * files, one for each partition.  Which rows come in which order does not depend on
 * where they are.
 */
#ifndef MTL_RANK_ROWS_H
#define MTL_RANK_ROWS_H

#include "postgres.h"

#include "graph/input.h"

/* One decoded row. */
typedef struct TrainRow
{
	float	   *floats;			/* as in graph/input.h */
	int32	   *ids;
	float	   *labels;			/* one per label column, NaN: none */
	float		weight;
} TrainRow;

typedef struct RowFormat RowFormat;
typedef struct RowStore RowStore;

/* Memory that stores share. */
typedef struct RowMemory
{
	Size		limit;
	Size		used;
} RowMemory;

/* nlabels numbers and, if weighted, a weight go with each encoded row. */
extern RowFormat *RowFormatCreate(const InputLayout *layout, int nlabels, bool weighted);

/* Bytes that a row takes at most. */
extern Size RowFormatMaxSize(const RowFormat *format);

/* Reads a stored row into the arrays of *row, which the caller provides. */
extern void RowDecode(const RowFormat *format, const char *stored, TrainRow *row);

/*
 * An empty store; memory counts what it and others keep.  what is "training rows"
 * or the like.
 */
extern RowStore *RowStoreCreate(const RowFormat *format, RowMemory *memory, const char *what);

/* Adds a row to a partition, which need not exist yet. */
extern void RowStoreAdd(RowStore *store, int partition, const TrainRow *row);

extern const RowFormat *RowStoreFormat(const RowStore *store);
extern int64 RowStoreRows(const RowStore *store);
extern int	RowStorePartitions(const RowStore *store);
extern int	RowStorePartitionRows(const RowStore *store, int partition);

/* Moves all rows to temporary files. */
extern void RowStoreSpill(RowStore *store);

/* Bytes in temporary files, 0 when all rows are in memory. */
extern Size RowStoreSpilled(const RowStore *store);

/*
 * The stored rows of a partition, valid until the next one is loaded.
 */
extern const char *const *RowStoreLoad(RowStore *store, int partition);

/* Gives back memory and files. */
extern void RowStoreFree(RowStore *store);

#endif							/* MTL_RANK_ROWS_H */
