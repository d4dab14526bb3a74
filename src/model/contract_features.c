/*
 * contract_features.c
 *	  Parses the features of a contract.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"

#include "compat.h"
#include "model/contract_internal.h"
#include "model/model_error.h"
#include "model/names.h"
#include "model/value.h"

static FeatureValue
ParseValue(const JsonbValue *json, const char *path)
{
	FeatureValue value;

	if (json->type == jbvNumeric)
	{
		value = FeatureValueFromNumeric(json->val.numeric);
		if (value.kind == VALUE_REAL && !isfinite(value.u.real))
			ModelError("Give a number nearer to zero.",
					   "\"%s\" is outside the range of a double", path);
	}
	else
	{
		char	   *text = JsonValueString(json, path);

		text = pg_server_to_any(text, strlen(text), PG_UTF8);
		value.kind = VALUE_TEXT;
		value.u.text.data = text;
		value.u.text.length = strlen(text);
	}
	return value;
}

/*
 * missing: a rule by name, or a default value.
 */
static void
ParseMissing(Feature *feature, JsonObject *object)
{
	JsonbValue *json = JsonGet(object, "missing");
	char	   *path = JsonKeyPath(object, "missing");

	feature->missing = MISSING_ERROR;
	if (json == NULL)
		return;

	if (json->type == jbvString)
	{
		static const char *const dense_rules[] = {"error", "zero", NULL};
		static const char *const sparse_rules[] = {"error", "zero", "oov", NULL};
		static const char *const sequence_rules[] = {"error", "empty", NULL};
		static const MissingRule values[] = {MISSING_ERROR, MISSING_ZERO, MISSING_OOV};
		char	   *rule = JsonValueString(json, path);

		if (feature->kind == FEATURE_SEQUENCE)
			feature->missing = JsonValueChoice(rule, path, sequence_rules) == 1 ?
				MISSING_EMPTY : MISSING_ERROR;
		else
			feature->missing = values[JsonValueChoice(rule, path,
													  feature->kind == FEATURE_DENSE ?
													  dense_rules : sparse_rules)];
		return;
	}

	if (feature->kind == FEATURE_SEQUENCE)
		ModelError(FORMAT_HINT,
				   "\"%s\" must be \"error\" or \"empty\" for a sequence, found %s", path, JsonTypeName(json));
	if (json->type == jbvBinary)
	{
		JsonObject *rule = JsonObjectOpen(json, path);

		json = JsonGet(rule, "value");
		if (json == NULL)
			ModelError(FORMAT_HINT,
					   "key \"%s.value\" is missing", path);
		JsonObjectClose(rule);
		path = psprintf("%s.value", path);
	}
	feature->missing = MISSING_VALUE;
	feature->missing_value = ParseValue(json, path);
	if (feature->kind == FEATURE_DENSE && feature->missing_value.kind == VALUE_TEXT)
		ModelError(FORMAT_HINT,
				   "\"%s\" must be a number for a dense feature, found a string", path);
}

/* ---------------------------------------------------------------- dense */

/*
 * One number for all, or one for each of the feature's width; required when the
 * default is NaN.
 */
static double *
ParseNumbers(const Feature *feature, JsonObject *object, const char *key, double default_value)
{
	double	   *numbers = palloc(sizeof(double) * feature->width);
	JsonbValue *json = JsonGet(object, key);
	JsonArray  *array = NULL;
	double		number = default_value;

	if (json && json->type == jbvBinary)
	{
		array = JsonNeedArray(object, key);
		if (array->length != feature->width)
			ModelError("Give one number for all of the feature's, or one for each.",
					   "\"%s\" has %d numbers, expected %d", array->path, array->length, feature->width);
	}
	else if (json || isnan(default_value))
		number = JsonNeedNumber(object, key);

	for (int i = 0; i < feature->width; i++)
		numbers[i] = array ? JsonValueNumber(&array->elements[i], array->path) : number;
	return numbers;
}

static void
CheckTransform(const Feature *feature, const Transform *transform, const char *path)
{
	for (int i = 0; transform->kind != TRANSFORM_LOG1P && i < feature->width; i++)
	{
		double		a = transform->a[i];
		double		b = transform->b[i];

		if (transform->kind == TRANSFORM_STANDARDIZE && !(b > 0))
			ModelError("Leave out the transform of a feature that does not vary.",
					   "\"%s.std\" is %g, expected a positive number", path, b);
		if (transform->kind == TRANSFORM_MIN_MAX && !(a < b))
			ModelError("Leave out the transform of a feature that does not vary.",
					   "\"%s\" has min %g and max %g, expected min below max", path, a, b);
		if (transform->kind == TRANSFORM_CLIP && !(a <= b))
			ModelError("Exchange the two.",
					   "\"%s\" has min %g and max %g, expected min not above max", path, a, b);
	}
}

