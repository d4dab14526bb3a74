/*
 * container.c
 *	  The safetensors file that a model is: header, contract, tensors.
 */
#include "postgres.h"

#include "common/int.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "math/bf16.h"
#include "model/container.h"
#include "model/digest.h"
#include "model/json_reader.h"
#include "model/memory.h"
#include "model/model_error.h"
#include "model/names.h"

#define CONTRACT_KEY "mtl_rank"
#define DIGEST_KEY "mtl_rank_sha256"

#define WHOLE_HINT "Give the whole of a safetensors file: this is a part, or something else."

/* data_offsets and shapes stay exact in JSON numbers */
#define MAX_FILE_SIZE INT64CONST(9007199254740992)

#ifdef WORDS_BIGENDIAN
#error "tensors are little-endian and used in place: big-endian machines are not supported"
#endif

static const char *const tensor_type_names[] = {
	[TENSOR_F32] = "F32",
	[TENSOR_BF16] = "BF16",
	[TENSOR_I8] = "I8",
	[TENSOR_I64] = "I64",
	[TENSOR_U8] = "U8",
	NULL
};
static const int tensor_type_sizes[] = {
	[TENSOR_F32] = 4,
	[TENSOR_BF16] = 2,
	[TENSOR_I8] = 1,
	[TENSOR_I64] = 8,
	[TENSOR_U8] = 1
};

/*
 * PostgreSQL's JSON parser knows nothing of models: its complaint becomes the
 * detail of an error that says what was parsed.  Other errors pass.
 */
static MTL_NORETURN void
JsonError(MemoryContext caller, const char *what)
{
	ErrorData  *error;

	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_DATA_EXCEPTION)
		PG_RE_THROW();
	FlushErrorState();
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid model: the %s is not valid JSON", what),
			 errdetail_internal("%s", error->detail ? error->detail : error->message),
			 errhint(DAMAGE_HINT)));
}

Jsonb *
JsonbFromUtf8(const char *bytes, Size length, const char *what)
{
	MemoryContext caller = CurrentMemoryContext;
	char	   *text;
	volatile Datum jsonb = (Datum) 0;

	/* parsed, JSON may take fifty times its size */
	if (length > MTL_MAX_JSON_SIZE)
		ModelLimitError("Keep fewer examples, shorter names and a shorter provenance.",
						"the %s has %zu bytes, the limit is %d", what, length, MTL_MAX_JSON_SIZE);

	if (memchr(bytes, '\0', length) != NULL || !pg_verify_mbstr(PG_UTF8, bytes, length, true))
		ModelError("Write the file's texts in UTF-8.",
				   "the %s is not valid UTF-8 text", what);

	text = pnstrdup(bytes, length);
	text = pg_any_to_server(text, length, PG_UTF8);

	PG_TRY();
	{
		jsonb = DirectFunctionCall1(jsonb_in, CStringGetDatum(text));
	}
	PG_CATCH();
	{
		JsonError(caller, what);
	}
	PG_END_TRY();

	JsonCheckNumbers(DatumGetJsonbP(jsonb), what);
	return DatumGetJsonbP(jsonb);
}

const char *
TensorTypeName(TensorType type)
{
	return tensor_type_names[type];
}

char *
TensorShapeText(int ndims, const int64 *dims)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '[');
	for (int i = 0; i < ndims; i++)
	{
		if (i > 0)
			appendStringInfoString(&text, ", ");
		if (dims[i] < 0)
			appendStringInfoString(&text, "any");
		else
			appendStringInfo(&text, INT64_FORMAT, dims[i]);
	}
	appendStringInfoChar(&text, ']');
	return text.data;
}

float
TensorFloat(const Tensor *tensor, int64 i)
{
	float		value;
	Bf16		half;

	Assert(i >= 0 && i < tensor->nelements);
	switch (tensor->type)
	{
		case TENSOR_BF16:
			memcpy(&half, tensor->data + i * sizeof(half), sizeof(half));
			return Bf16ToFloat(half);
		case TENSOR_I8:
			return (int8) tensor->data[i];
		default:
			Assert(tensor->type == TENSOR_F32);
			memcpy(&value, tensor->data + i * sizeof(value), sizeof(value));
			return value;
	}
}

int64
TensorInt(const Tensor *tensor, int64 i)
{
	int64		value;

	Assert(tensor->type == TENSOR_I64 && i >= 0 && i < tensor->nelements);
	memcpy(&value, tensor->data + i * sizeof(int64), sizeof(int64));
	return value;
}

/*
 * Reads one entry of the header; data is the part of the file after it, or NULL.
 */
