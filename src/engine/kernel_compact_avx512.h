/*
 * kernel_compact_avx512.h
 *	  What linear maps of bf16 and of int8 have in common on CPUs with AVX-512; included
 *	  once by the file of each, after what kernel_compact_tiles.h asks for.
 */
#ifndef MTL_RANK_KERNEL_COMPACT_AVX512_H
#define MTL_RANK_KERNEL_COMPACT_AVX512_H

#include "engine/kernel_compact_tiles.h"
#include "engine/tiles_avx512.h"
#include "engine/kernel_compact_linear.h"

#endif							/* MTL_RANK_KERNEL_COMPACT_AVX512_H */
