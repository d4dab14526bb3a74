/*
 * network.h
 *	  The graph as it is trained: forward, backward, gradients.
 *
 * The vectors of an operation for the rows of a batch lie stride numbers apart.
 * Layers that read the same vector and whose weights lie together are one group,
 * and share one matrix product; a layer's vector may then be a part of its group's.
 *
 * A backward pass adds to the gradients: of vectors, in Vectors.gradient, of the
 * weights of layers, in Network.gradient, and of the rows of tables that the batch
 * has touched, in TableGradient.  Each file below has the forward and backward of
 * some operations; network.c calls them in order.  To add an operation, write both
 * and list them there.
 */
#ifndef MTL_RANK_NETWORK_H
#define MTL_RANK_NETWORK_H

#include "postgres.h"

#include "miscadmin.h"

#include "graph/graph.h"
#include "train/parameters.h"
#include "train/random.h"

typedef struct Vectors
{
	real	   *value;
	real	   *gradient;
	int			stride;
} Vectors;

/* What a normalization keeps of a batch, to go back through it. */
typedef struct NormState
{
	real	   *normalized;		/* (rows, width), before scale and shift */
	real	   *inverse;		/* 1 / deviation: by unit, or by row */
} NormState;

typedef struct LayerGroup
{
	int			input;
	int			nmembers;
	int		   *members;		/* positions of operations */
	int			ninputs;
	int			width;			/* of all members */
	int64		offset;			/* of the weights in the flat arrays */
	real	   *bias;			/* of all members, gathered */
	real	   *z;				/* (rows, width) */
	real	   *dz;
} LayerGroup;

typedef struct NetworkOp
{
	const GraphOp *op;
	int			width;
	Vectors		out;

	/* OP_LAYER */
	int			group;
	int			column;			/* of its first unit in the group */
	bool		in_place;		/* its vector is the group's */
	bool		dropped;		/* by dropout */
	NormState	norm;
	NormState	dice;
	real	   *through;		/* (rows, width): dice's gradient by the standardized input */
	real	   *normed;			/* (rows, width): what the activation reads */
	real	   *activated;		/* before a normalization that comes after */
	uint8	   *mask;			/* (rows, width): 1 for what dropout keeps */

	/* a task's score: the gradient of the loss by what its sigmoid or softmax reads */
	real	   *direct;

	int		   *argmax;			/* OP_INPUT, per row: see network_input.c */
} NetworkOp;

/* The gradient of one embedding table: of the rows that the batch has. */
typedef struct TableGradient
{
	Parameter  *parameter;
	int			dim;
	int			capacity;		/* rows */
	int			nrows;
	int32	   *rows;			/* of the table */
	int32	   *slots;			/* by row of the table: position in rows, or -1 */
	real	   *gradient;		/* (nrows, dim) */
} TableGradient;

typedef struct Network
{
	const Graph *graph;
	Parameters *parameters;
	int			max_rows;
	double		dropout;
	double		momentum;		/* of running statistics */
	int			nops;
	NetworkOp  *ops;
	int			ngroups;
	LayerGroup *groups;
	real	   *gradient;		/* as Parameters.flat */
	int			ntables;
	TableGradient *tables;
	int			pooled_width;	/* numbers of all sequences together */
	int			max_sequence;	/* values of the longest */
	double	   *weights;		/* of one sequence */
	int			dense_width;	/* numbers of the widest dense feature with a matrix */
	real	   *dense;			/* (rows, dense_width) */
	Size		size;			/* bytes of all buffers */

	/* the batch */
	int			nrows;
	const float *floats;
	const int32 *ids;
	bool		training;
} Network;

/*
 * Plans a network for batches of up to max_rows rows, in the current context;
 * parameters have been placed.  size says what NetworkAllocate() will allocate.
 */
extern Network *NetworkCreate(const Graph *graph, Parameters *parameters, int max_rows,
							  double dropout, double momentum);
extern void NetworkAllocate(Network *network);

/*
 * Computes all vectors of a batch of encoded rows.  In training, normalizations use
 * the batch's statistics and move the running ones, dropout draws from state, and
 * the rows of tables are noted.
 */
extern void NetworkForward(Network *network, int nrows, const float *floats, const int32 *ids,
						   bool training, pg_prng_state *state);

/* Sets all gradients to 0: those of vectors and heads, or those of parameters. */
extern void NetworkClearVectors(Network *network);
extern void NetworkClearParameters(Network *network);

