/*
 * outline.h
 *	  What a model's structures are made of, parsed: the contract, and the tensors
 *	  without their numbers.
 *
 * An outline has no pointers, and is read where it lies, at an address that is
 * MAXALIGNed.  Its texts are in the encoding of the database that made it.
 */
#ifndef MTL_RANK_OUTLINE_H
#define MTL_RANK_OUTLINE_H

#include "postgres.h"

#include "model/container.h"

/* Bytes that the outline of the file takes. */
extern Size OutlineSize(const ModelFile *file);

/* Writes it. */
extern void OutlineWrite(const ModelFile *file, char *outline);

/* Whether its encoding is that of this database. */
extern bool OutlineIsReadable(const char *outline);

/*
 * The file of an outline, as ModelFileReadAgain() gives it, in the current context; it
 * refers to the outline.
 */
extern ModelFile *OutlineRead(char *outline);

#endif							/* MTL_RANK_OUTLINE_H */
