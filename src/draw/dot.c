/*
 * dot.c
 *	  Pictures in Graphviz's DOT language.
 *
 * Colours are of the Okabe-Ito palette, which the colour-blind can tell apart, with
 * pale fillings under black text; shapes tell the roles too.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "draw/dot.h"
#include "draw/label.h"
#include "draw/rows.h"

typedef struct Look
{
	const char *shape;
	const char *style;
	const char *fill;
	const char *line;
} Look;

/* Weights that tasks share are blue, a task's own are orange. */
static const Look shared_look = {"box", "filled,rounded", "#D3E6F5", "#0072B2"};
static const Look more_look = {"box", "filled,rounded,dashed", "#FFFFFF", "#777777"};
static const Look hidden_look = {"oval", "filled,dashed", "#FFFFFF", "#777777"};

static const Look looks[] = {
	[NODE_FEATURE] = {"box", "filled", "#F2F2F2", "#777777"},
	[NODE_INPUT] = {"box", "filled", "#DDDDDD", "#555555"},
	[NODE_MLP] = {"box", "filled,rounded", "#FBE6BF", "#E69F00"},
	[NODE_TOWER] = {"box", "filled,rounded", "#F9D9C4", "#D55E00"},
	[NODE_GATE] = {"diamond", "filled", "#F3DCE9", "#CC79A7"},
	[NODE_MIX] = {"circle", "filled", "#FFFFFF", "#CC79A7"},
	[NODE_COMBINE] = {"hexagon", "filled", "#C9EADD", "#009E73"},
	[NODE_CONCAT] = {"box", "filled", "#DDDDDD", "#555555"},
	[NODE_DOT] = {"circle", "filled", "#FFFFFF", "#009E73"},
	[NODE_SLICES] = {"trapezium", "filled", "#DDDDDD", "#555555"},
	[NODE_SCORE] = {"oval", "filled", "#FFFFFF", "#000000"},
	[NODE_RANK] = {"oval", "filled", "#DDDDDD", "#000000"}
};

static const Look *
LookOf(const PictureNode *node)
{
	if (node->more != MORE_NOTHING)
		return &more_look;
	if (node->role == NODE_MLP && !node->own)
		return &shared_look;
	if (node->role == NODE_SCORE && node->hidden)
		return &hidden_look;
	return &looks[node->role];
}

static void
AppendNode(StringInfo dot, const Picture *picture, int position, int depth)
{
	const PictureNode *node = &picture->nodes[position];
	const Look *look = LookOf(node);

	appendStringInfoSpaces(dot, 2 * depth);
	appendStringInfo(dot, "n%d [label=\"", position);
	AppendNodeLabel(dot, picture, node);
	appendStringInfo(dot, "\", shape=%s, style=\"%s\", fillcolor=\"%s\", color=\"%s\"",
					 look->shape, look->style, look->fill, look->line);
	if (strcmp(look->shape, "circle") == 0)
		appendStringInfoString(dot, ", fixedsize=true, width=0.4, fontsize=16");
	else if (strcmp(look->shape, "diamond") == 0)
		appendStringInfoString(dot, ", margin=\"0.01,0.01\"");
	else if (strcmp(look->shape, "box") == 0 && node->role == NODE_INPUT)
		appendStringInfoString(dot, ", width=3");
	appendStringInfoString(dot, "];\n");
}

/* -------------------------------------------------------------- clusters */

/* A frame: a level, a group of experts in it, or what a task has beside levels. */
typedef struct Cluster
{
	int			level;			/* -1: none */
	bool		group;			/* experts of the level */
	int			task;			/* -1: shared */
} Cluster;

typedef struct Layout
{
	const Picture *picture;
	int			nclusters;
	int			capacity;
	Cluster    *clusters;
	int		   *cluster_of;		/* by node, -1: none */
} Layout;

static int
FindCluster(Layout *layout, Cluster wanted)
{
	for (int i = 0; i < layout->nclusters; i++)
	{
		const Cluster *cluster = &layout->clusters[i];

		if (cluster->level == wanted.level && cluster->group == wanted.group &&
			cluster->task == wanted.task)
			return i;
	}
	if (layout->nclusters == layout->capacity)
	{
		layout->capacity *= 2;
		layout->clusters = repalloc(layout->clusters, sizeof(Cluster) * layout->capacity);
	}
	layout->clusters[layout->nclusters] = wanted;
	return layout->nclusters++;
}

/*
 * Within a level the experts of a task stand together, and so do the shared ones if
 * there are any of a task.
 */
static bool
LevelHasGroups(const Picture *picture, int level)
{
	for (int i = 0; i < picture->nnodes; i++)
	{
		const PictureNode *node = &picture->nodes[i];

		if (NodeIsShown(picture, i) && node->in_level && node->level == level &&
			node->role == NODE_MLP && node->own)
			return true;
	}
	return false;
}

