/*
 * fusion.c
 *	  Puts layers that read the same vectors side by side into one wide linear map.
 *
 * First layers of experts, gates and towers are such layers: narrow ones fill the
 * registers together, and a call of a kernel does the work of many.  Where one layer is
 * applied to several vectors (stacked mixtures do that for each task) its weights are
 * there once, or a small file could ask for a large program; then only layers that
 * are applied to the same ones can share a map.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "engine/program.h"

/*
 * A linear map takes no more layers from this width on: there is nothing more to gain,
 * and the vectors of all its layers are in memory at the same time.
 */
#define MAX_LINEAR_UNITS 4096

/* The layer of a weight tensor: one for all operations with it. */
typedef struct LayerEntry
{
	const Tensor *weight;		/* hash key */
	const GraphOp *op;			/* the first with it */
	CompiledLayer *layer;
	int			ninputs;		/* operations that it is applied to */
	int			capacity;
	int		   *inputs;
	struct LinearPlan *plan;
	int			column;			/* its place there */
} LayerEntry;

/* Layers that will lie side by side. */
typedef struct LinearPlan
{
	const LayerEntry *first;
	int			units;
	int64		full_units;		/* those of each layer in full strips */
	CompiledLinear *linear;		/* once it is known how wide it is */
	struct LinearPlan *next;	/* of all plans */
} LinearPlan;

/* The last plan for layers that read this first of all. */
typedef struct PlanKey
{
	int			input;
	bool		relu;
	Precision	precision;
} PlanKey;

typedef struct PlanEntry
{
	PlanKey		key;
	LinearPlan *plan;
} PlanEntry;

/* Operations with one linear map and one input. */
typedef struct GroupKey
{
	const CompiledLinear *linear;
	int			input;
} GroupKey;

typedef struct GroupEntry
{
	GroupKey	key;
	int			group;
} GroupEntry;

