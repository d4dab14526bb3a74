/*
 * score_kind.h
 *	  The scoring functions of SQL: what each selects of a network, and makes of it.
 *
 * A call of any of them is: the model, one or two rows of features, and for some
 * an option (the name of a task, or weights).  What a call with these arguments
 * computes is said once, here, for the call by itself (score.c, rank.c) and for
 * batches of rows (score_batch.c).
 */
#ifndef MTL_RANK_SCORE_KIND_H
#define MTL_RANK_SCORE_KIND_H

#include "postgres.h"

#include "fmgr.h"

#include "cache/loaded_model.h"

/* What a call needs of a network. */
typedef struct ScoreWanted
{
	int			nops;
	int		   *ops;			/* positions in the graph, each of width 1 */
	const void *formula;		/* the function's own */
} ScoreWanted;

typedef struct ScoreKind
{
	const char *symbol;			/* of the C function */
	PGFunction	function;
	int			nrows;			/* feature arguments, after the model */
	bool		has_option;		/* one more argument, after these */

	/*
	 * Reads the option; errors for one that the model cannot follow.  Allocated in
	 * the current context; may refer to the model.
	 */
	void		(*select) (const LoadedModel *model, Datum option, ScoreWanted *wanted);

	/*
	 * The function's result, in the current context, from what it wanted of a row:
	 * scores[i] points to the number of the i-th operation.
	 */
	Datum		(*result) (const LoadedModel *model, const ScoreWanted *wanted, const float *const *scores);
} ScoreKind;

/*
 * The kind of a function of this extension that scores, or NULL for any other
 * function.  A look into the system cache.
 */
extern const ScoreKind *ScoreKindFind(Oid function);

/* Options, each a text or a jsonb, or NULL. */
extern bool ScoreOptionsEqual(const void *a, const void *b);
extern void *ScoreOptionCopy(const void *option);

/* score.c */
extern void SelectAllScores(const LoadedModel *model, Datum option, ScoreWanted *wanted);
extern Datum AllScoresResult(const LoadedModel *model, const ScoreWanted *wanted, const float *const *scores);
extern void SelectTaskScore(const LoadedModel *model, Datum option, ScoreWanted *wanted);
extern Datum TaskScoreResult(const LoadedModel *model, const ScoreWanted *wanted, const float *const *scores);

/* rank.c */
extern void SelectRank(const LoadedModel *model, Datum option, ScoreWanted *wanted);
extern void SelectWeightedRank(const LoadedModel *model, Datum option, ScoreWanted *wanted);
extern Datum RankResult(const LoadedModel *model, const ScoreWanted *wanted, const float *const *scores);

#endif							/* MTL_RANK_SCORE_KIND_H */
