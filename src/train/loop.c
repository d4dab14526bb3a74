/*
 * loop.c
 *	  The epochs of a training.
 *
 * Rows are shuffled in two steps, so that they need not fit in memory: each was dealt
 * to a partition at random, and every epoch takes the partitions in a new order and
 * the rows of each in a new order.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#include "compat.h"
#include "model/memory.h"
#include "train/loop.h"
#include "train/optimizer.h"
#include "train/progress.h"
#include "train/weighting.h"

/* Time between two reports to the progress view, in seconds. */
#define REPORT_INTERVAL 0.2

typedef struct Loop
{
	Training   *training;
	Optimizer  *optimizer;
	Weighting  *weighting;
	Calibrator *calibrator;		/* NULL: none */
	Evaluator  *evaluator;
	LossSum    *batch_sums;
	LossSum    *epoch_sums;
	LossSum		calibrator_sum; /* of the epoch */
	real	   *best;			/* a copy of the parameters; NULL: the last are kept */
	int			stalled;		/* epochs since the best */
	int			epoch;			/* from 0 */
	int64		step;			/* from 0, over all epochs */
	int64		steps_per_epoch;
	int64		rows_done;		/* of the epoch */
	double		rate;			/* the schedule's factor of the last step */
	instr_time	started;
	double		reported;		/* seconds since then */
	int64		rows_at_report;
	double		validation_seconds; /* of the last epoch */
} Loop;

/* ---------------------------------------------------------- the best epoch */

static int64
ParameterNumbers(const Network *network)
{
	int64		n = 0;

	for (int i = 0; i < network->parameters->nparameters; i++)
		n += network->parameters->list[i]->tensor.nelements;
	return n;
}

Size
TrainingSize(const Network *network, const TrainOptions *options)
{
	return options->stopping.watch == WATCH_NOTHING ? 0 : sizeof(real) * ParameterNumbers(network);
}

/* Copies all parameters to or from the copy. */
static void
CopyParameters(const Network *network, real *copy, bool restore)
{
	for (int i = 0; i < network->parameters->nparameters; i++)
	{
		const Parameter *parameter = network->parameters->list[i];
		Size		size = sizeof(real) * parameter->tensor.nelements;

		if (restore)
			CopyLarge(parameter->value, copy, size);
		else
			CopyLarge(copy, parameter->value, size);
		copy += parameter->tensor.nelements;
	}
}

static double
MeanFigure(const Training *training, const EpochRecord *record)
{
	double		sum = 0;

	for (int i = 0; i < training->nlosses; i++)
		sum += record->metrics[i].figure;
	return sum / training->nlosses;
}

static double
TaskFigure(const Training *training, const EpochRecord *record)
{
	for (int i = 0; i < training->nlosses; i++)
		if (training->losses[i].position == training->options->stopping.task)
			return record->metrics[i].figure;
	return NAN;
}

/*
 * Whether an epoch is better than the best.  Watching any task means that none may
 * have become worse, and at least one is better.
 */
static bool
IsBetter(const Training *training, const EpochRecord *record, const EpochRecord *best)
{
	double		delta = training->options->stopping.min_delta;
	bool		better = false;

	switch (training->options->stopping.watch)
	{
		case WATCH_NOTHING:
			return true;
		case WATCH_MEAN:
			return MeanFigure(training, record) > MeanFigure(training, best) + delta;
		case WATCH_TASK:
			return TaskFigure(training, record) > TaskFigure(training, best) + delta;
		case WATCH_ANY:
			for (int i = 0; i < training->nlosses; i++)
			{
				if (record->metrics[i].figure < best->metrics[i].figure)
					return false;
				better |= record->metrics[i].figure > best->metrics[i].figure + delta;
			}
			return better;
	}
	return false;
}

/* Notes whether the epoch is the best so far; true when training is to stop. */
static bool
ShouldStop(Loop *loop)
{
	Training   *training = loop->training;
	const EpochRecord *record = &training->history[loop->epoch];

	if (loop->epoch > 0 && !IsBetter(training, record, &training->history[training->best]))
	{
		loop->stalled++;
		return loop->stalled >= training->options->stopping.patience;
	}
	training->best = loop->epoch;
	loop->stalled = 0;
	if (loop->best)
		CopyParameters(training->network, loop->best, false);
	return false;
}

/* ---------------------------------------------------------------- reports */

static double
SecondsSince(instr_time start)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, start);
	return INSTR_TIME_GET_DOUBLE(now);
}

static double
LearningRate(const Loop *loop)
{
	return loop->training->options->layers.learning_rate * loop->rate;
}

