/*
 * picture.c
 *	  The nodes of a picture: which operations are one.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"

#include "draw/part_name.h"
#include "draw/picture.h"
#include "model/names.h"

#define MAX_FEATURES 12			/* of more, one node per kind is shown */

/* What is needed while nodes are made. */
typedef struct Sketch
{
	Picture    *picture;
	NameIndex  *tasks;
	int		   *nreaders;		/* by operation */
	bool	   *is_gate;		/* by operation: the weights of a mix */
	int		   *prefixes;		/* by operation: see PartName */
	HTAB	   *by_weight;		/* WeightEntry */
} Sketch;

typedef struct WeightEntry
{
	const Tensor *weight;		/* the key */
	int			node;
} WeightEntry;

PictureNode *
PictureAddNode(Picture *picture, NodeRole role)
{
	PictureNode *node;

	if (picture->nnodes == picture->capacity)
	{
		picture->capacity = Max(2 * picture->capacity, 64);
		picture->nodes = picture->nodes ?
			repalloc(picture->nodes, sizeof(PictureNode) * picture->capacity) :
			palloc(sizeof(PictureNode) * picture->capacity);
	}
	node = &picture->nodes[picture->nnodes];
	memset(node, 0, sizeof(PictureNode));
	node->role = role;
	node->level = node->task = node->index = node->feature = -1;
	node->first_op = node->last_op = -1;
	node->shown_as = picture->nnodes++;
	return node;
}

/* ------------------------------------------------------------ operations */

static void
Join(Sketch *sketch, int op, int node)
{
	Picture    *picture = sketch->picture;
	PictureNode *joined = &picture->nodes[node];

	if (joined->first_op < 0)
		joined->first_op = op;
	else
		picture->next_op[joined->last_op] = op;
	joined->last_op = op;
	picture->node_of[op] = node;
}

static void
AddNodeOf(Sketch *sketch, int op, NodeRole role, const PartName *name)
{
	Picture    *picture = sketch->picture;
	PictureNode *node = PictureAddNode(picture, role);

	node->level = name->level;
	node->in_level = name->level >= 0;
	node->task = name->task ? NameIndexFind(sketch->tasks, name->task) : -1;
	node->own = node->task >= 0;
	node->shared = name->shared;
	node->part = name->part;
	node->index = name->index;
	Join(sketch, op, picture->nnodes - 1);
}

/*
 * Whether the operation continues the MLP of the one that it reads.
 */
static bool
ContinuesMlp(const Sketch *sketch, int op)
{
	const GraphOp *ops = sketch->picture->graph->ops;
	int			input = ops[op].inputs[0];

	return ops[input].kind == OP_LAYER && sketch->nreaders[input] == 1 &&
		sketch->prefixes[input] == sketch->prefixes[op] &&
		strncmp(ops[input].name, ops[op].name, sketch->prefixes[op]) == 0;
}

/*
 * The experts of a level that are applied to several vectors, with the same weights,
 * are drawn once.
 */
static void
PlaceLayer(Sketch *sketch, int op, const PartName *name)
{
	Picture    *picture = sketch->picture;
	const GraphOp *layer = &picture->graph->ops[op];
	WeightEntry *entry;
	bool		found;

	entry = hash_search(sketch->by_weight, &layer->weight, HASH_ENTER, &found);
	if (found && name->level >= 0)
	{
		picture->node_of[op] = entry->node;
		return;
	}
	if (ContinuesMlp(sketch, op))
		Join(sketch, op, picture->node_of[layer->inputs[0]]);
	else
		AddNodeOf(sketch, op,
				  name->part && strcmp(name->part, "tower") == 0 ? NODE_TOWER : NODE_MLP, name);
	entry->node = picture->node_of[op];
}

/*
 * A softmax is one with what made its logits and has no other reader.
 */
static void
PlaceSoftmax(Sketch *sketch, int op, const PartName *name)
{
	Picture    *picture = sketch->picture;
	const GraphOp *ops = picture->graph->ops;
	int			input = ops[op].inputs[0];

	if (sketch->nreaders[input] == 1 &&
		(ops[input].kind == OP_LAYER || ops[input].kind == OP_CONCAT))
		Join(sketch, op, picture->node_of[input]);
	else
		AddNodeOf(sketch, op, NODE_GATE, name);
	if (sketch->is_gate[op])
		picture->nodes[picture->node_of[op]].role = NODE_GATE;
}

static bool
SameInputs(const GraphOp *a, const GraphOp *b)
{
	return a->ninputs == b->ninputs &&
		memcmp(a->inputs, b->inputs, sizeof(int) * a->ninputs) == 0;
}

