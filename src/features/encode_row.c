/*
 * encode_row.c
 *	  Rows, one or two, as composite values or, the last, as columns: matched by name.
 *
 * The column map says for each slot which column of which row it is, and how to
 * read that column's type.  Of composite values, it is made from the type that the
 * first row states, for the type of a record is not known before, and made again when
 * a later row states another.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "compat.h"
#include "features/feature_encoder.h"

#define MAX_ROWS 2

/* The type of a row and its columns that are read. */
typedef struct RowType
{
	Oid			type;
	int32		typmod;
	uint64		identifier;		/* changes when the type is altered */
	TupleDesc	descriptor;
	int			nneeded;		/* columns up to the last that is read */
	TupleTableSlot *slot;		/* takes the row apart */
	HeapTupleData tuple;
	const int  *places;			/* NULL, or of the values of a row that is given by columns */
} RowType;

/* Where the value of a slot is. */
typedef struct SlotColumn
{
	int			row;
	int			column;			/* from 0; -1: the row has none */
	int			place;			/* of its value */
	TypeReader	reader;
} SlotColumn;

typedef struct RowSource
{
	FeatureSource source;
	int			nrows;
	bool		ready;			/* the map below is complete */
	MemoryContext map_context;
	RowType		rows[MAX_ROWS];
	SlotColumn *columns;		/* by slot */
	bool		reads_both;		/* a feature takes columns of both rows */

	/* of the current rows */
	const Datum *values[MAX_ROWS];
	const bool *nulls[MAX_ROWS];
} RowSource;

/* ---------------------------------------------------------- the column map */

/* The slot of this name, or -1. */
static int
FindSlot(const Encoder *encoder, const char *name)
{
	int			low = 0;
	int			high = encoder->nslots;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			slot = encoder->slots_by_name[middle];
		int			order = strcmp(name, encoder->slots[slot].name);

		if (order == 0)
			return slot;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

/*
 * Notes which slots the columns of a row belong to; names that have a column
 * already are added to the list.
 */
static void
MatchColumns(RowSource *source, int row, List **ambiguous)
{
	const Encoder *encoder = source->source.encoder;
	RowType    *type = &source->rows[row];

	for (int i = 0; i < type->descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(type->descriptor, i);
		int			slot;

		if (attribute->attisdropped)
			continue;
		slot = FindSlot(encoder, NameStr(attribute->attname));
		if (slot < 0)
			continue;
		if (source->columns[slot].column >= 0)
		{
			*ambiguous = list_append_unique_ptr(*ambiguous,
												unconstify(char *, encoder->slots[slot].name));
			continue;
		}
		source->columns[slot].row = row;
		source->columns[slot].column = i;
		source->columns[slot].place = type->places ? type->places[i] : i;
		type->nneeded = i + 1;
	}
}

/*
 * Error that lists all columns that the model cannot do without.  (Without the
 * weights of a sequence it can do as long as the sequence is missing too.)
 */
static void
CheckMissingColumns(const RowSource *source)
{
	const Encoder *encoder = source->source.encoder;
	List	   *missing = NIL;

	for (int i = 0; i < encoder->nslots; i++)
	{
		const Slot *slot = &encoder->slots[i];

		if (encoder->features[slot->feature].required && source->columns[i].column < 0)
			missing = lappend(missing, unconstify(char *, slot->name));
	}
	if (missing != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg_plural("row has no column %s, which the model reads",
							   "row has no columns %s, which the model reads",
							   list_length(missing), NamesShow(missing)),
				 errhint("Select them under these names; mtl_features() lists what a model reads.")));
}

static void
InitReaders(RowSource *source)
{
	const Encoder *encoder = source->source.encoder;

	for (int i = 0; i < encoder->nslots; i++)
	{
		SlotColumn *column = &source->columns[i];
		Form_pg_attribute attribute;

		if (column->column < 0)
			continue;
		attribute = TupleDescAttr(source->rows[column->row].descriptor, column->column);
		if (!TypeReaderInit(&column->reader, attribute->atttypid, source->map_context))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" has type %s, which cannot be a feature",
							encoder->slots[i].name, format_type_be(attribute->atttypid)),
					 errhint("Features are numbers, booleans, texts, uuid, enums, dates, timestamps, arrays of these, and types with a cast to real[].")));
	}
}

