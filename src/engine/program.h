/*
 * program.h
 *	  The inside of a program and of a selection; shared by engine/ only.
 *
 * program.c, selection.c and run.c know all kinds of operations.  How weights lie in
 * memory is known to linear.c and the kernels alone.
 */
#ifndef MTL_RANK_PROGRAM_H
#define MTL_RANK_PROGRAM_H

#include "compat.h"
#include "engine/engine.h"
#include "engine/kernel.h"
#include "model/bulk.h"

/* Of vectors in scratch, as of the bulk: a cache line, and the widest registers. */
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

/* Layers that read x alone take it in this many parts; see CompiledSums. */
#define SUMS_PARTS 2

/* Weights of bf16 or int8, of inputs whose numbers are rounded together. */
typedef struct CompactPart
{
	int			first;			/* of the map's inputs */
	int			ninputs;
	uint32	   *groups;			/* see kernel_compact.h */
	int32	   *unit_sums;		/* int8 */
} CompactPart;

/*
 * A linear map, with relu or without.  It may hold the units of several layers, side
 * by side: those that read the same vectors, wherever they are applied.
 *
 * One that reads x alone takes its terms as the program's sums say: its inputs are the
 * columns of x that these have, and tables are added in place of the others.
 */
typedef struct CompiledLinear
{
	int			ninputs;
	int			units;
	bool		relu;
	Precision	precision;
	float	   *weight;			/* float32: strips, then narrow what is left; see kernel.h */
	float	   *bias;			/* of full strips, zeros where there is none */
	struct CompiledSums *sums;	/* NULL: it reads its vectors as they are */
	float	  **folded;			/* by folded field of sums: (rows, units of full strips) */
	float	  **fold_weights;	/* during compilation: by folded field, all in strips */

	/* bf16, int8: in place of weight */
	int			nparts;
	CompactPart parts[SUMS_PARTS];
	float	   *scales;			/* of full strips */
} CompiledLinear;

typedef struct CompiledLayer
{
	CompiledLinear *linear;
	int			column;			/* its first unit there */
	int			units;
	CompiledNorm norm;
	CompiledActivation activation;	/* linear if relu is the linear map's */
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

	/* dense: width numbers; linear is NULL if they are the vector */
	int			width;
	CompiledLinear *linear;

	/* sparse and sequence: (rows, dim), shared by features of one table */
	int			rows;
	int			dim;
	float	   *table;
	bool		context;		/* see CompiledSums */
	bool		folded;

	/* sequence */
	int			max_length;
	Combiner	combiner;
	bool		unused_first;	/* of the places of COMBINER_CONCAT */
	double		epsilon;
	double		empty_value;
	bool		weighted;
	WeightNormalization normalize;
} CompiledField;

/* Numbers of an encoded row that x has as they are. */
typedef struct CompiledCopy
{
	int			x_offset;
	int			float_offset;
	int			width;
} CompiledCopy;

/* A field, and where its vector goes. */
typedef struct FieldPlace
{
	int			field;
	int			offset;
} FieldPlace;

/* How the vectors of some fields come from encoded rows to their places. */
typedef struct Gathering
{
	int			ncopies;
	CompiledCopy *copies;
	int			nsparse;
	FieldPlace *sparse;
	int			nothers;
	FieldPlace *others;			/* sequences, and dense ones with a matrix */
} Gathering;

typedef struct CompiledInput
{
	int			nfields;
	CompiledField *fields;		/* in declared order */
	int			nfloats;		/* of an encoded row */
	int			nids;
	Gathering	x;
	bool		direct;			/* x is the floats of an encoded row */
	struct CompiledSums *sums;	/* NULL: no layer reads x alone */
} CompiledInput;

/*
 * Layers that read x alone take the features in an order of their own, so that what a
 * context adds to their sums is a beginning that many rows can share: those that the
 * contract declares as context, and then the others; of each, first the folded ones,
 * whose tables hold the sums themselves (a row of the embedding times its slice of the
 * weights), and then the inputs, which are multiplied.  bf16 and int8 round the inputs of
 * a part together.
 */
typedef struct SumsPart
{
	int			folded_end;		/* positions in folded */
	int			inputs_begin;	/* columns of the inputs */
	int			inputs_end;
	int			multiplied;		/* position in order of the first feature with inputs */
	int			end;			/* after the last feature */
	Gathering	inputs;
} SumsPart;

/* How far sums have come: so many folded features, and so many inputs, are in them. */
typedef struct SumsCut
{
	int			folded;
	int			inputs;
} SumsCut;

typedef struct CompiledSums
{
	const CompiledInput *input;
	int		   *order;			/* all fields */
	int			nfolded;
	int		   *folded;			/* fields */
	int			ninputs;
	int		   *columns;		/* of x, by input */
	bool		same;			/* the inputs are x as it is */
	bool		compact;		/* there are maps of bf16 or int8 */
	SumsPart	parts[SUMS_PARTS];
} CompiledSums;

