/*
 * options.h
 *	  The options of a training.  docs/training.md describes each.
 */
#ifndef MTL_RANK_OPTIONS_H
#define MTL_RANK_OPTIONS_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "model/contract.h"

typedef enum OptimizerKind
{
	OPTIMIZER_ADAM,
	OPTIMIZER_ADAGRAD,
	OPTIMIZER_SGD,
	OPTIMIZER_FTRL
} OptimizerKind;

typedef struct OptimizerOptions
{
	OptimizerKind kind;
	double		learning_rate;
	double		beta1;			/* adam */
	double		beta2;
	double		epsilon;		/* adam, adagrad */
	double		initial_accumulator;	/* adagrad, ftrl */
	double		momentum;		/* sgd */
	double		beta;			/* ftrl */
	double		l1;
	double		l2;
} OptimizerOptions;

typedef enum ScheduleKind
{
	SCHEDULE_CONSTANT,
	SCHEDULE_STEP,				/* times decay after every so many epochs */
	SCHEDULE_EXPONENTIAL,		/* the same, smoothly */
	SCHEDULE_LINEAR,			/* down to floor at the last step */
	SCHEDULE_COSINE
} ScheduleKind;

typedef struct ScheduleOptions
{
	ScheduleKind kind;
	int64		warmup_steps;
	double		decay;
	double		every;			/* epochs */
	double		floor;			/* a share of the learning rate */
} ScheduleOptions;

typedef enum WeightingKind
{
	WEIGHTING_FIXED,
	WEIGHTING_UNCERTAINTY,
	WEIGHTING_GRADNORM,
	WEIGHTING_DWA,
	WEIGHTING_PCGRAD
} WeightingKind;

/* How the losses of the tasks become one; arrays are by the contract's tasks. */
typedef struct WeightingOptions
{
	WeightingKind kind;
	double	   *weights;
	double	   *gamma;			/* factor of the weight after each epoch */
	double		alpha;			/* gradnorm */
	double		learning_rate;	/* gradnorm, uncertainty */
	double		temperature;	/* dwa */
} WeightingOptions;

/* Of AITM's calibrator; see calibrator.h. */
typedef struct CalibratorOptions
{
	double		weight;			/* 0: none */
	int			ntasks;
	int		   *tasks;			/* positions in the contract, along the chain */
} CalibratorOptions;

typedef enum WatchKind
{
	WATCH_NOTHING,
	WATCH_MEAN,					/* of the tasks' figures */
	WATCH_ANY,					/* stop when any task stops improving */
	WATCH_TASK
} WatchKind;

typedef struct StoppingOptions
{
	WatchKind	watch;
	int			task;			/* WATCH_TASK */
	int			patience;		/* epochs without improvement */
	double		min_delta;
} StoppingOptions;

typedef struct TrainOptions
{
	int			epochs;
	int			batch_size;
	int64		seed;
	OptimizerOptions layers;
	OptimizerOptions embeddings;
	ScheduleOptions schedule;
	WeightingOptions weighting;
	CalibratorOptions calibrator;
	StoppingOptions stopping;
	double		l2_layers;
	double		l2_embeddings;
	double		soft_sharing;
	double		dropout;
	double		batch_norm_momentum;
	double		clip_norm;		/* 0: none */
	double		embedding_init; /* bound of new rows of embedding tables */
	char	   *weight_column;	/* NULL: none */
	char	   *validation_query;	/* NULL: none */
	double		validation_fraction;
	int			examples;
} TrainOptions;

/*
 * Reads the options; tasks are named as in the contract, and labelled says which
 * of them have a loss.  Errors as those of json_reader.h.
 */
extern TrainOptions *TrainOptionsRead(const Jsonb *json, const Contract *contract, const bool *labelled);

/* "adam", "gradnorm": as the options name them. */
extern const char *OptimizerName(OptimizerKind kind);
extern const char *WeightingName(WeightingKind kind);

#endif							/* MTL_RANK_OPTIONS_H */
