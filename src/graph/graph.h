/*
 * graph.h
 *	  A network as a list of operations over vectors.
 *
 * Every operation makes one vector; operations refer to each other by position,
 * and only to earlier ones.  Graphs of all architectures consist of these
 * operations alone, so whatever works on a graph knows no architecture.
 *
 * Tensors are pointed to, not copied: a graph lives no longer than the
 * ModelFile it was built from.
 */
#ifndef MTL_RANK_GRAPH_H
#define MTL_RANK_GRAPH_H

#include "postgres.h"

#include "graph/input.h"
#include "model/container.h"
#include "model/contract.h"

typedef enum OpKind
{
	OP_INPUT,					/* x: look up, pool, concatenate the features */
	OP_LAYER,					/* linear, normalization, activation */
	OP_SOFTMAX,					/* softmax(in / temperature) */
	OP_MIX,						/* sum_i in0[i] * in(i+1) */
	OP_COMBINE,					/* linear combination with stored weights */
	OP_CONCAT,					/* in0, in1, ... */
	OP_PICK,					/* in0[index] */
	OP_PRODUCT,					/* in0[0] * in1[0] * ... */
	OP_DOT,						/* sum_u in0[u] * in1[u] */
	OP_SLICES					/* ranges of in0, one after the other */
} OpKind;

typedef enum NormKind
{
	NORM_NONE,
	NORM_BATCH,
	NORM_LAYER
} NormKind;

typedef struct Norm
{
	NormKind	kind;
	double		epsilon;
	bool		after_activation;
	const Tensor *weight;		/* NULL: no scale */
	const Tensor *bias;			/* NULL: no shift */
	const Tensor *running_mean; /* NORM_BATCH */
	const Tensor *running_var;
} Norm;

typedef enum ActivationKind
{
	ACTIVATION_LINEAR,
	ACTIVATION_RELU,
	ACTIVATION_LEAKY_RELU,
	ACTIVATION_PRELU,
	ACTIVATION_SIGMOID,
	ACTIVATION_TANH,
	ACTIVATION_SILU,
	ACTIVATION_GELU,
	ACTIVATION_GELU_TANH,
	ACTIVATION_DICE,			/* batch statistics */
	ACTIVATION_DICE_ROW_MEAN,
	ACTIVATION_DICE_ROW_SUM
} ActivationKind;

typedef struct Activation
{
	ActivationKind kind;
	double		slope;			/* leaky_relu */
	double		epsilon;		/* dice */
	const Tensor *alpha;		/* prelu, dice: 1 or width numbers */
	const Tensor *running_mean; /* ACTIVATION_DICE */
	const Tensor *running_var;
} Activation;

/* Numbers of a vector that stand together. */
typedef struct VectorRange
{
	int			begin;
	int			length;
} VectorRange;

typedef struct GraphOp
{
	OpKind		kind;
	char	   *name;			/* the tensors' prefix where it has one */
	int			width;			/* numbers in its vector */
	int			ninputs;
	int		   *inputs;			/* positions of earlier operations */

	/* OP_INPUT: per field, in declared order: table or dense matrix, bias */
	const Tensor **tables;
	const Tensor **biases;

	/*
	 * OP_LAYER: weight is (width, width of the input), its numbers those of the
	 * precision; int8 times weight_scale, one for each unit.  compact: the precision is
	 * the model's, and float32 only where that is.
	 */
	bool		compact;
	Precision	precision;
	const Tensor *weight;
	const Tensor *weight_scale;
	const Tensor *bias;			/* NULL: none */
	Norm		norm;
	Activation	activation;

	double		temperature;	/* OP_SOFTMAX */

	/*
	 * OP_COMBINE.  With per_unit: weights is (ninputs, width) and
	 * out[u] = sum_i weights[i, u] * in_i[u].  Otherwise vectors are cut in
	 * subspaces equal slices, weights is (subspaces, ninputs * subspaces), and
	 * slice g of the output is sum_{i,h} weights[g, i * subspaces + h] * slice h
	 * of in_i.
	 */
	float	   *weights;
	int			subspaces;
	bool		per_unit;
	const Tensor *weights_tensor;	/* that they are a copy of; NULL: constants */
	int64		weights_offset; /* of the first of them in the tensor */

	int			index;			/* OP_PICK */

	/* OP_MIX, by input: training does not go back into it; NULL: into all */
	bool	   *stopped;

	int			nranges;		/* OP_SLICES */
	VectorRange *ranges;
} GraphOp;

/* A gate, for mtl_gates: op is its softmax. */
typedef struct GraphGate
{
	int			level;
	char	   *task;			/* NULL: shared */
	int			op;
	int			nexperts;
	char	  **experts;		/* their prefixes, in the gate's order */
} GraphGate;

typedef struct Graph
{
	int			nops;
	GraphOp    *ops;
	int			ngates;
	GraphGate  *gates;
	InputLayout *layout;
	int			noutputs;		/* as in the contract */
	int		   *output_ops;		/* the operation of each output, width 1 */
	int			ntasks;			/* as in the contract */
	int		   *task_ops;		/* the score of each task; multiclass: of all classes */
} Graph;

/*
 * Builds the graph of a contract over the tensors of its file, checking every
 * shape; tensors that are used get marked.  Allocated in the current context.
 */
extern Graph *GraphBuild(const Contract *contract, ModelFile *file);

/* "layer", "softmax", ...; for descriptions. */
extern const char *OpKindName(OpKind kind);
extern const char *ActivationName(ActivationKind kind);

/* Multiply-adds of one operation for one row. */
extern int64 GraphOpCost(const Graph *graph, const GraphOp *op);

#endif							/* MTL_RANK_GRAPH_H */
