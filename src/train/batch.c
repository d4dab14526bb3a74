/*
 * batch.c
 *	  The rows of one step, decoded side by side.
 */
#include "postgres.h"

#include "model/memory.h"
#include "train/batch.h"

/* Rows that are fetched ahead. */
#define PREFETCHED 8

Size
BatchSize(const InputLayout *layout, int nlabels, int max_rows)
{
	return ((Size) layout->nfloats + layout->nids + nlabels + 1) * sizeof(float) * max_rows;
}

Batch *
BatchCreate(const RowFormat *format, const InputLayout *layout, int nlabels, bool weighted, int max_rows)
{
	Batch	   *batch = palloc0(sizeof(Batch));
	Size		rows = max_rows;

	batch->format = format;
	batch->nfloats = layout->nfloats;
	batch->nids = layout->nids;
	batch->nlabels = nlabels;
	batch->weighted = weighted;
	/* unused places of sequences are never written, but copied along */
	batch->floats = AllocateZeros(rows * batch->nfloats * sizeof(float));
	batch->ids = AllocateZeros(rows * batch->nids * sizeof(int32));
	batch->labels = AllocateLarge(rows * nlabels * sizeof(float));
	batch->weights = AllocateLarge(rows * sizeof(float));
	return batch;
}

/* Rows in random order are not in the CPU's cache. */
static inline void
Prefetch(const char *row)
{
#ifdef __GNUC__
	__builtin_prefetch(row);
#endif
}

void
BatchLoad(Batch *batch, const char *const *stored, const int *order, int n)
{
	batch->nrows = n;
	for (int i = 0; i < n; i++)
	{
		TrainRow	row = {batch->floats + (Size) i * batch->nfloats, batch->ids + (Size) i * batch->nids,
		batch->labels + (Size) i * batch->nlabels, 1};

		if (order && i + PREFETCHED < n)
			Prefetch(stored[order[i + PREFETCHED]]);
		RowDecode(batch->format, stored[order ? order[i] : i], &row);
		batch->weights[i] = row.weight;
	}
}

const float *
BatchWeights(const Batch *batch)
{
	return batch->weighted ? batch->weights : NULL;
}

int
BatchCount(int n, int size)
{
	return (n + size - 1) / size;
}

int
BatchBegin(int n, int count, int i)
{
	return (int) ((int64) n * i / count);
}
