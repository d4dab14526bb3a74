/*
 * vectors_avx2.h
 *	  Vectors of float32 on CPUs with AVX2, for the tiles of kernels.
 */
#ifndef MTL_RANK_VECTORS_AVX2_H
#define MTL_RANK_VECTORS_AVX2_H

#include <immintrin.h>

/* VECTORS of them take a strip. */
typedef __m256 Vector;

#define VECTORS						2
#define VectorFill(number)			_mm256_set1_ps(number)
#define VectorLoad(from)			_mm256_loadu_ps(from)
#define VectorStore(to, a)			_mm256_storeu_ps(to, a)
#define VectorAdd(a, b)				_mm256_add_ps(a, b)
#define VectorMultiply(a, b)		_mm256_mul_ps(a, b)
#define VectorMultiplyAdd(a, b, c)	_mm256_fmadd_ps(a, b, c)
#define VectorPositive(a)			_mm256_max_ps(a, _mm256_setzero_ps())
#define VectorIsZero(a)				(_mm256_movemask_ps(_mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_NEQ_UQ)) == 0)

#endif							/* MTL_RANK_VECTORS_AVX2_H */
