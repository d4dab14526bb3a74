/*
 * blas.h
 *	  Matrix products, by OpenBLAS.
 *
 * The library is loaded at the first training of a session, never by the
 * postmaster or a session that only scores, and is held to one thread.
 */
#ifndef MTL_RANK_BLAS_H
#define MTL_RANK_BLAS_H

#include "train/real.h"

/* mtl_rank.blas_library; empty: the usual places */
extern char *mtl_rank_blas_library;

/*
 * Loads the library unless that has been done; an error with a hint when there
 * is none, or one that insists on threads.
 */
extern void BlasLoad(void);

/*
 * c = op(a) op(b) + beta c, all row-major: c is (m, n), op(a) is (m, k) and op(b)
 * is (k, n), op being the transposition where asked for; lda, ldb, ldc are the
 * distances of rows as stored.  Large products are cut so that a cancelled query
 * ends soon; the cuts depend on the sizes alone.
 */
extern void BlasMultiply(bool transpose_a, bool transpose_b, int m, int n, int k,
						 const real *a, int lda, const real *b, int ldb,
						 real beta, real *c, int ldc);

#endif							/* MTL_RANK_BLAS_H */
