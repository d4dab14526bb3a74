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
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "cache/loaded_model.h"
#include "engine/kernel.h"

PG_MODULE_MAGIC;

PGDLLEXPORT PG_FUNCTION_INFO_V1(engine_kernels);
PGDLLEXPORT PG_FUNCTION_INFO_V1(engine_differences);
PGDLLEXPORT PG_FUNCTION_INFO_V1(engine_time);

static const char *const kernel_names[] = {
	[MTL_KERNEL_AUTO] = "auto",
	[MTL_KERNEL_PORTABLE] = "portable",
	[MTL_KERNEL_AVX2] = "avx2",
	[MTL_KERNEL_AVX512] = "avx512",
	[MTL_KERNEL_NEON] = "neon"
};

/* Rows at once that the portable kernel is tried with. */
#define PORTABLE_BATCH 7

/* Contexts that rows have in common, and choices of their features, that are tried at most. */
#define MAX_CONTEXTS 3
#define MAX_CHOICES 4

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
	int			ncontexts;		/* 0, or row r has context r % ncontexts */
	int			context_fields;
	float	   *shares;
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
 * Loads a model and encodes rows.
 */
static void
Prepare(Work *work, bytea *file, ArrayType *features)
{
	static const uint8 digest[MTL_DIGEST_SIZE];
	const InputLayout *layout;
	Datum	   *rows;
	bool	   *nulls;

	work->model = LoadedModelCreate(VARDATA_ANY(file), VARSIZE_ANY_EXHDR(file), digest);
	layout = work->model->layout;
	deconstruct_array(features, JSONBOID, -1, false, TYPALIGN_INT, &rows, &nulls, &work->nrows);
	work->floats = palloc0(sizeof(float) * Max((Size) work->nrows * layout->nfloats, 1));
	work->ids = palloc0(sizeof(int32) * Max((Size) work->nrows * layout->nids, 1));
	for (int r = 0; r < work->nrows; r++)
		EncodeJsonb(work->model->encoder, DatumGetJsonbP(rows[r]),
					work->floats + (Size) r * layout->nfloats, work->ids + (Size) r * layout->nids);
}

/*
 * Chooses outputs, and how many rows the engine gets at once.
 */
static void
Choose(Work *work, int batch, int noutputs, const int *ops)
{
	if (batch < 1 || batch > MTL_MAX_BATCH)
		elog(ERROR, "batches of %d rows", batch);
	work->batch = batch;
	work->noutputs = noutputs;
	work->selection = ProgramSelect(work->model->program, noutputs, ops);
	/* exactly as much as the engine asks for: an address sanitizer watches its end */
	work->scratch = palloc_extended(SelectionScratchSize(work->selection, batch), MCXT_ALLOC_HUGE);
	work->results = palloc(sizeof(float *) * Max(noutputs, 1));
}

