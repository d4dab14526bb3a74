/*
 * program.c
 *	  From a graph to a program: copies what a run needs.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "engine/program.h"

static void *
Allocate(Program *program, Size size, int flags)
{
	void	   *chunk = palloc_extended(Max(size, 1), MCXT_ALLOC_HUGE | flags);

	program->size += GetMemoryChunkSpace(chunk);
	return chunk;
}

void *
ProgramAlloc(Program *program, Size size)
{
	return Allocate(program, size, MCXT_ALLOC_ZERO);
}

float *
ProgramAllocFloats(Program *program, Size n)
{
	char	   *chunk = Allocate(program, sizeof(float) * n + VECTOR_ALIGNMENT, 0);

	return (float *) TYPEALIGN(VECTOR_ALIGNMENT, chunk);
}

float *
ProgramCopyFloats(Program *program, const void *data, Size n)
{
	return memcpy(ProgramAllocFloats(program, n), data, sizeof(float) * n);
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

/* The layer that was compiled from a weight tensor. */
typedef struct LayerEntry
{
	const Tensor *weight;		/* hash key */
	CompiledLayer *layer;
} LayerEntry;

static HTAB *
CreateLayerTable(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(const Tensor *);
	control.entrysize = sizeof(LayerEntry);
	control.hcxt = CurrentMemoryContext;
	return hash_create("mtl_rank layers", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * Stacked mixtures apply one layer to each task's vector: its weights are packed
 * once, or a small file could ask for a large program.
 */
static CompiledLayer *
CompileSharedLayer(Program *program, HTAB *layers, const GraphOp *op)
{
	bool		found;
	LayerEntry *entry = hash_search(layers, &op->weight, HASH_ENTER, &found);

	if (!found)
		entry->layer = CompileLayer(program, op);
	return entry->layer;
}

static void
CompileOp(Program *program, const Graph *graph, HTAB *layers, const GraphOp *op, CompiledOp *compiled)
{
	compiled->kind = op->kind;
	compiled->name = ProgramCopyName(program, op->name);
	compiled->width = op->width;
	compiled->ninputs = op->ninputs;
	compiled->inputs = ProgramAlloc(program, sizeof(int) * op->ninputs);
	memcpy(compiled->inputs, op->inputs, sizeof(int) * op->ninputs);

	switch (op->kind)
	{
		case OP_INPUT:
			compiled->u.input = CompileInput(program, graph->layout, op);
			break;
		case OP_LAYER:
			compiled->u.layer = CompileSharedLayer(program, layers, op);
			break;
		case OP_SOFTMAX:
			compiled->u.temperature = op->temperature;
			ProgramNeedTemporary(program, op->width);
			break;
		case OP_COMBINE:
			compiled->u.combine.subspaces = op->subspaces;
			compiled->u.combine.per_unit = op->per_unit;
			compiled->u.combine.weights =
				ProgramCopyFloats(program, op->weights, op->per_unit ?
								  (Size) op->ninputs * op->width :
								  (Size) op->subspaces * op->ninputs * op->subspaces);
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
		case OP_CONCAT:
		case OP_PRODUCT:
		case OP_DOT:
			break;
	}
}

Program *
ProgramCompile(const Graph *graph)
{
	Program    *program = palloc0(sizeof(Program));
	HTAB	   *layers = CreateLayerTable();

	program->size = GetMemoryChunkSpace(program);
	program->nops = graph->nops;
	program->ops = ProgramAlloc(program, sizeof(CompiledOp) * graph->nops);
	for (int i = 0; i < graph->nops; i++)
	{
		CHECK_FOR_INTERRUPTS();
		CompileOp(program, graph, layers, &graph->ops[i], &program->ops[i]);
	}
	hash_destroy(layers);
	return program;
}

Size
ProgramSize(const Program *program)
{
	return program->size;
}
