/*
 * scan.h
 *	  Reads a model of the registry by its primary keys, without a query.
 */
#ifndef MTL_RANK_SCAN_H
#define MTL_RANK_SCAN_H

#include "postgres.h"

/*
 * Finds the model of a name under the active snapshot: that of a version, or with 0 the
 * active one.  Whether the current user may read the tables is checked each time.
 * *found says whether there is one; it is an mtl_model datum, not detoasted, in the
 * current context.
 *
 * Returns false, never an error, where a query would do more than that: check policies
 * or rights for single columns, call hooks, look into other tables, or say what is wrong.
 */
extern bool RegistryScan(Oid schema, const char *name, int version, bool *found, Datum *model);

#endif							/* MTL_RANK_SCAN_H */
