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

#endif							/* MTL_RANK_REAL_H */
