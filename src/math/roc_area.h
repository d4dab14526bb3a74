/*
 * roc_area.h
 *	  The area under the ROC curve, from labels in the order of their scores.
 *
 * The area is the share of pairs of a positive and a negative row in which the
 * positive one has the higher score, a tie being half a pair (Mann and Whitney,
 * 1947): the same as scikit-learn's roc_auc_score, which is the area below the
 * polygon with a point per different score.  Pairs are counted in integers.
 */
#ifndef MTL_RANK_ROC_AREA_H
#define MTL_RANK_ROC_AREA_H

#include "postgres.h"

/* Twice the pairs of so many rows fit 64 bits; more must not be added. */
#define ROC_AREA_MAX_ROWS ((int64) PG_UINT32_MAX)

/* All zeros: no rows. */
typedef struct RocArea
{
	int64		positives;
	int64		negatives;
	uint64		won;			/* twice the pairs that the positive row has won */

	/* rows of the score that is being counted */
	uint64		key;
	int64		tied_positives;
	int64		tied_negatives;
} RocArea;

/*
 * Counts the pairs of the negative rows of one score: they lose to all positive
 * rows above, and tie with those beside them.
 */
static inline void
RocAreaEndScore(RocArea *area)
{
	area->won += (uint64) area->tied_negatives * (2 * area->positives + area->tied_positives);
	area->positives += area->tied_positives;
	area->negatives += area->tied_negatives;
	area->tied_positives = area->tied_negatives = 0;
}

/*
 * Adds rows of one label and score, whose scores must come from the highest down;
 * a key is any number that is the same for equal scores only.
 */
static inline void
RocAreaAdd(RocArea *area, uint64 key, bool positive, int64 count)
{
	if (key != area->key)
		RocAreaEndScore(area);
	area->key = key;
	if (positive)
		area->tied_positives += count;
	else
		area->tied_negatives += count;
}

static inline int64
RocAreaRows(const RocArea *area)
{
	return area->positives + area->negatives + area->tied_positives + area->tied_negatives;
}

/* The area of all rows; false if there is only one class. */
static inline bool
RocAreaValue(RocArea *area, double *value)
{
	RocAreaEndScore(area);
	if (area->positives == 0 || area->negatives == 0)
		return false;
	*value = (double) area->won / (2 * (double) area->positives * (double) area->negatives);
	return true;
}

#endif							/* MTL_RANK_ROC_AREA_H */
