/*
 * rows.c
 *	  Encoded rows of a training, compact, in memory or in temporary files.
 *
 * A stored row is its labels, its weight if there is one, the numbers of dense
 * features, and for each sparse feature or sequence the rows of its table, in as
 * few bytes as the table needs; a row number is stored plus 1, so that
 * MTL_ZERO_ROW is 0.
 */
#include "postgres.h"

#include "commands/tablespace.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#include "compat.h"
#include "model/memory.h"
#include "train/rows.h"

#define FIRST_PARTITION_SIZE (64 * 1024)

/* A run of numbers that is copied as it is. */
typedef struct FloatRun
{
	int			offset;			/* in floats */
	int			length;
} FloatRun;

typedef struct IdField
{
	int			offset;			/* in ids */
	int			size;			/* bytes of a row number: 1, 2 or 4 */
	int			max_length;		/* 0: a single row, else a sequence */
	int			float_offset;	/* of its weights, -1: none */
} IdField;

struct RowFormat
{
	int			nlabels;
	bool		weighted;
	int			nruns;
	FloatRun   *runs;
	int			nfields;
	IdField    *fields;
	Size		max_size;
};

typedef struct Partition
{
	char	   *data;			/* NULL: in the file */
	Size		size;
	Size		capacity;
	int			nrows;
	BufFile    *file;
	Size		file_size;
} Partition;

struct RowStore
{
	const RowFormat *format;
	RowMemory  *memory;
	const char *what;
	MemoryContext context;
	int64		nrows;
	int			npartitions;
	int			capacity;
	Partition  *partitions;
	bool		spilled;
	Size		file_size;
	char	   *row;			/* one row being encoded */
	char	   *loaded;			/* a partition that was in a file */
	Size		loaded_size;
	const char **rows;			/* of the partition that was loaded */
	int			rows_capacity;
};

/* ----------------------------------------------------------------- format */

static void
AddRun(RowFormat *format, int offset, int length)
{
	FloatRun   *last = format->nruns > 0 ? &format->runs[format->nruns - 1] : NULL;

	if (last && last->offset + last->length == offset)
		last->length += length;
	else
		format->runs[format->nruns++] = (FloatRun) {offset, length};
}

RowFormat *
RowFormatCreate(const InputLayout *layout, int nlabels, bool weighted)
{
	RowFormat  *format = palloc0(sizeof(RowFormat));

	format->nlabels = nlabels;
	format->weighted = weighted;
	format->runs = palloc(sizeof(FloatRun) * layout->nfields);
	format->fields = palloc(sizeof(IdField) * layout->nfields);
	format->max_size = sizeof(float) * (nlabels + (weighted ? 1 : 0));
	for (int i = 0; i < layout->nfields; i++)
	{
		const InputField *field = &layout->fields[i];
		const Feature *feature = field->feature;
		IdField    *id;

		if (feature->kind == FEATURE_DENSE)
		{
			AddRun(format, field->float_offset, feature->width);
			format->max_size += sizeof(float) * feature->width;
			continue;
		}
		id = &format->fields[format->nfields++];
		id->offset = field->id_offset;
		id->size = field->rows < 0xFF ? 1 : field->rows < 0xFFFF ? 2 : 4;
		id->max_length = feature->kind == FEATURE_SEQUENCE ? feature->max_length : 0;
		id->float_offset = feature->weights_column ? field->float_offset : -1;
		format->max_size += id->max_length == 0 ? id->size :
			sizeof(int32) + (Size) id->max_length * (id->size + (id->float_offset >= 0 ? sizeof(float) : 0));
	}
	return format;
}

Size
RowFormatMaxSize(const RowFormat *format)
{
	return format->max_size;
}

static char *
Put(char *place, const void *data, Size size)
{
	memcpy(place, data, size);
	return place + size;
}

static char *
PutIds(char *place, int size, int n, const int32 *ids)
{
	for (int i = 0; i < n; i++)
	{
		uint32		stored = (uint32) (ids[i] + 1);

		if (size == 1)
			*place = (char) stored;
		else if (size == 2)
			memcpy(place, &(uint16) {stored}, 2);
		else
			memcpy(place, &stored, 4);
		place += size;
	}
	return place;
}

