/*
 * heads.c
 *	  Towers and tasks: what turns the architecture's representations into scores.
 */
#include "postgres.h"

#include "graph/layers.h"

static int
LogitUnits(const Task *task)
{
	if (task->type == TASK_MULTICLASS)
		return task->nclasses;
	return task->softmax_head ? 2 : 1;
}

/*
 * Adds the tower and head of a task.  Returns the operation that holds its
 * score, or its scores for a multiclass task.
 */
static int
AddTower(GraphBuilder *builder, const Task *task, JsonbValue *tower, const char *path, int input)
{
	JsonObject *object = tower ? JsonObjectOpen(tower, path) : NULL;
	char	   *prefix = psprintf("task.%s.tower", task->name);
	char	   *logit_prefix = psprintf("%s.logit", prefix);
	LayerSpec	logit = {0};
	int			op;

	op = AddMlp(builder, MlpSpecRead(object), prefix, input);
	logit.units = LogitUnits(task);
	logit.bias = object ? JsonGetBool(object, "logit_bias", true) : true;
	logit.activation.kind = (task->type == TASK_BINARY && !task->softmax_head) ?
		ACTIVATION_SIGMOID : ACTIVATION_LINEAR;
	if (object)
		JsonObjectClose(object);

	op = AddLayer(builder, &logit, logit_prefix, op);
	if (logit.units > 1)
		op = AddSoftmax(builder, task->name, op, 1);
	if (task->softmax_head)
		op = AddPick(builder, task->name, op, 1);
	return op;
}

void
AddHeads(GraphBuilder *builder, JsonbValue *tower, const int *representations)
{
	const Contract *contract = builder->contract;
	Graph	   *graph = builder->graph;
	int		   *scores = palloc(sizeof(int) * contract->ntasks);
	int			ntowers = 0;

	for (int i = 0; i < contract->ntasks; i++)
	{
		const Task *task = &contract->tasks[i];

		if (task->type == TASK_PRODUCT)
		{
			int		   *factors = palloc(sizeof(int) * task->nfactors);

			for (int k = 0; k < task->nfactors; k++)
				factors[k] = scores[task->factors[k]];
			scores[i] = AddProduct(builder, task->name, task->nfactors, factors);
			pfree(factors);
		}
		else
			scores[i] = AddTower(builder, task,
								 task->tower ? task->tower : tower,
								 task->tower ? psprintf("tasks[%d].tower", i) : "architecture.tower",
								 representations[ntowers++]);
	}

	graph->ntasks = contract->ntasks;
	graph->task_ops = scores;
	graph->noutputs = contract->noutputs;
	graph->output_ops = palloc(sizeof(int) * contract->noutputs);
	for (int i = 0; i < contract->noutputs; i++)
	{
		const Output *output = &contract->outputs[i];
		int			score = scores[output->task];

		if (contract->tasks[output->task].type == TASK_MULTICLASS)
			score = AddPick(builder, output->name, score, output->class);
		graph->output_ops[i] = score;
	}
}
