/*
 * container.h
 *	  The safetensors file that a model is: header, contract, tensors.
 *
 * The bytes are hostile until ModelFileRead() has returned: it checks every
 * length, offset, shape, count and value.  docs/model-format.md describes the
 * file.
 */
#ifndef MTL_RANK_CONTAINER_H
#define MTL_RANK_CONTAINER_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "model/limits.h"

typedef enum TensorType
{
	TENSOR_F32,
	TENSOR_I64,
	TENSOR_U8
} TensorType;

/* data points into the file's bytes and may be unaligned: read it by memcpy */
typedef struct Tensor
{
	char	   *name;
	TensorType	type;
	int			ndims;
	int64		dims[MTL_MAX_DIMS];
	int64		nelements;
	const char *data;
	Size		size;			/* bytes */
	bool		used;			/* some part of the contract called for it */
} Tensor;

typedef struct ModelFile
{
	const char *bytes;			/* the caller's, must outlive the ModelFile */
	Size		size;
	Jsonb	   *contract;
	int			ntensors;
	Tensor	   *tensors;		/* in byte order of the names */
} ModelFile;

/*
 * Reads and checks the container: structure, finite weights, checksum.  The
 * result is allocated in the current context.
 */
extern ModelFile *ModelFileRead(const char *bytes, Size size);

/*
 * Parses JSON in UTF-8; errors say that what they found it in is what, a part of
 * the model file.
 */
extern Jsonb *JsonbFromUtf8(const char *bytes, Size length, const char *what);

/* The tensor of this name, or NULL; does not mark it as used. */
extern Tensor *ModelFileFind(const ModelFile *file, const char *name);

/*
 * The tensor of this name, type and shape (dims[i] < 0: any size), marked as
 * used; an error that names it, the expected and the found shape otherwise.
 */
extern const Tensor *ModelFileNeed(ModelFile *file, const char *name, TensorType type,
								   int ndims, const int64 *dims);

/* Error that names tensors which nothing has asked for. */
extern void ModelFileCheckAllUsed(const ModelFile *file);

/* "[16, 8]", for messages. */
extern char *TensorShapeText(int ndims, const int64 *dims);

/* The number at position i. */
extern float TensorFloat(const Tensor *tensor, int64 i);
extern int64 TensorInt(const Tensor *tensor, int64 i);

#endif							/* MTL_RANK_CONTAINER_H */
