/*
 * lookup.h
 *	  The model behind a registered name, as the current statement sees it.
 */
#ifndef MTL_RANK_LOOKUP_H
#define MTL_RANK_LOOKUP_H

#include "postgres.h"

/*
 * Reads the value of the model called name, the active version or that of
 * "name@version", from the registry in schema.  The query runs under the active
 * snapshot with the rights of the current user, so privileges and row-level
 * security hold.  Returns an mtl_model datum, not detoasted, in the current
 * context; error with the names or versions that exist when there is none.
 */
extern Datum RegistryLookup(Oid schema, const char *name);

/*
 * Whether what a name means to the current user is for policies to decide (or for a view
 * that somebody put in a table's place).  They may read settings, and so decide
 * otherwise within a statement.
 */
extern bool RegistryHasPolicies(Oid schema);

/*
 * The active version of a name, for information: false, never an error, where there
 * is none or the current user may not read the registry.  The error of a hook on the
 * rights of queries passes, as it sees these reads like all others.
 */
extern bool RegistryActiveVersion(Oid schema, const char *name, int *version);

/*
 * The same for its model; also for "name@version".
 */
extern bool RegistryPeek(Oid schema, const char *name, Datum *model);

#endif							/* MTL_RANK_LOOKUP_H */
