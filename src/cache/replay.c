/*
 * replay.c
 *	  Scores of a model's examples, one after the other.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "cache/replay.h"

struct Replay
{
	const LoadedModel *model;
	Selection  *selection;
	MemoryContext row;			/* for encoding one */
	float	   *floats;
	int32	   *ids;
	void	   *scratch;
	const float **results;		/* of the engine: one place for each output */
	float	   *scores;
};

Replay *
ReplayCreate(const LoadedModel *model)
{
	Replay	   *replay = palloc(sizeof(Replay));
	int			noutputs = model->contract->noutputs;

	replay->model = model;
	replay->selection = ProgramSelect(model->program, noutputs, model->output_ops);
	replay->row = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank row", ALLOCSET_SMALL_SIZES);
	replay->floats = palloc0(sizeof(float) * Max(model->layout->nfloats, 1));
	replay->ids = palloc0(sizeof(int32) * Max(model->layout->nids, 1));
	replay->scratch = palloc_extended(Max(SelectionScratchSize(replay->selection, 1), 1),
									  MCXT_ALLOC_HUGE);
	replay->results = palloc(sizeof(float *) * noutputs);
	replay->scores = palloc(sizeof(float) * noutputs);
	return replay;
}

static void
ExampleErrorContext(void *number)
{
	errcontext("example %d of the model", *(int *) number);
}

const float *
ReplayExample(Replay *replay, int number, const Jsonb *row)
{
	const LoadedModel *model = replay->model;
	MemoryContext caller = MemoryContextSwitchTo(replay->row);
	ErrorContextCallback context;

	context.callback = ExampleErrorContext;
	context.arg = &number;
	context.previous = error_context_stack;
	error_context_stack = &context;

	EncodeJsonb(model->encoder, unconstify(Jsonb *, row), replay->floats, replay->ids);
	ProgramRun(model->program, replay->selection, 1, replay->floats, replay->ids, NULL,
			   replay->scratch,
			   replay->results);
	for (int k = 0; k < model->contract->noutputs; k++)
		replay->scores[k] = replay->results[k][0];

	error_context_stack = context.previous;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(replay->row);
	return replay->scores;
}