static Size
Encode(const RowFormat *format, const TrainRow *row, char *stored)
{
	char	   *place = Put(stored, row->labels, sizeof(float) * format->nlabels);

	if (format->weighted)
		place = Put(place, &row->weight, sizeof(float));
	for (int i = 0; i < format->nruns; i++)
		place = Put(place, row->floats + format->runs[i].offset, sizeof(float) * format->runs[i].length);
	for (int i = 0; i < format->nfields; i++)
	{
		const IdField *field = &format->fields[i];
		const int32 *ids = row->ids + field->offset;

		if (field->max_length == 0)
		{
			place = PutIds(place, field->size, 1, ids);
			continue;
		}
		place = Put(place, ids, sizeof(int32));
		place = PutIds(place, field->size, ids[0], ids + 1);
		if (field->float_offset >= 0)
			place = Put(place, row->floats + field->float_offset, sizeof(float) * ids[0]);
	}
	return place - stored;
}

static const char *
Take(const char *place, void *data, Size size)
{
	memcpy(data, place, size);
	return place + size;
}

/* Row numbers of a sparse feature or a sequence. */
static inline const char *
TakeIds(const char *place, int size, int n, int32 *ids)
{
	uint16		narrow;
	uint32		wide;

	switch (size)
	{
		case 1:
			for (int i = 0; i < n; i++)
				ids[i] = (int32) (uint8) place[i] - 1;
			break;
		case 2:
			for (int i = 0; i < n; i++)
			{
				memcpy(&narrow, place + 2 * (Size) i, 2);
				ids[i] = (int32) narrow - 1;
			}
			break;
		default:
			for (int i = 0; i < n; i++)
			{
				memcpy(&wide, place + 4 * (Size) i, 4);
				ids[i] = (int32) wide - 1;
			}
			break;
	}
	return place + (Size) n * size;
}

/* Returns where the next row begins. */
static const char *
DecodeRow(const RowFormat *format, const char *place, TrainRow *row)
{
	place = Take(place, row->labels, sizeof(float) * format->nlabels);
	row->weight = 1;
	if (format->weighted)
		place = Take(place, &row->weight, sizeof(float));
	for (int i = 0; i < format->nruns; i++)
		place = Take(place, row->floats + format->runs[i].offset, sizeof(float) * format->runs[i].length);
	for (int i = 0; i < format->nfields; i++)
	{
		const IdField *field = &format->fields[i];
		int32	   *ids = row->ids + field->offset;

		if (field->max_length == 0)
		{
			place = TakeIds(place, field->size, 1, ids);
			continue;
		}
		place = Take(place, ids, sizeof(int32));
		place = TakeIds(place, field->size, ids[0], ids + 1);
		if (field->float_offset >= 0)
			place = Take(place, row->floats + field->float_offset, sizeof(float) * ids[0]);
	}
	return place;
}

void
RowDecode(const RowFormat *format, const char *stored, TrainRow *row)
{
	(void) DecodeRow(format, stored, row);
}

/* Bytes of a stored row. */
static Size
StoredSize(const RowFormat *format, const char *stored)
{
	const char *place = stored + sizeof(float) * (format->nlabels + (format->weighted ? 1 : 0));

	for (int i = 0; i < format->nruns; i++)
		place += sizeof(float) * format->runs[i].length;
	for (int i = 0; i < format->nfields; i++)
	{
		const IdField *field = &format->fields[i];
		int32		n = 1;

		if (field->max_length > 0)
			place = Take(place, &n, sizeof(int32));
		place += (Size) n * (field->size + (field->max_length > 0 && field->float_offset >= 0 ? sizeof(float) : 0));
	}
	return place - stored;
}

/* ------------------------------------------------------------------ store */

RowStore *
RowStoreCreate(const RowFormat *format, RowMemory *memory, const char *what)
{
	RowStore   *store = palloc0(sizeof(RowStore));

	store->format = format;
	store->memory = memory;
	store->what = what;
	store->context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank rows", ALLOCSET_DEFAULT_SIZES);
	store->row = palloc(Max(format->max_size, 1));
	return store;
}

static Partition *
GetPartition(RowStore *store, int partition)
{
	if (partition >= store->capacity)
	{
		int			capacity = Max(partition + 1, 2 * store->capacity);

		store->partitions = store->partitions ?
			repalloc_huge(store->partitions, sizeof(Partition) * capacity) :
			MemoryContextAllocHuge(store->context, sizeof(Partition) * capacity);
		memset(store->partitions + store->capacity, 0, sizeof(Partition) * (capacity - store->capacity));
		store->capacity = capacity;
	}
	store->npartitions = Max(store->npartitions, partition + 1);
	return &store->partitions[partition];
}

