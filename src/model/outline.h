/*
 * outline.h
 *	  What a model's structures are made of, parsed: the contract, and the tensors
 *	  without their numbers.
 *
 * An outline is read where it lies, at an address that is MAXALIGNed; it has no pointers
 * but those within the contract, which is copied before they are used.  Its texts are in
 * the encoding of the database that made it.
 */
#ifndef MTL_RANK_OUTLINE_H
#define MTL_RANK_OUTLINE_H

#include "postgres.h"

#include "model/container.h"
#include "model/contract.h"

/* Bytes that the outline of a file and its contract takes. */
extern Size OutlineSize(const ModelFile *file, const Contract *contract);

/* Writes it. */
extern void OutlineWrite(const ModelFile *file, const Contract *contract, char *outline);

/* Whether its encoding is that of this database. */
extern bool OutlineIsReadable(const char *outline);

/*
 * The file of an outline, as ModelFileReadAgain() gives it, in the current context; it
 * refers to the outline.
 */
extern ModelFile *OutlineRead(char *outline);

/* The contract, as ContractCopy() gives it, in the current context. */
extern Contract *OutlineContract(const char *outline);

#endif							/* MTL_RANK_OUTLINE_H */
