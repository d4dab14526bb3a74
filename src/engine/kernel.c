/*
 * kernel.c
 *	  Chooses the kernels for this CPU.
 */
#include "postgres.h"

#include "engine/kernel.h"

int			mtl_rank_kernel = MTL_KERNEL_AUTO;

bool
KernelOptionSupported(KernelOption option)
{
#ifdef MTL_X86_KERNELS
	/* these also say whether the operating system saves the registers */
	bool		avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");

	if (option == MTL_KERNEL_AVX2)
		return avx2;
	if (option == MTL_KERNEL_AVX512)
		return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
			__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#endif
#ifdef MTL_NEON_KERNELS
	if (option == MTL_KERNEL_NEON)
		return true;
#endif
	return option == MTL_KERNEL_AUTO || option == MTL_KERNEL_PORTABLE;
}

const Kernels *
ChooseKernels(void)
{
	KernelOption option = mtl_rank_kernel;

#ifdef MTL_X86_KERNELS
	if (option == MTL_KERNEL_AUTO && KernelOptionSupported(MTL_KERNEL_AVX512))
		option = MTL_KERNEL_AVX512;
	if (option == MTL_KERNEL_AUTO && KernelOptionSupported(MTL_KERNEL_AVX2))
		option = MTL_KERNEL_AVX2;
	if (option == MTL_KERNEL_AVX512)
		return &mtl_avx512_kernels;
	if (option == MTL_KERNEL_AVX2)
		return &mtl_avx2_kernels;
#endif
#ifdef MTL_NEON_KERNELS
	if (option == MTL_KERNEL_AUTO || option == MTL_KERNEL_NEON)
		return &mtl_neon_kernels;
#endif
	return &mtl_portable_kernels;
}
