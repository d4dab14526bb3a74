/*
 * spec.c
 *	  What a training is asked for.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/json.h"

#include "compat.h"
#include "model/json_reader.h"
#include "model/limits.h"
#include "train/spec.h"

#define DEFAULT_EMBEDDING_DIM 8

/* Keys of features that are the spec's alone, or are written anew. */
static const char *const replaced_keys[] = {
	"min_count", "max_size", "lookup", "oov", "missing", "transform", "vocabulary_size",
	"embedding_dim", NULL
};

Jsonb *
JsonbFromText(const char *text)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
}

/* ---------------------------------------------------------------- reading */

static int
FindVocabulary(TrainSpec *spec, const char *name)
{
	for (int i = 0; i < spec->nvocabularies; i++)
		if (strcmp(spec->vocabularies[i].name, name) == 0)
			return i;
	spec->vocabularies[spec->nvocabularies] =
		(VocabularyPlan) {pstrdup(name), 1, PG_INT32_MAX / 2, 0};
	return spec->nvocabularies++;
}

static int
FindTable(TrainSpec *spec, const char *name)
{
	for (int i = 0; i < spec->ntables; i++)
		if (strcmp(spec->tables[i].name, name) == 0)
			return i;
	spec->tables[spec->ntables] = (TablePlan) {pstrdup(name), 0, 0, 0};
	return spec->ntables++;
}

/*
 * Whether a transform of the spec leaves out numbers that rows can tell.
 */
static bool
LeavesOutNumbers(const JsonbValue *json, const char *path)
{
	JsonObject *object = JsonObjectOpen(json, path);
	char	   *type = JsonGetString(object, "type", "");

	if (strcmp(type, "standardize") == 0)
		return JsonGet(object, "mean") == NULL && JsonGet(object, "std") == NULL;
	if (strcmp(type, "min_max") == 0)
		return JsonGet(object, "min") == NULL && JsonGet(object, "max") == NULL;
	return false;
}

static void
PlanDense(FeaturePlan *plan, JsonObject *object)
{
	JsonbValue *transform = JsonGet(object, "transform");
	JsonbValue *missing = JsonGet(object, "missing");
	char	   *path = JsonKeyPath(object, "transform");
	JsonArray  *array = NULL;
	int			n = transform ? 1 : 0;

	plan->learn_missing = missing && missing->type == jbvString &&
		strcmp(JsonValueString(missing, path), "mean") == 0;
	if (transform && transform->type == jbvBinary && JsonContainerIsArray(transform->val.binary.data))
	{
		array = JsonNeedArray(object, "transform");
		n = array->length;
	}
	for (int i = 0; i < n; i++)
	{
		if (!LeavesOutNumbers(array ? &array->elements[i] : transform, path))
			continue;
		if (plan->learn_transform >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid model: \"%s\" leaves out the numbers of two transforms, but only one can be learnt", path),
					 errhint("Give the numbers of one of them.")));
		plan->learn_transform = i;
	}
}

/*
 * The rows that a table must have for a lookup that is not learnt; 0: not known.
 */
static int64
FixedRows(JsonObject *object, JsonObject *lookup, const char *type, FeaturePlan *plan)
{
	int64		rows = JsonGetInt(object, "vocabulary_size", 1, PG_INT32_MAX, 0);

	if (rows > 0 || strcmp(type, "vocabulary") == 0)
		return rows;
	if (strcmp(type, "index") == 0)
	{
		plan->learn_rows = true;
		return 0;
	}
	rows = JsonGetInt(lookup, "num_buckets", 1, PG_INT32_MAX, 0);
	if (rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"%s\" hashes into an unknown number of buckets",
						JsonObjectPath(lookup)),
				 errhint("Give \"num_buckets\" or \"vocabulary_size\".")));
	return rows + JsonGetInt(lookup, "offset", 0, PG_INT32_MAX, 0);
}

