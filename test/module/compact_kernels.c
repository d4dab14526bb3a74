/*
 * compact_kernels.c
 *	  Compares the kernels of bf16 and int8 with the portable ones, bit by bit, over
 *	  numbers that models hardly have.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "common/pg_prng.h"

#include "engine/kernel_compact.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(compact_differences);

#define MAX_INPUTS	150
#define MAX_UNITS	(7 * MTL_STRIP)
#define ROWS		30
#define Y_STRIDE	(MAX_UNITS + 3)

/* How inputs and weights of one trial are drawn. */
typedef enum Numbers
{
	NUMBERS_PLAIN,				/* of about one size: their sums round */
	NUMBERS_CANCEL,				/* few different ones of either sign */
	NUMBERS_WIDE,				/* of any size whose products are in range */
	NUMBERS_LEAST,				/* around the least that is not 0, and subnormal ones */
	NUMBERS_HUGE,				/* whose products leave the range */
	NUMBERS_ANY,				/* any bits of finite numbers */
	NUMBERS_KINDS
} Numbers;

/* A kind of CPU, and what it has for a precision. */
typedef struct Variant
{
	const char *name;
	bool		there;
	const CompactKernels *kernels;
} Variant;

typedef struct Trial
{
	Precision	precision;
	int			nrows;
	int			ninputs;
	int			ngroups;
	int			nstrips;
	bool		relu;
	float		x[ROWS * MAX_INPUTS];
	uint32		weights[MAX_UNITS * MAX_INPUTS];
	float		scales[MAX_UNITS];
	float		start[ROWS * Y_STRIDE];
	int			start_stride;	/* 0: all rows have the first one's */
	bool		in_place;		/* start is where the results go */
	int32		sums[MAX_UNITS];
} Trial;

/* What kernels make of it. */
typedef struct Outcome
{
	uint32		groups[ROWS * MAX_INPUTS];
	float		scales[ROWS];
	int32		zeros[ROWS];
	float		y[ROWS * Y_STRIDE];
	bool		finite;
} Outcome;

static pg_prng_state random_state;

static int
RandomInt(int least, int largest)
{
	return least + pg_prng_uint64(&random_state) % (largest - least + 1);
}