/* Reports rows, speed and the time left if all epochs are run. */
static void
ReportStep(Loop *loop)
{
	const Training *training = loop->training;
	int64		rows = RowStoreRows(training->rows);
	int64		done = loop->epoch * rows + loop->rows_done;
	int64		left = training->options->epochs * rows - done;
	double		seconds = SecondsSince(loop->started);
	double		interval = seconds - loop->reported;
	double		speed = (done - loop->rows_at_report) / Max(interval, 1e-9);

	ProgressSetRows(loop->rows_done, rows);
	if (interval < REPORT_INTERVAL)
		return;
	ProgressSetRate(LearningRate(loop), speed,
					left / speed + loop->validation_seconds * (training->options->epochs - loop->epoch));
	loop->reported = seconds;
	loop->rows_at_report = done;
}

static void
AppendMetric(StringInfo text, const TaskMetric *metric)
{
	appendStringInfo(text, ", validation loss %.5f", metric->loss);
	if (!isnan(metric->auc))
		appendStringInfo(text, ", AUC %.5f", metric->auc);
	else
		appendStringInfo(text, ", explained %.5f", metric->figure);
}

static void
ReportEpoch(const Loop *loop, double seconds)
{
	const Training *training = loop->training;
	const EpochRecord *record = &training->history[loop->epoch];
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < training->nlosses; i++)
	{
		const TaskMetric *metric = record->metrics ? &record->metrics[i] : NULL;

		appendStringInfo(&text, "%s: loss %.5f", training->losses[i].task->name, record->losses[i]);
		if (metric)
			AppendMetric(&text, metric);
		appendStringInfoString(&text, "; ");
		ProgressSetTask(i, metric ? metric->loss : record->losses[i], metric ? metric->auc : NAN);
	}
	if (!isnan(record->calibrator))
		appendStringInfo(&text, "calibrator %.5f; ", record->calibrator);
	ereport(NOTICE,
			(errmsg("epoch %d of %d: %slearning rate %g, %.0f rows per second, %.0f s left",
					loop->epoch + 1, training->options->epochs, text.data, record->learning_rate,
					RowStoreRows(training->rows) / Max(seconds, 1e-9),
					(seconds + loop->validation_seconds) * (training->options->epochs - loop->epoch - 1))));
	pfree(text.data);
}

/* ------------------------------------------------------------------ steps */

static MTL_NORETURN void
LossError(const Loop *loop, const TaskLoss *loss, double value)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("the loss of task \"%s\" is %s at step " INT64_FORMAT " (epoch %d)",
					loss->task->name, isnan(value) ? "NaN" : "infinite", loop->step + 1, loop->epoch + 1),
			 errhint("Lower the learning rate, set \"clip_norm\", or scale features and labels.")));
}

static void
ComputeLosses(Loop *loop)
{
	Training   *training = loop->training;
	const Batch *batch = training->batch;

	for (int i = 0; i < training->nlosses; i++)
	{
		LossSum		sum = LossCompute(training->network, &training->losses[i], batch->labels,
									  batch->nlabels, BatchWeights(batch));

		if (!isfinite(sum.loss))
			LossError(loop, &training->losses[i], sum.loss);
		loop->batch_sums[i] = sum;
		loop->epoch_sums[i].loss += sum.loss;
		loop->epoch_sums[i].weight += sum.weight;
	}
	if (loop->calibrator)
	{
		LossSum		sum = CalibratorCompute(loop->calibrator, training->network, BatchWeights(batch));

		loop->calibrator_sum.loss += sum.loss;
		loop->calibrator_sum.weight += sum.weight;
	}
}

static void
Step(Loop *loop)
{
	Training   *training = loop->training;
	const TrainOptions *options = training->options;
	Batch	   *batch = training->batch;
	pg_prng_state dropout;

	RandomSeed(&dropout, options->seed, RANDOM_DROPOUT, loop->step);
	NetworkForward(training->network, batch->nrows, batch->floats, batch->ids, true, &dropout);
	ComputeLosses(loop);
	WeightingBackward(loop->weighting, training->network, batch->labels, batch->nlabels,
					  BatchWeights(batch), loop->batch_sums);
	loop->rate = ScheduleRate(&options->schedule, loop->step, loop->steps_per_epoch,
							  loop->steps_per_epoch * options->epochs);
	OptimizerStep(loop->optimizer, training->network, loop->rate);
	loop->step++;
	loop->rows_done += batch->nrows;
	ReportStep(loop);
}

