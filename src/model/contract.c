/*
 * contract.c
 *	  Parses a contract: tasks, outputs, rank, examples; features are in
 *	  contract_features.c.
 */
#include "postgres.h"

#include "utils/jsonb.h"

#include "compat.h"
#include "model/contract.h"
#include "model/contract_internal.h"
#include "model/json_reader.h"
#include "model/model_error.h"
#include "model/names.h"

#define CONTRACT_FORMAT 1

#define DEFAULT_TOLERANCE 1e-6
#define MAX_EXAMPLES 100000

const char *const precision_names[] = {
	[PRECISION_FLOAT32] = "float32",
	[PRECISION_BF16] = "bf16",
	[PRECISION_INT8] = "int8",
	NULL
};

void
CheckName(const char *name, const char *path)
{
	Size		length = strlen(name);

	if (length < 1 || length > MTL_MAX_NAME)
		ModelError("Give it another name.",
				   "name \"%s\" at \"%s\" has %zu bytes, expected 1 to %d", name, path, length, MTL_MAX_NAME);
	for (const char *c = name; *c; c++)
	{
		if (*c == '.' || (unsigned char) *c < 0x20 || *c == 0x7F)
			ModelError("Give it another name.",
					   "name \"%s\" at \"%s\" has a dot or a control character", name, path);
	}
}

void
CheckDistinct(char **names, int n, const char *what)
{
	NameIndex  *index = NameIndexCreate(names, n);
	int			first;
	int			second;

	if (NameIndexHasTwins(index, &first, &second))
		ModelError("Rename one of the two, or leave it out.",
				   "%s \"%s\" appears twice", what, names[first]);
	pfree(index->sorted);
	pfree(index);
}

static void
CheckFormat(JsonObject *object)
{
	int64		format = JsonNeedInt(object, "format", 1, PG_INT32_MAX);

	if (format > CONTRACT_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model has format " INT64_FORMAT ", this version of mtl_rank knows formats up to %d",
						format, CONTRACT_FORMAT),
				 errhint("Install a newer version of mtl_rank.")));
}

/* ---------------------------------------------------------------- tasks */

static void
ParseClasses(Task *task, JsonObject *object)
{
	JsonArray  *classes = JsonGetArray(object, "classes");
	int64		count = JsonGetInt(object, "num_classes", 2, MTL_MAX_OUTPUTS,
								   classes ? classes->length : 0);

	if (count == 0 || (classes && classes->length != count))
		ModelError("Give one of the two, or the same number in both.",
				   "multiclass task \"%s\" has %d names in \"classes\" and num_classes " INT64_FORMAT,
				   task->name, classes ? classes->length : 0, count);
	if (count < 2 || count > MTL_MAX_OUTPUTS)
		ModelError(FORMAT_HINT,
				   "multiclass task \"%s\" has " INT64_FORMAT " classes, expected 2 to %d",
				   task->name, count, MTL_MAX_OUTPUTS);

	task->nclasses = count;
	task->classes = palloc(sizeof(char *) * count);
	for (int i = 0; i < count; i++)
		task->classes[i] = classes ?
			JsonValueString(&classes->elements[i], classes->path) : psprintf("%d", i);
	CheckDistinct(task->classes, count, "class");
}

/*
 * Factors are tasks declared earlier, so that products cannot go round in
 * circles.
 */
static void
ParseFactors(Contract *contract, Task *task, JsonObject *object, const NameIndex *names)
{
	JsonArray  *of = JsonNeedArray(object, "of");
	int			position = task - contract->tasks;

	if (of->length < 2)
		ModelError("Name the tasks whose scores are multiplied.",
				   "\"%s\" has %d tasks, expected at least 2", of->path, of->length);
	if (of->length > MTL_MAX_TASKS)
		ModelLimitError("Multiply fewer tasks.",
						"\"%s\" has %d tasks, the limit is %d", of->path, of->length, MTL_MAX_TASKS);
	task->nfactors = of->length;
	task->factors = palloc(sizeof(int) * of->length);
	for (int i = 0; i < of->length; i++)
	{
		char	   *name = JsonValueString(&of->elements[i], of->path);
		int			factor = NameIndexFind(names, name);

		if (factor < 0 || factor >= position)
			ModelError("Declare the task before the product.",
					   "product \"%s\" names \"%s\", which is no task declared before it", task->name, name);
		if (contract->tasks[factor].type == TASK_MULTICLASS)
			ModelError("Name tasks of one score.",
					   "product \"%s\" names the multiclass task \"%s\"", task->name, name);
		task->factors[i] = factor;
	}
}

