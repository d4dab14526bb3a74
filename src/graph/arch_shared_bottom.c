/*
 * arch_shared_bottom.c
 *	  Shared-Bottom (hard parameter sharing): all towers read one MLP.
 *
 * Caruana, "Multitask Learning", 1997.
 */
#include "postgres.h"

#include "graph/architecture.h"

void
BuildSharedBottom(GraphBuilder *builder, JsonObject *object, int *representations)
{
	int			bottom = AddMlp(builder, MlpSpecNeed(object, "bottom"), "shared.bottom",
								builder->input);

	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = bottom;
}
