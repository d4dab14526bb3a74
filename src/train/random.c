/*
 * random.c
 *	  Random numbers of a training.
 */
#include "postgres.h"

#include "train/random.h"

void
RandomSeed(pg_prng_state *state, int64 seed, RandomPurpose purpose, int64 counter)
{
	/* seeding mixes bits, so that neighbours have nothing in common */
	pg_prng_seed(state, (uint64) seed);
	pg_prng_seed(state, pg_prng_uint64(state) + (uint64) purpose);
	pg_prng_seed(state, pg_prng_uint64(state) + (uint64) counter);
}

uint64
RandomBelow(pg_prng_state *state, uint64 n)
{
	return pg_prng_uint64_range(state, 0, n - 1);
}

double
RandomUniform(pg_prng_state *state, double bound)
{
	return (2 * pg_prng_double(state) - 1) * bound;
}

void
RandomShuffle(pg_prng_state *state, int n, int *numbers)
{
	for (int i = n - 1; i > 0; i--)
	{
		int			k = (int) RandomBelow(state, (uint64) i + 1);
		int			number = numbers[i];

		numbers[i] = numbers[k];
		numbers[k] = number;
	}
}
