/*
 * program.h
 *	  The inside of a program and of a selection; shared by engine/ only.
 *
 * program.c, selection.c and run.c know all kinds of operations.  How a layer's
 * weights lie in memory is known to layer.c and the kernels alone; other packings
 * and faster kernels take their place.
 */
#ifndef MTL_RANK_PROGRAM_H
#define MTL_RANK_PROGRAM_H

#include "engine/engine.h"
#include "engine/kernel.h"

/* Of vectors in scratch and of weights: a cache line, and the widest registers. */
#define VECTOR_ALIGNMENT 64

/*
 * A normalization that was not folded into weights.  Batch norm has mean, scale
 * and shift: (y - mean) * scale + shift; layer norm finds its mean.
 */
typedef struct CompiledNorm
{
	NormKind	kind;
	bool		after_activation;
	double		epsilon;		/* NORM_LAYER */
	double	   *mean;			/* NORM_BATCH */
	double	   *scale;
	double	   *shift;
} CompiledNorm;

typedef struct CompiledActivation
{
	ActivationKind kind;
	double		slope;			/* leaky_relu */
	double		epsilon;		/* dice with statistics of the row */
	double	   *alpha;			/* prelu, dice: one per unit */
	double	   *mean;			/* dice with batch statistics */
	double	   *scale;			/* its 1 / sqrt(running_var + epsilon) */
} CompiledActivation;

typedef struct CompiledLayer
{
	int			ninputs;
	int			units;
	float	   *weight;			/* (ninputs, units), batch norm folded in */
	float	   *bias;			/* zeros where the layer has none */
	CompiledNorm norm;
	CompiledActivation activation;
} CompiledLayer;

/* A feature: where it is in an encoded row, and how it becomes part of x. */
typedef struct CompiledField
{
	char	   *name;
	FeatureKind kind;
	int			x_offset;
	int			x_width;
	int			float_offset;
	int			id_offset;

	/* dense: weight (width, x_width), or NULL */
	int			width;
	float	   *weight;
	float	   *bias;

	/* sparse and sequence: (rows, dim), shared by features of one table */
	int			rows;
	int			dim;
	float	   *table;

	/* sequence */
	int			max_length;
	Combiner	combiner;
	bool		unused_first;	/* of the places of COMBINER_CONCAT */
	double		epsilon;
	double		empty_value;
	bool		weighted;
	WeightNormalization normalize;
} CompiledField;

typedef struct CompiledInput
{
	int			nfields;
	CompiledField *fields;		/* in declared order */
	int			nfloats;		/* of an encoded row */
	int			nids;
} CompiledInput;

typedef struct CompiledOp
{
	OpKind		kind;
	char	   *name;
	int			width;
	int			ninputs;
	int		   *inputs;			/* positions of earlier operations */
	union
	{
		CompiledInput *input;	/* OP_INPUT */
		CompiledLayer *layer;	/* OP_LAYER; one for all operations with its weight */
		double		temperature;	/* OP_SOFTMAX */
		struct
		{
			float	   *weights;	/* as in GraphOp */
			int			subspaces;
			bool		per_unit;
		}			combine;	/* OP_COMBINE */
		int			index;		/* OP_PICK */
		struct
		{
			int			nranges;
			VectorRange *ranges;
		}			slices;		/* OP_SLICES */
	}			u;
} CompiledOp;

struct Program
{
	int			nops;
	CompiledOp *ops;
	int			ntemporary;		/* doubles that any of its operations works in */
	Size		size;
};

struct Selection
{
	int			nops;
	int		   *ops;			/* positions in the program, ascending */
	int			nresults;
	int		   *results;		/* positions, as asked for */
	int			ntemporary;		/* doubles at the beginning of scratch */
	Size		row_size;		/* numbers of scratch per row */

	/*
	 * By position in the program: an operation's vectors begin offsets[] * nrows
	 * numbers after the temporary ones.  Vectors that are never needed at the same
	 * time may share their place.
	 */
	Size	   *offsets;
};

/* What the operations of one ProgramRun() share. */
typedef struct Run
{
	const Program *program;
	const Selection *selection;
	const Kernels *kernels;
	int			nrows;
	const float *floats;
	const int32 *ids;
	double	   *temporary;
	float	   *vectors;
} Run;

/* program.c: memory of the program, counted in its size; structs are zeroed */
extern void *ProgramAlloc(Program *program, Size size);
extern float *ProgramAllocFloats(Program *program, Size n);
extern float *ProgramCopyFloats(Program *program, const void *data, Size n);
extern char *ProgramCopyName(Program *program, const char *name);
extern void ProgramNeedTemporary(Program *program, int n);

/* gather.c */
extern CompiledInput *CompileInput(Program *program, const InputLayout *layout, const GraphOp *op);
extern void RunInput(const Run *run, const CompiledOp *op, float *x);

/*
 * layer.c.  PackWeight lays a (units, ninputs) tensor out for the kernels, each row
 * times its scale if there are scales; PackBias copies a tensor of units numbers,
 * or makes zeros for NULL.  RunLinear has the kernel compute y = weight x + bias for
 * all rows of the run.
 */
extern float *PackWeight(Program *program, const Tensor *weight, const double *scales,
						 const char *layer);
extern float *PackBias(Program *program, const Tensor *bias, int units);
extern CompiledLayer *CompileLayer(Program *program, const GraphOp *op);
extern void RunLinear(const Run *run, int ninputs, int units, const float *x, Size x_stride,
					  const float *weight, const float *bias, float *y, Size y_stride);
extern void RunLayer(const Run *run, const CompiledOp *op, float *y);

/* activation.c: nrows rows of units numbers, changed in place */
extern void Normalize(const CompiledNorm *norm, int nrows, int units, float *y);
extern void Activate(const CompiledActivation *activation, int nrows, int units, float *y);

/* mix.c */
extern void RunSoftmax(const Run *run, const CompiledOp *op, float *y);
extern void RunMix(const Run *run, const CompiledOp *op, float *y);
extern void RunCombine(const Run *run, const CompiledOp *op, float *y);
extern void RunConcat(const Run *run, const CompiledOp *op, float *y);
extern void RunPick(const Run *run, const CompiledOp *op, float *y);
extern void RunProduct(const Run *run, const CompiledOp *op, float *y);
extern void RunDot(const Run *run, const CompiledOp *op, float *y);
extern void RunSlices(const Run *run, const CompiledOp *op, float *y);

/* run.c: error that names the operation, or feature, of a number that is not finite */
extern void CheckVectors(const Run *run, const CompiledOp *op, const float *y);

/* Where the vectors of an operation are. */
static inline float *
VectorsOf(const Run *run, int position)
{
	return run->vectors + run->selection->offsets[position] * run->nrows;
}

#endif							/* MTL_RANK_PROGRAM_H */
