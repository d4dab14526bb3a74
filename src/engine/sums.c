/*
 * sums.c
 *	  The sums of layers that read x alone: their order, folded tables, a context's share.
 *
 * A share is what the features of a context add to these sums, the bias included.  As
 * they come first, going on from a share gives the same bits as beginning with the
 * bias.
 *
 * An embedding is folded where its table is small: a row times its slice of the weights
 * is computed once, when the model is loaded, by the kernels, so that it is the same
 * bits everywhere; a run adds it.  This depends on the model alone; docs/model-format.md,
 * "Precision", says how, as scores of models of bf16 and int8 do: folded embeddings are not
 * rounded.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "engine/program.h"

/*
 * What is folded.  A row costs a multiply-add for each number of an embedding, and an
 * addition when it is folded, which waits for memory: in the third-level cache for as long
 * as some six multiply-adds of float32.  So short embeddings are left as they are, and the
 * smallest tables come first, as long as all of them together have their place there: 16 MB;
 * but a context's last, as it is computed for many rows at once.  A model does not grow to
 * more than about twice its size, but for a small one, and loading it takes some
 * milliseconds more: so many multiply-adds.
 */
static const int fold_min_dims[] = {
	[PRECISION_FLOAT32] = 8,
	[PRECISION_BF16] = 24,
	[PRECISION_INT8] = 32
};

/* Multiply-adds of float32 that take as long as an addition of a folded number. */
#define FOLDED_COST			6

#define FOLD_MAX_NUMBERS	(INT64CONST(1) << 22)
#define FOLD_SMALL_NUMBERS	(INT64CONST(1) << 18)
#define FOLD_MAX_COST		(INT64CONST(1) << 30)

/* Rows of a table that are folded at once. */
#define FOLD_ROWS			64

/* ------------------------------------------------------------- what to fold */

typedef struct FoldCandidate
{
	int			field;
	bool		context;
	int			rows;
} FoldCandidate;

static int
CompareCandidates(const void *a, const void *b)
{
	const FoldCandidate *first = a;
	const FoldCandidate *second = b;

	if (first->context != second->context)
		return first->context ? 1 : -1;
	if (first->rows != second->rows)
		return first->rows < second->rows ? -1 : 1;
	return first->field < second->field ? -1 : 1;
}

/*
 * Embeddings count once for each feature, which may count a shared one more than once.
 */
static int64
FoldLimit(const CompiledInput *input, int64 weights)
{
	int64		own = weights;

	for (int i = 0; i < input->nfields; i++)
		own += (int64) input->fields[i].rows * input->fields[i].dim;
	return Min(Max(own, FOLD_SMALL_NUMBERS), FOLD_MAX_NUMBERS);
}

static void
ChooseFolded(CompiledInput *input, int64 units, int64 weights, int min_dim)
{
	FoldCandidate *candidates = palloc(sizeof(FoldCandidate) * input->nfields);
	int64		numbers_left = FoldLimit(input, weights);
	int64		cost_left = FOLD_MAX_COST;
	int			n = 0;

	for (int i = 0; i < input->nfields; i++)
	{
		const CompiledField *field = &input->fields[i];

		if (field->kind == FEATURE_SPARSE && field->dim >= min_dim)
			candidates[n++] = (FoldCandidate) {i, field->context, field->rows};
	}
	qsort(candidates, n, sizeof(FoldCandidate), CompareCandidates);
	for (int i = 0; i < n; i++)
	{
		CompiledField *field = &input->fields[candidates[i].field];
		int64		cost = field->rows * units * field->dim;
		/* the slice of the weights is needed by itself while the model is loaded */
		int64		numbers = units * ((int64) field->rows + field->dim);

		if (numbers > numbers_left || cost > cost_left)
			continue;
		numbers_left -= numbers;
		cost_left -= cost;
		field->folded = true;
	}
	pfree(candidates);
}

/* ------------------------------------------------------------ order of sums */

/*
 * Adds the fields of a part, of those in by_place, which are in the order of x: first
 * the folded ones.
 */
