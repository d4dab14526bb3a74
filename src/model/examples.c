/*
 * examples.c
 *	  The examples of a model: rows, and the scores that its training library gave.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "model/examples.h"
#include "model/model_error.h"

#define ROWS_TENSOR "examples.rows"
#define SCORES_TENSOR "examples.scores"

#define EXAMPLES_HINT "Write examples with attach_examples() of the mtl_rank Python module, or as docs/model-format.md says."

Examples *
ExamplesRead(const Contract *contract, ModelFile *file)
{
	int64		text_shape[1] = {-1};
	int64		scores_shape[2] = {contract->nexamples, contract->noutputs};
	Examples   *examples;
	const Tensor *text;
	Jsonb	   *rows;
	int			nrows = 0;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (contract->nexamples == 0)
		return NULL;

	text = ModelFileNeed(file, ROWS_TENSOR, TENSOR_U8, 1, text_shape);
	examples = palloc(sizeof(Examples));
	examples->nrows = contract->nexamples;
	examples->rows = palloc(sizeof(Jsonb *) * examples->nrows);
	examples->scores = ModelFileNeed(file, SCORES_TENSOR, TENSOR_F32, 2, scores_shape);

	rows = JsonbFromUtf8(text->data, text->size, "tensor \"" ROWS_TENSOR "\"");
	if (!JB_ROOT_IS_ARRAY(rows) || JB_ROOT_IS_SCALAR(rows) ||
		JB_ROOT_COUNT(rows) != examples->nrows)
		ModelError(EXAMPLES_HINT,
				   "tensor \"%s\" is not a JSON array of %d rows", ROWS_TENSOR, examples->nrows);

	iterator = JsonbIteratorInit(&rows->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token != WJB_ELEM)
			continue;
		if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
			ModelError(EXAMPLES_HINT,
					   "row %d of tensor \"%s\" is not a JSON object", nrows + 1, ROWS_TENSOR);
		examples->rows[nrows++] = JsonbValueToJsonb(&value);
	}
	return examples;
}
