/*
 * scan.c
 *	  Reads a model of the registry by its primary keys, without a query.
 *
 * A query for the same costs the first statement of a session as much as all that scoring
 * adds to it otherwise: it is parsed, planned, and asks the catalogs for operators, types
 * and statistics.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "compat.h"
#include "registry/scan.h"

#define MAX_KEYS 2

/* A table, and the index of its primary key. */
typedef struct Table
{
	Relation	relation;
	Oid			index;
	int			nkeys;
	ScanKeyData keys[MAX_KEYS];
} Table;

/*
 * Opens a table that the current user may read as a whole, and that has no policies for
 * him and no child tables; NULL for any other.  As with a query, the lock stays until the
 * transaction ends: what is read may point to more of the table.
 */
static Relation
OpenTable(Oid schema, const char *name)
{
	Oid			oid = get_relname_relid(name, schema);
	Relation	relation = OidIsValid(oid) ? try_relation_open(oid, AccessShareLock) : NULL;

	if (relation == NULL)
		return NULL;
	if (relation->rd_rel->relkind == RELKIND_RELATION && !relation->rd_rel->relhassubclass &&
		pg_class_aclcheck(oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(oid, InvalidOid, true) != RLS_ENABLED)
		return relation;
	relation_close(relation, NoLock);
	return NULL;
}

/* The number of a column, 0 if there is none of this name and type. */
static AttrNumber
FindColumn(Relation relation, const char *name, Oid type)
{
	TupleDesc	descriptor = RelationGetDescr(relation);

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);

		if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0)
			return attribute->atttypid == type ? attribute->attnum : 0;
	}
	return 0;
}

/*
 * Whether the index has the columns of the keys in their order, and finds what they are
 * equal to.
 */
static bool
IndexHasKeys(Oid oid, int nkeys, const ScanKeyData *keys, const Oid *families)
{
	Relation	index = index_open(oid, AccessShareLock);
	bool		fits = index->rd_rel->relam == BTREE_AM_OID &&
		IndexRelationGetNumberOfKeyAttributes(index) == nkeys;

	for (int i = 0; fits && i < nkeys; i++)
		fits = index->rd_index->indkey.values[i] == keys[i].sk_attno &&
			index->rd_opfamily[i] == families[i] &&
			index->rd_indcollation[i] == keys[i].sk_collation;
	index_close(index, AccessShareLock);
	return fits;
}

/*
 * Opens a table by the columns of its primary key: "name", and with a version that too.
 */
static bool
TableOpen(Table *table, Oid schema, const char *table_name, Datum name, int version)
{
	static const Oid families[MAX_KEYS] = {TEXT_BTREE_FAM_OID, INTEGER_BTREE_FAM_OID};
	AttrNumber	name_column;
	AttrNumber	version_column;
	Oid			collation;

	table->relation = OpenTable(schema, table_name);
	if (table->relation == NULL)
		return false;
	name_column = FindColumn(table->relation, "name", TEXTOID);
	version_column = FindColumn(table->relation, "version", INT4OID);
	list_free(RelationGetIndexList(table->relation));
	table->index = table->relation->rd_pkindex;
	if (name_column > 0 && version_column > 0 && OidIsValid(table->index))
	{
		collation = TupleDescAttr(RelationGetDescr(table->relation), name_column - 1)->attcollation;
		table->nkeys = version > 0 ? 2 : 1;
		ScanKeyEntryInitialize(&table->keys[0], 0, name_column, BTEqualStrategyNumber, InvalidOid,
							   collation, F_TEXTEQ, name);
		ScanKeyEntryInitialize(&table->keys[1], 0, version_column, BTEqualStrategyNumber, InvalidOid,
							   InvalidOid, F_INT4EQ, Int32GetDatum(version));
		if (IndexHasKeys(table->index, table->nkeys, table->keys, families))
			return true;
	}
	relation_close(table->relation, NoLock);
	return false;
}

/*
 * A column of the one row that has the keys, in the current context; false if there is no
 * row, or a null in it.
 */
static bool
FindValue(Table *table, AttrNumber column, Datum *value)
{
	SysScanDesc scan = systable_beginscan(table->relation, table->index, true, GetActiveSnapshot(),
										  table->nkeys, table->keys);
	HeapTuple	tuple = systable_getnext(scan);
	bool		isnull = true;

	if (HeapTupleIsValid(tuple))
		*value = heap_getattr(tuple, column, RelationGetDescr(table->relation), &isnull);
	if (!isnull)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(table->relation), column - 1);

		*value = datumCopy(*value, attribute->attbyval, attribute->attlen);
	}
	systable_endscan(scan);
	return !isnull;
}

/*
 * The active version of a name, 0 if there is none.
 */
static bool
ScanActive(Oid schema, Datum name, int *version)
{
	Table		table;
	Datum		value;

	if (!TableOpen(&table, schema, "mtl_active", name, 0))
		return false;
	*version = FindValue(&table, FindColumn(table.relation, "version", INT4OID), &value) ?
		DatumGetInt32(value) : 0;
	relation_close(table.relation, NoLock);
	return true;
}

/*
 * The tables belong to the role that installed the extension, who can put a column of
 * another type in the place of the model; its bytes could say anything.
 */
static bool
ScanModels(Oid schema, Datum name, int version, bool *found, Datum *model)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("mtl_model"),
									   ObjectIdGetDatum(schema));
	Table		table;
	AttrNumber	column;

	if (!OidIsValid(type) || !TableOpen(&table, schema, "mtl_models", name, version))
		return false;
	column = FindColumn(table.relation, "model", type);
	if (column > 0)
		*found = FindValue(&table, column, model);
	relation_close(table.relation, NoLock);
	return column > 0;
}

bool
RegistryScan(Oid schema, const char *name, int version, bool *found, Datum *model)
{
	Datum		key = CStringGetTextDatum(name);

	/* a hook on the rights of queries decides, or keeps records */
	if (ExecutorCheckPerms_hook || !ActiveSnapshotSet())
		return false;
	if (version == 0 && !ScanActive(schema, key, &version))
		return false;
	*found = false;
	return version <= 0 || ScanModels(schema, key, version, found, model);
}