/* A number that features which share a table must not give differently; 0: not given. */
static void
SetOnce(int64 *number, int64 found, JsonObject *object, const char *key, const char *table)
{
	if (*number > 0 && found > 0 && *number != found)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"%s\" is " INT64_FORMAT ", but another feature of embedding \"%s\" has " INT64_FORMAT,
						JsonKeyPath(object, key), found, table, *number),
				 errhint("Give the same number, or give it once.")));
	*number = Max(*number, found);
}

static void
PlanLookup(TrainSpec *spec, FeaturePlan *plan, JsonObject *object, const char *name)
{
	JsonObject *lookup = JsonGetObject(object, "lookup");
	char	   *type = lookup ? JsonGetString(lookup, "type", "vocabulary") : "vocabulary";
	char	   *embedding = JsonGetString(object, "embedding", name);
	TablePlan  *table;
	VocabularyPlan *vocabulary;
	JsonbValue *oov = JsonGet(object, "oov");
	int64		min_count = JsonGetInt(object, "min_count", 1, PG_INT32_MAX, 1);
	int64		max_size = JsonGetInt(object, "max_size", 1, PG_INT32_MAX / 2, PG_INT32_MAX / 2);

	plan->table = FindTable(spec, embedding);
	table = &spec->tables[plan->table];
	SetOnce(&table->dim, JsonGetInt(object, "embedding_dim", 1, MTL_MAX_WIDTH, 0), object, "embedding_dim", embedding);
	SetOnce(&table->given_rows, JsonGetInt(object, "vocabulary_size", 1, PG_INT32_MAX, 0), object, "vocabulary_size", embedding);
	table->rows = Max(table->rows, FixedRows(object, lookup, type, plan));
	if (strcmp(type, "vocabulary") != 0)
		return;

	plan->vocabulary = FindVocabulary(spec, lookup ? JsonGetString(lookup, "vocabulary", embedding) : embedding);
	vocabulary = &spec->vocabularies[plan->vocabulary];
	vocabulary->min_count = Max(vocabulary->min_count, min_count);
	vocabulary->max_size = Min(vocabulary->max_size, max_size);
	if (lookup && JsonGet(lookup, "offset"))
		vocabulary->offset = JsonGetInt(lookup, "offset", 0, PG_INT32_MAX / 2, 0);
	else if (oov == NULL || oov->type == jbvNumeric)
		vocabulary->offset = Max(vocabulary->offset,
								 1 + JsonGetInt(object, "oov", 0, PG_INT32_MAX / 2, 0));
}

static void
PlanFeatures(TrainSpec *spec, JsonArray *array)
{
	spec->features = palloc0(sizeof(FeaturePlan) * Max(array->length, 1));
	spec->vocabularies = palloc(sizeof(VocabularyPlan) * Max(array->length, 1));
	spec->tables = palloc(sizeof(TablePlan) * Max(array->length, 1));
	for (int i = 0; i < array->length; i++)
	{
		JsonObject *object = JsonArrayObject(array, i);
		FeaturePlan *plan = &spec->features[i];

		*plan = (FeaturePlan) {-1, -1, false, -1, false};
		if (strcmp(JsonGetString(object, "kind", ""), "dense") == 0)
			PlanDense(plan, object);
		else
			PlanLookup(spec, plan, object, JsonNeedString(object, "name"));
	}
	for (int i = 0; i < array->length; i++)
	{
		const FeaturePlan *plan = &spec->features[i];
		TablePlan  *table = plan->table >= 0 ? &spec->tables[plan->table] : NULL;

		if (table == NULL)
			continue;
		if (table->dim == 0)
			table->dim = DEFAULT_EMBEDDING_DIM;
		if (table->rows > 0 && plan->vocabulary >= 0)
		{
			VocabularyPlan *vocabulary = &spec->vocabularies[plan->vocabulary];

			vocabulary->max_size = Min(vocabulary->max_size, Max(table->rows - vocabulary->offset, 1));
		}
	}
}

/*
 * A task without a label is trained by the products that it is a factor of.
 */
