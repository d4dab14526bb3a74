/*
 * quantize.c
 *	  mtl_quantize: a model with weights of bf16 or int8 out of one with float32.
 *
 * Nothing in the result depends on where and when it is made: the same model gives the
 * same bytes.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "cache/replay.h"
#include "compat.h"
#include "model/examples.h"
#include "quantize/rounding.h"
#include "score/model_argument.h"

MTL_FUNCTION(mtl_quantize);

/* What becomes of a tensor. */
typedef enum Fate
{
	TENSOR_STAYS,
	TENSOR_BECOMES_BF16,
	TENSOR_BECOMES_PRECISE		/* what the precision asks for */
} Fate;

typedef struct Quantization
{
	Precision	precision;
	const MtlModel *source;
	ModelFile  *file;			/* the source's */
	Contract   *contract;
	Examples   *examples;		/* NULL: none */
	int			ntensors;		/* of the result */
	Tensor	   *tensors;
	Tensor	   *scores;			/* of the examples, among those; NULL: none */

	/* what was seen of the examples */
	float		change;
	int			changed_output;
} Quantization;

static Precision
ParsePrecision(const char *name)
{
	for (int i = PRECISION_BF16; precision_names[i]; i++)
		if (strcmp(name, precision_names[i]) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a model cannot be quantized to precision \"%s\"", name),
			 errhint("Precisions are \"%s\" and \"%s\".",
					 precision_names[PRECISION_BF16], precision_names[PRECISION_INT8])));
}

/* ---------------------------------------------------------------- tensors */

/*
 * Which tensors the precision is for: those that a quantized model must have in another
 * type, see graph/layers.c and graph/input.c.
 */
static Fate *
FindFates(const Quantization *quantization)
{
	const ModelFile *file = quantization->file;
	const Graph *graph = GraphBuild(quantization->contract, quantization->file);
	Fate	   *fates = palloc0(sizeof(Fate) * Max(file->ntensors, 1));

	for (int i = 0; i < graph->nops; i++)
	{
		const GraphOp *op = &graph->ops[i];

		if (op->kind == OP_LAYER && op->compact)
			fates[op->weight - file->tensors] = TENSOR_BECOMES_PRECISE;
		for (int k = 0; op->kind == OP_INPUT && k < graph->layout->nfields; k++)
			if (graph->layout->fields[k].feature->kind != FEATURE_DENSE)
				fates[op->tables[k] - file->tensors] = TENSOR_BECOMES_BF16;
	}
	return fates;
}

static void
RoundTensors(Quantization *quantization)
{
	const ModelFile *file = quantization->file;
	Fate	   *fates = FindFates(quantization);

	/* each may bring scales */
	quantization->tensors = palloc_extended(sizeof(Tensor) * (2 * file->ntensors + 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < file->ntensors; i++)
	{
		const Tensor *tensor = &file->tensors[i];
		Tensor	   *rounded = &quantization->tensors[quantization->ntensors++];

		if (fates[i] == TENSOR_STAYS)
			*rounded = *tensor;
		else if (fates[i] == TENSOR_BECOMES_BF16 || quantization->precision == PRECISION_BF16)
			*rounded = RoundToBf16(tensor);
		else
			*rounded = RoundToInt8(tensor, &quantization->tensors[quantization->ntensors++]);
		if (quantization->examples && tensor == quantization->examples->scores)
			quantization->scores = rounded;
	}
}

/* --------------------------------------------------------------- contract */

static char *
FloatText(float number)
{
	return DatumGetCString(DirectFunctionCall1(float4out, Float4GetDatum(number)));
}

/*
 * The entry of the provenance that says what was done.
 */
static void
AppendQuantization(StringInfo text, const Quantization *quantization)
{
	const Contract *contract = quantization->contract;

	appendStringInfo(text, "{\"precision\": \"%s\", \"of\": \"%s\", \"examples\": %d",
					 precision_names[quantization->precision], DigestHex(quantization->source->digest),
					 contract->nexamples);
	if (quantization->examples)
	{
		appendStringInfo(text, ", \"largest_change\": %s, \"largest_change_of\": ",
						 FloatText(quantization->change));
		escape_json(text, contract->outputs[quantization->changed_output].name);
	}
	appendStringInfoChar(text, '}');
}

static Jsonb *
WithKeys(Jsonb *object, const char *keys)
{
	Datum		added = DirectFunctionCall1(jsonb_in, CStringGetDatum(keys));

	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(object), added));
}

/*
 * The contract with its precision, and with what was done in its provenance.
 */
