/*
 * permission_hook.c
 *	  A hook on the rights of queries, as modules for auditing and labels have: counts the
 *	  checks of tables, and refuses one.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"

MTL_FUNCTION(hook_permissions);
MTL_FUNCTION(permission_checks);

#define MAX_CHECKS 1000

static ExecutorCheckPerms_hook_type next_hook = NULL;
static bool installed = false;
static Oid	refused = InvalidOid;
static Oid	checks[MAX_CHECKS];
static int	nchecks = 0;

static bool
CheckPermissions(MTL_CHECK_PERMISSIONS_PARAMETERS)
{
	ListCell   *cell;

	foreach(cell, range_table)
	{
		RangeTblEntry *entry = lfirst(cell);

		if (entry->rtekind != RTE_RELATION)
			continue;
		if (nchecks < MAX_CHECKS)
			checks[nchecks++] = entry->relid;
		if (OidIsValid(refused) && entry->relid == refused)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("the hook refuses \"%s\"", get_rel_name(refused))));
	}
	return next_hook == NULL || next_hook(MTL_CHECK_PERMISSIONS_ARGUMENTS);
}

/* hook_permissions(regclass): from now on there is a hook, which refuses this table, or none if 0. */
Datum
hook_permissions(PG_FUNCTION_ARGS)
{
	if (!installed)
	{
		next_hook = ExecutorCheckPerms_hook;
		ExecutorCheckPerms_hook = CheckPermissions;
		installed = true;
	}
	refused = PG_GETARG_OID(0);
	nchecks = 0;
	PG_RETURN_VOID();
}

/* permission_checks(regclass) returns int: how often the table was checked since then. */
Datum
permission_checks(PG_FUNCTION_ARGS)
{
	int			n = 0;

	for (int i = 0; i < nchecks; i++)
		n += checks[i] == PG_GETARG_OID(0);
	PG_RETURN_INT32(n);
}
