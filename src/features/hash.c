/*
 * hash.c
 *	  FarmHash's Fingerprint64.
 *
 * There is one scheme for each range of lengths: up to 16, up to 32, up to 64,
 * and any more bytes.  All sums and products are modulo 2^64.
 */
#include "postgres.h"

#include "port/pg_bswap.h"

#include "features/hash.h"

/* the primes of the CityHash family */
#define K0 UINT64CONST(0xC3A5C85C97CB3127)
#define K1 UINT64CONST(0xB492B66FBE98F273)
#define K2 UINT64CONST(0x9AE16A3B2F90404F)

typedef struct WordPair
{
	uint64		first;
	uint64		second;
} WordPair;

/* 8 bytes as a little-endian number. */
static inline uint64
Word(const char *data)
{
	uint64		word;

	memcpy(&word, data, sizeof(word));
#ifdef WORDS_BIGENDIAN
	word = pg_bswap64(word);
#endif
	return word;
}

/* 4 bytes as a little-endian number. */
static inline uint64
HalfWord(const char *data)
{
	uint32		word;

	memcpy(&word, data, sizeof(word));
#ifdef WORDS_BIGENDIAN
	word = pg_bswap32(word);
#endif
	return word;
}

static inline uint64
RotateRight(uint64 word, int bits)
{
	return (word >> bits) | (word << (64 - bits));
}

static inline uint64
FoldHigh(uint64 word)
{
	return word ^ (word >> 47);
}

/* Murmur's finisher, with a multiplier that depends on the length. */
static inline uint64
Mix(uint64 u, uint64 v, uint64 multiplier)
{
	uint64		a = FoldHigh((u ^ v) * multiplier);

	return FoldHigh((v ^ a) * multiplier) * multiplier;
}

static uint64
HashUpTo16(const char *data, Size length)
{
	uint64		multiplier = K2 + 2 * length;

	if (length >= 8)
	{
		uint64		a = Word(data) + K2;
		uint64		b = Word(data + length - 8);

		return Mix(RotateRight(b, 37) * multiplier + a,
				   (RotateRight(a, 25) + b) * multiplier,
				   multiplier);
	}
	if (length >= 4)
		return Mix(length + (HalfWord(data) << 3), HalfWord(data + length - 4), multiplier);
	if (length > 0)
	{
		uint64		first = (unsigned char) data[0];
		uint64		middle = (unsigned char) data[length / 2];
		uint64		last = (unsigned char) data[length - 1];

		return FoldHigh((first + (middle << 8)) * K2 ^ (length + (last << 2)) * K0) * K2;
	}
	return K2;
}

/*
 * The core of the two middle ranges: the first and the last 16 bytes, their
 * first word multiplied by a prime of the range.
 */
static inline WordPair
HashEnds(const char *data, Size length, uint64 prime, uint64 multiplier)
{
	uint64		a = Word(data) * prime;
	uint64		b = Word(data + 8);
	uint64		c = Word(data + length - 8) * multiplier;
	uint64		d = Word(data + length - 16) * K2;
	WordPair	result;

	result.first = RotateRight(a + b, 43) + RotateRight(c, 30) + d;
	result.second = Mix(result.first, a + RotateRight(b + K2, 18) + c, multiplier);
	return result;
}

static uint64
Hash17To32(const char *data, Size length)
{
	return HashEnds(data, length, K1, K2 + 2 * length).second;
}

static uint64
Hash33To64(const char *data, Size length)
{
	uint64		multiplier = K2 + 2 * length;
	WordPair	ends = HashEnds(data, length, K2, multiplier);
	uint64		a = Word(data + 16) * multiplier;
	uint64		b = Word(data + 24);
	uint64		c = (ends.first + Word(data + length - 32)) * multiplier;
	uint64		d = (ends.second + Word(data + length - 24)) * multiplier;

	return Mix(RotateRight(a + b, 43) + RotateRight(c, 30) + d,
			   a + RotateRight(b + Word(data) * K2, 18) + c,
			   multiplier);
}

/* 32 bytes and two seeds into two words. */
static inline WordPair
Mix32Bytes(const char *data, uint64 a, uint64 b)
{
	uint64		last = Word(data + 24);
	uint64		start;
	WordPair	result;

	a += Word(data);
	b = RotateRight(b + a + last, 21);
	start = a;
	a += Word(data + 8) + Word(data + 16);
	b += RotateRight(a, 44);
	result.first = a + last;
	result.second = b + start;
	return result;
}

/* The state of the last scheme, which takes in 64 bytes at a time. */
typedef struct LongState
{
	uint64		x;
	uint64		y;
	uint64		z;
	WordPair	v;
	WordPair	w;
} LongState;

/*
 * Takes in 64 bytes.  weight is 1 for all blocks but the last, where it is 9.
 * x and z change places at the end.
 */
static inline void
AddBlock(LongState *state, const char *data, uint64 multiplier, uint64 weight)
{
	uint64		x = RotateRight(state->x + state->y + state->v.first + Word(data + 8), 37) * multiplier;
	uint64		y = RotateRight(state->y + state->v.second + Word(data + 48), 42) * multiplier;
	uint64		z = RotateRight(state->z + state->w.first, 33) * multiplier;

	x ^= state->w.second * weight;
	y += state->v.first * weight + Word(data + 40);
	state->v = Mix32Bytes(data, state->v.second * multiplier, x + state->w.first);
	state->w = Mix32Bytes(data + 32, z + state->w.second, y + Word(data + 16));
	state->x = z;
	state->y = y;
	state->z = x;
}

static uint64
HashAbove64(const char *data, Size length)
{
	const uint64 seed = 81;
	const char *last_block = data + length - 64;
	LongState	state = {0};
	uint64		multiplier;

	state.x = seed * K2 + Word(data);
	state.y = seed * K1 + 113;
	state.z = FoldHigh(state.y * K2 + 113) * K2;

	/* at least one byte is left for the last block, which may overlap */
	for (Size done = 0; done < (length - 1) / 64 * 64; done += 64)
		AddBlock(&state, data + done, K1, 1);

	multiplier = K1 + ((state.z & 0xFF) << 1);
	state.w.first += (length - 1) & 63;
	state.v.first += state.w.first;
	state.w.first += state.v.first;
	AddBlock(&state, last_block, multiplier, 9);

	return Mix(Mix(state.v.first, state.w.first, multiplier) + FoldHigh(state.y) * K0 + state.z,
			   Mix(state.v.second, state.w.second, multiplier) + state.x,
			   multiplier);
}

uint64
Fingerprint64(const char *data, Size length)
{
	if (length <= 16)
		return HashUpTo16(data, length);
	if (length <= 32)
		return Hash17To32(data, length);
	if (length <= 64)
		return Hash33To64(data, length);
	return HashAbove64(data, length);
}
