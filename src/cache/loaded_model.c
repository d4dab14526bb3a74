/*
 * loaded_model.c
 *	  A model made ready to score: contract, encoder, program.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "cache/loaded_model.h"
#include "model/examples.h"

/*
 * The layout refers to the features of the contract, which stays.
 */
static InputLayout *
CopyLayout(const InputLayout *layout)
{
	InputLayout *copy = palloc(sizeof(InputLayout));

	*copy = *layout;
	copy->fields = palloc(sizeof(InputField) * layout->nfields);
	memcpy(copy->fields, layout->fields, sizeof(InputField) * layout->nfields);
	return copy;
}

static GraphGate *
CopyGates(const Graph *graph)
{
	GraphGate  *gates = palloc(sizeof(GraphGate) * Max(graph->ngates, 1));

	for (int i = 0; i < graph->ngates; i++)
	{
		gates[i] = graph->gates[i];
		gates[i].task = gates[i].task ? pstrdup(gates[i].task) : NULL;
		gates[i].experts = palloc(sizeof(char *) * gates[i].nexperts);
		for (int k = 0; k < gates[i].nexperts; k++)
			gates[i].experts[k] = pstrdup(graph->gates[i].experts[k]);
	}
	return gates;
}

/*
 * The contract stays with the model, but its JSON parts point into the file,
 * which goes.
 */
static void
ForgetJson(Contract *contract)
{
	contract->architecture = NULL;
	for (int i = 0; i < contract->ntasks; i++)
		contract->tasks[i].tower = NULL;
}

/*
 * Multiply-adds of what an operation depends on, itself included; -1: of all.
 */
static int64
GraphCost(const Graph *graph, int result)
{
	bool	   *needed = palloc0(sizeof(bool) * graph->nops);
	int64		cost = 0;

	for (int i = graph->nops - 1; i >= 0; i--)
	{
		const GraphOp *op = &graph->ops[i];

		if (result >= 0 && i != result && !needed[i])
			continue;
		cost += GraphOpCost(graph, op);
		for (int k = 0; k < op->ninputs; k++)
			needed[op->inputs[k]] = true;
	}
	pfree(needed);
	return cost;
}

LoadedModel *
LoadedModelCreate(const char *bytes, Size size, const uint8 digest[MTL_DIGEST_SIZE])
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank model",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank load",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	LoadedModel *model;
	ModelFile  *file;
	Graph	   *graph;

	file = ModelFileRead(bytes, size);

	MemoryContextSwitchTo(context);
	model = palloc0(sizeof(LoadedModel));
	model->context = context;
	memcpy(model->digest, digest, MTL_DIGEST_SIZE);
	model->contract = ContractParse(file->contract);

	MemoryContextSwitchTo(work);
	graph = GraphBuild(model->contract, file);

	MemoryContextSwitchTo(context);
	model->layout = CopyLayout(graph->layout);
	model->ngates = graph->ngates;
	model->gates = CopyGates(graph);
	model->output_ops = palloc(sizeof(int) * graph->noutputs);
	memcpy(model->output_ops, graph->output_ops, sizeof(int) * graph->noutputs);
	model->cost = GraphCost(graph, -1);
	model->output_costs = palloc(sizeof(int64) * graph->noutputs);
	for (int i = 0; i < graph->noutputs; i++)
		model->output_costs[i] = GraphCost(graph, graph->output_ops[i]);
	model->encoder = EncoderCreate(model->contract, model->layout, file);

	/* all tensors are spoken for before the large copies are made */
	MemoryContextSwitchTo(work);
	(void) ExamplesRead(model->contract, file);
	ModelFileCheckAllUsed(file);

	MemoryContextSwitchTo(context);
	model->program = ProgramCompile(graph);
	ForgetJson(model->contract);
	model->size = MemoryContextMemAllocated(context, true);

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return model;
}
