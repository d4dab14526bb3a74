/*
 * learner.h
 *	  Learns from rows what a spec leaves out: vocabularies, scaling, defaults, and
 *	  how large an index is.
 */
#ifndef MTL_RANK_LEARNER_H
#define MTL_RANK_LEARNER_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "model/container.h"
#include "train/columns.h"
#include "train/spec.h"

typedef struct Learner Learner;

/*
 * Prepares for rows with these columns, by feature, in the current context.
 * Vocabularies may take up to limit bytes.
 */
extern Learner *LearnerCreate(const TrainSpec *spec, const FeatureColumns *columns, Size limit);

/*
 * Takes over from a model that was trained before: its vocabularies' entries stay
 * where they are and new ones come after them, its scaling and defaults stay.
 */
extern void LearnerStartFrom(Learner *learner, const Contract *contract, ModelFile *file);

/* Takes a row into account. */
extern void LearnerObserve(Learner *learner, TupleTableSlot *row);

/* What was learnt. */
extern const Learnt *LearnerFinish(Learner *learner);

/* Frees the values that were counted, when their tensors have been made. */
extern void LearnerForget(Learner *learner);

/* The tensors of the vocabularies; *tensors is an array of the result's length. */
extern int	LearnerTensors(const Learner *learner, Tensor **tensors);

#endif							/* MTL_RANK_LEARNER_H */
