/*
 * ndcg.c
 *	  mtl_ndcg: how much of the relevance is ranked high, in the mean over groups.
 *
 * The gain of a group is the sum of its labels, each times the discount of its
 * rank, 1 / log2(1 + rank), over the first k ranks (Järvelin and Kekäläinen, 2002).
 * Rows with the same score share the mean of their labels (McSherry and Najork,
 * 2008).  Divided by the gain of the best order it is the group's value, 0 where
 * nothing is relevant.  All of this is as in scikit-learn's ndcg_score.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"

#include "compat.h"
#include "math/exact_sum.h"
#include "math/functions.h"
#include "metrics/arguments.h"
#include "metrics/tally_state.h"

MTL_FUNCTION(mtl_ndcg_add_boolean);
MTL_FUNCTION(mtl_ndcg_add_double);
MTL_FUNCTION(mtl_ndcg_result);

#define LN2				0.69314718055994530942

/* Discounts that are computed once. */
#define KEPT_DISCOUNTS	1024

/* Different labels of a group that need no tally: grades are few. */
#define FEW_LABELS		32

/* Ranks between two looks for a cancelled query. */
#define RANKS_PER_CHECK 65536

/* The labels of a group by themselves, for the best order. */
typedef struct IdealOrder
{
	int			nlabels;
	double		labels[FEW_LABELS]; /* falling */
	int64		counts[FEW_LABELS];
	TallyPool  *pool;			/* NULL: none yet */
	Tally	   *tally;			/* of all labels, when they are more; the label there is the count */
	bool		use_tally;
} IdealOrder;

typedef struct Ndcg
{
	int64		k;
	double		discounts[KEPT_DISCOUNTS];
	int			ndiscounts;

	/* the group that is being read, from the highest score down */
	int64		rank;			/* rows of higher scores */
	uint64		key;
	double		tied_labels;	/* sum of the labels with this score */
	int64		tied_rows;
	ExactSum	gain;
	IdealOrder	ideal;

	ExactSum	values;			/* of the groups before */
	int64		ngroups;
} Ndcg;

/* ----------
 * rows
 * ----------
 */

/* 0 stands for no limit. */
static int32
LimitArgument(FunctionCallInfo fcinfo)
{
	int32		k;

	if (PG_ARGISNULL(3))
		return 0;
	k = PG_GETARG_INT32(3);
	if (k < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k is %d, expected at least 1", k),
				 errhint("Use NULL for all ranks.")));
	return k;
}

static Datum
AddRow(FunctionCallInfo fcinfo, double label)
{
	double		score = FiniteScore(PG_GETARG_FLOAT8(2));
	Tally	   *tally = TallyStateGet(fcinfo, 4, (TallyParameter) {TALLY_K, LimitArgument(fcinfo)});

	TallyStateAdd(fcinfo, tally, 4, score, label);
	PG_RETURN_POINTER(tally);
}

Datum
mtl_ndcg_add_boolean(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddRow(fcinfo, PG_GETARG_BOOL(1));
}

Datum
mtl_ndcg_add_double(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddRow(fcinfo, GradedLabel(PG_GETARG_FLOAT8(1)));
}

/* ----------
 * gains
 * ----------
 */

/* Of a rank that counts from 0. */
static double
Discount(Ndcg *ndcg, int64 rank)
{
	if (rank >= KEPT_DISCOUNTS)
		return LN2 / MtlLog((double) rank + 2);
	for (; ndcg->ndiscounts <= rank; ndcg->ndiscounts++)
		ndcg->discounts[ndcg->ndiscounts] = LN2 / MtlLog((double) ndcg->ndiscounts + 2);
	return ndcg->discounts[rank];
}

/* The discounts of n ranks, 0 from rank k on. */
static double
SumDiscounts(Ndcg *ndcg, int64 rank, int64 n)
{
	int64		end = Min(rank + n, ndcg->k);
	double		sum = 0;

	for (; rank < end; rank++)
	{
		if (rank % RANKS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		sum += Discount(ndcg, rank);
	}
	return sum;
}

static void
AddGain(ExactSum *sum, double gain)
{
	if (!isfinite(gain))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("labels of a group are too large to be added"),
				 errhint("Scale the labels.")));
	ExactSumAdd(sum, gain);
}

/* Rows of one score share the mean of their labels. */
static void
EndScore(Ndcg *ndcg)
{
	if (ndcg->tied_rows == 0)
		return;
	AddGain(&ndcg->gain,
			ndcg->tied_labels / ndcg->tied_rows * SumDiscounts(ndcg, ndcg->rank, ndcg->tied_rows));
	ndcg->rank += ndcg->tied_rows;
	ndcg->tied_rows = 0;
	ndcg->tied_labels = 0;
}

