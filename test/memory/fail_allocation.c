/*
 * fail_allocation.c
 *	  Lets an allocation of the module fail, the n-th from now on.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"

MTL_FUNCTION(mtl_fail_allocation);

static int64 allocations = 0;
static int64 failing = 0;

void
FailAllocation(void)
{
	PauseLoading();
	if (++allocations == failing)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Allocation %lld was meant to fail.", (long long) allocations)));
}

/*
 * mtl_fail_allocation(bigint) returns bigint: lets the n-th allocation fail, or none if
 * 0; returns how many there were since the last call.
 */
Datum
mtl_fail_allocation(PG_FUNCTION_ARGS)
{
	int64		before = allocations;

	allocations = 0;
	failing = PG_GETARG_INT64(0);
	PG_RETURN_INT64(before);
}