static void
ReadTensor(Tensor *tensor, char *name, JsonObject *entry, const char *data, int64 data_size)
{
	JsonArray  *shape;
	JsonArray  *offsets;
	int64		begin;
	int64		end;
	int64		size;

	tensor->name = name;
	tensor->used = false;
	tensor->type = JsonGetChoice(entry, "dtype", tensor_type_names, -1);

	shape = JsonNeedArray(entry, "shape");
	if (shape->length < 1 || shape->length > MTL_MAX_DIMS)
		ModelError(FORMAT_HINT,
				   "tensor \"%s\" has %d dimensions, expected 1 to %d", name, shape->length, MTL_MAX_DIMS);
	tensor->ndims = shape->length;
	tensor->nelements = 1;
	for (int i = 0; i < shape->length; i++)
	{
		tensor->dims[i] = JsonValueInt(&shape->elements[i], shape->path,
									   tensor->type == TENSOR_U8 ? 0 : 1, MAX_FILE_SIZE);
		if (pg_mul_s64_overflow(tensor->nelements, tensor->dims[i], &tensor->nelements))
			ModelError(FORMAT_HINT,
					   "the shape of tensor \"%s\" is too large", name);
	}

	offsets = JsonNeedArray(entry, "data_offsets");
	if (offsets->length != 2)
		ModelError(FORMAT_HINT,
				   "\"%s\" has %d elements, expected 2", offsets->path, offsets->length);
	begin = JsonValueInt(&offsets->elements[0], offsets->path, 0, MAX_FILE_SIZE);
	end = JsonValueInt(&offsets->elements[1], offsets->path, 0, MAX_FILE_SIZE);
	if (begin > end || end > data_size)
		ModelError(DAMAGE_HINT,
				   "tensor \"%s\" lies at bytes " INT64_FORMAT " to " INT64_FORMAT " of " INT64_FORMAT " bytes of data",
				   name, begin, end, data_size);
	if (pg_mul_s64_overflow(tensor->nelements, tensor_type_sizes[tensor->type], &size) ||
		size != end - begin)
		ModelError(FORMAT_HINT,
				   "tensor \"%s\" of shape %s has " INT64_FORMAT " bytes of data, expected " INT64_FORMAT " elements of %d bytes",
				   name, TensorShapeText(tensor->ndims, tensor->dims), end - begin, tensor->nelements, tensor_type_sizes[tensor->type]);
	tensor->data = data ? data + begin : NULL;
	tensor->size = size;
	JsonObjectClose(entry);
}

static int
CompareTensorNames(const void *a, const void *b)
{
	return strcmp(((const Tensor *) a)->name, ((const Tensor *) b)->name);
}

static int
CompareTensorPlaces(const void *a, const void *b)
{
	const Tensor *first = *(const Tensor *const *) a;
	const Tensor *second = *(const Tensor *const *) b;

	if (first->data != second->data)
		return first->data < second->data ? -1 : 1;
	/* empty tensors before the one that begins where they stand */
	if (first->size != second->size)
		return first->size < second->size ? -1 : 1;
	return 0;
}

/*
 * Together the tensors must cover the data: bytes that belong to none, or to
 * two, are a sign of a broken writer or of something smuggled in.
 */
static void
CheckTensorsTile(const ModelFile *file, const char *data, int64 data_size)
{
	const Tensor **places = palloc(sizeof(Tensor *) * Max(file->ntensors, 1));
	int64		position = 0;

	for (int i = 0; i < file->ntensors; i++)
		places[i] = &file->tensors[i];
	qsort(places, file->ntensors, sizeof(Tensor *), CompareTensorPlaces);

	for (int i = 0; i < file->ntensors; i++)
	{
		int64		begin = places[i]->data - data;

		if (begin != position)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid model: tensor \"%s\" begins at byte " INT64_FORMAT " of the data, expected " INT64_FORMAT,
							places[i]->name, begin, position),
					 errdetail("Tensors must cover the data without gaps or overlaps."),
					 errhint(FORMAT_HINT)));
		position += places[i]->size;
	}
	if (position != data_size)
		ModelError(DAMAGE_HINT,
				   "the tensors cover " INT64_FORMAT " bytes of data, the file has " INT64_FORMAT,
				   position, data_size);
	pfree(places);
}

/* The bits of a number as those of the float32 that it is. */
static inline uint32
TensorBits(const Tensor *tensor, int64 i)
{
	uint32		bits;
	Bf16		half;

	if (tensor->type == TENSOR_BF16)
	{
		memcpy(&half, tensor->data + i * sizeof(half), sizeof(half));
		return (uint32) half << 16;
	}
	memcpy(&bits, tensor->data + i * sizeof(bits), sizeof(bits));
	return bits;
}

