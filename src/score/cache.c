/*
 * cache.c
 *	  mtl_cache_entries, mtl_cache_prewarm, mtl_cache_evict: loaded models.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "score/model_argument.h"

MTL_FUNCTION(mtl_cache_entries);
MTL_FUNCTION(mtl_cache_prewarm);
MTL_FUNCTION(mtl_cache_evict);
MTL_FUNCTION(mtl_cache_evict_all);

#define NUM_ENTRY_COLUMNS 7		/* digest, location, bytes, pins, uses, last_used, reason */
#define NUM_PREWARM_COLUMNS 3	/* location, bytes, reason */

static void
PutEntry(ReturnSetInfo *result, const uint8 *digest, const char *location, Size size,
		 int pins, int64 uses, TimestampTz last_used, const char *reason)
{
	Datum		values[NUM_ENTRY_COLUMNS];
	bool		nulls[NUM_ENTRY_COLUMNS] = {false};

	values[0] = CStringGetTextDatum(DigestHex(digest));
	values[1] = CStringGetTextDatum(location);
	values[2] = Int64GetDatum(size);
	values[3] = Int32GetDatum(pins);
	values[4] = Int64GetDatum(uses);
	values[5] = TimestampTzGetDatum(last_used);
	values[6] = reason ? CStringGetTextDatum(reason) : (Datum) 0;
	nulls[6] = reason == NULL;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* mtl_cache_entries() */
Datum
mtl_cache_entries(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SharedEntry *shared;
	LoadedModel **own;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	shared = SharedCacheList(&n);
	for (int i = 0; i < n; i++)
		PutEntry(result, shared[i].digest, shared[i].loading ? "loading" : "shared",
				 shared[i].size, shared[i].pins, shared[i].uses, shared[i].last_used, NULL);
	own = ModelCacheList(&n);
	for (int i = 0; i < n; i++)
		PutEntry(result, own[i]->digest, "session", own[i]->size, own[i]->pins, own[i]->uses,
				 own[i]->last_used, own[i]->reason);
	return (Datum) 0;
}

/*
 * mtl_cache_prewarm(model).  The model stays pinned until the next call or the end of the
 * statement, as that of a score does.
 */
Datum
mtl_cache_prewarm(PG_FUNCTION_ARGS)
{
	TupleDesc	descriptor;
	Datum		values[NUM_PREWARM_COLUMNS];
	bool		nulls[NUM_PREWARM_COLUMNS] = {false};
	const LoadedModel *model;
	bool		shared;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra = ModelArgumentCreate(fcinfo);
	model = ModelArgumentGet(fcinfo->flinfo->fn_extra, fcinfo);

	shared = SharedPinAddress(&model->shared) != NULL;
	values[0] = CStringGetTextDatum(shared ? "shared" : "session");
	values[1] = Int64GetDatum(shared ? SharedPinSize(&model->shared) : model->size);
	values[2] = shared ? (Datum) 0 : CStringGetTextDatum(model->reason);
	nulls[2] = shared;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)));
}

/* mtl_cache_evict(digest): whether it was there, and nobody used it */
Datum
mtl_cache_evict(PG_FUNCTION_ARGS)
{
	char	   *hex = text_to_cstring(PG_GETARG_TEXT_PP(0));
	uint8		digest[MTL_DIGEST_SIZE];

	if (!DigestFromHex(hex, digest))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid digest \"%s\", expected %d hexadecimal digits",
						hex, MTL_DIGEST_HEX_SIZE),
				 errhint("The views mtl_cache and mtl_versions show digests.")));
	PG_RETURN_BOOL(ModelCacheEvict(digest) > 0);
}

/* mtl_cache_evict(): how many models */
Datum
mtl_cache_evict_all(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(ModelCacheEvict(NULL));
}
