/*
 * run.c
 *	  Runs the selected operations of a program over a batch of rows.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"

#include "engine/program.h"

/*
 * Says what number u of an operation's vector belongs to.
 */
void
ReportOutOfRange(const CompiledOp *op, int u)
{
	const char *kind = OpKindName(op->kind);
	const char *name = op->name;

	if (op->kind == OP_INPUT)
	{
		kind = "feature";
		for (int i = 0; i < op->u.input->nfields; i++)
		{
			const CompiledField *field = &op->u.input->fields[i];

			if (u >= field->x_offset && u < field->x_offset + field->x_width)
				name = field->name;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("value out of range: %s \"%s\" of the network left the range of float32",
					kind, name),
			 errhint("Look for feature values far from those that the model was trained on.")));
}

void
CheckVectors(const Run *run, int position)
{
	const CompiledOp *op = &run->program->ops[position];
	Vectors		vectors = VectorsOf(run, position);
	bool		together = vectors.stride == (Size) op->width;
	Size		n = together ? (Size) run->nrows * op->width : op->width;

	for (int r = 0; r < (together ? 1 : run->nrows); r++)
	{
		const float *y = vectors.numbers + r * vectors.stride;

		if (run->kernels->all_finite(n, y))
			continue;
		for (Size i = 0; i < n; i++)
			if (!isfinite(y[i]))
				ReportOutOfRange(op, i % op->width);
	}
}

static void
RunOp(const Run *run, const CompiledOp *op, float *y)
{
	switch (op->kind)
	{
		case OP_INPUT:
		case OP_LAYER:
			break;				/* see RunInput(), RunLayers() */
		case OP_SOFTMAX:
			RunSoftmax(run, op, y);
			break;
		case OP_MIX:
			RunMix(run, op, y);
			break;
		case OP_COMBINE:
			RunCombine(run, op, y);
			break;
		case OP_CONCAT:
			RunConcat(run, op, y);
			break;
		case OP_PICK:
			RunPick(run, op, y);
			break;
		case OP_PRODUCT:
			RunProduct(run, op, y);
			break;
		case OP_DOT:
			RunDot(run, op, y);
			break;
		case OP_SLICES:
			RunSlices(run, op, y);
			break;
	}
}

static void
RunStep(const Run *run, const Step *step)
{
	const CompiledOp *op = &run->program->ops[step->position];

	CHECK_FOR_INTERRUPTS();
	if (step->nlayers > 0)
	{
		RunLayers(run, step);
		return;
	}
	if (op->kind == OP_INPUT)
	{
		RunInput(run, op);
		return;
	}
	if (run->new_shares)
		return;
	RunOp(run, op, (float *) VectorsOf(run, step->position).numbers);
	/* a softmax is between 0 and 1 */
	if (op->kind != OP_SOFTMAX)
		CheckVectors(run, step->position);
}

/*
 * Results of the block that begins at row begin.
 */
static void
CopyResults(const Run *run, int begin, const float **results)
{
	const Selection *selection = run->selection;

	for (int i = 0; i < selection->nresults; i++)
	{
		int			width = run->program->ops[selection->results[i]].width;
		Vectors		vectors = VectorsOf(run, selection->results[i]);
		float	   *to = (float *) results[i] + (Size) begin * width;

		for (int r = 0; r < run->nrows; r++)
			for (int u = 0; u < width; u++)
				to[(Size) r * width + u] = vectors.numbers[r * vectors.stride + u];
	}
}

/*
 * The beginning of a run over up to nrows rows: its place in scratch.
 */
static Run
BeginRun(const Program *program, const Selection *selection, int nrows, void *scratch)
{
	int			block = Min(nrows, selection->block);
	const CompiledSums *sums = program->ops[program->input].u.input->sums;
	Run			run = {
		.program = program,
		.selection = selection,
		.kernels = ChooseKernels()
	};

	Assert(nrows >= 1 && nrows <= MTL_MAX_BATCH);

	run.temporary = (double *) TYPEALIGN(VECTOR_ALIGNMENT, scratch);
	run.vectors = (float *) TYPEALIGN(VECTOR_ALIGNMENT,
									  run.temporary + SelectionTemporary(selection, block));
	if (sums)
		run.to = (SumsCut) {sums->nfolded, sums->ninputs};
	return run;
}

/*
 * The rows of the next block; returns where the one after it begins.
 */
static int
NextBlock(Run *run, int begin, int nrows, const float *floats, const int32 *ids)
{
	run->nrows = Min(run->selection->block, nrows - begin);
	run->floats = floats + (Size) begin * run->selection->nfloats;
	run->ids = ids + (Size) begin * run->selection->nids;
	return begin + run->nrows;
}

/*
 * The shares of the contexts of the block that begins at row begin.
 */
static void
TakeShares(Run *run, const ContextShares *contexts, int begin)
{
	bool		one = true;

	run->shares = contexts->shares;
	run->contexts = contexts->of_row ? contexts->of_row + begin : NULL;
	for (int r = 1; run->contexts && r < run->nrows; r++)
		one &= run->contexts[r] == run->contexts[0];
	if (run->contexts && one)
	{
		run->shares += run->contexts[0] * run->selection->share_size;
		run->contexts = NULL;
	}
}

void
ProgramRun(const Program *program, const Selection *selection, int nrows,
		   const float *floats, const int32 *ids, const ContextShares *contexts,
		   void *scratch, const float **results)
{
	Run			run = BeginRun(program, selection, nrows, scratch);
	float	   *result = run.vectors + selection->row_size * Min(nrows, selection->block);
	int			next;

	if (contexts)
		run.from = SumsAfter(program->ops[program->input].u.input->sums, contexts->nfields);
	for (int i = 0; i < selection->nresults; i++)
	{
		results[i] = result;
		result += (Size) nrows * program->ops[selection->results[i]].width;
	}
	for (int begin = 0; begin < nrows; begin = next)
	{
		next = NextBlock(&run, begin, nrows, floats, ids);
		if (contexts)
			TakeShares(&run, contexts, begin);
		for (int i = 0; i < selection->nsteps; i++)
			RunStep(&run, &selection->steps[i]);
		CopyResults(&run, begin, results);
	}
}

Size
SelectionShareSize(const Selection *selection)
{
	return sizeof(float) * selection->share_size;
}

void
ProgramRunContexts(const Program *program, const Selection *selection, int nfields, int nrows,
				   const float *floats, const int32 *ids, void *scratch, float *shares)
{
	Run			run = BeginRun(program, selection, nrows, scratch);
	int			next;

	run.to = SumsAfter(program->ops[program->input].u.input->sums, nfields);
	for (int begin = 0; begin < nrows; begin = next)
	{
		next = NextBlock(&run, begin, nrows, floats, ids);
		run.new_shares = shares + (Size) begin * selection->share_size;
		for (int i = 0; i < selection->nsteps; i++)
			RunStep(&run, &selection->steps[i]);
	}
}
