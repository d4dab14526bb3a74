/*
 * vectors_neon.h
 *	  Vectors of float32 on 64-bit ARM, for the tiles of kernels.
 */
#ifndef MTL_RANK_VECTORS_NEON_H
#define MTL_RANK_VECTORS_NEON_H

#include <arm_neon.h>

/* VECTORS of them take a strip. */
typedef float32x4_t Vector;

#define VECTORS						4
#define VectorFill(number)			vdupq_n_f32(number)
#define VectorLoad(from)			vld1q_f32(from)
#define VectorStore(to, a)			vst1q_f32(to, a)
#define VectorAdd(a, b)				vaddq_f32(a, b)
#define VectorMultiply(a, b)		vmulq_f32(a, b)
#define VectorMultiplyAdd(a, b, c)	vfmaq_f32(c, a, b)
/* 0 where a is NaN, as on other CPUs */
#define VectorPositive(a)			vmaxnmq_f32(a, vdupq_n_f32(0))
#define VectorIsZero(a)				(vminvq_u32(vceqzq_f32(a)) != 0)

#endif							/* MTL_RANK_VECTORS_NEON_H */
