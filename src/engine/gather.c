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

#define CACHE_LINE_FLOATS	16

/* Values of a sequence that are on their way while one is pooled. */
#define POOL_AHEAD			4

/* ----------------------------------------------------------- compilation */

/*
 * As float32, which embeddings are gathered and pooled in.
 */
static float *
CopyTable(Program *program, const Tensor *table)
{
	float	   *numbers;

	if (table->type == TENSOR_F32)
		return BulkCopy(program->bulk, table->data, table->size);
	numbers = BulkAlloc(program->bulk, sizeof(float) * table->nelements);
	for (int64 i = 0; BulkWantsContent(program->bulk) && i < table->nelements; i++)
		numbers[i] = TensorFloat(table, i);
	return numbers;
}

/*
 * The embedding table of field i; features that share one share the copy.
 */
static float *
CompileTable(Program *program, const GraphOp *op, const CompiledField *fields, int i)
{
	for (int earlier = 0; earlier < i; earlier++)
		if (op->tables[earlier] == op->tables[i])
			return fields[earlier].table;
	return CopyTable(program, op->tables[i]);
}

static void
FillDense(CompiledField *field, const Tensor *weight, const Tensor *bias)
{
	double	   *biases = NULL;

	if (bias)
	{
		biases = palloc(sizeof(double) * field->x_width);
		for (int u = 0; u < field->x_width; u++)
			biases[u] = TensorFloat(bias, u);
	}
	FillLinear(field->linear, 0, weight, NULL, biases, field->name);
	if (biases)
		pfree(biases);
}

static void
CompileDense(Program *program, const Tensor *weight, const Tensor *bias, CompiledField *field)
{
	if (weight == NULL)
		return;
	field->linear = CreateLinear(program, field->width, field->x_width, false, NULL,
								 PRECISION_FLOAT32);
	if (BulkWantsContent(program->bulk))
		FillDense(field, weight, bias);
	ProgramNeedRowTemporary(program, TYPEALIGN(MTL_STRIP, field->x_width) / 2);
}

/*
 * Numbers of an encoded row that are taken as they are, in one piece with those before
 * where they follow each other.
 */
static void
AddCopy(Gathering *gathering, const CompiledField *field, int offset)
{
	CompiledCopy *last = gathering->ncopies > 0 ? &gathering->copies[gathering->ncopies - 1] : NULL;

	if (last && offset == last->x_offset + last->width &&
		field->float_offset == last->float_offset + last->width)
	{
		last->width += field->width;
		return;
	}
	gathering->copies[gathering->ncopies++] =
		(CompiledCopy) {offset, field->float_offset, field->width};
}

void
CompileGathering(Program *program, const CompiledInput *input, int nplaces,
				 const FieldPlace *places, Gathering *gathering)
{
	gathering->copies = ProgramAlloc(program, sizeof(CompiledCopy) * nplaces);
	gathering->sparse = ProgramAlloc(program, sizeof(FieldPlace) * nplaces);
	gathering->others = ProgramAlloc(program, sizeof(FieldPlace) * nplaces);
	for (int i = 0; i < nplaces; i++)
	{
		const CompiledField *field = &input->fields[places[i].field];

		if (field->kind == FEATURE_SPARSE)
			gathering->sparse[gathering->nsparse++] = places[i];
		else if (field->kind == FEATURE_DENSE && field->linear == NULL)
			AddCopy(gathering, field, places[i].offset);
		else
			gathering->others[gathering->nothers++] = places[i];
	}
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
	FieldPlace *places = palloc(sizeof(FieldPlace) * layout->nfields);

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
		field->context = feature->context;
		places[i] = (FieldPlace) {i, field->x_offset};
		if (feature->kind == FEATURE_DENSE)
			CompileDense(program, op->tables[i], op->biases[i], field);
		else
			field->table = CompileTable(program, op, input->fields, i);
		if (feature->kind == FEATURE_SEQUENCE)
			CompileSequence(program, feature, field);
	}
	CompileGathering(program, input, input->nfields, places, &input->x);
	input->direct = input->x.ncopies == 1 && input->x.copies[0].width == op->width &&
		op->width == input->nfloats;
	pfree(places);
	return input;
}

/* ------------------------------------------------- dense, sparse features */

static void
CopyNumbers(const Run *run, const CompiledInput *input, const Gathering *gathering,
			float *x, Size x_stride)
{
	for (int r = 0; r < run->nrows; r++)
		for (int i = 0; i < gathering->ncopies; i++)
		{
			const CompiledCopy *copy = &gathering->copies[i];

			memcpy(x + r * x_stride + copy->x_offset,
				   run->floats + (Size) r * input->nfloats + copy->float_offset,
				   sizeof(float) * copy->width);
		}
}

/*
 * A dense feature times its matrix, by way of the temporary numbers: kernels write full
 * strips.
 */
static void
MultiplyDense(const Run *run, const CompiledField *field, Vectors floats,
			  float *x, Size x_stride)
{
	StripRun	all = {0, LinearStrips(field->linear)};
	Size		stride = TYPEALIGN(MTL_STRIP, field->x_width);
	float	   *y = (float *) run->temporary;

	(void) RunLinear(run, field->linear, 1, &all, LinearHasRest(field->linear), false,
					 floats, 0, field->width, NULL, y, stride);
	for (int r = 0; r < run->nrows; r++)
		memcpy(x + r * x_stride, y + r * stride, sizeof(float) * field->x_width);
}

