/*
 * kernel_avx512.c
 *	  Kernels for CPUs with AVX-512.
 */
#include "postgres.h"

#include "engine/kernel.h"

#ifdef MTL_X86_KERNELS

#define KERNEL_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")))

#define MultiplyAdd(a, b, c) __builtin_fmaf(a, b, c)
#include "engine/kernel_loops.h"

#define MAX_MIX_VECTORS				16
#include "engine/vectors_avx512.h"
#include "engine/kernel_tiles.h"
#include "engine/tiles_avx512.h"

#include "engine/kernel_linear.h"

/* Narrow weights do not fill these registers: half as wide ones are as fast. */
const Kernels mtl_avx512_kernels = {
	.linear = Linear,
	.linear_narrow = MtlLinearNarrowAvx2,
	.mix = Mix,
	.add_rows = AddRows,
	LOOP_KERNELS
};

#endif							/* MTL_X86_KERNELS */
