/*
 * model_value.c
 *	  A value of type mtl_model: a fixed header, and the file unchanged.
 */
#include "postgres.h"

#include "access/detoast.h"

#include "compat.h"
#include "model/container.h"
#include "model/memory.h"
#include "model/model_value.h"

#define MODEL_MAGIC 0x524C544D	/* "MTLR" as bytes in memory */
#define MODEL_VERSION 1
#define MODEL_VALID_FLAGS 0

#define RESTORE_HINT "Restore the value from a backup, or make it again from the model's file."

/* What is on disk must not depend on the compiler. */
StaticAssertDecl(offsetof(MtlModel, magic) == 4, "layout of mtl_model");
StaticAssertDecl(offsetof(MtlModel, version) == 8, "layout of mtl_model");
StaticAssertDecl(offsetof(MtlModel, flags) == 10, "layout of mtl_model");
StaticAssertDecl(offsetof(MtlModel, file_size) == 16, "layout of mtl_model");
StaticAssertDecl(offsetof(MtlModel, digest) == 24, "layout of mtl_model");
StaticAssertDecl(offsetof(MtlModel, reserved2) == 56, "layout of mtl_model");
StaticAssertDecl(offsetof(MtlModel, file) == MTL_MODEL_HEADER_SIZE, "layout of mtl_model");

int			mtl_rank_max_model_size;

void
CheckModelSize(uint64 size)
{
	uint64		limit = (uint64) mtl_rank_max_model_size * 1024;

	if (size > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("model of " UINT64_FORMAT " bytes exceeds the limit of " UINT64_FORMAT " bytes",
						size, limit),
				 errhint("Increase \"mtl_rank.max_model_size\".")));
}

MtlModel *
MtlModelMake(const char *file, Size size)
{
	DigestChunk chunk = {file, size};
	MtlModel   *model;

	CheckModelSize(size);
	model = AllocateLarge(MTL_MODEL_HEADER_SIZE + size);
	memset(model, 0, MTL_MODEL_HEADER_SIZE);
	SET_VARSIZE(model, MTL_MODEL_HEADER_SIZE + size);
	model->magic = MODEL_MAGIC;
	model->version = MODEL_VERSION;
	model->file_size = size;
	CopyLarge(model->file, file, size);
	DigestChunks(&chunk, 1, model->digest);
	return model;
}

/*
 * size is that of the whole value.
 */
static void
CheckHeader(const MtlModel *header, Size size)
{
	if (size < MTL_MODEL_HEADER_SIZE || header->magic != MODEL_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored model is damaged: its header is not that of an mtl_model"),
				 errhint(RESTORE_HINT)));
	if (header->version > MODEL_VERSION || (header->flags & ~MODEL_VALID_FLAGS) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stored model has layout version %d and flags %d, this version of mtl_rank knows version %d and flags %d",
						header->version, header->flags, MODEL_VERSION, MODEL_VALID_FLAGS),
				 errhint("Install a newer version of mtl_rank.")));
	if (header->version < 1 || header->reserved1 != 0 || header->reserved2 != 0 ||
		header->file_size != size - MTL_MODEL_HEADER_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored model is damaged: its header says " UINT64_FORMAT " bytes, the value has %zu",
						header->file_size, size - MTL_MODEL_HEADER_SIZE),
				 errhint(RESTORE_HINT)));
}

/*
 * The first bytes of a value of raw_size bytes, all if it has not as many; where it is in
 * memory as it is, all are there.
 */
static const MtlModel *
ReadSlice(Datum value, Size raw_size, Size size)
{
	struct varlena *plain = (struct varlena *) DatumGetPointer(value);
	struct varlena *slice;

	if (VARATT_IS_4B_U(plain))
		return (const MtlModel *) plain;
	slice = PG_DETOAST_DATUM_SLICE(value, 0, size - VARHDRSZ);
	if (VARSIZE(slice) < Min(size, raw_size))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored model is damaged: its first %zu bytes were read as %zu bytes",
						Min(size, raw_size), (Size) VARSIZE(slice)),
				 errhint(RESTORE_HINT)));
	return (const MtlModel *) slice;
}

const MtlModel *
MtlModelHeader(Datum value)
{
	Size		raw_size = toast_raw_datum_size(value);
	const MtlModel *header = ReadSlice(value, raw_size, MTL_MODEL_HEADER_SIZE);

	CheckHeader(header, raw_size);
	return header;
}

const MtlModel *
MtlModelBeginning(Datum value)
{
	Size		raw_size = toast_raw_datum_size(value);
	const MtlModel *model = ReadSlice(value, raw_size, MTL_MODEL_HEADER_SIZE + MODEL_FILE_LENGTH_SIZE);

	CheckHeader(model, raw_size);
	return ReadSlice(value, raw_size,
					 MTL_MODEL_HEADER_SIZE + ModelFileBeginning(model->file, model->file_size));
}

void
MtlModelCheckHeader(const MtlModel *model)
{
	CheckHeader(model, VARSIZE(model));
}

void
MtlModelCheck(const MtlModel *model)
{
	DigestChunk chunk;
	uint8		digest[MTL_DIGEST_SIZE];

	MtlModelCheckHeader(model);
	chunk.data = model->file;
	chunk.size = model->file_size;
	DigestChunks(&chunk, 1, digest);
	if (memcmp(digest, model->digest, MTL_DIGEST_SIZE) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored model is damaged: its digest is %s, its file gives %s",
						DigestHex(model->digest), DigestHex(digest)),
				 errhint(RESTORE_HINT)));
}