static void
AddPart(Program *program, CompiledSums *sums, const int *by_place, int part, int *norder)
{
	const CompiledInput *input = sums->input;
	SumsPart   *added = &sums->parts[part];
	FieldPlace *places = palloc(sizeof(FieldPlace) * input->nfields);
	int			nplaces = 0;

	added->inputs_begin = sums->ninputs;
	for (int folded = 1; folded >= 0; folded--)
		for (int i = 0; i < input->nfields; i++)
		{
			const CompiledField *field = &input->fields[by_place[i]];

			if (field->context != (part == 0) || field->folded != (folded == 1))
				continue;
			sums->order[(*norder)++] = by_place[i];
			if (field->folded)
			{
				sums->folded[sums->nfolded++] = by_place[i];
				continue;
			}
			places[nplaces++] = (FieldPlace) {by_place[i], sums->ninputs};
			for (int k = 0; k < field->x_width; k++)
				sums->columns[sums->ninputs++] = field->x_offset + k;
		}
	CompileGathering(program, input, nplaces, places, &added->inputs);
	added->folded_end = sums->nfolded;
	added->inputs_end = sums->ninputs;
	added->multiplied = *norder - nplaces;
	added->end = *norder;
	pfree(places);
}

static int
CompareOffsets(const void *a, const void *b, void *fields)
{
	return ((const CompiledField *) fields)[*(const int *) a].x_offset -
		((const CompiledField *) fields)[*(const int *) b].x_offset;
}

void
CompileSums(Program *program, int64 units, int64 weights, Precision precision)
{
	CompiledOp *op = &program->ops[program->input];
	CompiledInput *input = op->u.input;
	CompiledSums *sums = ProgramAlloc(program, sizeof(CompiledSums));
	int		   *by_place = palloc(sizeof(int) * input->nfields);
	int			norder = 0;

	ChooseFolded(input, units, weights, fold_min_dims[precision]);
	sums->input = input;
	sums->compact = precision != PRECISION_FLOAT32;
	sums->order = ProgramAlloc(program, sizeof(int) * input->nfields);
	sums->folded = ProgramAlloc(program, sizeof(int) * input->nfields);
	sums->columns = ProgramAlloc(program, sizeof(int) * op->width);
	for (int i = 0; i < input->nfields; i++)
		by_place[i] = i;
	qsort_arg(by_place, input->nfields, sizeof(int), CompareOffsets, input->fields);
	for (int part = 0; part < SUMS_PARTS; part++)
		AddPart(program, sums, by_place, part, &norder);

	sums->same = sums->ninputs == op->width;
	for (int k = 0; k < sums->ninputs; k++)
		sums->same &= sums->columns[k] == k;
	input->sums = sums;
	ProgramNeedTemporary(program, 2 * sums->nfolded);
	pfree(by_place);
}

int
ProgramContextFields(const Program *program, const bool *context)
{
	const CompiledSums *sums = program->ops[program->input].u.input->sums;
	int			n = 0;

	while (sums && n < sums->input->nfields && context[sums->order[n]])
		n++;
	/* inputs that are rounded together are not parted */
	for (int i = 0; sums && sums->compact && i < SUMS_PARTS; i++)
		if (n > sums->parts[i].multiplied && n < sums->parts[i].end)
			n = sums->parts[i].multiplied;
	return n;
}

SumsCut
SumsAfter(const CompiledSums *sums, int nfields)
{
	SumsCut		cut = {0, 0};

	for (int i = 0; i < nfields; i++)
	{
		const CompiledField *field = &sums->input->fields[sums->order[i]];

		if (field->folded)
			cut.folded++;
		else
			cut.inputs += field->x_width;
	}
	return cut;
}

int64
SumsCost(const CompiledSums *sums, int units, int64 multiplied)
{
	int			width = sums->ninputs;

	for (int i = 0; i < sums->nfolded; i++)
		width += sums->input->fields[sums->folded[i]].dim;
	return multiplied * sums->ninputs / width + (int64) FOLDED_COST * units * sums->nfolded;
}

/* ------------------------------------------------------------ folded tables */

/* Units of a map in full strips. */
static int
FullUnits(const CompiledLinear *linear)
{
	return TYPEALIGN(MTL_STRIP, linear->units);
}

