/*
 * temp_file.h
 *	  Temporary files, written at their end and read anywhere.
 *
 * They are PostgreSQL's own: in temp_tablespaces, counted by temp_file_limit,
 * pg_stat_database and EXPLAIN (BUFFERS).  Not BufFiles, because what reads and
 * writes them here has larger buffers, and reads many places at once.
 */
#ifndef MTL_RANK_TEMP_FILE_H
#define MTL_RANK_TEMP_FILE_H

#include "postgres.h"

#include "storage/fd.h"

typedef struct TempFile
{
	File		file;
	int64		size;
} TempFile;

/*
 * A file of this process alone, which vanishes when the context is reset or
 * deleted, or when the resource owner is released, as after an error.
 */
extern TempFile *TempFileCreate(MemoryContext context);

extern void TempFileAppend(TempFile *file, const char *bytes, Size size);
extern void TempFileRead(const TempFile *file, int64 offset, char *bytes, Size size);

#endif							/* MTL_RANK_TEMP_FILE_H */
