/*
 * kernel.h
 *	  The loops that scoring spends its time in, in variants for CPUs.
 *
 * A sum starts at a given number and takes its terms in order, each by one fused
 * multiply-add of float32, which IEEE 754 rounds exactly.  So every variant gives
 * the same bits, and however many rows or numbers a call is about, each result is
 * the same as if it were computed alone.
 *
 * Kernels know nothing of PostgreSQL: no allocation, no errors, no interrupts.
 */
#ifndef MTL_RANK_KERNEL_H
#define MTL_RANK_KERNEL_H

#include "postgres.h"

typedef enum KernelOption
{
	MTL_KERNEL_AUTO,			/* the fastest that the CPU has */
	MTL_KERNEL_PORTABLE			/* plain C */
} KernelOption;

/* mtl_rank.kernel */
extern int	mtl_rank_kernel;

typedef struct Kernels
{
	/*
	 * For each row r and unit u: y[r, u] = bias[u] + sum_k x[r, k] * weight[k, u].
	 * weight is (ninputs, units) without gaps, rows of x and y are x_stride and
	 * y_stride numbers apart.
	 */
	void		(*linear) (int nrows, int ninputs, int units,
						   const float *x, Size x_stride,
						   const float *weight, const float *bias,
						   float *y, Size y_stride);

	/* y[i] += scale * x[i] */
	void		(*add_scaled) (int n, float scale, const float *x, float *y);

	/* y[i] += scales[i] * x[i] */
	void		(*add_products) (int n, const float *scales, const float *x, float *y);
} Kernels;

/* The kernels that mtl_rank.kernel asks for and this CPU can run. */
extern const Kernels *ChooseKernels(void);

#endif							/* MTL_RANK_KERNEL_H */
