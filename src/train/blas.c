/*
 * blas.c
 *	  Matrix products, by OpenBLAS.
 *
 * OpenBLAS starts threads when it is loaded, unless it is the serial build or the
 * environment forbids it; it cannot be interrupted; and its symbols are those of
 * every other BLAS.  So it is loaded late, with signals blocked, with one thread,
 * and with its symbols kept from others.
 */
#include "postgres.h"

#include <dlfcn.h>
#include <signal.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "train/blas.h"

/* As in cblas.h, which need not be installed. */
#define CBLAS_ROW_MAJOR 101
#define CBLAS_NO_TRANSPOSE 111
#define CBLAS_TRANSPOSE 112

/* Multiply-adds of one call: some ten milliseconds on a slow machine. */
#define MAX_WORK (INT64CONST(1) << 26)

#define THREADS_VARIABLE "OPENBLAS_NUM_THREADS"

#ifdef MTL_TRAIN_FLOAT64
#define GEMM "cblas_dgemm"
#else
#define GEMM "cblas_sgemm"
#endif

typedef void (*Gemm) (int order, int transpose_a, int transpose_b, int m, int n, int k,
					  real alpha, const real *a, int lda, const real *b, int ldb,
					  real beta, real *c, int ldc);

char	   *mtl_rank_blas_library;

static Gemm gemm;
static char *loaded_name;

/* Debian's serial build first: whatever its alternatives say, it has no threads. */
static const char *const usual_names[] = {
#if defined(__x86_64__)
	"/usr/lib/x86_64-linux-gnu/openblas-serial/libopenblas.so.0",
#elif defined(__aarch64__)
	"/usr/lib/aarch64-linux-gnu/openblas-serial/libopenblas.so.0",
#endif
	"libopenblas.so.0",
	"libopenblas.so",
	NULL
};

/*
 * dlopen with the library's thread count set for its constructor, and with
 * signals blocked, which a thread of it would inherit.
 */
static void *
OpenLibrary(const char *name)
{
	const char *threads = getenv(THREADS_VARIABLE);
	char	   *saved = threads ? pstrdup(threads) : NULL;
	sigset_t	all;
	sigset_t	before;
	void	   *library;

	setenv(THREADS_VARIABLE, "1", 1);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (saved)
		setenv(THREADS_VARIABLE, saved, 1);
	else
		unsetenv(THREADS_VARIABLE);
	return library;
}

static MTL_NORETURN void
NoLibraryError(const char *name, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FILE),
			 errmsg("could not load OpenBLAS, which training needs"),
			 errdetail_internal("%s", reason ? reason : name),
			 errhint("Install it (on Debian and Ubuntu the package libopenblas0-serial), or name the library in \"mtl_rank.blas_library\".")));
}

/*
 * A build with threads is used with one.
 */
static void
HoldThreads(void *library, const char *name)
{
	void		(*set_threads) (int) = (void (*) (int)) dlsym(library, "openblas_set_num_threads");
	int			(*get_threads) (void) = (int (*) (void)) dlsym(library, "openblas_get_num_threads");

	if (set_threads == NULL || get_threads == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("library \"%s\" is not OpenBLAS", name),
				 errhint("Name an OpenBLAS in \"mtl_rank.blas_library\", or leave it empty.")));
	if (get_threads() != 1)
		set_threads(1);
	if (get_threads() != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("library \"%s\" works with %d threads and does not take 1", name, get_threads()),
				 errhint("Install a serial OpenBLAS (on Debian and Ubuntu the package libopenblas0-serial).")));
}

void
BlasLoad(void)
{
	bool		usual = mtl_rank_blas_library == NULL || mtl_rank_blas_library[0] == '\0';
	const char *name = usual ? usual_names[0] : mtl_rank_blas_library;
	void	   *library;

	if (gemm && (usual || strcmp(loaded_name, name) == 0))
		return;

	library = OpenLibrary(name);
	for (int i = 1; usual && library == NULL && usual_names[i]; i++)
	{
		name = usual_names[i];
		library = OpenLibrary(name);
	}
	if (library == NULL)
		NoLibraryError(name, dlerror());

	HoldThreads(library, name);
	gemm = (Gemm) dlsym(library, GEMM);
	if (gemm == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("library \"%s\" has no %s", name, GEMM),
				 errhint("Set \"mtl_rank.blas_library\" to OpenBLAS, or to nothing for the one that is installed.")));
	loaded_name = MemoryContextStrdup(TopMemoryContext, name);
}

void
BlasMultiply(bool transpose_a, bool transpose_b, int m, int n, int k,
			 const real *a, int lda, const real *b, int ldb, real beta, real *c, int ldc)
{
	int			columns = Min((int64) n, Max(MAX_WORK / Max(k, 1), 1));
	int			rows = Min((int64) m, Max(MAX_WORK / ((int64) Max(k, 1) * columns), 1));

	for (int i = 0; i < m; i += rows)
	{
		const real *a_part = a + (transpose_a ? (Size) i : (Size) i * lda);

		for (int j = 0; j < n; j += columns)
		{
			CHECK_FOR_INTERRUPTS();
			gemm(CBLAS_ROW_MAJOR,
				 transpose_a ? CBLAS_TRANSPOSE : CBLAS_NO_TRANSPOSE,
				 transpose_b ? CBLAS_TRANSPOSE : CBLAS_NO_TRANSPOSE,
				 Min(rows, m - i), Min(columns, n - j), k, 1,
				 a_part, lda, b + (transpose_b ? (Size) j * ldb : (Size) j), ldb,
				 beta, c + (Size) i * ldc + j, ldc);
		}
	}
}
