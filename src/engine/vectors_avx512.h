/*
 * vectors_avx512.h
 *	  Vectors of float32 on CPUs with AVX-512, for the tiles of kernels.
 */
#ifndef MTL_RANK_VECTORS_AVX512_H
#define MTL_RANK_VECTORS_AVX512_H

#include <immintrin.h>

/* VECTORS of them take a strip. */
typedef __m512 Vector;

#define VECTORS						1
#define VectorFill(number)			_mm512_set1_ps(number)
#define VectorLoad(from)			_mm512_loadu_ps(from)
#define VectorStore(to, a)			_mm512_storeu_ps(to, a)
#define VectorAdd(a, b)				_mm512_add_ps(a, b)
#define VectorMultiply(a, b)		_mm512_mul_ps(a, b)
#define VectorMultiplyAdd(a, b, c)	_mm512_fmadd_ps(a, b, c)
#define VectorPositive(a)			_mm512_max_ps(a, _mm512_setzero_ps())
#define VectorIsZero(a)				(_mm512_cmp_ps_mask(a, _mm512_setzero_ps(), _CMP_NEQ_UQ) == 0)

#endif							/* MTL_RANK_VECTORS_AVX512_H */