static void
ParseTask(Contract *contract, Task *task, JsonObject *object, const NameIndex *names)
{
	static const char *const types[] = {"binary", "regression", "multiclass", "product", NULL};
	static const char *const heads[] = {"sigmoid", "softmax", NULL};

	task->type = JsonGetChoice(object, "type", types, -1);
	task->hidden = JsonGetBool(object, "hidden", false);
	if (task->type == TASK_BINARY)
		task->softmax_head = JsonGetChoice(object, "head", heads, 0) == 1;
	if (task->type == TASK_MULTICLASS)
		ParseClasses(task, object);
	if (task->type == TASK_PRODUCT)
		ParseFactors(contract, task, object, names);
	else
		task->tower = JsonGet(object, "tower");
	JsonObjectClose(object);
}

static void
ParseTasks(Contract *contract, JsonObject *object)
{
	JsonArray  *array = JsonNeedArray(object, "tasks");
	JsonObject **tasks;
	char	  **names;
	NameIndex  *index;

	if (array->length < 1 || array->length > MTL_MAX_TASKS)
		ModelError(FORMAT_HINT,
				   "%d tasks, expected 1 to %d", array->length, MTL_MAX_TASKS);
	contract->ntasks = array->length;
	contract->tasks = palloc0(sizeof(Task) * array->length);
	tasks = palloc(sizeof(JsonObject *) * array->length);
	names = palloc(sizeof(char *) * array->length);
	for (int i = 0; i < array->length; i++)
	{
		tasks[i] = JsonArrayObject(array, i);
		names[i] = JsonNeedString(tasks[i], "name");
		CheckName(names[i], JsonKeyPath(tasks[i], "name"));
		contract->tasks[i].name = names[i];
	}
	CheckDistinct(names, array->length, "task");

	index = NameIndexCreate(names, array->length);
	for (int i = 0; i < array->length; i++)
		ParseTask(contract, &contract->tasks[i], tasks[i], index);
}

/*
 * Lists the numbers of mtl_score's array: a task each, a class each for
 * multiclass tasks, nothing for hidden ones.
 */
static void
ListOutputs(Contract *contract)
{
	int			n = 0;
	char	  **names;

	for (int i = 0; i < contract->ntasks; i++)
		if (!contract->tasks[i].hidden)
			n += contract->tasks[i].type == TASK_MULTICLASS ? contract->tasks[i].nclasses : 1;
	if (n < 1 || n > MTL_MAX_OUTPUTS)
		ModelError(FORMAT_HINT,
				   "%d outputs, expected 1 to %d", n, MTL_MAX_OUTPUTS);

	contract->outputs = palloc(sizeof(Output) * n);
	names = palloc(sizeof(char *) * n);
	for (int i = 0; i < contract->ntasks; i++)
	{
		const Task *task = &contract->tasks[i];

		if (task->hidden)
			continue;
		for (int k = 0; k < Max(task->nclasses, 1); k++)
		{
			Output	   *output = &contract->outputs[contract->noutputs];

			output->name = task->type == TASK_MULTICLASS ?
				psprintf("%s.%s", task->name, task->classes[k]) : task->name;
			output->task = i;
			output->class = k;
			names[contract->noutputs++] = output->name;
		}
	}
	CheckDistinct(names, n, "output");
}

static int
FindOutput(const Contract *contract, const char *name)
{
	for (int i = 0; i < contract->noutputs; i++)
	{
		if (strcmp(contract->outputs[i].name, name) == 0)
			return i;
	}
	return -1;
}

static char *
OutputNames(const Contract *contract)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < contract->noutputs; i++)
		AppendQuotedName(&names, contract->outputs[i].name);
	return names.data;
}

int
ContractOutput(const Contract *contract, const char *name)
{
	int			output = FindOutput(contract, name);

	if (output < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model has no task \"%s\"", name),
				 errhint("Its tasks are %s.", OutputNames(contract))));
	return output;
}

bool *
ContractProbabilities(const Contract *contract)
{
	bool	   *probability = palloc(sizeof(bool) * contract->ntasks);

	/* factors of products are earlier tasks */
	for (int i = 0; i < contract->ntasks; i++)
	{
		const Task *task = &contract->tasks[i];

		probability[i] = task->type == TASK_BINARY || task->type == TASK_PRODUCT;
		for (int k = 0; k < task->nfactors; k++)
			probability[i] &= probability[task->factors[k]];
	}
	return probability;
}

