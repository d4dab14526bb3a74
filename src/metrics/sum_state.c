/*
 * sum_state.c
 *	  Exact sums and counts as states of aggregates.
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "metrics/arguments.h"
#include "metrics/sum_state.h"

MTL_FUNCTION(mtl_sums_combine);
MTL_FUNCTION(mtl_sums_serialize);
MTL_FUNCTION(mtl_sums_deserialize);

static Size
StateSize(int32 nsums, int32 ncounts)
{
	return offsetof(SumState, counts) + ncounts * sizeof(int64) + nsums * sizeof(ExactSum);
}

static void
CheckSums(const SumState *state, int32 nsums)
{
	/* which row came first must not matter */
	if (state->nsums != nsums)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bins is %d in one row and %d in another", Min(state->nsums, nsums),
						Max(state->nsums, nsums)),
				 errhint("All rows of an aggregate need the same one.")));
}

SumState *
SumStateGet(FunctionCallInfo fcinfo, int32 nsums, int32 ncounts)
{
	SumState   *state;

	if (PG_ARGISNULL(0))
	{
		state = MemoryContextAllocZero(AggregateContext(fcinfo), StateSize(nsums, ncounts));
		state->nsums = nsums;
		state->ncounts = ncounts;
	}
	else
	{
		state = (SumState *) PG_GETARG_POINTER(0);
		CheckSums(state, nsums);
	}
	return state;
}

Datum
mtl_sums_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = AggregateContext(fcinfo);
	SumState   *state = PG_ARGISNULL(0) ? NULL : (SumState *) PG_GETARG_POINTER(0);
	SumState   *other = PG_ARGISNULL(1) ? NULL : (SumState *) PG_GETARG_POINTER(1);

	if (state == NULL && other == NULL)
		PG_RETURN_NULL();
	if (other == NULL)
		PG_RETURN_POINTER(state);
	if (state == NULL)
	{
		Size		size = StateSize(other->nsums, other->ncounts);

		PG_RETURN_POINTER(memcpy(MemoryContextAlloc(context, size), other, size));
	}

	CheckSums(state, other->nsums);
	for (int i = 0; i < state->ncounts; i++)
		state->counts[i] += other->counts[i];
	for (int i = 0; i < state->nsums; i++)
		ExactSumMerge(&SumStateSums(state)[i], &SumStateSums(other)[i]);
	PG_RETURN_POINTER(state);
}

Datum
mtl_sums_serialize(PG_FUNCTION_ARGS)
{
	SumState   *state = (SumState *) PG_GETARG_POINTER(0);
	Size		size = StateSize(state->nsums, state->ncounts);
	bytea	   *part = palloc(VARHDRSZ + size);

	(void) AggregateContext(fcinfo);
	SET_VARSIZE(part, VARHDRSZ + size);
	memcpy(VARDATA(part), state, size);
	PG_RETURN_BYTEA_P(part);
}

Datum
mtl_sums_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *part = PG_GETARG_BYTEA_PP(0);
	Size		size = VARSIZE_ANY_EXHDR(part);
	SumState   *state = palloc(size);

	(void) AggregateContext(fcinfo);
	memcpy(state, VARDATA_ANY(part), size);
	if (size != StateSize(state->nsums, state->ncounts))
		elog(ERROR, "part of an aggregate has %zu bytes, expected %zu", size,
			 StateSize(state->nsums, state->ncounts));
	PG_RETURN_POINTER(state);
}
