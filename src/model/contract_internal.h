/*
 * contract_internal.h
 *	  Shared by the files that parse the contract.
 */
#ifndef MTL_RANK_CONTRACT_INTERNAL_H
#define MTL_RANK_CONTRACT_INTERNAL_H

#include "model/contract.h"
#include "model/json_reader.h"

/* contract_features.c: features, input */
extern void ParseFeatures(Contract *contract, JsonObject *object);

/* Error unless name fits the rules for names. */
extern void CheckName(const char *name, const char *path);

/* Error if two of the n names are equal; what says what they are. */
extern void CheckDistinct(char **names, int n, const char *what);

#endif							/* MTL_RANK_CONTRACT_INTERNAL_H */
