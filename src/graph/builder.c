/*
 * builder.c
 *	  Adds operations to a graph under construction.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "graph/builder.h"
#include "model/model_error.h"

int
OpWidth(const GraphBuilder *builder, int op)
{
	Assert(op >= 0 && op < builder->graph->nops);
	return builder->graph->ops[op].width;
}

int
AddOp(GraphBuilder *builder, OpKind kind, const char *name, int width,
	  int ninputs, const int *inputs)
{
	Graph	   *graph = builder->graph;
	GraphOp    *op;

	CHECK_FOR_INTERRUPTS();
	if (graph->nops >= MTL_MAX_OPS)
		ModelLimitError("Use fewer layers, experts or levels.",
						"the network has more than %d operations", MTL_MAX_OPS);
	builder->activations += width;
	if (builder->activations > MTL_MAX_ACTIVATIONS)
		ModelLimitError("Use fewer or narrower layers, experts or levels.",
						"the vectors of the network have more than %d numbers", MTL_MAX_ACTIVATIONS);

	if (graph->nops == builder->capacity)
	{
		builder->capacity = Max(2 * builder->capacity, 64);
		graph->ops = graph->ops ?
			repalloc(graph->ops, sizeof(GraphOp) * builder->capacity) :
			palloc(sizeof(GraphOp) * builder->capacity);
	}

	op = &graph->ops[graph->nops];
	memset(op, 0, sizeof(GraphOp));
	op->kind = kind;
	op->name = pstrdup(name);
	op->width = width;
	op->ninputs = ninputs;
	op->inputs = palloc(sizeof(int) * Max(ninputs, 1));
	for (int i = 0; i < ninputs; i++)
	{
		Assert(inputs[i] >= 0 && inputs[i] < graph->nops);
		op->inputs[i] = inputs[i];
	}
	return graph->nops++;
}

int
AddSoftmax(GraphBuilder *builder, const char *name, int input, double temperature)
{
	int			op = AddOp(builder, OP_SOFTMAX, name, OpWidth(builder, input), 1, &input);

	builder->graph->ops[op].temperature = temperature;
	return op;
}

int
AddMix(GraphBuilder *builder, const char *name, int gate, int nexperts, const int *experts)
{
	int		   *inputs = palloc(sizeof(int) * (nexperts + 1));
	int			width = OpWidth(builder, experts[0]);

	Assert(OpWidth(builder, gate) == nexperts);
	inputs[0] = gate;
	for (int i = 0; i < nexperts; i++)
	{
		if (OpWidth(builder, experts[i]) != width)
			ModelError("Give all experts of a gate the same number of units in the end.",
					   "gate \"%s\" mixes experts of %d and of %d units",
					   name, width, OpWidth(builder, experts[i]));
		inputs[i + 1] = experts[i];
	}
	return AddOp(builder, OP_MIX, name, width, nexperts + 1, inputs);
}

static void
CheckVectorWidth(const char *name, int64 width)
{
	if (width > MTL_MAX_ACTIVATIONS)
		ModelLimitError("Use fewer or narrower layers, experts or features.",
						"\"%s\" has " INT64_FORMAT " numbers, the limit is %d",
						name, width, MTL_MAX_ACTIVATIONS);
}

int
AddConcat(GraphBuilder *builder, const char *name, int ninputs, const int *inputs)
{
	int64		width = 0;

	for (int i = 0; i < ninputs; i++)
		width += OpWidth(builder, inputs[i]);
	CheckVectorWidth(name, width);
	return AddOp(builder, OP_CONCAT, name, width, ninputs, inputs);
}

int
AddPick(GraphBuilder *builder, const char *name, int input, int index)
{
	int			op = AddOp(builder, OP_PICK, name, 1, 1, &input);

	Assert(index < OpWidth(builder, input));
	builder->graph->ops[op].index = index;
	return op;
}

int
AddProduct(GraphBuilder *builder, const char *name, int ninputs, const int *inputs)
{
	return AddOp(builder, OP_PRODUCT, name, 1, ninputs, inputs);
}

int
AddDot(GraphBuilder *builder, const char *name, int a, int b)
{
	int			inputs[2] = {a, b};

	Assert(OpWidth(builder, a) == OpWidth(builder, b));
	return AddOp(builder, OP_DOT, name, 1, 2, inputs);
}

int
AddSlices(GraphBuilder *builder, const char *name, int input, int nranges, VectorRange *ranges)
{
	int64		width = 0;
	int			op;

	for (int i = 0; i < nranges; i++)
	{
		Assert(ranges[i].begin >= 0 && ranges[i].length > 0 &&
			   ranges[i].length <= OpWidth(builder, input) - ranges[i].begin);
		width += ranges[i].length;
	}
	CheckVectorWidth(name, width);
	op = AddOp(builder, OP_SLICES, name, width, 1, &input);
	builder->graph->ops[op].nranges = nranges;
	builder->graph->ops[op].ranges = ranges;
	return op;
}

int
AddCombine(GraphBuilder *builder, const char *name, int ninputs, const int *inputs,
		   float *weights, int subspaces, bool per_unit)
{
	int			width = OpWidth(builder, inputs[0]);
	int			op;

	for (int i = 1; i < ninputs; i++)
	{
		if (OpWidth(builder, inputs[i]) != width)
			ModelError("Give what is combined the same number of units.",
					   "\"%s\" combines vectors of %d and of %d numbers",
					   name, width, OpWidth(builder, inputs[i]));
	}
	op = AddOp(builder, OP_COMBINE, name, width, ninputs, inputs);
	builder->graph->ops[op].weights = weights;
	builder->graph->ops[op].subspaces = subspaces;
	builder->graph->ops[op].per_unit = per_unit;
	return op;
}

void
TieCombine(GraphBuilder *builder, int op, const Tensor *tensor, int64 offset)
{
	builder->graph->ops[op].weights_tensor = tensor;
	builder->graph->ops[op].weights_offset = offset;
}

void
NoteGate(GraphBuilder *builder, int level, const char *task, int op, int nexperts, char **experts)
{
	Graph	   *graph = builder->graph;
	GraphGate  *gate;

	if (graph->ngates == builder->gate_capacity)
	{
		builder->gate_capacity = Max(2 * builder->gate_capacity, 16);
		graph->gates = graph->gates ?
			repalloc(graph->gates, sizeof(GraphGate) * builder->gate_capacity) :
			palloc(sizeof(GraphGate) * builder->gate_capacity);
	}
	gate = &graph->gates[graph->ngates++];
	gate->level = level;
	gate->task = task ? pstrdup(task) : NULL;
	gate->op = op;
	gate->nexperts = nexperts;
	gate->experts = experts;
}
