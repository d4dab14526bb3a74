/*
 * names.h
 *	  Lists of names: finding a name's position, and showing them in messages.
 *
 * Lists of a contract have thousands of names, and name each other: searched one
 * by one, a file of some megabytes would take seconds.
 */
#ifndef MTL_RANK_NAMES_H
#define MTL_RANK_NAMES_H

#include "postgres.h"

#include "lib/stringinfo.h"

typedef struct NameIndex
{
	int			nnames;
	char	  **names;			/* the caller's */
	int		   *sorted;			/* positions in strcmp's order of the names */
} NameIndex;

/* Allocated in the current context; names must live as long as the index. */
extern NameIndex *NameIndexCreate(char **names, int nnames);

/* The position of a name, -1 if it is not there; one of them if there are several. */
extern int	NameIndexFind(const NameIndex *index, const char *name);

/* Two positions that have the same name; false if there are none. */
extern bool NameIndexHasTwins(const NameIndex *index, int *first, int *second);

/* Appends a name to a list as messages show it: "a", "b". */
extern void AppendQuotedName(StringInfo list, const char *name);

#endif							/* MTL_RANK_NAMES_H */