/*
 * Has the CPU fetch what sparse features look up.
 */
static void
PrefetchSparse(const CompiledInput *input, const Gathering *gathering, const int32 *ids)
{
	for (int i = 0; i < gathering->nsparse; i++)
	{
		const CompiledField *field = &input->fields[gathering->sparse[i].field];
		const float *row = FieldRow(field, field->table, field->dim, ids[field->id_offset]);

		for (int u = 0; row && u < field->dim; u += CACHE_LINE_FLOATS)
			__builtin_prefetch(row + u);
	}
}

/*
 * Copies a row of the field's table.  A copy of a constant size is a few instructions,
 * of another a call.
 */
static void
CopyRow(const CompiledField *field, int32 id, float *x)
{
	const float *row = FieldRow(field, field->table, field->dim, id);

	if (row == NULL)
		memset(x, 0, sizeof(float) * field->dim);
	else if (field->dim == 8)
		memcpy(x, row, sizeof(float) * 8);
	else if (field->dim == 16)
		memcpy(x, row, sizeof(float) * 16);
	else
		memcpy(x, row, sizeof(float) * field->dim);
}

/*
 * Row by row, with the next one on its way.
 */
static void
GatherSparse(const Run *run, const CompiledInput *input, const Gathering *gathering,
			 float *x, Size x_stride)
{
	PrefetchSparse(input, gathering, run->ids);
	for (int r = 0; r < run->nrows; r++)
	{
		const int32 *ids = run->ids + (Size) r * input->nids;

		if (r + 1 < run->nrows)
			PrefetchSparse(input, gathering, ids + input->nids);
		for (int i = 0; i < gathering->nsparse; i++)
		{
			const CompiledField *field = &input->fields[gathering->sparse[i].field];

			CopyRow(field, ids[field->id_offset], x + r * x_stride + gathering->sparse[i].offset);
		}
	}
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
PoolValue(const Run *run, const CompiledField *field, const float *row, double weight,
		  double *pooled)
{
	if (field->combiner != COMBINER_MAX)
	{
		if (row)
			run->kernels->pool_sum(field->dim, weight, row, pooled);
	}
	else if (row)
		run->kernels->pool_max(field->dim, weight, row, pooled);
	else
		for (int u = 0; u < field->dim; u++)
			pooled[u] = Max(pooled[u], 0);
}

/*
 * One sequence to one vector, in double.  The temporary numbers have room for the
 * vector, and for the weights if there are any.
 */
static void
PoolSequence(const Run *run, const CompiledField *field, const float *floats, const int32 *ids,
			 float *x)
{
	int			n = SequenceLength(field, ids);
	double	   *pooled = run->temporary;
	double	   *weights = run->temporary + field->dim;
	double		divisor = 1;

	if (field->weighted)
		NormalizeWeights(field, n, floats, weights);

	for (int u = 0; u < field->dim; u++)
		pooled[u] = field->combiner == COMBINER_MAX ? -INFINITY : 0;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i + POOL_AHEAD < n)
			__builtin_prefetch(FieldRow(field, field->table, field->dim, ids[1 + i + POOL_AHEAD]));
		PoolValue(run, field, FieldRow(field, field->table, field->dim, ids[1 + i]),
				  field->weighted ? weights[i] : 1, pooled);
	}

	if (n == 0 && field->combiner == COMBINER_MAX)
		for (int u = 0; u < field->dim; u++)
			pooled[u] = field->empty_value;
	if (n > 0 && field->combiner == COMBINER_MEAN)
		divisor = n + field->epsilon;
	for (int u = 0; u < field->dim; u++)
		x[u] = pooled[u] / divisor;
}

/* ------------------------------------------------------------------- run */

void
ProgramPrefetch(const Program *program, int nfields, const int32 *ids)
{
	const CompiledInput *input = program->ops[program->input].u.input;

	if (input->sums == NULL || input->sums->same)
		PrefetchSparse(input, &input->x, ids);
	else
		for (int i = 0; i < SUMS_PARTS; i++)
			if (nfields < input->sums->parts[i].end)
				PrefetchSparse(input, &input->sums->parts[i].inputs, ids);
}

static void
GatherSequence(const Run *run, const CompiledInput *input, const CompiledField *field,
			   float *x, Size x_stride)
{
	for (int r = 0; r < run->nrows; r++)
	{
		const int32 *ids = run->ids + (Size) r * input->nids + field->id_offset;

		if (field->combiner == COMBINER_CONCAT)
			ConcatSequence(field, ids, x + r * x_stride);
		else
			PoolSequence(run, field, run->floats + (Size) r * input->nfloats + field->float_offset,
						 ids, x + r * x_stride);
	}
}

void
RunGathering(const Run *run, const CompiledInput *input, const Gathering *gathering,
			 float *x, Size x_stride)
{
	if (gathering->ncopies > 0)
		CopyNumbers(run, input, gathering, x, x_stride);
	if (gathering->nsparse > 0)
		GatherSparse(run, input, gathering, x, x_stride);
	for (int i = 0; i < gathering->nothers; i++)
	{
		const CompiledField *field = &input->fields[gathering->others[i].field];
		Vectors		floats = {run->floats + field->float_offset, input->nfloats};
		float	   *to = x + gathering->others[i].offset;

		CHECK_FOR_INTERRUPTS();
		if (field->kind == FEATURE_SEQUENCE)
			GatherSequence(run, input, field, to, x_stride);
		else
			MultiplyDense(run, field, floats, to, x_stride);
	}
}
