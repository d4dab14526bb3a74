/*
 * rows.c
 *	  What stands side by side in a picture.
 *
 * Left to itself, Graphviz puts tasks in any order, and in another one on each
 * level.  Here they are in declared order, with what is shared in their middle, as
 * in the figures of the PLE paper, and gates outside their experts, as in those of
 * the MMoE paper.
 */
#include "postgres.h"

#include "draw/rows.h"

typedef enum RowKind
{
	ROW_NONE,
	ROW_FEATURES,
	ROW_SLICES,
	ROW_EXPERTS,				/* and gates; these two for each level */
	ROW_MIXES,
	ROW_TOWERS,
	ROW_SCORES
} RowKind;

static RowKind
RowOf(const PictureNode *node)
{
	if (node->more == MORE_LEVELS)
		return ROW_NONE;
	switch (node->role)
	{
		case NODE_FEATURE:
			return ROW_FEATURES;
		case NODE_SLICES:
			return ROW_SLICES;
		case NODE_MLP:
		case NODE_GATE:
			return node->in_level ? ROW_EXPERTS : ROW_NONE;
		case NODE_MIX:
			return node->in_level ? ROW_MIXES : ROW_NONE;
		case NODE_TOWER:
			return ROW_TOWERS;
		case NODE_SCORE:
			/* products stand above their factors */
			return node->first_op >= 0 || node->more == MORE_PRODUCTS ? ROW_NONE : ROW_SCORES;
		default:
			return ROW_NONE;
	}
}

/*
 * The task that is the first right of the middle.
 */
static int
MiddleTask(const Contract *contract)
{
	int			ntowers = 0;
	int			nleft = 0;

	for (int t = 0; t < contract->ntasks; t++)
		ntowers += contract->tasks[t].type != TASK_PRODUCT;
	for (int t = 0; t < contract->ntasks; t++)
	{
		if (contract->tasks[t].type != TASK_PRODUCT && nleft++ == ntowers / 2)
			return t;
	}
	return 0;
}

/*
 * Tasks take even columns, left or right of what is shared; those that one node
 * stands for come just before the last task.
 */
static Place
PlaceOf(const Picture *picture, int position, RowKind kind, int middle)
{
	const PictureNode *node = &picture->nodes[position];
	int			ntasks = picture->contract->ntasks;
	Place		place = {.node = position, .kind = kind, .level = node->level, .index = node->index};
	bool		left = node->task >= 0 && node->task < middle;

	if (node->more == MORE_TASKS)
		place.column = 4 * ntasks - 1;
	else if (node->task >= 0)
		place.column = 2 * node->task + (left ? 0 : 2 * ntasks + 2);
	else
		place.column = 2 * ntasks;
	place.rank = (node->role == NODE_GATE) != left;
	return place;
}

static int
ComparePlaces(const void *a, const void *b)
{
	const Place *p = a;
	const Place *q = b;

	if (p->kind != q->kind)
		return p->kind - q->kind;
	if (p->level != q->level)
		return p->level - q->level;
	if (p->column != q->column)
		return p->column - q->column;
	if (p->rank != q->rank)
		return p->rank - q->rank;
	if (p->index != q->index)
		return p->index - q->index;
	return p->node - q->node;
}

bool
SameRow(const Place *p, const Place *q)
{
	return p->kind == q->kind && p->level == q->level;
}

Rows *
RowsCreate(const Picture *picture)
{
	Rows	   *rows = palloc0(sizeof(Rows));
	int			middle = MiddleTask(picture->contract);

	rows->places = palloc(sizeof(Place) * picture->nnodes);
	for (int i = 0; i < picture->nnodes; i++)
	{
		RowKind		kind = RowOf(&picture->nodes[i]);

		if (NodeIsShown(picture, i) && kind != ROW_NONE)
			rows->places[rows->n++] = PlaceOf(picture, i, kind, middle);
	}
	qsort(rows->places, rows->n, sizeof(Place), ComparePlaces);
	return rows;
}
