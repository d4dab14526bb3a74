/*
 * kernel_compact.c
 *	  Chooses the kernels of bf16 and int8 for this CPU.
 */
#include "postgres.h"

#include "engine/kernel_compact.h"

#ifdef MTL_X86_KERNELS

/* ------------------------------------------------ a CPU's bf16, by its word */

#define TRIAL_GROUPS	16
#define TRIALS			64

/*
 * The next number of a sequence without end; xorshift32: Marsaglia, "Xorshift RNGs",
 * Journal of Statistical Software 8, 2003.
 */
static uint32
NextRandom(uint32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/*
 * Two bf16 between 2^-6 and 2^6, of either sign: sums of their products round and cancel.
 */
static uint32
RandomGroup(uint32 *state)
{
	uint32		group = 0;

	for (int i = 0; i < MTL_BF16_GROUP; i++)
	{
		uint32		bits = NextRandom(state);
		uint32		exponent = 127 - 6 + (bits >> 8) % 13;

		group = group << 16 | (bits & 0x807F) | exponent << 7;
	}
	return group;
}

/*
 * Whether the CPU's instruction for bf16 adds what a group has in the order and with the
 * roundings that are specified.  A CPU of another maker might not, and scores would then
 * differ between servers: so it is tried, once, against multiply-adds of float32.
 */
static bool
Bf16InstructionIsExact(void)
{
	uint32		state = 2463534242;
	uint32		inputs[TRIAL_GROUPS];
	uint32		groups[TRIAL_GROUPS * MTL_STRIP];
	float		ones[MTL_STRIP];
	float		zeros[MTL_STRIP] = {0};
	Vectors		start = {zeros, 0};
	float		ours[MTL_STRIP];
	float		theirs[MTL_STRIP];
	CompactRows x = {inputs, TRIAL_GROUPS, NULL, NULL};
	CompactWeights weights = {groups, ones, NULL};

	for (int u = 0; u < MTL_STRIP; u++)
		ones[u] = 1;
	for (int trial = 0; trial < TRIALS; trial++)
	{
		for (int g = 0; g < TRIAL_GROUPS; g++)
			inputs[g] = RandomGroup(&state);
		for (int i = 0; i < TRIAL_GROUPS * MTL_STRIP; i++)
			groups[i] = RandomGroup(&state);
		mtl_avx2_bf16_kernels.linear(1, TRIAL_GROUPS, &x, 1, &weights, start, false, ours, MTL_STRIP);
		mtl_avx512_bf16_kernels.linear(1, TRIAL_GROUPS, &x, 1, &weights, start, false, theirs, MTL_STRIP);
		if (memcmp(ours, theirs, sizeof(ours)) != 0)
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- choice */

/*
 * Whether the CPU has the instructions that AVX-512 has for a precision, and they are
 * good; found once.
 */
static bool
HasInstructions(Precision precision)
{
	static int	known[PRECISION_INT8 + 1];	/* 1: yes, -1: no */

	if (known[precision] == 0)
	{
		bool		has = KernelOptionSupported(MTL_KERNEL_AVX512);

		if (precision == PRECISION_BF16)
			has = has && __builtin_cpu_supports("avx512bf16") && Bf16InstructionIsExact();
		else
			has = has && __builtin_cpu_supports("avx512vnni");
		known[precision] = has ? 1 : -1;
	}
	return known[precision] > 0;
}

#endif							/* MTL_X86_KERNELS */

/*
 * AVX-512 without the instructions for a precision takes the kernels of AVX2.
 */
const CompactKernels *
ChooseCompactKernels(Precision precision)
{
	bool		bf16 = precision == PRECISION_BF16;

#ifdef MTL_X86_KERNELS
	KernelOption option = mtl_rank_kernel;

	if ((option == MTL_KERNEL_AUTO || option == MTL_KERNEL_AVX512) && HasInstructions(precision))
		return bf16 ? &mtl_avx512_bf16_kernels : &mtl_avx512_int8_kernels;
	if (option != MTL_KERNEL_PORTABLE && KernelOptionSupported(MTL_KERNEL_AVX2))
		return bf16 ? &mtl_avx2_bf16_kernels : &mtl_avx2_int8_kernels;
#endif
	return bf16 ? &mtl_portable_bf16_kernels : &mtl_portable_int8_kernels;
}