static void
CheckTensorsFinite(const ModelFile *file)
{
	for (int i = 0; i < file->ntensors; i++)
	{
		const Tensor *tensor = &file->tensors[i];

		if (tensor->type != TENSOR_F32 && tensor->type != TENSOR_BF16)
			continue;
		for (int64 k = 0; k < tensor->nelements; k++)
		{
			uint32		bits = TensorBits(tensor, k);

			if (k % MTL_NUMBERS_PER_CHECK == 0)
				CHECK_FOR_INTERRUPTS();
			if ((bits & 0x7F800000) == 0x7F800000)
				ModelError("Export the model from a checkpoint whose weights are finite.",
						   "tensor \"%s\" has %s at position " INT64_FORMAT ", expected a finite number",
						   tensor->name, (bits & 0x7FFFFF) ? "NaN" : "an infinity", k);
		}
	}
}

/* A tensor under its name in UTF-8, which the checksum is made of. */
typedef struct DigestEntry
{
	const char *name;
	const Tensor *tensor;
} DigestEntry;

static int
CompareDigestEntries(const void *a, const void *b)
{
	return strcmp(((const DigestEntry *) a)->name, ((const DigestEntry *) b)->name);
}

/*
 * Compares the checksum over contract and tensors, which finds what the other
 * checks cannot: a weight that changed to another finite weight.
 */
static void
CheckDigest(const ModelFile *file, const char *contract, const char *expected)
{
	DigestEntry *entries = palloc(sizeof(DigestEntry) * Max(file->ntensors, 1));
	DigestChunk *chunks = palloc(sizeof(DigestChunk) * (2 * file->ntensors + 1));
	int			nchunks = 0;
	uint8		digest[MTL_DIGEST_SIZE];

	for (int i = 0; i < file->ntensors; i++)
	{
		char	   *name = file->tensors[i].name;

		entries[i].name = pg_server_to_any(name, strlen(name), PG_UTF8);
		entries[i].tensor = &file->tensors[i];
	}
	qsort(entries, file->ntensors, sizeof(DigestEntry), CompareDigestEntries);

	chunks[nchunks++] = (DigestChunk) {contract, strlen(contract)};
	for (int i = 0; i < file->ntensors; i++)
	{
		chunks[nchunks++] = (DigestChunk) {entries[i].name, strlen(entries[i].name)};
		chunks[nchunks++] = (DigestChunk) {entries[i].tensor->data, entries[i].tensor->size};
	}
	DigestChunks(chunks, nchunks, digest);
	pfree(chunks);
	pfree(entries);

	if (strcmp(DigestHex(digest), expected) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid model: checksum does not match"),
				 errdetail("The file says %s, its contract and tensors give %s.",
						   expected, DigestHex(digest)),
				 errhint("Copy the file again, or write \"%s\" anew if it was changed on purpose.",
						 DIGEST_KEY)));
}

/*
 * Reads the header's length, and checks that the header lies in the file.
 */
static int64
HeaderLength(const char *bytes, Size size)
{
	uint64		length;

	if (size < MODEL_FILE_LENGTH_SIZE)
		ModelError(WHOLE_HINT,
				   "%zu bytes are too few for a safetensors file", size);
	memcpy(&length, bytes, MODEL_FILE_LENGTH_SIZE);
	if (length > size - MODEL_FILE_LENGTH_SIZE)
		ModelError(WHOLE_HINT,
				   "header of " UINT64_FORMAT " bytes in a file of %zu bytes", length, size);
	if (length > MTL_MAX_JSON_SIZE)
		ModelLimitError("Keep fewer tensors, shorter names and a shorter provenance.",
						"header of " UINT64_FORMAT " bytes exceeds the limit of %d bytes",
						length, MTL_MAX_JSON_SIZE);
	return length;
}

Size
ModelFileBeginning(const char *bytes, Size size)
{
	return MODEL_FILE_LENGTH_SIZE + HeaderLength(bytes, size);
}

static void
ReadTensors(ModelFile *file, JsonObject *header, const char *data, int64 data_size)
{
	char	  **keys;
	JsonbValue *values;
	int			nkeys = JsonObjectEntries(header, &keys, &values);

	if (nkeys > MTL_MAX_TENSORS)
		ModelLimitError("Use fewer layers, experts and features.",
						"%d tensors exceed the limit of %d", nkeys, MTL_MAX_TENSORS);

	file->tensors = palloc(sizeof(Tensor) * Max(nkeys, 1));
	for (int i = 0; i < nkeys; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(keys[i], "__metadata__") != 0)
			ReadTensor(&file->tensors[file->ntensors++], keys[i],
					   JsonObjectOpen(&values[i], JsonKeyPath(header, keys[i])),
					   data, data_size);
	}
	qsort(file->tensors, file->ntensors, sizeof(Tensor), CompareTensorNames);
}

