/*
 * tally_state.c
 *	  Tallies as states of aggregates: where they live, and how a process hands its
 *	  part over to another.
 *
 * Combining is one for all aggregates whose state is a tally, so the part that is
 * handed over says what it needs: the type of the group, the parameter.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "compat.h"
#include "metrics/arguments.h"
#include "metrics/handover.h"
#include "metrics/tally_state.h"

MTL_FUNCTION(mtl_tally_serialize);
MTL_FUNCTION(mtl_tally_deserialize);

extern PGDLLEXPORT Datum mtl_tally_combine(PG_FUNCTION_ARGS);
extern PGDLLEXPORT const Pg_finfo_record *pg_finfo_mtl_tally_combine(void);

/* Bytes that a part may have to be handed over as a value. */
#define MAX_VALUE ((int64) 1024 * 1024)

/* What a part begins with; a run follows, unless it is in a file. */
typedef struct PartHeader
{
	Oid			group_type;
	Oid			collation;
	TallyParameter parameter;
	bool		in_file;
	Handover	handover;
} PartHeader;

/* A part that has arrived. Its bytes are the argument's. */
typedef struct Part
{
	PartHeader	header;
	const char *run;
	Size		size;
} Part;

/* ----------
 * in a process
 * ----------
 */

/* The pool of a call site. */
static TallyPool *
GetPool(FunctionCallInfo fcinfo, Oid group_type, Oid collation)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;

	if (flinfo->fn_extra == NULL)
		flinfo->fn_extra = TallyPoolCreate(group_type, collation, flinfo->fn_mcxt);
	return flinfo->fn_extra;
}

static const char *
ParameterText(const TallyParameter *parameter)
{
	if (parameter->kind == TALLY_WEIGHTING)
		return parameter->value == GAUC_CLICKS ? "clicks" : "impressions";
	return parameter->value == 0 ? "null" : psprintf("%d", parameter->value);
}

static void
CheckParameter(const Tally *tally, const TallyParameter *parameter)
{
	const TallyParameter *before = TallyGetParameter(tally);
	bool		ascending = before->value < parameter->value;

	/* which row came first must not matter */
	if (parameter->value != before->value)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is %s in one row and %s in another",
						parameter->kind == TALLY_K ? "k" : "weighting",
						ParameterText(ascending ? before : parameter),
						ParameterText(ascending ? parameter : before)),
				 errhint("All rows of an aggregate need the same one.")));
}

Tally *
TallyStateGet(FunctionCallInfo fcinfo, int group_arg, TallyParameter parameter)
{
	Tally	   *tally;

	if (PG_ARGISNULL(0))
	{
		Oid			type = group_arg ? get_fn_expr_argtype(fcinfo->flinfo, group_arg) : InvalidOid;

		if (group_arg && !OidIsValid(type))
			elog(ERROR, "could not determine the type of the group");
		return TallyCreate(GetPool(fcinfo, type, PG_GET_COLLATION()), parameter, AggregateContext(fcinfo));
	}
	tally = (Tally *) PG_GETARG_POINTER(0);
	CheckParameter(tally, &parameter);
	return tally;
}

void
TallyStateAdd(FunctionCallInfo fcinfo, Tally *tally, int group_arg, double score, double label)
{
	Group		group;

	if (group_arg)
		group = GroupMake(TallyPoolGroupType(TallyGetPool(tally)), PG_GETARG_DATUM(group_arg),
						  PG_ARGISNULL(group_arg));
	TallyAdd(tally, group_arg ? &group : NULL, TallyKey(score), label);
}

/* ----------
 * between processes
 * ----------
 */

/*
 * Merges all rows into one run, in memory or, if it becomes too large for that, in a
 * file that it makes.
 */
static Run
WritePart(Tally *tally, PartHeader *header, TempFile *file)
{
	TallyScan  *scan = TallyScanBegin(tally);
	int64		max = Min(MAX_VALUE, (int64) work_mem * 1024 / 8);
	RunWriter	writer;

	RunWriterInit(&writer, scan->type, CurrentMemoryContext);
	while (TallyScanNext(scan))
	{
		RunWriterAdd(&writer, scan->new_group ? scan->group : NULL, &scan->entry);
		if (!header->in_file && RunWriterSize(&writer) > max)
		{
			*file = HandoverCreate(&header->handover);
			header->in_file = true;
			RunWriterUseFile(&writer, file);
		}
	}
	TallyScanEnd(scan);
	return RunWriterFinish(&writer);
}

Datum
mtl_tally_serialize(PG_FUNCTION_ARGS)
{
	Tally	   *tally = (Tally *) PG_GETARG_POINTER(0);
	GroupType  *type = TallyPoolGroupType(TallyGetPool(tally));
	PartHeader	header;
	TempFile	file;
	Run			run;
	Size		size;
	bytea	   *part;

	/* padding is handed over too */
	memset(&header, 0, sizeof(header));
	(void) AggregateContext(fcinfo);
	header.group_type = type->type;
	header.collation = type->collation;
	header.parameter = *TallyGetParameter(tally);
	run = WritePart(tally, &header, &file);
	if (header.in_file)
		HandoverClose(&file);

	size = VARHDRSZ + sizeof(header) + (header.in_file ? 0 : run.size);
	part = palloc(size);
	SET_VARSIZE(part, size);
	memcpy(VARDATA(part), &header, sizeof(header));
	if (!header.in_file)
		memcpy(VARDATA(part) + sizeof(header), run.bytes, run.size);
	PG_RETURN_BYTEA_P(part);
}

/* No copy: what combines runs before the argument goes. */
Datum
mtl_tally_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	Part	   *part = palloc(sizeof(Part));

	(void) AggregateContext(fcinfo);
	if (VARSIZE_ANY_EXHDR(bytes) < sizeof(PartHeader))
		elog(ERROR, "part of an aggregate has %zu bytes, expected at least %zu",
			 VARSIZE_ANY_EXHDR(bytes), sizeof(PartHeader));
	memcpy(&part->header, VARDATA_ANY(bytes), sizeof(PartHeader));
	part->run = VARDATA_ANY(bytes) + sizeof(PartHeader);
	part->size = VARSIZE_ANY_EXHDR(bytes) - sizeof(PartHeader);
	PG_RETURN_POINTER(part);
}

/*
 * The function's info record, which MTL_FUNCTION() writes for others.  A leader asks
 * for it when it prepares a plan in which parts are combined: before there are
 * workers, and whether or not their parts will ever be combined.
 */
const Pg_finfo_record *
pg_finfo_mtl_tally_combine(void)
{
	static const Pg_finfo_record record = {1};

	HandoverExpect();
	return &record;
}

Datum
mtl_tally_combine(PG_FUNCTION_ARGS)
{
	Part	   *part;
	Tally	   *tally;

	(void) AggregateContext(fcinfo);
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	part = (Part *) PG_GETARG_POINTER(1);
	if (PG_ARGISNULL(0))
		tally = TallyCreate(GetPool(fcinfo, part->header.group_type, part->header.collation),
							part->header.parameter, AggregateContext(fcinfo));
	else
	{
		tally = (Tally *) PG_GETARG_POINTER(0);
		CheckParameter(tally, &part->header.parameter);
	}
	if (part->header.in_file)
	{
		TempFile	file = HandoverOpen(&part->header.handover);

		TallyAddFile(tally, &file);
		HandoverClose(&file);
		HandoverDelete(&part->header.handover);
	}
	else
		TallyAddRun(tally, part->run, part->size);
	PG_RETURN_POINTER(tally);
}
