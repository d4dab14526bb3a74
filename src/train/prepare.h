/*
 * prepare.h
 *	  From the arguments of mtl_train to a network and its rows.
 */
#ifndef MTL_RANK_PREPARE_H
#define MTL_RANK_PREPARE_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "model/model_value.h"
#include "train/learner.h"
#include "train/loop.h"
#include "train/spec.h"

typedef struct TrainCall
{
	/* given */
	const Jsonb *spec_json;
	const Jsonb *options_json;
	const char *query;
	const MtlModel *start;		/* NULL: none */

	/* made */
	TrainSpec  *spec;
	TrainOptions *options;
	ModelFile  *start_file;
	Contract   *start_contract;

	Contract   *contract;
	Graph	   *graph;
	Parameters *parameters;
	ModelFile  *file;			/* of vocabularies alone */
	const Learnt *learnt;
	int			nvocabulary_tensors;
	Tensor	   *vocabulary_tensors;
	int			nexamples;
	StringInfoData examples;	/* JSON, an array of rows */
	int			nstart;			/* tensors that were taken over, -1: no warm start */
	Training	training;
	RowMemory	memory;
} TrainCall;

/*
 * Reads spec and options, runs the queries, learns what the spec leaves out, encodes
 * the rows, and makes the network with its first parameters.  SPI must be connected.
 * All is allocated in the current context, within the bounds of maintenance_work_mem.
 */
extern void TrainPrepare(TrainCall *call);

#endif							/* MTL_RANK_PREPARE_H */
