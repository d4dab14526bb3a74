/*
 * program.c
 *	  From a graph to a program: copies what a run needs.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "engine/program.h"

void *
ProgramAlloc(Program *program, Size size)
{
	return MemoryContextAllocZero(program->context, Max(size, 1));
}

char *
ProgramCopyName(Program *program, const char *name)
{
	Size		size = strlen(name) + 1;

	return memcpy(ProgramAlloc(program, size), name, size);
}

void
ProgramNeedTemporary(Program *program, int n)
{
	program->ntemporary = Max(program->ntemporary, n);
}

void
ProgramNeedRowTemporary(Program *program, int n)
{
	program->row_temporary = Max(program->row_temporary, n);
}

int64
PrecisionCost(int64 multiply_adds, Precision precision)
{
	static const int speeds[] = {
		[PRECISION_FLOAT32] = 1,
		[PRECISION_BF16] = 2,
		[PRECISION_INT8] = 4
	};

	return multiply_adds / speeds[precision];
}

static void
CompileOp(Program *program, const Graph *graph, const GraphOp *op, CompiledOp *compiled)
{
	compiled->kind = op->kind;
	compiled->name = ProgramCopyName(program, op->name);
	compiled->width = op->width;
	compiled->cost = PrecisionCost(GraphOpCost(graph, op), op->precision);
	compiled->ninputs = op->ninputs;
	compiled->inputs = ProgramAlloc(program, sizeof(int) * op->ninputs);
	memcpy(compiled->inputs, op->inputs, sizeof(int) * op->ninputs);

	switch (op->kind)
	{
		case OP_INPUT:
			program->input = compiled - program->ops;
			compiled->u.input = CompileInput(program, graph->layout, op);
			break;
		case OP_LAYER:
			break;				/* see CompileLayers() */
		case OP_SOFTMAX:
			compiled->u.temperature = op->temperature;
			ProgramNeedTemporary(program, Max(op->width, MTL_SOFTMAX_WORK));
			break;
		case OP_COMBINE:
			compiled->u.combine.subspaces = op->subspaces;
			compiled->u.combine.per_unit = op->per_unit;
			compiled->u.combine.weights =
				BulkCopy(program->bulk, op->weights, sizeof(float) *
						 (op->per_unit ? (Size) op->ninputs * op->width :
						  (Size) op->subspaces * op->ninputs * op->subspaces));
			break;
		case OP_PICK:
			compiled->u.index = op->index;
			break;
		case OP_SLICES:
			compiled->u.slices.nranges = op->nranges;
			compiled->u.slices.ranges = ProgramAlloc(program, sizeof(VectorRange) * op->nranges);
			memcpy(compiled->u.slices.ranges, op->ranges, sizeof(VectorRange) * op->nranges);
			break;
		case OP_MIX:
			ProgramNeedTemporary(program, MixTemporary(op->ninputs));
			break;
		case OP_CONCAT:
		case OP_PRODUCT:
		case OP_DOT:
			break;
	}
}

Program *
ProgramCompile(const Graph *graph, Bulk *bulk)
{
	Program    *program = palloc0(sizeof(Program));

	program->context = CurrentMemoryContext;
	program->bulk = bulk;
	program->nfloats = graph->layout->nfloats;
	program->nids = graph->layout->nids;
	program->nops = graph->nops;
	program->ops = ProgramAlloc(program, sizeof(CompiledOp) * graph->nops);
	for (int i = 0; i < graph->nops; i++)
	{
		CHECK_FOR_INTERRUPTS();
		CompileOp(program, graph, &graph->ops[i], &program->ops[i]);
	}
	CompileLayers(program, graph);
	program->bulk = NULL;
	return program;
}

int64
ProgramCost(const Program *program, int nops, const int *ops, bool with_share)
{
	bool	   *needed = palloc0(sizeof(bool) * program->nops);
	int64		cost = 0;

	for (int i = 0; i < nops; i++)
		needed[ops[i]] = true;
	for (int i = program->nops - 1; i >= 0; i--)
	{
		const CompiledOp *op = &program->ops[i];

		if (!needed[i])
			continue;
		cost += op->cost - (with_share ? op->share_cost : 0);
		for (int k = 0; k < op->ninputs; k++)
			needed[op->inputs[k]] = true;
	}
	pfree(needed);
	return cost;
}
