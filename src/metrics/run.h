/*
 * run.h
 *	  Sorted runs of counted rows, as bytes.
 *
 * A run holds entries (group, key, label, count): so many rows with this label and
 * this score in this group.  They are in the order of the group, then the key, then
 * the label, and no two are alike but for the count.  A key is a score as an
 * integer, and smaller for higher scores.
 *
 * Bytes of an entry:
 *
 *	  1		bits 0-2: bytes of the difference, less 1; bit 3: the difference is in
 *			units of 2^29, as between scores of type real; bits 4-5: what follows of
 *			the label; bit 6: a count follows; bit 7: a group follows
 *	  4 + n the group if it is another one than before: size, value (native)
 *	  1-8	the key less the key before it in its group, little-endian
 *	  0-8	label: none for 0 and for 1, a byte for other small integers, a double
 *	  0-10	the count unless it is 1, seven bits a byte
 *
 * So a row takes 2 to 3 bytes for scores of type real and 6 to 9 for double
 * precision, less the more scores are equal.  Runs are read by the query that wrote
 * them and on the same machine, so they are trusted.
 */
#ifndef MTL_RANK_RUN_H
#define MTL_RANK_RUN_H

#include "postgres.h"

#include "metrics/group.h"
#include "metrics/temp_file.h"

typedef struct RunEntry
{
	uint64		key;
	double		label;
	int64		count;
} RunEntry;

/*
 * Where a run is: in memory, or at an offset of a file.
 */
typedef struct Run
{
	char	   *bytes;			/* NULL: in the file */
	TempFile   *file;
	int64		offset;
	int64		size;
} Run;

typedef struct RunWriter
{
	GroupType  *type;
	MemoryContext context;
	char	   *buffer;			/* all of the run, or what is not in the file yet */
	Size		used;
	Size		capacity;
	TempFile   *file;			/* NULL: none yet */
	int64		offset;			/* where the run begins in it */
	uint64		key;			/* of the entry before, 0 if there is none in its group */
} RunWriter;

/* Begins a run in memory. */
extern void RunWriterInit(RunWriter *writer, GroupType *type, MemoryContext context);

/* Puts what there is at the end of a file, and all that follows. */
extern void RunWriterUseFile(RunWriter *writer, TempFile *file);

/* Bytes so far. */
extern int64 RunWriterSize(const RunWriter *writer);

/* Adds the next entry in order; group is NULL where it is that of the entry before. */
extern void RunWriterAdd(RunWriter *writer, const Group *group, const RunEntry *entry);

/* Ends the run. Its bytes, if in memory, are a chunk of the writer's context that fits them. */
extern Run	RunWriterFinish(RunWriter *writer);

typedef struct RunReader
{
	GroupType  *type;
	MemoryContext context;
	Run			run;
	int64		read;			/* bytes of the run in the window, or before it */
	char	   *window;			/* bytes of a run in a file */
	Size		window_size;
	const char *next;			/* in the window, or in the run's bytes */
	const char *end;
	char	   *group_bytes;
	Size		group_capacity;

	/* the entry read last */
	RunEntry	entry;
	Group		group;
	bool		new_group;		/* it is the first of its group in this run */
} RunReader;

/* Starts to read a run, with a window of this many bytes if it is in a file. */
extern void RunReaderInit(RunReader *reader, GroupType *type, const Run *run, Size window_size,
						  MemoryContext context);

/* Reads the next entry; false: there is none. */
extern bool RunReaderNext(RunReader *reader);

extern void RunReaderFree(RunReader *reader);

#endif							/* MTL_RANK_RUN_H */
