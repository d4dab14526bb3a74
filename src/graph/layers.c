/*
 * layers.c
 *	  Layers, MLPs and gates: their keys in the contract, and their operations.
 */
#include "postgres.h"

#include "graph/layers.h"
#include "model/model_error.h"

static const char *const activation_names[] = {
	[ACTIVATION_LINEAR] = "linear",
	[ACTIVATION_RELU] = "relu",
	[ACTIVATION_LEAKY_RELU] = "leaky_relu",
	[ACTIVATION_PRELU] = "prelu",
	[ACTIVATION_SIGMOID] = "sigmoid",
	[ACTIVATION_TANH] = "tanh",
	[ACTIVATION_SILU] = "silu",
	[ACTIVATION_GELU] = "gelu",
	[ACTIVATION_GELU_TANH] = "gelu_tanh",
	[ACTIVATION_DICE] = "dice",
	NULL
};

#define DEFAULT_NEGATIVE_SLOPE	0.01	/* torch.nn.LeakyReLU */
#define DEFAULT_NORM_EPSILON	1e-5	/* torch.nn.BatchNorm1d */
#define DEFAULT_DICE_EPSILON	1e-9	/* DeepCTR */
#define DEFAULT_ROW_EPSILON		1e-3	/* torch-rechub's dice */

const char *
ActivationName(ActivationKind kind)
{
	return kind > ACTIVATION_DICE ? "dice" : activation_names[kind];
}

/* ------------------------------------------------------- keys of layers */

static double
ReadEpsilon(JsonObject *object, double default_value, bool may_be_zero)
{
	double		epsilon = JsonGetNumber(object, "epsilon", default_value);

	if (epsilon < 0 || (epsilon == 0 && !may_be_zero))
		ModelError(FORMAT_HINT,
				   "\"%s\" is %g, expected %s",
				   JsonKeyPath(object, "epsilon"), epsilon, may_be_zero ? "0 or more" : "a positive number");
	return epsilon;
}

/*
 * json is NULL, or null in a list, for no normalization.
 */
static NormSpec
NormSpecRead(const JsonbValue *json, const char *path)
{
	static const char *const kinds[] = {"batch_norm", "layer_norm", NULL};
	static const char *const positions[] = {"before_activation", "after_activation", NULL};
	JsonObject *object;
	NormSpec	spec = {.kind = NORM_NONE};

	if (json == NULL || json->type == jbvNull)
		return spec;
	object = JsonObjectOpen(json, path);
	spec.kind = JsonGetChoice(object, "type", kinds, -1) == 0 ? NORM_BATCH : NORM_LAYER;
	spec.epsilon = ReadEpsilon(object, DEFAULT_NORM_EPSILON, spec.kind == NORM_BATCH);
	spec.scale = JsonGetBool(object, "scale", true);
	spec.center = JsonGetBool(object, "center", true);
	spec.after_activation = JsonGetChoice(object, "position", positions, 0) == 1;
	JsonObjectClose(object);
	return spec;
}

static void
ReadDice(ActivationSpec *spec, JsonObject *object)
{
	static const char *const statistics[] = {"batch", "row_mean", "row_sum", NULL};
	static const ActivationKind kinds[] = {ACTIVATION_DICE, ACTIVATION_DICE_ROW_MEAN, ACTIVATION_DICE_ROW_SUM};

	spec->kind = kinds[JsonGetChoice(object, "statistics", statistics, 0)];
	spec->epsilon = spec->kind == ACTIVATION_DICE ?
		ReadEpsilon(object, DEFAULT_DICE_EPSILON, true) :
		ReadEpsilon(object, DEFAULT_ROW_EPSILON, false);
}

/*
 * An activation is a name, or an object with the name as type and its switches.
 */
static ActivationSpec
ActivationSpecRead(const JsonbValue *json, const char *path)
{
	ActivationSpec spec = {ACTIVATION_LINEAR, DEFAULT_NEGATIVE_SLOPE, DEFAULT_DICE_EPSILON};
	JsonObject *object;

	if (json->type == jbvString)
	{
		spec.kind = JsonValueChoice(JsonValueString(json, path), path, activation_names);
		return spec;
	}
	object = JsonObjectOpen(json, path);
	spec.kind = JsonGetChoice(object, "type", activation_names, -1);
	if (spec.kind == ACTIVATION_LEAKY_RELU)
		spec.slope = JsonGetNumber(object, "negative_slope", DEFAULT_NEGATIVE_SLOPE);
	if (spec.kind == ACTIVATION_DICE)
		ReadDice(&spec, object);
	JsonObjectClose(object);
	return spec;
}

/*
 * What a key says of each layer: one value for all, or a list with one per layer.
 */
typedef struct PerLayer
{
	JsonbValue *all;			/* NULL when absent, or a list */
	JsonArray  *each;			/* NULL unless a list */
	char	   *path;
} PerLayer;

