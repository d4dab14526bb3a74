/*
 * rounding.c
 *	  Tensors of float32 as bf16 and as int8.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "math/bf16.h"
#include "quantize/rounding.h"

#define INT8_LARGEST 127

/* Numbers between checks for interrupts. */
#define INTERRUPT_NUMBERS (1 << 20)

Tensor
RoundToBf16(const Tensor *tensor)
{
	Tensor		rounded = *tensor;
	Bf16	   *numbers;

	rounded.type = TENSOR_BF16;
	rounded.size = tensor->nelements * sizeof(Bf16);
	numbers = MemoryContextAllocHuge(CurrentMemoryContext, rounded.size);
	rounded.data = (char *) numbers;
	for (int64 i = 0; i < tensor->nelements; i++)
	{
		if (i % INTERRUPT_NUMBERS == 0)
			CHECK_FOR_INTERRUPTS();
		numbers[i] = FloatToBf16(TensorFloat(tensor, i));
		if (!Bf16IsFinite(numbers[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("tensor \"%s\" has %g at position " INT64_FORMAT ", which exceeds the range of bf16",
							tensor->name, TensorFloat(tensor, i), i)));
	}
	return rounded;
}

/*
 * One unit: numbers between -127 and 127, times the scale that is returned.
 */
static float
RoundUnit(const Tensor *matrix, int64 begin, int64 n, int8 *numbers)
{
	float		largest = 0;
	float		scale;

	for (int64 k = 0; k < n; k++)
		largest = Max(largest, fabsf(TensorFloat(matrix, begin + k)));
	scale = largest / INT8_LARGEST;
	for (int64 k = 0; k < n; k++)
	{
		/* ties to even, as it is by default; a subnormal scale is not precise */
		double		steps = scale > 0 ? rint(TensorFloat(matrix, begin + k) / (double) scale) : 0;

		numbers[k] = (int8) Min(Max(steps, -INT8_LARGEST), INT8_LARGEST);
	}
	return scale;
}

Tensor
RoundToInt8(const Tensor *matrix, Tensor *scales)
{
	int64		units = matrix->dims[0];
	int64		inputs = matrix->dims[1];
	Tensor		rounded = *matrix;
	int8	   *numbers;
	float	   *unit_scales = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * units);

	Assert(matrix->ndims == 2);
	rounded.type = TENSOR_I8;
	rounded.size = matrix->nelements;
	numbers = MemoryContextAllocHuge(CurrentMemoryContext, rounded.size);
	rounded.data = (char *) numbers;
	for (int64 u = 0; u < units; u++)
	{
		CHECK_FOR_INTERRUPTS();
		unit_scales[u] = RoundUnit(matrix, u * inputs, inputs, numbers + u * inputs);
	}

	*scales = (Tensor) {
		.name = psprintf("%s_scale", matrix->name),
		.type = TENSOR_F32,
		.ndims = 1,
		.dims = {units},
		.nelements = units,
		.data = (char *) unit_scales,
		.size = sizeof(float) * units
	};
	return rounded;
}
