/*
 * contract_copy.c
 *	  Copies a contract without what reading it has left behind.
 */
#include "postgres.h"

#include "model/contract.h"

static void *
CopyArray(const void *array, Size element, int n)
{
	return array ? memcpy(palloc(element * Max(n, 1)), array, element * n) : NULL;
}

static char *
CopyName(const char *name)
{
	return name ? pstrdup(name) : NULL;
}

static char **
CopyNames(char *const *names, int n)
{
	char	  **copy = CopyArray(names, sizeof(char *), n);

	for (int i = 0; copy && i < n; i++)
		copy[i] = pstrdup(names[i]);
	return copy;
}

/* In place: the value is one that was copied with what has it. */
static void
CopyText(FeatureValue *value, bool is_set)
{
	if (is_set && value->kind == VALUE_TEXT)
		value->u.text.data = CopyArray(value->u.text.data, 1, value->u.text.length);
}

static void
CopyFeature(Feature *copy, const Feature *feature)
{
	*copy = *feature;
	copy->name = CopyName(feature->name);
	CopyText(&copy->missing_value, feature->missing == MISSING_VALUE);
	copy->columns = CopyNames(feature->columns, feature->width);
	copy->transforms = CopyArray(feature->transforms, sizeof(Transform), feature->ntransforms);
	for (int i = 0; i < feature->ntransforms; i++)
	{
		copy->transforms[i].a = CopyArray(feature->transforms[i].a, sizeof(double), feature->width);
		copy->transforms[i].b = CopyArray(feature->transforms[i].b, sizeof(double), feature->width);
	}
	copy->embedding = CopyName(feature->embedding);
	copy->lookup.vocabulary = CopyName(feature->lookup.vocabulary);
	CopyText(&copy->padding, feature->has_padding);
	copy->weights_column = CopyName(feature->weights_column);
}

static void
CopyTask(Task *copy, const Task *task)
{
	*copy = *task;
	copy->name = CopyName(task->name);
	copy->classes = CopyNames(task->classes, task->nclasses);
	copy->factors = CopyArray(task->factors, sizeof(int), task->nfactors);
	copy->tower = NULL;
}

static RankFormula *
CopyRank(const RankFormula *rank)
{
	RankFormula *copy = CopyArray(rank, sizeof(RankFormula), 1);

	if (copy == NULL)
		return NULL;
	copy->outputs = CopyArray(rank->outputs, sizeof(int), rank->nterms);
	copy->weights = CopyArray(rank->weights, sizeof(double), rank->nterms);
	return copy;
}

Contract *
ContractCopy(const Contract *contract)
{
	Contract   *copy = CopyArray(contract, sizeof(Contract), 1);

	copy->features = palloc(sizeof(Feature) * Max(contract->nfeatures, 1));
	for (int i = 0; i < contract->nfeatures; i++)
		CopyFeature(&copy->features[i], &contract->features[i]);
	copy->input = CopyArray(contract->input, sizeof(int), contract->nfeatures);
	copy->tasks = palloc(sizeof(Task) * contract->ntasks);
	for (int i = 0; i < contract->ntasks; i++)
		CopyTask(&copy->tasks[i], &contract->tasks[i]);
	copy->outputs = CopyArray(contract->outputs, sizeof(Output), contract->noutputs);
	for (int i = 0; i < contract->noutputs; i++)
		copy->outputs[i].name = CopyName(contract->outputs[i].name);
	copy->rank = CopyRank(contract->rank);
	copy->architecture = NULL;
	return copy;
}
