/*
 * graph.c
 *	  Builds the graph of a contract.
 */
#include "postgres.h"

#include "graph/architecture.h"

/* In the order of the names below. */
static const BuildArchitecture architectures[] = {
	BuildSingleTask, BuildSharedBottom, BuildCrossStitch, BuildSluice, BuildOmoe, BuildMmoe,
	BuildAsymmetricSharing, BuildCustomizedSharing, BuildCgc, BuildPle, BuildStem,
	BuildAitm, BuildDbmtl
};

static const char *const architecture_names[] = {
	"single_task", "shared_bottom", "cross_stitch", "sluice", "omoe", "mmoe",
	"asymmetric_sharing", "customized_sharing", "cgc", "ple", "stem", "aitm", "dbmtl",
	NULL
};

StaticAssertDecl(lengthof(architectures) == lengthof(architecture_names) - 1,
				 "every architecture has a name");

Graph *
GraphBuild(const Contract *contract, ModelFile *file)
{
	GraphBuilder builder = {0};
	JsonObject *object = JsonObjectOpen(contract->architecture, "architecture");
	JsonbValue *tower;
	int		   *representations;

	builder.file = file;
	builder.contract = contract;
	builder.graph = palloc0(sizeof(Graph));
	builder.tasks = palloc(sizeof(Task *) * contract->ntasks);
	for (int i = 0; i < contract->ntasks; i++)
		if (contract->tasks[i].type != TASK_PRODUCT)
			builder.tasks[builder.ntasks++] = &contract->tasks[i];
	representations = palloc(sizeof(int) * builder.ntasks);

	builder.input = AddInput(&builder);
	architectures[JsonGetChoice(object, "type", architecture_names, -1)] (&builder, object, representations);
	tower = JsonGet(object, "tower");
	JsonObjectClose(object);
	AddHeads(&builder, tower, representations);
	return builder.graph;
}

const char *
OpKindName(OpKind kind)
{
	static const char *const names[] = {
		[OP_INPUT] = "input",
		[OP_LAYER] = "layer",
		[OP_SOFTMAX] = "softmax",
		[OP_MIX] = "mix",
		[OP_COMBINE] = "combine",
		[OP_CONCAT] = "concat",
		[OP_PICK] = "pick",
		[OP_PRODUCT] = "product",
		[OP_DOT] = "dot",
		[OP_SLICES] = "slices"
	};

	return names[kind];
}

/*
 * Multiply-adds of x: the matrices of dense features, and the pooling of
 * sequences at their full length.
 */
static int64
InputCost(const InputLayout *layout, const GraphOp *op)
{
	int64		cost = 0;

	for (int i = 0; i < layout->nfields; i++)
	{
		const InputField *field = &layout->fields[i];

		if (field->feature->kind == FEATURE_SEQUENCE && field->feature->combiner != COMBINER_CONCAT)
			cost += (int64) field->feature->max_length * field->x_width;
		else if (field->feature->kind == FEATURE_DENSE && op->tables[i])
			cost += op->tables[i]->nelements;
	}
	return cost;
}

int64
GraphOpCost(const Graph *graph, const GraphOp *op)
{
	switch (op->kind)
	{
		case OP_INPUT:
			return InputCost(graph->layout, op);
		case OP_LAYER:
			return op->weight->nelements;
		case OP_MIX:
			return (int64) op->width * (op->ninputs - 1);
		case OP_COMBINE:
			return (int64) op->width * op->ninputs * (op->per_unit ? 1 : op->subspaces);
		case OP_DOT:
			return graph->ops[op->inputs[0]].width;
		case OP_SOFTMAX:
		case OP_CONCAT:
		case OP_PICK:
		case OP_PRODUCT:
		case OP_SLICES:
			return 0;
	}
	return 0;
}
