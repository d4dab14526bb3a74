/*
 * query.h
 *	  Rows of a query, a portion at a time.
 */
#ifndef MTL_RANK_QUERY_H
#define MTL_RANK_QUERY_H

#include "postgres.h"

#include "executor/tuptable.h"

typedef struct QueryReader QueryReader;

/*
 * Opens a cursor for a query, which must be one SELECT that writes nothing; what
 * is "training query" or the like.  SPI must be connected.  Allocated in the
 * current context.
 */
extern QueryReader *QueryReaderOpen(const char *query, const char *what);

/* The columns of its rows; a type that can be given to functions as a row. */
extern TupleDesc QueryReaderColumns(const QueryReader *reader);

/* The next row, valid until the next call; NULL after the last. */
extern TupleTableSlot *QueryReaderNext(QueryReader *reader);

extern void QueryReaderClose(QueryReader *reader);

/*
 * The position of the column of this name, from 0; an error that names it when
 * there is none, or more than one.  purpose says what it is needed for, as in
 * feature "age".
 */
extern int	QueryColumn(TupleDesc columns, const char *name, const char *purpose, const char *what);

#endif							/* MTL_RANK_QUERY_H */
