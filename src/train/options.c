/*
 * options.c
 *	  The options of a training.
 */
#include "postgres.h"

#include "compat.h"
#include "model/json_reader.h"
#include "model/model_error.h"
#include "train/options.h"

#define MAX_EPOCHS 100000
#define MAX_BATCH_SIZE 65536
#define MAX_EXAMPLES_KEPT 1000

static const char *const optimizer_names[] = {"adam", "adagrad", "sgd", "ftrl", NULL};
static const char *const schedule_names[] = {"constant", "step", "exponential", "linear", "cosine", NULL};
static const char *const weighting_names[] = {"fixed", "uncertainty", "gradnorm", "dwa", "pcgrad", NULL};

const char *
OptimizerName(OptimizerKind kind)
{
	return optimizer_names[kind];
}

const char *
WeightingName(WeightingKind kind)
{
	return weighting_names[kind];
}

static MTL_NORETURN void
RangeError(const char *path, double found, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid model: \"%s\" is %g, expected %s", path, found, expected),
			 errhint(FORMAT_HINT)));
}

static double
GetPositive(JsonObject *object, const char *key, double default_value)
{
	double		number = JsonGetNumber(object, key, default_value);

	if (!(number > 0))
		RangeError(JsonKeyPath(object, key), number, "a positive number");
	return number;
}

static double
GetNotNegative(JsonObject *object, const char *key, double default_value)
{
	double		number = JsonGetNumber(object, key, default_value);

	if (!(number >= 0))
		RangeError(JsonKeyPath(object, key), number, "0 or more");
	return number;
}

/* A number in [0, 1), or in (0, 1] where whole says so. */
static double
GetShare(JsonObject *object, const char *key, double default_value, bool whole)
{
	double		number = JsonGetNumber(object, key, default_value);

	if (whole ? !(number > 0 && number <= 1) : !(number >= 0 && number < 1))
		RangeError(JsonKeyPath(object, key), number,
				   whole ? "more than 0 and at most 1" : "at least 0 and less than 1");
	return number;
}

/*
 * An optimizer: a name, or an object with its numbers.  Defaults are those of
 * PyTorch (adam) and Keras (adagrad, ftrl).
 */
static OptimizerOptions
ReadOptimizer(JsonObject *parent, const char *key, const OptimizerOptions *when_absent, bool embeddings)
{
	OptimizerOptions options = {OPTIMIZER_ADAM, 0.001, 0.9, 0.999, 1e-8, 0.1, 0, 1, 0, 0};
	JsonbValue *json = JsonGet(parent, key);
	char	   *path = JsonKeyPath(parent, key);
	JsonObject *object = NULL;

	if (json == NULL)
		return *when_absent;
	if (json->type == jbvString)
		options.kind = JsonValueChoice(JsonValueString(json, path), path, optimizer_names);
	else
	{
		object = JsonObjectOpen(json, path);
		options.kind = JsonGetChoice(object, "type", optimizer_names, OPTIMIZER_ADAM);
	}
	if (options.kind == OPTIMIZER_FTRL && !embeddings)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"%s\" is ftrl, which is for embeddings", path),
				 errhint("Give it as \"embedding_optimizer\".")));

	switch (options.kind)
	{
		case OPTIMIZER_ADAM:
			options.epsilon = 1e-8;
			if (object)
			{
				options.beta1 = GetShare(object, "beta1", options.beta1, false);
				options.beta2 = GetShare(object, "beta2", options.beta2, false);
				options.epsilon = GetPositive(object, "epsilon", options.epsilon);
			}
			break;
		case OPTIMIZER_ADAGRAD:
			options.learning_rate = 0.01;
			options.epsilon = 1e-7;
			if (object)
			{
				options.initial_accumulator = GetNotNegative(object, "initial_accumulator", 0.1);
				options.epsilon = GetPositive(object, "epsilon", options.epsilon);
			}
			break;
		case OPTIMIZER_SGD:
			options.learning_rate = 0.01;
			if (object)
				options.momentum = GetShare(object, "momentum", 0, false);
			break;
		case OPTIMIZER_FTRL:
			options.learning_rate = 0.01;
			if (object)
			{
				options.initial_accumulator = GetNotNegative(object, "initial_accumulator", 0.1);
				options.beta = GetNotNegative(object, "beta", options.beta);
				options.l1 = GetNotNegative(object, "l1", 0);
				options.l2 = GetNotNegative(object, "l2", 0);
			}
			break;
	}
	if (object)
	{
		options.learning_rate = GetPositive(object, "learning_rate", options.learning_rate);
		JsonObjectClose(object);
	}
	return options;
}

