/*
 * examples.h
 *	  The examples of a model: rows, and the scores that its training library gave.
 */
#ifndef MTL_RANK_EXAMPLES_H
#define MTL_RANK_EXAMPLES_H

#include "model/contract.h"

typedef struct Examples
{
	int			nrows;
	Jsonb	  **rows;			/* objects, a row each */
	const Tensor *scores;		/* (nrows, outputs) */
} Examples;

/*
 * Reads and checks the examples, marking their tensors as used; NULL when the
 * contract has none.  Allocated in the current context.
 */
extern Examples *ExamplesRead(const Contract *contract, ModelFile *file);

#endif							/* MTL_RANK_EXAMPLES_H */
