/*
 * handover.c
 *	  Temporary files that one process of a parallel query leaves for another.
 */
#include "postgres.h"

#include <fcntl.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_tablespace.h"
#include "miscadmin.h"
#include "storage/proc.h"

#include "metrics/handover.h"

/* The server numbers the sets of a process from 0 to INT_MAX - 1. */
#define HANDOVER_NUMBER PG_UINT32_MAX

/* Partial aggregates exist without parallel workers too. */
static bool created_here = false;

static pid_t
LeaderPid(void)
{
	return MyProc->lockGroupLeader ? MyProc->lockGroupLeader->pid : MyProcPid;
}

static void
DeleteFolder(Oid tablespace)
{
	FileSet		set = {.creator_pid = MyProcPid, .number = HANDOVER_NUMBER, .ntablespaces = 1};

	set.tablespaces[0] = tablespace;
	FileSetDeleteAll(&set);
}

/*
 * Looks in every tablespace: which ones the workers have used is a matter of
 * their temp_tablespaces, and in an aborted transaction no name can be looked up.
 */
static void
DeleteFolders(void)
{
	DIR		   *tablespaces = AllocateDir("pg_tblspc");
	struct dirent *entry;

	DeleteFolder(DEFAULTTABLESPACE_OID);
	while ((entry = ReadDirExtended(tablespaces, "pg_tblspc", LOG)) != NULL)
	{
		Oid			tablespace = (Oid) strtoul(entry->d_name, NULL, 10);

		if (OidIsValid(tablespace))
			DeleteFolder(tablespace);
	}
	FreeDir(tablespaces);
	created_here = false;
}

/*
 * A process that never was a leader has left nothing, and is not bothered.
 */
static bool
MayOwnFiles(void)
{
	return !IsParallelWorker() && (created_here || MyProc->lockGroupLeader == MyProc);
}

static void
AtTransactionEnd(XactEvent event, void *arg)
{
	if ((event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) && MayOwnFiles())
		DeleteFolders();
}

void
HandoverExpect(void)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(AtTransactionEnd, NULL);
	registered = true;
}

TempFile
HandoverCreate(Handover *handover)
{
	TempFile	file = {0};
	uint64		random;

	memset(handover, 0, sizeof(Handover));
	FileSetInit(&handover->set);
	handover->set.creator_pid = LeaderPid();
	handover->set.number = HANDOVER_NUMBER;

	/* process ids come again while the leader lives */
	if (!pg_strong_random(&random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	snprintf(handover->name, sizeof(handover->name), "%d." UINT64_FORMAT, MyProcPid, random);
	created_here = true;
	file.file = FileSetCreate(&handover->set, handover->name);
	return file;
}

TempFile
HandoverOpen(Handover *handover)
{
	TempFile	file = {0};

	file.file = FileSetOpen(&handover->set, handover->name, O_RDONLY);
	if (file.file <= 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open temporary file \"%s\": %m", handover->name)));
	file.size = FileSize(file.file);
	return file;
}

void
HandoverClose(TempFile *file)
{
	FileClose(file->file);
}

void
HandoverDelete(Handover *handover)
{
	FileSetDelete(&handover->set, handover->name, false);
}
