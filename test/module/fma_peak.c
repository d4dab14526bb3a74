/*
 * fma_peak.c
 *	  What the CPU can do at most: fused multiply-adds with nothing else to do.
 */
#include "postgres.h"

#include <time.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "engine/kernel.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(fma_peak);

#define REPEATS 100000

#ifdef MTL_X86_KERNELS

#include <immintrin.h>

/* Twelve sums hide the latency of each. */
#define FMA12(instruction) \
	instruction " %13, %12, %0\n" instruction " %13, %12, %1\n" instruction " %13, %12, %2\n" \
	instruction " %13, %12, %3\n" instruction " %13, %12, %4\n" instruction " %13, %12, %5\n" \
	instruction " %13, %12, %6\n" instruction " %13, %12, %7\n" instruction " %13, %12, %8\n" \
	instruction " %13, %12, %9\n" instruction " %13, %12, %10\n" instruction " %13, %12, %11\n"

#define DEFINE_PEAK(name, attribute, Vector, fill, constraint) \
attribute static void \
name(void) \
{ \
	Vector		a = fill(0.999f); \
	Vector		b = fill(0.001f); \
	Vector		s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a; \
\
	for (int i = 0; i < REPEATS; i++) \
		__asm__ volatile(FMA12("vfmadd213ps") \
						 : "+" constraint(s0), "+" constraint(s1), "+" constraint(s2), "+" constraint(s3), \
						 "+" constraint(s4), "+" constraint(s5), "+" constraint(s6), "+" constraint(s7), \
						 "+" constraint(s8), "+" constraint(s9), "+" constraint(s10), "+" constraint(s11) \
						 : constraint(a), constraint(b)); \
}

DEFINE_PEAK(PeakAvx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, "x")
DEFINE_PEAK(PeakAvx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, "v")

#endif

/* fma_peak(kernel text) returns float8: multiply-adds of numbers per microsecond */
Datum
fma_peak(PG_FUNCTION_ARGS)
{
#ifdef MTL_X86_KERNELS
	bool		wide = strcmp(text_to_cstring(PG_GETARG_TEXT_PP(0)), "avx512") == 0;
	clock_t		start;

	if (!KernelOptionSupported(wide ? MTL_KERNEL_AVX512 : MTL_KERNEL_AVX2))
		elog(ERROR, "this CPU does not have the instructions");
	start = clock();
	for (int i = 0; i < 20; i++)
		(wide ? PeakAvx512 : PeakAvx2) ();
	PG_RETURN_FLOAT8(20.0 * REPEATS * 12 * (wide ? 16 : 8) /
					 ((double) (clock() - start) / CLOCKS_PER_SEC * 1e6));
#else
	elog(ERROR, "the peak is measured on x86 only");
#endif
}
