/*
 * gather.c
 *	  OP_INPUT: looks up the rows of embedding tables, pools sequences, and puts the
 *	  vectors of all features together.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "engine/program.h"
#include "math/functions.h"

/* ----------------------------------------------------------- compilation */

/*
 * The embedding table of field i; features that share one share the copy.
 */
static float *
CompileTable(Program *program, const GraphOp *op, const CompiledField *fields, int i)
{
	for (int earlier = 0; earlier < i; earlier++)
		if (op->tables[earlier] == op->tables[i])
			return fields[earlier].table;
	return ProgramCopyFloats(program, op->tables[i]->data, op->tables[i]->nelements);
}

static void
CompileDense(Program *program, const Tensor *weight, const Tensor *bias, CompiledField *field)
{
	if (weight == NULL)
		return;
	field->weight = PackWeight(program, weight, NULL, field->name);
	field->bias = PackBias(program, bias, field->x_width);
}

static void
CompileSequence(Program *program, const Feature *feature, CompiledField *field)
{
	field->max_length = feature->max_length;
	field->combiner = feature->combiner;
	field->unused_first = feature->unused_first;
	field->epsilon = feature->epsilon;
	field->empty_value = feature->empty_value;
	field->weighted = feature->weights_column != NULL;
	field->normalize = feature->normalize;
	if (field->combiner != COMBINER_CONCAT)
		ProgramNeedTemporary(program, field->dim + (field->weighted ? field->max_length : 0));
}

CompiledInput *
CompileInput(Program *program, const InputLayout *layout, const GraphOp *op)
{
	CompiledInput *input = ProgramAlloc(program, sizeof(CompiledInput));

	input->nfloats = layout->nfloats;
	input->nids = layout->nids;
	input->nfields = layout->nfields;
	input->fields = ProgramAlloc(program, sizeof(CompiledField) * layout->nfields);
	for (int i = 0; i < layout->nfields; i++)
	{
		const InputField *source = &layout->fields[i];
		const Feature *feature = source->feature;
		CompiledField *field = &input->fields[i];

		CHECK_FOR_INTERRUPTS();
		field->name = ProgramCopyName(program, feature->name);
		field->kind = feature->kind;
		field->x_offset = source->x_offset;
		field->x_width = source->x_width;
		field->float_offset = source->float_offset;
		field->id_offset = source->id_offset;
		field->width = feature->width;
		field->rows = source->rows;
		field->dim = source->dim;
		if (feature->kind == FEATURE_DENSE)
			CompileDense(program, op->tables[i], op->biases[i], field);
		else
			field->table = CompileTable(program, op, input->fields, i);
		if (feature->kind == FEATURE_SEQUENCE)
			CompileSequence(program, feature, field);
	}
	return input;
}

/* ------------------------------------------------- dense, sparse features */

static void
GatherDense(const Run *run, const CompiledField *field, const float *floats, Size stride,
			float *x, Size x_stride)
{
	if (field->weight)
		RunLinear(run, field->width, field->x_width, floats, stride,
				  field->weight, field->bias, x, x_stride);
	else
		for (int r = 0; r < run->nrows; r++)
			memcpy(x + r * x_stride, floats + r * stride, sizeof(float) * field->width);
}

/*
 * A row of the field's table; NULL for MTL_ZERO_ROW.
 */
static const float *
TableRow(const CompiledField *field, int32 id)
{
	if (id == MTL_ZERO_ROW)
		return NULL;
	if (id < 0 || id >= field->rows)
		elog(ERROR, "feature \"%s\" is encoded as row %d of a table of %d rows",
			 field->name, id, field->rows);
	return field->table + (Size) id * field->dim;
}

static void
CopyRow(const CompiledField *field, int32 id, float *x)
{
	const float *row = TableRow(field, id);

	if (row)
		memcpy(x, row, sizeof(float) * field->dim);
	else
		memset(x, 0, sizeof(float) * field->dim);
}

static void
GatherSparse(const Run *run, const CompiledField *field, const int32 *ids, Size stride,
			 float *x, Size x_stride)
{
	for (int r = 0; r < run->nrows; r++)
		CopyRow(field, ids[r * stride], x + r * x_stride);
}

/* ------------------------------------------------------------- sequences */

static int
SequenceLength(const CompiledField *field, const int32 *ids)
{
	int			n = ids[0];

	if (n < 0 || n > field->max_length)
		elog(ERROR, "feature \"%s\" is encoded with %d values of %d",
			 field->name, n, field->max_length);
	return n;
}

/*
 * The vectors of a sequence side by side, zeros in the places that it leaves.
 */
