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

#endif							/* MTL_RANK_LOOKUP_H */
