/*
 * dot.c
 *	  Pictures in Graphviz's DOT language.
 *
 * Colours are of the Okabe-Ito palette, which the colour-blind can tell apart, with
 * pale fillings under black text; shapes tell the roles too.
 *
 * newrank lets heights be compared across frames: without it, a column that stitches
 * leave and enter again would be one lump.  Without remincross=false, Graphviz
 * forgets the order of rows within frames in the end.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "draw/clusters.h"
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
static const Look sum_look = {"circle", "filled", "#C9EADD", "#009E73"};
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
	[NODE_SLICES] = {"box", "filled", "#DDDDDD", "#555555"},
	[NODE_SCORE] = {"oval", "filled", "#FFFFFF", "#000000"},
	[NODE_RANK] = {"oval", "filled", "#DDDDDD", "#000000"}
};

static const Look *
LookOf(const Picture *picture, const PictureNode *node)
{
	if (node->more != MORE_NOTHING)
		return &more_look;
	if (node->role == NODE_MLP && !node->own)
		return &shared_look;
	if (node->role == NODE_COMBINE && CombineIsSum(picture, node))
		return &sum_look;
	if (node->role == NODE_SCORE && node->hidden)
		return &hidden_look;
	return &looks[node->role];
}

static void
AppendNode(StringInfo dot, const Picture *picture, int position, int depth)
{
	const PictureNode *node = &picture->nodes[position];
	const Look *look = LookOf(picture, node);

	appendStringInfoSpaces(dot, 2 * depth);
	appendStringInfo(dot, "n%d [label=\"", position);
	AppendNodeLabel(dot, picture, node);
	appendStringInfo(dot, "\", shape=%s, style=\"%s\", fillcolor=\"%s\", color=\"%s\"",
					 look->shape, look->style, look->fill, look->line);
	if (strcmp(look->shape, "circle") == 0)
		appendStringInfoString(dot, ", fixedsize=true, width=0.4, fontsize=16");
	else if (strcmp(look->shape, "diamond") == 0)
		appendStringInfoString(dot, ", margin=\"0.01,0.01\"");
	else if (node->role == NODE_INPUT)
		appendStringInfoString(dot, ", width=3");
	appendStringInfoString(dot, "];\n");
}

/* -------------------------------------------------------------- clusters */

/* What is written, and in which frames. */
typedef struct Layout
{
	const Picture *picture;
	const Clusters *clusters;
	const Rows *rows;
} Layout;

static void
AppendClusterLabel(StringInfo dot, const Picture *picture, const Cluster *cluster)
{
	if (cluster->level >= 0)
		appendStringInfo(dot, "level %d", cluster->level);
	else if (cluster->task == MORE_TASKS_TOGETHER)
		appendStringInfoString(dot, "more tasks");
	else
	{
		appendStringInfoString(dot, "task ");
		AppendLabelName(dot, picture->contract->tasks[cluster->task].name);
	}
}

/*
 * What keeps the nodes of a row at one height and in order.  For nodes of one level
 * it must be written within its frame.
 */
static void
AppendRows(StringInfo dot, const Layout *layout, int cluster, int depth)
{
	const Place *places = layout->rows->places;
	int			first = 0;

	for (int i = 1; i <= layout->rows->n; i++)
	{
		int			row_cluster = places[first].level >= 0 ?
			layout->clusters->of_node[places[first].node] : NO_CLUSTER;

		if (i < layout->rows->n && SameRow(&places[i - 1], &places[i]))
			continue;
		if (row_cluster == cluster && i - first > 1)
		{
			appendStringInfoSpaces(dot, 2 * depth);
			appendStringInfoString(dot, "{rank=same; ");
			for (int k = first; k < i; k++)
				appendStringInfo(dot, "%sn%d", k == first ? "" : " -> ", places[k].node);
			appendStringInfoString(dot, " [style=invis];}\n");
		}
		first = i;
	}
}

static void
AppendContents(StringInfo dot, const Layout *layout, int cluster, int depth)
{
	for (int i = 0; i < layout->picture->nnodes; i++)
		if (NodeIsShown(layout->picture, i) && layout->clusters->of_node[i] == cluster)
			AppendNode(dot, layout->picture, i, depth);
	AppendRows(dot, layout, cluster, depth);
}

static void
AppendCluster(StringInfo dot, const Layout *layout, int cluster)
{
	const Cluster *opened = &layout->clusters->clusters[cluster];

	appendStringInfo(dot, "  subgraph cluster_%d {\n    label=\"", cluster);
	AppendClusterLabel(dot, layout->picture, opened);
	/* turned upside down: a task's label is at the top, where fewer edges are */
	appendStringInfo(dot, "\"; labelloc=%s;\n", opened->level < 0 ? "b" : "t");
	AppendContents(dot, layout, cluster, 2);
	appendStringInfoString(dot, "  }\n");
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
	Layout		layout = {
		.picture = picture,
		.clusters = ClustersCreate(picture),
		.rows = RowsCreate(picture)
	};

	appendStringInfoString(dot,
						   "digraph model {\n"
						   "  graph [rankdir=BT, newrank=true, remincross=false, nodesep=0.2, ranksep=0.4, style=rounded, color=\"#AAAAAA\",\n"
						   "    labeljust=l, fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, fontcolor=\"#555555\"];\n"
						   "  node [fontname=\"Helvetica,Arial,sans-serif\", fontsize=11, margin=\"0.1,0.05\", height=0.3];\n"
						   "  edge [color=\"#555555\", arrowsize=0.6];\n");
	AppendContents(dot, &layout, NO_CLUSTER, 1);
	for (int i = 0; i < layout.clusters->nclusters; i++)
		AppendCluster(dot, &layout, i);
	AppendEdges(dot, picture);
	appendStringInfoString(dot, "}\n");
}