typedef struct CompiledOp
{
	OpKind		kind;
	char	   *name;
	int			width;
	int			ninputs;
	int		   *inputs;			/* positions of earlier operations */
	int64		cost;			/* multiply-adds of float32 that take as long, for a row */
	int64		share_cost;		/* of these, what a declared context's share saves */
	int			group;			/* OP_LAYER: same for those with one linear map and input */
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
	MemoryContext context;		/* that it is in, but for its bulk */
	Bulk	   *bulk;			/* during compilation */
	int			nops;
	CompiledOp *ops;
	int			ngroups;		/* of layers */
	int			input;			/* position of OP_INPUT */
	int			nfloats;		/* of an encoded row */
	int			nids;
	int			ntemporary;		/* doubles that any of its operations works in */
	int			row_temporary;	/* doubles per row that any of them works in */
};

/* Consecutive strips of a linear map, or all but the narrow rest. */
typedef struct StripRun
{
	int			begin;
	int			end;
} StripRun;

/* What is computed at once: one operation, or the layers of one group. */
typedef struct Step
{
	int			position;		/* of the operation, or of a layer for all */
	int			nlayers;		/* 0 if it is another operation */
	int		   *layers;			/* positions */
	int			nruns;
	StripRun   *runs;			/* strips that hold a unit of these layers */
	bool		narrow;			/* so does the narrow rest, if there is one */
	Size		stride;			/* of their vectors */
	Size		share;			/* layers with sums: where theirs begin in a context's share */
} Step;

/*
 * Where an operation's vectors are: they begin offset * nrows + column numbers after
 * the temporary ones, stride numbers apart.  Vectors that are never needed at the same
 * time may share their place.
 */
typedef struct Place
{
	Size		offset;
	Size		column;
	Size		stride;
	bool		encoded;		/* they are the floats of the encoded rows instead */
} Place;

struct Selection
{
	int			nsteps;
	Step	   *steps;
	int			nresults;
	int		   *results;		/* positions, as asked for */
	int			ntemporary;		/* as in Program */
	int			row_temporary;
	Size		row_size;		/* numbers of scratch per row */
	Size		result_size;	/* numbers of all results of a row */
	int			block;			/* rows that are computed together */
	int			nfloats;		/* of an encoded row */
	int			nids;
	bool		reads_x;		/* as it is: other than as inputs of sums */
	bool		reads_inputs;	/* of sums */
	Size		share_size;		/* numbers of what a context adds to all sums */
	Place	   *places;			/* by position in the program; the last is that of inputs */
};

/* What the operations of one ProgramRun() share, for one block of rows. */
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

	/* the sums that are taken: from where shares have come, or the beginning, to where */
	SumsCut		from;
	SumsCut		to;
	const float *shares;		/* share_size numbers for each context; NULL: none */
	const int16 *contexts;		/* by row; NULL: all have the first */
	float	   *new_shares;		/* with which the run ends; NULL: it makes none */
} Run;

/*
 * program.c: memory of the program, zeroed (numbers are in the bulk); multiply-adds of float32
 * that take as long as those of a precision, on a CPU with instructions for it.
 */
extern void *ProgramAlloc(Program *program, Size size);
extern char *ProgramCopyName(Program *program, const char *name);
extern void ProgramNeedTemporary(Program *program, int n);
extern void ProgramNeedRowTemporary(Program *program, int n);
extern int64 PrecisionCost(int64 multiply_adds, Precision precision);

/* gather.c */
extern CompiledInput *CompileInput(Program *program, const InputLayout *layout, const GraphOp *op);
extern void CompileGathering(Program *program, const CompiledInput *input, int nplaces,
							 const FieldPlace *places, Gathering *gathering);
extern void RunGathering(const Run *run, const CompiledInput *input, const Gathering *gathering,
						 float *x, Size x_stride);

/* A row of the field's table; NULL for MTL_ZERO_ROW. */
static inline const float *
FieldRow(const CompiledField *field, const float *table, Size stride, int32 id)
{
	if (id == MTL_ZERO_ROW)
		return NULL;
	if (id < 0 || id >= field->rows)
		elog(ERROR, "feature \"%s\" is encoded as row %d of a table of %d rows",
			 field->name, id, field->rows);
	return table + (Size) id * stride;
}

/*
 * sums.c.  CompileSums decides what is folded, for layers with so many units, each layer's
 * in full strips, and so many weights; precision is that of some of them, float32 where
 * all are.  SumsAfter says where the sums are after so many features, SumsCost what the
 * first nparts parts cost a layer of so many units, in the unit of CompiledOp.  FoldTables
 * fills the tables of a map when all its layers are there.  RunInput makes x and the inputs
 * of sums, as far as they are read; RunSums is RunLinear for a map with sums.
 */
extern void CompileSums(Program *program, int64 units, int64 weights, Precision precision);
extern SumsCut SumsAfter(const CompiledSums *sums, int nfields);
extern int64 SumsCost(const CompiledSums *sums, int nparts, int64 units, Precision precision);
extern void CreateFolded(Program *program, CompiledLinear *linear);
extern void FoldTables(CompiledLinear *linear);
extern void RunInput(const Run *run, const CompiledOp *op);
extern bool RunSums(const Run *run, const CompiledLinear *linear, const Step *step, bool relu,
					float *y, Size y_stride);

