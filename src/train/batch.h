/*
 * batch.h
 *	  The rows of one step, decoded side by side.
 */
#ifndef MTL_RANK_BATCH_H
#define MTL_RANK_BATCH_H

#include "postgres.h"

#include "train/rows.h"

typedef struct Batch
{
	const RowFormat *format;
	int			nfloats;		/* per row */
	int			nids;
	int			nlabels;
	bool		weighted;
	int			nrows;
	float	   *floats;
	int32	   *ids;
	float	   *labels;
	float	   *weights;		/* by row */
} Batch;

/* Bytes of a batch. */
extern Size BatchSize(const InputLayout *layout, int nlabels, int max_rows);

extern Batch *BatchCreate(const RowFormat *format, const InputLayout *layout, int nlabels,
						  bool weighted, int max_rows);

/* Decodes n stored rows, those at order[0 .. n), or the first n when order is NULL. */
extern void BatchLoad(Batch *batch, const char *const *stored, const int *order, int n);

/* The weights for losses: NULL when all are 1. */
extern const float *BatchWeights(const Batch *batch);

/*
 * Into how many batches of at most size rows n rows are divided, and where batch i
 * begins.  Batches differ by one row at most, so that none is left with a few.
 */
extern int	BatchCount(int n, int size);
extern int	BatchBegin(int n, int count, int i);

#endif							/* MTL_RANK_BATCH_H */
