/*
 * model_argument.c
 *	  The model argument of the SQL functions: a value, or a registered name.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "registry/lookup.h"
#include "score/model_argument.h"

/*
 * What a look into the registry, or the meaning of a toast pointer, depends on.
 *
 * A FmgrInfo may outlive a statement (PL/pgSQL keeps those of simple expressions
 * for a transaction, an index keeps its own for the session), so that a result
 * kept in fn_extra must be bound to what it was true for.  Two snapshots of one
 * transaction with equal fields see the same rows: for an unchanged xmax the set
 * of running transactions can only shrink, so equal counts mean equal sets.  The
 * command id and the subtransaction tell apart what the transaction did itself.
 */
typedef struct StatementIdentity
{
	LocalTransactionId transaction;
	SubTransactionId subtransaction;
	TimestampTz statement_start;
	Oid			user;
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;
	CommandId	command;
} StatementIdentity;

struct ModelArgument
{
	bool		by_name;
	Oid			schema;			/* of the extension */
	LoadedModel *model;			/* pinned; NULL at first */
	StatementIdentity statement;	/* when model was found */

	/* by name */
	text	   *name;

	/* by value: the toast pointer of model, valid when on_disk */
	bool		on_disk;
	Oid			toast_relation;
	Oid			toast_value;

	MemoryContext context;
	MemoryContextCallback unpin;
};

/*
 * Zeroed first, and copied by memcpy: identities are compared byte by byte.
 */
static void
IdentifyStatement(StatementIdentity *identity)
{
	memset(identity, 0, sizeof(StatementIdentity));
	identity->transaction = MyLocalTransactionId();
	identity->subtransaction = GetCurrentSubTransactionId();
	identity->statement_start = GetCurrentStatementStartTimestamp();
	identity->user = GetUserId();
	if (ActiveSnapshotSet())
	{
		Snapshot	snapshot = GetActiveSnapshot();

		identity->xmin = snapshot->xmin;
		identity->xmax = snapshot->xmax;
		identity->xcnt = snapshot->xcnt;
		identity->subxcnt = snapshot->subxcnt;
		identity->command = snapshot->curcid;
	}
}

static bool
SameStatement(const ModelArgument *argument, const StatementIdentity *identity)
{
	return memcmp(&argument->statement, identity, sizeof(StatementIdentity)) == 0;
}

static void
UnpinModel(void *arg)
{
	ModelArgument *argument = arg;

	if (argument->model)
		ModelCacheUnpin(argument->model);
	argument->model = NULL;
}

/*
 * Whether the function called takes a name: declared types, since one C function
 * serves both forms.
 */
static bool
ModelIsNamed(FunctionCallInfo fcinfo)
{
	Oid		   *types;
	int			nargs;

	(void) get_func_signature(fcinfo->flinfo->fn_oid, &types, &nargs);
	Assert(nargs > 0);
	return types[0] == TEXTOID;
}

ModelArgument *
ModelArgumentCreate(FunctionCallInfo fcinfo)
{
	MemoryContext context = fcinfo->flinfo->fn_mcxt;
	ModelArgument *argument = MemoryContextAllocZero(context, sizeof(ModelArgument));

	argument->by_name = ModelIsNamed(fcinfo);
	argument->schema = get_func_namespace(fcinfo->flinfo->fn_oid);
	argument->context = context;
	argument->unpin.func = UnpinModel;
	argument->unpin.arg = argument;
	MemoryContextRegisterResetCallback(context, &argument->unpin);
	return argument;
}

/*
 * Loads the whole value into the cache; pinned.
 */
static LoadedModel *
LoadModel(Datum value)
{
	MtlModel   *whole = DatumGetMtlModelP(value);
	LoadedModel *model = ModelCacheLoad(whole);

	if ((Pointer) whole != DatumGetPointer(value))
		pfree(whole);
	return model;
}

/*
 * Makes the model of this value the argument's: from the cache, if the digest in
 * its header is there, else by loading the whole value.
 */
