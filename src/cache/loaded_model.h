/*
 * loaded_model.h
 *	  A model made ready to score: contract, encoder, program.
 *
 * It lives in one memory context of its own and refers to nothing outside.
 */
#ifndef MTL_RANK_LOADED_MODEL_H
#define MTL_RANK_LOADED_MODEL_H

#include "postgres.h"

#include "lib/ilist.h"

#include "engine/engine.h"
#include "features/encoder.h"
#include "graph/graph.h"
#include "model/contract.h"
#include "model/digest.h"

typedef struct LoadedModel
{
	MemoryContext context;
	uint8		digest[MTL_DIGEST_SIZE];
	Contract   *contract;		/* its JSON parts are gone: see LoadedModelCreate */
	InputLayout *layout;
	int			ngates;
	GraphGate  *gates;
	int		   *output_ops;		/* one for each output of the contract */
	Encoder    *encoder;
	Program    *program;
	int64		cost;			/* multiply-adds of a row, all outputs */
	int64	   *output_costs;	/* of one output alone */
	Size		size;			/* bytes of all this */

	/* kept by model_cache.c */
	int			pins;
	bool		cached;
	dlist_node	lru;
} LoadedModel;

/*
 * Reads a model file and prepares everything that scoring needs; the one place
 * where a model is checked whole, so what passes here can be scored.  The new
 * context is a child of the current one; on an error nothing is left behind that
 * the caller's context does not hold.
 */
extern LoadedModel *LoadedModelCreate(const char *file, Size size,
									  const uint8 digest[MTL_DIGEST_SIZE]);

#endif							/* MTL_RANK_LOADED_MODEL_H */
