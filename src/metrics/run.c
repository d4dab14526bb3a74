/*
 * run.c
 *	  Sorted runs of counted rows, as bytes.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "metrics/run.h"

#define DELTA_BYTES		0x07
#define DELTA_NARROW	0x08
#define LABEL_SHIFT		4
#define HAS_COUNT		0x40
#define HAS_GROUP		0x80

typedef enum LabelForm
{
	LABEL_ZERO,
	LABEL_ONE,
	LABEL_BYTE,
	LABEL_DOUBLE
} LabelForm;

/* Bits that doubles have and reals do not. */
#define NARROW_SHIFT	29
#define NARROW_MASK		((UINT64CONST(1) << NARROW_SHIFT) - 1)

/* An entry without its group's value: the byte, the group's size, difference, label, count. */
#define MAX_ENTRY		(1 + 4 + 8 + 8 + 10)

#define NULL_GROUP		PG_UINT32_MAX

#define FIRST_CAPACITY	64
#define FILE_BUFFER		(64 * 1024)

/* ----------
 * writing
 * ----------
 */

void
RunWriterInit(RunWriter *writer, GroupType *type, MemoryContext context)
{
	memset(writer, 0, sizeof(RunWriter));
	writer->type = type;
	writer->context = context;
	writer->capacity = FIRST_CAPACITY;
	writer->buffer = MemoryContextAlloc(context, FIRST_CAPACITY);
}

static void
FlushBuffer(RunWriter *writer)
{
	TempFileAppend(writer->file, writer->buffer, writer->used);
	writer->used = 0;
}

void
RunWriterUseFile(RunWriter *writer, TempFile *file)
{
	writer->file = file;
	writer->offset = file->size;
	FlushBuffer(writer);
}

int64
RunWriterSize(const RunWriter *writer)
{
	return writer->used + (writer->file ? writer->file->size - writer->offset : 0);
}

static void
MakeRoom(RunWriter *writer, Size size)
{
	if (writer->file && writer->used >= FILE_BUFFER)
		FlushBuffer(writer);
	if (writer->capacity - writer->used < size)
	{
		/* not doubled: the old and the new buffer are there together */
		writer->capacity = writer->capacity + Max(writer->capacity / 2, size);
		writer->buffer = repalloc_huge(writer->buffer, writer->capacity);
	}
}

static char *
PutGroup(const GroupType *type, char *to, const Group *group)
{
	uint32		size = group->isnull ? NULL_GROUP : group->size;

	memcpy(to, &size, sizeof(size));
	to += sizeof(size);
	if (!group->isnull)
	{
		memcpy(to, GroupBytes(type, group), size);
		to += size;
	}
	return to;
}

static char *
PutDelta(char *to, uint64 delta, uint8 *head)
{
	int			nbytes = 0;

	if ((delta & NARROW_MASK) == 0)
	{
		*head |= DELTA_NARROW;
		delta >>= NARROW_SHIFT;
	}
	do
	{
		*to++ = (char) (delta & 0xFF);
		delta >>= 8;
		nbytes++;
	} while (delta != 0);
	*head |= nbytes - 1;
	return to;
}

static char *
PutLabel(char *to, double label, uint8 *head)
{
	LabelForm	form;

	if (label == 0)
		form = LABEL_ZERO;
	else if (label == 1)
		form = LABEL_ONE;
	else if (label > 0 && label <= PG_UINT8_MAX && label == (uint8) label)
	{
		form = LABEL_BYTE;
		*to++ = (char) (uint8) label;
	}
	else
	{
		form = LABEL_DOUBLE;
		memcpy(to, &label, sizeof(label));
		to += sizeof(label);
	}
	*head |= form << LABEL_SHIFT;
	return to;
}

static char *
PutCount(char *to, int64 count, uint8 *head)
{
	if (count == 1)
		return to;
	*head |= HAS_COUNT;
	for (; count >= 0x80; count >>= 7)
		*to++ = (char) (0x80 | (count & 0x7F));
	*to++ = (char) count;
	return to;
}

void
RunWriterAdd(RunWriter *writer, const Group *group, const RunEntry *entry)
{
	uint8		head = 0;
	char	   *start;
	char	   *to;

	MakeRoom(writer, MAX_ENTRY + (group ? group->size : 0));
	start = writer->buffer + writer->used;
	to = start + 1;
	if (group)
	{
		head |= HAS_GROUP;
		to = PutGroup(writer->type, to, group);
		writer->key = 0;
	}
	to = PutDelta(to, entry->key - writer->key, &head);
	to = PutLabel(to, entry->label, &head);
	to = PutCount(to, entry->count, &head);
	*start = (char) head;
	writer->key = entry->key;
	writer->used = to - writer->buffer;
}