typedef enum FileState
{
	FILE_UNKNOWN,
	FILE_STORED,				/* its numbers have been checked */
	FILE_BEGINNING				/* and are not here */
} FileState;

static ModelFile *
ReadFile(const char *bytes, Size size, FileState state)
{
	bool		has_data = state != FILE_BEGINNING;
	ModelFile  *file = palloc0(sizeof(ModelFile));
	Size		beginning = ModelFileBeginning(bytes, size);
	const char *data = has_data ? bytes + beginning : NULL;
	int64		data_size = size - beginning;
	JsonObject *header;
	JsonObject *metadata;
	char	   *contract;
	char	   *digest;

	file->bytes = bytes;
	file->size = size;
	file->beginning = beginning;

	header = JsonObjectOpen(JsonRoot(JsonbFromUtf8(bytes + MODEL_FILE_LENGTH_SIZE, beginning - MODEL_FILE_LENGTH_SIZE, "header")), "header");
	metadata = JsonGetObject(header, "__metadata__");
	if (metadata == NULL)
		ModelError(FORMAT_HINT,
				   "the safetensors file has no \"__metadata__\"");
	contract = JsonNeedText(metadata, CONTRACT_KEY);
	contract = pg_server_to_any(contract, strlen(contract), PG_UTF8);
	digest = JsonNeedString(metadata, DIGEST_KEY);

	ReadTensors(file, header, data, data_size);
	if (has_data)
		CheckTensorsTile(file, data, data_size);
	file->contract = JsonbFromUtf8(contract, strlen(contract), "contract");
	if (state == FILE_UNKNOWN)
	{
		CheckTensorsFinite(file);
		CheckDigest(file, contract, digest);
	}
	return file;
}

ModelFile *
ModelFileRead(const char *bytes, Size size)
{
	return ReadFile(bytes, size, FILE_UNKNOWN);
}

ModelFile *
ModelFileReadStored(const char *bytes, Size size)
{
	return ReadFile(bytes, size, FILE_STORED);
}

ModelFile *
ModelFileReadAgain(const char *bytes, Size size)
{
	return ReadFile(bytes, size, FILE_BEGINNING);
}

Tensor *
ModelFileFind(const ModelFile *file, const char *name)
{
	Tensor		key;

	key.name = unconstify(char *, name);
	/* a file under construction has none */
	if (file->ntensors == 0)
		return NULL;
	return bsearch(&key, file->tensors, file->ntensors, sizeof(Tensor), CompareTensorNames);
}

const Tensor *
ModelFileNeed(ModelFile *file, const char *name, TensorType type, int ndims, const int64 *dims)
{
	Tensor	   *tensor = ModelFileFind(file, name);
	bool		fits;

	if (tensor == NULL && file->make)
		tensor = file->make(file, name, type, ndims, dims);
	if (tensor == NULL)
		ModelError(TENSORS_HINT,
				   "tensor \"%s\" of shape %s is missing", name, TensorShapeText(ndims, dims));
	if (tensor->type != type)
		ModelError(TENSORS_HINT,
				   "tensor \"%s\" is of type %s, expected %s",
				   name, tensor_type_names[tensor->type], tensor_type_names[type]);

	fits = tensor->ndims == ndims;
	for (int i = 0; fits && i < ndims; i++)
		fits = dims[i] < 0 || tensor->dims[i] == dims[i];
	if (!fits)
		ModelError(TENSORS_HINT,
				   "tensor \"%s\" has shape %s, expected %s",
				   name, TensorShapeText(tensor->ndims, tensor->dims), TensorShapeText(ndims, dims));
	tensor->used = true;
	return tensor;
}

void
ModelFileCheckAllUsed(const ModelFile *file)
{
	StringInfoData names;
	int			nunused = 0;

	initStringInfo(&names);
	for (int i = 0; i < file->ntensors; i++)
	{
		if (file->tensors[i].used)
			continue;
		if (nunused < 10)
			AppendQuotedName(&names, file->tensors[i].name);
		nunused++;
	}
	if (nunused > 10)
		appendStringInfoString(&names, ", ...");
	if (nunused > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg_plural("invalid model: %d tensor is not used by the contract: %s",
							   "invalid model: %d tensors are not used by the contract: %s",
							   nunused, nunused, names.data),
				 errhint("Name the layer, expert or bias that it belongs to in the contract, or leave the tensor out.")));
	pfree(names.data);
}
