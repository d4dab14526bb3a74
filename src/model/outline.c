/*
 * outline.c
 *	  What a model's structures are made of, parsed.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "storage/shmem.h"

#include "model/outline.h"

/*
 * After the header come the tensors, whose names are offsets in the outline; then the
 * contract, parsed and as JSON, and the names.
 */
typedef struct OutlineHeader
{
	uint64		file_size;
	uint64		beginning;		/* of the file, as in ModelFile */
	uint64		contract_size;	/* of the contract's copy */
	uint64		contract_address;	/* where it was made */
	uint64		json;			/* offset */
	int32		ntensors;
	int32		encoding;
} OutlineHeader;

typedef struct OutlineTensor
{
	uint64		name;			/* offset */
	int64		nelements;
	uint64		size;
	int64		dims[MTL_MAX_DIMS];
	int32		ndims;
	int32		type;
} OutlineTensor;

static Size
ContractOffset(int ntensors)
{
	return add_size(MAXALIGN(sizeof(OutlineHeader)), mul_size(sizeof(OutlineTensor), ntensors));
}

static Size
NamesOffset(const ModelFile *file, Size json)
{
	return add_size(json, VARSIZE(file->contract));
}

Size
OutlineSize(const ModelFile *file, const Contract *contract)
{
	Size		size = NamesOffset(file, add_size(ContractOffset(file->ntensors), ContractCopySize(contract)));

	for (int i = 0; i < file->ntensors; i++)
		size = add_size(size, strlen(file->tensors[i].name) + 1);
	return size;
}

void
OutlineWrite(const ModelFile *file, const Contract *contract, char *outline)
{
	OutlineHeader *header = (OutlineHeader *) outline;
	OutlineTensor *entries = (OutlineTensor *) (outline + MAXALIGN(sizeof(OutlineHeader)));
	char	   *piece = outline + ContractOffset(file->ntensors);
	Size		position;

	header->file_size = file->size;
	header->beginning = file->beginning;
	header->contract_size = ContractCopySize(contract);
	header->contract_address = (uintptr_t) piece;
	header->json = ContractOffset(file->ntensors) + header->contract_size;
	header->ntensors = file->ntensors;
	header->encoding = GetDatabaseEncoding();
	(void) ContractCopy(contract, piece);
	memcpy(outline + header->json, file->contract, VARSIZE(file->contract));
	position = NamesOffset(file, header->json);
	for (int i = 0; i < file->ntensors; i++)
	{
		const Tensor *tensor = &file->tensors[i];
		OutlineTensor *entry = &entries[i];
		Size		length = strlen(tensor->name) + 1;

		entry->name = position;
		entry->nelements = tensor->nelements;
		entry->size = tensor->size;
		memcpy(entry->dims, tensor->dims, sizeof(int64) * tensor->ndims);
		entry->ndims = tensor->ndims;
		entry->type = tensor->type;
		memcpy(outline + position, tensor->name, length);
		position += length;
	}
}

bool
OutlineIsReadable(const char *outline)
{
	return ((const OutlineHeader *) outline)->encoding == GetDatabaseEncoding();
}

ModelFile *
OutlineRead(char *outline)
{
	const OutlineHeader *header = (const OutlineHeader *) outline;
	const OutlineTensor *entries = (const OutlineTensor *) (outline + MAXALIGN(sizeof(OutlineHeader)));
	ModelFile  *file = palloc0(sizeof(ModelFile));

	Assert(OutlineIsReadable(outline));
	file->size = header->file_size;
	file->beginning = header->beginning;
	file->contract = (Jsonb *) (outline + header->json);
	file->ntensors = header->ntensors;
	file->tensors = palloc0(sizeof(Tensor) * Max(file->ntensors, 1));
	for (int i = 0; i < file->ntensors; i++)
	{
		Tensor	   *tensor = &file->tensors[i];
		const OutlineTensor *entry = &entries[i];

		tensor->name = outline + entry->name;
		tensor->type = entry->type;
		tensor->ndims = entry->ndims;
		memcpy(tensor->dims, entry->dims, sizeof(int64) * entry->ndims);
		tensor->nelements = entry->nelements;
		tensor->size = entry->size;
	}
	return file;
}

Contract *
OutlineContract(const char *outline)
{
	const OutlineHeader *header = (const OutlineHeader *) outline;
	char	   *piece = palloc(header->contract_size);

	memcpy(piece, outline + ContractOffset(header->ntensors), header->contract_size);
	ContractMove((Contract *) piece, (ptrdiff_t) ((uintptr_t) piece - header->contract_address));
	return (Contract *) piece;
}
