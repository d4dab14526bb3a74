/*
 * lookup.c
 *	  The model behind a registered name, as the current statement sees it.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rowsecurity.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "compat.h"
#include "model/names.h"
#include "registry/lookup.h"
#include "registry/scan.h"

/* Names that an error lists at most. */
#define MAX_NAMES_LISTED 20

typedef enum RegistryQuery
{
	QUERY_ACTIVE,				/* name -> model */
	QUERY_VERSION,				/* name, version -> model */
	QUERY_ACTIVE_VERSION,		/* name -> version */
	QUERY_NAMES,				/* -> names */
	QUERY_VERSIONS				/* name -> versions */
} RegistryQuery;

#define NUM_QUERIES (QUERY_VERSIONS + 1)

/*
 * %1$s is the extension's schema, quoted.  The cast is a check: the tables belong
 * to the role that installed the extension, who can put a column of another type
 * in their place.
 */
static const char *const query_texts[NUM_QUERIES] = {
	[QUERY_ACTIVE] =
	"SELECT m.model::%1$s.mtl_model FROM %1$s.mtl_active a JOIN %1$s.mtl_models m"
	" ON m.name OPERATOR(pg_catalog.=) a.name AND m.version OPERATOR(pg_catalog.=) a.version"
	" WHERE a.name OPERATOR(pg_catalog.=) $1",
	[QUERY_VERSION] =
	"SELECT m.model::%1$s.mtl_model FROM %1$s.mtl_models m"
	" WHERE m.name OPERATOR(pg_catalog.=) $1 AND m.version OPERATOR(pg_catalog.=) $2",
	[QUERY_ACTIVE_VERSION] =
	"SELECT a.version::pg_catalog.int4 FROM %1$s.mtl_active a WHERE a.name OPERATOR(pg_catalog.=) $1",
	[QUERY_NAMES] =
	"SELECT DISTINCT m.name FROM %1$s.mtl_models m ORDER BY 1",
	[QUERY_VERSIONS] =
	"SELECT m.version::pg_catalog.text FROM %1$s.mtl_models m"
	" WHERE m.name OPERATOR(pg_catalog.=) $1 ORDER BY m.version"
};

static const int query_nargs[NUM_QUERIES] = {1, 2, 1, 0, 1};

/*
 * Plans are kept for the session; plancache checks them against changes of the
 * tables, and of the user where row-level security makes a difference.
 */
static Oid	plans_schema = InvalidOid;
static NameData plans_schema_name;	/* that they are written with */
static SPIPlanPtr plans[NUM_QUERIES];

static SPIPlanPtr
GetPlan(RegistryQuery query, Oid schema)
{
	Oid			types[2] = {TEXTOID, INT4OID};
	char	   *schema_name = get_namespace_name(schema);

	if (schema_name == NULL)
		elog(ERROR, "cache lookup failed for schema %u", schema);
	if (schema != plans_schema || strcmp(schema_name, NameStr(plans_schema_name)) != 0)
	{
		for (int i = 0; i < NUM_QUERIES; i++)
		{
			SPIPlanPtr	old = plans[i];

			plans[i] = NULL;
			if (old)
				SPI_freeplan(old);
		}
		plans_schema = schema;
		namestrcpy(&plans_schema_name, schema_name);
	}

	if (plans[query] == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(psprintf(query_texts[query], quote_identifier(schema_name)),
									   query_nargs[query], types);

		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		if (SPI_keepplan(plan) != 0)
			elog(ERROR, "SPI_keepplan failed");
		plans[query] = plan;
	}
	return plans[query];
}

/*
 * Runs a query read-only, so that it sees what the caller's statement sees.
 * Returns the number of rows, in SPI_tuptable.
 */
static uint64
RunQuery(RegistryQuery query, Oid schema, const char *name, int version, long limit)
{
	Datum		values[2];
	int			result;

	values[0] = name ? CStringGetTextDatum(name) : (Datum) 0;
	values[1] = Int32GetDatum(version);
	result = SPI_execute_plan(GetPlan(query, schema), values, NULL, true, limit);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/*
 * The first column of the result, for a hint.
 */
static char *
ListResult(uint64 nrows)
{
	StringInfoData list;

	initStringInfo(&list);
	for (uint64 i = 0; i < Min(nrows, MAX_NAMES_LISTED); i++)
		AppendQuotedName(&list, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	if (nrows > MAX_NAMES_LISTED)
		appendStringInfoString(&list, ", ...");
	return list.data;
}

/*
 * Says what there is instead, as far as the user may see it.
 */
static MTL_NORETURN void
NotFoundError(Oid schema, const char *name, const char *version)
{
	uint64		nversions = RunQuery(QUERY_VERSIONS, schema, name, 0, MAX_NAMES_LISTED + 1);
	uint64		nnames;

	if (nversions > 0 && version)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no version %s", name, version),
				 errhint("Its versions are %s.", ListResult(nversions))));
	if (nversions > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no active version", name),
				 errhint("Activate one of its versions %s with mtl_activate, or name it as \"%s@version\".",
						 ListResult(nversions), name)));

	nnames = RunQuery(QUERY_NAMES, schema, NULL, 0, MAX_NAMES_LISTED + 1);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" is not registered", name),
			 nnames > 0 ?
			 errhint("Registered models are %s.", ListResult(nnames)) :
			 errhint("There is no registered model; see mtl_register.")));
}

