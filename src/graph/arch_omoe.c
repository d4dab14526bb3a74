/*
 * arch_omoe.c
 *	  OMoE, one-gate mixture of experts: all towers read the same mix.
 *
 * Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
 * Mixture-of-Experts", KDD 2018, section 4.1.
 */
#include "postgres.h"

#include "graph/architecture.h"

void
BuildOmoe(GraphBuilder *builder, JsonObject *object, int *representations)
{
	Levels	   *levels = LevelsOpen(object, false);

	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = builder->input;
	for (int j = 0; j < levels->nlevels; j++)
		AddMoeLevel(builder, levels->objects[j], j, false, representations);
	LevelsClose(levels);
}
