/*
 * mtl_rank.c
 *	  The module: magic, settings, shared memory.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "compat.h"
#include "cache/model_cache.h"
#include "cache/shared_cache.h"
#include "engine/kernel.h"
#include "model/model_value.h"
#include "plan/hooks.h"
#include "train/blas.h"

MTL_RANK_MODULE_MAGIC;

/*
 * A model's text form takes twice its size and must stay below the 1 GB that
 * PostgreSQL gives a value, or it could not be dumped.
 */
#define MAX_MODEL_SIZE_KB		(511 * 1024)
#define DEFAULT_MODEL_SIZE_KB	(256 * 1024)
#define DEFAULT_CACHE_SIZE_KB	(512 * 1024)
#define DEFAULT_SHARED_CACHE_SIZE_KB	(1024 * 1024)

static const struct config_enum_entry kernel_options[] = {
	{"auto", MTL_KERNEL_AUTO, false},
	{"portable", MTL_KERNEL_PORTABLE, false},
	{"avx2", MTL_KERNEL_AVX2, false},
	{"avx512", MTL_KERNEL_AVX512, false},
	{"neon", MTL_KERNEL_NEON, false},
	{NULL, 0, false}
};

PGDLLEXPORT void _PG_init(void);

static bool
CheckKernel(int *option, void **extra, GucSource source)
{
	if (KernelOptionSupported(*option))
		return true;
	GUC_check_errdetail("This CPU does not have the instructions that these kernels need.");
	return false;
}

void
_PG_init(void)
{
	/* the user's own statements; scores are the same */
	DefineCustomEnumVariable("mtl_rank.batching",
							 "Whether plans compute scores for many rows at once.",
							 "\"require\" makes it an error if a call cannot be.",
							 &mtl_rank_batching, BATCHING_ON, mtl_rank_batching_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	/* code that the server loads is the superuser's choice */
	DefineCustomStringVariable("mtl_rank.blas_library",
							   "OpenBLAS that training loads.",
							   "Empty: where Debian and others install it.",
							   &mtl_rank_blas_library, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);

	/* the user's own memory */
	DefineCustomIntVariable("mtl_rank.cache_size",
							"Memory for loaded models that a session keeps between statements.",
							NULL, &mtl_rank_cache_size,
							DEFAULT_CACHE_SIZE_KB, 0, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);

	/* for tests: all kernels give the same bits */
	DefineCustomEnumVariable("mtl_rank.kernel",
							 "Which kernels compute scores.",
							 NULL, &mtl_rank_kernel, MTL_KERNEL_AUTO, kernel_options,
							 PGC_USERSET, GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE, CheckKernel, NULL, NULL);

	/* protects the server from its users */
	DefineCustomIntVariable("mtl_rank.max_model_size",
							"Largest model file that is accepted.",
							NULL, &mtl_rank_max_model_size,
							DEFAULT_MODEL_SIZE_KB, 1, MAX_MODEL_SIZE_KB,
							PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);

	/* the same for all processes, as they evict each other's models */
	DefineCustomIntVariable("mtl_rank.shared_cache_size",
							"Memory for loaded models that all sessions share.",
							NULL, &mtl_rank_shared_cache_size,
							DEFAULT_SHARED_CACHE_SIZE_KB, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);

	MarkGUCPrefixReserved("mtl_rank");

	SharedCacheInit();
	PlanHooksInstall();
}
