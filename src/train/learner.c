/*
 * learner.c
 *	  Learns from rows what a spec leaves out.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "features/encoder.h"
#include "features/feature_value.h"
#include "math/functions.h"
#include "train/learner.h"

#define ROWS_PER_CHECK 256

/* A value of a vocabulary: the bytes of a text in UTF-8, or of an int64. */
typedef struct ValueKey
{
	const char *data;
	int32		length;
} ValueKey;

typedef struct ValueCount
{
	ValueKey	key;
	int64		count;
	int32		position;		/* in the model that is taken over, or -1 */
	uint32		hash;
	char		status;
} ValueCount;

#define SH_PREFIX counts
#define SH_ELEMENT_TYPE ValueCount
#define SH_KEY_TYPE ValueKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key).data, (key).length)
#define SH_EQUAL(tb, a, b) ((a).length == (b).length && memcmp((a).data, (b).data, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) ((entry)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef enum ValueSort
{
	VALUES_UNKNOWN,
	VALUES_INTEGERS,
	VALUES_TEXTS
} ValueSort;

typedef struct LearntVocabulary
{
	const VocabularyPlan *plan;
	ValueSort	sort;
	counts_hash *counts;
	int			ntaken;			/* entries that were taken over */
	int			nentries;		/* once finished */
	ValueCount **entries;
} LearntVocabulary;

/* Sums over the numbers of one place, as Welford adds them. */
typedef struct Moments
{
	int64		n;
	double		mean;
	double		squares;
	double		min;
	double		max;
} Moments;

typedef struct LearnerFeature
{
	const Feature *feature;
	const FeaturePlan *plan;
	const char *label;
	const FeatureColumns *columns;
	Moments    *scaled;			/* by place, for a learnt transform */
	Moments    *plain;			/* of all places, for a learnt default */
} LearnerFeature;

struct Learner
{
	const TrainSpec *spec;
	Size		limit;
	MemoryContext context;
	MemoryContext row;
	LearnerFeature *features;
	LearntVocabulary *vocabularies;
	Learnt	   *learnt;
	bool	   *taken;			/* by feature: scaling and default are known */
	int64		nrows;
};

static Moments *
MomentsCreate(int n)
{
	Moments    *moments = palloc0(sizeof(Moments) * n);

	for (int i = 0; i < n; i++)
	{
		moments[i].min = INFINITY;
		moments[i].max = -INFINITY;
	}
	return moments;
}

Learner *
LearnerCreate(const TrainSpec *spec, const FeatureColumns *columns, Size limit)
{
	Learner    *learner = palloc0(sizeof(Learner));
	int			nfeatures = spec->contract->nfeatures;

	learner->spec = spec;
	learner->limit = limit;
	learner->context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank vocabularies",
											 ALLOCSET_DEFAULT_SIZES);
	learner->row = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank row", ALLOCSET_SMALL_SIZES);
	learner->features = palloc0(sizeof(LearnerFeature) * nfeatures);
	learner->taken = palloc0(sizeof(bool) * nfeatures);
	learner->learnt = palloc0(sizeof(Learnt));
	learner->learnt->a = palloc0(sizeof(double *) * nfeatures);
	learner->learnt->b = palloc0(sizeof(double *) * nfeatures);
	learner->learnt->missing = palloc0(sizeof(double) * nfeatures);
	learner->learnt->largest = palloc0(sizeof(int64) * nfeatures);
	learner->learnt->entries = palloc0(sizeof(int64) * Max(spec->nvocabularies, 1));
	for (int i = 0; i < nfeatures; i++)
	{
		LearnerFeature *feature = &learner->features[i];

		feature->feature = &spec->contract->features[i];
		feature->plan = &spec->features[i];
		feature->label = columns[i].label;
		feature->columns = &columns[i];
		if (feature->plan->learn_transform >= 0)
			feature->scaled = MomentsCreate(feature->feature->width);
		if (feature->plan->learn_missing)
			feature->plain = MomentsCreate(1);
		learner->learnt->largest[i] = -1;
	}
	learner->vocabularies = palloc0(sizeof(LearntVocabulary) * Max(spec->nvocabularies, 1));
	for (int i = 0; i < spec->nvocabularies; i++)
	{
		learner->vocabularies[i].plan = &spec->vocabularies[i];
		learner->vocabularies[i].counts = counts_create(learner->context, 256, NULL);
	}
	return learner;
}

/* ---------------------------------------------------------- vocabularies */

