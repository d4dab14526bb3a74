/*
 * evaluate.c
 *	  How well a network does on rows that it is not trained on.
 *
 * The AUC is exact, and counted as mtl_auc does it (math/roc_area.h).  What orders
 * the scores is another thing than the aggregate's tally: scores of a network are
 * floats, as many in each epoch, so two arrays that training's memory is planned
 * with are enough, at 8 bytes a row, and nothing spills.  They are sorted by their bits
 * and digit by digit, so that a cancelled query need not wait for a sort of
 * millions.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "math/functions.h"
#include "math/roc_area.h"
#include "model/memory.h"
#include "train/evaluate.h"

#define DIGIT_BITS 11
#define NDIGITS (1 << DIGIT_BITS)
#define KEY_BITS 33				/* a score and, below it, a label */
#define ITEMS_PER_CHECK 1000000

/* What a task without an AUC is measured by. */
typedef struct Baseline
{
	double		weight;
	double		sum;			/* of labels, and of their squares */
	double		squares;
	double	   *classes;		/* weight of each */
} Baseline;

struct Evaluator
{
	int			nlosses;
	const TaskLoss *losses;
	uint64	  **items;			/* by loss; NULL: it has no AUC */
	int64	   *nitems;
	uint64	   *sorted;
	Baseline   *baselines;
	LossSum    *sums;
};

static bool
HasAuc(const TaskLoss *loss)
{
	return loss->kind == LOSS_BINARY || loss->kind == LOSS_PROBABILITY ||
		(loss->kind == LOSS_CLASSES && loss->task->type == TASK_BINARY);
}

Size
EvaluatorSize(int64 nrows, int nlosses, const TaskLoss *losses)
{
	int			n = 1;

	for (int i = 0; i < nlosses; i++)
		n += HasAuc(&losses[i]) ? 1 : 0;
	return sizeof(uint64) * nrows * n;
}

Evaluator *
EvaluatorCreate(int64 nrows, int nlosses, const TaskLoss *losses)
{
	Evaluator  *evaluator = palloc0(sizeof(Evaluator));
	Size		size = sizeof(uint64) * Max(nrows, 1);

	if (nrows > ROC_AREA_MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("training has %lld validation rows, the limit is %lld",
						(long long) nrows, (long long) ROC_AREA_MAX_ROWS),
				 errhint("Take a sample of them.")));
	evaluator->nlosses = nlosses;
	evaluator->losses = losses;
	evaluator->items = palloc0(sizeof(uint64 *) * nlosses);
	evaluator->nitems = palloc0(sizeof(int64) * nlosses);
	evaluator->sorted = AllocateLarge(size);
	evaluator->baselines = palloc0(sizeof(Baseline) * nlosses);
	evaluator->sums = palloc0(sizeof(LossSum) * nlosses);
	for (int i = 0; i < nlosses; i++)
	{
		if (HasAuc(&losses[i]))
			evaluator->items[i] = AllocateLarge(size);
		evaluator->baselines[i].classes = palloc0(sizeof(double) * Max(losses[i].task->nclasses, 1));
	}
	return evaluator;
}

/* -------------------------------------------------------------------- AUC */

/* A score, which is no NaN, as an integer of the same order; then the label. */
static uint64
MakeItem(float score, bool label)
{
	uint32		bits;

	score += 0.0f;				/* of the two zeros only one */
	memcpy(&bits, &score, sizeof(bits));
	bits = (bits & 0x80000000) ? ~bits : bits | 0x80000000;
	return (uint64) bits << 1 | (label ? 1 : 0);
}

/* Sorts by digits, the lowest first; the result is in one of the two arrays. */
static uint64 *
SortItems(int64 n, uint64 *items, uint64 *other)
{
	for (int shift = 0; shift < KEY_BITS; shift += DIGIT_BITS)
	{
		int64		begins[NDIGITS] = {0};
		int64		position = 0;
		uint64	   *swap = items;

		for (int64 i = 0; i < n; i++)
		{
			if (i % ITEMS_PER_CHECK == 0)
				CHECK_FOR_INTERRUPTS();
			begins[items[i] >> shift & (NDIGITS - 1)]++;
		}
		for (int d = 0; d < NDIGITS; d++)
		{
			int64		count = begins[d];

			begins[d] = position;
			position += count;
		}
		for (int64 i = 0; i < n; i++)
		{
			if (i % ITEMS_PER_CHECK == 0)
				CHECK_FOR_INTERRUPTS();
			other[begins[items[i] >> shift & (NDIGITS - 1)]++] = items[i];
		}
		items = other;
		other = swap;
	}
	return items;
}

