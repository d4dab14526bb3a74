/*
 * score_batch_state.h
 *	  The inside of a batch; shared by score_batch.c and score_batch_run.c only.
 */
#ifndef MTL_RANK_SCORE_BATCH_STATE_H
#define MTL_RANK_SCORE_BATCH_STATE_H

#include "postgres.h"

#include "fmgr.h"

#include "cache/loaded_model.h"
#include "score/contexts.h"
#include "score/model_argument.h"
#include "score/score_batch.h"
#include "score/score_kind.h"

typedef struct BatchCall
{
	const ScoreKind *kind;
	int			part;
	struct varlena *option;		/* NULL: none, or null */
	bool		isnull;			/* the option is null, so is the result */
	ScoreWanted wanted;
	int			first_result;	/* of the part's */
} BatchCall;

/* Operations that are computed in one run. */
typedef struct BatchRun
{
	int			nresults;
	Selection  *selection;		/* NULL: no results */
	const float **results;
	int64		cost;			/* multiply-adds for a row */
} BatchRun;

/* Calls that are asked for together, of rows that come so far. */
typedef struct BatchPart
{
	bool		selected;		/* the options have been read */
	BatchRun	run;
	double		entered;		/* rows that have come to it; not counted for the first */

	/* the current batch */
	float	   *scores;			/* MTL_MAX_BATCH of each result */
	const float **row_scores;	/* of one call and row */
	bool		computed[MTL_MAX_BATCH];	/* by row */
} BatchPart;

struct ScoreBatch
{
	int			ncalls;
	BatchCall  *calls;
	int			nparts;
	BatchPart  *parts;
	Oid			feature_types[2];
	const RowShape *shape;		/* of the last row, if that is given by columns, or NULL */
	ModelArgument *argument;
	FmgrInfo	function;
	FunctionCallInfo fcinfo;	/* has the model alone */
	bool		by_name;

	LoadedModel *model;
	MemoryContext model_context;	/* what depends on the model */
	FeatureSource *source;
	int			capacity;		/* rows that these have room for */
	float	   *floats;
	int32	   *ids;
	int			picked_capacity;
	float	   *picked_floats;	/* rows that are not one after the other */
	int32	   *picked_ids;
	Contexts   *contexts;		/* of pairs, or NULL */
	const Selection *shares_of; /* what the contexts' shares are of, or NULL */
	int16		of_row[MTL_MAX_BATCH];	/* the context of each row, or -1 */
	int64		ncontexts;		/* that were computed, once or for one row */

	bool		options_read;
	MemoryContext selection_context;	/* what depends on the options too */
	BatchRun	together;		/* of all parts; without a selection if one was not selected */
	Size		scratch_size;
	void	   *scratch;
	Datum		name;			/* by name: a copy */

	double		rows;			/* that came to the first part, in batches before */
	int64		ntogether;		/* batches that were computed together */

	/* the current batch */
	Oid			user;
	TimestampTz statement_start;
	int			nrows;
};

/*
 * score_batch.c: selects all that the calls of a part want.  An error if one has an option
 * that the model cannot follow.
 */
extern void SelectPart(ScoreBatch *batch, int part);

/* score_batch_run.c: computes a part of a row that is asked for; errors of the engine */
extern void RunPartOfRow(ScoreBatch *batch, int part, int row);

#endif							/* MTL_RANK_SCORE_BATCH_STATE_H */
