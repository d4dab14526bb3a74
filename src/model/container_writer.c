/*
 * container_writer.c
 *	  Writes the safetensors file that a model is.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "model/container.h"
#include "model/digest.h"
#include "model/memory.h"

/* A tensor under its name in UTF-8. */
typedef struct WrittenTensor
{
	const char *name;
	const Tensor *tensor;
} WrittenTensor;

static int
CompareNames(const void *a, const void *b)
{
	return strcmp(((const WrittenTensor *) a)->name, ((const WrittenTensor *) b)->name);
}

/* As ModelFileRead() checks it. */
static char *
ContractDigest(const char *contract, int n, const WrittenTensor *tensors)
{
	DigestChunk *chunks = palloc(sizeof(DigestChunk) * (2 * n + 1));
	uint8		digest[MTL_DIGEST_SIZE];

	chunks[0] = (DigestChunk) {contract, strlen(contract)};
	for (int i = 0; i < n; i++)
	{
		chunks[2 * i + 1] = (DigestChunk) {tensors[i].name, strlen(tensors[i].name)};
		chunks[2 * i + 2] = (DigestChunk) {tensors[i].tensor->data, tensors[i].tensor->size};
	}
	DigestChunks(chunks, 2 * n + 1, digest);
	pfree(chunks);
	return DigestHex(digest);
}

static void
AppendTensor(StringInfo header, const WrittenTensor *written, int64 begin)
{
	const Tensor *tensor = written->tensor;

	appendStringInfoString(header, ", ");
	escape_json(header, written->name);
	appendStringInfo(header, ": {\"dtype\": \"%s\", \"shape\": %s, \"data_offsets\": [" INT64_FORMAT ", " INT64_FORMAT "]}",
					 TensorTypeName(tensor->type), TensorShapeText(tensor->ndims, tensor->dims),
					 begin, begin + (int64) tensor->size);
}

char *
ModelFileWrite(const char *contract, int ntensors, const Tensor *tensors, Size *size)
{
	WrittenTensor *sorted = palloc(sizeof(WrittenTensor) * Max(ntensors, 1));
	StringInfoData header;
	int64		data_size = 0;
	uint64		length;
	char	   *file;
	char	   *place;

	contract = pg_server_to_any(contract, strlen(contract), PG_UTF8);
	for (int i = 0; i < ntensors; i++)
	{
		sorted[i].name = pg_server_to_any(tensors[i].name, strlen(tensors[i].name), PG_UTF8);
		sorted[i].tensor = &tensors[i];
	}
	qsort(sorted, ntensors, sizeof(WrittenTensor), CompareNames);

	initStringInfo(&header);
	appendStringInfoString(&header, "{\"__metadata__\": {\"mtl_rank\": ");
	escape_json(&header, contract);
	appendStringInfo(&header, ", \"mtl_rank_sha256\": \"%s\"}", ContractDigest(contract, ntensors, sorted));
	for (int i = 0; i < ntensors; i++)
	{
		AppendTensor(&header, &sorted[i], data_size);
		data_size += sorted[i].tensor->size;
	}
	appendStringInfoChar(&header, '}');
	/* the format's own writers let the data begin at a multiple of 8 */
	while (header.len % 8 != 0)
		appendStringInfoChar(&header, ' ');

	length = header.len;
	*size = sizeof(length) + header.len + data_size;
	file = place = AllocateLarge(*size);
	memcpy(place, &length, sizeof(length));
	place += sizeof(length);
	memcpy(place, header.data, header.len);
	place += header.len;
	for (int i = 0; i < ntensors; i++)
	{
		CopyLarge(place, sorted[i].tensor->data, sorted[i].tensor->size);
		place += sorted[i].tensor->size;
	}
	pfree(header.data);
	pfree(sorted);
	return file;
}
