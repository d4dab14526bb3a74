/*
 * prepare.c
 *	  From the arguments of mtl_train to a network and its rows.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "model/model_error.h"
#include "train/blas.h"
#include "train/optimizer.h"
#include "train/prepare.h"
#include "train/progress.h"
#include "train/source.h"
#include "train/weighting.h"

/*
 * Rows that are shuffled together.  It must not depend on the memory there is, or
 * the model would.
 */
#define PARTITION_SIZE (4 * 1024 * 1024)

/* A vocabulary is kept as tensors, and by the encoder as texts and a hash table. */
#define VOCABULARY_COPIES 3

/* Bytes of the queries together. */
#define MAX_QUERIES_SIZE (2 * 1024 * 1024)

/* -------------------------------------------------------------- arguments */

/*
 * The reader of contracts speaks of models; here it is an argument that is wrong.
 * Other errors pass.
 */
static MTL_NORETURN void
RethrowFor(MemoryContext caller, const char *argument)
{
	ErrorData  *error;

	MemoryContextSwitchTo(caller);
	error = CopyErrorData();
	if (error->message && strncmp(error->message, MODEL_ERROR_PREFIX, strlen(MODEL_ERROR_PREFIX)) == 0)
	{
		error->message = psprintf("invalid %s: %s", argument, error->message + strlen(MODEL_ERROR_PREFIX));
		if (error->hint && strcmp(error->hint, FORMAT_HINT) == 0)
			error->hint = psprintf("Correct the %s as docs/training.md says.", argument);
		if (error->sqlerrcode == ERRCODE_INVALID_BINARY_REPRESENTATION)
			error->sqlerrcode = ERRCODE_INVALID_PARAMETER_VALUE;
	}
	FlushErrorState();
	ReThrowError(error);
}

/* The parameters of a contract's graph, without values. */
static Graph *
BuildGraph(const Contract *contract, ModelFile *file, Parameters **parameters)
{
	*parameters = ParametersCreate(file);
	return GraphBuild(contract, file);
}

/*
 * Reads the spec, and builds its network with stand-ins, so that a mistake shows
 * before the query runs.
 */
static void
ReadSpec(TrainCall *call)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(caller, "mtl_rank spec", ALLOCSET_DEFAULT_SIZES);

	PG_TRY();
	{
		ModelFile	file = {0};
		Parameters *parameters;

		call->spec = TrainSpecRead(call->spec_json);
		MemoryContextSwitchTo(work);
		(void) BuildGraph(call->spec->contract, &file, &parameters);
		MemoryContextSwitchTo(caller);
	}
	PG_CATCH();
	{
		RethrowFor(caller, "spec");
	}
	PG_END_TRY();
	MemoryContextDelete(work);
}

/* Queries become a part of the model, which is too late to learn that they are too long for it. */
static void
CheckQueries(const TrainCall *call)
{
	const char *validation = call->options->validation_query;
	Size		size = strlen(call->query) + (validation ? strlen(validation) : 0);

	if (size > MAX_QUERIES_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the queries of a training have %zu bytes, the limit is %d", size, MAX_QUERIES_SIZE),
				 errhint("Put rows into a table rather than into the query.")));
}

static void
ReadOptions(TrainCall *call)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		call->options = TrainOptionsRead(call->options_json, call->spec->contract, call->spec->labelled);
	}
	PG_CATCH();
	{
		RethrowFor(caller, "options");
	}
	PG_END_TRY();
	CheckQueries(call);
}

static void
ReadStart(TrainCall *call)
{
	if (call->start == NULL)
		return;
	MtlModelCheck(call->start);
	call->start_file = ModelFileRead(call->start->file, call->start->file_size);
	call->start_contract = ContractParse(call->start_file->contract);
	if (call->start_contract->precision != PRECISION_FLOAT32)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("training cannot start from a model of precision \"%s\"",
						precision_names[call->start_contract->precision]),
				 errhint("Start from the model of precision \"%s\" that it was made of.",
						 precision_names[PRECISION_FLOAT32])));
}

/* ------------------------------------------------------------ preparation */

static int
CompareTensors(const void *a, const void *b)
{
	return strcmp(((const Tensor *) a)->name, ((const Tensor *) b)->name);
}

/*
 * The contract with what was learnt, and its graph over parameters to train.
 */
static void
BuildModel(TrainCall *call, Learner *learner)
{
	ModelFile  *file = palloc0(sizeof(ModelFile));

	call->learnt = LearnerFinish(learner);
	call->nvocabulary_tensors = LearnerTensors(learner, &call->vocabulary_tensors);
	LearnerForget(learner);
	qsort(call->vocabulary_tensors, call->nvocabulary_tensors, sizeof(Tensor), CompareTensors);
	file->ntensors = call->nvocabulary_tensors;
	file->tensors = call->vocabulary_tensors;
	call->file = file;

	call->contract = ContractParse(JsonbFromText(TrainSpecContract(call->spec, call->learnt, 0, NULL)));
	call->graph = BuildGraph(call->contract, file, &call->parameters);
	ParametersPlace(call->parameters, call->graph);
}

static Size
VocabulariesSize(const TrainCall *call)
{
	Size		size = 0;

	for (int i = 0; i < call->nvocabulary_tensors; i++)
		size += call->vocabulary_tensors[i].size;
	return size;
}

