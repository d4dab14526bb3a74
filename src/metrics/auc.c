/*
 * auc.c
 *	  mtl_auc and mtl_gauc: the area under the ROC curve, over all rows or within
 *	  groups.
 *
 * GAUC is the mean of the areas within groups, weighted by their rows
 * (impressions; Zhu et al., Optimized Cost per Click in Taobao Display Advertising,
 * KDD 2017) or by their positive rows (clicks).  Groups of one class have no area,
 * and no weight.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "math/exact_sum.h"
#include "math/roc_area.h"
#include "metrics/arguments.h"
#include "metrics/tally_state.h"

MTL_FUNCTION(mtl_auc_add_boolean);
MTL_FUNCTION(mtl_auc_add_double);
MTL_FUNCTION(mtl_auc_result);
MTL_FUNCTION(mtl_gauc_add_boolean);
MTL_FUNCTION(mtl_gauc_add_double);
MTL_FUNCTION(mtl_gauc_result);

static Datum
AddRow(FunctionCallInfo fcinfo, double label, int group_arg, TallyParameter parameter)
{
	double		score = FiniteScore(PG_GETARG_FLOAT8(2));
	Tally	   *tally = TallyStateGet(fcinfo, group_arg, parameter);

	TallyStateAdd(fcinfo, tally, group_arg, score, label);
	PG_RETURN_POINTER(tally);
}

static Datum
AddAucRow(FunctionCallInfo fcinfo, double label)
{
	return AddRow(fcinfo, label, 0, (TallyParameter) {TALLY_NO_PARAMETER, 0});
}

Datum
mtl_auc_add_boolean(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddAucRow(fcinfo, PG_GETARG_BOOL(1));
}

Datum
mtl_auc_add_double(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddAucRow(fcinfo, BinaryLabel(PG_GETARG_FLOAT8(1)));
}

/* The last argument of mtl_gauc, which need not be there. */
static GaucWeighting
WeightingArgument(FunctionCallInfo fcinfo)
{
	text	   *weighting;

	if (PG_NARGS() <= 4)
		return GAUC_IMPRESSIONS;
	if (PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("weighting must not be null"),
				 errhint("Use \"impressions\" or \"clicks\".")));
	weighting = PG_GETARG_TEXT_PP(4);
	if (VARSIZE_ANY_EXHDR(weighting) == strlen("impressions") &&
		memcmp(VARDATA_ANY(weighting), "impressions", strlen("impressions")) == 0)
		return GAUC_IMPRESSIONS;
	if (VARSIZE_ANY_EXHDR(weighting) == strlen("clicks") &&
		memcmp(VARDATA_ANY(weighting), "clicks", strlen("clicks")) == 0)
		return GAUC_CLICKS;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown weighting \"%s\"", text_to_cstring(weighting)),
			 errhint("Use \"impressions\" or \"clicks\".")));
}

static Datum
AddGaucRow(FunctionCallInfo fcinfo, double label)
{
	return AddRow(fcinfo, label, 3, (TallyParameter) {TALLY_WEIGHTING, WeightingArgument(fcinfo)});
}

Datum
mtl_gauc_add_boolean(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddGaucRow(fcinfo, PG_GETARG_BOOL(1));
}

Datum
mtl_gauc_add_double(PG_FUNCTION_ARGS)
{
	METRIC_SKIP_ROW();
	return AddGaucRow(fcinfo, BinaryLabel(PG_GETARG_FLOAT8(1)));
}

static void
AreaAdd(RocArea *area, const RunEntry *entry)
{
	RocAreaAdd(area, entry->key, entry->label != 0, entry->count);
	if (RocAreaRows(area) > ROC_AREA_MAX_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an area under the ROC curve is of at most %lld rows", (long long) ROC_AREA_MAX_ROWS),
				 errhint("Take a sample of the rows.")));
}

Datum
mtl_auc_result(PG_FUNCTION_ARGS)
{
	TallyScan  *scan;
	RocArea		area = {0};
	double		value;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	scan = TallyScanBegin((Tally *) PG_GETARG_POINTER(0));
	while (TallyScanNext(scan))
		AreaAdd(&area, &scan->entry);
	TallyScanEnd(scan);
	if (!RocAreaValue(&area, &value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

/* Adds a group's area to the mean. */
static void
MeanAdd(ExactSum *areas, int64 *weights, RocArea *area, GaucWeighting weighting)
{
	double		value;
	int64		weight;

	if (!RocAreaValue(area, &value))
		return;
	weight = area->positives + (weighting == GAUC_IMPRESSIONS ? area->negatives : 0);
	ExactSumAdd(areas, value * weight);
	*weights += weight;
}

Datum
mtl_gauc_result(PG_FUNCTION_ARGS)
{
	Tally	   *tally;
	TallyScan  *scan;
	GaucWeighting weighting;
	RocArea		area = {0};
	ExactSum	areas = {.additions = 0};
	int64		weights = 0;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	tally = (Tally *) PG_GETARG_POINTER(0);
	weighting = TallyGetParameter(tally)->value;
	scan = TallyScanBegin(tally);
	while (TallyScanNext(scan))
	{
		if (scan->new_group)
		{
			MeanAdd(&areas, &weights, &area, weighting);
			memset(&area, 0, sizeof(area));
		}
		AreaAdd(&area, &scan->entry);
	}
	TallyScanEnd(scan);
	MeanAdd(&areas, &weights, &area, weighting);
	if (weights == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(ExactSumValue(&areas) / weights);
}
