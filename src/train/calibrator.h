/*
 * calibrator.h
 *	  AITM's behavioral expectation calibrator: a loss for scores that contradict
 *	  a chain of tasks.
 *
 * Where a task implies the one before it (a purchase a click), it cannot be more
 * probable.  Added to the loss is
 *
 *		weight * mean over rows of the sum over k of max(p[k] - p[k - 1], 0)
 *
 * over all rows, whether or not they have labels, weighted by the rows' weights
 * (Xi et al., KDD 2021, section 3.4).
 */
#ifndef MTL_RANK_CALIBRATOR_H
#define MTL_RANK_CALIBRATOR_H

#include "postgres.h"

#include "train/loss.h"
#include "train/options.h"

typedef struct Calibrator
{
	double		weight;
	int			nops;
	int		   *ops;			/* that make the scores, along the chain */
} Calibrator;

/* NULL: the options ask for none. */
extern Calibrator *CalibratorCreate(const Graph *graph, const CalibratorOptions *options);

/* Of the batch that went forward last, before it is multiplied by the weight; weights as in LossCompute(). */
extern LossSum CalibratorCompute(const Calibrator *calibrator, const Network *network, const float *weights);

/* Adds the gradient, with the calibrator's weight, to the scores'. */
extern void CalibratorBackward(const Calibrator *calibrator, Network *network, const float *weights);

#endif							/* MTL_RANK_CALIBRATOR_H */
