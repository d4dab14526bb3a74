/*
 * scan_tuple.h
 *	  Expressions over the scan tuple of an MtlScore node.
 */
#ifndef MTL_RANK_SCAN_TUPLE_H
#define MTL_RANK_SCAN_TUPLE_H

#include "postgres.h"

#include "nodes/plannodes.h"

/* The columns of the node's child, then the calls. */
typedef struct ScanTuple
{
	int			ncolumns;
	List	   *calls;
	List	   *hidden;			/* of these, by pointer: must not be used */
	Index		varno;			/* INDEX_VAR; OUTER_VAR for the node above */
} ScanTuple;

/*
 * From an expression over the child's result, or a list of them, to one over the scan
 * tuple: calls become columns.  The result is a copy.
 */
extern Node *UseScores(Node *node, ScanTuple *tuple);

/* A target list that hands the whole scan tuple on: entries of the child, then calls. */
extern List *WholeTuple(List *entries, List *calls);

#endif							/* MTL_RANK_SCAN_TUPLE_H */
