/*
 * result.h
 *	  From a trained network to a model.
 */
#ifndef MTL_RANK_RESULT_H
#define MTL_RANK_RESULT_H

#include "postgres.h"

#include "train/prepare.h"

/*
 * The model of a training that has run, with the scores that the engine computes for
 * its examples, in the current context.
 */
extern MtlModel *ResultModel(const TrainCall *call);

#endif							/* MTL_RANK_RESULT_H */