static PerLayer
ReadPerLayer(JsonObject *object, const char *key, const char *what, int nlayers)
{
	PerLayer	values = {.all = JsonGet(object, key), .path = JsonKeyPath(object, key)};

	if (values.all && values.all->type == jbvBinary && JsonContainerIsArray(values.all->val.binary.data))
	{
		values.all = NULL;
		values.each = JsonGetArray(object, key);
		if (values.each->length != nlayers)
			ModelError("Give one for all layers, or one for each.",
					   "\"%s\" has %d %s for %d layers", values.path, values.each->length, what, nlayers);
	}
	return values;
}

static JsonbValue *
OfLayer(const PerLayer *values, int l)
{
	if (values->each)
		return l < values->each->length ? &values->each->elements[l] : NULL;
	return values->all;
}

MlpSpec *
MlpSpecRead(JsonObject *object)
{
	MlpSpec    *spec = palloc0(sizeof(MlpSpec));
	JsonArray  *units;
	PerLayer	norms,
				biases,
				activations;

	if (object == NULL)
		return spec;

	units = JsonGetArray(object, "hidden_units");
	spec->nlayers = units ? units->length : 0;
	if (spec->nlayers > MTL_MAX_LAYERS)
		ModelLimitError("Use fewer layers.",
						"\"%s\" has %d layers, the limit is %d", units->path, units->length, MTL_MAX_LAYERS);
	norms = ReadPerLayer(object, "normalization", "normalizations", spec->nlayers);
	biases = ReadPerLayer(object, "bias", "truth values", spec->nlayers);
	activations = ReadPerLayer(object, "activation", "activations", spec->nlayers);

	/* What holds for all layers is read even if there are none, so that it is checked. */
	spec->layers = palloc0(sizeof(LayerSpec) * Max(spec->nlayers, 1));
	for (int l = 0; l < Max(spec->nlayers, 1); l++)
	{
		LayerSpec  *layer = &spec->layers[l];
		JsonbValue *bias = OfLayer(&biases, l);
		JsonbValue *activation = OfLayer(&activations, l);

		layer->hidden = true;
		if (spec->nlayers > 0)
			layer->units = JsonValueInt(&units->elements[l], units->path, 1, MTL_MAX_WIDTH);
		layer->norm = NormSpecRead(OfLayer(&norms, l), norms.path);
		layer->bias = bias ? JsonValueBool(bias, biases.path) : true;
		if (activation)
			layer->activation = ActivationSpecRead(activation, activations.path);
		else
			layer->activation = (ActivationSpec) {.kind = ACTIVATION_RELU};
	}
	return spec;
}

MlpSpec *
MlpSpecNeed(JsonObject *parent, const char *key)
{
	JsonObject *object = JsonGetObject(parent, key);
	MlpSpec    *spec;

	if (object == NULL)
		ModelError(FORMAT_HINT,
				   "key \"%s\" is missing", JsonKeyPath(parent, key));
	spec = MlpSpecRead(object);
	JsonObjectClose(object);
	return spec;
}

int
MlpWidth(const MlpSpec *spec, int input_width)
{
	return spec->nlayers > 0 ? spec->layers[spec->nlayers - 1].units : input_width;
}

GateSpec *
GateSpecGet(JsonObject *parent, const char *key)
{
	GateSpec   *spec = palloc0(sizeof(GateSpec));
	JsonObject *object = JsonGetObject(parent, key);
	JsonbValue *activation;

	spec->hidden = MlpSpecRead(object);
	spec->temperature = 1;
	if (object == NULL)
		return spec;

	spec->logit.bias = JsonGetBool(object, "logit_bias", false);
	spec->logit.norm = NormSpecRead(JsonGet(object, "logit_normalization"),
									JsonKeyPath(object, "logit_normalization"));
	activation = JsonGet(object, "logit_activation");
	if (activation)
		spec->logit.activation = ActivationSpecRead(activation,
													JsonKeyPath(object, "logit_activation"));
	spec->temperature = JsonGetNumber(object, "temperature", 1);
	if (!(spec->temperature > 0))
		ModelError(FORMAT_HINT,
				   "\"%s\" is %g, expected a positive number",
				   JsonKeyPath(object, "temperature"), spec->temperature);
	JsonObjectClose(object);
	return spec;
}

/* -------------------------------------------------- operations of layers */

static const Tensor *
NeedVector(GraphBuilder *builder, const char *prefix, const char *suffix, int64 units)
{
	return ModelFileNeed(builder->file, psprintf("%s.%s", prefix, suffix),
						 TENSOR_F32, 1, &units);
}

/*
 * The engine divides by sqrt(running_var + epsilon).  Without numbers, of a model that
 * was loaded before, they are known to be right.
 */
static void
CheckVariances(const Tensor *variances, double epsilon)
{
	for (int64 i = 0; TensorHasNumbers(variances) && i < variances->nelements; i++)
	{
		double		variance = TensorFloat(variances, i);

		if (!(variance + epsilon > 0))
			ModelError("Export the model from a checkpoint whose running variances are 0 or more.",
					   "tensor \"%s\" has variance %g at position " INT64_FORMAT ", expected more than minus epsilon, %g",
					   variances->name, variance, i, -epsilon);
	}
}