static void
TrainPartition(Loop *loop, int partition, pg_prng_state *random)
{
	Training   *training = loop->training;
	int			n = RowStorePartitionRows(training->rows, partition);
	int			count = BatchCount(n, training->options->batch_size);
	const char *const *stored = RowStoreLoad(training->rows, partition);
	int		   *order = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int) * Max(n, 1));

	for (int i = 0; i < n; i++)
		order[i] = i;
	RandomShuffle(random, n, order);
	for (int i = 0; i < count; i++)
	{
		int			begin = BatchBegin(n, count, i);

		CHECK_FOR_INTERRUPTS();
		BatchLoad(training->batch, stored, order + begin, BatchBegin(n, count, i + 1) - begin);
		Step(loop);
	}
	pfree(order);
}

/* ----------------------------------------------------------------- epochs */

static void
Validate(Loop *loop, EpochRecord *record)
{
	Training   *training = loop->training;
	instr_time	start;

	if (training->validation == NULL)
		return;
	INSTR_TIME_SET_CURRENT(start);
	ProgressSetPhase(PROGRESS_VALIDATING);
	record->metrics = palloc(sizeof(TaskMetric) * training->nlosses);
	Evaluate(loop->evaluator, training->network, training->validation, training->batch, record->metrics);
	for (int i = 0; i < training->nlosses; i++)
		if (!isfinite(record->metrics[i].loss))
			LossError(loop, &training->losses[i], record->metrics[i].loss);
	ProgressSetPhase(PROGRESS_TRAINING);
	loop->validation_seconds = SecondsSince(start);
}

static void
TrainEpoch(Loop *loop)
{
	Training   *training = loop->training;
	EpochRecord *record = &training->history[loop->epoch];
	int			npartitions = RowStorePartitions(training->rows);
	int		   *order = palloc(sizeof(int) * npartitions);
	pg_prng_state random;

	RandomSeed(&random, training->options->seed, RANDOM_SHUFFLE, loop->epoch);
	memset(loop->epoch_sums, 0, sizeof(LossSum) * training->nlosses);
	loop->calibrator_sum = (LossSum) {0, 0};
	loop->rows_done = 0;
	for (int i = 0; i < npartitions; i++)
		order[i] = i;
	RandomShuffle(&random, npartitions, order);
	for (int i = 0; i < npartitions; i++)
		TrainPartition(loop, order[i], &random);
	pfree(order);

	record->losses = palloc(sizeof(double) * training->nlosses);
	for (int i = 0; i < training->nlosses; i++)
		record->losses[i] = loop->epoch_sums[i].loss / loop->epoch_sums[i].weight;
	record->calibrator = loop->calibrator ? loop->calibrator_sum.loss / loop->calibrator_sum.weight : NAN;
	record->learning_rate = LearningRate(loop);
	record->weights = palloc(sizeof(double) * training->nlosses);
	memcpy(record->weights, WeightingWeights(loop->weighting), sizeof(double) * training->nlosses);
	WeightingEpoch(loop->weighting, record->losses);
}

static void
StartLoop(Loop *loop, Training *training)
{
	Network    *network = training->network;

	memset(loop, 0, sizeof(Loop));
	loop->training = training;
	loop->optimizer = OptimizerCreate(network, training->options);
	loop->calibrator = CalibratorCreate(network->graph, &training->options->calibrator);
	loop->weighting = WeightingCreate(network, training->options, training->nlosses, training->losses, loop->calibrator);
	if (training->validation)
		loop->evaluator = EvaluatorCreate(RowStoreRows(training->validation), training->nlosses, training->losses);
	loop->batch_sums = palloc(sizeof(LossSum) * training->nlosses);
	loop->epoch_sums = palloc(sizeof(LossSum) * training->nlosses);
	if (training->options->stopping.watch != WATCH_NOTHING)
		loop->best = AllocateLarge(sizeof(real) * ParameterNumbers(network));
	for (int i = 0; i < RowStorePartitions(training->rows); i++)
		loop->steps_per_epoch += BatchCount(RowStorePartitionRows(training->rows, i), training->options->batch_size);
	training->history = palloc0(sizeof(EpochRecord) * training->options->epochs);
	INSTR_TIME_SET_CURRENT(loop->started);
}

void
TrainingRun(Training *training)
{
	Loop		loop;
	bool		stop = false;

	ProgressSetPhase(PROGRESS_TRAINING);
	StartLoop(&loop, training);
	while (loop.epoch < training->options->epochs && !stop)
	{
		instr_time	start;
		double		seconds;

		ProgressSetEpoch(loop.epoch + 1);
		INSTR_TIME_SET_CURRENT(start);
		TrainEpoch(&loop);
		seconds = SecondsSince(start);
		Validate(&loop, &training->history[loop.epoch]);
		ReportEpoch(&loop, seconds);
		training->nepochs = loop.epoch + 1;
		stop = ShouldStop(&loop);
		loop.epoch++;
	}
	if (loop.best)
		CopyParameters(training->network, loop.best, true);
	ProgressSetPhase(PROGRESS_FINISHING);
}
