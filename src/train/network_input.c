/*
 * network_input.c
 *	  OP_INPUT in training: the rows of tables that a batch touches, pooling of
 *	  sequences, matrices of dense features.
 *
 * Scoring has its own (engine/gather.c), which gives the same bits for any batch; this
 * one goes back as well.  For max pooling, argmax says for each number of the pooled
 * vector which value of the sequence it came from, -1 if from none.
 */
#include "postgres.h"

#include <math.h>

#include "math/functions.h"
#include "train/blas.h"
#include "train/network.h"

int
InputSequenceWidth(const Graph *graph, int *max_length)
{
	int			width = 0;

	*max_length = 1;
	for (int i = 0; i < graph->layout->nfields; i++)
	{
		const InputField *field = &graph->layout->fields[i];

		if (field->feature->kind != FEATURE_SEQUENCE)
			continue;
		width += field->x_width;
		*max_length = Max(*max_length, field->feature->max_length);
	}
	return width;
}

int
InputDenseWidth(const Graph *graph)
{
	int			width = 0;

	for (int i = 0; i < graph->layout->nfields; i++)
	{
		const Feature *feature = graph->layout->fields[i].feature;

		if (feature->kind == FEATURE_DENSE && feature->embedding_dim > 0)
			width = Max(width, feature->width);
	}
	return width;
}

/*
 * Rows of a table that a batch can touch at most.
 */
int64
InputTableRows(const Graph *graph, const GraphOp *op, const Parameter *table, int max_rows)
{
	int64		per_row = 0;

	for (int i = 0; i < graph->layout->nfields; i++)
	{
		const Feature *feature = graph->layout->fields[i].feature;

		if (feature->kind != FEATURE_DENSE && ParameterOf(op->tables[i]) == table)
			per_row += feature->kind == FEATURE_SEQUENCE ? feature->max_length : 1;
	}
	return Min(table->tensor.dims[0], per_row * max_rows);
}

/* ---------------------------------------------------------------- tables */

/* The place of a table's row in the batch's gradient. */
static int32
TouchRow(TableGradient *table, int32 row)
{
	int32	   *slot = &table->slots[row];

	if (*slot < 0)
	{
		Assert(table->nrows < table->capacity);
		*slot = table->nrows++;
		table->rows[*slot] = row;
	}
	return *slot;
}

static void
ForgetRows(TableGradient *table)
{
	for (int i = 0; i < table->nrows; i++)
		table->slots[table->rows[i]] = -1;
	table->nrows = 0;
}

static TableGradient *
TableOf(const Network *network, const Tensor *tensor)
{
	return &network->tables[ParameterOf(tensor)->table];
}

/* Vectors are short: a call of memcpy would take longer. */
static inline void
CopyVector(int n, const real *restrict from, real *restrict to)
{
	for (int u = 0; u < n; u++)
		to[u] = from[u];
}

static inline void
AddVector(int n, const real *restrict from, real *restrict to)
{
	for (int u = 0; u < n; u++)
		to[u] += from[u];
}

/* --------------------------------------------------------------- pooling */

/*
 * The weights of one sequence, divided by what its combiner divides by.
 */
static void
SequenceWeights(const Network *network, const InputField *field, int n, const float *given)
{
	const Feature *feature = field->feature;
	double	   *weights = network->weights;
	double		sum = 0;
	double		max = -INFINITY;
	double		divisor = 1;

	for (int i = 0; i < n; i++)
	{
		weights[i] = feature->weights_column ? given[i] : 1;
		max = Max(max, weights[i]);
	}
	if (feature->weights_column && feature->normalize != WEIGHTS_AS_THEY_ARE && n > 0)
	{
		for (int i = 0; i < n; i++)
		{
			if (feature->normalize == WEIGHTS_SOFTMAX)
				weights[i] = MtlExp(weights[i] - max);
			sum += weights[i];
		}
		if (sum == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DIVISION_BY_ZERO),
					 errmsg("the weights of feature \"%s\" have the sum 0, by which they are divided",
							feature->name),
					 errhint("Give at least one value a weight above 0, or no values.")));
		for (int i = 0; i < n; i++)
			weights[i] /= sum;
	}
	if (feature->combiner == COMBINER_MEAN)
		divisor = n + feature->epsilon;
	for (int i = 0; i < n && divisor != 1; i++)
		weights[i] /= divisor;
}

