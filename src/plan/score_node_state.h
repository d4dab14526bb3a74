/*
 * score_node_state.h
 *	  The state of an MtlScore node that is executed.
 */
#ifndef MTL_RANK_SCORE_NODE_STATE_H
#define MTL_RANK_SCORE_NODE_STATE_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "storage/itemptr.h"

#include "engine/engine.h"
#include "plan/row_argument.h"
#include "plan/score_node.h"
#include "score/score_batch.h"

/* Calls over the same model and features. */
typedef struct ScoreGroup
{
	int			first_call;
	int			ncalls;
	int		   *call_levels;	/* by call */
	int			nparts;			/* of the batch */
	int		   *part_levels;	/* by part */
	ScoreBatch *batch;
	ExprState  *model;
	bool		pair;			/* features are two rows */
	ExprState  *features[2];	/* the second NULL but for pairs */
	int			columns[2];		/* of the child, that features are, or -1 */
	RowArgument *row;			/* the last of the features instead, or NULL */
	ExprState **options;		/* by call; NULL: takes none */
	NullableDatum *option_values;

	/* the current batch */
	bool		begun;
	bool		idle;			/* no row has a result */
	int			nencoded;
	int16		rows[MTL_MAX_BATCH];	/* by row of the node: row of the batch, or -1 */
} ScoreGroup;

/* A column of the child that qual or target list see. */
typedef struct KeptColumn
{
	int			column;			/* from 0 */
	int16		typlen;
	bool		typbyval;
} KeptColumn;

typedef struct ScoreNodeState
{
	CustomScanState css;

	BatchMode	mode;
	bool		put_off_errors;
	bool		one_by_one;		/* it meant to, but no longer can */
	bool		check_ahead;
	int			nlevels;
	ExprState **quals;			/* by level; NULL: no conditions */
	ExprState  *limit_count;
	ExprState  *limit_offset;
	bool		limit_is_most;
	int			ncolumns;		/* of the child */
	int			ncalls;
	int			ngroups;
	ScoreGroup *groups;
	int			nkept;
	KeptColumn *kept;
	bool		keeps_memory;	/* a kept column is by reference */
	int			last_column;	/* of the child that is used at all */
	ExprContext *arguments;		/* for what is computed when a row is gathered */
	Size		memory;			/* of a batch */

	/* rows of the current batch */
	int			nrows;
	int			next_row;
	int			most;			/* that it may have, for the memory that scoring them takes */
	MemoryContext batch_context;
	Datum	   *values;			/* nkept for each row */
	bool	   *nulls;
	bool	   *scored;			/* by row: it took part in a batch */
	bool	   *rejected;		/* by row: found, before its turn, not to pass */
	bool		computing;		/* results, and not conditions, are at work */

	/* for WHERE CURRENT OF: the place of each row in the table that the child scans */
	bool		has_places;
	ItemPointerData *places;
	Oid		   *tables;

	/* the child */
	TupleTableSlot *table_rows; /* of the scan of a whole table, or NULL */
	TupleTableSlot *waiting;	/* a row that begins the next batch, or NULL */
	TupleTableSlot *encoding;	/* the row that is being encoded */
	bool		exhausted;
	bool		bounded;		/* remaining is known */
	bool		bound_ready;
	int64		remaining;		/* rows that may still be asked for, or with limit_is_most, at most */

	/*
	 * Set by a parent of this kind that reads ahead: return what there is, and no
	 * row rather than begin another batch.
	 */
	bool		no_new_batch;

	double		rows_scored;	/* since the node began */
	double		rows_returned;	/* of those */
} ScoreNodeState;

#endif							/* MTL_RANK_SCORE_NODE_STATE_H */
