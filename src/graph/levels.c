/*
 * levels.c
 *	  The levels of omoe, mmoe, cgc, ple and stem.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "model/model_error.h"

Levels *
LevelsOpen(JsonObject *object, bool one_level)
{
	Levels	   *levels = palloc(sizeof(Levels));
	JsonArray  *list = one_level ? NULL : JsonGetArray(object, "levels");

	levels->listed = list != NULL;
	if (list)
		levels->nlevels = list->length;
	else
		levels->nlevels = one_level ? 1 : JsonGetInt(object, "num_levels", 1, MTL_MAX_LAYERS, 1);
	if (levels->nlevels < 1 || levels->nlevels > MTL_MAX_LAYERS)
		ModelError(FORMAT_HINT,
				   "\"%s\" has %d levels, expected 1 to %d", list->path, levels->nlevels, MTL_MAX_LAYERS);

	levels->objects = palloc(sizeof(JsonObject *) * levels->nlevels);
	for (int j = 0; j < levels->nlevels; j++)
		levels->objects[j] = list ? JsonArrayObject(list, j) : object;
	return levels;
}

void
LevelsClose(Levels *levels)
{
	for (int j = 0; levels->listed && j < levels->nlevels; j++)
		JsonObjectClose(levels->objects[j]);
}

bool
GateReadsRaw(JsonObject *level)
{
	static const char *const inputs[] = {"level", "raw", NULL};

	return JsonGetChoice(level, "gate_input", inputs, 0) == 1;
}
