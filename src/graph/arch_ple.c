/*
 * arch_ple.c
 *	  PLE, progressive layered extraction: levels of customized gate control.
 *
 * Tang et al., "Progressive Layered Extraction (PLE)", RecSys 2020, section 4.2.
 */
#include "postgres.h"

#include "graph/architecture.h"

void
BuildPle(GraphBuilder *builder, JsonObject *object, int *representations)
{
	int			shared = builder->input;
	Levels	   *levels = LevelsOpen(object, false);

	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = builder->input;
	for (int j = 0; j < levels->nlevels; j++)
		AddExtractionLevel(builder, EXTRACTION_CGC, levels->objects[j], j,
						   j == levels->nlevels - 1, representations, &shared);
	LevelsClose(levels);
}