/* ---------------------------------------------------- rank and examples */

static int
CompareTerms(const void *a, const void *b)
{
	return *(const int *) a - *(const int *) b;
}

RankFormula *
RankFormulaParse(const Contract *contract, const JsonbValue *weights, const char *path, bool product)
{
	RankFormula *formula = palloc(sizeof(RankFormula));
	JsonObject *object = JsonObjectOpen(weights, path);
	char	  **names;
	JsonbValue *values;
	double	   *by_output = palloc(sizeof(double) * contract->noutputs);

	formula->product = product;
	formula->nterms = JsonObjectEntries(object, &names, &values);
	if (formula->nterms == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is empty", path),
				 errhint("Give a weight to at least one of %s.", OutputNames(contract))));
	formula->outputs = palloc(sizeof(int) * formula->nterms);
	formula->weights = palloc(sizeof(double) * formula->nterms);
	for (int i = 0; i < formula->nterms; i++)
	{
		int			output = FindOutput(contract, names[i]);

		if (output < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" names \"%s\", which is no task of the model", path, names[i]),
					 errhint("Its tasks are %s.", OutputNames(contract))));
		formula->outputs[i] = output;
		by_output[output] = JsonValueNumber(&values[i], JsonKeyPath(object, names[i]));
	}

	/* terms are added in the order of the outputs, whatever jsonb's order */
	qsort(formula->outputs, formula->nterms, sizeof(int), CompareTerms);
	for (int i = 0; i < formula->nterms; i++)
		formula->weights[i] = by_output[formula->outputs[i]];
	return formula;
}

static void
ParseRank(Contract *contract, JsonObject *object)
{
	static const char *const forms[] = {"sum", "product", NULL};
	JsonObject *rank = JsonGetObject(object, "rank");
	JsonbValue *weights;
	bool		product;

	if (rank == NULL)
		return;
	product = JsonGetChoice(rank, "form", forms, 0) == 1;
	weights = JsonGet(rank, "weights");
	if (weights == NULL)
		ModelError("Give a weight to one task or more.",
				   "key \"rank.weights\" is missing");
	contract->rank = RankFormulaParse(contract, weights, "rank.weights", product);
	JsonObjectClose(rank);
}

static void
ParseExamples(Contract *contract, JsonObject *object)
{
	JsonObject *examples = JsonGetObject(object, "examples");

	if (examples == NULL)
		return;
	contract->nexamples = JsonNeedInt(examples, "count", 1, MAX_EXAMPLES);
	contract->tolerance = JsonGetNumber(examples, "tolerance", DEFAULT_TOLERANCE);
	if (contract->tolerance < 0)
		ModelError(FORMAT_HINT,
				   "\"examples.tolerance\" is %g, expected 0 or more", contract->tolerance);
	JsonObjectClose(examples);
}

void
ContractFindJson(Contract *contract, const Jsonb *jsonb)
{
	JsonObject *object = JsonObjectOpen(JsonRoot(jsonb), "");
	JsonArray  *tasks = JsonNeedArray(object, "tasks");

	Assert(tasks->length == contract->ntasks);
	for (int i = 0; i < contract->ntasks; i++)
		if (contract->tasks[i].type != TASK_PRODUCT)
			contract->tasks[i].tower = JsonGet(JsonArrayObject(tasks, i), "tower");
	contract->architecture = JsonGet(object, "architecture");
}

void
ContractForgetJson(Contract *contract)
{
	contract->architecture = NULL;
	for (int i = 0; i < contract->ntasks; i++)
		contract->tasks[i].tower = NULL;
}

Contract *
ContractParse(const Jsonb *jsonb)
{
	Contract   *contract = palloc0(sizeof(Contract));
	JsonObject *object = JsonObjectOpen(JsonRoot(jsonb), "");

	CheckFormat(object);
	contract->precision = JsonGetChoice(object, "precision", precision_names, PRECISION_FLOAT32);
	ParseFeatures(contract, object);
	ParseTasks(contract, object);
	ListOutputs(contract);
	ParseRank(contract, object);
	ParseExamples(contract, object);
	contract->architecture = JsonGet(object, "architecture");
	if (contract->architecture == NULL)
		ModelError(FORMAT_HINT,
				   "key \"architecture\" is missing");
	(void) JsonGetObject(object, "provenance");
	JsonObjectClose(object);
	return contract;
}