/*
 * Notes the type that a row states.
 */
static void
UseRowType(RowType *type, HeapTupleHeader row)
{
	TupleDesc	descriptor;

	memset(type, 0, sizeof(RowType));
	type->type = HeapTupleHeaderGetTypeId(row);
	type->typmod = HeapTupleHeaderGetTypMod(row);
	type->identifier = assign_record_type_identifier(type->type, type->typmod);
	descriptor = lookup_rowtype_tupdesc(type->type, type->typmod);
	type->descriptor = CreateTupleDescCopyConstr(descriptor);
	ReleaseTupleDesc(descriptor);
	type->slot = MakeSingleTupleTableSlot(type->descriptor, &TTSOpsHeapTuple);
}

/*
 * Finds the features that take no column of the second row, and whether one takes
 * columns of both.
 */
static void
FindFeaturesOfFirst(RowSource *source)
{
	const Encoder *encoder = source->source.encoder;

	source->source.of_first = palloc(sizeof(bool) * encoder->nfeatures);
	memset(source->source.of_first, true, sizeof(bool) * encoder->nfeatures);
	for (int i = 0; i < encoder->nslots; i++)
		if (source->columns[i].column >= 0 && source->columns[i].row > 0)
			source->source.of_first[encoder->slots[i].feature] = false;
	source->reads_both = false;
	for (int i = 0; i < encoder->nslots; i++)
		if (source->columns[i].column >= 0 && source->columns[i].row == 0 &&
			!source->source.of_first[encoder->slots[i].feature])
			source->reads_both = true;
}

static bool
IsGivenByColumns(const RowType *type)
{
	return type->places != NULL;
}

/*
 * Makes the map for these rows; one that is given by columns is not looked at.
 */
static void
BuildMap(RowSource *source, HeapTupleHeader *rows)
{
	const Encoder *encoder = source->source.encoder;
	List	   *ambiguous = NIL;
	MemoryContext old_context;

	source->ready = false;
	MemoryContextReset(source->map_context);
	old_context = MemoryContextSwitchTo(source->map_context);

	source->columns = palloc(sizeof(SlotColumn) * encoder->nslots);
	for (int i = 0; i < encoder->nslots; i++)
		source->columns[i].column = -1;

	for (int i = 0; i < source->nrows; i++)
	{
		if (!IsGivenByColumns(&source->rows[i]))
			UseRowType(&source->rows[i], rows[i]);
		MatchColumns(source, i, &ambiguous);
	}

	if (ambiguous != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_COLUMN),
				 errmsg_plural("column %s is there twice", "columns %s are there twice",
							   list_length(ambiguous), NamesShow(ambiguous)),
				 errhint("Each column that the model reads must be in one row, once: rename or leave out the other.")));
	CheckMissingColumns(source);
	InitReaders(source);
	FindFeaturesOfFirst(source);

	MemoryContextSwitchTo(old_context);
	source->source.map++;
	source->ready = true;
}

static bool
MapFits(const RowSource *source, HeapTupleHeader *rows)
{
	if (!source->ready)
		return false;
	for (int i = 0; i < source->nrows; i++)
	{
		const RowType *type = &source->rows[i];

		if (IsGivenByColumns(type))
			continue;
		if (type->type != HeapTupleHeaderGetTypeId(rows[i]) ||
			type->typmod != HeapTupleHeaderGetTypMod(rows[i]) ||
			type->identifier != assign_record_type_identifier(type->type, type->typmod))
			return false;
	}
	return true;
}

/* --------------------------------------------------------------- encoding */

