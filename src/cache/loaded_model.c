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
