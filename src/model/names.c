/*
 * names.c
 *	  Lists of names: finding a name's position, and showing them in messages.
 */
#include "postgres.h"

#include "model/names.h"

static int
ComparePositions(const void *a, const void *b, void *names)
{
	return strcmp(((char **) names)[*(const int *) a], ((char **) names)[*(const int *) b]);
}

NameIndex *
NameIndexCreate(char **names, int nnames)
{
	NameIndex  *index = palloc(sizeof(NameIndex));

	index->nnames = nnames;
	index->names = names;
	index->sorted = palloc(sizeof(int) * Max(nnames, 1));
	for (int i = 0; i < nnames; i++)
		index->sorted[i] = i;
	qsort_arg(index->sorted, nnames, sizeof(int), ComparePositions, names);
	return index;
}

int
NameIndexFind(const NameIndex *index, const char *name)
{
	int			low = 0;
	int			high = index->nnames;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = strcmp(name, index->names[index->sorted[middle]]);

		if (order == 0)
			return index->sorted[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return -1;
}

bool
NameIndexHasTwins(const NameIndex *index, int *first, int *second)
{
	for (int i = 1; i < index->nnames; i++)
	{
		*first = index->sorted[i - 1];
		*second = index->sorted[i];
		if (strcmp(index->names[*first], index->names[*second]) == 0)
			return true;
	}
	return false;
}

void
AppendQuotedName(StringInfo list, const char *name)
{
	appendStringInfo(list, "%s\"%s\"", list->len > 0 ? ", " : "", name);
}
