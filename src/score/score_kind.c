/*
 * score_kind.c
 *	  Finds the kind of a scoring function.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "compat.h"
#include "score/score_kind.h"

extern PGDLLEXPORT Datum mtl_score(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum mtl_score_task(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum mtl_score_pair(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum mtl_score_pair_task(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum mtl_rank_score(PG_FUNCTION_ARGS);
extern PGDLLEXPORT Datum mtl_rank_score_weights(PG_FUNCTION_ARGS);

static const ScoreKind kinds[] = {
	{"mtl_score", mtl_score, 1, false, SelectAllScores, AllScoresResult},
	{"mtl_score_task", mtl_score_task, 1, true, SelectTaskScore, TaskScoreResult},
	{"mtl_score_pair", mtl_score_pair, 2, false, SelectAllScores, AllScoresResult},
	{"mtl_score_pair_task", mtl_score_pair_task, 2, true, SelectTaskScore, TaskScoreResult},
	{"mtl_rank_score", mtl_rank_score, 1, false, SelectRank, RankResult},
	{"mtl_rank_score_weights", mtl_rank_score_weights, 1, true, SelectWeightedRank, RankResult}
};

/* The name of its C function; NULL if it is in another language. */
static char *
FunctionSymbol(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	char	   *symbol = NULL;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		Datum		source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);

		if (!isnull)
			symbol = TextDatumGetCString(source);
	}
	ReleaseSysCache(tuple);
	return symbol;
}

const ScoreKind *
ScoreKindFind(Oid function)
{
	char	   *symbol = function < FirstNormalObjectId ? NULL : FunctionSymbol(function);

	if (symbol == NULL)
		return NULL;
	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		FmgrInfo	info;

		if (strcmp(symbol, kinds[i].symbol) != 0)
			continue;
		/* another library may use the same name */
		fmgr_info(function, &info);
		return info.fn_addr == kinds[i].function ? &kinds[i] : NULL;
	}
	return NULL;
}

bool
ScoreOptionsEqual(const void *a, const void *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

/*
 * With a full header, so that a jsonb can be read in place.
 */
void *
ScoreOptionCopy(const void *option)
{
	Size		size = VARSIZE_ANY_EXHDR(option);
	struct varlena *copy = palloc(VARHDRSZ + size);

	SET_VARSIZE(copy, VARHDRSZ + size);
	memcpy(VARDATA(copy), VARDATA_ANY(option), size);
	return copy;
}
