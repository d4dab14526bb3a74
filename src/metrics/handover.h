/*
 * handover.h
 *	  Temporary files that one process of a parallel query leaves for another.
 *
 * A parallel worker hands its part of an aggregate to the leader as a value, which
 * goes through the memory of both.  A part that is too large for that goes through
 * a file, and the value is the file's name.
 *
 * The worker is gone when the leader reads, and the leader may never read: a LIMIT
 * may be satisfied, or the query fail.  So the file belongs to the leader from the
 * start: it is in a folder named after the leader's process, which the leader
 * removes at the end of its transaction (when its workers have ended), as the
 * server does when it starts after a crash.
 */
#ifndef MTL_RANK_HANDOVER_H
#define MTL_RANK_HANDOVER_H

#include "postgres.h"

#include "storage/fileset.h"

#include "metrics/temp_file.h"

/* A file's name, for any process of the query: plain bytes. */
typedef struct Handover
{
	FileSet		set;
	char		name[64];
} Handover;

/*
 * To be called in the leader before its workers write anything.  Costs a look into
 * the tablespaces at the end of each transaction, once there are workers.
 */
extern void HandoverExpect(void);

/* The file to be written, and its name; the writer closes it with HandoverClose(). */
extern TempFile HandoverCreate(Handover *handover);

/* Opens a file to read it; closed like those that are written. */
extern TempFile HandoverOpen(Handover *handover);

extern void HandoverClose(TempFile *file);

/* Deletes a file that has been read. */
extern void HandoverDelete(Handover *handover);

#endif							/* MTL_RANK_HANDOVER_H */
