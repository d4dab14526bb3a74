/*
 * placement.h
 *	  Where an MtlScore node may stand, and the node for the place.
 */
#ifndef MTL_RANK_PLACEMENT_H
#define MTL_RANK_PLACEMENT_H

#include "postgres.h"

#include "nodes/plannodes.h"

#include "plan/reader.h"
#include "plan/score_node.h"

/* The statement whose plan is being changed. */
typedef struct Rewrite
{
	PlannedStmt *statement;
	int			last_node_id;	/* the highest in use */
	Bitmapset  *lazy_params;	/* see LazyParams() */
} Rewrite;

/*
 * Whether calls may be computed ahead over this plan, which is read so.  With bounded,
 * the reader's limit counts its rows.
 */
extern bool MayReadAhead(const Rewrite *rewrite, Plan *child, List *calls, const Reader *reader, bool bounded);

/*
 * An MtlScore node in place of a plan: like it in all that its parent knows of it.  The
 * spec has all but mode, put_off_errors and limits, which are set here.
 */
extern Plan *PlaceScoreNode(Rewrite *rewrite, const Plan *like, ScoreNodeSpec *spec, const Reader *reader,
							bool bounded);

#endif							/* MTL_RANK_PLACEMENT_H */