/* ----------
 * the best order
 * ----------
 */

static void
IdealTallyAdd(IdealOrder *ideal, double label, int64 count)
{
	TallyAdd(ideal->tally, NULL, TallyKey(label), (double) count);
}

/* There are more labels than a few: from now on a tally has them. */
static void
UseTally(IdealOrder *ideal)
{
	if (ideal->tally == NULL)
	{
		ideal->pool = TallyPoolCreate(InvalidOid, InvalidOid, CurrentMemoryContext);
		ideal->tally = TallyCreate(ideal->pool, (TallyParameter) {TALLY_NO_PARAMETER, 0},
								   CurrentMemoryContext);
	}
	for (int i = 0; i < ideal->nlabels; i++)
		IdealTallyAdd(ideal, ideal->labels[i], ideal->counts[i]);
	ideal->use_tally = true;
}

static void
IdealAdd(IdealOrder *ideal, double label, int64 count)
{
	int			place = 0;

	if (label == 0)
		return;
	if (!ideal->use_tally)
	{
		while (place < ideal->nlabels && ideal->labels[place] > label)
			place++;
		if (place < ideal->nlabels && ideal->labels[place] == label)
		{
			ideal->counts[place] += count;
			return;
		}
		if (ideal->nlabels == FEW_LABELS)
			UseTally(ideal);
	}
	if (ideal->use_tally)
	{
		IdealTallyAdd(ideal, label, count);
		return;
	}
	for (int i = ideal->nlabels++; i > place; i--)
	{
		ideal->labels[i] = ideal->labels[i - 1];
		ideal->counts[i] = ideal->counts[i - 1];
	}
	ideal->labels[place] = label;
	ideal->counts[place] = count;
}

/* Adds the gain of the next rows in the best order; returns the ranks that they take. */
static int64
AddIdealGain(Ndcg *ndcg, ExactSum *gain, int64 rank, double label, int64 count)
{
	AddGain(gain, label * SumDiscounts(ndcg, rank, count));
	return count;
}

static double
IdealGain(Ndcg *ndcg)
{
	IdealOrder *ideal = &ndcg->ideal;
	ExactSum	gain = {.additions = 0};
	int64		rank = 0;

	if (ideal->use_tally)
	{
		TallyScan  *scan = TallyScanBegin(ideal->tally);

		while (rank < ndcg->k && TallyScanNext(scan))
			rank += AddIdealGain(ndcg, &gain, rank, TallyScore(scan->entry.key),
								 (int64) scan->entry.label * scan->entry.count);
		TallyScanEnd(scan);
		TallyReset(ideal->tally);
	}
	else
	{
		for (int i = 0; i < ideal->nlabels && rank < ndcg->k; i++)
			rank += AddIdealGain(ndcg, &gain, rank, ideal->labels[i], ideal->counts[i]);
	}
	ideal->use_tally = false;
	ideal->nlabels = 0;
	return ExactSumValue(&gain);
}

/* ----------
 * groups
 * ----------
 */

static void
EndGroup(Ndcg *ndcg)
{
	double		gain;
	double		best;

	EndScore(ndcg);
	gain = ExactSumValue(&ndcg->gain);
	best = IdealGain(ndcg);
	if (best > 0)
		AddGain(&ndcg->values, gain / best);
	ndcg->ngroups++;
	ndcg->rank = 0;
	memset(&ndcg->gain, 0, sizeof(ExactSum));
}

static void
AddEntry(Ndcg *ndcg, const RunEntry *entry)
{
	if (entry->key != ndcg->key)
		EndScore(ndcg);
	ndcg->key = entry->key;
	ndcg->tied_labels += entry->label * entry->count;
	ndcg->tied_rows += entry->count;
	IdealAdd(&ndcg->ideal, entry->label, entry->count);
}

Datum
mtl_ndcg_result(PG_FUNCTION_ARGS)
{
	Tally	   *tally;
	TallyScan  *scan;
	Ndcg	   *ndcg;
	int32		k;
	bool		first = true;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	tally = (Tally *) PG_GETARG_POINTER(0);
	ndcg = palloc0(sizeof(Ndcg));
	k = TallyGetParameter(tally)->value;
	ndcg->k = k == 0 ? PG_INT64_MAX : k;
	scan = TallyScanBegin(tally);
	while (TallyScanNext(scan))
	{
		if (scan->new_group && !first)
			EndGroup(ndcg);
		first = false;
		AddEntry(ndcg, &scan->entry);
	}
	TallyScanEnd(scan);
	if (first)
		PG_RETURN_NULL();
	EndGroup(ndcg);
	PG_RETURN_FLOAT8(ExactSumValue(&ndcg->values) / ndcg->ngroups);
}
