/*
 * batchable.h
 *	  Which calls of scoring functions can be computed for many rows at once.
 *
 * A call can if it is evaluated whenever its expression is, not inside CASE, AND, OR
 * and the like, where it may be skipped; if its model and option are the same for
 * all rows of a scan; and if its features have no effects, and no subqueries.
 */
#ifndef MTL_RANK_BATCHABLE_H
#define MTL_RANK_BATCHABLE_H

#include "postgres.h"

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

/*
 * Adds the calls in an expression, or in a list of them that are all evaluated, to
 * calls, each once.  The nodes are those of the expression, not copies.
 */
extern List *FindBatchableCalls(Node *expression, List *calls);

/*
 * Whether computing the features of a call, and encoding them, can raise no error
 * but one that ScoreErrorPutOff() flushes, and runs no code that an error would leave
 * in disorder: columns, and the server's own immutable functions.  See LazyParams().
 */
extern bool FeaturesAreSafe(const FuncExpr *call, Bitmapset *lazy_params);

/*
 * Whether that can still be so: since the call was planned a row's type may have been
 * altered, or a cast been made, and the plan is the old one.
 */
extern bool FeatureTypesAreSafe(const FuncExpr *call);

/* The first call of a scoring function anywhere in an expression, or NULL. */
extern FuncExpr *FindAnyCall(Node *expression);

#endif							/* MTL_RANK_BATCHABLE_H */