static int
ChooseCluster(Layout *layout, const PictureNode *node)
{
	Cluster		cluster = {.level = -1, .task = -1};

	if (node->in_level)
	{
		cluster.level = node->level;
		(void) FindCluster(layout, cluster);	/* the frame around it */
		if (node->role == NODE_MLP && node->more != MORE_TASKS &&
			LevelHasGroups(layout->picture, node->level))
		{
			cluster.group = true;
			cluster.task = node->task;
		}
		return FindCluster(layout, cluster);
	}
	if (node->task < 0 || node->before_levels ||
		layout->picture->contract->tasks[node->task].type == TASK_PRODUCT)
		return -1;
	cluster.task = node->task;
	return FindCluster(layout, cluster);
}

static void
AppendClusterLabel(StringInfo dot, const Picture *picture, const Cluster *cluster)
{
	if (cluster->level >= 0 && !cluster->group)
		appendStringInfo(dot, "level %d", cluster->level);
	else if (cluster->task < 0)
		appendStringInfoString(dot, "shared");
	else
	{
		if (!cluster->group)
			appendStringInfoString(dot, "task ");
		AppendLabelName(dot, picture->contract->tasks[cluster->task].name);
	}
}

static void
AppendNodesOf(StringInfo dot, const Layout *layout, int cluster, int depth)
{
	for (int i = 0; i < layout->picture->nnodes; i++)
		if (NodeIsShown(layout->picture, i) && layout->cluster_of[i] == cluster)
			AppendNode(dot, layout->picture, i, depth);
}

static void
OpenCluster(StringInfo dot, const Layout *layout, int cluster, int depth)
{
	appendStringInfoSpaces(dot, 2 * depth);
	appendStringInfo(dot, "subgraph cluster_%d {\n", cluster);
	appendStringInfoSpaces(dot, 2 * depth + 2);
	appendStringInfoString(dot, "label=\"");
	AppendClusterLabel(dot, layout->picture, &layout->clusters[cluster]);
	/* turned upside down: a task's label is at the top, where fewer edges are */
	appendStringInfo(dot, "\"; labelloc=%s;\n", layout->clusters[cluster].level < 0 ? "b" : "t");
}

static void
CloseCluster(StringInfo dot, int depth)
{
	appendStringInfoSpaces(dot, 2 * depth);
	appendStringInfoString(dot, "}\n");
}

static void
AppendCluster(StringInfo dot, const Layout *layout, int cluster)
{
	const Cluster *outer = &layout->clusters[cluster];

	if (outer->group)
		return;					/* within its level */
	OpenCluster(dot, layout, cluster, 1);
	for (int i = 0; outer->level >= 0 && i < layout->nclusters; i++)
	{
		if (!layout->clusters[i].group || layout->clusters[i].level != outer->level)
			continue;
		OpenCluster(dot, layout, i, 2);
		AppendNodesOf(dot, layout, i, 3);
		CloseCluster(dot, 2);
	}
	AppendNodesOf(dot, layout, cluster, 2);
	CloseCluster(dot, 1);
}

/* ----------------------------------------------------------------- edges */

static void
AppendEdges(StringInfo dot, const Picture *picture)
{
	for (int i = 0; i < picture->nedges; i++)
	{
		const PictureEdge *edge = &picture->edges[i];
		const PictureNode *from = &picture->nodes[edge->from];

		CHECK_FOR_INTERRUPTS();
		appendStringInfo(dot, "  n%d -> n%d", edge->from, edge->to);
		if (from->role == NODE_GATE)
			appendStringInfo(dot, " [style=dashed, color=\"%s\"]", looks[NODE_GATE].line);
		appendStringInfoString(dot, ";\n");
	}
}

void
AppendDot(StringInfo dot, const Picture *picture)
{
	Layout		layout = {.picture = picture, .capacity = 16};

	layout.clusters = palloc(sizeof(Cluster) * layout.capacity);
	layout.cluster_of = palloc(sizeof(int) * picture->nnodes);
	for (int i = 0; i < picture->nnodes; i++)
		layout.cluster_of[i] = NodeIsShown(picture, i) ? ChooseCluster(&layout, &picture->nodes[i]) : -1;

	appendStringInfoString(dot,
						   "digraph model {\n"
						   "  graph [rankdir=BT, fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, fontcolor=\"#555555\",\n"
						   "    color=\"#AAAAAA\", style=\"rounded\", labeljust=l, newrank=true, nodesep=0.2, ranksep=0.4];\n"
						   "  node [fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, margin=\"0.1,0.05\", height=0.3];\n"
						   "  edge [color=\"#555555\", arrowsize=0.6];\n");
	AppendNodesOf(dot, &layout, -1, 1);
	for (int i = 0; i < layout.nclusters; i++)
		AppendCluster(dot, &layout, i);
	AppendRows(dot, picture);
	AppendEdges(dot, picture);
	appendStringInfoString(dot, "}\n");
	pfree(layout.cluster_of);
	pfree(layout.clusters);
}