static ValueCount *
CountValue(Learner *learner, LearntVocabulary *vocabulary, const char *data, int length)
{
	ValueKey	key = {data, length};
	bool		found;
	ValueCount *count = counts_insert(vocabulary->counts, key, &found);

	if (!found)
	{
		char	   *copy = MemoryContextAlloc(learner->context, Max(length, 1));

		memcpy(copy, data, length);
		count->key.data = copy;
		count->count = 0;
		count->position = -1;
	}
	return count;
}

static MTL_NORETURN void
ValueError(const char *label, const FeatureValue *value, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s is %s, expected %s", label, FeatureValueShow(value), expected),
			 errhint("Cast the column, so that all values of a vocabulary are texts or are integers.")));
}

/*
 * Counts a value of a feature with a vocabulary.  Integers and truth values make
 * a vocabulary of integers, texts one of texts, in which integers count as their
 * decimal text, as they do when they are looked up.
 */
static void
ObserveValue(Learner *learner, LearntVocabulary *vocabulary, const char *label, const FeatureValue *value)
{
	char		buffer[MAXINT8LEN + 1];
	int64		integer;

	if (value->kind == VALUE_REAL)
		ValueError(label, value, "a number without a fraction");
	if (vocabulary->sort == VALUES_UNKNOWN)
		vocabulary->sort = value->kind == VALUE_TEXT ? VALUES_TEXTS : VALUES_INTEGERS;

	if (vocabulary->sort == VALUES_INTEGERS)
	{
		if (value->kind == VALUE_TEXT)
			ValueError(label, value, "an integer");
		integer = value->kind == VALUE_BOOL ? (value->u.boolean ? 1 : 0) : value->u.integer;
		CountValue(learner, vocabulary, (char *) &integer, sizeof(integer))->count++;
	}
	else if (value->kind == VALUE_TEXT)
		CountValue(learner, vocabulary, value->u.text.data, value->u.text.length)->count++;
	else if (value->kind == VALUE_BOOL)
		CountValue(learner, vocabulary, value->u.boolean ? "true" : "false", value->u.boolean ? 4 : 5)->count++;
	else
		CountValue(learner, vocabulary, buffer, pg_lltoa(value->u.integer, buffer))->count++;
}

static void
ObserveCategory(Learner *learner, const LearnerFeature *feature, const FeatureValue *value)
{
	const Feature *description = feature->feature;

	if (description->has_padding && FeatureValueEqual(value, &description->padding))
		return;
	if (feature->plan->vocabulary >= 0)
		ObserveValue(learner, &learner->vocabularies[feature->plan->vocabulary], feature->label, value);
	else if (feature->plan->learn_rows && value->kind == VALUE_INTEGER)
	{
		int64	   *largest = &learner->learnt->largest[feature - learner->features];

		*largest = Max(*largest, value->u.integer);
		if (*largest > PG_INT32_MAX / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s is the index " INT64_FORMAT ", the limit is %d",
							feature->label, *largest, PG_INT32_MAX / 2),
					 errhint("Use a vocabulary or a hash for ids that are no positions.")));
	}
}

static void
ObserveCategories(Learner *learner, const LearnerFeature *feature, TupleTableSlot *row)
{
	const TypeReader *reader = &feature->columns->columns[0].reader;
	int			column = feature->columns->columns[0].column;
	ValueList	list;
	FeatureValue value;

	if (feature->plan->vocabulary < 0 && !feature->plan->learn_rows)
		return;
	if (row->tts_isnull[column])
	{
		if (feature->feature->missing == MISSING_VALUE)
			ObserveCategory(learner, feature, &feature->feature->missing_value);
		return;
	}
	if (!reader->is_list)
	{
		value = TypeReaderValue(reader, row->tts_values[column]);
		ObserveCategory(learner, feature, &value);
		return;
	}
	ValueListOpenArray(&list, reader, TypeReaderArray(reader, row->tts_values[column]), feature->label);
	for (int i = 0; i < list.length; i++)
	{
		value = ValueListNext(&list);
		ObserveCategory(learner, feature, &value);
	}
}

/* --------------------------------------------------------------- numbers */

static void
MomentsAdd(Moments *moments, double number)
{
	double		difference = number - moments->mean;

	moments->n++;
	moments->mean += difference / moments->n;
	moments->squares += difference * (number - moments->mean);
	moments->min = Min(moments->min, number);
	moments->max = Max(moments->max, number);
}

/*
 * A number that the transforms do not take is an error when the row is encoded,
 * which knows how to say why.
 */
