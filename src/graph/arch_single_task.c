/*
 * arch_single_task.c
 *	  A tower per task over the features, nothing shared but embeddings.
 *
 * Also what L2-constrained soft sharing is once trained (Duong et al., 2015), and
 * with a product task ESMM (Ma et al., SIGIR 2018).
 */
#include "postgres.h"

#include "graph/architecture.h"

void
BuildSingleTask(GraphBuilder *builder, JsonObject *object, int *representations)
{
	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = builder->input;
}
