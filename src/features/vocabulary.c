/*
 * vocabulary.c
 *	  The vocabularies of a model as hash tables.
 *
 * The tables' hash is seeded at random, so that no file can be made whose
 * entries all fall on one place.  (The seed has no influence on what is found.)
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "compat.h"
#include "features/vocabulary.h"

/* Stands for Vocabulary.probe where a position in the text table is asked for. */
#define PROBE (-1)

/* Entries between two looks for a cancelled query. */
#define ENTRIES_PER_CHECK 4096

typedef struct IdEntry
{
	int64		id;
	int32		position;
	char		status;
} IdEntry;

#define SH_PREFIX id_table
#define SH_ELEMENT_TYPE IdEntry
#define SH_KEY_TYPE int64
#define SH_KEY id
#define SH_HASH_KEY(tb, key) \
	((uint32) hash_bytes_extended((const unsigned char *) &(key), sizeof(int64), \
								  ((const Vocabulary *) (tb)->private_data)->seed))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* An entry's text is found by its position: this keeps the table small. */
typedef struct TextEntry
{
	int32		position;
	uint32		hash;
	char		status;
} TextEntry;

static uint32 HashText(const Vocabulary *vocabulary, int32 position);
static bool TextsEqual(const Vocabulary *vocabulary, int32 a, int32 b);

#define SH_PREFIX text_table
#define SH_ELEMENT_TYPE TextEntry
#define SH_KEY_TYPE int32
#define SH_KEY position
#define SH_HASH_KEY(tb, key) HashText((tb)->private_data, key)
#define SH_EQUAL(tb, a, b) TextsEqual((tb)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static const char *
TextAt(const Vocabulary *vocabulary, int32 position, int *length)
{
	if (position == PROBE)
	{
		*length = vocabulary->probe_length;
		return vocabulary->probe;
	}
	*length = vocabulary->offsets[position + 1] - vocabulary->offsets[position];
	return vocabulary->bytes + vocabulary->offsets[position];
}

static uint32
HashText(const Vocabulary *vocabulary, int32 position)
{
	int			length;
	const char *text = TextAt(vocabulary, position, &length);

	return (uint32) hash_bytes_extended((const unsigned char *) text, length, vocabulary->seed);
}

static bool
TextsEqual(const Vocabulary *vocabulary, int32 a, int32 b)
{
	int			a_length;
	int			b_length;
	const char *a_text = TextAt(vocabulary, a, &a_length);
	const char *b_text = TextAt(vocabulary, b, &b_length);

	return a_length == b_length && memcmp(a_text, b_text, a_length) == 0;
}

static MTL_NORETURN void
DuplicateError(const Vocabulary *vocabulary, int first, int second)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid model: entries %d and %d of vocabulary \"%s\" are equal, expected distinct entries",
					first, second, vocabulary->name)));
}

static void
CheckLength(const Vocabulary *vocabulary, int64 nentries)
{
	if (nentries > PG_INT32_MAX - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("invalid model: vocabulary \"%s\" has " INT64_FORMAT " entries, the limit is %d",
						vocabulary->name, nentries, PG_INT32_MAX - 1)));
}