static void
ObserveNumber(const LearnerFeature *feature, int place, double number)
{
	if (!isfinite(number))
		return;
	if (feature->plain)
		MomentsAdd(feature->plain, number);
	if (feature->scaled)
	{
		number = TransformNumber(feature->feature, feature->plan->learn_transform, place, number);
		if (isfinite(number))
			MomentsAdd(&feature->scaled[place], number);
	}
}

static void
ObserveNumbers(const LearnerFeature *feature, TupleTableSlot *row)
{
	if (feature->scaled == NULL && feature->plain == NULL)
		return;
	for (int i = 0; i < feature->columns->ncolumns; i++)
	{
		const TypeReader *reader = &feature->columns->columns[i].reader;
		int			column = feature->columns->columns[i].column;
		Datum		datum = row->tts_values[column];

		if (row->tts_isnull[column])
			continue;
		if (reader->is_list)
		{
			ValueList	list;
			double	   *numbers;
			int			n;

			ValueListOpenArray(&list, reader, TypeReaderArray(reader, datum), feature->label);
			n = Min(list.length, feature->feature->width);
			numbers = palloc(sizeof(double) * Max(n, 1));
			ValueListNumbers(&list, n, numbers);
			for (int k = 0; k < n; k++)
				ObserveNumber(feature, k, numbers[k]);
		}
		else
		{
			FeatureValue value = TypeReaderValue(reader, datum);

			ObserveNumber(feature, i, FeatureValueNumber(&value, feature->label));
		}
	}
}

/* ------------------------------------------------------------------ rows */

static void
CheckMemory(const Learner *learner)
{
	Size		used = MemoryContextMemAllocated(learner->context, true);

	if (used > learner->limit)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the values of vocabularies take %zu kB after " INT64_FORMAT " rows, and half of maintenance_work_mem is %zu kB",
						used / 1024, learner->nrows, learner->limit / 1024),
				 errhint("Increase \"maintenance_work_mem\", or give features of many values the lookup \"hash\".")));
}

