/*
 * arch_aitm.c
 *	  AITM, adaptive information transfer: tasks in a chain, where attention decides
 *	  how much each takes over from the one before it.
 *
 * Xi et al., "Modeling the Sequential Dependence among Audience Multi-step
 * Conversions with Multi-task Learning in Targeted Display Advertising", KDD 2021,
 * section 3.3.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "math/functions.h"
#include "model/model_error.h"

typedef struct AttentionSpec
{
	LayerSpec	layer;			/* of query, key and value */
	bool		shared;			/* one set for all tasks */
} AttentionSpec;

static AttentionSpec
ReadAttention(JsonObject *parent, int width)
{
	JsonObject *object = JsonGetObject(parent, "attention");
	AttentionSpec spec = {.layer = {.units = width}};

	if (object == NULL)
		return spec;
	spec.layer.bias = JsonGetBool(object, "bias", false);
	spec.shared = JsonGetBool(object, "shared", false);
	JsonObjectClose(object);
	return spec;
}

/*
 * The value of both parts, weighted by the attention of each to itself:
 * softmax(<query, key> / sqrt(width)).  names are what mtl_gates calls the parts.
 */
static int
AddAttention(GraphBuilder *builder, const AttentionSpec *spec, const char *task,
			 const int *parts, char **names)
{
	char	   *name = psprintf("task.%s.attention", task);
	char	   *prefix = spec->shared ? "shared.attention" : name;
	int			scores[2];
	int			values[2];
	int			weights;

	for (int i = 0; i < 2; i++)
	{
		int			query = AddLayer(builder, &spec->layer, psprintf("%s.query", prefix), parts[i]);
		int			key = AddLayer(builder, &spec->layer, psprintf("%s.key", prefix), parts[i]);

		scores[i] = AddDot(builder, name, query, key);
		values[i] = AddLayer(builder, &spec->layer, psprintf("%s.value", prefix), parts[i]);
	}
	weights = AddSoftmax(builder, name, AddConcat(builder, name, 2, scores),
						 MtlSqrt(spec->layer.units));
	NoteGate(builder, 0, task, weights, 2, names);
	return AddMix(builder, name, weights, 2, values);
}

static void
CheckInfo(const JsonObject *object, int width, const MlpSpec *info)
{
	if (MlpWidth(info, width) != width)
		ModelError("Give both the same number of units in the end.",
				   "\"%s\" ends with %d units, expected %d as \"%s\" has",
				   JsonKeyPath(object, "info"), MlpWidth(info, width), width, JsonKeyPath(object, "bottom"));
}

void
BuildAitm(GraphBuilder *builder, JsonObject *object, int *representations)
{
	MlpSpec    *bottom = MlpSpecNeed(object, "bottom");
	MlpSpec    *info = MlpSpecNeed(object, "info");
	int			width = MlpWidth(bottom, OpWidth(builder, builder->input));
	AttentionSpec attention = ReadAttention(object, width);

	CheckInfo(object, width, info);
	for (int t = 0; t < builder->ntasks; t++)
	{
		const char *task = builder->tasks[t]->name;
		char	  **names = palloc(sizeof(char *) * 2);
		int			parts[2];

		names[0] = psprintf("task.%s.bottom", task);
		names[1] = psprintf("task.%s.info", task);
		representations[t] = AddMlp(builder, bottom, names[0], builder->input);
		if (t == 0)
			continue;
		parts[0] = representations[t];
		parts[1] = AddMlp(builder, info, names[1], representations[t - 1]);
		representations[t] = AddAttention(builder, &attention, task, parts, names);
	}
}