static void
ParseTransform(const Feature *feature, Transform *transform, JsonObject *object)
{
	static const char *const kinds[] = {"standardize", "min_max", "log1p", "clip", NULL};

	transform->kind = JsonGetChoice(object, "type", kinds, -1);
	switch (transform->kind)
	{
		case TRANSFORM_STANDARDIZE:
			transform->a = ParseNumbers(feature, object, "mean", NAN);
			transform->b = ParseNumbers(feature, object, "std", NAN);
			break;
		case TRANSFORM_MIN_MAX:
			transform->a = ParseNumbers(feature, object, "min", NAN);
			transform->b = ParseNumbers(feature, object, "max", NAN);
			break;
		case TRANSFORM_LOG1P:
			break;
		case TRANSFORM_CLIP:
			transform->a = ParseNumbers(feature, object, "min", -INFINITY);
			transform->b = ParseNumbers(feature, object, "max", INFINITY);
			break;
	}
	JsonObjectClose(object);
	CheckTransform(feature, transform, JsonObjectPath(object));
}

static void
SpendNumbers(const Feature *feature, int64 *budget)
{
	*budget -= (int64) feature->width * feature->ntransforms;
	if (*budget < 0)
		ModelLimitError("Use fewer transforms, or narrower features.",
						"transforms of all features work on more than %d numbers", MTL_MAX_ACTIVATIONS);
}

/*
 * One transform or a list.  Numbers are kept for each of the feature's width, so
 * their total is limited: *budget is what is left.
 */
static void
ParseTransforms(Feature *feature, JsonObject *object, int64 *budget)
{
	JsonbValue *json = JsonGet(object, "transform");

	if (json == NULL)
		return;
	if (json->type == jbvBinary && JsonContainerIsArray(json->val.binary.data))
	{
		JsonArray  *array = JsonNeedArray(object, "transform");

		if (array->length > MTL_MAX_LAYERS)
			ModelLimitError("Use fewer transforms.",
							"\"%s\" has %d transforms, the limit is %d",
							array->path, array->length, MTL_MAX_LAYERS);
		feature->ntransforms = array->length;
		SpendNumbers(feature, budget);
		feature->transforms = palloc0(sizeof(Transform) * Max(array->length, 1));
		for (int i = 0; i < array->length; i++)
			ParseTransform(feature, &feature->transforms[i], JsonArrayObject(array, i));
	}
	else
	{
		feature->ntransforms = 1;
		SpendNumbers(feature, budget);
		feature->transforms = palloc0(sizeof(Transform));
		ParseTransform(feature, &feature->transforms[0], JsonGetObject(object, "transform"));
	}
}

static void
ParseDense(Feature *feature, JsonObject *object, int64 *budget)
{
	JsonArray  *columns = JsonGetArray(object, "columns");

	feature->width = JsonGetInt(object, "width", 1, MTL_MAX_WIDTH, columns ? columns->length : 1);
	if (columns)
	{
		if (columns->length != feature->width || columns->length < 1)
			ModelError("Name one column for each number of the feature.",
					   "\"%s\" has %d names, expected the feature's width %d",
					   columns->path, columns->length, feature->width);
		feature->columns = palloc(sizeof(char *) * columns->length);
		for (int i = 0; i < columns->length; i++)
		{
			feature->columns[i] = JsonValueString(&columns->elements[i], columns->path);
			CheckName(feature->columns[i], columns->path);
		}
	}
	ParseTransforms(feature, object, budget);
	feature->embedding_dim = JsonGetInt(object, "embedding_dim", 1, MTL_MAX_WIDTH, 0);
	feature->embedding_bias = JsonGetBool(object, "embedding_bias", false);
	if (feature->embedding_bias && feature->embedding_dim == 0)
		ModelError("Give the feature an \"embedding_dim\", or leave the bias out.",
				   "\"%s\" is true without \"embedding_dim\"", JsonKeyPath(object, "embedding_bias"));
}

/* -------------------------------------------------- sparse and sequence */

