/*
 * random.h
 *	  Random numbers of a training: one stream for each purpose, all from the seed,
 *	  so that a change in how many one of them draws does not move the others.
 */
#ifndef MTL_RANK_RANDOM_H
#define MTL_RANK_RANDOM_H

#include "common/pg_prng.h"

typedef enum RandomPurpose
{
	RANDOM_INITIAL,				/* weights; the counter is the parameter */
	RANDOM_DEAL,				/* which rows validate, which lie together */
	RANDOM_EXAMPLES,
	RANDOM_SHUFFLE,				/* the counter is the epoch */
	RANDOM_DROPOUT,				/* the counter is the step */
	RANDOM_SURGERY				/* PCGrad's order of tasks */
} RandomPurpose;

/* Seeds the stream of a purpose. */
extern void RandomSeed(pg_prng_state *state, int64 seed, RandomPurpose purpose, int64 counter);

/* A number in [0, n). */
extern uint64 RandomBelow(pg_prng_state *state, uint64 n);

/* A number in [-bound, bound). */
extern double RandomUniform(pg_prng_state *state, double bound);

/* Puts n numbers in random order. */
extern void RandomShuffle(pg_prng_state *state, int n, int *numbers);

#endif							/* MTL_RANK_RANDOM_H */
