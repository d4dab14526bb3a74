/*
 * vocabulary.h
 *	  The vocabularies of a model as hash tables.
 */
#ifndef MTL_RANK_VOCABULARY_H
#define MTL_RANK_VOCABULARY_H

#include "postgres.h"

#include "model/container.h"

typedef struct Vocabulary
{
	char	   *name;
	bool		is_text;		/* entries are texts, else integers */
	bool		is_decimal;		/* texts that are all decimal integers */
	int			nentries;
	uint64		seed;
	struct id_table_hash *ids;
	struct text_table_hash *texts;
	char	   *bytes;			/* of the texts, UTF-8 */
	int32	   *offsets;		/* nentries + 1 */
	const char *probe;			/* the text that is looked up */
	int			probe_length;
} Vocabulary;

/*
 * Builds the vocabulary of this name in the current context; its tensors are
 * checked, copied and marked as used.  feature is the feature that asks for it.
 */
extern Vocabulary *VocabularyCreate(const char *name, ModelFile *file, const char *feature);

/* The position of an entry, or -1. */
extern int	VocabularyFindId(const Vocabulary *vocabulary, int64 id);
extern int	VocabularyFindText(Vocabulary *vocabulary, const char *text, int length);

#endif							/* MTL_RANK_VOCABULARY_H */