static void
ParseLookup(Feature *feature, JsonObject *parent)
{
	static const char *const kinds[] = {"index", "vocabulary", "hash", NULL};
	static const char *const precisions[] = {"double", "float32", NULL};
	static const char *const functions[] = {"farmhash64", NULL};
	static const char *const formats[] = {"integer", "float", NULL};
	Lookup	   *lookup = &feature->lookup;
	JsonObject *object = JsonGetObject(parent, "lookup");

	if (object == NULL)
		ModelError(FORMAT_HINT,
				   "key \"%s\" is missing", JsonKeyPath(parent, "lookup"));

	lookup->kind = JsonGetChoice(object, "type", kinds, -1);
	lookup->offset = JsonGetInt(object, "offset", -PG_INT32_MAX, PG_INT32_MAX, 0);
	if (lookup->offset < 0 && lookup->kind != LOOKUP_INDEX)
		ModelError(FORMAT_HINT,
				   "\"%s\" is " INT64_FORMAT ", expected 0 or more",
				   JsonKeyPath(object, "offset"), lookup->offset);
	if (lookup->kind == LOOKUP_INDEX)
		lookup->single_precision = JsonGetChoice(object, "precision", precisions, 0) == 1;
	if (lookup->kind == LOOKUP_VOCABULARY)
	{
		lookup->vocabulary = JsonGetString(object, "vocabulary", feature->embedding);
		CheckName(lookup->vocabulary, JsonKeyPath(object, "vocabulary"));
	}
	if (lookup->kind == LOOKUP_HASH)
	{
		(void) JsonGetChoice(object, "function", functions, 0);
		lookup->num_buckets = JsonGetInt(object, "num_buckets", 1, PG_INT32_MAX, 0);
		lookup->mask_zero = JsonGetBool(object, "mask_zero", false);
		lookup->float_format = JsonGetChoice(object, "number_format", formats, 0) == 1;
	}
	JsonObjectClose(object);
}

static void
ParseOov(Feature *feature, JsonObject *object)
{
	static const char *const rules[] = {"error", "zero", "skip", NULL};
	static const OovRule values[] = {OOV_ERROR, OOV_ZERO, OOV_SKIP};
	JsonbValue *json = JsonGet(object, "oov");
	char	   *path = JsonKeyPath(object, "oov");

	feature->oov = OOV_ERROR;
	if (json == NULL)
		return;
	if (json->type == jbvNumeric)
	{
		feature->oov = OOV_ROW;
		feature->oov_row = JsonValueInt(json, path, 0, PG_INT32_MAX);
		return;
	}
	feature->oov = values[JsonValueChoice(JsonValueString(json, path), path, rules)];
	if (feature->oov == OOV_SKIP && feature->kind != FEATURE_SEQUENCE)
		ModelError("Give the number of a row, or another rule.",
				   "\"%s\" is \"skip\", which only a sequence can be", path);
}

static void
ParseSparse(Feature *feature, JsonObject *object)
{
	feature->embedding = JsonGetString(object, "embedding", feature->name);
	CheckName(feature->embedding, JsonKeyPath(object, "embedding"));
	feature->vocabulary_size = JsonGetInt(object, "vocabulary_size", 1, PG_INT32_MAX, 0);
	feature->embedding_dim = JsonGetInt(object, "embedding_dim", 1, MTL_MAX_WIDTH, 0);
	ParseLookup(feature, object);
	ParseOov(feature, object);
}

static const char *const sides[] = {"tail", "head", NULL};

/*
 * What sequences have that are pooled, and not concatenated.
 */
static void
ParsePooling(Feature *feature, JsonObject *object)
{
	static const char *const normalizations[] = {"none", "sum", "softmax", NULL};
	JsonObject *weights;

	feature->epsilon = JsonGetNumber(object, "epsilon", 0);
	if (feature->epsilon < 0)
		ModelError(FORMAT_HINT,
				   "\"%s\" is %g, expected 0 or more", JsonKeyPath(object, "epsilon"), feature->epsilon);
	feature->empty_value = JsonGetNumber(object, "empty_value", 0);
	if (!isfinite((float) feature->empty_value))
		ModelError("Give a number nearer to zero.",
				   "\"%s\" is outside the range of a float32", JsonKeyPath(object, "empty_value"));

	weights = JsonGetObject(object, "weights");
	if (weights)
	{
		feature->weights_column = JsonNeedString(weights, "column");
		CheckName(feature->weights_column, JsonKeyPath(weights, "column"));
		feature->normalize = JsonGetChoice(weights, "normalize", normalizations, 0);
		JsonObjectClose(weights);
	}
}

static void
ParseSequence(Feature *feature, JsonObject *object)
{
	static const char *const combiners[] = {"sum", "mean", "max", "concat", NULL};
	JsonbValue *padding;

	feature->max_length = JsonNeedInt(object, "max_length", 1, MTL_MAX_WIDTH);
	feature->truncate_head = JsonGetChoice(object, "truncate", sides, 0) == 1;
	padding = JsonGet(object, "padding");
	if (padding)
	{
		feature->has_padding = true;
		feature->padding = ParseValue(padding, JsonKeyPath(object, "padding"));
	}
	feature->combiner = JsonGetChoice(object, "combiner", combiners, COMBINER_MEAN);
	if (feature->combiner == COMBINER_CONCAT)
		feature->unused_first = JsonGetChoice(object, "unused", sides, 0) == 1;
	else
		ParsePooling(feature, object);
}

