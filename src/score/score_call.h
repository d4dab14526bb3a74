/*
 * score_call.h
 *	  What a call site of a scoring function keeps between rows.
 */
#ifndef MTL_RANK_SCORE_CALL_H
#define MTL_RANK_SCORE_CALL_H

#include "postgres.h"

#include "fmgr.h"

#include "cache/loaded_model.h"

typedef struct ScoreCall
{
	LoadedModel *model;

	/*
	 * Set by ScoreCallSelect(); NULL at first and whenever the model has changed,
	 * which asks the function to select anew.
	 */
	Selection  *selection;

	/* The function's own, allocated in context; forgotten with the selection. */
	void	   *extra;
	MemoryContext context;
} ScoreCall;

/*
 * The call site's state, with the model that argument 0 means now.  Features are
 * argument 1, and with pair also argument 2.
 */
extern ScoreCall *ScoreCallGet(FunctionCallInfo fcinfo, bool pair);

/* Says which operations of the network to compute from now on. */
extern void ScoreCallSelect(ScoreCall *call, int nops, const int *ops);

/* Forgets selection and extra. */
extern void ScoreCallReset(ScoreCall *call);

/*
 * Encodes the row of the arguments and computes the selected operations: result i
 * is the vector of the i-th.  Valid until the next run.
 */
extern const float *const *ScoreCallRun(ScoreCall *call, FunctionCallInfo fcinfo);

#endif							/* MTL_RANK_SCORE_CALL_H */