static HTAB *
CreateTable(const char *name, Size key_size, Size entry_size)
{
	HASHCTL		control = {0};

	control.keysize = key_size;
	control.entrysize = entry_size;
	control.hcxt = CurrentMemoryContext;
	return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
NoteInput(LayerEntry *entry, int input)
{
	if (entry->ninputs == entry->capacity)
	{
		entry->capacity = Max(2 * entry->capacity, 4);
		entry->inputs = entry->inputs ?
			repalloc(entry->inputs, sizeof(int) * entry->capacity) :
			palloc(sizeof(int) * entry->capacity);
	}
	entry->inputs[entry->ninputs++] = input;
}

static void
CollectLayers(HTAB *layers, const Graph *graph)
{
	for (int i = 0; i < graph->nops; i++)
	{
		const GraphOp *op = &graph->ops[i];
		LayerEntry *entry;
		bool		found;

		if (op->kind != OP_LAYER)
			continue;
		CHECK_FOR_INTERRUPTS();
		entry = hash_search(layers, &op->weight, HASH_ENTER, &found);
		if (!found)
		{
			memset(entry, 0, sizeof(LayerEntry));
			entry->weight = op->weight;
			entry->op = op;
		}
		NoteInput(entry, op->inputs[0]);
	}
}

static bool
SameInputs(const LayerEntry *a, const LayerEntry *b)
{
	return a->ninputs == b->ninputs &&
		memcmp(a->inputs, b->inputs, sizeof(int) * a->ninputs) == 0;
}

/*
 * Gives a layer its place in the plan of those before it that read the same, or in a
 * new one.
 */
static void
PlanLayer(HTAB *plans, LayerEntry *entry, LinearPlan **all)
{
	PlanKey		key;
	PlanEntry  *last;
	LinearPlan *plan;
	bool		found;

	/* padding is part of a hash key */
	memset(&key, 0, sizeof(key));
	key.input = entry->inputs[0];
	key.relu = LayerEndsInRelu(entry->op);
	key.precision = entry->op->precision;
	last = hash_search(plans, &key, HASH_ENTER, &found);
	plan = found ? last->plan : NULL;
	if (plan == NULL || !SameInputs(plan->first, entry) ||
		plan->units + entry->op->width > MAX_LINEAR_UNITS)
	{
		plan = palloc0(sizeof(LinearPlan));
		plan->first = entry;
		plan->next = *all;
		*all = plan;
		last->plan = plan;
	}
	entry->plan = plan;
	entry->column = plan->units;
	plan->units += entry->op->width;
	plan->full_units += TYPEALIGN(MTL_STRIP, entry->op->width);
}

/*
 * Whether the layers of a plan read x and nothing else.
 */
static bool
TakesSums(const Program *program, const LinearPlan *plan)
{
	return plan->first->ninputs == 1 && plan->first->inputs[0] == program->input;
}

/*
 * Decides how the layers that read x alone take their sums: all in the same order, which
 * is that of the model's precision where some have it.
 */
static void
PlanSums(Program *program, const LinearPlan *plans)
{
	int64		units = 0;
	int64		weights = 0;
	Precision	precision = PRECISION_FLOAT32;

	for (const LinearPlan *plan = plans; plan; plan = plan->next)
		if (TakesSums(program, plan))
		{
			units += plan->full_units;
			weights += plan->units * plan->first->weight->dims[1];
			precision = Max(precision, plan->first->op->precision);
		}
	if (units > 0)
		CompileSums(program, units, weights, precision);
}

static CompiledLayer *
CompilePlanned(Program *program, const LayerEntry *entry)
{
	LinearPlan *plan = entry->plan;
	CompiledSums *sums = program->ops[program->input].u.input->sums;

	if (plan->linear == NULL && TakesSums(program, plan))
		plan->linear = CreateLinear(program, sums->ninputs, plan->units,
									LayerEndsInRelu(entry->op), sums, entry->op->precision);
	else if (plan->linear == NULL)
		plan->linear = CreateLinear(program, entry->weight->dims[1], plan->units,
									LayerEndsInRelu(entry->op), NULL, entry->op->precision);
	return CompileLayer(program, entry->op, plan->linear, entry->column);
}

static int
FindGroup(Program *program, HTAB *groups, const CompiledLinear *linear, int input)
{
	GroupKey	key;
	GroupEntry *entry;
	bool		found;

	memset(&key, 0, sizeof(key));
	key.linear = linear;
	key.input = input;
	entry = hash_search(groups, &key, HASH_ENTER, &found);
	if (!found)
		entry->group = program->ngroups++;
	return entry->group;
}

/*
 * Compiles the layers of all operations, and says which are computed together.
 */
void
CompileLayers(Program *program, const Graph *graph)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank fusion",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	HTAB	   *layers = CreateTable("mtl_rank layers", sizeof(const Tensor *), sizeof(LayerEntry));
	HTAB	   *plans = CreateTable("mtl_rank linear maps", sizeof(PlanKey), sizeof(PlanEntry));
	HTAB	   *groups = CreateTable("mtl_rank groups", sizeof(GroupKey), sizeof(GroupEntry));
	LinearPlan *all = NULL;

	CollectLayers(layers, graph);
	for (int i = 0; i < graph->nops; i++)
		if (graph->ops[i].kind == OP_LAYER)
		{
			LayerEntry *entry = hash_search(layers, &graph->ops[i].weight, HASH_FIND, NULL);

			if (entry->plan == NULL)
				PlanLayer(plans, entry, &all);
		}
	PlanSums(program, all);
	for (int i = 0; i < graph->nops; i++)
		if (graph->ops[i].kind == OP_LAYER)
		{
			LayerEntry *entry = hash_search(layers, &graph->ops[i].weight, HASH_FIND, NULL);
			CompiledOp *compiled = &program->ops[i];

			CHECK_FOR_INTERRUPTS();
			if (entry->layer == NULL)
				entry->layer = CompilePlanned(program, entry);
			compiled->u.layer = entry->layer;
			if (entry->layer->linear->sums)
				compiled->cost = SumsCost(entry->layer->linear->sums, compiled->width, compiled->cost);
			compiled->group = FindGroup(program, groups, entry->layer->linear,
										graph->ops[i].inputs[0]);
		}
	for (const LinearPlan *plan = all; plan && BulkWantsContent(program->bulk); plan = plan->next)
		if (plan->linear->sums)
			FoldTables(plan->linear);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}