static void
CheckLabels(const TrainSpec *spec)
{
	const Contract *contract = spec->contract;
	bool	   *trained = palloc0(sizeof(bool) * contract->ntasks);

	for (int i = contract->ntasks - 1; i >= 0; i--)
	{
		const Task *task = &contract->tasks[i];

		trained[i] |= spec->labelled[i];
		for (int k = 0; trained[i] && k < task->nfactors; k++)
			trained[task->factors[k]] = true;
	}
	for (int i = 0; i < contract->ntasks; i++)
		if (!trained[i] && contract->tasks[i].type != TASK_PRODUCT)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("task \"%s\" has no label, and is no factor of a product that has one",
							contract->tasks[i].name),
					 errhint("Name the column of its labels as the task's \"label\".")));
}

TrainSpec *
TrainSpecRead(const Jsonb *json)
{
	TrainSpec  *spec = palloc0(sizeof(TrainSpec));
	JsonObject *object;
	JsonArray  *tasks;

	spec->json = JsonRoot(json);
	/* its keys are called as in a contract, but it is none */
	(void) JsonObjectOpen(spec->json, "spec");
	object = JsonObjectOpen(spec->json, "");
	JsonCheckNumbers(unconstify(Jsonb *, json), "spec");
	(void) JsonGetInt(object, "format", 1, 1, 1);
	(void) JsonGet(object, "architecture");
	(void) JsonGet(object, "input");
	(void) JsonGet(object, "context");
	(void) JsonGet(object, "rank");
	PlanFeatures(spec, JsonNeedArray(object, "features"));
	tasks = JsonNeedArray(object, "tasks");
	JsonObjectClose(object);

	spec->labels = palloc0(sizeof(char *) * Max(tasks->length, 1));
	spec->labelled = palloc0(sizeof(bool) * Max(tasks->length, 1));
	for (int i = 0; i < tasks->length; i++)
	{
		spec->labels[i] = JsonGetString(JsonArrayObject(tasks, i), "label", NULL);
		spec->labelled[i] = spec->labels[i] != NULL;
	}
	spec->contract = ContractParse(JsonbFromText(TrainSpecContract(spec, NULL, 0, NULL)));
	CheckLabels(spec);
	return spec;
}

/* ---------------------------------------------------------------- writing */

static void
AppendKey(StringInfo text, const char *key)
{
	char		last = text->len > 0 ? text->data[text->len - 1] : '{';

	if (last != '{')
		appendStringInfoString(text, ", ");
	escape_json(text, key);
	appendStringInfoString(text, ": ");
}

static void
AppendJson(StringInfo text, const JsonbValue *value)
{
	Jsonb	   *json = JsonbValueToJsonb(unconstify(JsonbValue *, value));

	(void) JsonbToCString(text, &json->root, VARSIZE(json));
}

static void
AppendInt(StringInfo text, const char *key, int64 number)
{
	AppendKey(text, key);
	appendStringInfo(text, INT64_FORMAT, number);
}

/* One number for a scalar, else a list. */
static void
AppendNumbers(StringInfo text, const char *key, int n, const double *numbers)
{
	AppendKey(text, key);
	if (n > 1)
		appendStringInfoChar(text, '[');
	for (int i = 0; i < n; i++)
		appendStringInfo(text, "%s%.17g", i > 0 ? ", " : "", numbers[i]);
	if (n > 1)
		appendStringInfoChar(text, ']');
}

/* All keys of an object but those listed, which end with NULL. */
static void
AppendOtherKeys(StringInfo text, JsonObject *object, const char *const *without)
{
	char	  **keys;
	JsonbValue *values;
	int			n = JsonObjectEntries(object, &keys, &values);

	for (int i = 0; i < n; i++)
	{
		bool		listed = values[i].type == jbvNull;

		for (int k = 0; without && without[k] && !listed; k++)
			listed = strcmp(keys[i], without[k]) == 0;
		if (listed)
			continue;
		AppendKey(text, keys[i]);
		AppendJson(text, &values[i]);
	}
}

/*
 * The transform that is learnt, with its numbers or stand-ins for them.
 */
