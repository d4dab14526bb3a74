/*
 * kernel_compact.h
 *	  Linear maps whose weights and inputs are bf16 or int8, in variants for CPUs.
 *
 * As for the kernels of kernel.h, every variant gives the same bits, for any number of
 * rows.  docs/model-format.md, "Precision", defines them.
 *
 * Inputs go in groups of 32 bits: two of bf16 or four of int8, the earlier in the lower
 * bits, zeros in place of those that a row or a weight does not have.  Weights lie in
 * strips of MTL_STRIP units, a cache line of each group's after the other's: (strips,
 * groups, MTL_STRIP).  Units that do not fill a strip have zeros beside them.
 *
 * bf16: sums start at 0 and take the terms of a group by two fused multiply-adds of
 * float32, of the later input first.  That is what the instruction of AVX512_BF16 does,
 * by Intel's specification, but that it takes and leaves subnormal numbers as zeros.
 * Numbers below MTL_BF16_LEAST are therefore zeros here: all others are multiples of
 * 2^-63, their products of 2^-126, and so is every sum of those, rounded or not; so that
 * there are no subnormal ones.
 *
 * int8: sums are exact.  Inputs are unsigned, q of x with x = scale * (q - zero), where
 * scale and zero are the row's.
 */
#ifndef MTL_RANK_KERNEL_COMPACT_H
#define MTL_RANK_KERNEL_COMPACT_H

#include "engine/kernel.h"
#include "math/bf16.h"
#include "model/contract.h"

/* 2^-56 as bits of float32 and of bf16; less is 0. */
#define MTL_BF16_LEAST_BITS		((127 - 56) << 23)
#define MTL_BF16_LEAST			((127 - 56) << 7)

/* A row of int8 whose numbers are within less than this is a row of zeros. */
#define MTL_INT8_LEAST_RANGE	0x1p-100f

#define MTL_BF16_GROUP			2	/* numbers of a group */
#define MTL_INT8_GROUP			4

/* Several rows: the groups of row r begin at groups + r * stride. */
typedef struct CompactRows
{
	uint32	   *groups;
	Size		stride;
	float	   *scales;			/* int8: of each row */
	int32	   *zeros;
} CompactRows;

/* Weights from some strip on, and numbers for each of its units. */
typedef struct CompactWeights
{
	const uint32 *groups;
	const float *scales;
	const int32 *sums;			/* int8: of the weights of each unit */
} CompactWeights;

/* Fills the rows with n numbers each of x, which are finite, and zeros after them. */
typedef void (*CompactFunction) (int nrows, int n, Vectors x, const CompactRows *rows);

/*
 * y[r, u] = start[r, u] + s * scale[u] by one fused multiply-add, where s is
 *	bf16: sum_k x[r, k] * weight[k, u]
 *	int8: sum_k (q[r, k] - zero[r]) * weight[k, u], as float32, with scale[u] * the row's
 * then, with relu, 0 where that is not positive.  Says whether all numbers are finite
 * before that.  start may be y, or have the stride 0.
 */
typedef bool (*CompactLinearFunction) (int nrows, int ngroups, const CompactRows *x,
									   int nstrips, const CompactWeights *weights, Vectors start,
									   bool relu, float *y, Size y_stride);

typedef struct CompactKernels
{
	CompactFunction compact;
	CompactLinearFunction linear;
} CompactKernels;

/* The kernels for a precision that mtl_rank.kernel asks for and the CPU can run. */
extern const CompactKernels *ChooseCompactKernels(Precision precision);

/* The variants. */
extern const CompactKernels mtl_portable_bf16_kernels;
extern const CompactKernels mtl_portable_int8_kernels;
#ifdef MTL_X86_KERNELS
extern const CompactKernels mtl_avx2_bf16_kernels;
extern const CompactKernels mtl_avx2_int8_kernels;
extern const CompactKernels mtl_avx512_bf16_kernels;
extern const CompactKernels mtl_avx512_int8_kernels;
#endif

#endif							/* MTL_RANK_KERNEL_COMPACT_H */
