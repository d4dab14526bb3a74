/*
 * weighting.h
 *	  How the losses of the tasks become one gradient.
 *
 * fixed: w_k * gamma_k^epoch (Tang et al. 2020, PLE).  uncertainty: Kendall et al.
 * 2018.  gradnorm: Chen et al. 2018.  dwa: Liu et al. 2019, "End-To-End Multi-Task
 * Learning with Attention".  pcgrad: Yu et al. 2020.
 */
#ifndef MTL_RANK_WEIGHTING_H
#define MTL_RANK_WEIGHTING_H

#include "postgres.h"

#include "train/calibrator.h"
#include "train/loss.h"
#include "train/options.h"

typedef struct Weighting Weighting;

/* Bytes that the weighting keeps besides: gradients of each task by itself. */
extern Size WeightingSize(const Network *network, const TrainOptions *options, int nlosses);

/* A calibrator's gradient is added to that of the losses, whatever these weigh; NULL: there is none. */
extern Weighting *WeightingCreate(Network *network, const TrainOptions *options,
								  int nlosses, const TaskLoss *losses, const Calibrator *calibrator);

/*
 * Fills the gradients of parameters for the batch that went forward last; sums are
 * the losses' of LossCompute().
 */
extern void WeightingBackward(Weighting *weighting, Network *network, const float *labels, int nlabels,
							  const float *weights, const LossSum *sums);

/* At the end of an epoch, with its mean losses. */
extern void WeightingEpoch(Weighting *weighting, const double *losses);

/* The weight of each loss now. */
extern const double *WeightingWeights(const Weighting *weighting);

#endif							/* MTL_RANK_WEIGHTING_H */