void
LearnerObserve(Learner *learner, TupleTableSlot *row)
{
	MemoryContext caller = MemoryContextSwitchTo(learner->row);

	for (int i = 0; i < learner->spec->contract->nfeatures; i++)
	{
		const LearnerFeature *feature = &learner->features[i];

		if (feature->feature->kind == FEATURE_DENSE)
			ObserveNumbers(feature, row);
		else
			ObserveCategories(learner, feature, row);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(learner->row);
	if (learner->nrows++ % ROWS_PER_CHECK == 0)
		CheckMemory(learner);
}

/* ------------------------------------------------------------- warm start */

/* The feature of this name and kind, or NULL. */
static const Feature *
FindFeature(const Contract *contract, const Feature *like)
{
	for (int i = 0; i < contract->nfeatures; i++)
		if (strcmp(contract->features[i].name, like->name) == 0)
			return contract->features[i].kind == like->kind ? &contract->features[i] : NULL;
	return NULL;
}

/*
 * Whether a transform of two features is of the same kind, and what comes before it
 * the same: else it scales other numbers.
 */
static bool
SameTransforms(const Feature *feature, const Feature *old, int transform)
{
	Size		size = sizeof(double) * feature->width;

	for (int i = 0; i < transform; i++)
	{
		const Transform *a = &feature->transforms[i];
		const Transform *b = &old->transforms[i];

		/* both have numbers, or neither */
		if (a->kind != b->kind ||
			(a->a && memcmp(a->a, b->a, size) != 0) || (a->b && memcmp(a->b, b->b, size) != 0))
			return false;
	}
	return feature->transforms[transform].kind == old->transforms[transform].kind;
}

static void
TakeNumbers(Learner *learner, int i, const Feature *old)
{
	LearnerFeature *feature = &learner->features[i];
	int			transform = feature->plan->learn_transform;

	if (old->width != feature->feature->width)
		return;
	if (transform >= 0 && transform < old->ntransforms && SameTransforms(feature->feature, old, transform))
	{
		learner->learnt->a[i] = old->transforms[transform].a;
		learner->learnt->b[i] = old->transforms[transform].b;
		feature->scaled = NULL;
	}
	if (feature->plan->learn_missing && old->missing == MISSING_VALUE)
	{
		learner->learnt->missing[i] = FeatureValueNumber(&old->missing_value, feature->label);
		feature->plain = NULL;
	}
}

static void
TakeEntries(Learner *learner, LearntVocabulary *vocabulary, ModelFile *file)
{
	const char *name = vocabulary->plan->name;
	const Tensor *ids = ModelFileFind(file, psprintf("vocabulary.%s.ids", name));
	const Tensor *bytes = ModelFileFind(file, psprintf("vocabulary.%s.bytes", name));
	const Tensor *offsets = ModelFileFind(file, psprintf("vocabulary.%s.offsets", name));
	int64		n = ids ? ids->nelements : offsets ? offsets->nelements - 1 : 0;

	vocabulary->sort = ids ? VALUES_INTEGERS : bytes ? VALUES_TEXTS : VALUES_UNKNOWN;
	for (int64 i = 0; i < n; i++)
	{
		ValueCount *count;

		if (ids)
			count = CountValue(learner, vocabulary, ids->data + i * sizeof(int64), sizeof(int64));
		else
			count = CountValue(learner, vocabulary, bytes->data + TensorInt(offsets, i),
							   TensorInt(offsets, i + 1) - TensorInt(offsets, i));
		count->position = (int32) i;
	}
	vocabulary->ntaken = (int) n;
}

void
LearnerStartFrom(Learner *learner, const Contract *contract, ModelFile *file)
{
	for (int i = 0; i < learner->spec->contract->nfeatures; i++)
	{
		const Feature *old = FindFeature(contract, learner->features[i].feature);

		if (old && old->kind == FEATURE_DENSE)
			TakeNumbers(learner, i, old);
	}
	for (int i = 0; i < learner->spec->nvocabularies; i++)
		TakeEntries(learner, &learner->vocabularies[i], file);
	CheckMemory(learner);
}

/* ---------------------------------------------------------------- results */

/*
 * Entries that were taken over stay in their order; the others follow from the
 * most frequent to the rarest, equally frequent ones in the order of their values.
 */
static int
CompareCounts(const void *a, const void *b, void *sort)
{
	const ValueCount *first = *(ValueCount *const *) a;
	const ValueCount *second = *(ValueCount *const *) b;
	int			order;

	if (first->position >= 0 || second->position >= 0)
	{
		if (first->position >= 0 && second->position >= 0)
			return first->position < second->position ? -1 : 1;
		return first->position >= 0 ? -1 : 1;
	}
	if (first->count != second->count)
		return first->count > second->count ? -1 : 1;
	if (*(ValueSort *) sort == VALUES_INTEGERS)
	{
		int64		first_integer;
		int64		second_integer;

		memcpy(&first_integer, first->key.data, sizeof(int64));
		memcpy(&second_integer, second->key.data, sizeof(int64));
		return first_integer < second_integer ? -1 : first_integer > second_integer;
	}
	order = memcmp(first->key.data, second->key.data, Min(first->key.length, second->key.length));
	return order != 0 ? order : first->key.length - second->key.length;
}

static void
FinishVocabulary(LearntVocabulary *vocabulary)
{
	counts_iterator iterator;
	ValueCount *count;
	int64		kept;

	vocabulary->entries = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(ValueCount *) * Max(vocabulary->counts->members, 1));
	counts_start_iterate(vocabulary->counts, &iterator);
	while ((count = counts_iterate(vocabulary->counts, &iterator)) != NULL)
	{
		if (count->position >= 0 || count->count >= vocabulary->plan->min_count)
			vocabulary->entries[vocabulary->nentries++] = count;
		CHECK_FOR_INTERRUPTS();
	}
	qsort_interruptible(vocabulary->entries, vocabulary->nentries, sizeof(ValueCount *), CompareCounts, &vocabulary->sort);

	kept = Max(vocabulary->plan->max_size, vocabulary->ntaken);
	vocabulary->nentries = Min(vocabulary->nentries, kept);
	if (vocabulary->nentries == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("vocabulary \"%s\" is empty: no value appears " INT64_FORMAT " times or more in the training query",
						vocabulary->plan->name, vocabulary->plan->min_count),
				 errhint("Lower \"min_count\", or leave out the feature.")));
}

