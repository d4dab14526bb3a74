/*
 * builder.h
 *	  Adds operations to a graph under construction; shared by graph/ only.
 *
 * Every Add function returns the position of the operation whose vector is the
 * result.  Shapes are checked as operations are added, and so are the limits on
 * operations and vector sizes.
 */
#ifndef MTL_RANK_BUILDER_H
#define MTL_RANK_BUILDER_H

#include "graph/graph.h"

typedef struct GraphBuilder
{
	ModelFile  *file;
	const Contract *contract;
	Graph	   *graph;
	int			capacity;		/* of graph->ops */
	int			gate_capacity;
	int64		activations;	/* numbers in all vectors so far */
	int			input;			/* position of x */
	int			ntasks;			/* tasks that have a tower: all but products */
	const Task **tasks;			/* in declared order */
} GraphBuilder;

extern int	OpWidth(const GraphBuilder *builder, int op);

/* Appends an operation with room for ninputs inputs. */
extern int	AddOp(GraphBuilder *builder, OpKind kind, const char *name, int width,
				  int ninputs, const int *inputs);

extern int	AddSoftmax(GraphBuilder *builder, const char *name, int input, double temperature);
extern int	AddMix(GraphBuilder *builder, const char *name, int gate, int nexperts, const int *experts);
extern int	AddConcat(GraphBuilder *builder, const char *name, int ninputs, const int *inputs);
extern int	AddPick(GraphBuilder *builder, const char *name, int input, int index);
extern int	AddProduct(GraphBuilder *builder, const char *name, int ninputs, const int *inputs);

/* The scalar product of two vectors of one width. */
extern int	AddDot(GraphBuilder *builder, const char *name, int a, int b);

/*
 * A linear combination of vectors of one width; weights as in GraphOp, owned by
 * the graph from then on.
 */
extern int	AddCombine(GraphBuilder *builder, const char *name, int ninputs, const int *inputs,
					   float *weights, int subspaces, bool per_unit);

/* Ranges of the input's vector, one after the other; owned by the graph from then on. */
extern int	AddSlices(GraphBuilder *builder, const char *name, int input,
					  int nranges, VectorRange *ranges);

/* Notes that a combination's weights are those of a tensor from offset on. */
extern void TieCombine(GraphBuilder *builder, int op, const Tensor *tensor, int64 offset);

/* Notes a gate for mtl_gates; experts are prefixes, owned by the graph. */
extern void NoteGate(GraphBuilder *builder, int level, const char *task, int op,
					 int nexperts, char **experts);

/* input.c: adds x and builds the layout of encoded rows. */
extern int	AddInput(GraphBuilder *builder);

/* heads.c: adds towers and tasks; representations[t] is what tower t reads. */
extern void AddHeads(GraphBuilder *builder, JsonbValue *tower, const int *representations);

#endif							/* MTL_RANK_BUILDER_H */