void
CreateFolded(Program *program, CompiledLinear *linear)
{
	const CompiledSums *sums = linear->sums;
	Size		units = FullUnits(linear);

	linear->folded = ProgramAlloc(program, sizeof(float *) * sums->nfolded);
	for (int i = 0; i < sums->nfolded; i++)
		linear->folded[i] = BulkAlloc(program->bulk, sizeof(float) * units *
									  sums->input->fields[sums->folded[i]].rows);
	if (!BulkWantsContent(program->bulk))
		return;
	linear->fold_weights = palloc(sizeof(float *) * sums->nfolded);
	for (int i = 0; i < sums->nfolded; i++)
		linear->fold_weights[i] =
			palloc_extended(sizeof(float) * units * sums->input->fields[sums->folded[i]].dim,
							MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/*
 * A number that leaves its range here makes the sums of the rows that it is added to
 * leave it too: no need to look.
 */
static void
FoldTable(const CompiledField *field, int units, const float *weights, const float *zeros, float *folded)
{
	const Kernels *kernels = ChooseKernels();

	for (int begin = 0; begin < field->rows; begin += FOLD_ROWS)
	{
		Vectors		rows = {field->table + (Size) begin * field->dim, field->dim};

		CHECK_FOR_INTERRUPTS();
		(void) kernels->linear(Min(FOLD_ROWS, field->rows - begin), field->dim, rows,
							   units / MTL_STRIP, weights, (Size) field->dim * MTL_STRIP,
							   (Vectors) {zeros, 0}, false, folded + (Size) begin * units, units);
	}
}

void
FoldTables(CompiledLinear *linear)
{
	const CompiledSums *sums = linear->sums;
	int			units = FullUnits(linear);
	float	   *zeros = palloc0(sizeof(float) * units);

	for (int i = 0; i < sums->nfolded; i++)
	{
		FoldTable(&sums->input->fields[sums->folded[i]], units, linear->fold_weights[i], zeros,
				  linear->folded[i]);
		pfree(linear->fold_weights[i]);
	}
	pfree(linear->fold_weights);
	linear->fold_weights = NULL;
	pfree(zeros);
}

/* --------------------------------------------------------------------- run */

/*
 * Errors for a number of these columns of the inputs that is not finite.
 */
static void
CheckInputs(const Run *run, const CompiledOp *op, int begin, int end)
{
	Vectors		inputs = InputsOfSums(run);

	for (int r = 0; r < run->nrows; r++)
	{
		const float *numbers = inputs.numbers + r * inputs.stride;

		for (int k = begin; !run->kernels->all_finite(end - k, numbers + k); k++)
			if (!run->kernels->all_finite(1, numbers + k))
				ReportOutOfRange(op, op->u.input->sums->columns[k]);
	}
}

void
RunInput(const Run *run, const CompiledOp *op)
{
	const CompiledInput *input = op->u.input;
	int			begin = 0;

	if (run->selection->reads_x && !run->selection->places[run->program->input].encoded)
	{
		RunGathering(run, input, &input->x,
					 (float *) VectorsOf(run, run->program->input).numbers, op->width);
		CheckVectors(run, run->program->input);
	}
	if (!run->selection->reads_inputs)
		return;
	for (int i = 0; i < SUMS_PARTS; i++)
	{
		const SumsPart *part = &input->sums->parts[i];
		Vectors		inputs = InputsOfSums(run);

		if (run->from.inputs < part->inputs_end && run->to.inputs > begin)
		{
			RunGathering(run, input, &part->inputs, (float *) inputs.numbers, inputs.stride);
			CheckInputs(run, op, begin, part->inputs_end);
		}
		begin = part->inputs_end;
	}
}

/* The sums of one step on their way; they are in y once something was added. */
typedef struct SumsRun
{
	const Run  *run;
	const CompiledLinear *linear;
	const Step *step;
	float	   *y;
	Size		y_stride;
	bool		in_y;
} SumsRun;

/*
 * The share of the context of row r, or NULL.
 */
static const float *
ShareOfRow(const SumsRun *sums, int r)
{
	const Run  *run = sums->run;

	if (run->shares == NULL)
		return NULL;
	return run->shares + sums->step->share +
		(run->contexts ? run->contexts[r] * run->selection->share_size : 0);
}

/*
 * Adds rows of the map's tables to what the sums of one row have, in strips from begin
 * to end, the first at this column of y.
 */
static void
AddStrips(const SumsRun *sums, int r, int nrows, const float *const *rows,
		  const float *const *next, int begin, int end, Size column)
{
	float	   *y = sums->y + r * sums->y_stride + column;
	const float *start = ShareOfRow(sums, r);

	if (sums->in_y)
		start = y;
	else if (start)
		start += column;
	else
		start = sums->linear->bias + begin * MTL_STRIP;
	sums->run->kernels->add_rows((end - begin) * MTL_STRIP, start, nrows, rows, next,
								 (Size) begin * MTL_STRIP, y);
}

/*
 * Finds the rows of folded features in the map's tables; a vector of zeros has none.
 */
static int
FindFolded(const SumsRun *sums, int r, int first, int last, const float **rows)
{
	const CompiledInput *input = sums->linear->sums->input;
	const int32 *ids = sums->run->ids + (Size) r * input->nids;
	Size		units = FullUnits(sums->linear);
	int			n = 0;

	for (int i = first; i < last; i++)
	{
		const CompiledField *field = &input->fields[sums->linear->sums->folded[i]];
		const float *row = FieldRow(field, sums->linear->folded[i], units, ids[field->id_offset]);

		if (row)
			rows[n++] = row;
	}
	return n;
}

/*
 * Adds folded features from first to last to the sums of all rows; with none, the sums
 * begin in y.
 */
static void
AddFolded(SumsRun *sums, int first, int last)
{
	const Step *step = sums->step;
	int			rest = LinearStrips(sums->linear);
	const float **rows = (const float **) sums->run->temporary;
	const float **next = rows + sums->linear->sums->nfolded;
	int			nnext = FindFolded(sums, 0, first, last, next);

	for (int r = 0; r < sums->run->nrows; r++)
	{
		const float **found = next;
		int			nrows = nnext;
		Size		column = 0;

		next = rows;
		rows = found;
		if (r + 1 < sums->run->nrows)
			nnext = FindFolded(sums, r + 1, first, last, next);
		else
			nnext = 0;
		for (int i = nnext; i < nrows; i++)
			next[i] = rows[i];
		for (int i = 0; i < step->nruns; i++)
		{
			AddStrips(sums, r, nrows, rows, next, step->runs[i].begin, step->runs[i].end, column);
			column += (step->runs[i].end - step->runs[i].begin) * MTL_STRIP;
		}
		if (step->narrow)
			AddStrips(sums, r, nrows, rows, next, rest, rest + 1, column);
	}
	sums->in_y = true;
}

/*
 * Adds inputs from begin to end, multiplied.
 */
static bool
AddInputs(SumsRun *sums, int begin, int end, bool relu)
{
	const Run  *run = sums->run;
	Vectors		x = sums->linear->sums->same ? VectorsOf(run, run->program->input) : InputsOfSums(run);
	Vectors		start = {sums->y, sums->y_stride};
	bool		finite;

	if (!sums->in_y && run->shares && run->contexts)
		AddFolded(sums, 0, 0);
	else if (!sums->in_y && run->shares)
		start = (Vectors) {ShareOfRow(sums, 0), 0};
	finite = RunLinear(run, sums->linear, sums->step->nruns, sums->step->runs, sums->step->narrow,
					   relu, x, begin, end, sums->in_y || run->shares ? &start : NULL,
					   sums->y, sums->y_stride);
	sums->in_y = true;
	return finite;
}

bool
RunSums(const Run *run, const CompiledLinear *linear, const Step *step, bool relu,
		float *y, Size y_stride)
{
	SumsRun		sums = {run, linear, step, y, y_stride, false};
	int			folded = run->from.folded;
	int			begin = run->from.inputs;
	int			end = begin;

	for (int i = 0; i < SUMS_PARTS; i++)
	{
		const SumsPart *part = &linear->sums->parts[i];
		int			folded_end = Min(part->folded_end, run->to.folded);

		if (folded < folded_end)
		{
			if (begin < end)
				(void) AddInputs(&sums, begin, end, false);
			AddFolded(&sums, folded, folded_end);
			folded = folded_end;
			begin = end;
		}
		end = Max(end, Min(part->inputs_end, run->to.inputs));
	}
	/* without inputs, too: relu is there, and the look at the sums */
	return AddInputs(&sums, begin, end, relu);
}
