/*
 * kernel_portable.c
 *	  Kernels in plain C.
 *
 * Where the CPU that is compiled for has no fused multiply-add they are slow: it takes
 * a dozen operations instead of one.
 */
#include "postgres.h"

#include "engine/kernel.h"
#include "engine/multiply_add.h"

/* Rows whose sums are computed together. */
#define TILE_ROWS 4

#define KERNEL_TARGET
#include "engine/kernel_loops.h"

/*
 * One strip, or a narrow weight, for a few rows; nrows and units are constants where
 * this is inlined, or units is at most that of a strip.
 */
static pg_attribute_always_inline bool
LinearTile(int nrows, int units, int ninputs, Vectors x, const float *weight, const float *bias,
		   bool relu, float *y, Size y_stride)
{
	float		sums[TILE_ROWS][MTL_STRIP];
	bool		finite = true;

	for (int r = 0; r < nrows; r++)
		for (int u = 0; u < units; u++)
			sums[r][u] = bias[u];
	for (int k = 0; k < ninputs; k++)
		for (int r = 0; r < nrows; r++)
		{
			float		input = x.numbers[r * x.stride + k];

			for (int u = 0; u < units; u++)
				sums[r][u] = MultiplyAdd(input, weight[(Size) k * units + u], sums[r][u]);
		}
	for (int r = 0; r < nrows; r++)
	{
		finite &= AllFinite(units, sums[r]);
		for (int u = 0; u < units; u++)
			y[r * y_stride + u] = relu && !(sums[r][u] > 0) ? 0 : sums[r][u];
	}
	return finite;
}

static pg_attribute_always_inline bool
LinearRows(int nrows, int units, int ninputs, Vectors x, const float *weight, const float *bias,
		   bool relu, float *y, Size y_stride)
{
	bool		finite = true;
	int			r = 0;

	for (; r + TILE_ROWS <= nrows; r += TILE_ROWS)
	{
		Vectors		rows = {x.numbers + r * x.stride, x.stride};

		finite &= LinearTile(TILE_ROWS, units, ninputs, rows, weight, bias, relu,
							 y + r * y_stride, y_stride);
	}
	for (; r < nrows; r++)
	{
		Vectors		row = {x.numbers + r * x.stride, x.stride};

		finite &= LinearTile(1, units, ninputs, row, weight, bias, relu,
							 y + r * y_stride, y_stride);
	}
	return finite;
}

static bool
Linear(int nrows, int ninputs, Vectors x, int nstrips, const float *weight, const float *bias,
	   bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	for (int s = 0; s < nstrips; s++)
		finite &= LinearRows(nrows, MTL_STRIP, ninputs, x,
							 weight + (Size) s * ninputs * MTL_STRIP, bias + s * MTL_STRIP,
							 relu, y + s * MTL_STRIP, y_stride);
	return finite;
}

static bool
LinearNarrow(int nrows, int ninputs, Vectors x, int units, const float *weight, const float *bias,
			 bool relu, float *y, Size y_stride)
{
	return LinearRows(nrows, units, ninputs, x, weight, bias, relu, y, y_stride);
}

/* Some numbers of one row's mix; width is a constant where this is inlined. */
static pg_attribute_always_inline void
MixChunk(int width, int r, int offset, int nexperts, const float *gate, const Vectors *experts,
		 float *y)
{
	float		sums[MTL_STRIP] = {0};

	for (int i = 0; i < nexperts; i++)
	{
		const float *expert = experts[i].numbers + r * experts[i].stride + offset;

		for (int u = 0; u < width; u++)
			sums[u] = MultiplyAdd(gate[i], expert[u], sums[u]);
	}
	for (int u = 0; u < width; u++)
		y[offset + u] = sums[u];
}

static void
Mix(int nrows, int width, int nexperts, Vectors gate, const Vectors *experts,
	float *y, Size y_stride)
{
	for (int r = 0; r < nrows; r++)
	{
		const float *row_gate = gate.numbers + r * gate.stride;
		float	   *row_y = y + r * y_stride;
		int			offset = 0;

		for (; offset + MTL_STRIP <= width; offset += MTL_STRIP)
			MixChunk(MTL_STRIP, r, offset, nexperts, row_gate, experts, row_y);
		for (; offset < width; offset++)
			MixChunk(1, r, offset, nexperts, row_gate, experts, row_y);
	}
}

const Kernels mtl_portable_kernels = {
	.linear = Linear,
	.linear_narrow = LinearNarrow,
	.mix = Mix,
	LOOP_KERNELS
};
