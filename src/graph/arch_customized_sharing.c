/*
 * arch_customized_sharing.c
 *	  Customized sharing: each tower reads its task's private bottom and the shared
 *	  one, without a gate.
 *
 * Tang et al., "Progressive Layered Extraction (PLE)", RecSys 2020, figure 1c.
 */
#include "postgres.h"

#include "graph/architecture.h"

void
BuildCustomizedSharing(GraphBuilder *builder, JsonObject *object, int *representations)
{
	static const char *const orders[] = {"specific_first", "shared_first", NULL};
	MlpSpec    *specific = MlpSpecNeed(object, "bottom");
	MlpSpec    *common = JsonGet(object, "shared_bottom") ?
		MlpSpecNeed(object, "shared_bottom") : specific;
	int			own = JsonGetChoice(object, "order", orders, 0);
	int			shared = AddMlp(builder, common, "shared.bottom", builder->input);

	for (int t = 0; t < builder->ntasks; t++)
	{
		const char *name = builder->tasks[t]->name;
		int			parts[2];

		parts[own] = AddMlp(builder, specific, psprintf("task.%s.bottom", name), builder->input);
		parts[1 - own] = shared;
		representations[t] = AddConcat(builder, name, 2, parts);
	}
}