static void
ParseFeature(Feature *feature, JsonObject *object, int64 *budget)
{
	static const char *const kinds[] = {"dense", "sparse", "sequence", NULL};

	feature->name = JsonNeedString(object, "name");
	CheckName(feature->name, JsonKeyPath(object, "name"));
	feature->kind = JsonGetChoice(object, "kind", kinds, -1);
	if (feature->kind == FEATURE_DENSE)
		ParseDense(feature, object, budget);
	else
		ParseSparse(feature, object);
	if (feature->kind == FEATURE_SEQUENCE)
		ParseSequence(feature, object);
	ParseMissing(feature, object);
	JsonObjectClose(object);
}

/*
 * Names of features are unique, and so are the columns that the model reads:
 * one column must not mean two things.
 */
static void
CheckColumns(const Contract *contract)
{
	char	  **names;
	char	  **columns;
	int			ncolumns = 0;

	names = palloc(sizeof(char *) * contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
	{
		const Feature *feature = &contract->features[i];

		names[i] = feature->name;
		ncolumns += feature->columns ? feature->width : 1;
		ncolumns += feature->weights_column ? 1 : 0;
	}
	CheckDistinct(names, contract->nfeatures, "feature");

	columns = palloc(sizeof(char *) * ncolumns);
	ncolumns = 0;
	for (int i = 0; i < contract->nfeatures; i++)
	{
		const Feature *feature = &contract->features[i];

		if (feature->columns == NULL)
			columns[ncolumns++] = feature->name;
		else
			for (int k = 0; k < feature->width; k++)
				columns[ncolumns++] = feature->columns[k];
		if (feature->weights_column)
			columns[ncolumns++] = feature->weights_column;
	}
	CheckDistinct(columns, ncolumns, "column");
}

/*
 * The feature that element i of a list of names is; seen has those before it.
 */
static int
ListedFeature(const NameIndex *index, const JsonArray *list, int i, const char *key, bool *seen)
{
	char	   *name = JsonValueString(&list->elements[i], key);
	int			feature = NameIndexFind(index, name);

	if (feature < 0)
		ModelError("Name one of \"features\".",
				   "\"%s\" names the unknown feature \"%s\"", key, name);
	if (seen[feature])
		ModelError("Name each feature once.",
				   "\"%s\" names feature \"%s\" twice", key, name);
	seen[feature] = true;
	return feature;
}

/*
 * The order in which features make the input: declared order, or the list that
 * the contract gives, which must name each feature once.
 */
static void
ParseInput(Contract *contract, JsonObject *object, const NameIndex *index)
{
	JsonArray  *order = JsonGetArray(object, "input");
	bool	   *seen = palloc0(sizeof(bool) * contract->nfeatures);

	contract->input = palloc(sizeof(int) * contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
		contract->input[i] = i;
	if (order == NULL)
		return;

	if (order->length != contract->nfeatures)
		ModelError("Name all features, or leave \"input\" out.",
				   "\"input\" names %d features, expected all %d", order->length, contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
		contract->input[i] = ListedFeature(index, order, i, "input", seen);
}

/*
 * The features that describe the context.
 */
static void
ParseContext(Contract *contract, JsonObject *object, const NameIndex *index)
{
	JsonArray  *names = JsonGetArray(object, "context");
	bool	   *seen = palloc0(sizeof(bool) * contract->nfeatures);

	for (int i = 0; names && i < names->length; i++)
		contract->features[ListedFeature(index, names, i, "context", seen)].context = true;
}

void
ParseFeatures(Contract *contract, JsonObject *object)
{
	JsonArray  *array = JsonNeedArray(object, "features");
	int64		budget = MTL_MAX_ACTIVATIONS;
	char	  **names;
	NameIndex  *index;

	if (array->length < 1 || array->length > MTL_MAX_FEATURES)
		ModelError(FORMAT_HINT,
				   "%d features, expected 1 to %d", array->length, MTL_MAX_FEATURES);
	contract->nfeatures = array->length;
	contract->features = palloc0(sizeof(Feature) * array->length);
	for (int i = 0; i < array->length; i++)
		ParseFeature(&contract->features[i], JsonArrayObject(array, i), &budget);
	CheckColumns(contract);

	names = palloc(sizeof(char *) * contract->nfeatures);
	for (int i = 0; i < contract->nfeatures; i++)
		names[i] = contract->features[i].name;
	index = NameIndexCreate(names, contract->nfeatures);
	ParseInput(contract, object, index);
	ParseContext(contract, object, index);
}
