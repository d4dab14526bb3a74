/*
 * label.c
 *	  What is written on the nodes of a picture.
 *
 * Characters beyond ASCII are written as entities of HTML, which Graphviz reads: a
 * database may have an encoding without them.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "draw/label.h"

#define MAX_NAME_LENGTH 40		/* characters of a name */
#define MAX_TERMS		8		/* of a formula */
#define MAX_RUNS		6		/* of an MLP's layers that have the same activation */
#define MAX_SIZES		6		/* of the layers of one run */

#define NEW_LINE	"\\n"
#define ARROW		" &rarr; "
#define TIMES		" &times; "
#define HELLIP		"&hellip;"

void
AppendLabelName(StringInfo dot, const char *name)
{
	int			length = strlen(name);
	int			kept = pg_mbcharcliplen(name, length, MAX_NAME_LENGTH);

	for (int i = 0; i < kept; i++)
	{
		unsigned char c = name[i];

		if (c == '"' || c == '\\')
			appendStringInfo(dot, "\\%c", c);
		else if (c == '&')
			appendStringInfoString(dot, "&amp;");
		else if (c < 0x20 || c == 0x7F)
			appendStringInfoChar(dot, ' ');
		else
			appendStringInfoChar(dot, c);
	}
	if (kept < length)
		appendStringInfoString(dot, HELLIP);
}

static const char *
TaskName(const Picture *picture, const PictureNode *node)
{
	return picture->contract->tasks[node->task].name;
}

static void
AppendNumbers(StringInfo dot, int64 n)
{
	appendStringInfo(dot, INT64_FORMAT " number%s", n, n == 1 ? "" : "s");
}

/* -------------------------------------------------------------- features */

static void
AppendSequence(StringInfo dot, const Feature *feature)
{
	static const char *const combiners[] = {
		[COMBINER_SUM] = "sum",
		[COMBINER_MEAN] = "mean",
		[COMBINER_MAX] = "max",
		[COMBINER_CONCAT] = "concat"
	};

	appendStringInfo(dot, "%s%s of up to %d" NEW_LINE, feature->weights_column ? "weighted " : "",
					 combiners[feature->combiner], feature->max_length);
}

static void
AppendFeature(StringInfo dot, const Picture *picture, const PictureNode *node)
{
	const InputField *field = &picture->graph->layout->fields[node->feature];
	const Feature *feature = field->feature;

	AppendLabelName(dot, feature->name);
	appendStringInfoString(dot, NEW_LINE);
	if (feature->kind == FEATURE_DENSE)
	{
		appendStringInfoString(dot, "dense");
		if (feature->width > 1 || feature->embedding_dim > 0)
			appendStringInfo(dot, " %d", feature->width);
		if (feature->embedding_dim > 0)
			appendStringInfo(dot, ARROW "%d", feature->embedding_dim);
		return;
	}
	if (feature->kind == FEATURE_SEQUENCE)
		AppendSequence(dot, feature);
	appendStringInfoString(dot, "embedding ");
	if (strcmp(feature->embedding, feature->name) != 0)
	{
		AppendLabelName(dot, feature->embedding);
		appendStringInfoChar(dot, ' ');
	}
	appendStringInfo(dot, "%d" TIMES "%d", field->rows, field->dim);
}

static void
AppendFeatures(StringInfo dot, const PictureNode *node)
{
	static const char *const kinds[] = {
		[FEATURE_DENSE] = "dense",
		[FEATURE_SPARSE] = "sparse",
		[FEATURE_SEQUENCE] = "sequence"
	};

	appendStringInfo(dot, "%d %s feature%s" NEW_LINE, node->nfeatures, kinds[node->kind],
					 node->nfeatures == 1 ? "" : "s");
	AppendNumbers(dot, node->nnumbers);
}

/* ------------------------------------------------------------------ MLPs */

static const char *
NormName(NormKind kind)
{
	switch (kind)
	{
		case NORM_NONE:
			break;
		case NORM_BATCH:
			return ", batch norm";
		case NORM_LAYER:
			return ", layer norm";
	}
	return "";
}

static bool
SameFunctions(const GraphOp *a, const GraphOp *b)
{
	return b->kind == OP_LAYER && a->activation.kind == b->activation.kind &&
		a->norm.kind == b->norm.kind && a->norm.after_activation == b->norm.after_activation;
}

/*
 * Appends a line for the layers from op on, before end, that have the same functions;
 * returns the operation after them.
 */
