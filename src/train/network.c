/*
 * network.c
 *	  The graph as it is trained: planning, and the passes through it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "model/memory.h"
#include "train/network.h"

/* -------------------------------------------------------------- planning */

/*
 * Buffers are planned once to know their size, and once more to get their places.
 */
typedef struct Arena
{
	char	   *base;			/* NULL: only the size is wanted */
	Size		used;
} Arena;

static void *
ArenaAlloc(Arena *arena, Size size)
{
	void	   *place = arena->base ? arena->base + arena->used : NULL;

	arena->used += CACHELINEALIGN(size);
	return place;
}

static real *
ArenaReals(Arena *arena, int64 rows, int64 width)
{
	return ArenaAlloc(arena, rows * width * sizeof(real));
}

static void
PlanNorm(const Network *network, Arena *arena, NormState *state, int width)
{
	state->normalized = ArenaReals(arena, network->max_rows, width);
	state->inverse = ArenaReals(arena, 1, Max(network->max_rows, width));
}

static void
PlaceLayer(const Network *network, Arena *arena, NetworkOp *op)
{
	LayerGroup *group = &network->groups[op->group];
	const GraphOp *layer = op->op;
	int			rows = network->max_rows;
	int			width = op->width;

	if (op->in_place)
	{
		op->out.value = group->z ? group->z + op->column : NULL;
		op->out.gradient = group->dz ? group->dz + op->column : NULL;
		op->out.stride = group->width;
		return;
	}
	op->out.value = ArenaReals(arena, rows, width);
	op->out.gradient = ArenaReals(arena, rows, width);
	op->out.stride = width;
	if (layer->norm.kind != NORM_NONE)
	{
		PlanNorm(network, arena, &op->norm, width);
		if (layer->norm.after_activation)
			op->activated = ArenaReals(arena, rows, width);
		else
			op->normed = ArenaReals(arena, rows, width);
	}
	if (layer->activation.kind >= ACTIVATION_DICE)
	{
		PlanNorm(network, arena, &op->dice, width);
		op->through = ArenaReals(arena, rows, width);
	}
	if (op->dropped)
		op->mask = ArenaAlloc(arena, (Size) rows * width);
}

static void
PlaceBuffers(Network *network, Arena *arena)
{
	int64		rows = network->max_rows;

	network->gradient = ArenaReals(arena, 1, network->parameters->nflat);
	for (int i = 0; i < network->ngroups; i++)
	{
		LayerGroup *group = &network->groups[i];

		group->bias = ArenaReals(arena, 1, group->width);
		group->z = ArenaReals(arena, rows, group->width);
		group->dz = ArenaReals(arena, rows, group->width);
	}
	for (int i = 0; i < network->nops; i++)
	{
		NetworkOp  *op = &network->ops[i];

		if (op->op->kind == OP_LAYER)
			PlaceLayer(network, arena, op);
		else
		{
			op->out.value = ArenaReals(arena, rows, op->width);
			op->out.gradient = ArenaReals(arena, rows, op->width);
			op->out.stride = op->width;
		}
		if (op->op->kind == OP_INPUT)
			op->argmax = ArenaAlloc(arena, sizeof(int) * rows * network->pooled_width);
	}
	for (int i = 0; i < network->graph->ntasks; i++)
	{
		NetworkOp  *op = &network->ops[network->graph->task_ops[i]];

		/* the softmax head of a binary task is one of two classes */
		if (op->op->kind == OP_PICK)
			op = InputOf(network, op, 0);
		if (op->op->kind == OP_LAYER || op->op->kind == OP_SOFTMAX)
			op->direct = ArenaReals(arena, rows, op->width);
	}
	for (int i = 0; i < network->ntables; i++)
	{
		TableGradient *table = &network->tables[i];

		table->rows = ArenaAlloc(arena, sizeof(int32) * table->capacity);
		table->slots = ArenaAlloc(arena, sizeof(int32) * table->parameter->tensor.dims[0]);
		table->gradient = ArenaReals(arena, table->capacity, table->dim);
	}
	network->dense = ArenaReals(arena, rows, network->dense_width);
	network->weights = ArenaAlloc(arena, sizeof(double) * network->max_sequence);
}

/* Whether this layer continues the group: reads the same, and lies right after it. */
static bool
ContinuesGroup(const LayerGroup *group, const GraphOp *layer)
{
	return group->input == layer->inputs[0] &&
		ParameterOf(layer->weight)->offset == group->offset + (int64) group->width * group->ninputs;
}

static void
AddToGroup(Network *network, LayerGroup *group, int position)
{
	NetworkOp  *op = &network->ops[position];

	op->group = group - network->groups;
	op->column = group->width;
	group->members[group->nmembers++] = position;
	group->width += op->width;
}

/*
 * Starts a group with a layer, and adds those after it that continue it.
 */
static void
MakeGroup(Network *network, int first, bool *grouped)
{
	LayerGroup *group = &network->groups[network->ngroups++];
	const GraphOp *layer = network->ops[first].op;

	memset(group, 0, sizeof(LayerGroup));
	group->input = layer->inputs[0];
	group->ninputs = network->ops[group->input].width;
	group->offset = ParameterOf(layer->weight)->offset;
	group->members = palloc(sizeof(int) * (network->nops - first));
	for (int i = first; i < network->nops; i++)
	{
		if (network->ops[i].op->kind != OP_LAYER || grouped[i] || !ContinuesGroup(group, network->ops[i].op))
			continue;
		AddToGroup(network, group, i);
		grouped[i] = true;
	}
	group->members = repalloc(group->members, sizeof(int) * group->nmembers);
}

