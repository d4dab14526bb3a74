/*
 * reader.h
 *	  How the rows of a plan node are asked for.
 *
 * That decides how far a node may read ahead: to the end where all rows are asked
 * for in any case; with care where whoever reads may stop.
 */
#ifndef MTL_RANK_READER_H
#define MTL_RANK_READER_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* What is known of how the rows of a plan are asked for. */
typedef struct Reader
{
	bool		reads_all;		/* to the end, if at all */
	bool		stops_early;	/* perhaps before the end, as LIMIT does */
	bool		goes_back;		/* marks a place and returns to it */

	/*
	 * Not NULL: exactly as many rows are asked for as these say, or all if there are
	 * not so many; with limit_is_most, perhaps fewer.
	 */
	Node	   *limit_count;
	Node	   *limit_offset;
	bool		limit_is_most;
} Reader;

/* One that may stop after any row, as of a cursor or a subquery. */
extern Reader StopsEarly(void);

/* What a node that is read so is for its outer (or only) child, and its inner one. */
extern Reader OuterReader(Plan *plan, Reader parent);
extern Reader InnerReader(Plan *plan, Reader parent);

#endif							/* MTL_RANK_READER_H */
