/*
 * arch_mmoe.c
 *	  MMoE, multi-gate mixture of experts: every tower reads its own mix; and
 *	  stacked mixtures (ML-MMoE).
 *
 * Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate
 * Mixture-of-Experts", KDD 2018, section 4.2.  Stacked layers: Eigen et al.,
 * "Learning Factored Representations in a Deep Mixture of Experts", 2013, and the
 * ML-MMOE of the PLE paper.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "model/model_error.h"

/*
 * Whether the level has a gate per task.  The last one always has; the others
 * choose.  With the keys in the architecture itself, mix speaks of all levels but
 * the last.
 */
static bool
LevelIsPerTask(const Levels *levels, int j)
{
	static const char *const mixes[] = {"shared", "task", NULL};
	bool		last = j == levels->nlevels - 1;
	int			mix = JsonGetChoice(levels->objects[j], "mix", mixes, last ? 1 : 0);

	if (last && levels->listed && mix == 0)
		ModelError("The architecture with one gate for all tasks is \"omoe\".",
				   "\"%s\" is \"shared\" on the last level, expected \"task\"",
				   JsonKeyPath(levels->objects[j], "mix"));
	return last || mix == 1;
}

void
BuildMmoe(GraphBuilder *builder, JsonObject *object, int *representations)
{
	Levels	   *levels = LevelsOpen(object, false);
	bool		was_per_task = false;

	for (int t = 0; t < builder->ntasks; t++)
		representations[t] = builder->input;
	for (int j = 0; j < levels->nlevels; j++)
	{
		bool		per_task = LevelIsPerTask(levels, j);

		if (was_per_task && !per_task)
			ModelError("Put the levels with \"shared\" before those with \"task\".",
					   "\"%s\" is \"shared\" after a level with \"task\"",
					   JsonKeyPath(levels->objects[j], "mix"));
		AddMoeLevel(builder, levels->objects[j], j, per_task, representations);
		was_per_task = per_task;
	}
	LevelsClose(levels);
}
