/*
 * query.c
 *	  Rows of a query, a portion at a time.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "tcop/cmdtag.h"
#include "utils/plancache.h"

#include "compat.h"
#include "model/names.h"
#include "train/query.h"

/* Rows may be large, and a portion lies in memory whole. */
#define PORTION 100

struct QueryReader
{
	const char *what;
	Portal		portal;
	TupleDesc	columns;
	TupleTableSlot *slot;
	SPITupleTable *rows;		/* the portion, NULL: none */
	uint64		nrows;
	uint64		next;
};

/*
 * One SELECT or VALUES, without a WITH that writes.
 */
static bool
IsReadingQuery(SPIPlanPtr plan)
{
	List	   *sources = SPI_plan_get_plan_sources(plan);
	CachedPlanSource *source;
	ListCell   *cell;

	if (list_length(sources) != 1 || !SPI_is_cursor_plan(plan))
		return false;
	source = linitial(sources);
	if (source->commandTag != CMDTAG_SELECT)
		return false;
	foreach(cell, source->query_list)
	{
		Query	   *query = lfirst(cell);

		if (query->commandType != CMD_SELECT || query->hasModifyingCTE || query->rowMarks != NIL)
			return false;
	}
	return true;
}

QueryReader *
QueryReaderOpen(const char *query, const char *what)
{
	MemoryContext caller = CurrentMemoryContext;
	QueryReader *reader = palloc0(sizeof(QueryReader));
	SPIPlanPtr	plan = SPI_prepare(query, 0, NULL);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	if (!IsReadingQuery(plan))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the %s is not a SELECT", what),
				 errhint("Give one SELECT or VALUES that changes and locks nothing.")));

	reader->what = what;
	reader->portal = SPI_cursor_open(NULL, plan, NULL, NULL, false);
	if (reader->portal == NULL)
		elog(ERROR, "SPI_cursor_open failed: %s", SPI_result_code_string(SPI_result));
	/* what SPI does leaves its own context behind as the current one */
	MemoryContextSwitchTo(caller);
	reader->columns = BlessTupleDesc(CreateTupleDescCopy(reader->portal->tupDesc));
	reader->slot = MakeSingleTupleTableSlot(reader->columns, &TTSOpsHeapTuple);
	return reader;
}

TupleDesc
QueryReaderColumns(const QueryReader *reader)
{
	return reader->columns;
}

TupleTableSlot *
QueryReaderNext(QueryReader *reader)
{
	if (reader->next == reader->nrows)
	{
		MemoryContext caller = CurrentMemoryContext;

		ExecClearTuple(reader->slot);
		if (reader->rows)
			SPI_freetuptable(reader->rows);
		SPI_cursor_fetch(reader->portal, true, PORTION);
		MemoryContextSwitchTo(caller);
		reader->rows = SPI_tuptable;
		reader->nrows = SPI_processed;
		reader->next = 0;
		if (reader->nrows == 0)
			return NULL;
	}
	ExecStoreHeapTuple(reader->rows->vals[reader->next++], reader->slot, false);
	slot_getallattrs(reader->slot);
	return reader->slot;
}

void
QueryReaderClose(QueryReader *reader)
{
	MemoryContext caller = CurrentMemoryContext;

	ExecDropSingleTupleTableSlot(reader->slot);
	if (reader->rows)
		SPI_freetuptable(reader->rows);
	SPI_cursor_close(reader->portal);
	MemoryContextSwitchTo(caller);
}

int
QueryColumn(TupleDesc columns, const char *name, const char *purpose, const char *what)
{
	int			found = -1;
	StringInfoData names;

	for (int i = 0; i < columns->natts; i++)
	{
		if (strcmp(NameStr(TupleDescAttr(columns, i)->attname), name) != 0)
			continue;
		if (found >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("the %s has column \"%s\" twice", what, name),
					 errhint("Rename or leave out the other.")));
		found = i;
	}
	if (found >= 0)
		return found;

	initStringInfo(&names);
	for (int i = 0; i < columns->natts; i++)
		AppendQuotedName(&names, NameStr(TupleDescAttr(columns, i)->attname));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("the %s has no column \"%s\" for %s", what, name, purpose),
			 errhint("Its columns are %s.", names.data)));
}
