/*
 * replay.h
 *	  Scores of a model's examples, one after the other.
 */
#ifndef MTL_RANK_REPLAY_H
#define MTL_RANK_REPLAY_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "cache/loaded_model.h"

typedef struct Replay Replay;

/* Prepares for a model, which must live as long; in the current context. */
extern Replay *ReplayCreate(const LoadedModel *model);

/*
 * All outputs of a row in its jsonb form, good until the next call.  Errors say that they
 * come from the example of this number.
 */
extern const float *ReplayExample(Replay *replay, int number, const Jsonb *row);

#endif							/* MTL_RANK_REPLAY_H */