/*
 * Goes back through the network from the gradients that the loss has left in the
 * heads: direct, or out.gradient of operations that have none.
 */
extern void NetworkBackward(Network *network);

/* network_layer.c */
extern void LayerPlan(Network *network, NetworkOp *op);
extern void GroupForward(Network *network, LayerGroup *group);
extern void GroupBackward(Network *network, LayerGroup *group);
extern void LayerForward(Network *network, NetworkOp *op, pg_prng_state *state);
extern void LayerBackward(Network *network, NetworkOp *op);

/* network_norm.c: over units of a batch, or of a row; in and out may be the same */
extern void NormForward(Network *network, const Norm *norm, NormState *state, int width,
						const real *in, int in_stride, real *out);
extern void NormBackward(Network *network, const Norm *norm, const NormState *state, int width,
						 real *gradient);
extern void StandardizeUnits(Network *network, NormState *state, int width, double epsilon,
							 const Tensor *running_mean, const Tensor *running_var,
							 const real *in, int in_stride);
extern void StandardizeRows(Network *network, NormState *state, int width, double epsilon,
							const real *in, int in_stride);
extern void StandardizeUnitsBack(Network *network, const NormState *state, int width, real *gradient);
extern void StandardizeRowsBack(Network *network, const NormState *state, int width, real *gradient);

/* network_activation.c */
extern bool ActivatesInPlace(ActivationKind kind);
extern void ActivationForward(Network *network, NetworkOp *op, const real *in, int in_stride,
							  real *out, int out_stride);
extern void ActivationBackward(Network *network, NetworkOp *op, const real *in, int in_stride,
							   const real *out, int out_stride, real *gradient, int gradient_stride);

/* network_input.c */
extern void InputForward(Network *network, NetworkOp *op);
extern void InputBackward(Network *network, NetworkOp *op);
extern int	InputSequenceWidth(const Graph *graph, int *max_length);
extern int	InputDenseWidth(const Graph *graph);
extern int64 InputTableRows(const Graph *graph, const GraphOp *op, const Parameter *table, int max_rows);

/* network_ops.c */
extern void SoftmaxForward(Network *network, NetworkOp *op);
extern void SoftmaxBackward(Network *network, NetworkOp *op);
extern void MixForward(Network *network, NetworkOp *op);
extern void MixBackward(Network *network, NetworkOp *op);
extern void CombineForward(Network *network, NetworkOp *op);
extern void CombineBackward(Network *network, NetworkOp *op);
extern void ConcatForward(Network *network, NetworkOp *op);
extern void ConcatBackward(Network *network, NetworkOp *op);
extern void PickForward(Network *network, NetworkOp *op);
extern void PickBackward(Network *network, NetworkOp *op);
extern void DotForward(Network *network, NetworkOp *op);
extern void DotBackward(Network *network, NetworkOp *op);
extern void SlicesForward(Network *network, NetworkOp *op);
extern void SlicesBackward(Network *network, NetworkOp *op);
extern void ProductForward(Network *network, NetworkOp *op);
extern void ProductBackward(Network *network, NetworkOp *op);

/*
 * For loops over the rows of vectors of a width: looks for a cancelled query before
 * every so many numbers.
 */
#define NUMBERS_PER_CHECK (1 << 20)

static inline void
CheckAtRow(int row, int width)
{
	if (row % Max(NUMBERS_PER_CHECK / Max(width, 1), 1) == 0)
		CHECK_FOR_INTERRUPTS();
}

/* The same where rows are so short that the division would show. */
static inline void
CheckAtSomeRows(int row)
{
	if (row % 256 == 0)
		CHECK_FOR_INTERRUPTS();
}

/* The operation that an operation reads as its i-th input. */
static inline NetworkOp *
InputOf(const Network *network, const NetworkOp *op, int i)
{
	return &network->ops[op->op->inputs[i]];
}

/* Where the gradient of a weight lies; NULL for no weight. */
static inline real *
GradientOf(const Network *network, const Tensor *tensor)
{
	return tensor ? network->gradient + ParameterOf(tensor)->offset : NULL;
}

static inline real *
ValueOf(const Tensor *tensor)
{
	return tensor ? ParameterOf(tensor)->value : NULL;
}

#endif							/* MTL_RANK_NETWORK_H */
