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

/* Twelve sums hide the latency of each. */
#define FMA12(fma) \
	fma("0") fma("1") fma("2") fma("3") fma("4") fma("5") fma("6") fma("7") fma("8") fma("9") fma("10") fma("11")

#define DEFINE_PEAK(name, attribute, Vector, fill, fma, constraint) \
attribute static void \
name(void) \
{ \
	Vector		a = fill(0.999f); \
	Vector		b = fill(0.001f); \
	Vector		s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a; \
\
	for (int i = 0; i < REPEATS; i++) \
		__asm__ volatile(FMA12(fma) \
						 : "+" constraint(s0), "+" constraint(s1), "+" constraint(s2), "+" constraint(s3), \
						 "+" constraint(s4), "+" constraint(s5), "+" constraint(s6), "+" constraint(s7), \
						 "+" constraint(s8), "+" constraint(s9), "+" constraint(s10), "+" constraint(s11) \
						 : constraint(a), constraint(b)); \
}

typedef struct Peak
{
	const char *kernel;
	KernelOption option;
	int			lanes;
	void		(*run) (void);
} Peak;

#if defined(MTL_X86_KERNELS)

#include <immintrin.h>

#define FMA(sum) "vfmadd213ps %13, %12, %" sum "\n"

DEFINE_PEAK(PeakAvx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, FMA, "x")
DEFINE_PEAK(PeakAvx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, FMA, "v")

static const Peak peaks[] = {
	{"avx2", MTL_KERNEL_AVX2, 8, PeakAvx2},
	{"avx512", MTL_KERNEL_AVX512, 16, PeakAvx512}
};

#elif defined(MTL_NEON_KERNELS)

#include <arm_neon.h>

#define FMA(sum) "fmla %" sum ".4s, %12.4s, %13.4s\n"

DEFINE_PEAK(PeakNeon, , float32x4_t, vdupq_n_f32, FMA, "w")

static const Peak peaks[] = {
	{"neon", MTL_KERNEL_NEON, 4, PeakNeon}
};

#else

static const Peak peaks[] = {
	{NULL}
};

#endif

/* fma_peak(kernel text) returns float8: multiply-adds of numbers per microsecond */
Datum
fma_peak(PG_FUNCTION_ARGS)
{
	char	   *kernel = text_to_cstring(PG_GETARG_TEXT_PP(0));

	for (int i = 0; i < lengthof(peaks); i++)
	{
		const Peak *peak = &peaks[i];
		clock_t		start;

		if (!peak->kernel || strcmp(peak->kernel, kernel) != 0 || !KernelOptionSupported(peak->option))
			continue;
		start = clock();
		for (int n = 0; n < 20; n++)
			peak->run();
		PG_RETURN_FLOAT8(20.0 * REPEATS * 12 * peak->lanes /
						 ((double) (clock() - start) / CLOCKS_PER_SEC * 1e6));
	}
	elog(ERROR, "this CPU has no peak of kernels \"%s\"", kernel);
}
