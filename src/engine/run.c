/*
 * run.c
 *	  Runs the selected operations of a program over a batch of rows.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "engine/program.h"

/* Of float32: infinities and NaNs have all of them set. */
#define EXPONENT_BITS ((uint32) 0x7f800000)

static bool
IsFinite(float number)
{
	uint32		bits;

	memcpy(&bits, &number, sizeof(bits));
	return (bits & EXPONENT_BITS) != EXPONENT_BITS;
}

/*
 * Says what number u of an operation's vector belongs to.
 */
static void
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
CheckVectors(const Run *run, const CompiledOp *op, const float *y)
{
	Size		n = (Size) run->nrows * op->width;
	bool		finite = true;

	/* without a way out in between, so that it vectorises */
	for (Size i = 0; i < n; i++)
		finite &= IsFinite(y[i]);
	if (finite)
		return;
	for (Size i = 0; i < n; i++)
		if (!IsFinite(y[i]))
			ReportOutOfRange(op, i % op->width);
}

static void
RunOp(const Run *run, const CompiledOp *op, float *y)
{
	switch (op->kind)
	{
		case OP_INPUT:
			RunInput(run, op, y);
			break;
		case OP_LAYER:
			RunLayer(run, op, y);
			break;
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

void
ProgramRun(const Program *program, const Selection *selection, int nrows,
		   const float *floats, const int32 *ids, void *scratch, const float **results)
{
	double	   *temporary = (double *) TYPEALIGN(VECTOR_ALIGNMENT, scratch);
	Run			run = {
		.program = program,
		.selection = selection,
		.kernels = ChooseKernels(),
		.nrows = nrows,
		.floats = floats,
		.ids = ids,
		.temporary = temporary,
		.vectors = (float *) TYPEALIGN(VECTOR_ALIGNMENT, temporary + selection->ntemporary)
	};

	Assert(nrows >= 1 && nrows <= MTL_MAX_BATCH);

	for (int i = 0; i < selection->nops; i++)
	{
		int			position = selection->ops[i];
		const CompiledOp *op = &program->ops[position];
		float	   *y = VectorsOf(&run, position);

		CHECK_FOR_INTERRUPTS();
		RunOp(&run, op, y);
		CheckVectors(&run, op, y);
	}
	for (int i = 0; i < selection->nresults; i++)
		results[i] = VectorsOf(&run, selection->results[i]);
}
