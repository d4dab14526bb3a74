/*
 * vocabulary.h
 *	  The vocabularies of a model as hash tables.
 */
#ifndef MTL_RANK_VOCABULARY_H
#define MTL_RANK_VOCABULARY_H

#include "postgres.h"

#include "model/bulk.h"
#include "model/container.h"
#include "model/contract.h"

/* The pointers go into the bulk of the model. */
typedef struct Vocabulary
{
	char	   *name;
	bool		is_text;		/* entries are texts, else integers */
	bool		is_decimal;		/* texts that are all decimal integers */
	int			nentries;
	uint64		seed;
	uint64		mask;			/* number of slots, a power of 2, minus 1 */
	struct IdSlot *ids;
	struct TextSlot *texts;
	char	   *bytes;			/* of the texts, UTF-8 */
	int32	   *offsets;		/* nentries + 1 */
} Vocabulary;

/*
 * The vocabularies of all features, one for each: features that name the same one share
 * it, and it is NULL for those without.  Structures are made in the current context; the
 * tensors are marked as used, and where they fill the bulk they are checked.
 */
extern Vocabulary **VocabulariesCreate(const Contract *contract, ModelFile *file, Bulk *bulk);

/* The same, filled, with a bulk of their own in the current context. */
extern Vocabulary **VocabulariesLoad(const Contract *contract, ModelFile *file);

/* The position of an entry, or -1. */
extern int	VocabularyFindId(const Vocabulary *vocabulary, int64 id);
extern int	VocabularyFindText(const Vocabulary *vocabulary, const char *text, int length);

#endif							/* MTL_RANK_VOCABULARY_H */