static void
UseModelValue(ModelArgument *argument, Datum value)
{
	const MtlModel *header = MtlModelHeader(value);
	LoadedModel *model;

	if (argument->model &&
		memcmp(argument->model->digest, header->digest, MTL_DIGEST_SIZE) == 0)
		return;
	model = ModelCachePin(header->digest);
	if (model == NULL)
		model = LoadModel(value);
	UnpinModel(argument);
	argument->model = model;
}

LoadedModel *
ModelPeek(Datum value)
{
	const MtlModel *header = MtlModelHeader(value);
	LoadedModel *model = ModelCachePin(header->digest);

	/* what would not stay in the cache would be loaded for each question anew */
	if (model == NULL && header->file_size <= (uint64) mtl_rank_max_model_size * 1024 &&
		header->file_size <= (uint64) mtl_rank_cache_size * 1024 / 4)
		model = LoadModel(value);
	return model;
}

static void
GetByName(ModelArgument *argument, FunctionCallInfo fcinfo)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	StatementIdentity identity;

	IdentifyStatement(&identity);
	if (argument->model && SameStatement(argument, &identity) &&
		VARSIZE_ANY_EXHDR(name) == VARSIZE_ANY_EXHDR(argument->name) &&
		memcmp(VARDATA_ANY(name), VARDATA_ANY(argument->name), VARSIZE_ANY_EXHDR(name)) == 0)
		return;

	UseModelValue(argument, RegistryLookup(argument->schema, text_to_cstring(name)));
	if (argument->name)
		pfree(argument->name);
	argument->name = MemoryContextAlloc(argument->context, VARSIZE_ANY(name));
	memcpy(argument->name, name, VARSIZE_ANY(name));

	/* no statement is like this one where it must be looked up each time */
	if (RegistryHasPolicies(argument->schema))
		memset(&identity, 0, sizeof(StatementIdentity));
	memcpy(&argument->statement, &identity, sizeof(StatementIdentity));
}

static void
GetByValue(ModelArgument *argument, FunctionCallInfo fcinfo)
{
	Datum		value = PG_GETARG_DATUM(0);
	struct varatt_external pointer;
	StatementIdentity identity;

	if (!VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(value)))
	{
		argument->on_disk = false;
		UseModelValue(argument, value);
		return;
	}

	/*
	 * Within a statement the toast pointer names the value; later the number may
	 * be used again.
	 */
	VARATT_EXTERNAL_GET_POINTER(pointer, DatumGetPointer(value));
	IdentifyStatement(&identity);
	if (argument->model && argument->on_disk && SameStatement(argument, &identity) &&
		argument->toast_relation == pointer.va_toastrelid &&
		argument->toast_value == pointer.va_valueid)
		return;

	UseModelValue(argument, value);
	argument->on_disk = true;
	argument->toast_relation = pointer.va_toastrelid;
	argument->toast_value = pointer.va_valueid;
	memcpy(&argument->statement, &identity, sizeof(StatementIdentity));
}

LoadedModel *
ModelArgumentGet(ModelArgument *argument, FunctionCallInfo fcinfo)
{
	if (argument->by_name)
		GetByName(argument, fcinfo);
	else
		GetByValue(argument, fcinfo);
	return argument->model;
}

/*
 * Argument 0 as a value, not detoasted.
 */
static Datum
ArgumentDatum(FunctionCallInfo fcinfo)
{
	if (ModelIsNamed(fcinfo))
		return RegistryLookup(get_func_namespace(fcinfo->flinfo->fn_oid),
							  text_to_cstring(PG_GETARG_TEXT_PP(0)));
	return PG_GETARG_DATUM(0);
}

MtlModel *
ModelArgumentValue(FunctionCallInfo fcinfo)
{
	MtlModel   *model = DatumGetMtlModelP(ArgumentDatum(fcinfo));

	MtlModelCheck(model);
	return model;
}

const MtlModel *
ModelArgumentBeginning(FunctionCallInfo fcinfo)
{
	return MtlModelBeginning(ArgumentDatum(fcinfo));
}