static int
AppendRun(StringInfo dot, const Picture *picture, int op, int end)
{
	const GraphOp *ops = picture->graph->ops;
	const GraphOp *first = &ops[op];
	int			last = op;
	int			n = 1;

	appendStringInfo(dot, NEW_LINE "%d", first->width);
	for (op = picture->next_op[op]; op != end && SameFunctions(first, &ops[op]); op = picture->next_op[op])
	{
		if (n++ < MAX_SIZES - 1)
			appendStringInfo(dot, ARROW "%d", ops[op].width);
		last = op;
	}
	if (n > MAX_SIZES)
		appendStringInfoString(dot, ARROW HELLIP);
	if (n >= MAX_SIZES)
		appendStringInfo(dot, ARROW "%d", ops[last].width);
	if (first->norm.kind != NORM_NONE && !first->norm.after_activation)
		appendStringInfoString(dot, NormName(first->norm.kind));
	appendStringInfo(dot, ", %s", ActivationName(first->activation.kind));
	if (first->norm.kind != NORM_NONE && first->norm.after_activation)
		appendStringInfoString(dot, NormName(first->norm.kind));
	return op;
}

/*
 * The last layer of a node's from op on, before end.
 */
static int
LastLayer(const Picture *picture, int op, int end)
{
	for (int next = picture->next_op[op];
		 next != end && picture->graph->ops[next].kind == OP_LAYER;
		 next = picture->next_op[next])
		op = next;
	return op;
}

/*
 * Appends lines for the operations of an MLP from op on, before end; -1 is the end of
 * the node.
 */
static void
AppendLayers(StringInfo dot, const Picture *picture, int op, int end)
{
	for (int nruns = 0; op != end; nruns++)
	{
		if (picture->graph->ops[op].kind != OP_LAYER)
		{
			appendStringInfo(dot, NEW_LINE "%s", OpKindName(picture->graph->ops[op].kind));
			op = picture->next_op[op];
			continue;
		}
		if (nruns == MAX_RUNS)
		{
			appendStringInfoString(dot, NEW_LINE HELLIP);
			op = LastLayer(picture, op, end);
		}
		op = AppendRun(dot, picture, op, end);
	}
}

static void
AppendMlp(StringInfo dot, const Picture *picture, const PictureNode *node)
{
	if (node->in_level && node->own)
	{
		AppendLabelName(dot, TaskName(picture, node));
		appendStringInfoString(dot, NEW_LINE);
	}
	else if (node->shared)
		appendStringInfoString(dot, node->in_level ? "shared" NEW_LINE : "shared ");
	AppendLabelName(dot, node->part ? node->part : "layers");
	if (node->index >= 0)
		appendStringInfo(dot, " %d", node->index);
	AppendLayers(dot, picture, node->first_op, -1);
}

/* ----------------------------------------------------------------- gates */

/*
 * The layer of the logits has one unit for each expert, which the edges show: only
 * the layers before it are written down.
 */
static void
AppendGate(StringInfo dot, const Picture *picture, const PictureNode *node)
{
	const GraphOp *ops = picture->graph->ops;
	const GraphOp *softmax = &ops[node->last_op];

	AppendLabelName(dot, node->part ? node->part : "gate");
	if (node->in_level)
	{
		appendStringInfoString(dot, NEW_LINE);
		AppendLabelName(dot, node->task >= 0 ? TaskName(picture, node) : "shared");
	}
	if (ops[node->first_op].kind == OP_LAYER)
		AppendLayers(dot, picture, node->first_op, LastLayer(picture, node->first_op, -1));
	if (softmax->kind == OP_SOFTMAX && softmax->temperature != 1)
		appendStringInfo(dot, NEW_LINE "softmax / %.4g", softmax->temperature);
}

/* ---------------------------------------------------------- combinations */

bool
CombineIsSum(const Picture *picture, const PictureNode *node)
{
	return node->part == NULL && picture->graph->ops[node->first_op].weights[0] == 1;
}

static void
AppendCombine(StringInfo dot, const Picture *picture, const PictureNode *node)
{
	const GraphOp *op = &picture->graph->ops[node->first_op];

	if (node->part == NULL)
	{
		appendStringInfoString(dot, CombineIsSum(picture, node) ? "+" : "average");
		return;
	}
	AppendLabelName(dot, node->part);
	if (node->index >= 0)
		appendStringInfo(dot, " %d", node->index);
	if (op->per_unit)
		appendStringInfoString(dot, NEW_LINE "per unit");
	else if (op->subspaces > 1)
		appendStringInfo(dot, NEW_LINE "%d subspaces", op->subspaces);
}

/* ---------------------------------------------------------------- scores */

/*
 * The name of the score that the operation makes.
 */
static const char *
ScoreName(const Picture *picture, int op)
{
	return picture->nodes[picture->score_of[op]].output;
}

