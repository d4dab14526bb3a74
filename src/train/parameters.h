/*
 * parameters.h
 *	  The tensors of a model in training.
 *
 * The graph is built over a file without weights; each tensor that it needs is made
 * here, and is a Parameter: a weight of layers, an embedding table, or a statistic
 * that is not trained but observed.
 */
#ifndef MTL_RANK_PARAMETERS_H
#define MTL_RANK_PARAMETERS_H

#include "postgres.h"

#include "graph/graph.h"
#include "model/container.h"
#include "train/options.h"
#include "train/real.h"

typedef enum ParameterRole
{
	PARAMETER_LAYER,			/* trained; its gradient is dense */
	PARAMETER_TABLE,			/* trained; only the rows of a batch have a gradient */
	PARAMETER_STATISTIC			/* running mean or variance */
} ParameterRole;

typedef struct Parameter
{
	Tensor		tensor;			/* what the graph refers to; without data in the end */
	ParameterRole role;
	int			position;		/* among all, in the order in which they were made */
	int			table;			/* among the tables, or -1 */
	int64		offset;			/* of PARAMETER_LAYER in the flat arrays, -1: no place yet */
	real	   *value;
	int			nlosses;		/* tasks whose loss it has a gradient of */
} Parameter;

typedef struct Parameters
{
	int			nparameters;
	Parameter **list;
	int			ntables;
	Parameter **tables;
	int64		nflat;			/* numbers of all PARAMETER_LAYER together */
	real	   *flat;			/* their values, each at its offset */
	Size		size;			/* bytes of all in a model file */
	struct HTAB *by_name;
	int			capacity;
} Parameters;

/*
 * An empty set, which makes the tensors that file lacks from now on; an error when
 * they become too large for a model.
 */
extern Parameters *ParametersCreate(ModelFile *file);

/* The Parameter behind a tensor that the graph refers to; NULL for NULL. */
extern Parameter *ParameterOf(const Tensor *tensor);

/*
 * Gives each parameter its place once the graph is built: layers that read the same
 * vector lie together, so that one matrix product computes them all.
 */
extern void ParametersPlace(Parameters *parameters, const Graph *graph);

/* Allocates the values in the current context, and sets those that training starts from. */
extern void ParametersInitialize(Parameters *parameters, const Graph *graph, const TrainOptions *options);

/*
 * Takes over the values of a trained model wherever it has a tensor of the same
 * name and shape, and the first rows of tables that have grown.  Returns how many
 * tensors were taken over.
 */
extern int	ParametersStartFrom(Parameters *parameters, const ModelFile *file);

/* The tensors as float32 in the model file's form; *tensors is an array of the result's length. */
extern int	ParametersTensors(const Parameters *parameters, Tensor **tensors);

#endif							/* MTL_RANK_PARAMETERS_H */