/*
 * Combinations of the same vectors with parts of one tensor are one stitch, and the
 * layers that it joins are a level.
 */
static void
PlaceCombine(Sketch *sketch, int op, const PartName *name)
{
	Picture    *picture = sketch->picture;
	const GraphOp *combine = &picture->graph->ops[op];
	const GraphOp *previous = combine - 1;	/* there is one: x */
	PartName	stored = *name;

	if (previous->kind == OP_COMBINE && strcmp(previous->name, combine->name) == 0 &&
		SameInputs(previous, combine))
	{
		Join(sketch, op, picture->node_of[op - 1]);
		return;
	}
	if (!name->stored)
		stored.part = NULL;
	AddNodeOf(sketch, op, NODE_COMBINE, &stored);
	if (name->level >= 0 || name->index < 0)
		return;
	picture->nodes[picture->node_of[op]].level = name->index;
	for (int k = 0; k < combine->ninputs; k++)
	{
		PictureNode *joined = &picture->nodes[picture->node_of[combine->inputs[k]]];

		if (joined->role == NODE_MLP && joined->level < 0)
			joined->level = name->index;
	}
}

static void
PlaceOp(Sketch *sketch, int op)
{
	Picture    *picture = sketch->picture;
	const GraphOp *ops = picture->graph->ops;
	PartName	name = PartNameParse(&ops[op]);

	sketch->prefixes[op] = name.prefix;
	switch (ops[op].kind)
	{
		case OP_INPUT:
			name = (PartName) {.level = -1, .index = -1};
			AddNodeOf(sketch, op, NODE_INPUT, &name);
			break;
		case OP_LAYER:
			PlaceLayer(sketch, op, &name);
			break;
		case OP_SOFTMAX:
			PlaceSoftmax(sketch, op, &name);
			break;
		case OP_MIX:
			AddNodeOf(sketch, op, NODE_MIX, &name);
			break;
		case OP_COMBINE:
			PlaceCombine(sketch, op, &name);
			break;
		case OP_CONCAT:
			AddNodeOf(sketch, op, NODE_CONCAT, &name);
			break;
		case OP_DOT:
			AddNodeOf(sketch, op, NODE_DOT, &name);
			break;
		case OP_SLICES:
			AddNodeOf(sketch, op, NODE_SLICES, &name);
			break;
		case OP_PICK:
			/* a number of its input: the score that it is has a node */
			picture->node_of[op] = picture->node_of[ops[op].inputs[0]];
			break;
		case OP_PRODUCT:
			/* a score, see AddScores */
			break;
	}
}

/* ---------------------------------------------------------------- scores */

static void
AddScore(Sketch *sketch, int op, int task, int class, const char *output, bool hidden)
{
	Picture    *picture = sketch->picture;
	PictureNode *node = PictureAddNode(picture, NODE_SCORE);
	int			position = picture->nnodes - 1;

	node->task = task;
	node->index = class;
	node->output = output;
	node->hidden = hidden;
	picture->score_of[op] = position;
	if (picture->graph->ops[op].kind == OP_PRODUCT)
		Join(sketch, op, position);
}

/*
 * The score of a task that is no output but part of a product.
 */
static void
AddHiddenScore(Sketch *sketch, int op)
{
	const Picture *picture = sketch->picture;
	const GraphOp *score = &picture->graph->ops[op];
	PartName	name = PartNameParse(score);
	int			task = NameIndexFind(sketch->tasks, name.task ? name.task : score->name);

	AddScore(sketch, op, task, 0, task >= 0 ? picture->contract->tasks[task].name : score->name, true);
}

static void
AddScores(Sketch *sketch)
{
	const Picture *picture = sketch->picture;
	const Graph *graph = picture->graph;

	for (int i = 0; i < graph->noutputs; i++)
	{
		const Output *output = &picture->contract->outputs[i];

		AddScore(sketch, graph->output_ops[i], output->task, output->class, output->name, false);
	}
	for (int op = 0; op < graph->nops; op++)
	{
		const GraphOp *product = &graph->ops[op];

		if (product->kind != OP_PRODUCT)
			continue;
		if (picture->score_of[op] < 0)
			AddHiddenScore(sketch, op);
		for (int k = 0; k < product->ninputs; k++)
			if (picture->score_of[product->inputs[k]] < 0)
				AddHiddenScore(sketch, product->inputs[k]);
	}
	if (picture->contract->rank)
		PictureAddNode(sketch->picture, NODE_RANK);
}

/* -------------------------------------------------------------- features */