Run
RunWriterFinish(RunWriter *writer)
{
	Run			run = {.size = RunWriterSize(writer)};

	if (writer->file)
	{
		FlushBuffer(writer);
		pfree(writer->buffer);
		run.file = writer->file;
		run.offset = writer->offset;
	}
	else
		run.bytes = repalloc_huge(writer->buffer, Max(writer->used, 1));
	return run;
}

/* ----------
 * reading
 * ----------
 */

void
RunReaderInit(RunReader *reader, GroupType *type, const Run *run, Size window_size, MemoryContext context)
{
	memset(reader, 0, sizeof(RunReader));
	reader->type = type;
	reader->context = context;
	reader->run = *run;
	if (run->bytes)
	{
		reader->next = run->bytes;
		reader->end = run->bytes + run->size;
		reader->read = run->size;
	}
	else
	{
		reader->window_size = Max(MAX_ENTRY, Min(window_size, (Size) run->size));
		reader->window = MemoryContextAllocHuge(context, reader->window_size);
		reader->next = reader->end = reader->window;
	}
}

/* Moves the window on, so that it begins at the next byte. */
static void
MoveWindow(RunReader *reader)
{
	Size		rest = reader->end - reader->next;
	Size		more = Min(reader->window_size - rest, (Size) (reader->run.size - reader->read));

	memmove(reader->window, reader->next, rest);
	TempFileRead(reader->run.file, reader->run.offset + reader->read, reader->window + rest, more);
	reader->read += more;
	reader->next = reader->window;
	reader->end = reader->window + rest + more;
}

/* Makes sure that what an entry has at most is there, or else all there is. */
static inline void
Need(RunReader *reader)
{
	if (reader->end - reader->next < MAX_ENTRY && reader->read < reader->run.size)
		MoveWindow(reader);
}

/* Copies bytes, which may be more than the window holds. */
static void
TakeBytes(RunReader *reader, char *to, Size size)
{
	while (size > 0)
	{
		Size		n = Min(size, (Size) (reader->end - reader->next));

		memcpy(to, reader->next, n);
		reader->next += n;
		to += n;
		size -= n;
		if (size > 0)
			MoveWindow(reader);
	}
}

static void
TakeGroup(RunReader *reader)
{
	uint32		size;

	memcpy(&size, reader->next, sizeof(size));
	reader->next += sizeof(size);
	reader->group.isnull = size == NULL_GROUP;
	reader->group.size = reader->group.isnull ? 0 : size;
	if (reader->group.isnull)
		return;
	if (reader->type->typbyval)
		TakeBytes(reader, (char *) &reader->group.datum, sizeof(Datum));
	else
	{
		if (reader->group_capacity < size)
		{
			if (reader->group_bytes)
				pfree(reader->group_bytes);
			reader->group_bytes = MemoryContextAllocHuge(reader->context, size);
			reader->group_capacity = size;
		}
		TakeBytes(reader, reader->group_bytes, size);
		reader->group.datum = PointerGetDatum(reader->group_bytes);
	}
	Need(reader);
}

static uint64
TakeDelta(RunReader *reader, uint8 head)
{
	int			nbytes = (head & DELTA_BYTES) + 1;
	uint64		delta = 0;

	for (int i = 0; i < nbytes; i++)
		delta |= (uint64) (uint8) reader->next[i] << (8 * i);
	reader->next += nbytes;
	return head & DELTA_NARROW ? delta << NARROW_SHIFT : delta;
}

static double
TakeLabel(RunReader *reader, uint8 head)
{
	double		label;

	switch ((LabelForm) ((head >> LABEL_SHIFT) & 3))
	{
		case LABEL_ZERO:
			return 0;
		case LABEL_ONE:
			return 1;
		case LABEL_BYTE:
			return (uint8) *reader->next++;
		default:
			memcpy(&label, reader->next, sizeof(label));
			reader->next += sizeof(label);
			return label;
	}
}

static int64
TakeCount(RunReader *reader, uint8 head)
{
	uint64		count = 0;
	uint8		byte;
	int			shift = 0;

	if (!(head & HAS_COUNT))
		return 1;
	do
	{
		byte = (uint8) *reader->next++;
		count |= (uint64) (byte & 0x7F) << shift;
		shift += 7;
	} while (byte & 0x80);
	return (int64) count;
}

bool
RunReaderNext(RunReader *reader)
{
	uint8		head;

	Need(reader);
	if (reader->next == reader->end)
		return false;
	head = (uint8) *reader->next++;
	reader->new_group = head & HAS_GROUP;
	if (reader->new_group)
	{
		TakeGroup(reader);
		reader->entry.key = 0;
	}
	reader->entry.key += TakeDelta(reader, head);
	reader->entry.label = TakeLabel(reader, head);
	reader->entry.count = TakeCount(reader, head);
	return true;
}

void
RunReaderFree(RunReader *reader)
{
	if (reader->window)
		pfree(reader->window);
	if (reader->group_bytes)
		pfree(reader->group_bytes);
}