static ScheduleOptions
ReadSchedule(JsonObject *parent)
{
	ScheduleOptions schedule = {SCHEDULE_CONSTANT, 0, 0.9, 1, 0};
	JsonObject *object = JsonGetObject(parent, "schedule");

	if (object == NULL)
		return schedule;
	schedule.kind = JsonGetChoice(object, "type", schedule_names, SCHEDULE_CONSTANT);
	schedule.warmup_steps = JsonGetInt(object, "warmup_steps", 0, PG_INT32_MAX, 0);
	if (schedule.kind == SCHEDULE_STEP || schedule.kind == SCHEDULE_EXPONENTIAL)
	{
		schedule.decay = GetShare(object, "decay", schedule.decay, true);
		schedule.every = GetPositive(object, "every", schedule.every);
	}
	if (schedule.kind == SCHEDULE_LINEAR || schedule.kind == SCHEDULE_COSINE)
		schedule.floor = GetShare(object, "floor", 0, false);
	JsonObjectClose(object);
	return schedule;
}

static int
FindTask(const Contract *contract, const char *name, const char *path)
{
	for (int i = 0; i < contract->ntasks; i++)
		if (strcmp(contract->tasks[i].name, name) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid model: \"%s\" names \"%s\", which is no task of the spec", path, name),
			 errhint("The spec's \"tasks\" say what there is.")));
}

/* The task of this name, which must have a loss. */
static int
FindLabelledTask(const Contract *contract, const bool *labelled, const char *name, const char *path)
{
	int			task = FindTask(contract, name, path);

	if (!labelled[task])
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"%s\" names task \"%s\", which has no label", path, name),
				 errhint("Give the task a label in the spec, or name another one.")));
	return task;
}

/* An object of task names and numbers of 0 or more; others keep the default. */
static double *
ReadTaskNumbers(JsonObject *parent, const char *key, const Contract *contract, const bool *labelled,
				double default_value)
{
	double	   *numbers = palloc(sizeof(double) * contract->ntasks);
	JsonObject *object = parent ? JsonGetObject(parent, key) : NULL;
	char	  **names;
	JsonbValue *values;
	int			n;

	for (int i = 0; i < contract->ntasks; i++)
		numbers[i] = default_value;
	if (object == NULL)
		return numbers;
	n = JsonObjectEntries(object, &names, &values);
	for (int i = 0; i < n; i++)
		numbers[FindLabelledTask(contract, labelled, names[i], JsonObjectPath(object))] =
			GetNotNegative(object, names[i], 1);
	return numbers;
}

static WeightingOptions
ReadWeighting(JsonObject *parent, const Contract *contract, const bool *labelled)
{
	WeightingOptions weighting = {WEIGHTING_FIXED, NULL, NULL, 1.5, 0.025, 2};
	JsonObject *object = JsonGetObject(parent, "task_weights");

	if (object)
		weighting.kind = JsonGetChoice(object, "type", weighting_names, WEIGHTING_FIXED);
	weighting.weights = ReadTaskNumbers(weighting.kind == WEIGHTING_FIXED || weighting.kind == WEIGHTING_PCGRAD ?
										object : NULL, "weights", contract, labelled, 1);
	weighting.gamma = ReadTaskNumbers(weighting.kind == WEIGHTING_FIXED || weighting.kind == WEIGHTING_PCGRAD ?
									  object : NULL, "gamma", contract, labelled, 1);
	if (object == NULL)
		return weighting;

	if (weighting.kind == WEIGHTING_GRADNORM)
		weighting.alpha = GetNotNegative(object, "alpha", weighting.alpha);
	if (weighting.kind == WEIGHTING_GRADNORM || weighting.kind == WEIGHTING_UNCERTAINTY)
		weighting.learning_rate = GetPositive(object, "learning_rate",
											  weighting.kind == WEIGHTING_GRADNORM ? 0.025 : 0.001);
	if (weighting.kind == WEIGHTING_DWA)
		weighting.temperature = GetPositive(object, "temperature", weighting.temperature);
	JsonObjectClose(object);
	return weighting;
}

#define CHAIN_HINT "Name the binary tasks, each of which implies the one before it, as the calibrator's \"tasks\"."

/* What tells tasks of the calibrator from others. */
static void
CheckChain(const Contract *contract, const CalibratorOptions *calibrator, const char *path)
{
	const bool *probability = ContractProbabilities(contract);

	if (calibrator->ntasks < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"%s\" must have 2 tasks or more, found %d", path, calibrator->ntasks),
				 errhint(CHAIN_HINT)));
	for (int i = 0; i < calibrator->ntasks; i++)
	{
		const Task *task = &contract->tasks[calibrator->tasks[i]];

		if (!probability[calibrator->tasks[i]])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid model: \"%s\" has task \"%s\", whose score is no probability", path, task->name),
					 errhint(CHAIN_HINT)));
		for (int k = 0; k < i; k++)
			if (calibrator->tasks[k] == calibrator->tasks[i])
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("invalid model: \"%s\" names task \"%s\" twice", path, task->name),
						 errhint(CHAIN_HINT)));
	}
}