static void
PoolMax(const Network *network, const InputField *field, const TableGradient *table, int n,
		const int32 *rows, real *x, int *argmax)
{
	const real *values = table->parameter->value;

	for (int u = 0; u < field->dim; u++)
	{
		double		best = -INFINITY;

		argmax[u] = -1;
		for (int i = 0; i < n; i++)
		{
			double		value = rows[i] == MTL_ZERO_ROW ? 0 :
				network->weights[i] * values[(Size) rows[i] * table->dim + u];

			if (value > best)
			{
				best = value;
				argmax[u] = i;
			}
		}
		x[u] = n > 0 ? (real) best : (real) field->feature->empty_value;
	}
}

static void
PoolSum(const Network *network, const InputField *field, const TableGradient *table, int n,
		const int32 *rows, real *x)
{
	const real *values = table->parameter->value;

	memset(x, 0, sizeof(real) * field->dim);
	for (int i = 0; i < n; i++)
	{
		const real *value = values + (Size) rows[i] * table->dim;
		real		weight = (real) network->weights[i];

		if (rows[i] != MTL_ZERO_ROW)
			for (int u = 0; u < field->dim; u++)
				x[u] += weight * value[u];
	}
}

/* Where value i of n stands in a vector that keeps places. */
static Size
PlaceOf(const InputField *field, int i, int n)
{
	int			first = field->feature->unused_first ? field->feature->max_length - n : 0;

	return (Size) (first + i) * field->dim;
}

static void
PlaceValues(const InputField *field, const TableGradient *table, int n, const int32 *rows, real *x)
{
	memset(x, 0, sizeof(real) * field->x_width);
	for (int i = 0; i < n; i++)
		if (rows[i] != MTL_ZERO_ROW)
			memcpy(x + PlaceOf(field, i, n), table->parameter->value + (Size) rows[i] * table->dim,
				   sizeof(real) * table->dim);
}

static void
SequenceForward(Network *network, const NetworkOp *op, int i, int *argmax)
{
	const InputLayout *layout = network->graph->layout;
	const InputField *field = &layout->fields[i];
	TableGradient *table = TableOf(network, op->op->tables[i]);

	for (int r = 0; r < network->nrows; r++)
	{
		const int32 *ids = network->ids + (Size) r * layout->nids + field->id_offset;
		real	   *x = op->out.value + (Size) r * op->width + field->x_offset;

		CheckAtRow(r, ids[0] * field->dim);
		SequenceWeights(network, field, ids[0],
						network->floats + (Size) r * layout->nfloats + field->float_offset);
		if (field->feature->combiner == COMBINER_CONCAT)
			PlaceValues(field, table, ids[0], ids + 1, x);
		else if (field->feature->combiner == COMBINER_MAX)
			PoolMax(network, field, table, ids[0], ids + 1, x, argmax + (Size) r * network->pooled_width);
		else
			PoolSum(network, field, table, ids[0], ids + 1, x);
		for (int k = 0; network->training && k < ids[0]; k++)
			if (ids[1 + k] != MTL_ZERO_ROW)
				(void) TouchRow(table, ids[1 + k]);
	}
}

static void
SequenceBackward(Network *network, const NetworkOp *op, int i, const int *argmax)
{
	const InputLayout *layout = network->graph->layout;
	const InputField *field = &layout->fields[i];
	TableGradient *table = TableOf(network, op->op->tables[i]);

	for (int r = 0; r < network->nrows; r++)
	{
		const int32 *ids = network->ids + (Size) r * layout->nids + field->id_offset;
		const real *x = op->out.gradient + (Size) r * op->width + field->x_offset;
		const int  *from = argmax + (Size) r * network->pooled_width;

		CheckAtRow(r, ids[0] * field->dim);
		SequenceWeights(network, field, ids[0],
						network->floats + (Size) r * layout->nfloats + field->float_offset);
		for (int k = 0; k < ids[0]; k++)
		{
			real		weight = (real) network->weights[k];
			real	   *gradient;

			if (ids[1 + k] == MTL_ZERO_ROW)
				continue;
			gradient = table->gradient + (Size) TouchRow(table, ids[1 + k]) * table->dim;
			if (field->feature->combiner == COMBINER_CONCAT)
			{
				AddVector(table->dim, x + PlaceOf(field, k, ids[0]), gradient);
				continue;
			}
			for (int u = 0; u < field->dim; u++)
				if (field->feature->combiner != COMBINER_MAX || from[u] == k)
					gradient[u] += weight * x[u];
		}
	}
}

/* ------------------------------------------------- sparse, dense features */

static void
SparseForward(Network *network, const NetworkOp *op, int i)
{
	const InputLayout *layout = network->graph->layout;
	const InputField *field = &layout->fields[i];
	TableGradient *table = TableOf(network, op->op->tables[i]);
	const int32 *id = network->ids + field->id_offset;
	real	   *x = op->out.value + field->x_offset;

	for (int r = 0; r < network->nrows; r++, id += layout->nids, x += op->width)
	{
		if (*id == MTL_ZERO_ROW)
		{
			memset(x, 0, sizeof(real) * table->dim);
			continue;
		}
		CopyVector(table->dim, table->parameter->value + (Size) *id * table->dim, x);
		if (network->training)
			(void) TouchRow(table, *id);
	}
}

