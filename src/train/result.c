/*
 * result.c
 *	  From a trained network to a model.
 *
 * Nothing in the model depends on when or how fast it was trained: the same rows,
 * options and seed give the same bytes.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "cache/loaded_model.h"
#include "cache/replay.h"
#include "model/memory.h"
#include "train/result.h"

/*
 * Entries of the history at most, epochs times tasks, so that it stays below the
 * limit of a header however long a training was.
 */
#define MAX_HISTORY 20000

/* ------------------------------------------------------------- provenance */

static void
AppendNumber(StringInfo text, double number)
{
	appendStringInfoString(text, isfinite(number) ? float8out_internal(number) : "null");
}

/* A number under a key of an object that has been begun. */
static void
AppendEntry(StringInfo text, const char *key, double number)
{
	if (text->data[text->len - 1] != '{')
		appendStringInfoString(text, ", ");
	escape_json(text, key);
	appendStringInfoString(text, ": ");
	AppendNumber(text, number);
}

static void
AppendMetric(StringInfo text, const TaskMetric *metric)
{
	AppendEntry(text, "validation_loss", metric->loss);
	if (!isnan(metric->auc))
		AppendEntry(text, "auc", metric->auc);
	else
		AppendEntry(text, "explained", metric->figure);
}

static void
AppendEpoch(StringInfo text, const Training *training, const EpochRecord *record, bool history)
{
	for (int i = 0; i < training->nlosses; i++)
	{
		if (i > 0)
			appendStringInfoString(text, ", ");
		escape_json(text, training->losses[i].task->name);
		appendStringInfoString(text, ": {");
		AppendEntry(text, "loss", record->losses[i]);
		if (record->metrics)
			AppendMetric(text, &record->metrics[i]);
		if (history)
			AppendEntry(text, "weight", record->weights[i]);
		appendStringInfoChar(text, '}');
	}
}

/* Every epoch; of very many, some at equal distances, the best and the last. */
static void
AppendHistory(StringInfo text, const Training *training)
{
	int			stride = 1 + (int) ((int64) training->nepochs * training->nlosses / MAX_HISTORY);

	for (int i = 0; i < training->nepochs; i++)
	{
		const EpochRecord *record = &training->history[i];

		if (i % stride != 0 && i != training->best && i != training->nepochs - 1)
			continue;
		appendStringInfo(text, "%s{\"epoch\": %d, \"learning_rate\": ", i > 0 ? ", " : "", i + 1);
		AppendNumber(text, record->learning_rate);
		if (!isnan(record->calibrator))
			AppendEntry(text, "calibrator", record->calibrator);
		appendStringInfoString(text, ", \"tasks\": {");
		AppendEpoch(text, training, record, true);
		appendStringInfoString(text, "}}");
	}
}

static char *
Provenance(const TrainCall *call)
{
	const Training *training = &call->training;
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "{\"library\": \"mtl_rank " MTL_RANK_VERSION "\", \"query\": ");
	escape_json(&text, call->query);
	appendStringInfo(&text, ", \"options\": %s",
					 JsonbToCString(NULL, unconstify(JsonbContainer *, &call->options_json->root),
									VARSIZE(call->options_json)));
	appendStringInfo(&text, ", \"rows\": " INT64_FORMAT ", \"validation_rows\": " INT64_FORMAT,
					 RowStoreRows(training->rows),
					 training->validation ? RowStoreRows(training->validation) : (int64) 0);
	if (call->nstart >= 0)
		appendStringInfo(&text, ", \"tensors_taken_over\": %d", call->nstart);
	appendStringInfo(&text, ", \"epochs\": %d, \"best_epoch\": %d, \"metrics\": {",
					 training->nepochs, training->best + 1);
	AppendEpoch(&text, training, &training->history[training->best], false);
	appendStringInfoString(&text, "}, \"history\": [");
	AppendHistory(&text, training);
	appendStringInfoString(&text, "]}");
	return text.data;
}

/* ---------------------------------------------------------------- tensors */

static void
CheckFinite(const Tensor *tensors, int n)
{
	for (int i = 0; i < n; i++)
		for (int64 k = 0; k < tensors[i].nelements; k++)
		{
			if (k % MTL_NUMBERS_PER_CHECK == 0)
				CHECK_FOR_INTERRUPTS();
			if (!isfinite(TensorFloat(&tensors[i], k)))
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("tensor \"%s\" has left the range of real in the last epoch", tensors[i].name),
						 errhint("Lower the learning rate, set \"clip_norm\", or scale features and labels.")));
		}
}

static Tensor
MakeTensorOf(const char *name, TensorType type, int ndims, int64 first, int64 second,
			 const void *data, Size size)
{
	Tensor		tensor = {0};

	tensor.name = pstrdup(name);
	tensor.type = type;
	tensor.ndims = ndims;
	tensor.dims[0] = first;
	tensor.dims[1] = second;
	tensor.nelements = first * (ndims > 1 ? second : 1);
	tensor.data = data;
	tensor.size = size;
	return tensor;
}

/*
 * What the engine scores the examples with the model so far.
 */
static float *
ScoreExamples(const char *bytes, Size size, const char *rows_text, int nrows)
{
	uint8		digest[MTL_DIGEST_SIZE] = {0};
	LoadedModel *model = LoadedModelCreate(bytes, size, digest);
	Replay	   *replay = ReplayCreate(model);
	int			noutputs = model->contract->noutputs;
	float	   *result = palloc(sizeof(float) * nrows * noutputs);
	Jsonb	   *rows = JsonbFromText(rows_text);

	for (int i = 0; i < nrows; i++)
	{
		JsonbValue *row = getIthJsonbValueFromContainer(&rows->root, i);

		CHECK_FOR_INTERRUPTS();
		memcpy(result + (Size) i * noutputs, ReplayExample(replay, i + 1, JsonbValueToJsonb(row)),
			   sizeof(float) * noutputs);
	}
	MemoryContextDelete(model->context);
	return result;
}

MtlModel *
ResultModel(const TrainCall *call)
{
	char	   *provenance = Provenance(call);
	Tensor	   *trained;
	int			ntrained = ParametersTensors(call->training.network->parameters, &trained);
	int			n = ntrained + call->nvocabulary_tensors;
	Tensor	   *tensors = palloc(sizeof(Tensor) * (n + 2));
	Size		size;
	char	   *file;

	CheckFinite(trained, ntrained);
	memcpy(tensors, trained, sizeof(Tensor) * ntrained);
	memcpy(tensors + ntrained, call->vocabulary_tensors, sizeof(Tensor) * call->nvocabulary_tensors);
	file = ModelFileWrite(TrainSpecContract(call->spec, call->learnt, 0, provenance), n, tensors, &size);

	if (call->nexamples > 0)
	{
		int			noutputs = call->spec->contract->noutputs;
		float	   *scores = ScoreExamples(file, size, call->examples.data, call->nexamples);
		char	   *rows = pg_server_to_any(call->examples.data, strlen(call->examples.data), PG_UTF8);

		pfree(file);
		tensors[n] = MakeTensorOf("examples.rows", TENSOR_U8, 1, strlen(rows), 0, rows, strlen(rows));
		tensors[n + 1] = MakeTensorOf("examples.scores", TENSOR_F32, 2, call->nexamples, noutputs, scores,
									  sizeof(float) * call->nexamples * noutputs);
		file = ModelFileWrite(TrainSpecContract(call->spec, call->learnt, call->nexamples, provenance),
							  n + 2, tensors, &size);
	}
	return MtlModelMake(file, size);
}