/* Appends to a partition's file. */
static void
WritePartition(RowStore *store, Partition *partition, char *data, Size size)
{
	if (partition->file == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(store->context);

		PrepareTempTablespaces();
		partition->file = BufFileCreateTemp(false);
		MemoryContextSwitchTo(caller);
	}
	BufFileWrite(partition->file, data, size);
	partition->file_size += size;
	store->file_size += size;
}

/* Moves what a partition has in memory to its file. */
static void
SpillPartition(RowStore *store, Partition *partition)
{
	if (partition->data == NULL)
		return;
	WritePartition(store, partition, partition->data, partition->size);
	store->memory->used -= partition->capacity;
	pfree(partition->data);
	partition->data = NULL;
	partition->size = 0;
	partition->capacity = 0;
}

void
RowStoreSpill(RowStore *store)
{
	for (int i = 0; i < store->npartitions; i++)
		SpillPartition(store, &store->partitions[i]);
	store->spilled = true;
}

static void
GrowPartition(RowStore *store, Partition *partition, Size needed)
{
	Size		capacity = Max(partition->capacity * 2, FIRST_PARTITION_SIZE);

	while (capacity < needed)
		capacity *= 2;
	partition->data = partition->data ?
		repalloc_huge(partition->data, capacity) :
		MemoryContextAllocHuge(store->context, capacity);
	PreferHugePages(partition->data, capacity);
	store->memory->used += capacity - partition->capacity;
	partition->capacity = capacity;
}

void
RowStoreAdd(RowStore *store, int number, const TrainRow *row)
{
	Partition  *partition = GetPartition(store, number);
	Size		size = Encode(store->format, row, store->row);

	if (store->spilled)
		WritePartition(store, partition, store->row, size);
	else
	{
		if (partition->size + size > partition->capacity)
			GrowPartition(store, partition, partition->size + size);
		memcpy(partition->data + partition->size, store->row, size);
		partition->size += size;
		if (store->memory->used > store->memory->limit)
			RowStoreSpill(store);
	}
	partition->nrows++;
	store->nrows++;
}

const RowFormat *
RowStoreFormat(const RowStore *store)
{
	return store->format;
}

int64
RowStoreRows(const RowStore *store)
{
	return store->nrows;
}

int
RowStorePartitions(const RowStore *store)
{
	return store->npartitions;
}

int
RowStorePartitionRows(const RowStore *store, int partition)
{
	return store->partitions[partition].nrows;
}

Size
RowStoreSpilled(const RowStore *store)
{
	return store->file_size;
}

/* Reads a partition's file. */
static const char *
ReadPartition(RowStore *store, Partition *partition)
{
	Size		size = partition->file_size;

	if (size > store->loaded_size)
	{
		if (store->loaded)
			pfree(store->loaded);
		store->memory->used -= store->loaded_size;
		store->loaded = NULL;
		store->loaded_size = 0;
		if (store->memory->used + size > store->memory->limit)
			ereport(ERROR,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("a part of the %s takes %zu kB, and %zu kB of maintenance_work_mem are left for it",
							store->what, size / 1024 + 1,
							(store->memory->limit - Min(store->memory->limit, store->memory->used)) / 1024),
					 errhint("Increase \"maintenance_work_mem\".")));
		store->loaded = MemoryContextAllocHuge(store->context, size);
		PreferHugePages(store->loaded, size);
		store->loaded_size = size;
		store->memory->used += size;
	}
	if (BufFileSeek(partition->file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in a temporary file: %m")));
	BufFileReadAll(partition->file, store->loaded, size);
	return store->loaded;
}

const char *const *
RowStoreLoad(RowStore *store, int number)
{
	Partition  *partition = &store->partitions[number];
	const char *place = partition->file ? ReadPartition(store, partition) : partition->data;

	if (partition->nrows > store->rows_capacity)
	{
		if (store->rows)
			pfree(store->rows);
		store->rows = MemoryContextAllocHuge(store->context, sizeof(char *) * partition->nrows);
		store->rows_capacity = partition->nrows;
	}
	for (int i = 0; i < partition->nrows; i++)
	{
		store->rows[i] = place;
		place += StoredSize(store->format, place);
	}
	return store->rows;
}

void
RowStoreFree(RowStore *store)
{
	for (int i = 0; i < store->npartitions; i++)
	{
		if (store->partitions[i].file)
			BufFileClose(store->partitions[i].file);
		store->memory->used -= store->partitions[i].capacity;
	}
	store->memory->used -= store->loaded_size;
	MemoryContextDelete(store->context);
}