static void
SparseBackward(Network *network, const NetworkOp *op, int i)
{
	const InputLayout *layout = network->graph->layout;
	const InputField *field = &layout->fields[i];
	TableGradient *table = TableOf(network, op->op->tables[i]);
	const int32 *id = network->ids + field->id_offset;
	const real *x = op->out.gradient + field->x_offset;

	for (int r = 0; r < network->nrows; r++, id += layout->nids, x += op->width)
	{
		real	   *gradient;

		if (*id == MTL_ZERO_ROW)
			continue;
		gradient = table->gradient + (Size) table->slots[*id] * table->dim;
		AddVector(table->dim, x, gradient);
	}
}

/* Copies the numbers of a dense feature, (rows, width), in the type that is computed with. */
static void
CopyNumbers(const Network *network, const InputField *field, real *copy, int copy_stride)
{
	int			stride = network->graph->layout->nfloats;
	const float *numbers = network->floats + field->float_offset;

	for (int r = 0; r < network->nrows; r++, numbers += stride, copy += copy_stride)
	{
		CheckAtSomeRows(r);
		for (int k = 0; k < field->feature->width; k++)
			copy[k] = numbers[k];
	}
}

static void
DenseForward(Network *network, const NetworkOp *op, int i)
{
	const InputField *field = &network->graph->layout->fields[i];
	const real *weight = ValueOf(op->op->tables[i]);
	const real *bias = ValueOf(op->op->biases[i]);
	real	   *x = op->out.value + field->x_offset;
	int			width = field->feature->width;

	if (weight == NULL)
	{
		CopyNumbers(network, field, x, op->width);
		return;
	}
	CopyNumbers(network, field, network->dense, width);
	BlasMultiply(false, true, network->nrows, field->x_width, width,
				 network->dense, width, weight, width, 0, x, op->width);
	for (int r = 0; bias && r < network->nrows; r++)
	{
		CheckAtSomeRows(r);
		for (int u = 0; u < field->x_width; u++)
			x[(Size) r * op->width + u] += bias[u];
	}
}

static void
DenseBackward(Network *network, const NetworkOp *op, int i)
{
	const InputField *field = &network->graph->layout->fields[i];
	real	   *weight = GradientOf(network, op->op->tables[i]);
	real	   *bias = GradientOf(network, op->op->biases[i]);
	const real *x = op->out.gradient + field->x_offset;
	int			width = field->feature->width;

	if (weight == NULL)
		return;
	CopyNumbers(network, field, network->dense, width);
	BlasMultiply(true, false, field->x_width, width, network->nrows,
				 x, op->width, network->dense, width, 1, weight, width);
	for (int r = 0; bias && r < network->nrows; r++)
	{
		CheckAtSomeRows(r);
		for (int u = 0; u < field->x_width; u++)
			bias[u] += x[(Size) r * op->width + u];
	}
}

/* ------------------------------------------------------------------ passes */

void
InputForward(Network *network, NetworkOp *op)
{
	const InputLayout *layout = network->graph->layout;
	int		   *argmax = op->argmax;

	for (int i = 0; network->training && i < network->ntables; i++)
		ForgetRows(&network->tables[i]);
	for (int i = 0; i < layout->nfields; i++)
	{
		CHECK_FOR_INTERRUPTS();
		switch (layout->fields[i].feature->kind)
		{
			case FEATURE_DENSE:
				DenseForward(network, op, i);
				break;
			case FEATURE_SPARSE:
				SparseForward(network, op, i);
				break;
			case FEATURE_SEQUENCE:
				SequenceForward(network, op, i, argmax);
				argmax += layout->fields[i].x_width;
				break;
		}
	}
}

void
InputBackward(Network *network, NetworkOp *op)
{
	const InputLayout *layout = network->graph->layout;
	const int  *argmax = op->argmax;

	for (int i = 0; i < layout->nfields; i++)
	{
		CHECK_FOR_INTERRUPTS();
		switch (layout->fields[i].feature->kind)
		{
			case FEATURE_DENSE:
				DenseBackward(network, op, i);
				break;
			case FEATURE_SPARSE:
				SparseBackward(network, op, i);
				break;
			case FEATURE_SEQUENCE:
				SequenceBackward(network, op, i, argmax);
				argmax += layout->fields[i].x_width;
				break;
		}
	}
}