/*
 * linear.c.  LinearHasRest says whether the units that do not fill a strip are narrow.  A
 * map is made with its sizes and then filled with layers, each of them
 * (units, ninputs) times the scales of its units if there are some; biases may be
 * NULL, and name is for errors.  RunLinear computes some strips, and the narrow rest
 * if asked to, for all rows of the run: the first into y, the others beside it.  It
 * takes the inputs from begin to end; sums start with the bias, or with the numbers of
 * start, which lie as those of y.  It says whether all sums are finite, which relu can
 * hide.
 */
extern CompiledLinear *CreateLinear(Program *program, int ninputs, int units, bool relu,
									CompiledSums *sums, Precision precision);
extern void FillLinear(CompiledLinear *linear, int column, const Tensor *weight,
					   const double *scales, const double *biases, const char *name);
extern float RoundFolded(double value, const char *layer);
extern int	LinearStrips(const CompiledLinear *linear);
extern bool LinearHasRest(const CompiledLinear *linear);
extern bool RunLinear(const Run *run, const CompiledLinear *linear, int nruns, const StripRun *runs,
					  bool narrow, bool relu, Vectors x, int begin, int end, const Vectors *start,
					  float *y, Size y_stride);

/*
 * Where the sums of a strip begin, the first at a column of y: with the numbers of start,
 * which lie as those of y, or if that is NULL with the bias.
 */
static inline Vectors
StartOfStrip(const CompiledLinear *linear, int strip, const Vectors *start, Size column)
{
	if (start)
		return (Vectors) {start->numbers + column, start->stride};
	return (Vectors) {linear->bias + strip * MTL_STRIP, 0};
}

/*
 * linear_compact.c.  The same for maps of bf16 and int8, whose units have scales of their
 * own, or weight_scale is NULL.  The inputs from begin to end are those of whole parts.
 */
extern void CreateCompactWeights(Program *program, CompiledLinear *linear);
extern void FillCompactWeights(CompiledLinear *linear, int column, const Tensor *weight,
							   const Tensor *weight_scale, const double *scales,
							   const double *biases, const char *name);
extern bool RunCompactLinear(const Run *run, const CompiledLinear *linear, int nruns,
							 const StripRun *runs, bool relu, Vectors x, int begin, int end,
							 const Vectors *start, float *y, Size y_stride);

/* fusion.c */
extern void CompileLayers(Program *program, const Graph *graph);

/*
 * layer.c.  A layer's units begin at column of linear, whose relu is that of
 * LayerEndsInRelu.
 */
extern bool LayerEndsInRelu(const GraphOp *op);
extern CompiledLayer *CompileLayer(Program *program, const GraphOp *op,
								   CompiledLinear *linear, int column);
extern void RunLayers(const Run *run, const Step *step);

/* activation.c: the run's rows of units numbers, y_stride apart, changed in place */
extern void Normalize(const Run *run, const CompiledNorm *norm, int units, float *y, Size y_stride);
extern void Activate(const Run *run, const CompiledActivation *activation, int units,
					 float *y, Size y_stride);

/* mix.c.  A mix of so many inputs works in MixTemporary doubles. */
extern int	MixTemporary(int ninputs);
extern void RunSoftmax(const Run *run, const CompiledOp *op, float *y);
extern void RunMix(const Run *run, const CompiledOp *op, float *y);
extern void RunCombine(const Run *run, const CompiledOp *op, float *y);
extern void RunConcat(const Run *run, const CompiledOp *op, float *y);
extern void RunPick(const Run *run, const CompiledOp *op, float *y);
extern void RunProduct(const Run *run, const CompiledOp *op, float *y);
extern void RunDot(const Run *run, const CompiledOp *op, float *y);
extern void RunSlices(const Run *run, const CompiledOp *op, float *y);

/* run.c: errors that name the operation, or feature, of a number that is not finite */
extern void CheckVectors(const Run *run, int position);
extern MTL_NORETURN void ReportOutOfRange(const CompiledOp *op, int u);

/* Where the vectors of an operation are. */
static inline Vectors
VectorsOf(const Run *run, int position)
{
	const Place *place = &run->selection->places[position];
	Vectors		vectors = {run->floats, place->stride};

	if (!place->encoded)
		vectors.numbers = run->vectors + place->offset * run->nrows + place->column;
	return vectors;
}

/* Where the inputs of sums are, if they are not x. */
static inline Vectors
InputsOfSums(const Run *run)
{
	const Place *place = &run->selection->places[run->program->nops];

	return (Vectors) {run->vectors + place->offset * run->nrows, place->stride};
}

/* Doubles at the beginning of scratch for a block of nrows rows. */
static inline Size
SelectionTemporary(const Selection *selection, int nrows)
{
	return Max((Size) selection->ntemporary, (Size) selection->row_temporary * nrows);
}

#endif							/* MTL_RANK_PROGRAM_H */