static void
AttachNorm(GraphBuilder *builder, GraphOp *op, const NormSpec *spec, const char *prefix)
{
	Norm	   *norm = &op->norm;

	norm->kind = spec->kind;
	if (spec->kind == NORM_NONE)
		return;
	norm->epsilon = spec->epsilon;
	norm->after_activation = spec->after_activation;
	if (spec->scale)
		norm->weight = NeedVector(builder, prefix, "norm.weight", op->width);
	if (spec->center)
		norm->bias = NeedVector(builder, prefix, "norm.bias", op->width);
	if (spec->kind == NORM_BATCH)
	{
		norm->running_mean = NeedVector(builder, prefix, "norm.running_mean", op->width);
		norm->running_var = NeedVector(builder, prefix, "norm.running_var", op->width);
		CheckVariances(norm->running_var, norm->epsilon);
	}
}

/*
 * alpha is one number for all units, or one for each: its shape says which.
 */
static const Tensor *
NeedAlpha(GraphBuilder *builder, const char *prefix, int64 units)
{
	const char *name = psprintf("%s.activation.alpha", prefix);
	Tensor	   *tensor = ModelFileFind(builder->file, name);

	if (tensor && tensor->ndims == 1 && tensor->dims[0] == 1)
		units = 1;
	return ModelFileNeed(builder->file, name, TENSOR_F32, 1, &units);
}

static void
AttachActivation(GraphBuilder *builder, GraphOp *op, const ActivationSpec *spec, const char *prefix)
{
	Activation *activation = &op->activation;

	activation->kind = spec->kind;
	activation->slope = spec->slope;
	activation->epsilon = spec->epsilon;
	switch (spec->kind)
	{
		case ACTIVATION_PRELU:
		case ACTIVATION_DICE_ROW_MEAN:
		case ACTIVATION_DICE_ROW_SUM:
			activation->alpha = NeedAlpha(builder, prefix, op->width);
			break;
		case ACTIVATION_DICE:
			activation->alpha = NeedAlpha(builder, prefix, op->width);
			activation->running_mean = NeedVector(builder, prefix, "activation.running_mean", op->width);
			activation->running_var = NeedVector(builder, prefix, "activation.running_var", op->width);
			CheckVariances(activation->running_var, activation->epsilon);
			break;
		default:
			break;
	}
}

/*
 * The weight, and for int8 the scales of its units.
 */
static void
AttachWeight(GraphBuilder *builder, GraphOp *op, const char *prefix, int inputs)
{
	static const TensorType types[] = {
		[PRECISION_FLOAT32] = TENSOR_F32,
		[PRECISION_BF16] = TENSOR_BF16,
		[PRECISION_INT8] = TENSOR_I8
	};
	int64		shape[2] = {op->width, inputs};

	op->weight = ModelFileNeed(builder->file, psprintf("%s.weight", prefix), types[op->precision],
							   2, shape);
	if (op->precision == PRECISION_INT8)
		op->weight_scale = NeedVector(builder, prefix, "weight_scale", op->width);
}

int
AddLayer(GraphBuilder *builder, const LayerSpec *spec, const char *prefix, int input)
{
	int			inputs = OpWidth(builder, input);
	int			position = AddOp(builder, OP_LAYER, prefix, spec->units, 1, &input);
	GraphOp    *op = &builder->graph->ops[position];

	op->compact = spec->hidden && inputs <= MTL_MAX_COMPACT_INPUTS;
	if (op->compact)
		op->precision = builder->contract->precision;
	AttachWeight(builder, op, prefix, inputs);
	if (spec->bias)
		op->bias = NeedVector(builder, prefix, "bias", spec->units);
	AttachNorm(builder, op, &spec->norm, prefix);
	AttachActivation(builder, op, &spec->activation, prefix);
	return position;
}

int
AddMlp(GraphBuilder *builder, const MlpSpec *spec, const char *prefix, int input)
{
	for (int l = 0; l < spec->nlayers; l++)
		input = AddLayer(builder, &spec->layers[l], psprintf("%s.%d", prefix, l), input);
	return input;
}

int
AddGatedMix(GraphBuilder *builder, const GateSpec *spec, const char *prefix,
			int level, const char *task, int input,
			int nexperts, const int *experts, char **names)
{
	LayerSpec	logit = spec->logit;
	int			op;

	logit.units = nexperts;
	op = AddMlp(builder, spec->hidden, prefix, input);
	op = AddLayer(builder, &logit, psprintf("%s.logit", prefix), op);
	op = AddSoftmax(builder, prefix, op, spec->temperature);
	NoteGate(builder, level, task, op, nexperts, names);
	return AddMix(builder, prefix, op, nexperts, experts);
}