static void
CountFeature(PictureNode *node, const InputField *field)
{
	node->kind = field->feature->kind;
	node->nfeatures++;
	node->nnumbers += field->x_width;
}

static void
AddFeatures(Picture *picture)
{
	const InputLayout *layout = picture->graph->layout;
	int			of_kind[] = {[FEATURE_DENSE] = -1, [FEATURE_SPARSE] = -1, [FEATURE_SEQUENCE] = -1};

	for (int i = 0; i < layout->nfields; i++)
	{
		int			position = picture->contract->input[i];
		const InputField *field = &layout->fields[position];
		int		   *node = &of_kind[field->feature->kind];

		if (layout->nfields <= MAX_FEATURES)
		{
			PictureNode *feature = PictureAddNode(picture, NODE_FEATURE);

			feature->feature = position;
			CountFeature(feature, field);
			continue;
		}
		if (*node < 0)
		{
			PictureAddNode(picture, NODE_FEATURE);
			*node = picture->nnodes - 1;
		}
		CountFeature(&picture->nodes[*node], field);
	}
}

/* ---------------------------------------------------------------- places */

/*
 * From the end to the beginning: what is read by a level, and to which task a node
 * belongs whose name tells none but whose readers are all of one task.
 */
static void
LookAtReaders(Picture *picture)
{
	enum
	{
		NO_READER = -2,
		SEVERAL = -1
	};
	const Graph *graph = picture->graph;
	int		   *reader = palloc(sizeof(int) * picture->nnodes);

	for (int i = 0; i < picture->nnodes; i++)
		reader[i] = NO_READER;
	for (int op = graph->nops - 1; op > 0; op--)
	{
		PictureNode *node = &picture->nodes[picture->node_of[op]];

		if (node->task < 0 && !node->in_level && reader[picture->node_of[op]] >= 0)
			node->task = reader[picture->node_of[op]];
		for (int k = 0; k < graph->ops[op].ninputs; k++)
		{
			int			input = picture->node_of[graph->ops[op].inputs[k]];

			if (node->in_level || node->before_levels)
				picture->nodes[input].before_levels = true;
			if (reader[input] == NO_READER)
				reader[input] = node->task;
			else if (reader[input] != node->task && picture->node_of[op] != input)
				reader[input] = SEVERAL;
		}
	}
	pfree(reader);
}

static void
CountReaders(Sketch *sketch)
{
	const Graph *graph = sketch->picture->graph;

	for (int op = 0; op < graph->nops; op++)
	{
		for (int k = 0; k < graph->ops[op].ninputs; k++)
			sketch->nreaders[graph->ops[op].inputs[k]]++;
		if (graph->ops[op].kind == OP_MIX)
			sketch->is_gate[graph->ops[op].inputs[0]] = true;
	}
}

static NameIndex *
IndexTaskNames(const Contract *contract)
{
	char	  **names = palloc(sizeof(char *) * contract->ntasks);

	for (int i = 0; i < contract->ntasks; i++)
		names[i] = contract->tasks[i].name;
	return NameIndexCreate(names, contract->ntasks);
}

static HTAB *
CreateWeightTable(void)
{
	HASHCTL		control = {
		.keysize = sizeof(const Tensor *),
		.entrysize = sizeof(WeightEntry),
		.hcxt = CurrentMemoryContext
	};

	return hash_create("mtl_rank weights", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

Picture *
PictureCreate(const Graph *graph, const Contract *contract)
{
	Picture    *picture = palloc0(sizeof(Picture));
	Sketch		sketch = {.picture = picture};

	picture->graph = graph;
	picture->contract = contract;
	picture->node_of = palloc(sizeof(int) * graph->nops);
	picture->score_of = palloc(sizeof(int) * graph->nops);
	picture->next_op = palloc(sizeof(int) * graph->nops);
	for (int op = 0; op < graph->nops; op++)
		picture->node_of[op] = picture->score_of[op] = picture->next_op[op] = -1;
	sketch.tasks = IndexTaskNames(contract);
	sketch.nreaders = palloc0(sizeof(int) * graph->nops);
	sketch.is_gate = palloc0(sizeof(bool) * graph->nops);
	sketch.prefixes = palloc0(sizeof(int) * graph->nops);
	sketch.by_weight = CreateWeightTable();

	CountReaders(&sketch);
	AddFeatures(picture);
	for (int op = 0; op < graph->nops; op++)
	{
		CHECK_FOR_INTERRUPTS();
		PlaceOp(&sketch, op);
	}
	AddScores(&sketch);
	LookAtReaders(picture);
	PictureElide(picture);
	PictureConnect(picture);
	hash_destroy(sketch.by_weight);
	return picture;
}