static void
AppendLearntTransform(StringInfo text, JsonObject *object, int width, const double *a, const double *b)
{
	static const char *const left_out[] = {"mean", "std", "min", "max", NULL};
	static const double zero = 0;
	static const double one = 1;
	bool		standardize = strcmp(JsonGetString(object, "type", ""), "standardize") == 0;

	appendStringInfoChar(text, '{');
	AppendOtherKeys(text, object, left_out);
	AppendNumbers(text, standardize ? "mean" : "min", a ? width : 1, a ? a : &zero);
	AppendNumbers(text, standardize ? "std" : "max", b ? width : 1, b ? b : &one);
	appendStringInfoChar(text, '}');
}

static void
AppendTransforms(StringInfo text, const FeaturePlan *plan, int feature, int width, JsonObject *object,
				 const Learnt *learnt)
{
	JsonbValue *transform = JsonGet(object, "transform");
	JsonArray  *array = NULL;

	if (transform == NULL)
		return;
	AppendKey(text, "transform");
	if (plan->learn_transform < 0)
	{
		AppendJson(text, transform);
		return;
	}
	if (JsonContainerIsArray(transform->val.binary.data))
		array = JsonNeedArray(object, "transform");
	if (array)
		appendStringInfoChar(text, '[');
	for (int i = 0; i < (array ? array->length : 1); i++)
	{
		const JsonbValue *element = array ? &array->elements[i] : transform;

		if (i > 0)
			appendStringInfoString(text, ", ");
		if (i == plan->learn_transform)
			AppendLearntTransform(text, JsonObjectOpen(element, "transform"), width,
								  learnt ? learnt->a[feature] : NULL,
								  learnt ? learnt->b[feature] : NULL);
		else
			AppendJson(text, element);
	}
	if (array)
		appendStringInfoChar(text, ']');
}

static void
AppendDenseKeys(StringInfo text, const TrainSpec *spec, int feature, JsonObject *object, const Learnt *learnt)
{
	const FeaturePlan *plan = &spec->features[feature];
	JsonbValue *missing = JsonGet(object, "missing");
	JsonbValue *dim = JsonGet(object, "embedding_dim");

	AppendTransforms(text, plan, feature, learnt ? spec->contract->features[feature].width : 1, object, learnt);
	if (plan->learn_missing)
		AppendNumbers(text, "missing", 1, learnt ? &learnt->missing[feature] : &(double) {0});
	else if (missing)
	{
		AppendKey(text, "missing");
		AppendJson(text, missing);
	}
	if (dim)
	{
		AppendKey(text, "embedding_dim");
		AppendJson(text, dim);
	}
}

/*
 * Rows of a table: as the spec says, or as many as its lookups need.
 */
static int64
TableRows(const TrainSpec *spec, int table, const Learnt *learnt)
{
	int64		rows = Max(spec->tables[table].rows, 1);

	for (int i = 0; i < (spec->contract ? spec->contract->nfeatures : 0); i++)
	{
		const FeaturePlan *plan = &spec->features[i];

		if (plan->table != table)
			continue;
		if (plan->vocabulary >= 0)
			rows = Max(rows, spec->vocabularies[plan->vocabulary].offset +
					   (learnt ? learnt->entries[plan->vocabulary] : 1));
		if (plan->learn_rows && learnt)
			rows = Max(rows, learnt->largest[i] + spec->contract->features[i].lookup.offset + 1);
	}
	return rows;
}

static void
AppendLookup(StringInfo text, const TrainSpec *spec, const FeaturePlan *plan, JsonObject *feature)
{
	static const char *const offset[] = {"offset", NULL};
	JsonObject *object = JsonGetObject(feature, "lookup");

	AppendKey(text, "lookup");
	appendStringInfoChar(text, '{');
	if (object)
		AppendOtherKeys(text, object, plan->vocabulary >= 0 ? offset : NULL);
	if (object == NULL || JsonGet(object, "type") == NULL)
	{
		AppendKey(text, "type");
		appendStringInfoString(text, "\"vocabulary\"");
	}
	if (plan->vocabulary >= 0)
		AppendInt(text, "offset", spec->vocabularies[plan->vocabulary].offset);
	appendStringInfoChar(text, '}');
}

