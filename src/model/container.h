/*
 * container.h
 *	  The safetensors file that a model is: header, contract, tensors.
 *
 * The bytes are hostile until ModelFileRead() has returned: it checks every
 * length, offset, shape, count and value.  docs/model-format.md describes the
 * file.
 *
 * Of a file that was read before, ModelFileReadAgain() needs the beginning alone, up to
 * where the numbers of the tensors start.  Its tensors have names and shapes, but no
 * numbers.
 */
#ifndef MTL_RANK_CONTAINER_H
#define MTL_RANK_CONTAINER_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "model/limits.h"

typedef enum TensorType
{
	TENSOR_F32,
	TENSOR_BF16,				/* see math/bf16.h */
	TENSOR_I8,
	TENSOR_I64,
	TENSOR_U8
} TensorType;

/*
 * data points into the file's bytes and may be unaligned: read it by memcpy.  It is NULL
 * where only the beginning of the file was read.
 */
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

typedef struct ModelFile ModelFile;

/*
 * Makes a tensor that a file under construction does not have yet, or has made
 * before; a size below 0 is not known.
 */
typedef Tensor *(*MakeTensor) (ModelFile *file, const char *name, TensorType type,
							   int ndims, const int64 *dims);

struct ModelFile
{
	const char *bytes;			/* the caller's, must outlive the ModelFile */
	Size		size;
	Size		beginning;		/* bytes before the numbers of the tensors */
	Jsonb	   *contract;
	int			ntensors;
	Tensor	   *tensors;		/* in byte order of the names */

	/*
	 * Training builds a graph before there are weights: tensors that the file does
	 * not hold are made when they are needed.  NULL: a missing tensor is an error.
	 */
	MakeTensor	make;
	void	   *maker;			/* the function's own */
};

/*
 * Reads and checks the container: structure, finite weights, checksum.  The
 * result is allocated in the current context.
 */
extern ModelFile *ModelFileRead(const char *bytes, Size size);

/*
 * The same for bytes that are known to have passed all checks before, as those of a value
 * are whose digest MtlModelCheck() has compared: without another pass over the weights.
 */
extern ModelFile *ModelFileReadStored(const char *bytes, Size size);

/*
 * The same from the beginning of a file that was of this size, and had passed all checks.
 */
extern ModelFile *ModelFileReadAgain(const char *bytes, Size size);

/*
 * Bytes of the beginning of a file of this size, which its first MODEL_FILE_LENGTH_SIZE
 * bytes say; they are checked, and not read where the file has not as many.
 */
extern Size ModelFileBeginning(const char *bytes, Size size);

#define MODEL_FILE_LENGTH_SIZE 8	/* of the length of the safetensors header */

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

/*
 * The file of a contract (JSON in the database's encoding) and its tensors, in the
 * current context; the same bytes for the same contents, whatever their order.
 */
extern char *ModelFileWrite(const char *contract, int ntensors, const Tensor *tensors, Size *size);

/* "F32", ...: its dtype in the file. */
extern const char *TensorTypeName(TensorType type);

/* "[16, 8]", for messages. */
extern char *TensorShapeText(int ndims, const int64 *dims);

/* Whether its numbers are there: see ModelFileReadAgain(). */
static inline bool
TensorHasNumbers(const Tensor *tensor)
{
	return tensor->data != NULL;
}

/* The number at position i, of F32, BF16 or I8. */
extern float TensorFloat(const Tensor *tensor, int64 i);
extern int64 TensorInt(const Tensor *tensor, int64 i);

#endif							/* MTL_RANK_CONTAINER_H */