/* A unit of a single row is its own mean: whatever it is, standardized it is 0. */
static void
CheckBatchSize(const TrainCall *call)
{
	for (int i = 0; call->options->batch_size == 1 && i < call->graph->nops; i++)
		if (call->graph->ops[i].norm.kind == NORM_BATCH || call->graph->ops[i].activation.kind == ACTIVATION_DICE)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("batches of 1 row have no statistics for layer \"%s\"", call->graph->ops[i].name),
					 errhint("Set \"batch_size\" to 2 or more.")));
}

/*
 * Plans the network and all that training keeps besides rows, and checks that it
 * leaves room for these.
 */
static void
PlanMemory(TrainCall *call)
{
	const TrainOptions *options = call->options;
	Training   *training = &call->training;
	Size		limit = (Size) maintenance_work_mem * 1024;
	Size		needed;

	CheckModelSize(call->parameters->size + VocabulariesSize(call));
	CheckBatchSize(call);
	training->options = options;
	training->network = NetworkCreate(call->graph, call->parameters, options->batch_size,
									  options->dropout, options->batch_norm_momentum);
	training->nlosses = LossesCreate(call->graph, call->contract, call->spec->labelled,
									 unconstify(TaskLoss **, &training->losses));
	needed = training->network->size + call->parameters->size / sizeof(float) * sizeof(real) +
		VOCABULARY_COPIES * VocabulariesSize(call) +
		OptimizerSize(training->network, options) +
		WeightingSize(training->network, options, training->nlosses) +
		TrainingSize(training->network, options) +
		BatchSize(call->graph->layout, training->nlosses, options->batch_size);
	if (needed + 2 * PARTITION_SIZE > limit)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the network and its optimizer take %zu kB and rows at least %d kB, but maintenance_work_mem is %d kB",
						needed / 1024, 2 * PARTITION_SIZE / 1024, maintenance_work_mem),
				 errhint("Increase \"maintenance_work_mem\", or make the batch or the network smaller.")));
	call->memory.limit = limit - needed;
}

/*
 * Scores of the validation rows are kept to be sorted; if there is no room, the
 * training rows go to files.
 */
static void
ReserveEvaluation(TrainCall *call)
{
	Training   *training = &call->training;
	Size		size;

	if (training->validation == NULL)
		return;
	size = EvaluatorSize(RowStoreRows(training->validation), training->nlosses, training->losses);
	if (call->memory.used + size > call->memory.limit)
	{
		RowStoreSpill(training->rows);
		RowStoreSpill(training->validation);
	}
	if (size + 2 * PARTITION_SIZE > call->memory.limit)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("the scores of " INT64_FORMAT " validation rows take %zu kB, and %zu kB of maintenance_work_mem are left for them and rows",
						RowStoreRows(training->validation), size / 1024, call->memory.limit / 1024),
				 errhint("Increase \"maintenance_work_mem\", or validate on fewer rows.")));
	call->memory.used += size;
}

static void
EncodeRows(TrainCall *call, ReadRows *read)
{
	Training   *training = &call->training;
	const TrainOptions *options = call->options;
	bool		weighted = options->weight_column != NULL;
	bool		validates = options->validation_query || options->validation_fraction > 0;
	RowFormat  *format = RowFormatCreate(call->graph->layout, training->nlosses, weighted);
	EncodeTarget target = {0};

	target.spec = call->spec;
	target.options = options;
	target.contract = call->contract;
	training->rows = RowStoreCreate(format, &call->memory, "training rows");
	if (validates)
		training->validation = RowStoreCreate(format, &call->memory, "validation rows");
	training->batch = BatchCreate(format, call->graph->layout, training->nlosses, weighted, options->batch_size);
	target.encoder = EncoderCreate(call->contract, call->graph->layout,
								   VocabulariesLoad(call->contract, call->file));
	target.layout = call->graph->layout;
	target.nlosses = training->nlosses;
	target.losses = training->losses;
	target.rows = training->rows;
	target.validation = training->validation;

	initStringInfo(&call->examples);
	call->nexamples = EncodeTrainingRows(read, &target, PARTITION_SIZE, &call->examples);
	if (options->validation_query)
		EncodeValidationRows(&target, PARTITION_SIZE);
	ReserveEvaluation(call);
}

static int
CountLabels(const TrainSpec *spec)
{
	int			n = 0;

	for (int i = 0; i < spec->contract->ntasks; i++)
		n += spec->labelled[i] ? 1 : 0;
	return n;
}

/*
 * A scan of a large table may begin where another one is, and the order of rows
 * decides about the model.  pg_dump forbids it for the same reason.  An error ends the
 * setting, and so does AtEOXact_GUC().
 */
static int
KeepScanOrder(void)
{
	int			nest_level = NewGUCNestLevel();

	(void) set_config_option("synchronize_seqscans", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

void
TrainPrepare(TrainCall *call)
{
	Learner    *learner;
	ReadRows   *read;
	int			nest_level;

	ReadSpec(call);
	ReadOptions(call);
	ReadStart(call);
	BlasLoad();
	ProgressStart(call->options->epochs, CountLabels(call->spec));

	nest_level = KeepScanOrder();
	read = ReadTrainingRows(call->query, call->spec, call->options, (Size) maintenance_work_mem * 1024,
							call->start_contract, call->start_file, &learner);
	BuildModel(call, learner);
	PlanMemory(call);
	EncodeRows(call, read);
	AtEOXact_GUC(true, nest_level);
	ParametersInitialize(call->parameters, call->graph, call->options);
	call->nstart = call->start ? ParametersStartFrom(call->parameters, call->start_file) : -1;
	NetworkAllocate(call->training.network);
}
