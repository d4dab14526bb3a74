/*
 * engine_module.c
 *	  SQL functions that call the engine directly, with any number of rows at once and
 *	  any kernels; for tests and benchmarks, in a module of its own that is never
 *	  installed.
 *
 * The module holds a copy of the engine: it does not look at mtl_rank's settings.
 */
#include "postgres.h"

#include <time.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "cache/loaded_model.h"
#include "engine/kernel.h"

PG_MODULE_MAGIC;

PGDLLEXPORT PG_FUNCTION_INFO_V1(engine_kernels);
PGDLLEXPORT PG_FUNCTION_INFO_V1(engine_scores);
PGDLLEXPORT PG_FUNCTION_INFO_V1(engine_time);

static const char *const kernel_names[] = {
	[MTL_KERNEL_AUTO] = "auto",
	[MTL_KERNEL_PORTABLE] = "portable",
	[MTL_KERNEL_AVX2] = "avx2",
	[MTL_KERNEL_AVX512] = "avx512"
};

/* A model, some of its outputs, and encoded rows. */
typedef struct Work
{
	LoadedModel *model;
	Selection  *selection;
	int			noutputs;
	int			nrows;
	float	   *floats;
	int32	   *ids;
	int			batch;
	void	   *scratch;
	const float **results;
} Work;

static void
UseKernel(const char *name)
{
	for (int i = 0; i < lengthof(kernel_names); i++)
		if (strcmp(kernel_names[i], name) == 0 && KernelOptionSupported(i))
		{
			mtl_rank_kernel = i;
			return;
		}
	elog(ERROR, "this CPU has no kernels \"%s\"", name);
}

/*
 * Arguments: a model file, rows, rows per call of the engine, kernels, outputs by their
 * position from 0 or NULL for all.
 */
static Work
Prepare(FunctionCallInfo fcinfo)
{
	static const uint8 digest[MTL_DIGEST_SIZE];
	bytea	   *file = PG_GETARG_BYTEA_PP(0);
	Work		work = {.batch = PG_GETARG_INT32(2)};
	const InputLayout *layout;
	Datum	   *rows;
	bool	   *nulls;
	int		   *ops;

	UseKernel(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	work.model = LoadedModelCreate(VARDATA_ANY(file), VARSIZE_ANY_EXHDR(file), digest);
	layout = work.model->layout;

	work.noutputs = work.model->contract->noutputs;
	ops = work.model->output_ops;
	if (!PG_ARGISNULL(4))
	{
		Datum	   *outputs;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(4), INT4OID, sizeof(int32), true, TYPALIGN_INT,
						  &outputs, &nulls, &work.noutputs);
		ops = palloc(sizeof(int) * work.noutputs);
		for (int i = 0; i < work.noutputs; i++)
			ops[i] = work.model->output_ops[DatumGetInt32(outputs[i])];
	}
	work.selection = ProgramSelect(work.model->program, work.noutputs, ops);

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), JSONBOID, -1, false, TYPALIGN_INT,
					  &rows, &nulls, &work.nrows);
	work.floats = palloc0(sizeof(float) * Max((Size) work.nrows * layout->nfloats, 1));
	work.ids = palloc0(sizeof(int32) * Max((Size) work.nrows * layout->nids, 1));
	for (int r = 0; r < work.nrows; r++)
		EncodeJsonb(work.model->encoder, DatumGetJsonbP(rows[r]),
					work.floats + (Size) r * layout->nfloats, work.ids + (Size) r * layout->nids);

	/* exactly as much as the engine asks for: an address sanitizer watches its end */
	work.scratch = palloc_extended(SelectionScratchSize(work.selection, work.batch), MCXT_ALLOC_HUGE);
	work.results = palloc(sizeof(float *) * Max(work.noutputs, 1));
	return work;
}

static void
RunRows(const Work *work, int begin, int nrows)
{
	const InputLayout *layout = work->model->layout;

	ProgramRun(work->model->program, work->selection, nrows,
			   work->floats + (Size) begin * layout->nfloats,
			   work->ids + (Size) begin * layout->nids, work->scratch, work->results);
}

/* engine_kernels() returns text[]: those that this CPU can run */
Datum
engine_kernels(PG_FUNCTION_ARGS)
{
	Datum		names[lengthof(kernel_names)];
	int			n = 0;

	for (int i = MTL_KERNEL_PORTABLE; i < lengthof(kernel_names); i++)
		if (KernelOptionSupported(i))
			names[n++] = CStringGetTextDatum(kernel_names[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * engine_scores(file bytea, features jsonb[], batch int, kernel text, outputs int[])
 * returns bytea: the bits of all scores, row by row.
 */
Datum
engine_scores(PG_FUNCTION_ARGS)
{
	Work		work = Prepare(fcinfo);
	Size		size = sizeof(float) * work.nrows * work.noutputs;
	bytea	   *result = palloc(VARHDRSZ + size);
	float	   *scores = (float *) VARDATA(result);

	SET_VARSIZE(result, VARHDRSZ + size);
	for (int begin = 0; begin < work.nrows; begin += work.batch)
	{
		int			nrows = Min(work.batch, work.nrows - begin);

		RunRows(&work, begin, nrows);
		for (int r = 0; r < nrows; r++)
			for (int i = 0; i < work.noutputs; i++)
				scores[(Size) (begin + r) * work.noutputs + i] = work.results[i][r];
	}
	PG_RETURN_BYTEA_P(result);
}

/*
 * engine_time(file bytea, features jsonb[], batch int, kernel text, outputs int[],
 * seconds float8) returns float8: microseconds per row, of whole batches, over about
 * so many seconds.  That is time of this process on the CPU: others may want it, too.
 */
Datum
engine_time(PG_FUNCTION_ARGS)
{
	Work		work = Prepare(fcinfo);
	double		wanted = PG_GETARG_FLOAT8(5);
	int64		nrows = 0;
	int			begin = 0;
	clock_t		start;
	clock_t		end;

	if (work.batch < 1 || work.batch > Min(work.nrows, MTL_MAX_BATCH))
		elog(ERROR, "batches of %d rows of %d", work.batch, work.nrows);
	RunRows(&work, 0, work.batch);
	start = clock();
	do
	{
		/* the clock takes time, too */
		for (int i = 0; i < 1 + 256 / work.batch; i++)
		{
			if (begin + work.batch > work.nrows)
				begin = 0;
			RunRows(&work, begin, work.batch);
			begin += work.batch;
			nrows += work.batch;
		}
		end = clock();
	} while (end - start < wanted * CLOCKS_PER_SEC);
	PG_RETURN_FLOAT8((double) (end - start) / CLOCKS_PER_SEC * 1e6 / nrows);
}
