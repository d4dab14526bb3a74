/*
 * machine_limits.c
 *	  What nothing that reads rows can be faster than: an array read by a function that
 *	  does nothing else, and memory.
 */
#include "postgres.h"

#include <time.h>

#include "fmgr.h"
#include "utils/array.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(read_array);
PGDLLEXPORT PG_FUNCTION_INFO_V1(memory_read_rate);

/* Sums that do not wait for each other. */
#define LANES 16

static float
SumFloats(const float *x, Size n)
{
	float		sums[LANES] = {0};
	float		total = 0;
	Size		i = 0;

	for (; i + LANES <= n; i += LANES)
		for (int k = 0; k < LANES; k++)
			sums[k] += x[i + k];
	for (; i < n; i++)
		total += x[i];
	for (int k = 0; k < LANES; k++)
		total += sums[k];
	return total;
}

/* read_array(real[]) returns real: the sum of its elements, in some order */
Datum
read_array(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	float		sum = SumFloats((const float *) ARR_DATA_PTR(array),
								ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));

	PG_FREE_IF_COPY(array, 0);
	PG_RETURN_FLOAT4(sum);
}

/*
 * memory_read_rate(kilobytes int) returns float8: GB per second, of a buffer of this
 * size that is read again and again; one that no cache can hold gives the memory's rate.
 */
Datum
memory_read_rate(PG_FUNCTION_ARGS)
{
	Size		size = (Size) PG_GETARG_INT32(0) * 1024;
	Size		n = size / sizeof(float);
	float	   *buffer;
	volatile float sink;
	int64		passes = 0;
	clock_t		start;
	clock_t		end;

	if (n < LANES)
		elog(ERROR, "a buffer of %zu bytes", size);
	buffer = palloc_extended(size, MCXT_ALLOC_HUGE);
	for (Size i = 0; i < n; i++)
		buffer[i] = 1;
	start = clock();
	do
	{
		sink = SumFloats(buffer, n);
		passes++;
		end = clock();
	} while (end - start < CLOCKS_PER_SEC / 20);
	(void) sink;
	pfree(buffer);
	PG_RETURN_FLOAT8((double) passes * size / 1e9 / ((double) (end - start) / CLOCKS_PER_SEC));
}
