/*
 * digest.h
 *	  SHA-256, by PostgreSQL's own cryptohash.
 */
#ifndef MTL_RANK_DIGEST_H
#define MTL_RANK_DIGEST_H

#include "postgres.h"

#define MTL_DIGEST_SIZE 32
#define MTL_DIGEST_HEX_SIZE (2 * MTL_DIGEST_SIZE)

typedef struct DigestChunk
{
	const void *data;
	Size		size;
} DigestChunk;

/* The SHA-256 of the chunks, one after the other. */
extern void DigestChunks(const DigestChunk *chunks, int nchunks, uint8 digest[MTL_DIGEST_SIZE]);

/* 64 lower-case hexadecimal digits, palloc'ed. */
extern char *DigestHex(const uint8 digest[MTL_DIGEST_SIZE]);

/* The digest of so many hexadecimal digits, of either case; false for anything else. */
extern bool DigestFromHex(const char *hex, uint8 digest[MTL_DIGEST_SIZE]);

#endif							/* MTL_RANK_DIGEST_H */