static char *
QuantizedContract(const Quantization *quantization)
{
	Jsonb	   *contract = quantization->file->contract;
	JsonbValue *old = getKeyJsonValueFromContainer(&contract->root, "provenance", 10, NULL);
	bool		has_provenance = old && old->type != jbvNull;
	Jsonb	   *provenance = has_provenance ? JsonbValueToJsonb(old) :
		DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfoString(&text, "{\"quantization\": ");
	AppendQuantization(&text, quantization);
	appendStringInfoChar(&text, '}');
	provenance = WithKeys(provenance, text.data);

	resetStringInfo(&text);
	appendStringInfo(&text, "{\"precision\": \"%s\", \"provenance\": ",
					 precision_names[quantization->precision]);
	(void) JsonbToCString(&text, &provenance->root, VARSIZE(provenance));
	appendStringInfoChar(&text, '}');
	contract = WithKeys(contract, text.data);
	return JsonbToCString(NULL, &contract->root, VARSIZE(contract));
}

/* --------------------------------------------------------------- examples */

/*
 * All outputs of all examples, (examples, outputs).
 */
static float *
ScoreExamples(const Examples *examples, const char *file, Size size)
{
	static const uint8 digest[MTL_DIGEST_SIZE];
	LoadedModel *model = LoadedModelCreate(file, size, digest);
	Replay	   *replay = ReplayCreate(model);
	int			noutputs = model->contract->noutputs;
	float	   *scores = palloc_extended(sizeof(float) * examples->nrows * noutputs, MCXT_ALLOC_HUGE);

	for (int i = 0; i < examples->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		memcpy(scores + (Size) i * noutputs, ReplayExample(replay, i + 1, examples->rows[i]),
			   sizeof(float) * noutputs);
	}
	MemoryContextDelete(model->context);
	return scores;
}

static void
FindLargestChange(Quantization *quantization, const float *before, const float *after)
{
	int			noutputs = quantization->contract->noutputs;

	for (int64 i = 0; i < quantization->scores->nelements; i++)
	{
		float		change = fabs((double) after[i] - before[i]);

		if (change > quantization->change)
		{
			quantization->change = change;
			quantization->changed_output = i % noutputs;
		}
	}
}

static void
ReportChange(const Quantization *quantization)
{
	const Contract *contract = quantization->contract;

	if (quantization->examples)
		ereport(NOTICE,
				(errmsg_plural("the scores of %d example change by up to %s, those of task \"%s\" most",
							   "the scores of %d examples change by up to %s, those of task \"%s\" most",
							   contract->nexamples, contract->nexamples, FloatText(quantization->change),
							   contract->outputs[quantization->changed_output].name)));
	else
		ereport(NOTICE,
				(errmsg("the model has no examples that would show how far scores change"),
				 errhint("Compare scores of rows of yours, or metrics over them.")));
}

/* ---------------------------------------------------------------- result */

static MtlModel *
Quantize(const MtlModel *source, Precision precision)
{
	Quantization quantization = {.precision = precision, .source = source};
	Size		size;
	char	   *file;

	quantization.file = ModelFileRead(source->file, source->file_size);
	quantization.contract = ContractParse(quantization.file->contract);
	if (quantization.contract->precision != PRECISION_FLOAT32)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the model is of precision \"%s\" already",
						precision_names[quantization.contract->precision]),
				 errhint("Quantize the model of precision \"%s\" that it was made of.",
						 precision_names[PRECISION_FLOAT32])));
	quantization.examples = ExamplesRead(quantization.contract, quantization.file);
	RoundTensors(&quantization);
	file = ModelFileWrite(QuantizedContract(&quantization), quantization.ntensors,
						  quantization.tensors, &size);
	if (quantization.examples)
	{
		float	   *before = ScoreExamples(quantization.examples, source->file, source->file_size);
		float	   *after = ScoreExamples(quantization.examples, file, size);

		/* what mtl_verify is to find from now on */
		quantization.scores->data = (char *) after;
		FindLargestChange(&quantization, before, after);
		pfree(file);
		file = ModelFileWrite(QuantizedContract(&quantization), quantization.ntensors,
							  quantization.tensors, &size);
	}
	ReportChange(&quantization);
	return MtlModelMake(file, size);
}

/* mtl_quantize(model, precision) */
Datum
mtl_quantize(PG_FUNCTION_ARGS)
{
	Precision	precision = ParsePrecision(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(caller, "mtl_rank quantize", ALLOCSET_DEFAULT_SIZES);
	MtlModel   *model;

	MemoryContextSwitchTo(work);
	model = Quantize(ModelArgumentValue(fcinfo), precision);
	MemoryContextSwitchTo(caller);
	model = memcpy(palloc(VARSIZE(model)), model, VARSIZE(model));
	MemoryContextDelete(work);
	PG_RETURN_POINTER(model);
}
