/*
 * describe.c
 *	  mtl_tasks, mtl_features, mtl_describe: what a model is and wants.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "features/encoder.h"
#include "graph/graph.h"
#include "score/model_argument.h"

MTL_FUNCTION(mtl_tasks);
MTL_FUNCTION(mtl_features);
MTL_FUNCTION(mtl_describe);

static Datum
TextArray(char **texts, int n)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* mtl_tasks(model): the names of mtl_score's numbers */
Datum
mtl_tasks(PG_FUNCTION_ARGS)
{
	const MtlModel *model = ModelArgumentBeginning(fcinfo);
	ModelFile  *file = ModelFileReadAgain(model->file, model->file_size);
	Contract   *contract = ContractParse(file->contract);
	char	  **names = palloc(sizeof(char *) * contract->noutputs);

	for (int i = 0; i < contract->noutputs; i++)
		names[i] = contract->outputs[i].name;
	PG_RETURN_DATUM(TextArray(names, contract->noutputs));
}

/* ------------------------------------------------------------- features */

#define NUM_FEATURE_COLUMNS 7	/* position, name, kind, width, columns, missing, detail */

/*
 * The columns of a row that the feature reads.
 */
static Datum
FeatureColumns(const Feature *feature)
{
	char	   *columns[2] = {feature->name, feature->weights_column};

	if (feature->columns)
		return TextArray(feature->columns, feature->width);
	return TextArray(columns, feature->weights_column ? 2 : 1);
}

static char *
MissingText(const Feature *feature)
{
	const FeatureValue *value = &feature->missing_value;

	switch (feature->missing)
	{
		case MISSING_ERROR:
			return "error";
		case MISSING_OOV:
			return "oov";
		case MISSING_ZERO:
			return "zero";
		case MISSING_EMPTY:
			return "empty";
		case MISSING_VALUE:
			break;
	}
	if (value->kind == VALUE_TEXT)
		return psprintf("value %s", pg_any_to_server(value->u.text.data, value->u.text.length, PG_UTF8));
	if (value->kind == VALUE_INTEGER)
		return psprintf("value " INT64_FORMAT, value->u.integer);
	return psprintf("value %.15g", value->u.real);
}

/*
 * The features of a contract as they stand in its JSON.
 */
static JsonbValue *
FeaturesJson(Jsonb *contract)
{
	JsonbValue *features = getKeyJsonValueFromContainer(&contract->root, "features", 8, NULL);

	Assert(features && features->type == jbvBinary);
	return features;
}

/* mtl_features(model) */
Datum
mtl_features(PG_FUNCTION_ARGS)
{
	static const char *const kinds[] = {"dense", "sparse", "sequence"};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const MtlModel *model = ModelArgumentBeginning(fcinfo);
	ModelFile  *file = ModelFileReadAgain(model->file, model->file_size);
	Contract   *contract = ContractParse(file->contract);
	JsonbContainer *json = FeaturesJson(file->contract)->val.binary.data;
	int			position = 1;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < contract->nfeatures; i++)
	{
		const Feature *feature = &contract->features[i];
		Datum		values[NUM_FEATURE_COLUMNS];
		bool		nulls[NUM_FEATURE_COLUMNS] = {false};

		values[0] = Int32GetDatum(position);
		values[1] = CStringGetTextDatum(feature->name);
		values[2] = CStringGetTextDatum(kinds[feature->kind]);
		values[3] = Int32GetDatum(ArrayPlaces(feature));
		values[4] = FeatureColumns(feature);
		values[5] = CStringGetTextDatum(MissingText(feature));
		values[6] = JsonbPGetDatum(JsonbValueToJsonb(getIthJsonbValueFromContainer(json, i)));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		position += ArrayPlaces(feature);
	}
	return (Datum) 0;
}

/* ------------------------------------------------------------- describe */

static void
AppendOperation(StringInfo text, const GraphOp *op)
{
	appendStringInfo(text, "{\"operation\": \"%s\", \"name\": ", OpKindName(op->kind));
	escape_json(text, op->name);
	appendStringInfo(text, ", \"width\": %d, \"inputs\": [", op->width);
	for (int k = 0; k < op->ninputs; k++)
		appendStringInfo(text, "%s%d", k == 0 ? "" : ", ", op->inputs[k]);
	appendStringInfoChar(text, ']');
	if (op->kind == OP_LAYER)
		appendStringInfo(text, ", \"activation\": \"%s\"", ActivationName(op->activation.kind));
	if (op->kind == OP_LAYER && op->precision != PRECISION_FLOAT32)
		appendStringInfo(text, ", \"precision\": \"%s\"", precision_names[op->precision]);
	appendStringInfoChar(text, '}');
}

static void
AppendOperations(StringInfo text, const Graph *graph)
{
	int64		cost = 0;

	appendStringInfoString(text, ", \"operations\": [");
	for (int i = 0; i < graph->nops; i++)
	{
		if (i > 0)
			appendStringInfoString(text, ", ");
		AppendOperation(text, &graph->ops[i]);
		cost += GraphOpCost(graph, &graph->ops[i]);
	}
	appendStringInfo(text, "], \"multiply_adds\": " INT64_FORMAT, cost);
}

static void
AppendOutputs(StringInfo text, const Contract *contract)
{
	appendStringInfoString(text, ", \"outputs\": [");
	for (int i = 0; i < contract->noutputs; i++)
	{
		if (i > 0)
			appendStringInfoString(text, ", ");
		escape_json(text, contract->outputs[i].name);
	}
	appendStringInfoChar(text, ']');
}

/* Weights, embedding tables included. */
static int64
CountParameters(const ModelFile *file)
{
	int64		parameters = 0;

	for (int i = 0; i < file->ntensors; i++)
		if (file->tensors[i].type != TENSOR_I64 && file->tensors[i].type != TENSOR_U8 &&
			strncmp(file->tensors[i].name, "examples.", 9) != 0)
			parameters += file->tensors[i].nelements;
	return parameters;
}

/* mtl_describe(model) */
Datum
mtl_describe(PG_FUNCTION_ARGS)
{
	const MtlModel *model = ModelArgumentBeginning(fcinfo);
	ModelFile  *file = ModelFileReadAgain(model->file, model->file_size);
	Contract   *contract = ContractParse(file->contract);
	Graph	   *graph = GraphBuild(contract, file);
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "{\"digest\": \"%s\", \"size\": " UINT64_FORMAT, DigestHex(model->digest), model->file_size);
	appendStringInfo(&text, ", \"tensors\": %d, \"parameters\": " INT64_FORMAT,
					 file->ntensors, CountParameters(file));
	appendStringInfo(&text, ", \"precision\": \"%s\"", precision_names[contract->precision]);
	AppendOutputs(&text, contract);
	AppendOperations(&text, graph);
	appendStringInfoString(&text, ", \"contract\": ");
	(void) JsonbToCString(&text, &file->contract->root, VARSIZE(file->contract));
	appendStringInfoChar(&text, '}');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}