static void
RunRows(const Work *work, int begin, int nrows)
{
	const InputLayout *layout = work->model->layout;
	ContextShares contexts = {work->context_fields, work->shares, NULL};
	int16		of_row[MTL_MAX_BATCH];

	for (int r = 0; r < nrows && work->ncontexts > 1; r++)
		of_row[r] = (begin + r) % work->ncontexts;
	if (work->ncontexts > 1)
		contexts.of_row = of_row;
	ProgramRun(work->model->program, work->selection, nrows,
			   work->floats + (Size) begin * layout->nfloats,
			   work->ids + (Size) begin * layout->nids,
			   work->ncontexts > 0 ? &contexts : NULL, work->scratch, work->results);
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

/* ------------------------------------------------------------ differences */

/*
 * All rows: score of output i at scores[i * nrows + row].
 */
static void
ScoreRows(const Work *work, float *scores)
{
	for (int begin = 0; begin < work->nrows; begin += work->batch)
	{
		int			nrows = Min(work->batch, work->nrows - begin);

		CHECK_FOR_INTERRUPTS();
		RunRows(work, begin, nrows);
		for (int i = 0; i < work->noutputs; i++)
			memcpy(scores + (Size) i * work->nrows + begin, work->results[i], sizeof(float) * nrows);
	}
}

/* Scores of all kernels, in batches of one size, and those that they should be. */
static void
CompareKernels(Work *work, const float *expected, const char *what, StringInfo differences)
{
	Size		size = sizeof(float) * work->nrows * work->noutputs;
	float	   *scores = palloc(size);

	for (int i = MTL_KERNEL_PORTABLE; i < lengthof(kernel_names); i++)
	{
		/* slow, and it knows no tiles but those of one row and four */
		bool		skip = i == MTL_KERNEL_PORTABLE && work->batch != PORTABLE_BATCH;

		if (skip || !KernelOptionSupported(i))
			continue;
		mtl_rank_kernel = i;
		memset(scores, 0x7f, size);
		ScoreRows(work, scores);
		if (memcmp(scores, expected, size) != 0)
			appendStringInfo(differences, "%s, %d rows at once, %s; ",
							 kernel_names[i], work->batch, what);
	}
	pfree(scores);
}

/*
 * Gives all rows the contexts of the first ones, in the features of a share.
 */
static void
TakeContexts(Work *work, const bool *context, int ncontexts)
{
	const InputLayout *layout = work->model->layout;

	work->ncontexts = ncontexts;
	work->context_fields = ProgramContextFields(work->model->program, context);
	for (int r = ncontexts; r < work->nrows; r++)
		for (int i = 0; i < layout->nfields; i++)
		{
			const InputField *field = &layout->fields[i];
			const Feature *feature = field->feature;
			int			from = r % ncontexts;
			int			nfloats = feature->kind == FEATURE_DENSE ? feature->width : feature->max_length;
			int			nids = feature->kind == FEATURE_SEQUENCE ? 1 + feature->max_length : 1;

			if (!context[i])
				continue;
			if (feature->kind == FEATURE_DENSE || feature->weights_column)
				memcpy(work->floats + (Size) r * layout->nfloats + field->float_offset,
					   work->floats + (Size) from * layout->nfloats + field->float_offset, sizeof(float) * nfloats);
			if (feature->kind != FEATURE_DENSE)
				memcpy(work->ids + (Size) r * layout->nids + field->id_offset,
					   work->ids + (Size) from * layout->nids + field->id_offset, sizeof(int32) * nids);
		}
}

/*
 * Rows that have contexts in common, with shares and without: those that the contract
 * declares, all of which a share has, or all but one, so that it has those before it.  The
 * rows are changed.
 */
static void
CompareContexts(Work *work, const int *ops, StringInfo differences)
{
	static const int batches[] = {1, PORTABLE_BATCH, 97};
	int			nfeatures = work->model->contract->nfeatures;
	bool	   *context = palloc(sizeof(bool) * nfeatures);
	int			noutputs = work->noutputs;
	float	   *expected = palloc(sizeof(float) * work->nrows * noutputs);

	for (int choice = 0; choice < Min(nfeatures + 1, MAX_CHOICES); choice++)
	{
		int			ncontext = 0;

		for (int i = 0; i < nfeatures; i++)
		{
			context[i] = choice == 0 ? work->model->contract->features[i].context : i != (choice - 1) * nfeatures / (MAX_CHOICES - 1);
			ncontext += context[i];
		}
		for (int ncontexts = 1; ncontexts <= MAX_CONTEXTS; ncontexts += 2)
		{
			TakeContexts(work, context, ncontexts);
			if (choice == 0 && work->context_fields < ncontext && SelectionShareSize(work->selection) > 0)
				appendStringInfo(differences, "a share has %d of %d features; ", work->context_fields, ncontext);
			if (work->context_fields == 0)
				continue;

			/* without shares */
			work->ncontexts = 0;
			Choose(work, 24, noutputs, ops);
			mtl_rank_kernel = MTL_KERNEL_AUTO;
			ScoreRows(work, expected);

			Choose(work, MAX_CONTEXTS, noutputs, ops);
			work->ncontexts = ncontexts;
			work->shares = palloc_extended(ncontexts * SelectionShareSize(work->selection), MCXT_ALLOC_HUGE);
			ProgramRunContexts(work->model->program, work->selection, work->context_fields, ncontexts,
							   work->floats, work->ids, work->scratch, work->shares);
			for (int b = 0; b < lengthof(batches); b++)
			{
				Choose(work, batches[b], noutputs, ops);
				CompareKernels(work, expected, psprintf("%d contexts of %d features", ncontexts, work->context_fields),
							   differences);
			}
		}
	}
}

/*
 * engine_differences(file bytea, features jsonb[], batches int[]) returns text: which
 * kernels, sizes of batches, choices of outputs and shares of contexts give other bits
 * than the portable kernel, one row after the other, all outputs at once; empty if none do.
 */
Datum
engine_differences(PG_FUNCTION_ARGS)
{
	Work		work = {0};
	StringInfoData differences;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "batch", ALLOCSET_DEFAULT_SIZES);
	const int  *ops;
	int			noutputs;
	Datum	   *batches;
	bool	   *nulls;
	int			nbatches;
	float	   *expected;

	initStringInfo(&differences);
	Prepare(&work, PG_GETARG_BYTEA_PP(0), PG_GETARG_ARRAYTYPE_P(1));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &batches, &nulls, &nbatches);
	noutputs = work.model->contract->noutputs;
	ops = work.model->output_ops;

	expected = palloc(sizeof(float) * work.nrows * noutputs);
	Choose(&work, 1, noutputs, ops);
	mtl_rank_kernel = MTL_KERNEL_PORTABLE;
	ScoreRows(&work, expected);

	MemoryContextSwitchTo(context);
	for (int b = 0; b < nbatches; b++)
	{
		Choose(&work, DatumGetInt32(batches[b]), noutputs, ops);
		CompareKernels(&work, expected, "all outputs", &differences);
		MemoryContextReset(context);
	}
	for (int i = 0; i < noutputs; i++)
	{
		Choose(&work, PORTABLE_BATCH, 1, &ops[i]);
		CompareKernels(&work, expected + (Size) i * work.nrows, psprintf("output %d", i), &differences);
		MemoryContextReset(context);
	}
	work.noutputs = noutputs;
	CompareContexts(&work, ops, &differences);
	PG_RETURN_TEXT_P(cstring_to_text(differences.data));
}

/* -------------------------------------------------------------------- time */

/*
 * engine_time(file bytea, features jsonb[], batch int, kernel text, seconds float8)
 * returns float8: microseconds per row, of whole batches, over about so many seconds.
 * That is time of this process on the CPU: others may want it, too.
 */
Datum
engine_time(PG_FUNCTION_ARGS)
{
	Work		work = {0};
	double		wanted = PG_GETARG_FLOAT8(4);
	int64		nrows = 0;
	int			begin = 0;
	clock_t		start;
	clock_t		end;

	UseKernel(text_to_cstring(PG_GETARG_TEXT_PP(3)));
	Prepare(&work, PG_GETARG_BYTEA_PP(0), PG_GETARG_ARRAYTYPE_P(1));
	Choose(&work, PG_GETARG_INT32(2), work.model->contract->noutputs, work.model->output_ops);
	if (work.batch > work.nrows)
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
