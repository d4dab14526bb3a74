/*
 * vocabulary.c
 *	  The vocabularies of a model as hash tables.
 *
 * The tables never change once they are filled, and are part of a model's bulk: open
 * addressing, with linear probing.  (PostgreSQL's hash tables hold pointers, and those
 * for shared memory have locks.)  The hash is seeded at random, so that no file can be
 * made whose entries all fall on one place.  The seed has no influence on what is found.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "compat.h"
#include "features/vocabulary.h"
#include "model/model_error.h"
#include "model/names.h"

/* Entries between two looks for a cancelled query. */
#define ENTRIES_PER_CHECK 4096

#define VOCABULARY_HINT "Write vocabularies with set_vocabulary() of the mtl_rank Python module, or as docs/model-format.md says."

/* A slot that is free has entry 0, one that is taken 1 + the position of its entry. */
typedef struct IdSlot
{
	int64		id;
	int32		entry;
} IdSlot;

/* An entry's text is found by its position: this keeps the table small. */
typedef struct TextSlot
{
	int32		entry;
	uint32		hash;
} TextSlot;

/* What cannot be told from the shapes of the tensors. */
typedef struct VocabularyFacts
{
	uint64		seed;
	bool		is_decimal;
} VocabularyFacts;

static const char *
TextAt(const Vocabulary *vocabulary, int32 position, int *length)
{
	*length = vocabulary->offsets[position + 1] - vocabulary->offsets[position];
	return vocabulary->bytes + vocabulary->offsets[position];
}

static uint64
HashId(const Vocabulary *vocabulary, int64 id)
{
	return hash_bytes_extended((const unsigned char *) &id, sizeof(id), vocabulary->seed);
}

static uint64
HashText(const Vocabulary *vocabulary, const char *text, int length)
{
	return hash_bytes_extended((const unsigned char *) text, length, vocabulary->seed);
}

/*
 * The slot of an id, or the free one where it would be.
 */
static IdSlot *
FindIdSlot(const Vocabulary *vocabulary, int64 id)
{
	uint64		i = HashId(vocabulary, id) & vocabulary->mask;

	while (vocabulary->ids[i].entry != 0 && vocabulary->ids[i].id != id)
		i = (i + 1) & vocabulary->mask;
	return &vocabulary->ids[i];
}

static bool
SlotHasText(const Vocabulary *vocabulary, const TextSlot *slot, uint32 hash,
			const char *text, int length)
{
	int			slot_length;
	const char *slot_text;

	if (slot->hash != hash)
		return false;
	slot_text = TextAt(vocabulary, slot->entry - 1, &slot_length);
	return slot_length == length && memcmp(slot_text, text, length) == 0;
}

/*
 * The same for a text.  The place is taken from the low half of its hash, and the high
 * half kept.
 */
static TextSlot *
FindTextSlot(const Vocabulary *vocabulary, const char *text, int length, uint32 *kept)
{
	uint64		hash = HashText(vocabulary, text, length);
	uint64		i = hash & vocabulary->mask;

	*kept = hash >> 32;
	while (vocabulary->texts[i].entry != 0 &&
		   !SlotHasText(vocabulary, &vocabulary->texts[i], *kept, text, length))
		i = (i + 1) & vocabulary->mask;
	return &vocabulary->texts[i];
}

/* ---------------------------------------------------------------- filling */

static MTL_NORETURN void
DuplicateError(const Vocabulary *vocabulary, int first, int second)
{
	ModelError("Keep one of the two, and its row of the table.",
			   "entries %d and %d of vocabulary \"%s\" are equal, expected distinct entries",
			   first, second, vocabulary->name);
}

static void
CheckLength(const Vocabulary *vocabulary, int64 nentries)
{
	if (nentries > PG_INT32_MAX - 1)
		ModelLimitError("Use a lookup of the type \"hash\".",
						"vocabulary \"%s\" has " INT64_FORMAT " entries, the limit is %d",
						vocabulary->name, nentries, PG_INT32_MAX - 1);
}

