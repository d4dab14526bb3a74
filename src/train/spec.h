/*
 * spec.h
 *	  What a training is asked for: a contract in which all that can be learnt from
 *	  the rows may be left out, and a label column for each task.
 *
 * A TrainSpec holds the contract with stand-ins for what is not known yet, parsed,
 * so that a mistake is found before the query runs.  TrainSpecContract() writes
 * the contract with what was learnt.
 */
#ifndef MTL_RANK_SPEC_H
#define MTL_RANK_SPEC_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "model/contract.h"

/* A vocabulary that is learnt; features may share it. */
typedef struct VocabularyPlan
{
	char	   *name;
	int64		min_count;		/* rarer values are unknown */
	int64		max_size;		/* entries */
	int64		offset;			/* of the first entry in the table */
} VocabularyPlan;

typedef struct FeaturePlan
{
	int			vocabulary;		/* position among the plans, -1: none */
	int			table;			/* position among the tables, -1: dense */
	bool		learn_rows;		/* of an index: up to the largest that is seen */
	int			learn_transform;	/* position among its transforms, -1: none */
	bool		learn_missing;	/* the default of a dense feature: its mean */
} FeaturePlan;

typedef struct TablePlan
{
	char	   *name;
	int64		dim;
	int64		given_rows;		/* "vocabulary_size" of its features, 0: none */
	int64		rows;			/* that the spec asks for, 0: as many as needed */
} TablePlan;

typedef struct TrainSpec
{
	Contract   *contract;		/* with stand-ins */
	FeaturePlan *features;
	int			nvocabularies;
	VocabularyPlan *vocabularies;
	int			ntables;
	TablePlan  *tables;
	char	  **labels;			/* by task: a column, NULL: none */
	bool	   *labelled;		/* by task */
	JsonbValue *json;
} TrainSpec;

/* What was learnt; arrays by feature, by vocabulary, by table. */
typedef struct Learnt
{
	double	  **a;				/* learnt transforms: width numbers each */
	double	  **b;
	double	   *missing;
	int64	   *largest;		/* of an index */
	int64	   *entries;		/* of a vocabulary */
} Learnt;

/* Reads a spec.  Errors as those of json_reader.h. */
extern TrainSpec *TrainSpecRead(const Jsonb *json);

/*
 * The contract as JSON text.  learnt NULL: with stand-ins.  examples: how many the
 * model has.  provenance: JSON text, or NULL.
 */
extern char *TrainSpecContract(const TrainSpec *spec, const Learnt *learnt,
							   int examples, const char *provenance);

/* The text in the database's encoding as jsonb. */
extern Jsonb *JsonbFromText(const char *text);

#endif							/* MTL_RANK_SPEC_H */