static void
FinishTransform(Learner *learner, int i)
{
	LearnerFeature *feature = &learner->features[i];
	int			width = feature->feature->width;
	const Transform *transform = &feature->feature->transforms[feature->plan->learn_transform];
	double	   *a = palloc(sizeof(double) * width);
	double	   *b = palloc(sizeof(double) * width);

	for (int k = 0; k < width; k++)
	{
		const Moments *moments = &feature->scaled[k];

		if (moments->n == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("%s has no finite value in the training query, so its scaling cannot be learnt", feature->label),
					 errhint("Give the numbers of its transform, or leave out the feature.")));
		if (transform->kind == TRANSFORM_STANDARDIZE)
		{
			a[k] = moments->mean;
			b[k] = MtlSqrt(moments->squares / moments->n);
			/* as in scikit-learn, what does not vary is left as it is */
			if (!(b[k] > 0))
				b[k] = 1;
		}
		else
		{
			a[k] = moments->min;
			b[k] = moments->max > moments->min ? moments->max : moments->min + Max(1, fabs(moments->min));
		}
		/* b - a is what is divided by */
		if (!isfinite(a[k]) || !isfinite(b[k]) || !isfinite(b[k] - a[k]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s has values from %g to %g in the training query, too far apart for its scaling to be learnt",
							feature->label, moments->min, moments->max),
					 errhint("Give it the transform \"log1p\" or \"clip\" before, or the numbers of its transform.")));
	}
	learner->learnt->a[i] = a;
	learner->learnt->b[i] = b;
}

/* As a default of a contract must be: in the range of real. */
static double
MeanDefault(const LearnerFeature *feature)
{
	double		mean = feature->plain->mean;

	if (!isfinite((float) mean))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the mean of %s in the training query is %g, expected the range of real", feature->label, mean),
				 errhint("Give a number as its \"missing\".")));
	return mean;
}

const Learnt *
LearnerFinish(Learner *learner)
{
	CheckMemory(learner);
	for (int i = 0; i < learner->spec->nvocabularies; i++)
	{
		FinishVocabulary(&learner->vocabularies[i]);
		learner->learnt->entries[i] = learner->vocabularies[i].nentries;
	}
	for (int i = 0; i < learner->spec->contract->nfeatures; i++)
	{
		LearnerFeature *feature = &learner->features[i];

		if (feature->scaled)
			FinishTransform(learner, i);
		if (feature->plain)
			learner->learnt->missing[i] = MeanDefault(feature);
	}
	return learner->learnt;
}

static Tensor
MakeVector(const char *name, TensorType type, int64 n, int element_size)
{
	Tensor		tensor = {0};

	tensor.name = pstrdup(name);
	tensor.type = type;
	tensor.ndims = 1;
	tensor.dims[0] = n;
	tensor.nelements = n;
	tensor.size = n * element_size;
	tensor.data = MemoryContextAllocHuge(CurrentMemoryContext, Max(tensor.size, 1));
	return tensor;
}

static Tensor
IdTensor(const LearntVocabulary *vocabulary)
{
	Tensor		ids = MakeVector(psprintf("vocabulary.%s.ids", vocabulary->plan->name), TENSOR_I64,
								 vocabulary->nentries, sizeof(int64));

	for (int i = 0; i < vocabulary->nentries; i++)
		memcpy(unconstify(char *, ids.data) + i * sizeof(int64), vocabulary->entries[i]->key.data, sizeof(int64));
	return ids;
}

static void
TextTensors(const LearntVocabulary *vocabulary, Tensor *bytes, Tensor *offsets)
{
	int64		size = 0;
	int64		position = 0;

	for (int i = 0; i < vocabulary->nentries; i++)
		size += vocabulary->entries[i]->key.length;
	*bytes = MakeVector(psprintf("vocabulary.%s.bytes", vocabulary->plan->name), TENSOR_U8, size, 1);
	*offsets = MakeVector(psprintf("vocabulary.%s.offsets", vocabulary->plan->name), TENSOR_I64,
						  vocabulary->nentries + 1, sizeof(int64));
	for (int i = 0; i <= vocabulary->nentries; i++)
	{
		memcpy(unconstify(char *, offsets->data) + i * sizeof(int64), &position, sizeof(int64));
		if (i == vocabulary->nentries)
			break;
		memcpy(unconstify(char *, bytes->data) + position, vocabulary->entries[i]->key.data,
			   vocabulary->entries[i]->key.length);
		position += vocabulary->entries[i]->key.length;
	}
}

int
LearnerTensors(const Learner *learner, Tensor **tensors)
{
	int			n = 0;

	*tensors = palloc(sizeof(Tensor) * Max(2 * learner->spec->nvocabularies, 1));
	for (int i = 0; i < learner->spec->nvocabularies; i++)
	{
		const LearntVocabulary *vocabulary = &learner->vocabularies[i];

		if (vocabulary->sort == VALUES_INTEGERS)
			(*tensors)[n++] = IdTensor(vocabulary);
		else
		{
			TextTensors(vocabulary, &(*tensors)[n], &(*tensors)[n + 1]);
			n += 2;
		}
	}
	return n;
}

void
LearnerForget(Learner *learner)
{
	MemoryContextDelete(learner->context);
}
