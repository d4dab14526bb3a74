/*
 * input.c
 *	  The first operation of every graph, x, and the layout of encoded rows.
 */
#include "postgres.h"

#include "graph/builder.h"
#include "model/model_error.h"

/*
 * The embedding table of a sparse feature or a sequence.
 */
static const Tensor *
NeedTable(GraphBuilder *builder, const Feature *feature)
{
	char	   *name = psprintf("embedding.%s.weight", feature->embedding);
	int64		shape[2];
	const Tensor *table;

	shape[0] = feature->vocabulary_size > 0 ? feature->vocabulary_size : -1;
	shape[1] = feature->embedding_dim > 0 ? feature->embedding_dim : -1;
	table = ModelFileNeed(builder->file, name,
						  builder->contract->precision == PRECISION_FLOAT32 ? TENSOR_F32 : TENSOR_BF16,
						  2, shape);
	if (table->dims[0] > PG_INT32_MAX || table->dims[1] > MTL_MAX_WIDTH)
		ModelLimitError("Use a smaller table.",
						"tensor \"%s\" has shape %s, the limit is [%d, %d]",
						name, TensorShapeText(2, table->dims), PG_INT32_MAX, MTL_MAX_WIDTH);
	return table;
}

static void
CheckLayoutSize(int64 size)
{
	if (size > MTL_MAX_ACTIVATIONS)
		ModelLimitError("Use fewer or narrower features.",
						"a row of features has more than %d numbers", MTL_MAX_ACTIVATIONS);
}

/*
 * Finds the tensors of one field and says how wide its vector is.
 */
static void
FillField(GraphBuilder *builder, InputField *field, const Tensor **table, const Tensor **bias)
{
	const Feature *feature = field->feature;

	if (feature->kind != FEATURE_DENSE)
	{
		*table = NeedTable(builder, feature);
		field->rows = (*table)->dims[0];
		field->dim = (*table)->dims[1];
		field->x_width = field->dim;
		if (feature->kind == FEATURE_SEQUENCE && feature->combiner == COMBINER_CONCAT)
		{
			CheckLayoutSize((int64) feature->max_length * field->dim);
			field->x_width = feature->max_length * field->dim;
		}
	}
	else if (feature->embedding_dim > 0)
	{
		int64		shape[2] = {feature->embedding_dim, feature->width};

		*table = ModelFileNeed(builder->file, psprintf("dense.%s.weight", feature->name),
							   TENSOR_F32, 2, shape);
		if (feature->embedding_bias)
			*bias = ModelFileNeed(builder->file, psprintf("dense.%s.bias", feature->name),
								  TENSOR_F32, 1, shape);
		field->x_width = feature->embedding_dim;
	}
	else
		field->x_width = feature->width;
}

/*
 * Gives the field its places in an encoded row; see input.h.
 */
static void
PlaceField(InputLayout *layout, InputField *field)
{
	const Feature *feature = field->feature;
	int64		nfloats = 0;
	int64		nids = 0;

	field->float_offset = layout->nfloats;
	field->id_offset = layout->nids;
	switch (feature->kind)
	{
		case FEATURE_DENSE:
			nfloats = feature->width;
			break;
		case FEATURE_SPARSE:
			nids = 1;
			break;
		case FEATURE_SEQUENCE:
			nids = 1 + feature->max_length;
			nfloats = feature->weights_column ? feature->max_length : 0;
			break;
	}
	CheckLayoutSize(layout->nfloats + nfloats);
	CheckLayoutSize(layout->nids + nids);
	layout->nfloats += nfloats;
	layout->nids += nids;
}

int
AddInput(GraphBuilder *builder)
{
	const Contract *contract = builder->contract;
	InputLayout *layout = palloc0(sizeof(InputLayout));
	const Tensor **tables = palloc0(sizeof(Tensor *) * contract->nfeatures);
	const Tensor **biases = palloc0(sizeof(Tensor *) * contract->nfeatures);
	int			op;

	layout->nfields = contract->nfeatures;
	layout->fields = palloc0(sizeof(InputField) * contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
	{
		layout->fields[i].feature = &contract->features[i];
		FillField(builder, &layout->fields[i], &tables[i], &biases[i]);
		PlaceField(layout, &layout->fields[i]);
	}
	for (int i = 0; i < contract->nfeatures; i++)
	{
		InputField *field = &layout->fields[contract->input[i]];

		field->x_offset = layout->width;
		CheckLayoutSize((int64) layout->width + field->x_width);
		layout->width += field->x_width;
	}

	op = AddOp(builder, OP_INPUT, "x", layout->width, 0, NULL);
	builder->graph->layout = layout;
	builder->graph->ops[op].tables = tables;
	builder->graph->ops[op].biases = biases;
	return op;
}
