/*
 * digest.c
 *	  SHA-256, by PostgreSQL's own cryptohash.
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "model/digest.h"
#include "model/memory.h"

StaticAssertDecl(MTL_DIGEST_SIZE == PG_SHA256_DIGEST_LENGTH, "digest size is SHA-256's");

static bool
Update(pg_cryptohash_ctx *context, const DigestChunk *chunk)
{
	const char *data = chunk->data;
	bool		ok = true;

	for (Size done = 0; ok && done < chunk->size; done += MTL_BYTES_PER_CHECK)
	{
		CHECK_FOR_INTERRUPTS();
		ok = pg_cryptohash_update(context, (const uint8 *) data + done,
								  Min(chunk->size - done, MTL_BYTES_PER_CHECK)) >= 0;
	}
	return ok;
}

void
DigestChunks(const DigestChunk *chunks, int nchunks, uint8 digest[MTL_DIGEST_SIZE])
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);
	bool		ok;

	if (context == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));

	/* an error releases the context with the resource owner */
	ok = pg_cryptohash_init(context) >= 0;
	for (int i = 0; ok && i < nchunks; i++)
		ok = Update(context, &chunks[i]);
	ok = ok && pg_cryptohash_final(context, digest, MTL_DIGEST_SIZE) >= 0;
	if (!ok)
	{
		const char *reason = pg_cryptohash_error(context);

		pg_cryptohash_free(context);
		elog(ERROR, "could not compute SHA-256 hash: %s", reason);
	}
	pg_cryptohash_free(context);
}

char *
DigestHex(const uint8 digest[MTL_DIGEST_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char	   *hex = palloc(MTL_DIGEST_HEX_SIZE + 1);

	for (int i = 0; i < MTL_DIGEST_SIZE; i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 0xF];
	}
	hex[MTL_DIGEST_HEX_SIZE] = '\0';
	return hex;
}

bool
DigestFromHex(const char *hex, uint8 digest[MTL_DIGEST_SIZE])
{
	if (strlen(hex) != MTL_DIGEST_HEX_SIZE ||
		strspn(hex, "0123456789abcdefABCDEF") != MTL_DIGEST_HEX_SIZE)
		return false;
	(void) hex_decode(hex, MTL_DIGEST_HEX_SIZE, (char *) digest);
	return true;
}
