/*
 * contract_copy.c
 *	  Copies a contract into one piece of memory, which can be moved.
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "utils/memutils.h"

#include "model/contract.h"

/* Where a copy is made; without a base its parts are palloc'ed, to count their bytes. */
typedef struct Copier
{
	char	   *base;
	Size		used;
} Copier;

static void *
CopyBytes(Copier *copier, const void *bytes, Size size)
{
	char	   *copy;

	if (bytes == NULL)
		return NULL;
	copy = copier->base ? copier->base + copier->used : palloc(Max(size, 1));
	copier->used = add_size(copier->used, MAXALIGN(size));
	return memcpy(copy, bytes, size);
}

static char *
CopyName(Copier *copier, const char *name)
{
	return CopyBytes(copier, name, name ? strlen(name) + 1 : 0);
}

static char **
CopyNames(Copier *copier, char *const *names, int n)
{
	char	  **copy = CopyBytes(copier, names, sizeof(char *) * n);

	for (int i = 0; copy && i < n; i++)
		copy[i] = CopyName(copier, names[i]);
	return copy;
}

static bool
HasText(const FeatureValue *value, bool is_set)
{
	return is_set && value->kind == VALUE_TEXT;
}

/* In place: the value was copied with what has it. */
static void
CopyText(Copier *copier, FeatureValue *value, bool is_set)
{
	if (HasText(value, is_set))
		value->u.text.data = CopyBytes(copier, value->u.text.data, value->u.text.length);
}

static void
CopyFeature(Copier *copier, Feature *copy)
{
	copy->name = CopyName(copier, copy->name);
	CopyText(copier, &copy->missing_value, copy->missing == MISSING_VALUE);
	copy->columns = CopyNames(copier, copy->columns, copy->width);
	copy->transforms = CopyBytes(copier, copy->transforms, sizeof(Transform) * copy->ntransforms);
	for (int i = 0; i < copy->ntransforms; i++)
	{
		copy->transforms[i].a = CopyBytes(copier, copy->transforms[i].a, sizeof(double) * copy->width);
		copy->transforms[i].b = CopyBytes(copier, copy->transforms[i].b, sizeof(double) * copy->width);
	}
	copy->embedding = CopyName(copier, copy->embedding);
	copy->lookup.vocabulary = CopyName(copier, copy->lookup.vocabulary);
	CopyText(copier, &copy->padding, copy->has_padding);
	copy->weights_column = CopyName(copier, copy->weights_column);
}

static void
CopyTask(Copier *copier, Task *copy)
{
	copy->name = CopyName(copier, copy->name);
	copy->classes = CopyNames(copier, copy->classes, copy->nclasses);
	copy->factors = CopyBytes(copier, copy->factors, sizeof(int) * copy->nfactors);
	copy->tower = NULL;
}

static Contract *
CopyContract(Copier *copier, const Contract *contract)
{
	Contract   *copy = CopyBytes(copier, contract, sizeof(Contract));

	copy->features = CopyBytes(copier, contract->features, sizeof(Feature) * contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
		CopyFeature(copier, &copy->features[i]);
	copy->input = CopyBytes(copier, contract->input, sizeof(int) * contract->nfeatures);
	copy->tasks = CopyBytes(copier, contract->tasks, sizeof(Task) * contract->ntasks);
	for (int i = 0; i < contract->ntasks; i++)
		CopyTask(copier, &copy->tasks[i]);
	copy->outputs = CopyBytes(copier, contract->outputs, sizeof(Output) * contract->noutputs);
	for (int i = 0; i < contract->noutputs; i++)
		copy->outputs[i].name = CopyName(copier, copy->outputs[i].name);
	copy->rank = CopyBytes(copier, contract->rank, sizeof(RankFormula));
	if (copy->rank)
	{
		copy->rank->outputs = CopyBytes(copier, copy->rank->outputs, sizeof(int) * copy->rank->nterms);
		copy->rank->weights = CopyBytes(copier, copy->rank->weights, sizeof(double) * copy->rank->nterms);
	}
	copy->architecture = NULL;
	return copy;
}

Size
ContractCopySize(const Contract *contract)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank contract",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Copier		copier = {NULL, 0};

	(void) CopyContract(&copier, contract);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return copier.used;
}

Contract *
ContractCopy(const Contract *contract, char *piece)
{
	Copier		copier = {piece, 0};

	return CopyContract(&copier, contract);
}

/* ------------------------------------------------------------------ moves */

/* A pointer into a piece that was moved. */
#define MOVE(pointer, distance) \
	((pointer) = (pointer) ? (void *) ((char *) (pointer) + (distance)) : NULL)

static void
MoveNames(char ***names, int n, ptrdiff_t distance)
{
	MOVE(*names, distance);
	for (int i = 0; *names && i < n; i++)
		MOVE((*names)[i], distance);
}

static void
MoveText(FeatureValue *value, bool is_set, ptrdiff_t distance)
{
	if (HasText(value, is_set))
		MOVE(value->u.text.data, distance);
}

static void
MoveFeature(Feature *feature, ptrdiff_t distance)
{
	MOVE(feature->name, distance);
	MoveText(&feature->missing_value, feature->missing == MISSING_VALUE, distance);
	MoveNames(&feature->columns, feature->width, distance);
	MOVE(feature->transforms, distance);
	for (int i = 0; i < feature->ntransforms; i++)
	{
		MOVE(feature->transforms[i].a, distance);
		MOVE(feature->transforms[i].b, distance);
	}
	MOVE(feature->embedding, distance);
	MOVE(feature->lookup.vocabulary, distance);
	MoveText(&feature->padding, feature->has_padding, distance);
	MOVE(feature->weights_column, distance);
}

static void
MoveTask(Task *task, ptrdiff_t distance)
{
	MOVE(task->name, distance);
	MoveNames(&task->classes, task->nclasses, distance);
	MOVE(task->factors, distance);
}

void
ContractMove(Contract *contract, ptrdiff_t distance)
{
	MOVE(contract->features, distance);
	for (int i = 0; i < contract->nfeatures; i++)
		MoveFeature(&contract->features[i], distance);
	MOVE(contract->input, distance);
	MOVE(contract->tasks, distance);
	for (int i = 0; i < contract->ntasks; i++)
		MoveTask(&contract->tasks[i], distance);
	MOVE(contract->outputs, distance);
	for (int i = 0; i < contract->noutputs; i++)
		MOVE(contract->outputs[i].name, distance);
	MOVE(contract->rank, distance);
	if (contract->rank)
	{
		MOVE(contract->rank->outputs, distance);
		MOVE(contract->rank->weights, distance);
	}
}
