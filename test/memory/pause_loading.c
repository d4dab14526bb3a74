/*
 * pause_loading.c
 *	  Lets a session pause while it loads a model for all, at an allocation, so that a test
 *	  can look at what others do meanwhile.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "cache/shared_cache.h"
#include "compat.h"

MTL_FUNCTION(mtl_pause_loading);

/* What the directory says of a model that is being loaded. */
typedef enum LoadingState
{
	LOADING_NOTHING,
	LOADING_CLAIMED,			/* has a place, but no memory yet */
	LOADING_RESERVED			/* has memory, not filled or in part */
} LoadingState;

static LoadingState pause_in = LOADING_NOTHING;
static int64 pause_lock;
static bool pause_fails;

static LoadingState
StateOfLoading(void)
{
	LoadingState state = LOADING_NOTHING;
	int			nentries;
	SharedEntry *entries = SharedCacheList(&nentries);

	for (int i = 0; i < nentries; i++)
		if (entries[i].loading)
			state = entries[i].size > 0 ? LOADING_RESERVED : LOADING_CLAIMED;
	pfree(entries);
	return state;
}

void
PauseLoading(void)
{
	LoadingState wanted = pause_in;

	if (wanted == LOADING_NOTHING)
		return;
	pause_in = LOADING_NOTHING; /* also for what this allocates */
	if (StateOfLoading() != wanted)
	{
		pause_in = wanted;
		return;
	}
	DirectFunctionCall1(pg_advisory_lock_int8, Int64GetDatum(pause_lock));
	DirectFunctionCall1(pg_advisory_unlock_int8, Int64GetDatum(pause_lock));
	if (pause_fails)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("The load was meant to fail.")));
}

/*
 * mtl_pause_loading(text, bigint, boolean) returns void: the next time that this session
 * loads a model for all it waits for an advisory lock when the model is "claimed", or
 * when its memory is "reserved"; then it fails or goes on.  No other session may be
 * loading then.
 */
Datum
mtl_pause_loading(PG_FUNCTION_ARGS)
{
	const char *state = text_to_cstring(PG_GETARG_TEXT_PP(0));

	pause_in = strcmp(state, "claimed") == 0 ? LOADING_CLAIMED : LOADING_RESERVED;
	pause_lock = PG_GETARG_INT64(1);
	pause_fails = PG_GETARG_BOOL(2);
	PG_RETURN_VOID();
}