/*
 * Splits "name@version": the version's text, NULL if there is none, and its number,
 * 0 if that is invalid.  Names have no @.
 */
static char *
SplitName(char *name, int *version)
{
	char	   *at = strchr(name, '@');
	char	   *end;
	long		number;

	*version = 0;
	if (at == NULL)
		return NULL;
	*at++ = '\0';
	errno = 0;
	number = strtol(at, &end, 10);
	if (isdigit((unsigned char) *at) && *end == '\0' && errno == 0 &&
		number >= 1 && number <= PG_INT32_MAX)
		*version = number;
	return at;
}

/*
 * The model of a name by a query, in the caller's context; an error where there is none.
 */
static Datum
QueryModel(Oid schema, const char *name, const char *version_text, int version)
{
	Datum		model;
	bool		isnull;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (RunQuery(version_text ? QUERY_VERSION : QUERY_ACTIVE, schema, name, version, 1) == 0)
		NotFoundError(schema, name, version_text);
	model = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		elog(ERROR, "model \"%s\" is null", name);
	model = SPI_datumTransfer(model, false, -1);
	SPI_finish();
	return model;
}

Datum
RegistryLookup(Oid schema, const char *full_name)
{
	char	   *name = pstrdup(full_name);
	int			version;
	char	   *version_text = SplitName(name, &version);
	Datum		model;
	bool		found;

	if (version_text && version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid version \"%s\" of model \"%s\"", version_text, name),
				 errhint("Name a version as \"%s@1\".", name)));
	if (!RegistryScan(schema, name, version, &found, &model) || !found)
		model = QueryModel(schema, name, version_text, version);
	pfree(name);
	return model;
}

/*
 * Whether a relation of the registry is a table without policies for the current user.
 */
static bool
IsPlainTable(Oid relation)
{
	return OidIsValid(relation) && get_rel_relkind(relation) == RELKIND_RELATION &&
		check_enable_rls(relation, InvalidOid, true) != RLS_ENABLED;
}

/* A check_function_callback. */
static bool
IsMutable(Oid function, void *context)
{
	return func_volatile(function) != PROVOLATILE_IMMUTABLE;
}

/* current_user and the like are the same as long as the user and the statement are. */
static bool
MutableWalker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, IsMutable, context) ||
		expression_tree_walker(node, MutableWalker, context);
}

/*
 * Subqueries may read tables that have such policies in turn.
 */
static bool
PoliciesMayChange(Oid oid)
{
	Relation	relation = table_open(oid, AccessShareLock);
	bool		result = false;
	ListCell   *cell;

	if (relation->rd_rsdesc)
		foreach(cell, relation->rd_rsdesc->policies)
		{
			const RowSecurityPolicy *policy = lfirst(cell);

			result |= policy->hassublinks || MutableWalker((Node *) policy->qual, NULL);
		}
	table_close(relation, NoLock);
	return result;
}

static bool
TableMayChange(Oid relation)
{
	if (IsPlainTable(relation))
		return false;
	return get_rel_relkind(relation) != RELKIND_RELATION || PoliciesMayChange(relation);
}

bool
RegistryMayChange(Oid schema)
{
	return TableMayChange(get_relname_relid("mtl_models", schema)) ||
		TableMayChange(get_relname_relid("mtl_active", schema));
}

/*
 * Whether reading a table of the registry cannot fail for lack of rights.  Policies
 * may call any function, so where they hold nothing is read for information alone.
 */
static bool
MayPeek(Oid schema, const char *table)
{
	Oid			relation = get_relname_relid(table, schema);

	return IsPlainTable(relation) && pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * The single value of a query that may find no row, in the caller's context.
 */
static bool
PeekValue(RegistryQuery query, Oid schema, const char *name, int version, bool byval, Datum *value)
{
	bool		found;
	bool		isnull = true;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	found = RunQuery(query, schema, name, version, 1) > 0;
	if (found)
		*value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (!isnull)
		*value = SPI_datumTransfer(*value, byval, byval ? sizeof(int32) : -1);
	SPI_finish();
	return !isnull;
}

bool
RegistryActiveVersion(Oid schema, const char *name, int *version)
{
	Datum		value;

	if (!MayPeek(schema, "mtl_active") ||
		!PeekValue(QUERY_ACTIVE_VERSION, schema, name, 0, true, &value))
		return false;
	*version = DatumGetInt32(value);
	return true;
}

bool
RegistryPeek(Oid schema, const char *full_name, Datum *model)
{
	char	   *name = pstrdup(full_name);
	int			version;
	bool		has_version = SplitName(name, &version) != NULL;
	bool		found;

	if ((has_version && version == 0) || !MayPeek(schema, "mtl_models") ||
		(!has_version && !MayPeek(schema, "mtl_active")))
		return false;
	if (RegistryScan(schema, name, version, &found, model))
		return found;
	return PeekValue(has_version ? QUERY_VERSION : QUERY_ACTIVE, schema, name, version, false, model);
}
