/*
 * temp_file.c
 *	  Temporary files, written at their end and read anywhere.
 */
#include "postgres.h"

#include "commands/tablespace.h"
#include "executor/instrument.h"
#include "lib/ilist.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

#include "metrics/temp_file.h"

/* What one system call moves at most. */
#define CHUNK (16 * 1024 * 1024)

/*
 * A file that is open.  It ends with a memory context or with a resource owner,
 * and which of them goes first depends on how the query ends; the other one must
 * find out.
 */
typedef struct PrivateFile
{
	TempFile	file;			/* first: what callers see */
	ResourceOwner owner;		/* NULL: the owner is gone and has closed the file */
	dlist_node	node;			/* of open_files, while there is an owner */
	MemoryContextCallback callback;
} PrivateFile;

static dlist_head open_files = DLIST_STATIC_INIT(open_files);

/* Files are closed in a later phase, so that none of these is dangling. */
static void
ForgetFilesOfOwner(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	dlist_mutable_iter iter;

	if (phase != RESOURCE_RELEASE_BEFORE_LOCKS)
		return;
	dlist_foreach_modify(iter, &open_files)
	{
		PrivateFile *private = dlist_container(PrivateFile, node, iter.cur);

		if (private->owner == CurrentResourceOwner)
		{
			private->owner = NULL;
			dlist_delete(&private->node);
		}
	}
}

static void
ClosePrivateFile(void *arg)
{
	PrivateFile *private = arg;

	if (private->owner != NULL)
	{
		dlist_delete(&private->node);
		FileClose(private->file.file);
	}
}

TempFile *
TempFileCreate(MemoryContext context)
{
	static bool registered = false;
	PrivateFile *private = MemoryContextAllocZero(context, sizeof(PrivateFile));

	if (!registered)
	{
		RegisterResourceReleaseCallback(ForgetFilesOfOwner, NULL);
		registered = true;
	}
	private->callback.func = ClosePrivateFile;
	private->callback.arg = private;
	MemoryContextRegisterResetCallback(context, &private->callback);
	PrepareTempTablespaces();
	private->file.file = OpenTemporaryFile(false);
	private->owner = CurrentResourceOwner;
	dlist_push_head(&open_files, &private->node);
	return &private->file;
}

void
TempFileAppend(TempFile *file, const char *bytes, Size size)
{
	pgBufferUsage.temp_blks_written += (size + BLCKSZ - 1) / BLCKSZ;
	while (size > 0)
	{
		int			n = Min(size, CHUNK);

		/* a short write sets no errno */
		errno = 0;
		if (FileWrite(file->file, (char *) bytes, n, file->size, WAIT_EVENT_BUFFILE_WRITE) != n)
		{
			if (errno == 0)
				errno = ENOSPC;
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not write to temporary file \"%s\": %m", FilePathName(file->file)),
					 errhint("Check free disk space; \"temp_tablespaces\" says where temporary files are.")));
		}
		file->size += n;
		bytes += n;
		size -= n;
	}
}

void
TempFileRead(const TempFile *file, int64 offset, char *bytes, Size size)
{
	pgBufferUsage.temp_blks_read += (size + BLCKSZ - 1) / BLCKSZ;
	while (size > 0)
	{
		int			n = Min(size, CHUNK);
		int			got = FileRead(file->file, bytes, n, offset, WAIT_EVENT_BUFFILE_READ);

		if (got < 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not read from temporary file \"%s\": %m", FilePathName(file->file))));
		if (got == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("temporary file \"%s\" ends at byte %lld, expected %lld more bytes",
							FilePathName(file->file), (long long) offset, (long long) size),
					 errhint("Check the disk; \"temp_tablespaces\" says where temporary files are.")));
		offset += got;
		bytes += got;
		size -= got;
	}
}
