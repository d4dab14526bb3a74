/*
 * hash.h
 *	  FarmHash's Fingerprint64, the hash of TensorFlow's string_to_hash_bucket_fast.
 *
 * Fingerprints never change: google/farmhash promises the same number for the
 * same bytes on every platform and in every release.
 */
#ifndef MTL_RANK_HASH_H
#define MTL_RANK_HASH_H

#include "postgres.h"

extern uint64 Fingerprint64(const char *data, Size length);

#endif							/* MTL_RANK_HASH_H */
