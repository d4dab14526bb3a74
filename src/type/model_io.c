/*
 * model_io.c
 *	  The SQL type mtl_model: text and binary I/O, casts, digest.
 *
 * Every way in takes the model's file and checks it whole, by loading it.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "cache/loaded_model.h"
#include "model/model_value.h"

MTL_FUNCTION(mtl_model_in);
MTL_FUNCTION(mtl_model_out);
MTL_FUNCTION(mtl_model_recv);
MTL_FUNCTION(mtl_model_send);
MTL_FUNCTION(mtl_model_from_bytea);
MTL_FUNCTION(mtl_model_to_bytea);
MTL_FUNCTION(mtl_digest);

/*
 * Checks a file that comes from outside and makes a value of it.
 */
static MtlModel *
ModelFromFile(const char *file, Size size)
{
	MtlModel   *model = MtlModelMake(file, size);
	LoadedModel *loaded = LoadedModelCreate(model->file, model->file_size, model->digest);

	MemoryContextDelete(loaded->context);
	return model;
}

/* Text form: \x and hexadecimal digits, as bytea has it. */
Datum
mtl_model_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	bytea	   *bytes;
	MtlModel   *model;

	if (strncmp(text, "\\x", 2) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "mtl_model"),
				 errhint("A model's text form is \"\\x\" and the hexadecimal digits of its safetensors file.")));
	CheckModelSize(strlen(text + 2) / 2);
	bytes = DatumGetByteaP(DirectFunctionCall1(byteain, CStringGetDatum(text)));
	model = ModelFromFile(VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ);
	pfree(bytes);
	PG_RETURN_POINTER(model);
}

Datum
mtl_model_out(PG_FUNCTION_ARGS)
{
	MtlModel   *model = DatumGetMtlModelP(PG_GETARG_DATUM(0));
	char	   *text;
	char	   *end;

	MtlModelCheckHeader(model);
	text = palloc(2 * model->file_size + 3);
	text[0] = '\\';
	text[1] = 'x';
	end = text + 2 + hex_encode(model->file, model->file_size, text + 2);
	*end = '\0';
	PG_RETURN_CSTRING(text);
}

/* Binary form: the file. */
Datum
mtl_model_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buffer = (StringInfo) PG_GETARG_POINTER(0);
	int			size = buffer->len - buffer->cursor;

	CheckModelSize(size);
	PG_RETURN_POINTER(ModelFromFile(pq_getmsgbytes(buffer, size), size));
}

Datum
mtl_model_send(PG_FUNCTION_ARGS)
{
	MtlModel   *model = DatumGetMtlModelP(PG_GETARG_DATUM(0));
	StringInfoData buffer;

	MtlModelCheckHeader(model);
	pq_begintypsend(&buffer);
	pq_sendbytes(&buffer, model->file, model->file_size);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

Datum
mtl_model_from_bytea(PG_FUNCTION_ARGS)
{
	bytea	   *bytes;

	/* the size is known before the value is fetched */
	CheckModelSize(toast_raw_datum_size(PG_GETARG_DATUM(0)) - VARHDRSZ);
	bytes = PG_GETARG_BYTEA_PP(0);
	PG_RETURN_POINTER(ModelFromFile(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)));
}

Datum
mtl_model_to_bytea(PG_FUNCTION_ARGS)
{
	MtlModel   *model = DatumGetMtlModelP(PG_GETARG_DATUM(0));
	bytea	   *bytes;

	MtlModelCheckHeader(model);
	bytes = palloc(VARHDRSZ + model->file_size);
	SET_VARSIZE(bytes, VARHDRSZ + model->file_size);
	memcpy(VARDATA(bytes), model->file, model->file_size);
	PG_RETURN_BYTEA_P(bytes);
}

/* The SHA-256 of the file, from the header alone. */
Datum
mtl_digest(PG_FUNCTION_ARGS)
{
	const MtlModel *header = MtlModelHeader(PG_GETARG_DATUM(0));

	PG_RETURN_TEXT_P(cstring_to_text(DigestHex(header->digest)));
}
