/*
 * loaded_model.h
 *	  A model made ready to score: contract, encoder, program.
 *
 * Its structures live in one memory context of its own.  They refer to nothing outside
 * but the bulk (model/bulk.h), which is in that context too, or in an image.
 *
 * An image is what another process needs to have the same model: its outline
 * (model/outline.h), and the bulk.  As the outline has its texts in one encoding, for
 * databases of another one there is also the beginning of the file, which it was made
 * from.  An image has no pointers, so that it may lie at any address that is a multiple
 * of MTL_BULK_ALIGNMENT.
 */
#ifndef MTL_RANK_LOADED_MODEL_H
#define MTL_RANK_LOADED_MODEL_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/ilist.h"

#include "cache/shared_cache.h"
#include "engine/engine.h"
#include "features/encoder.h"
#include "graph/graph.h"
#include "model/contract.h"
#include "model/digest.h"

typedef struct LoadedModel
{
	MemoryContext context;
	uint8		digest[MTL_DIGEST_SIZE];
	Contract   *contract;		/* a ContractCopy() */
	InputLayout *layout;
	int			ngates;
	GraphGate  *gates;
	int		   *output_ops;		/* one for each output of the contract */
	Encoder    *encoder;
	Program    *program;
	Size		size;			/* bytes of all this in context */

	/* kept by model_cache.c */
	int			pins;
	int64		uses;
	TimestampTz last_used;
	SharedPin	shared;
	char	   *reason;			/* why it is not shared, or NULL */
	dlist_node	lru;
} LoadedModel;

typedef struct ModelLoad ModelLoad;

/*
 * Reads a model file and checks all of it that can be checked without its bulk.  All is
 * allocated in contexts that are children of the current one, so that on an error
 * nothing is left behind that the caller's context does not hold.  A stored file is one
 * that ModelFileReadStored() may read.
 */
extern ModelLoad *ModelLoadBegin(const char *file, Size size, const uint8 digest[MTL_DIGEST_SIZE],
								 bool stored);

/* Bytes of the image that the load would make. */
extern Size ModelLoadImageSize(const ModelLoad *load);

/*
 * Makes the model, and ends the load.  With an image it is filled, and must live as long
 * as the model; it is good when this returns.  With NULL the bulk is in the context.
 */
extern LoadedModel *ModelLoadFinish(ModelLoad *load, char *image);

/*
 * The two together, without an image: the one place where a model is checked whole, so
 * what passes here can be scored.  The new context is a child of the current one.
 */
extern LoadedModel *LoadedModelCreate(const char *file, Size size,
									  const uint8 digest[MTL_DIGEST_SIZE]);

/* The model of an image that another process may have filled; it must live as long. */
extern LoadedModel *LoadedModelAttach(char *image, Size size,
									  const uint8 digest[MTL_DIGEST_SIZE]);

#endif							/* MTL_RANK_LOADED_MODEL_H */
