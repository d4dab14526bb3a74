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
LinearTile(int nrows, int units, int ninputs, Vectors x, const float *weight, Vectors start,
		   bool relu, float *y, Size y_stride)
{
	float		sums[TILE_ROWS][MTL_STRIP];
	bool		finite = true;

	for (int r = 0; r < nrows; r++)
		for (int u = 0; u < units; u++)
			sums[r][u] = start.numbers[r * start.stride + u];
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
LinearRows(int nrows, int units, int ninputs, Vectors x, const float *weight, Vectors start,
		   bool relu, float *y, Size y_stride)
{
	bool		finite = true;
	int			rows;

	for (; nrows > 0; nrows -= rows)
	{
		rows = nrows >= TILE_ROWS ? TILE_ROWS : 1;
		finite &= rows == TILE_ROWS ?
			LinearTile(TILE_ROWS, units, ninputs, x, weight, start, relu, y, y_stride) :
			LinearTile(1, units, ninputs, x, weight, start, relu, y, y_stride);
		x.numbers += rows * x.stride;
		start.numbers += rows * start.stride;
		y += rows * y_stride;
	}
	return finite;
}

static bool
Linear(int nrows, int ninputs, Vectors x, int nstrips, const float *weight, Size strip_size,
	   Vectors start, bool relu, float *y, Size y_stride)
{
	bool		finite = true;

	for (int s = 0; s < nstrips; s++)
	{
		finite &= LinearRows(nrows, MTL_STRIP, ninputs, x, weight + s * strip_size, start,
							 relu, y + s * MTL_STRIP, y_stride);
		start.numbers += MTL_STRIP;
	}
	return finite;
}

static bool
LinearNarrow(int nrows, int ninputs, Vectors x, int units, const float *weight, Vectors start,
			 bool relu, float *y, Size y_stride)
{
	return LinearRows(nrows, units, ninputs, x, weight, start, relu, y, y_stride);
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

static void
AddRows(int width, const float *start, int nrows, const float *const *rows,
		const float *const *next, Size column, float *y)
{
	for (int begin = 0; begin < width; begin += MTL_STRIP)
	{
		float		sums[MTL_STRIP];

		for (int u = 0; u < MTL_STRIP; u++)
			sums[u] = start[begin + u];
		for (int i = 0; i < nrows; i++)
			for (int u = 0; u < MTL_STRIP; u++)
				sums[u] += rows[i][column + begin + u];
		for (int u = 0; u < MTL_STRIP; u++)
			y[begin + u] = sums[u];
	}
}

const Kernels mtl_portable_kernels = {
	.linear = Linear,
	.linear_narrow = LinearNarrow,
	.mix = Mix,
	.add_rows = AddRows,
	LOOP_KERNELS
};
