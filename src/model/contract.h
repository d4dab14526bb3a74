/*
 * contract.h
 *	  The contract of a model, parsed: features, tasks, rank, examples.
 *
 * The architecture stays JSON here; graph/ reads it, so that this layer knows
 * no architecture.  docs/model-format.md says what every field means.  What is pointed
 * to from here, contract_copy.c must copy and move.
 */
#ifndef MTL_RANK_CONTRACT_H
#define MTL_RANK_CONTRACT_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "model/container.h"

/* A value of a feature: what a row brings, or a default in the contract. */
typedef enum ValueKind
{
	VALUE_INTEGER,				/* a number without a fraction that fits int64 */
	VALUE_REAL,					/* any other finite number */
	VALUE_BOOL,
	VALUE_TEXT
} ValueKind;

typedef struct FeatureValue
{
	ValueKind	kind;
	union
	{
		int64		integer;
		double		real;
		bool		boolean;
		struct
		{
			const char *data;	/* UTF-8, not terminated */
			int			length;
		}			text;
	}			u;
} FeatureValue;

typedef enum FeatureKind
{
	FEATURE_DENSE,
	FEATURE_SPARSE,
	FEATURE_SEQUENCE
} FeatureKind;

typedef enum TransformKind
{
	TRANSFORM_STANDARDIZE,		/* (v - a) / b */
	TRANSFORM_MIN_MAX,			/* (v - a) / (b - a) */
	TRANSFORM_LOG1P,
	TRANSFORM_CLIP				/* into [a, b], which may be infinite */
} TransformKind;

typedef struct Transform
{
	TransformKind kind;
	double	   *a;				/* width numbers each, NULL for log1p */
	double	   *b;
} Transform;

typedef enum LookupKind
{
	LOOKUP_INDEX,
	LOOKUP_VOCABULARY,
	LOOKUP_HASH
} LookupKind;

typedef struct Lookup
{
	LookupKind	kind;
	int64		offset;
	bool		single_precision;	/* LOOKUP_INDEX: numbers are rounded to float32 first */
	char	   *vocabulary;		/* name, LOOKUP_VOCABULARY */
	int64		num_buckets;	/* LOOKUP_HASH; 0: all rows from offset on */
	bool		mask_zero;
	bool		float_format;	/* numbers are hashed as %f prints them */
} Lookup;

typedef enum OovRule
{
	OOV_ERROR,
	OOV_ROW,
	OOV_ZERO,
	OOV_SKIP
} OovRule;

typedef enum MissingRule
{
	MISSING_ERROR,
	MISSING_VALUE,
	MISSING_OOV,
	MISSING_ZERO,
	MISSING_EMPTY
} MissingRule;

typedef enum Combiner
{
	COMBINER_SUM,
	COMBINER_MEAN,
	COMBINER_MAX,
	COMBINER_CONCAT				/* places matter: padding stays in its own */
} Combiner;

typedef enum WeightNormalization
{
	WEIGHTS_AS_THEY_ARE,
	WEIGHTS_SUM,
	WEIGHTS_SOFTMAX
} WeightNormalization;

typedef struct Feature
{
	char	   *name;
	FeatureKind kind;
	MissingRule missing;
	FeatureValue missing_value; /* MISSING_VALUE */
	bool		context;		/* describes what candidates are ranked for, not them */

	/* dense */
	int			width;
	char	  **columns;		/* NULL: one column of the feature's name */
	int			ntransforms;
	Transform  *transforms;
	bool		embedding_bias;

	/* dense: 0 for none; sparse, sequence: 0 when the contract leaves it out */
	int			embedding_dim;

	/* sparse and sequence */
	char	   *embedding;		/* name of the table */
	int64		vocabulary_size;	/* 0 when the contract leaves it out */
	Lookup		lookup;
	OovRule		oov;
	int64		oov_row;

	/* sequence */
	int			max_length;
	bool		truncate_head;	/* keep the last values, not the first */
	bool		has_padding;
	FeatureValue padding;
	Combiner	combiner;
	bool		unused_first;	/* COMBINER_CONCAT: unused places come before the values */
	double		epsilon;
	double		empty_value;
	char	   *weights_column; /* NULL: no weights */
	WeightNormalization normalize;
} Feature;

typedef enum TaskType
{
	TASK_BINARY,
	TASK_REGRESSION,
	TASK_MULTICLASS,
	TASK_PRODUCT
} TaskType;

typedef struct Task
{
	char	   *name;
	TaskType	type;
	bool		softmax_head;	/* binary with two units */
	bool		hidden;
	int			nclasses;		/* multiclass */
	char	  **classes;
	int			nfactors;		/* product */
	int		   *factors;		/* positions of earlier tasks */
	JsonbValue *tower;			/* the task's own tower, or NULL */
} Task;

/* One number of mtl_score's array. */
typedef struct Output
{
	char	   *name;
	int			task;			/* position among the tasks */
	int			class;			/* multiclass, else 0 */
} Output;

/* The value formula of mtl_rank. */
typedef struct RankFormula
{
	bool		product;		/* product of powers, else weighted sum */
	int			nterms;
	int		   *outputs;		/* positions among the outputs, ascending */
	double	   *weights;
} RankFormula;

/*
 * What the weights of hidden layers are stored as and multiplied in; see
 * docs/model-format.md, "Precision".
 */
typedef enum Precision
{
	PRECISION_FLOAT32,
	PRECISION_BF16,
	PRECISION_INT8
} Precision;

typedef struct Contract
{
	Precision	precision;
	int			nfeatures;
	Feature    *features;		/* in declared order */
	int		   *input;			/* feature positions in the order of x */
	int			ntasks;
	Task	   *tasks;
	int			noutputs;
	Output	   *outputs;
	RankFormula *rank;			/* NULL: none */
	int			nexamples;		/* 0: none */
	double		tolerance;
	JsonbValue *architecture;
} Contract;

/* Parses the contract of a file; allocated in the current context. */
extern Contract *ContractParse(const Jsonb *contract);

/*
 * Copies a contract, without its JSON parts, into one piece of memory, MAXALIGNed, and of
 * ContractCopySize() bytes; the copy is at its beginning.
 */
extern Size ContractCopySize(const Contract *contract);
extern Contract *ContractCopy(const Contract *contract, char *piece);

/*
 * To be called for a copy whose piece was copied as it was to a place that is distance
 * bytes from where it was made: changes all pointers.
 */
extern void ContractMove(Contract *contract, ptrdiff_t distance);

/*
 * Finds the JSON parts (architecture, and tower of the tasks) of a copy in the JSON it was
 * parsed from; takes them away, as they refer to that.
 */
extern void ContractFindJson(Contract *contract, const Jsonb *jsonb);
extern void ContractForgetJson(Contract *contract);

/*
 * Reads a value formula's weights, a JSON object of output names; form as in
 * the contract.  path is what errors call it.
 */
extern RankFormula *RankFormulaParse(const Contract *contract, const JsonbValue *weights,
									 const char *path, bool product);

/* "float32", "bf16", "int8", and NULL. */
extern const char *const precision_names[];

/* The position of an output; error with the names that exist. */
extern int	ContractOutput(const Contract *contract, const char *name);

/* By task: whether its score is a probability; palloc'ed. */
extern bool *ContractProbabilities(const Contract *contract);

#endif							/* MTL_RANK_CONTRACT_H */
