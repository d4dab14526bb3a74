/*
 * arch_cgc.c
 *	  CGC, customized gate control: one level of extraction.
 *
 * Tang et al., "Progressive Layered Extraction (PLE)", RecSys 2020, section 4.1.
 */
#include "postgres.h"

#include "graph/architecture.h"

void
BuildCgc(GraphBuilder *builder, JsonObject *object, int *representations)
{
	int			shared = builder->input;
	Levels	   *levels = LevelsOpen(object, true);

	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = builder->input;
	AddExtractionLevel(builder, EXTRACTION_CGC, levels->objects[0], 0, true,
					   representations, &shared);
	LevelsClose(levels);
}