static void
ConcatSequence(const CompiledField *field, const int32 *ids, float *x)
{
	int			n = SequenceLength(field, ids);
	int			first = field->unused_first ? field->max_length - n : 0;

	memset(x, 0, sizeof(float) * field->x_width);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		CopyRow(field, ids[1 + i], x + (Size) (first + i) * field->dim);
	}
}

static void
WeightsBySum(const CompiledField *field, int n, const float *given, double *weights)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
		sum += given[i];
	if (sum == 0 && n > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DIVISION_BY_ZERO),
				 errmsg("the weights of feature \"%s\" have the sum 0, by which they are divided",
						field->name),
				 errhint("Give at least one value a weight above 0, or no values.")));
	for (int i = 0; i < n; i++)
		weights[i] = given[i] / sum;
}

static void
WeightsBySoftmax(int n, const float *given, double *weights)
{
	double		max = -INFINITY;
	double		sum = 0;

	for (int i = 0; i < n; i++)
		max = Max(max, given[i]);
	for (int i = 0; i < n; i++)
	{
		weights[i] = MtlExp(given[i] - max);
		sum += weights[i];
	}
	for (int i = 0; i < n; i++)
		weights[i] /= sum;
}

static void
NormalizeWeights(const CompiledField *field, int n, const float *given, double *weights)
{
	switch (field->normalize)
	{
		case WEIGHTS_AS_THEY_ARE:
			for (int i = 0; i < n; i++)
				weights[i] = given[i];
			break;
		case WEIGHTS_SUM:
			WeightsBySum(field, n, given, weights);
			break;
		case WEIGHTS_SOFTMAX:
			WeightsBySoftmax(n, given, weights);
			break;
	}
}

/*
 * Takes one value, row of the table times weight, into what is pooled so far; row is
 * NULL for zeros.
 */
static void
PoolValue(const CompiledField *field, const float *row, double weight, double *pooled)
{
	if (field->combiner != COMBINER_MAX)
	{
		for (int u = 0; row && u < field->dim; u++)
			pooled[u] += weight * row[u];
		return;
	}
	for (int u = 0; u < field->dim; u++)
	{
		double		value = row ? weight * row[u] : 0;

		pooled[u] = Max(pooled[u], value);
	}
}

/*
 * One sequence to one vector, in double.  temporary has room for the vector, and for
 * the weights if there are any.
 */
static void
PoolSequence(const CompiledField *field, const float *floats, const int32 *ids,
			 double *temporary, float *x)
{
	int			n = SequenceLength(field, ids);
	double	   *pooled = temporary;
	double	   *weights = temporary + field->dim;
	double		divisor = 1;

	if (field->weighted)
		NormalizeWeights(field, n, floats, weights);

	for (int u = 0; u < field->dim; u++)
		pooled[u] = field->combiner == COMBINER_MAX ? -INFINITY : 0;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		PoolValue(field, TableRow(field, ids[1 + i]), field->weighted ? weights[i] : 1, pooled);
	}

	if (n == 0 && field->combiner == COMBINER_MAX)
		for (int u = 0; u < field->dim; u++)
			pooled[u] = field->empty_value;
	if (n > 0 && field->combiner == COMBINER_MEAN)
		divisor = n + field->epsilon;
	for (int u = 0; u < field->dim; u++)
		x[u] = pooled[u] / divisor;
}

static void
GatherSequence(const Run *run, const CompiledField *field, const float *floats, Size float_stride,
			   const int32 *ids, Size id_stride, float *x, Size x_stride)
{
	for (int r = 0; r < run->nrows; r++)
	{
		if (field->combiner == COMBINER_CONCAT)
			ConcatSequence(field, ids + r * id_stride, x + r * x_stride);
		else
			PoolSequence(field, floats + r * float_stride, ids + r * id_stride,
						 run->temporary, x + r * x_stride);
	}
}

/* ------------------------------------------------------------------- run */

void
RunInput(const Run *run, const CompiledOp *op, float *x)
{
	const CompiledInput *input = op->u.input;

	for (int i = 0; i < input->nfields; i++)
	{
		const CompiledField *field = &input->fields[i];
		const float *floats = run->floats + field->float_offset;
		const int32 *ids = run->ids + field->id_offset;
		float	   *begin = x + field->x_offset;

		CHECK_FOR_INTERRUPTS();
		switch (field->kind)
		{
			case FEATURE_DENSE:
				GatherDense(run, field, floats, input->nfloats, begin, op->width);
				break;
			case FEATURE_SPARSE:
				GatherSparse(run, field, ids, input->nids, begin, op->width);
				break;
			case FEATURE_SEQUENCE:
				GatherSequence(run, field, floats, input->nfloats, ids, input->nids,
							   begin, op->width);
				break;
		}
	}
}
