/*
 * optimizer.h
 *	  Moves parameters against their gradients.
 *
 * Adam: Kingma and Ba 2015.  Adagrad: Duchi et al. 2011.  SGD with momentum as in
 * PyTorch.  FTRL-Proximal: McMahan et al. 2013, "Ad Click Prediction".  Of embedding
 * tables only the rows that the batch has touched move, and only their state.
 */
#ifndef MTL_RANK_OPTIMIZER_H
#define MTL_RANK_OPTIMIZER_H

#include "postgres.h"

#include "train/network.h"
#include "train/options.h"

typedef struct Optimizer Optimizer;

/* Bytes that the optimizer's state takes. */
extern Size OptimizerSize(const Network *network, const TrainOptions *options);

/* Allocates the state in the current context. */
extern Optimizer *OptimizerCreate(const Network *network, const TrainOptions *options);

/*
 * One step: adds the gradient of L2 penalties, clips, moves.  rate multiplies the
 * learning rates, but that of FTRL.
 */
extern void OptimizerStep(Optimizer *optimizer, Network *network, double rate);

/*
 * The factor of the learning rate for a step, counted from 0; with a floor of 0 it is
 * above that even in the last step.
 */
extern double ScheduleRate(const ScheduleOptions *schedule, int64 step, int64 steps_per_epoch, int64 steps);

#endif							/* MTL_RANK_OPTIMIZER_H */