static void
LoadIds(Vocabulary *vocabulary, const Tensor *ids)
{
	CheckLength(vocabulary, ids->nelements);
	vocabulary->nentries = ids->nelements;
	vocabulary->ids = id_table_create(CurrentMemoryContext, vocabulary->nentries, vocabulary);
	for (int i = 0; i < vocabulary->nentries; i++)
	{
		bool		found;
		IdEntry    *entry = id_table_insert(vocabulary->ids, TensorInt(ids, i), &found);

		if (found)
			DuplicateError(vocabulary, entry->position, i);
		entry->position = i;
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

	CheckLength(vocabulary, offsets->nelements - 1);
	CheckLength(vocabulary, bytes->size);
	vocabulary->nentries = offsets->nelements - 1;
	vocabulary->bytes = MemoryContextAllocHuge(CurrentMemoryContext, Max(bytes->size, 1));
	memcpy(vocabulary->bytes, bytes->data, bytes->size);
	vocabulary->offsets = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(int32) * offsets->nelements);

	for (int64 i = 0; i < offsets->nelements; i++)
	{
		int64		offset = TensorInt(offsets, i);

		if (i == 0 && offset != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: tensor \"%s\" starts with " INT64_FORMAT ", expected 0",
							offsets->name, offset)));
		if (offset < previous)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: tensor \"%s\" falls from " INT64_FORMAT " to " INT64_FORMAT " at position " INT64_FORMAT,
							offsets->name, previous, offset, i)));
		if (offset > (int64) bytes->size)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: tensor \"%s\" has the offset " INT64_FORMAT " at position " INT64_FORMAT ", but there are %zu bytes",
							offsets->name, offset, i, bytes->size)));
		vocabulary->offsets[i] = offset;
		previous = offset;
	}
	if (previous != (int64) bytes->size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: tensor \"%s\" ends with " INT64_FORMAT ", expected the %zu bytes of \"%s\"",
						offsets->name, previous, bytes->size, bytes->name)));
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
LoadTexts(Vocabulary *vocabulary, const Tensor *bytes, const Tensor *offsets)
{
	CopyTexts(vocabulary, bytes, offsets);
	vocabulary->is_text = true;
	vocabulary->is_decimal = true;
	vocabulary->texts = text_table_create(CurrentMemoryContext, vocabulary->nentries, vocabulary);
	for (int i = 0; i < vocabulary->nentries; i++)
	{
		int			length;
		const char *text = TextAt(vocabulary, i, &length);
		bool		found;
		TextEntry  *entry;

		if (!pg_verify_mbstr(PG_UTF8, text, length, true))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: entry %d of vocabulary \"%s\" is not valid UTF-8",
							i, vocabulary->name)));
		if (vocabulary->is_decimal)
			vocabulary->is_decimal = IsDecimal(text, length);
		entry = text_table_insert(vocabulary->texts, i, &found);
		if (found)
			DuplicateError(vocabulary, entry->position, i);
		if (i % ENTRIES_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
	}
}

Vocabulary *
VocabularyCreate(const char *name, ModelFile *file, const char *feature)
{
	static const int64 any_length[] = {-1};
	Vocabulary *vocabulary = palloc0(sizeof(Vocabulary));
	char	   *ids = psprintf("vocabulary.%s.ids", name);
	char	   *bytes = psprintf("vocabulary.%s.bytes", name);
	char	   *offsets = psprintf("vocabulary.%s.offsets", name);

	vocabulary->name = pstrdup(name);
	vocabulary->seed = pg_prng_uint64(&pg_global_prng_state);

	if (ModelFileFind(file, ids))
		LoadIds(vocabulary, ModelFileNeed(file, ids, TENSOR_I64, 1, any_length));
	else if (ModelFileFind(file, bytes) || ModelFileFind(file, offsets))
		LoadTexts(vocabulary,
				  ModelFileNeed(file, bytes, TENSOR_U8, 1, any_length),
				  ModelFileNeed(file, offsets, TENSOR_I64, 1, any_length));
	else
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: vocabulary \"%s\" of feature \"%s\" is missing", name, feature),
				 errdetail("There is neither tensor \"%s\" nor tensor \"%s\".", ids, bytes)));
	pfree(ids);
	pfree(bytes);
	pfree(offsets);
	return vocabulary;
}

int
VocabularyFindId(const Vocabulary *vocabulary, int64 id)
{
	IdEntry    *entry = id_table_lookup(vocabulary->ids, id);

	return entry ? entry->position : -1;
}

int
VocabularyFindText(Vocabulary *vocabulary, const char *text, int length)
{
	TextEntry  *entry;

	vocabulary->probe = text;
	vocabulary->probe_length = length;
	entry = text_table_lookup(vocabulary->texts, PROBE);
	return entry ? entry->position : -1;
}
