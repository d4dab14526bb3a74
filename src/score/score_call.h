/*
 * score_call.h
 *	  What a call site of a scoring function keeps between rows.
 */
#ifndef MTL_RANK_SCORE_CALL_H
#define MTL_RANK_SCORE_CALL_H

#include "postgres.h"

#include "fmgr.h"

#include "score/score_kind.h"

typedef struct ScoreCall
{
	LoadedModel *model;

	/*
	 * Set by ScoreCallSelect(); NULL at first and whenever the model has changed,
	 * which asks the function to select anew.
	 */
	Selection  *selection;

	/* Set by ScoreCallWant() */
	ScoreWanted wanted;
	void	   *option;			/* that it was given; NULL: none */

	MemoryContext context;		/* of all this */
} ScoreCall;

/*
 * The call site's state, with the model that argument 0 means now.  Features are
 * argument 1, and with pair also argument 2.
 */
extern ScoreCall *ScoreCallGet(FunctionCallInfo fcinfo, bool pair);

/* Says which operations of the network to compute from now on. */
extern void ScoreCallSelect(ScoreCall *call, int nops, const int *ops);

/*
 * Has select read an option, which is a text or a jsonb, and selects what it wants;
 * unless that was done already.
 */
extern void ScoreCallWant(ScoreCall *call,
						  void (*select) (const LoadedModel *model, Datum option, ScoreWanted *wanted),
						  const void *option);

/*
 * Encodes the row of the arguments and computes the selected operations: result i
 * is the vector of the i-th.  Valid until the next run.
 */
extern const float *const *ScoreCallRun(ScoreCall *call, FunctionCallInfo fcinfo);

#endif							/* MTL_RANK_SCORE_CALL_H */
