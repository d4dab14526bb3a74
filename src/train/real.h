/*
 * real.h
 *	  The numbers that training computes with.
 *
 * float, as in the model.  The test of the gradients compiles training once more
 * with double, in which differences show what a gradient is.
 */
#ifndef MTL_RANK_REAL_H
#define MTL_RANK_REAL_H

#ifdef MTL_TRAIN_FLOAT64
typedef double real;
#else
typedef float real;
#endif

/*
 * A function whose loops are compiled for several widths of vectors, of which the
 * CPU's is taken when the library is loaded.  Nothing in it is reassociated or
 * contracted, so that all of them give the same bits.  (Sanitizers are not ready yet
 * when the choice is made.)
 */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__has_attribute) && \
	!defined(__SANITIZE_ADDRESS__)
#if __has_attribute(target_clones)
#define MTL_VECTORIZED __attribute__((target_clones("avx512f", "avx2", "default")))
#endif
#endif
#ifndef MTL_VECTORIZED
#define MTL_VECTORIZED
#endif

#endif							/* MTL_RANK_REAL_H */