/* A row; NULL for one that is given by columns. */
static HeapTupleHeader
GetRow(const RowSource *source, int i, Datum row)
{
	if (i >= source->nrows || IsGivenByColumns(&source->rows[i]))
		return NULL;
	return DatumGetHeapTupleHeader(row);
}

/*
 * Takes a row apart as far as columns are read; nothing is detoasted.
 */
static void
DeformRow(RowSource *source, int i, HeapTupleHeader row)
{
	RowType    *type = &source->rows[i];

	if (IsGivenByColumns(type))
		return;
	type->tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&type->tuple.t_self);
	type->tuple.t_tableOid = InvalidOid;
	type->tuple.t_data = row;
	ExecStoreHeapTuple(&type->tuple, type->slot, false);
	slot_getsomeattrs(type->slot, type->nneeded);
	source->values[i] = type->slot->tts_values;
	source->nulls[i] = type->slot->tts_isnull;
}

/* A ReadSlot. */
static void
ReadRowSlot(void *form, const Slot *slot, SlotContent *content)
{
	RowSource  *source = form;
	SlotColumn *column = &source->columns[slot - source->source.encoder->slots];
	Datum		datum;

	content->kind = SLOT_MISSING;
	if (column->column < 0 || source->nulls[column->row][column->place])
		return;
	datum = source->values[column->row][column->place];

	if (column->reader.is_list)
	{
		content->kind = SLOT_LIST;
		ValueListOpenArray(&content->list, &column->reader,
						   TypeReaderArray(&column->reader, datum), slot->label);
	}
	else
	{
		content->kind = SLOT_VALUE;
		content->value = TypeReaderValue(&column->reader, datum);
	}
}

static void
EncodeRow(FeatureSource *base, Datum row, Datum second_row, float *floats, int32 *ids)
{
	RowSource  *source = (RowSource *) base;
	HeapTupleHeader rows[MAX_ROWS] = {GetRow(source, 0, row), GetRow(source, 1, second_row)};

	if (!MapFits(source, rows))
		BuildMap(source, rows);
	for (int i = 0; i < source->nrows; i++)
		DeformRow(source, i, rows[i]);
	EncodeSlots(base->encoder, NULL, ReadRowSlot, source, floats, ids);
}

static bool
EncodeSecondRow(FeatureSource *base, Datum row, Datum second_row, float *floats, int32 *ids)
{
	RowSource  *source = (RowSource *) base;
	HeapTupleHeader rows[MAX_ROWS] = {GetRow(source, 0, row), GetRow(source, 1, second_row)};

	Assert(source->nrows == 2);
	if (!MapFits(source, rows))
		return false;
	if (source->reads_both)
		DeformRow(source, 0, rows[0]);
	DeformRow(source, 1, rows[1]);
	EncodeSlots(base->encoder, base->of_first, ReadRowSlot, source, floats, ids);
	return true;
}

FeatureSource *
RowSourceCreate(const Encoder *encoder, MemoryContext context, int nrows)
{
	RowSource  *source = MemoryContextAllocZero(context, sizeof(RowSource));

	source->source.encoder = encoder;
	source->source.encode = EncodeRow;
	source->source.encode_second = EncodeSecondRow;
	source->nrows = nrows;
	source->map_context = AllocSetContextCreate(context, "mtl_rank column map", ALLOCSET_SMALL_SIZES);
	return &source->source;
}

FeatureSource *
ColumnSourceCreate(const Encoder *encoder, MemoryContext context, int nrows, const RowShape *shape)
{
	FeatureSource *source = RowSourceCreate(encoder, context, nrows);
	RowType    *type = &((RowSource *) source)->rows[nrows - 1];

	type->descriptor = shape->descriptor;
	type->places = shape->places;
	return source;
}

void
SetColumns(FeatureSource *base, const Datum *values, const bool *nulls)
{
	RowSource  *source = (RowSource *) base;
	int			last = source->nrows - 1;

	Assert(IsGivenByColumns(&source->rows[last]));
	source->values[last] = values;
	source->nulls[last] = nulls;
}