static void
FillIds(Vocabulary *vocabulary, const Tensor *ids)
{
	memset(vocabulary->ids, 0, sizeof(IdSlot) * (vocabulary->mask + 1));
	for (int i = 0; i < vocabulary->nentries; i++)
	{
		int64		id = TensorInt(ids, i);
		IdSlot	   *slot = FindIdSlot(vocabulary, id);

		if (slot->entry != 0)
			DuplicateError(vocabulary, slot->entry - 1, i);
		slot->id = id;
		slot->entry = i + 1;
		if (i % ENTRIES_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

/*
 * Copies the texts and their offsets; these must start with 0, not fall, and
 * end with the number of bytes.
 */
static void
CopyTexts(Vocabulary *vocabulary, const Tensor *bytes, const Tensor *offsets)
{
	int64		previous = 0;

	memcpy(vocabulary->bytes, bytes->data, bytes->size);
	for (int64 i = 0; i < offsets->nelements; i++)
	{
		int64		offset = TensorInt(offsets, i);

		if (i == 0 && offset != 0)
			ModelError(VOCABULARY_HINT,
					   "tensor \"%s\" starts with " INT64_FORMAT ", expected 0", offsets->name, offset);
		if (offset < previous)
			ModelError(VOCABULARY_HINT,
					   "tensor \"%s\" falls from " INT64_FORMAT " to " INT64_FORMAT " at position " INT64_FORMAT,
					   offsets->name, previous, offset, i);
		if (offset > (int64) bytes->size)
			ModelError(VOCABULARY_HINT,
					   "tensor \"%s\" has the offset " INT64_FORMAT " at position " INT64_FORMAT ", but there are %zu bytes",
					   offsets->name, offset, i, bytes->size);
		vocabulary->offsets[i] = offset;
		previous = offset;
	}
	if (previous != (int64) bytes->size)
		ModelError(VOCABULARY_HINT,
				   "tensor \"%s\" ends with " INT64_FORMAT ", expected the %zu bytes of \"%s\"",
				   offsets->name, previous, bytes->size, bytes->name);
}

/* Whether the text is how an int64 prints: 0, -17. */
static bool
IsDecimal(const char *text, int length)
{
	char		buffer[32];
	char	   *end;

	if (length == 0 || length >= (int) sizeof(buffer))
		return false;
	memcpy(buffer, text, length);
	buffer[length] = '\0';
	if ((int) strspn(buffer, "-0123456789") != length)
		return false;
	if (buffer[0] == '0' || (buffer[0] == '-' && buffer[1] == '0'))
		return strcmp(buffer, "0") == 0;
	errno = 0;
	(void) strtoll(buffer, &end, 10);
	return errno == 0 && *end == '\0';
}

static void
FillTexts(Vocabulary *vocabulary)
{
	memset(vocabulary->texts, 0, sizeof(TextSlot) * (vocabulary->mask + 1));
	vocabulary->is_decimal = true;
	for (int i = 0; i < vocabulary->nentries; i++)
	{
		int			length;
		const char *text = TextAt(vocabulary, i, &length);
		TextSlot   *slot;
		uint32		hash;

		if (!pg_verify_mbstr(PG_UTF8, text, length, true))
			ModelError("Write its texts in UTF-8.",
					   "entry %d of vocabulary \"%s\" is not valid UTF-8", i, vocabulary->name);
		if (vocabulary->is_decimal)
			vocabulary->is_decimal = IsDecimal(text, length);
		slot = FindTextSlot(vocabulary, text, length, &hash);
		if (slot->entry != 0)
			DuplicateError(vocabulary, slot->entry - 1, i);
		slot->entry = i + 1;
		slot->hash = hash;
		if (i % ENTRIES_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

/* --------------------------------------------------------------- creation */

/*
 * At most three quarters of the slots are taken.
 */
static void
SetEntries(Vocabulary *vocabulary, int64 nentries)
{
	CheckLength(vocabulary, nentries);
	vocabulary->nentries = nentries;
	vocabulary->mask = pg_nextpower2_64(nentries + nentries / 3 + 1) - 1;
}

static void
CreateIds(Vocabulary *vocabulary, const Tensor *ids, Bulk *bulk)
{
	SetEntries(vocabulary, ids->nelements);
	vocabulary->ids = BulkAlloc(bulk, sizeof(IdSlot) * (vocabulary->mask + 1));
	if (BulkWantsContent(bulk))
		FillIds(vocabulary, ids);
}

static void
CreateTexts(Vocabulary *vocabulary, const Tensor *bytes, const Tensor *offsets, Bulk *bulk)
{
	CheckLength(vocabulary, bytes->size);
	SetEntries(vocabulary, offsets->nelements - 1);
	vocabulary->is_text = true;
	vocabulary->bytes = BulkAlloc(bulk, bytes->size);
	vocabulary->offsets = BulkAlloc(bulk, sizeof(int32) * offsets->nelements);
	vocabulary->texts = BulkAlloc(bulk, sizeof(TextSlot) * (vocabulary->mask + 1));
	if (BulkWantsContent(bulk))
	{
		CopyTexts(vocabulary, bytes, offsets);
		FillTexts(vocabulary);
	}
}

static Vocabulary *
CreateVocabulary(const char *name, const char *feature, ModelFile *file, Bulk *bulk)
{
	static const int64 any_length[] = {-1};
	Vocabulary *vocabulary = palloc0(sizeof(Vocabulary));
	VocabularyFacts *facts = BulkAlloc(bulk, sizeof(VocabularyFacts));
	char	   *ids = psprintf("vocabulary.%s.ids", name);
	char	   *bytes = psprintf("vocabulary.%s.bytes", name);
	char	   *offsets = psprintf("vocabulary.%s.offsets", name);

	vocabulary->name = pstrdup(name);
	if (BulkWantsContent(bulk))
		facts->seed = pg_prng_uint64(&pg_global_prng_state);
	if (facts)
		vocabulary->seed = facts->seed;

	if (ModelFileFind(file, ids))
		CreateIds(vocabulary, ModelFileNeed(file, ids, TENSOR_I64, 1, any_length), bulk);
	else if (ModelFileFind(file, bytes) || ModelFileFind(file, offsets))
		CreateTexts(vocabulary,
					ModelFileNeed(file, bytes, TENSOR_U8, 1, any_length),
					ModelFileNeed(file, offsets, TENSOR_I64, 1, any_length), bulk);
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: vocabulary \"%s\" of feature \"%s\" is missing", name, feature),
				 errdetail("There is neither tensor \"%s\" nor tensor \"%s\".", ids, bytes),
				 errhint(VOCABULARY_HINT)));

	if (BulkWantsContent(bulk))
		facts->is_decimal = vocabulary->is_decimal;
	if (facts)
		vocabulary->is_decimal = facts->is_decimal;
	pfree(ids);
	pfree(bytes);
	pfree(offsets);
	return vocabulary;
}

Vocabulary **
VocabulariesCreate(const Contract *contract, ModelFile *file, Bulk *bulk)
{
	Vocabulary **vocabularies = palloc0(sizeof(Vocabulary *) * contract->nfeatures);
	Vocabulary **by_name = palloc0(sizeof(Vocabulary *) * contract->nfeatures);
	char	  **names = palloc(sizeof(char *) * contract->nfeatures);
	NameIndex  *index;

	for (int i = 0; i < contract->nfeatures; i++)
	{
		names[i] = contract->features[i].lookup.vocabulary;
		if (names[i] == NULL)
			names[i] = "";
	}
	index = NameIndexCreate(names, contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
	{
		Vocabulary **first = &by_name[NameIndexFind(index, names[i])];

		if (contract->features[i].lookup.vocabulary == NULL)
			continue;
		if (*first == NULL)
			*first = CreateVocabulary(names[i], contract->features[i].name, file, bulk);
		vocabularies[i] = *first;
	}
	pfree(index->sorted);
	pfree(index);
	pfree(names);
	pfree(by_name);
	return vocabularies;
}

Vocabulary **
VocabulariesLoad(const Contract *contract, ModelFile *file)
{
	Bulk		bulk = {NULL, 0, 0, false};
	char	   *chunk;

	(void) VocabulariesCreate(contract, file, &bulk);
	chunk = MemoryContextAllocHuge(CurrentMemoryContext, bulk.used + MTL_BULK_ALIGNMENT);
	bulk.base = (char *) TYPEALIGN(MTL_BULK_ALIGNMENT, chunk);
	bulk.size = bulk.used;
	bulk.used = 0;
	return VocabulariesCreate(contract, file, &bulk);
}

/* ----------------------------------------------------------------- lookup */

int
VocabularyFindId(const Vocabulary *vocabulary, int64 id)
{
	return FindIdSlot(vocabulary, id)->entry - 1;
}

int
VocabularyFindText(const Vocabulary *vocabulary, const char *text, int length)
{
	uint32		hash;

	return FindTextSlot(vocabulary, text, length, &hash)->entry - 1;
}