static void
PlanTables(Network *network, const GraphOp *input)
{
	network->ntables = network->parameters->ntables;
	network->tables = palloc0(sizeof(TableGradient) * Max(network->ntables, 1));
	for (int i = 0; i < network->ntables; i++)
	{
		TableGradient *table = &network->tables[i];

		table->parameter = network->parameters->tables[i];
		table->dim = table->parameter->tensor.dims[1];
		table->capacity = InputTableRows(network->graph, input, table->parameter, network->max_rows);
	}
}

Network *
NetworkCreate(const Graph *graph, Parameters *parameters, int max_rows, double dropout, double momentum)
{
	Network    *network = palloc0(sizeof(Network));
	bool	   *grouped = palloc0(sizeof(bool) * graph->nops);
	Arena		arena = {NULL, 0};

	network->graph = graph;
	network->parameters = parameters;
	network->max_rows = max_rows;
	network->dropout = dropout;
	network->momentum = momentum;
	network->nops = graph->nops;
	network->ops = palloc0(sizeof(NetworkOp) * graph->nops);
	network->groups = palloc(sizeof(LayerGroup) * graph->nops);
	network->dense_width = InputDenseWidth(graph);
	network->pooled_width = InputSequenceWidth(graph, &network->max_sequence);
	for (int i = 0; i < graph->nops; i++)
	{
		network->ops[i].op = &graph->ops[i];
		network->ops[i].width = graph->ops[i].width;
		network->ops[i].group = -1;
	}
	for (int i = 0; i < graph->nops; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (graph->ops[i].kind == OP_LAYER)
			LayerPlan(network, &network->ops[i]);
		if (graph->ops[i].kind == OP_LAYER && !grouped[i])
			MakeGroup(network, i, grouped);
		if (graph->ops[i].kind == OP_INPUT)
			PlanTables(network, &graph->ops[i]);
	}
	pfree(grouped);

	PlaceBuffers(network, &arena);
	network->size = arena.used;
	return network;
}

void
NetworkAllocate(Network *network)
{
	Arena		arena = {NULL, 0};

	arena.base = AllocateZeros(network->size + PG_CACHE_LINE_SIZE);
	arena.base = (char *) CACHELINEALIGN(arena.base);
	PlaceBuffers(network, &arena);
	for (int i = 0; i < network->ntables; i++)
		memset(network->tables[i].slots, 0xFF,
			   sizeof(int32) * network->tables[i].parameter->tensor.dims[0]);
}

/* ---------------------------------------------------------------- passes */

void
NetworkForward(Network *network, int nrows, const float *floats, const int32 *ids,
			   bool training, pg_prng_state *state)
{
	Assert(nrows <= network->max_rows);
	network->nrows = nrows;
	network->floats = floats;
	network->ids = ids;
	network->training = training;
	for (int i = 0; i < network->nops; i++)
	{
		NetworkOp  *op = &network->ops[i];

		CHECK_FOR_INTERRUPTS();
		switch (op->op->kind)
		{
			case OP_INPUT:
				InputForward(network, op);
				break;
			case OP_LAYER:
				if (network->groups[op->group].members[0] == i)
					GroupForward(network, &network->groups[op->group]);
				LayerForward(network, op, state);
				break;
			case OP_SOFTMAX:
				SoftmaxForward(network, op);
				break;
			case OP_MIX:
				MixForward(network, op);
				break;
			case OP_COMBINE:
				CombineForward(network, op);
				break;
			case OP_CONCAT:
				ConcatForward(network, op);
				break;
			case OP_PICK:
				PickForward(network, op);
				break;
			case OP_PRODUCT:
				ProductForward(network, op);
				break;
			case OP_DOT:
				DotForward(network, op);
				break;
			case OP_SLICES:
				SlicesForward(network, op);
				break;
		}
	}
}

/*
 * The members of a group come after its first, and what reads them comes after
 * them: so all have been gone through when the first is reached.
 */
void
NetworkBackward(Network *network)
{
	for (int i = network->nops - 1; i >= 0; i--)
	{
		NetworkOp  *op = &network->ops[i];

		CHECK_FOR_INTERRUPTS();
		switch (op->op->kind)
		{
			case OP_INPUT:
				InputBackward(network, op);
				break;
			case OP_LAYER:
				LayerBackward(network, op);
				if (network->groups[op->group].members[0] == i)
					GroupBackward(network, &network->groups[op->group]);
				break;
			case OP_SOFTMAX:
				SoftmaxBackward(network, op);
				break;
			case OP_MIX:
				MixBackward(network, op);
				break;
			case OP_COMBINE:
				CombineBackward(network, op);
				break;
			case OP_CONCAT:
				ConcatBackward(network, op);
				break;
			case OP_PICK:
				PickBackward(network, op);
				break;
			case OP_PRODUCT:
				ProductBackward(network, op);
				break;
			case OP_DOT:
				DotBackward(network, op);
				break;
			case OP_SLICES:
				SlicesBackward(network, op);
				break;
		}
	}
}

void
NetworkClearVectors(Network *network)
{
	Size		rows = network->nrows;

	for (int i = 0; i < network->ngroups; i++)
		ClearLarge(network->groups[i].dz, sizeof(real) * rows * network->groups[i].width);
	for (int i = 0; i < network->nops; i++)
	{
		NetworkOp  *op = &network->ops[i];

		if (!op->in_place)
			ClearLarge(op->out.gradient, sizeof(real) * rows * op->width);
		if (op->direct)
			memset(op->direct, 0, sizeof(real) * rows * op->width);
	}
}

void
NetworkClearParameters(Network *network)
{
	ClearLarge(network->gradient, sizeof(real) * network->parameters->nflat);
	for (int i = 0; i < network->ntables; i++)
		ClearLarge(network->tables[i].gradient,
				   sizeof(real) * network->tables[i].nrows * network->tables[i].dim);
}
