/*
 * group.c
 *	  Values of any type as keys of groups, and sets of them.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "metrics/group.h"

#define FIRST_CAPACITY 16

/* An entry's value is found by its number: this keeps the table small. */
typedef struct GroupEntry
{
	uint32		number;
	uint32		hash;
	char		status;
} GroupEntry;

struct GroupSet
{
	GroupType  *type;
	MemoryContext context;
	Group	   *groups;
	uint32		ngroups;
	uint32		capacity;
	uint32		last;			/* number of the value added last */
	Size		value_bytes;	/* of the copies of values */
	struct group_table_hash *table; /* NULL: the type has no hash */
};

static bool NumbersEqual(const GroupSet *set, uint32 a, uint32 b);

#define SH_PREFIX group_table
#define SH_ELEMENT_TYPE GroupEntry
#define SH_KEY_TYPE uint32
#define SH_KEY number
#define SH_HASH_KEY(tb, key) 0	/* always given, or stored */
#define SH_EQUAL(tb, a, b) NumbersEqual((tb)->private_data, a, b)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

void
GroupTypeInit(GroupType *type, Oid oid, Oid collation, MemoryContext context)
{
	TypeCacheEntry *cache;

	if (!OidIsValid(oid))
		elog(ERROR, "could not determine the type of the group");
	cache = lookup_type_cache(oid, TYPECACHE_CMP_PROC | TYPECACHE_HASH_PROC | TYPECACHE_EQ_OPR);
	if (!OidIsValid(cache->cmp_proc) || !OidIsValid(cache->eq_opr))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify a comparison function for type %s", format_type_be(oid)),
				 errhint("Groups need a type that can be sorted; cast the group, for instance to text.")));
	type->type = oid;
	type->collation = collation;
	type->typlen = cache->typlen;
	type->typbyval = cache->typbyval;
	fmgr_info_cxt(cache->cmp_proc, &type->compare, context);
	fmgr_info_cxt(get_opcode(cache->eq_opr), &type->equal, context);
	type->hash.fn_oid = InvalidOid;
	if (OidIsValid(cache->hash_proc))
		fmgr_info_cxt(cache->hash_proc, &type->hash, context);
}

Group
GroupMake(const GroupType *type, Datum datum, bool isnull)
{
	Group		group = {.isnull = isnull};

	if (isnull)
		return group;
	if (type->typlen == -1)
		datum = PointerGetDatum(PG_DETOAST_DATUM(datum));
	group.datum = datum;
	group.size = type->typbyval ? sizeof(Datum) : datumGetSize(datum, false, type->typlen);
	return group;
}

/* Then they are equal; without this they may be, as 1.0 and 1.00 are. */
static inline bool
SameBytes(const GroupType *type, const Group *a, const Group *b)
{
	if (a->isnull || b->isnull)
		return a->isnull && b->isnull;
	if (type->typbyval)
		return a->datum == b->datum;
	return a->size == b->size && memcmp(GroupBytes(type, a), GroupBytes(type, b), a->size) == 0;
}

int
GroupCompare(GroupType *type, const Group *a, const Group *b)
{
	if (a->isnull || b->isnull)
		return (int) a->isnull - (int) b->isnull;
	if (SameBytes(type, a, b))
		return 0;
	return DatumGetInt32(FunctionCall2Coll(&type->compare, type->collation, a->datum, b->datum));
}

static bool
GroupsEqual(GroupType *type, const Group *a, const Group *b)
{
	if (a->isnull || b->isnull)
		return a->isnull == b->isnull;
	return SameBytes(type, a, b) ||
		DatumGetBool(FunctionCall2Coll(&type->equal, type->collation, a->datum, b->datum));
}

static bool
NumbersEqual(const GroupSet *set, uint32 a, uint32 b)
{
	return GroupsEqual(set->type, &set->groups[a], &set->groups[b]);
}

GroupSet *
GroupSetCreate(GroupType *type, MemoryContext context)
{
	MemoryContext own = AllocSetContextCreate(context, "mtl_rank groups", ALLOCSET_SMALL_SIZES);
	GroupSet   *set = MemoryContextAllocZero(own, sizeof(GroupSet));

	set->type = type;
	set->context = own;
	set->capacity = FIRST_CAPACITY;
	set->groups = MemoryContextAlloc(own, sizeof(Group) * FIRST_CAPACITY);
	if (OidIsValid(type->hash.fn_oid))
		set->table = group_table_create(own, FIRST_CAPACITY, set);
	return set;
}

void
GroupSetDelete(GroupSet *set)
{
	MemoryContextDelete(set->context);
}

Size
GroupSetMemory(const GroupSet *set)
{
	return sizeof(Group) * set->capacity + set->value_bytes +
		(set->table ? sizeof(GroupEntry) * set->table->size : 0);
}

/* A value in the memory of a set. */
static void
CopyValue(GroupSet *set, Group *group)
{
	char	   *copy;

	if (group->isnull || set->type->typbyval)
		return;
	copy = MemoryContextAlloc(set->context, group->size);
	memcpy(copy, DatumGetPointer(group->datum), group->size);
	group->datum = PointerGetDatum(copy);
	set->value_bytes += group->size + 2 * MAXIMUM_ALIGNOF;
}

/*
 * The value is put behind the others, where the table can compare it with them,
 * and stays there when it is new.
 */
uint32
GroupSetAdd(GroupSet *set, const Group *group)
{
	GroupType  *type = set->type;
	uint32		number = set->ngroups;

	/* rows of a group often come together */
	if (number > 0 && SameBytes(type, group, &set->groups[set->last]))
		return set->last;

	if (number == set->capacity)
	{
		set->capacity *= 2;
		set->groups = repalloc_huge(set->groups, sizeof(Group) * set->capacity);
	}
	set->groups[number] = *group;
	if (set->table)
	{
		uint32		hash = 0;
		bool		found;
		GroupEntry *entry;

		if (!group->isnull)
			hash = DatumGetUInt32(FunctionCall1Coll(&type->hash, type->collation, group->datum));
		entry = group_table_insert_hash(set->table, number, murmurhash32(hash), &found);
		if (found)
		{
			set->last = entry->number;
			return entry->number;
		}
	}
	CopyValue(set, &set->groups[number]);
	set->ngroups++;
	set->last = number;
	return number;
}

static int
CompareNumbers(const void *a, const void *b, void *arg)
{
	GroupSet   *set = arg;

	CHECK_FOR_INTERRUPTS();
	return GroupCompare(set->type, &set->groups[*(const uint32 *) a], &set->groups[*(const uint32 *) b]);
}

uint32 *
GroupSetSort(GroupSet *set)
{
	uint32		n = set->ngroups;
	uint32	   *order = MemoryContextAllocHuge(set->context, sizeof(uint32) * Max(n, 1));
	uint32	   *places = MemoryContextAllocHuge(set->context, sizeof(uint32) * Max(n, 1));
	Group	   *sorted = MemoryContextAllocHuge(set->context, sizeof(Group) * Max(n, 1));
	uint32		place = 0;

	for (uint32 i = 0; i < n; i++)
		order[i] = i;
	qsort_arg(order, n, sizeof(uint32), CompareNumbers, set);
	for (uint32 i = 0; i < n; i++)
	{
		if (i > 0 && CompareNumbers(&order[i - 1], &order[i], set) != 0)
			place++;
		places[order[i]] = place;
		sorted[place] = set->groups[order[i]];
	}
	set->groups = sorted;
	return places;
}

const Group *
GroupSetGet(const GroupSet *set, uint32 place)
{
	return &set->groups[place];
}
