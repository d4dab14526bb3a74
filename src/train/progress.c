/*
 * progress.c
 *	  What a training is doing, for other sessions.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "commands/progress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "train/progress.h"

MTL_FUNCTION(mtl_train_progress);

/* "MTLR": far from the numbers that PostgreSQL gives its commands. */
#define PROGRESS_COMMAND_TRAIN ((ProgressCommandType) 0x4D544C52)

/* Places in st_progress_param; the tasks are last. */
enum
{
	PARAM_PHASE,
	PARAM_EPOCH,
	PARAM_EPOCHS,
	PARAM_ROWS_DONE,
	PARAM_ROWS_TOTAL,
	PARAM_LEARNING_RATE,		/* a double */
	PARAM_ROWS_PER_SECOND,		/* a double */
	PARAM_SECONDS_LEFT,			/* a double, NaN: not known */
	PARAM_NTASKS,
	PARAM_TASKS					/* two floats each: loss, AUC */
};

StaticAssertDecl(PARAM_TASKS + PROGRESS_MAX_TASKS <= PGSTAT_NUM_PROGRESS_PARAM,
				 "the tasks have their places");

#define NUM_COLUMNS 13

static const char *const phase_names[] = {"reading", "encoding", "training", "validating", "finishing"};

static bool reporting;

static void
SetDouble(int param, double number)
{
	int64		bits;

	memcpy(&bits, &number, sizeof(bits));
	if (reporting)
		pgstat_progress_update_param(param, bits);
}

static double
GetDouble(int64 bits)
{
	double		number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

static void
SetInt(int param, int64 number)
{
	if (reporting)
		pgstat_progress_update_param(param, number);
}

void
ProgressStart(int epochs, int ntasks)
{
	reporting = MyBEEntry && MyBEEntry->st_progress_command == PROGRESS_COMMAND_INVALID;
	if (!reporting)
		return;
	pgstat_progress_start_command(PROGRESS_COMMAND_TRAIN, InvalidOid);
	SetInt(PARAM_EPOCHS, epochs);
	SetInt(PARAM_NTASKS, Min(ntasks, PROGRESS_MAX_TASKS));
	SetDouble(PARAM_SECONDS_LEFT, NAN);
	for (int i = 0; i < ntasks; i++)
		ProgressSetTask(i, NAN, NAN);
}

void
ProgressEnd(void)
{
	if (reporting)
		pgstat_progress_end_command();
	reporting = false;
}

void
ProgressSetPhase(ProgressPhase phase)
{
	SetInt(PARAM_PHASE, phase);
}

void
ProgressSetRows(int64 done, int64 total)
{
	SetInt(PARAM_ROWS_DONE, done);
	SetInt(PARAM_ROWS_TOTAL, total);
}

void
ProgressSetEpoch(int epoch)
{
	SetInt(PARAM_EPOCH, epoch);
}

void
ProgressSetRate(double learning_rate, double rows_per_second, double seconds_left)
{
	SetDouble(PARAM_LEARNING_RATE, learning_rate);
	SetDouble(PARAM_ROWS_PER_SECOND, rows_per_second);
	SetDouble(PARAM_SECONDS_LEFT, seconds_left);
}

void
ProgressSetTask(int task, double loss, double auc)
{
	float		numbers[2] = {(float) loss, (float) auc};
	int64		bits;

	memcpy(&bits, numbers, sizeof(bits));
	if (task < PROGRESS_MAX_TASKS)
		SetInt(PARAM_TASKS + task, bits);
}

/* ------------------------------------------------------------------- view */

/* An array of the tasks' losses (which 0) or AUCs (1), NULL for NaN. */
static Datum
TaskArray(const int64 *params, int which)
{
	int			n = Min(Max(params[PARAM_NTASKS], 0), PROGRESS_MAX_TASKS);
	Datum		elements[PROGRESS_MAX_TASKS];
	bool		nulls[PROGRESS_MAX_TASKS];
	int			dims[1] = {n};
	int			lower[1] = {1};

	for (int i = 0; i < n; i++)
	{
		float		numbers[2];

		memcpy(numbers, &params[PARAM_TASKS + i], sizeof(numbers));
		elements[i] = Float4GetDatum(numbers[which]);
		nulls[i] = isnan(numbers[which]);
	}
	return PointerGetDatum(construct_md_array(elements, nulls, 1, dims, lower, FLOAT4OID,
											  sizeof(float4), true, TYPALIGN_INT));
}

static Datum
DoubleOrNull(int64 bits, bool *isnull)
{
	double		number = GetDouble(bits);

	*isnull = isnan(number);
	return Float8GetDatum(number);
}

/* As in pg_stat_activity, what a session does is for its own role and for monitoring. */
static bool
MaySee(Oid role)
{
	return has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
		(OidIsValid(role) && has_privs_of_role(GetUserId(), role));
}

static void
PutSession(ReturnSetInfo *result, const PgBackendStatus *status)
{
	Datum		values[NUM_COLUMNS] = {0};
	bool		nulls[NUM_COLUMNS] = {false};
	const int64 *params = status->st_progress_param;
	int			phase = Min(Max(params[PARAM_PHASE], 0), (int64) lengthof(phase_names) - 1);

	values[0] = Int32GetDatum(status->st_procpid);
	values[1] = ObjectIdGetDatum(status->st_databaseid);
	values[2] = ObjectIdGetDatum(status->st_userid);
	if (MaySee(status->st_userid))
	{
		values[3] = CStringGetTextDatum(phase_names[phase]);
		values[4] = Int32GetDatum((int32) params[PARAM_EPOCH]);
		values[5] = Int32GetDatum((int32) params[PARAM_EPOCHS]);
		values[6] = Int64GetDatum(params[PARAM_ROWS_DONE]);
		values[7] = Int64GetDatum(params[PARAM_ROWS_TOTAL]);
		nulls[7] = params[PARAM_ROWS_TOTAL] == 0;
		values[8] = DoubleOrNull(params[PARAM_ROWS_PER_SECOND], &nulls[8]);
		values[9] = DoubleOrNull(params[PARAM_SECONDS_LEFT], &nulls[9]);
		values[10] = DoubleOrNull(params[PARAM_LEARNING_RATE], &nulls[10]);
		values[11] = TaskArray(params, 0);
		values[12] = TaskArray(params, 1);
	}
	else
		for (int i = 3; i < NUM_COLUMNS; i++)
			nulls[i] = true;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* mtl_train_progress() */
Datum
mtl_train_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			nbackends = pgstat_fetch_stat_numbackends();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= nbackends; i++)
	{
		LocalPgBackendStatus *local = BackendStatusByIndex(i);

		if (local && local->backendStatus.st_progress_command == PROGRESS_COMMAND_TRAIN)
			PutSession(result, &local->backendStatus);
	}
	return (Datum) 0;
}