/* NaN if all labels are the same. */
static double
Auc(int64 n, uint64 *items, uint64 *other)
{
	const uint64 *sorted = SortItems(n, items, other);
	RocArea		area = {0};
	double		value;

	for (int64 i = n - 1; i >= 0; i--)
	{
		if (i % ITEMS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		RocAreaAdd(&area, sorted[i] >> 1, (sorted[i] & 1) == 1, 1);
	}
	return RocAreaValue(&area, &value) ? value : NAN;
}

/* --------------------------------------------------------------- measures */

static void
ObserveBatch(Evaluator *evaluator, const Network *network, const Batch *batch)
{
	for (int i = 0; i < evaluator->nlosses; i++)
	{
		const TaskLoss *loss = &evaluator->losses[i];
		LossSum		sum = LossCompute(network, loss, batch->labels, batch->nlabels, BatchWeights(batch));
		Baseline   *baseline = &evaluator->baselines[i];

		evaluator->sums[i].loss += sum.loss;
		evaluator->sums[i].weight += sum.weight;
		for (int r = 0; r < batch->nrows; r++)
		{
			float		label = batch->labels[(Size) r * batch->nlabels + loss->label];
			double		weight = batch->weights[r];

			if (isnan(label) || weight == 0)
				continue;
			if (evaluator->items[i])
				evaluator->items[i][evaluator->nitems[i]++] =
					MakeItem((float) LossScore(network, loss, r, 1), label == 1);
			else if (loss->kind == LOSS_CLASSES)
				baseline->classes[(int) label] += weight;
			else
			{
				baseline->sum += weight * label;
				baseline->squares += weight * label * label;
			}
			baseline->weight += weight;
		}
	}
}

/* The mean loss of a task that is given its mean, or its classes' frequencies. */
static double
BaselineLoss(const Baseline *baseline, const TaskLoss *loss)
{
	double		mean = baseline->sum / baseline->weight;
	double		entropy = 0;

	if (loss->kind == LOSS_SQUARED)
		return baseline->squares / baseline->weight - mean * mean;
	for (int k = 0; k < loss->task->nclasses; k++)
	{
		double		share = baseline->classes[k] / baseline->weight;

		if (share > 0)
			entropy -= share * MtlLog(share);
	}
	return entropy;
}

static void
Measure(Evaluator *evaluator, int i, TaskMetric *metric)
{
	const Baseline *baseline = &evaluator->baselines[i];
	const LossSum *sum = &evaluator->sums[i];
	double		base;

	metric->loss = sum->weight > 0 ? sum->loss / sum->weight : NAN;
	metric->auc = NAN;
	if (evaluator->items[i])
	{
		metric->auc = Auc(evaluator->nitems[i], evaluator->items[i], evaluator->sorted);
		metric->figure = metric->auc;
		return;
	}
	base = BaselineLoss(baseline, &evaluator->losses[i]);
	metric->figure = base > 0 ? 1 - metric->loss / base : -metric->loss;
}

static void
Reset(Evaluator *evaluator)
{
	for (int i = 0; i < evaluator->nlosses; i++)
	{
		Baseline   *baseline = &evaluator->baselines[i];

		evaluator->nitems[i] = 0;
		evaluator->sums[i] = (LossSum) {0, 0};
		baseline->weight = baseline->sum = baseline->squares = 0;
		memset(baseline->classes, 0, sizeof(double) * Max(evaluator->losses[i].task->nclasses, 1));
	}
}

void
Evaluate(Evaluator *evaluator, Network *network, RowStore *rows, Batch *batch, TaskMetric *metrics)
{
	Reset(evaluator);
	for (int p = 0; p < RowStorePartitions(rows); p++)
	{
		int			n = RowStorePartitionRows(rows, p);
		int			count = BatchCount(n, network->max_rows);
		const char *const *stored = RowStoreLoad(rows, p);

		for (int i = 0; i < count; i++)
		{
			int			begin = BatchBegin(n, count, i);

			CHECK_FOR_INTERRUPTS();
			BatchLoad(batch, stored + begin, NULL, BatchBegin(n, count, i + 1) - begin);
			NetworkForward(network, batch->nrows, batch->floats, batch->ids, false, NULL);
			ObserveBatch(evaluator, network, batch);
		}
	}
	for (int i = 0; i < evaluator->nlosses; i++)
		Measure(evaluator, i, &metrics[i]);
}
