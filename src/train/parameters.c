/*
 * parameters.c
 *	  The tensors of a model in training.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "math/functions.h"
#include "model/memory.h"
#include "model/model_value.h"
#include "train/parameters.h"
#include "train/random.h"

#define MAX_NAME_LENGTH 256

/* Bytes of a tensor that exists while the graph is built, whoever reads it. */
#define MAX_SMALL_TENSOR (1024 * 1024)

#define STITCH_OWN 0.9			/* Misra et al. 2016: own column, and all others together */
#define PRELU_ALPHA 0.25		/* torch.nn.PReLU */

typedef struct NameEntry
{
	char		name[MAX_NAME_LENGTH];
	Parameter  *parameter;
} NameEntry;

static bool
EndsWith(const char *name, const char *end)
{
	Size		length = strlen(name);

	return length >= strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

static bool
BeginsWith(const char *name, const char *begin)
{
	return strncmp(name, begin, strlen(begin)) == 0;
}

static ParameterRole
RoleOf(const char *name)
{
	if (BeginsWith(name, "embedding."))
		return PARAMETER_TABLE;
	if (EndsWith(name, ".running_mean") || EndsWith(name, ".running_var"))
		return PARAMETER_STATISTIC;
	return PARAMETER_LAYER;
}

/* --------------------------------------------------------------- creation */

/*
 * Building a graph looks into some tensors; not into tables and matrices, which may
 * be large.
 */
static const char *
DataForBuilding(const Parameter *parameter)
{
	const Tensor *tensor = &parameter->tensor;
	float	   *data;

	if (parameter->role == PARAMETER_TABLE ||
		(tensor->size > MAX_SMALL_TENSOR && !BeginsWith(tensor->name, "stitch.")))
		return NULL;
	data = AllocateZeros(tensor->nelements * sizeof(float));
	if (EndsWith(tensor->name, ".running_var"))
		for (int64 i = 0; i < tensor->nelements; i++)
			data[i] = 1;
	return (const char *) data;
}

static void
SetShape(Tensor *tensor, int ndims, const int64 *dims)
{
	tensor->type = TENSOR_F32;
	tensor->ndims = ndims;
	tensor->nelements = 1;
	for (int i = 0; i < ndims; i++)
	{
		if (dims[i] < 1)
			elog(ERROR, "tensor \"%s\" has no shape", tensor->name);
		tensor->dims[i] = dims[i];
		tensor->nelements *= dims[i];
	}
	tensor->size = tensor->nelements * sizeof(float);
}

/* A MakeTensor. */
static Tensor *
MakeParameter(ModelFile *file, const char *name, TensorType type, int ndims, const int64 *dims)
{
	Parameters *parameters = file->maker;
	Parameter  *parameter;
	NameEntry  *entry;
	char		key[MAX_NAME_LENGTH] = {0};
	bool		found;

	/* what is not trained is there, or is missing */
	if (type != TENSOR_F32)
		return NULL;
	if (strlcpy(key, name, MAX_NAME_LENGTH) >= MAX_NAME_LENGTH)
		elog(ERROR, "tensor name \"%s\" is too long", name);
	entry = hash_search(parameters->by_name, key, HASH_ENTER, &found);
	if (found)
		return &entry->parameter->tensor;

	parameter = palloc0(sizeof(Parameter));
	entry->parameter = parameter;
	parameter->tensor.name = pstrdup(name);
	SetShape(&parameter->tensor, ndims, dims);
	parameters->size += parameter->tensor.size;
	CheckModelSize(parameters->size);
	parameter->role = RoleOf(name);
	parameter->position = parameters->nparameters;
	parameter->table = -1;
	parameter->offset = -1;
	parameter->tensor.data = DataForBuilding(parameter);

	if (parameters->nparameters == parameters->capacity)
	{
		parameters->capacity *= 2;
		parameters->list = repalloc(parameters->list, sizeof(Parameter *) * parameters->capacity);
		parameters->tables = repalloc(parameters->tables, sizeof(Parameter *) * parameters->capacity);
	}
	parameters->list[parameters->nparameters++] = parameter;
	if (parameter->role == PARAMETER_TABLE)
	{
		parameter->table = parameters->ntables;
		parameters->tables[parameters->ntables++] = parameter;
	}
	return &parameter->tensor;
}

Parameters *
ParametersCreate(ModelFile *file)
{
	Parameters *parameters = palloc0(sizeof(Parameters));
	HASHCTL		control = {0};

	control.keysize = MAX_NAME_LENGTH;
	control.entrysize = sizeof(NameEntry);
	control.hcxt = CurrentMemoryContext;
	parameters->by_name = hash_create("mtl_rank parameters", 256, &control,
									  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	parameters->capacity = 256;
	parameters->list = palloc(sizeof(Parameter *) * parameters->capacity);
	parameters->tables = palloc(sizeof(Parameter *) * parameters->capacity);
	file->make = MakeParameter;
	file->maker = parameters;
	return parameters;
}

Parameter *
ParameterOf(const Tensor *tensor)
{
	/* the tensor is the first member */
	return (Parameter *) unconstify(Tensor *, tensor);
}

/* -------------------------------------------------------------- placement */

static void
Place(Parameters *parameters, const Tensor *tensor)
{
	Parameter  *parameter = ParameterOf(tensor);

	if (parameter == NULL || parameter->role != PARAMETER_LAYER || parameter->offset >= 0)
		return;
	parameter->offset = parameters->nflat;
	parameters->nflat += tensor->nelements;
}

/*
 * The weights of all layers that read what this one does, one after the other.
 */
static void
PlaceLayers(Parameters *parameters, const Graph *graph, int first)
{
	int			input = graph->ops[first].inputs[0];

	for (int i = first; i < graph->nops; i++)
		if (graph->ops[i].kind == OP_LAYER && graph->ops[i].inputs[0] == input)
			Place(parameters, graph->ops[i].weight);
}

void
ParametersPlace(Parameters *parameters, const Graph *graph)
{
	for (int i = 0; i < graph->nops; i++)
	{
		CHECK_FOR_INTERRUPTS();
		/* the rest of a row of layers has its place already */
		if (graph->ops[i].kind == OP_LAYER && ParameterOf(graph->ops[i].weight)->offset < 0)
			PlaceLayers(parameters, graph, i);
	}

	for (int i = 0; i < parameters->nparameters; i++)
		Place(parameters, &parameters->list[i]->tensor);
}

/* --------------------------------------------------------- initial values */

static void
Fill(Parameter *parameter, double number)
{
	if (parameter == NULL)
		return;
	for (int64 i = 0; i < parameter->tensor.nelements; i++)
		parameter->value[i] = number;
}

static void
FillUniform(Parameter *parameter, double bound, int64 seed)
{
	pg_prng_state state;

	if (parameter == NULL)
		return;
	RandomSeed(&state, seed, RANDOM_INITIAL, parameter->position);
	for (int64 i = 0; i < parameter->tensor.nelements; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		parameter->value[i] = (float) RandomUniform(&state, bound);
	}
}

/*
 * Glorot and Bengio 2010, as Keras and thereby DeepCTR have it: uniform within
 * sqrt(6 / (inputs + outputs)).
 */
static void
FillMatrix(Parameter *parameter, int64 seed)
{
	const Tensor *tensor = &parameter->tensor;

	FillUniform(parameter, MtlSqrt(6.0 / (tensor->dims[0] + tensor->dims[1])), seed);
}

/*
 * A combination starts close to the identity: of each vector most from the one of
 * the same task and subspace, and for skips the same from all.
 */
static void
FillCombination(const GraphOp *op)
{
	Parameter  *parameter = ParameterOf(op->weights_tensor);
	int64		n = (int64) op->ninputs * op->subspaces;
	real	   *value = parameter->value + op->weights_offset;
	bool		stitch = BeginsWith(parameter->tensor.name, "stitch.");
	double		others = n > 1 ? (1 - STITCH_OWN) / (n - 1) : 0;

	if (op->per_unit)
	{
		int64		own = op->weights_offset / ((int64) op->ninputs * op->width);

		others = op->ninputs > 1 ? (1 - STITCH_OWN) / (op->ninputs - 1) : 0;
		for (int i = 0; i < op->ninputs; i++)
			for (int u = 0; u < op->width; u++)
				value[(int64) i * op->width + u] = i == own ? (op->ninputs > 1 ? STITCH_OWN : 1) : others;
		return;
	}
	for (int g = 0; g < op->subspaces; g++)
	{
		int64		own = op->weights_offset / n + g;

		for (int64 k = 0; k < n; k++)
			value[g * n + k] = !stitch ? 1.0 / n : k == own ? (n > 1 ? STITCH_OWN : 1) : others;
	}
}

static void
InitializeLayer(const GraphOp *op, int64 seed)
{
	FillMatrix(ParameterOf(op->weight), seed);
	Fill(ParameterOf(op->norm.weight), 1);
	Fill(ParameterOf(op->norm.running_var), 1);
	Fill(ParameterOf(op->activation.running_var), 1);
	if (op->activation.kind == ACTIVATION_PRELU)
		Fill(ParameterOf(op->activation.alpha), PRELU_ALPHA);
}

static void
InitializeInput(const Graph *graph, const GraphOp *op, const TrainOptions *options)
{
	for (int i = 0; i < graph->layout->nfields; i++)
	{
		Parameter  *parameter = ParameterOf(op->tables[i]);

		if (parameter == NULL)
			continue;
		if (parameter->role == PARAMETER_TABLE)
			FillUniform(parameter, options->embedding_init, options->seed);
		else
			FillMatrix(parameter, options->seed);
	}
}

void
ParametersInitialize(Parameters *parameters, const Graph *graph, const TrainOptions *options)
{
	parameters->flat = AllocateZeros(parameters->nflat * sizeof(real));
	for (int i = 0; i < parameters->nparameters; i++)
	{
		Parameter  *parameter = parameters->list[i];

		parameter->tensor.data = NULL;
		parameter->value = parameter->role == PARAMETER_LAYER ?
			parameters->flat + parameter->offset : AllocateZeros(parameter->tensor.nelements * sizeof(real));
	}
	for (int i = 0; i < graph->nops; i++)
	{
		const GraphOp *op = &graph->ops[i];

		if (op->kind == OP_INPUT)
			InitializeInput(graph, op, options);
		else if (op->kind == OP_LAYER)
			InitializeLayer(op, options->seed);
		else if (op->kind == OP_COMBINE && op->weights_tensor)
			FillCombination(op);
	}
}

int
ParametersStartFrom(Parameters *parameters, const ModelFile *file)
{
	int			ntaken = 0;

	for (int i = 0; i < parameters->nparameters; i++)
	{
		Parameter  *parameter = parameters->list[i];
		const Tensor *tensor = &parameter->tensor;
		const Tensor *old = ModelFileFind(file, tensor->name);
		bool		fits = old && old->type == TENSOR_F32 && old->ndims == tensor->ndims;

		/* of a table the rows may have become more */
		for (int d = 0; fits && d < tensor->ndims; d++)
			fits = old->dims[d] == tensor->dims[d] ||
				(d == 0 && parameter->role == PARAMETER_TABLE && old->dims[d] < tensor->dims[d]);
		if (!fits)
			continue;
		for (int64 k = 0; k < old->nelements; k++)
		{
			if (k % MTL_NUMBERS_PER_CHECK == 0)
				CHECK_FOR_INTERRUPTS();
			parameter->value[k] = TensorFloat(old, k);
		}
		ntaken++;
	}
	return ntaken;
}

int
ParametersTensors(const Parameters *parameters, Tensor **tensors)
{
	*tensors = palloc(sizeof(Tensor) * Max(parameters->nparameters, 1));
	for (int i = 0; i < parameters->nparameters; i++)
	{
		const Parameter *parameter = parameters->list[i];
		int64		n = parameter->tensor.nelements;
		float	   *data = AllocateLarge(n * sizeof(float));

		for (int64 k = 0; k < n; k++)
		{
			if (k % MTL_NUMBERS_PER_CHECK == 0)
				CHECK_FOR_INTERRUPTS();
			data[k] = (float) parameter->value[k];
		}
		(*tensors)[i] = parameter->tensor;
		(*tensors)[i].data = (char *) data;
	}
	return parameters->nparameters;
}