static float
FloatOf(uint32 sign, int exponent, uint32 fraction)
{
	uint32		bits = sign << 31 | (uint32) exponent << 23 | (fraction & 0x7FFFFF);
	float		number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

static float
RandomNumber(Numbers kind)
{
	uint32		sign = RandomInt(0, 1);
	uint32		fraction = (uint32) pg_prng_uint64(&random_state);

	if (RandomInt(0, 9) == 0)
		return FloatOf(sign, 0, 0);
	switch (kind)
	{
		case NUMBERS_PLAIN:
			return FloatOf(sign, 127 + RandomInt(-3, 3), fraction);
		case NUMBERS_CANCEL:
			return FloatOf(sign, 127 + RandomInt(-1, 1) * 12, fraction & 0x600000);
		case NUMBERS_WIDE:
			return FloatOf(sign, 127 + RandomInt(-56, 56), fraction);
		case NUMBERS_LEAST:
			return FloatOf(sign, RandomInt(0, 2) > 0 ? 127 - 56 + RandomInt(-1, 2) : RandomInt(0, 1), fraction);
		case NUMBERS_HUGE:
			return FloatOf(sign, 127 + RandomInt(58, 66), fraction);
		default:
			return FloatOf(sign, RandomInt(0, 254), fraction);
	}
}

/*
 * Weights in whatever order: each is as good as another.
 */
static void
MakeTrial(Trial *trial, Precision precision)
{
	Numbers		kind = RandomInt(0, NUMBERS_KINDS - 1);
	Numbers		weight_kind = kind == NUMBERS_ANY ? NUMBERS_PLAIN : kind;
	int			group = precision == PRECISION_BF16 ? MTL_BF16_GROUP : MTL_INT8_GROUP;

	trial->precision = precision;
	trial->nrows = RandomInt(1, ROWS);
	trial->ninputs = RandomInt(1, MAX_INPUTS);
	trial->ngroups = (trial->ninputs + group - 1) / group;
	trial->nstrips = RandomInt(1, MAX_UNITS / MTL_STRIP);
	trial->relu = RandomInt(0, 1);
	for (int i = 0; i < trial->nrows * trial->ninputs; i++)
		trial->x[i] = RandomNumber(kind);
	for (int u = 0; u < MAX_UNITS; u++)
	{
		trial->scales[u] = RandomInt(0, 1) ? 1 : RandomNumber(NUMBERS_PLAIN);
		trial->sums[u] = 0;
	}
	for (int i = 0; i < ROWS * Y_STRIDE; i++)
		trial->start[i] = RandomInt(0, 1) ? 0 : RandomNumber(NUMBERS_PLAIN);
	trial->start_stride = RandomInt(0, 1) ? Y_STRIDE : 0;
	trial->in_place = trial->start_stride > 0 && RandomInt(0, 1);
	for (int i = 0; i < trial->nstrips * trial->ngroups * MTL_STRIP; i++)
	{
		uint32		number = 0;
		int			unit = i / (trial->ngroups * MTL_STRIP) * MTL_STRIP + i % MTL_STRIP;

		for (int k = 0; k < group; k++)
			if (precision == PRECISION_BF16)
			{
				Bf16		weight = FloatToBf16(RandomNumber(weight_kind));

				number = number << 16 | ((weight & 0x7FFF) < MTL_BF16_LEAST ? 0 : weight);
			}
			else
			{
				int8		weight = RandomInt(0, 3) ? RandomInt(-128, 127) : RandomInt(0, 1) ? 127 : -128;

				number = number << 8 | (uint8) weight;
				trial->sums[unit] += weight;
			}
		trial->weights[i] = number;
	}
}

static void
RunTrial(const Trial *trial, const CompactKernels *kernels, Outcome *outcome)
{
	Vectors		x = {trial->x, trial->ninputs};
	CompactRows rows = {outcome->groups, trial->ngroups + 1, outcome->scales, outcome->zeros};
	CompactWeights weights = {trial->weights, trial->scales,
	trial->precision == PRECISION_INT8 ? trial->sums : NULL};
	Vectors		start = {trial->in_place ? outcome->y : trial->start, trial->start_stride};

	memset(outcome, 0x7f, sizeof(Outcome));
	if (trial->in_place)
		memcpy(outcome->y, trial->start, sizeof(outcome->y));
	kernels->compact(trial->nrows, trial->ninputs, x, &rows);
	outcome->finite = kernels->linear(trial->nrows, trial->ngroups, &rows, trial->nstrips, &weights,
									  start, trial->relu, outcome->y, Y_STRIDE);
	/* then there is an error instead, and NaN has many forms */
	if (!outcome->finite)
		memset(outcome->y, 0, sizeof(outcome->y));
}

/*
 * compact_differences(trials int) returns text: which variants differ from the portable
 * one in how many of so many random trials, and how many were compared.
 */
Datum
compact_differences(PG_FUNCTION_ARGS)
{
	int			trials = PG_GETARG_INT32(0);
	Trial	   *trial = palloc(sizeof(Trial));
	Outcome    *expected = palloc(sizeof(Outcome));
	Outcome    *outcome = palloc(sizeof(Outcome));
	StringInfoData text;

	initStringInfo(&text);
	for (Precision precision = PRECISION_BF16; precision <= PRECISION_INT8; precision++)
	{
		bool		bf16 = precision == PRECISION_BF16;
		int			nfinite = 0;
		int			ndifferences = 0;
		Variant		variants[] = {
#ifdef MTL_X86_KERNELS
			{"avx2", KernelOptionSupported(MTL_KERNEL_AVX2),
			bf16 ? &mtl_avx2_bf16_kernels : &mtl_avx2_int8_kernels},
			{"avx512", KernelOptionSupported(MTL_KERNEL_AVX512) &&
				(bf16 ? __builtin_cpu_supports("avx512bf16") : __builtin_cpu_supports("avx512vnni")),
			bf16 ? &mtl_avx512_bf16_kernels : &mtl_avx512_int8_kernels},
#endif
			{"portable", true, bf16 ? &mtl_portable_bf16_kernels : &mtl_portable_int8_kernels}
		};

		pg_prng_seed(&random_state, 20);
		for (int i = 0; i < trials; i++)
		{
			CHECK_FOR_INTERRUPTS();
			MakeTrial(trial, precision);
			RunTrial(trial, variants[lengthof(variants) - 1].kernels, expected);
			nfinite += expected->finite;
			for (int v = 0; v < lengthof(variants) - 1; v++)
			{
				if (!variants[v].there)
					continue;
				RunTrial(trial, variants[v].kernels, outcome);
				ndifferences += memcmp(outcome, expected, sizeof(Outcome)) != 0;
			}
		}
		appendStringInfo(&text, "%s%s:%s%s %d of %d trials in range, %d differences", bf16 ? "" : "; ",
						 bf16 ? "bf16" : "int8", lengthof(variants) > 1 && variants[0].there ? " avx2" : "",
						 lengthof(variants) > 1 && variants[1].there ? " avx512" : "", nfinite, trials, ndifferences);
	}
	PG_RETURN_TEXT_P(cstring_to_text(text.data));
}