static void
AppendProduct(StringInfo dot, const Picture *picture, const GraphOp *product)
{
	appendStringInfoString(dot, NEW_LINE "= ");
	for (int k = 0; k < product->ninputs; k++)
	{
		if (k > 0)
			appendStringInfoString(dot, TIMES);
		if (k == MAX_TERMS)
		{
			appendStringInfoString(dot, HELLIP);
			break;
		}
		AppendLabelName(dot, ScoreName(picture, product->inputs[k]));
	}
}

static void
AppendScore(StringInfo dot, const Picture *picture, const PictureNode *node)
{
	AppendLabelName(dot, node->output);
	if (node->hidden)
		appendStringInfoString(dot, " (hidden)");
	if (node->first_op >= 0)
		AppendProduct(dot, picture, &picture->graph->ops[node->first_op]);
}

static void
AppendRank(StringInfo dot, const Picture *picture)
{
	const RankFormula *rank = picture->contract->rank;

	appendStringInfoString(dot, "mtl_rank" NEW_LINE "= ");
	for (int i = 0; i < rank->nterms; i++)
	{
		if (i > 0)
			appendStringInfoString(dot, rank->product ? TIMES : " + ");
		if (i == MAX_TERMS)
		{
			appendStringInfoString(dot, HELLIP);
			break;
		}
		if (!rank->product && rank->weights[i] != 1)
			appendStringInfo(dot, "%.6g ", rank->weights[i]);
		AppendLabelName(dot, picture->contract->outputs[rank->outputs[i]].name);
		if (rank->product && rank->weights[i] != 1)
			appendStringInfo(dot, "^%.6g", rank->weights[i]);
	}
}

/* -------------------------------------------------------------- all nodes */

static void
AppendMore(StringInfo dot, const PictureNode *node)
{
	static const char *const parts[] = {
		[NODE_FEATURE] = "feature",
		[NODE_INPUT] = "x",
		[NODE_MLP] = "layers",
		[NODE_TOWER] = "tower",
		[NODE_GATE] = "gate",
		[NODE_MIX] = "mix",
		[NODE_COMBINE] = "combination",
		[NODE_CONCAT] = "concat",
		[NODE_DOT] = "dot product",
		[NODE_SLICES] = "slices",
		[NODE_SCORE] = "score",
		[NODE_RANK] = "rank"
	};

	switch (node->more)
	{
		case MORE_NOTHING:
			break;
		case MORE_MEMBERS:
			appendStringInfo(dot, HELLIP NEW_LINE "%d more", node->nmore);
			break;
		case MORE_TASKS:
			AppendLabelName(dot, node->role == NODE_MLP && node->part ? node->part : parts[node->role]);
			appendStringInfo(dot, " of" NEW_LINE "%d more tasks", node->nmore);
			break;
		case MORE_PRODUCTS:
			appendStringInfo(dot, HELLIP NEW_LINE "%d more products", node->nmore);
			break;
		case MORE_LEVELS:
			appendStringInfo(dot, HELLIP NEW_LINE "%d more levels", node->nmore);
			break;
	}
}

void
AppendNodeLabel(StringInfo dot, const Picture *picture, const PictureNode *node)
{
	const GraphOp *op = node->first_op >= 0 ? &picture->graph->ops[node->first_op] : NULL;

	if (node->more != MORE_NOTHING)
	{
		AppendMore(dot, node);
		return;
	}
	switch (node->role)
	{
		case NODE_FEATURE:
			if (node->feature >= 0)
				AppendFeature(dot, picture, node);
			else
				AppendFeatures(dot, node);
			break;
		case NODE_INPUT:
			appendStringInfoString(dot, "x: ");
			AppendNumbers(dot, op->width);
			break;
		case NODE_MLP:
		case NODE_TOWER:
			AppendMlp(dot, picture, node);
			break;
		case NODE_GATE:
			AppendGate(dot, picture, node);
			break;
		case NODE_MIX:
			appendStringInfoString(dot, "&Sigma;");
			break;
		case NODE_COMBINE:
			AppendCombine(dot, picture, node);
			break;
		case NODE_CONCAT:
			appendStringInfoString(dot, "concat: ");
			AppendNumbers(dot, op->width);
			break;
		case NODE_DOT:
			appendStringInfoString(dot, "&sdot;");
			break;
		case NODE_SLICES:
			appendStringInfoString(dot, "slices: ");
			AppendLabelName(dot, node->task >= 0 ? TaskName(picture, node) : "shared");
			appendStringInfo(dot, NEW_LINE "%d of ", op->width);
			AppendNumbers(dot, picture->graph->layout->width);
			break;
		case NODE_SCORE:
			AppendScore(dot, picture, node);
			break;
		case NODE_RANK:
			AppendRank(dot, picture);
			break;
	}
}
