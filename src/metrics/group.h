/*
 * group.h
 *	  Values of any type as keys of groups, and sets of them.
 *
 * Two values are the same group when their type's default btree operator class
 * says so, under the collation of the call, as in GROUP BY with a sort.  NULL is a
 * group of its own, as there.
 */
#ifndef MTL_RANK_GROUP_H
#define MTL_RANK_GROUP_H

#include "postgres.h"

#include "fmgr.h"

typedef struct GroupType
{
	Oid			type;			/* InvalidOid: there are no groups, all rows are one */
	Oid			collation;
	int16		typlen;
	bool		typbyval;
	FmgrInfo	compare;
	FmgrInfo	hash;			/* fn_oid InvalidOid: values have no hash */
	FmgrInfo	equal;
} GroupType;

/* A value: by value, or plain bytes at an address that suits every type. */
typedef struct Group
{
	Datum		datum;
	uint32		size;			/* bytes */
	bool		isnull;
} Group;

typedef struct GroupSet GroupSet;

/* Looks a type up; memory that functions keep is taken from context. */
extern void GroupTypeInit(GroupType *type, Oid oid, Oid collation, MemoryContext context);

/* The value of an argument, detoasted into the current context. */
extern Group GroupMake(const GroupType *type, Datum datum, bool isnull);

/* Where a value's bytes are. */
static inline const char *
GroupBytes(const GroupType *type, const Group *group)
{
	return type->typbyval ? (const char *) &group->datum : DatumGetPointer(group->datum);
}

extern int	GroupCompare(GroupType *type, const Group *a, const Group *b);

/*
 * A set numbers the values that it holds from 0 on.  Without a hash function some
 * values may be held several times.  The memory it takes is a context below the
 * given one.
 */
extern GroupSet *GroupSetCreate(GroupType *type, MemoryContext context);
extern void GroupSetDelete(GroupSet *set);
extern uint32 GroupSetAdd(GroupSet *set, const Group *group);
extern Size GroupSetMemory(const GroupSet *set);

/*
 * Sorts a set, which is then of no use but to read.  Returns the new place of each
 * number; values that are equal get one place.
 */
extern uint32 *GroupSetSort(GroupSet *set);

/* The value at a place of a sorted set. */
extern const Group *GroupSetGet(const GroupSet *set, uint32 place);

#endif							/* MTL_RANK_GROUP_H */
