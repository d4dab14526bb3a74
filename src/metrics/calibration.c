/*
 * calibration.c
 *	  mtl_calibration: whether probabilities are as frequent as they say.
 *
 * Over all rows: the mean label over the mean score.  And by bins: scores are split
 * into bins of equal width, of which each has its upper edge and the first also 0;
 * the expected calibration error is the mean distance of a bin's mean label and mean
 * score, weighted by its rows (Guo et al., On Calibration of Modern Neural Networks,
 * ICML 2017).
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "metrics/arguments.h"
#include "metrics/sum_state.h"

MTL_FUNCTION(mtl_calibration_add_boolean);
MTL_FUNCTION(mtl_calibration_add_double);
MTL_FUNCTION(mtl_calibration_result);

#define DEFAULT_BINS	10
#define MAX_BINS		1000

/*
 * A state has a sum per bin, that of its scores, and two counts per bin, its rows
 * and its positive rows.
 */
#define ROWS(state, bin)		((state)->counts[2 * (bin)])
#define POSITIVES(state, bin)	((state)->counts[2 * (bin) + 1])

static int32
BinsArgument(FunctionCallInfo fcinfo)
{
	int32		bins;

	if (PG_NARGS() <= 3)
		return DEFAULT_BINS;
	if (PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("bins must not be null"),
				 errhint("Leave it out for %d bins.", DEFAULT_BINS)));
	bins = PG_GETARG_INT32(3);
	if (bins < 1 || bins > MAX_BINS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bins is %d, expected 1 to %d", bins, MAX_BINS),
				 errhint("Leave it out for %d bins.", DEFAULT_BINS)));
	return bins;
}

static double
UpperEdge(int32 bin, int32 bins)
{
	return (double) (bin + 1) / bins;
}

/* The product may be rounded past an edge, which counts. */
static int32
BinOf(double score, int32 bins)
{
	int32		bin = Min((int32) (score * bins), bins - 1);

	if (score > UpperEdge(bin, bins))
		bin++;
	else if (bin > 0 && score <= UpperEdge(bin - 1, bins))
		bin--;
	return bin;
}

static Datum
AddRow(FunctionCallInfo fcinfo, double label)
{
	double		score = ProbabilityScore(PG_GETARG_FLOAT8(2)) + 0.0;	/* -0 is 0 */
	int32		bins = BinsArgument(fcinfo);
	SumState   *state = SumStateGet(fcinfo, bins, 2 * bins);
	int32		bin = BinOf(score, bins);

	ExactSumAdd(&SumStateSums(state)[bin], score);
	ROWS(state, bin)++;
	POSITIVES(state, bin) += label == 1;
	PG_RETURN_POINTER(state);
}

Datum
mtl_calibration_add_boolean(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddRow(fcinfo, PG_GETARG_BOOL(1));
}

Datum
mtl_calibration_add_double(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddRow(fcinfo, BinaryLabel(PG_GETARG_FLOAT8(1)));
}

/* What is reported of a bin, or of all rows. */
typedef struct Summary
{
	int64		rows;
	int64		positives;
	double		scores;
} Summary;

static Datum
BinDatum(const Summary *bin, int32 number, int32 bins, TupleDesc desc)
{
	bool		empty = bin->rows == 0;
	Datum		values[5] = {
		Float8GetDatum((double) number / bins),
		Float8GetDatum(UpperEdge(number, bins)),
		Int64GetDatum(bin->rows),
		empty ? (Datum) 0 : Float8GetDatum((double) bin->positives / bin->rows),
		empty ? (Datum) 0 : Float8GetDatum(bin->scores / bin->rows)
	};
	bool		nulls[5] = {false, false, false, empty, empty};

	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

static Datum
BinsDatum(const Summary *summaries, int32 bins, Oid array_type)
{
	Oid			type = get_element_type(array_type);
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	Datum	   *elements = palloc(sizeof(Datum) * bins);

	for (int32 i = 0; i < bins; i++)
		elements[i] = BinDatum(&summaries[i], i, bins, desc);
	return PointerGetDatum(construct_array(elements, bins, type, -1, false, TYPALIGN_DOUBLE));
}

Datum
mtl_calibration_result(PG_FUNCTION_ARGS)
{
	SumState   *state;
	int32		bins;
	Summary    *summaries;
	Summary		all = {0};
	ExactSum	scores = {.additions = 0};
	ExactSum	distances = {.additions = 0};
	TupleDesc	desc;
	Datum		values[6];
	bool		nulls[6] = {false};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	state = (SumState *) PG_GETARG_POINTER(0);
	bins = state->nsums;
	summaries = palloc(sizeof(Summary) * bins);
	for (int32 i = 0; i < bins; i++)
	{
		Summary    *bin = &summaries[i];

		bin->rows = ROWS(state, i);
		bin->positives = POSITIVES(state, i);
		bin->scores = ExactSumValue(&SumStateSums(state)[i]);
		all.rows += bin->rows;
		all.positives += bin->positives;
		ExactSumMerge(&scores, &SumStateSums(state)[i]);
		ExactSumAdd(&distances, fabs(bin->positives - bin->scores));
	}
	all.scores = ExactSumValue(&scores);

	values[0] = Int64GetDatum(all.rows);
	values[1] = Float8GetDatum((double) all.positives / all.rows);
	values[2] = Float8GetDatum(all.scores / all.rows);
	nulls[3] = all.scores == 0;
	values[3] = nulls[3] ? (Datum) 0 : Float8GetDatum(all.positives / all.scores);
	values[4] = Float8GetDatum(ExactSumValue(&distances) / all.rows);
	values[5] = BinsDatum(summaries, bins, TupleDescAttr(desc, 5)->atttypid);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
