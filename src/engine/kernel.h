/*
 * kernel.h
 *	  The loops that scoring spends its time in, in variants for CPUs.
 *
 * A sum starts at a given number and takes its terms in order, each by one fused
 * multiply-add of float32, which IEEE 754 rounds exactly; all else is one operation
 * of IEEE 754 after the other.  So every variant gives the same bits, and however
 * many rows or numbers a call is about, each result is the same as if it were
 * computed alone.
 *
 * Kernels know nothing of PostgreSQL: no allocation, no errors, no interrupts.
 * Those that return a bool say whether all numbers that they computed, or looked at,
 * are finite.
 */
#ifndef MTL_RANK_KERNEL_H
#define MTL_RANK_KERNEL_H

#include "postgres.h"

/*
 * Weights lie in strips of this many units, a cache line of each input's after the
 * other's: (strips, inputs, MTL_STRIP).  Units that do not fill a strip are narrow,
 * (inputs, units).
 */
#define MTL_STRIP 16

/* Before a loop over registers, which have no index. */
#define UNROLL _Pragma("GCC unroll 16")

/* Numbers that a softmax works in at least. */
#define MTL_SOFTMAX_WORK 1024

typedef enum KernelOption
{
	MTL_KERNEL_AUTO,			/* the fastest that the CPU has */
	MTL_KERNEL_PORTABLE,		/* plain C */
	MTL_KERNEL_AVX2,			/* with FMA */
	MTL_KERNEL_AVX512,			/* F, VL, DQ, BW */
	MTL_KERNEL_NEON				/* of 64-bit ARM */
} KernelOption;

/* mtl_rank.kernel */
extern int	mtl_rank_kernel;

/* Vectors of several rows: that of row r begins at numbers + r * stride. */
typedef struct Vectors
{
	const float *numbers;
	Size		stride;
} Vectors;

typedef struct Kernels
{
	/*
	 * For each row r and unit u: y[r, u] = start[r, u] + sum_k x[r, k] * weight[k, u],
	 * then, with relu, 0 where that is not positive.  What is said to be finite are
	 * the sums.  Rows of y are y_stride numbers apart; start may be y, or have the
	 * stride 0.  linear computes nstrips strips, whose weights are strip_size numbers
	 * apart, linear_narrow the fewer than MTL_STRIP units of a narrow weight.  Its
	 * start has MTL_STRIP numbers, and so many of y it may overwrite.
	 */
	bool		(*linear) (int nrows, int ninputs, Vectors x,
						   int nstrips, const float *weight, Size strip_size, Vectors start, bool relu,
						   float *y, Size y_stride);
	bool		(*linear_narrow) (int nrows, int ninputs, Vectors x,
								  int units, const float *weight, Vectors start, bool relu,
								  float *y, Size y_stride);

	/*
	 * y[u] = start[u] + rows[0][column + u] + rows[1][column + u] + ..., added in this
	 * order; width is a multiple of MTL_STRIP, and start may be y.  The same numbers of
	 * next will be wanted soon, of as many rows.
	 */
	void		(*add_rows) (int width, const float *start, int nrows, const float *const *rows,
							 const float *const *next, Size column, float *y);

	/* y[r] = sum_i gate[r, i] * experts[i][r] for vectors of width numbers */
	void		(*mix) (int nrows, int width, int nexperts, Vectors gate, const Vectors *experts,
						float *y, Size y_stride);

	/* y[i] += scale * x[i], and with a scale for each */
	void		(*add_scaled) (int n, float scale, const float *x, float *y);
	void		(*add_products) (int n, const float *scales, const float *x, float *y);

	/* sums[i] += weight * x[i], sums[i] = max(sums[i], weight * x[i]), in double */
	void		(*pool_sum) (int n, double weight, const float *x, double *sums);
	void		(*pool_max) (int n, double weight, const float *x, double *sums);

	bool		(*all_finite) (Size n, const float *y);

	/*
	 * y[r] = softmax(x[r] / temperature), less the largest number so that nothing
	 * overflows.  work has room for width numbers, and for MTL_SOFTMAX_WORK; y is
	 * not x.
	 */
	void		(*softmax) (int nrows, int width, Vectors x, double temperature,
							double *work, float *y, Size y_stride);

	/* Mean and biased variance of n numbers. */
	void		(*statistics) (int n, const float *y, double *mean, double *variance);

	/* In place; each is computed in double and rounded once. */
	void		(*relu) (int n, float *y);
	void		(*leaky_relu) (int n, double slope, float *y);
	void		(*prelu) (int n, const double *alpha, float *y);
	void		(*sigmoid) (int n, float *y);
	void		(*tanh) (int n, float *y);
	void		(*silu) (int n, float *y);
	void		(*gelu) (int n, float *y);
	void		(*gelu_tanh) (int n, float *y);

	/* (y - mean) * scale + shift with numbers for each, and with one mean and inverse */
	void		(*batch_norm) (int n, const double *mean, const double *scale,
							   const double *shift, float *y);
	void		(*layer_norm) (int n, double mean, double inverse, const double *scale,
							   const double *shift, float *y);

	/*
	 * p * y + alpha * (1 - p) * y with p = sigmoid((y - mean) * scale); Zhou et al.,
	 * "Deep Interest Network for Click-Through Rate Prediction", KDD 2018.  row_dice
	 * has one mean and scale for all numbers.
	 */
	void		(*dice) (int n, const double *mean, const double *scale,
						 const double *alpha, float *y);
	void		(*row_dice) (int n, double mean, double scale, const double *alpha, float *y);
} Kernels;

/* The kernels that mtl_rank.kernel asks for; the CPU can run them. */
extern const Kernels *ChooseKernels(void);

/* Whether this CPU can run the kernels of an option. */
extern bool KernelOptionSupported(KernelOption option);

/*
 * The variants; those for x86 exist where MTL_X86_KERNELS is defined, and those for ARM
 * where MTL_NEON_KERNELS is.
 */
#if defined(__x86_64__)
#define MTL_X86_KERNELS
#elif defined(__aarch64__)
#define MTL_NEON_KERNELS
#endif
extern const Kernels mtl_portable_kernels;
#ifdef MTL_X86_KERNELS
extern const Kernels mtl_avx2_kernels;
extern const Kernels mtl_avx512_kernels;
extern bool MtlLinearNarrowAvx2(int nrows, int ninputs, Vectors x,
								int units, const float *weight, Vectors start, bool relu,
								float *y, Size y_stride);
#endif
#ifdef MTL_NEON_KERNELS
extern const Kernels mtl_neon_kernels;
#endif

#endif							/* MTL_RANK_KERNEL_H */
