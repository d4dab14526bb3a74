/*
 * hooks.h
 *	  Where batching takes part in planning.
 *
 * The library is loaded when a session first needs it, often by the planner itself,
 * which asks the support function of mtl_score while the first statement is being
 * planned: too late to be asked for the plan of that one.  Such a plan is changed
 * when it is about to be executed; all later ones when they are made.
 */
#ifndef MTL_RANK_HOOKS_H
#define MTL_RANK_HOOKS_H

#include "postgres.h"

#include "utils/guc.h"

typedef enum BatchingSetting
{
	BATCHING_OFF,
	BATCHING_ON,
	BATCHING_REQUIRE			/* or an error */
} BatchingSetting;

/* mtl_rank.batching */
extern int	mtl_rank_batching;
extern const struct config_enum_entry mtl_rank_batching_options[];

/* Installs the hooks; once per process. */
extern void PlanHooksInstall(void);

#endif							/* MTL_RANK_HOOKS_H */