/*
 * With a learnt vocabulary, values that it does not have go to row 0 unless the
 * spec says otherwise, and so do missing ones.
 */
static void
AppendRules(StringInfo text, const FeaturePlan *plan, bool sequence, JsonObject *object)
{
	JsonbValue *oov = JsonGet(object, "oov");
	JsonbValue *missing = JsonGet(object, "missing");
	bool		error = oov && oov->type == jbvString &&
		strcmp(JsonValueString(oov, "oov"), "error") == 0;

	if (oov)
	{
		AppendKey(text, "oov");
		AppendJson(text, oov);
	}
	else if (plan->vocabulary >= 0)
		AppendInt(text, "oov", 0);
	if (missing)
	{
		AppendKey(text, "missing");
		AppendJson(text, missing);
	}
	else if (plan->vocabulary >= 0 && (sequence || !error))
	{
		AppendKey(text, "missing");
		appendStringInfoString(text, sequence ? "\"empty\"" : "\"oov\"");
	}
}

static void
AppendLookupKeys(StringInfo text, const TrainSpec *spec, int feature, JsonObject *object, const Learnt *learnt)
{
	const FeaturePlan *plan = &spec->features[feature];

	AppendInt(text, "embedding_dim", spec->tables[plan->table].dim);
	AppendInt(text, "vocabulary_size", TableRows(spec, plan->table, learnt));
	AppendLookup(text, spec, plan, object);
	AppendRules(text, plan, strcmp(JsonGetString(object, "kind", ""), "sequence") == 0, object);
}

static void
AppendFeatures(StringInfo text, const TrainSpec *spec, JsonArray *array, const Learnt *learnt)
{
	AppendKey(text, "features");
	appendStringInfoChar(text, '[');
	for (int i = 0; i < array->length; i++)
	{
		JsonObject *object = JsonArrayObject(array, i);

		if (i > 0)
			appendStringInfoString(text, ", ");
		appendStringInfoChar(text, '{');
		AppendOtherKeys(text, object, replaced_keys);
		if (spec->features[i].table < 0)
			AppendDenseKeys(text, spec, i, object, learnt);
		else
			AppendLookupKeys(text, spec, i, object, learnt);
		appendStringInfoChar(text, '}');
	}
	appendStringInfoChar(text, ']');
}

static void
AppendTasks(StringInfo text, JsonArray *array)
{
	static const char *const label[] = {"label", NULL};

	AppendKey(text, "tasks");
	appendStringInfoChar(text, '[');
	for (int i = 0; i < array->length; i++)
	{
		if (i > 0)
			appendStringInfoString(text, ", ");
		appendStringInfoChar(text, '{');
		AppendOtherKeys(text, JsonArrayObject(array, i), label);
		appendStringInfoChar(text, '}');
	}
	appendStringInfoChar(text, ']');
}

char *
TrainSpecContract(const TrainSpec *spec, const Learnt *learnt, int examples, const char *provenance)
{
	static const char *const copied[] = {"architecture", "input", "context", "rank", NULL};
	JsonObject *object = JsonObjectOpen(spec->json, "");
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	AppendInt(&text, "format", 1);
	AppendFeatures(&text, spec, JsonNeedArray(object, "features"), learnt);
	AppendTasks(&text, JsonNeedArray(object, "tasks"));
	for (int i = 0; copied[i]; i++)
	{
		JsonbValue *value = JsonGet(object, copied[i]);

		if (value)
		{
			AppendKey(&text, copied[i]);
			AppendJson(&text, value);
		}
	}
	if (examples > 0)
	{
		AppendKey(&text, "examples");
		appendStringInfo(&text, "{\"count\": %d}", examples);
	}
	if (provenance)
	{
		AppendKey(&text, "provenance");
		appendStringInfoString(&text, provenance);
	}
	appendStringInfoChar(&text, '}');
	return text.data;
}
