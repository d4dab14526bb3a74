/*
 * result.h
 *	  From a trained network to a model.
 */
#ifndef MTL_RANK_RESULT_H
#define MTL_RANK_RESULT_H

#include "postgres.h"

#include "model/model_value.h"
#include "train/learner.h"
#include "train/loop.h"
#include "train/spec.h"

/* All that the model is made of. */
typedef struct ResultParts
{
	const TrainSpec *spec;
	const Learnt *learnt;
	int			nvocabulary_tensors;
	const Tensor *vocabulary_tensors;
	const Training *training;
	int64		validation_rows;
	int			nexamples;
	const char *examples;		/* JSON text of an array of rows, in the database's encoding */
	const char *query;
	const Jsonb *options;
	int			nstart;			/* tensors that were taken over, -1: no warm start */
} ResultParts;

/*
 * The model, with the scores that the engine computes for its examples, in the
 * current context.
 */
extern MtlModel *ResultModel(const ResultParts *parts);

#endif							/* MTL_RANK_RESULT_H */