/* The paper's weight, and all tasks in their order, unless others are given. */
static CalibratorOptions
ReadCalibrator(JsonObject *parent, const Contract *contract)
{
	CalibratorOptions calibrator = {0, 0, NULL};
	JsonObject *object = JsonGetObject(parent, "calibrator");
	JsonArray  *array;
	char	   *path;

	if (object == NULL)
		return calibrator;
	path = JsonKeyPath(object, "tasks");
	calibrator.weight = GetNotNegative(object, "weight", 0.6);
	array = JsonGet(object, "tasks") ? JsonNeedArray(object, "tasks") : NULL;
	calibrator.ntasks = array ? array->length : contract->ntasks;
	calibrator.tasks = palloc(sizeof(int) * Max(calibrator.ntasks, 1));
	for (int i = 0; i < calibrator.ntasks; i++)
		calibrator.tasks[i] = array ?
			FindTask(contract, JsonValueString(&array->elements[i], path), path) : i;
	CheckChain(contract, &calibrator, path);
	JsonObjectClose(object);
	return calibrator;
}

static StoppingOptions
ReadStopping(JsonObject *parent, const Contract *contract, const bool *labelled)
{
	StoppingOptions stopping = {WATCH_NOTHING, 0, 2, 0};
	JsonObject *object = JsonGetObject(parent, "early_stopping");
	char	   *watch;

	if (object == NULL)
		return stopping;
	watch = JsonGetString(object, "watch", "mean");
	if (strcmp(watch, "mean") == 0)
		stopping.watch = WATCH_MEAN;
	else if (strcmp(watch, "any") == 0)
		stopping.watch = WATCH_ANY;
	else
	{
		stopping.watch = WATCH_TASK;
		stopping.task = FindLabelledTask(contract, labelled, watch, JsonKeyPath(object, "watch"));
	}
	stopping.patience = JsonGetInt(object, "patience", 1, MAX_EPOCHS, stopping.patience);
	stopping.min_delta = GetNotNegative(object, "min_delta", 0);
	JsonObjectClose(object);
	return stopping;
}

static void
ReadL2(TrainOptions *options, JsonObject *parent)
{
	JsonObject *object = JsonGetObject(parent, "l2");

	if (object == NULL)
		return;
	options->l2_layers = GetNotNegative(object, "layers", 0);
	options->l2_embeddings = GetNotNegative(object, "embeddings", 0);
	options->soft_sharing = GetNotNegative(object, "soft_sharing", 0);
	JsonObjectClose(object);
}

static void
ReadValidation(TrainOptions *options, JsonObject *parent)
{
	JsonObject *object = JsonGetObject(parent, "validation");
	JsonbValue *query;

	if (object == NULL)
		return;
	query = JsonGet(object, "query");
	if (query)
		options->validation_query = JsonNeedText(object, "query");
	options->validation_fraction = GetShare(object, "fraction", 0, false);
	if (query && options->validation_fraction > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"validation\" has both a query and a fraction"),
				 errhint("Give one of the two.")));
	if (query == NULL && options->validation_fraction == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"validation\" has neither a query nor a fraction"),
				 errhint("Give one of the two.")));
	JsonObjectClose(object);
}

TrainOptions *
TrainOptionsRead(const Jsonb *json, const Contract *contract, const bool *labelled)
{
	static const OptimizerOptions adam = {OPTIMIZER_ADAM, 0.001, 0.9, 0.999, 1e-8, 0.1, 0, 1, 0, 0};
	TrainOptions *options = palloc0(sizeof(TrainOptions));
	JsonObject *object = JsonObjectOpen(JsonRoot(json), "options");

	options->epochs = JsonGetInt(object, "epochs", 1, MAX_EPOCHS, 10);
	options->batch_size = JsonGetInt(object, "batch_size", 1, MAX_BATCH_SIZE, 1024);
	options->seed = JsonGetInt(object, "seed", 0, PG_INT32_MAX, 0);
	options->layers = ReadOptimizer(object, "optimizer", &adam, false);
	options->embeddings = ReadOptimizer(object, "embedding_optimizer", &options->layers, true);
	options->schedule = ReadSchedule(object);
	options->weighting = ReadWeighting(object, contract, labelled);
	options->calibrator = ReadCalibrator(object, contract);
	options->stopping = ReadStopping(object, contract, labelled);
	ReadL2(options, object);
	options->dropout = GetShare(object, "dropout", 0, false);
	options->batch_norm_momentum = GetShare(object, "batch_norm_momentum", 0.1, true);
	options->clip_norm = GetNotNegative(object, "clip_norm", 0);
	options->embedding_init = GetNotNegative(object, "embedding_init", 0.05);
	options->weight_column = JsonGetString(object, "weight_column", NULL);
	ReadValidation(options, object);
	options->examples = JsonGetInt(object, "examples", 0, MAX_EXAMPLES_KEPT, 20);
	JsonObjectClose(object);

	if (options->stopping.watch != WATCH_NOTHING &&
		options->validation_query == NULL && options->validation_fraction == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid model: \"options.early_stopping\" needs rows to validate on"),
				 errhint("Give \"validation\" a query or a fraction.")));
	return options;
}
