/*
 * elide.c
 *	  Which nodes of a picture are shown.
 *
 * A model may have 64 levels, 1,000 tasks and 1,024 experts per level.  Of more
 * levels, tasks, or members of a group than a limit only the first and the last are
 * shown, and one node stands for those between them.  With three limits, a picture
 * of anything has some hundred nodes.
 */
#include "postgres.h"

#include "draw/picture.h"

#define MANY_NODES 120			/* of more, a smaller limit is tried */

/* Positions in a sequence of which only the first and the last are shown. */
typedef struct Elision
{
	int			n;
	int			limit;
} Elision;

static bool
IsElided(const Elision *elision, int i)
{
	return elision->n > elision->limit && i >= elision->limit - 2 && i < elision->n - 1;
}

static int
CountElided(const Elision *elision)
{
	return elision->n - (elision->limit - 1);
}

typedef struct Plan
{
	Picture    *picture;
	int			nnodes;			/* without those that stand for many */
	int			limit;
	Elision		levels;
	Elision		tasks;			/* that have a tower */
	Elision		products;
	int		   *ordinals;		/* by position in the contract, among tasks or products */
} Plan;

/*
 * The node that stands for all of one place, made when it is first asked for.  There
 * are few of them.
 */
static int
StandIn(Plan *plan, MoreKind more, int nmore, const PictureNode *like)
{
	Picture    *picture = plan->picture;
	PictureNode copy = *like;	/* nodes may move */
	PictureNode *node;

	for (int i = plan->nnodes; i < picture->nnodes; i++)
	{
		node = &picture->nodes[i];
		if (node->more != more)
			continue;
		if (more == MORE_LEVELS || more == MORE_PRODUCTS ||
			(node->role == copy.role && node->level == copy.level &&
			 (more == MORE_TASKS || node->task == copy.task) &&
			 (node->part == copy.part ||
			  (node->part && copy.part && strcmp(node->part, copy.part) == 0))))
			return i;
	}

	node = PictureAddNode(picture, copy.role);
	node->more = more;
	node->nmore = nmore;
	node->own = copy.own;
	node->hidden = copy.hidden;
	if (more == MORE_LEVELS)
	{
		node->role = NODE_MLP;
		return picture->nnodes - 1;
	}
	node->level = copy.level;
	node->in_level = copy.in_level;
	node->before_levels = copy.before_levels;
	node->part = copy.part;
	node->index = copy.index;	/* of the first: it stands in its place */
	if (more == MORE_MEMBERS)
		node->task = copy.task;
	return picture->nnodes - 1;
}

/* ------------------------------------------------------- levels and tasks */

static bool
IsProduct(const Plan *plan, const PictureNode *node)
{
	return node->task >= 0 && plan->picture->contract->tasks[node->task].type == TASK_PRODUCT;
}

static void
CountLevelsAndTasks(Plan *plan)
{
	const Contract *contract = plan->picture->contract;

	plan->levels = plan->tasks = plan->products = (Elision) {.limit = plan->limit};
	for (int i = 0; i < plan->nnodes; i++)
		plan->levels.n = Max(plan->levels.n, plan->picture->nodes[i].level + 1);
	for (int t = 0; t < contract->ntasks; t++)
	{
		Elision    *elision = contract->tasks[t].type == TASK_PRODUCT ? &plan->products : &plan->tasks;

		plan->ordinals[t] = elision->n++;
	}
}

static void
ElideLevelsAndTasks(Plan *plan)
{
	Picture    *picture = plan->picture;

	for (int i = 0; i < plan->nnodes; i++)
	{
		PictureNode *node = &picture->nodes[i];
		const Elision *elision = IsProduct(plan, node) ? &plan->products : &plan->tasks;
		int			stand_in;

		if (node->level >= 0 && IsElided(&plan->levels, node->level))
			stand_in = StandIn(plan, MORE_LEVELS, CountElided(&plan->levels), node);
		else if (node->task >= 0 && IsElided(elision, plan->ordinals[node->task]))
			stand_in = StandIn(plan, elision == &plan->products ? MORE_PRODUCTS : MORE_TASKS,
							   CountElided(elision), node);
		else
			continue;
		picture->nodes[i].shown_as = stand_in;
	}
}

/* ---------------------------------------------------------------- members */

/*
 * Whether two nodes that follow each other are members of one group: experts, or
 * classes of one task.
 */
static bool
SameGroup(const PictureNode *a, const PictureNode *b)
{
	if (a->role != b->role || a->task != b->task)
		return false;
	if (a->role == NODE_SCORE)
		return true;
	return a->role == NODE_MLP && a->index >= 0 && b->index >= 0 &&
		a->in_level && b->in_level && a->level == b->level && strcmp(a->part, b->part) == 0;
}

static void
ElideGroup(Plan *plan, int first, int last)
{
	Picture    *picture = plan->picture;
	Elision		members = {.n = last - first + 1, .limit = plan->limit};

	for (int i = first; i <= last; i++)
	{
		if (NodeIsShown(picture, i) && IsElided(&members, i - first))
		{
			int			stand_in = StandIn(plan, MORE_MEMBERS, CountElided(&members),
										   &picture->nodes[i]);

			picture->nodes[i].shown_as = stand_in;
		}
	}
}

static void
ElideMembers(Plan *plan)
{
	const Picture *picture = plan->picture;
	int			first = 0;

	for (int i = 1; i <= plan->nnodes; i++)
	{
		if (i < plan->nnodes && SameGroup(&picture->nodes[i - 1], &picture->nodes[i]))
			continue;
		ElideGroup(plan, first, i - 1);
		first = i;
	}
}

static int
CountShown(const Picture *picture)
{
	int			n = 0;

	for (int i = 0; i < picture->nnodes; i++)
		n += NodeIsShown(picture, i);
	return n;
}

void
PictureElide(Picture *picture)
{
	static const int limits[] = {8, 5, 3};
	Plan		plan = {.picture = picture, .nnodes = picture->nnodes};

	plan.ordinals = palloc(sizeof(int) * picture->contract->ntasks);
	for (int i = 0; i < (int) lengthof(limits); i++)
	{
		picture->nnodes = plan.nnodes;
		for (int k = 0; k < plan.nnodes; k++)
			picture->nodes[k].shown_as = k;
		plan.limit = limits[i];
		CountLevelsAndTasks(&plan);
		ElideLevelsAndTasks(&plan);
		ElideMembers(&plan);
		if (CountShown(picture) <= MANY_NODES)
			break;
	}
	pfree(plan.ordinals);
}
