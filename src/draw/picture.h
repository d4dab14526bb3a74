/*
 * picture.h
 *	  A network as nodes and edges for drawing.
 *
 * A picture is made from a graph alone, so it knows no architecture.  Operations
 * that belong together are one node: the layers of an MLP, a gate's layers and its
 * softmax, the combinations that make one stitch.
 *
 * Where there are many of a kind, one node stands for most of them, so that a
 * picture of any model is of bounded size; see elide.c.
 */
#ifndef MTL_RANK_PICTURE_H
#define MTL_RANK_PICTURE_H

#include "postgres.h"

#include "graph/graph.h"

typedef enum NodeRole
{
	NODE_FEATURE,
	NODE_INPUT,
	NODE_MLP,
	NODE_TOWER,
	NODE_GATE,
	NODE_MIX,
	NODE_COMBINE,
	NODE_CONCAT,
	NODE_DOT,
	NODE_SLICES,
	NODE_SCORE,					/* of a task: an output, or hidden */
	NODE_RANK					/* the value formula */
} NodeRole;

/* What a node stands for that was made for many. */
typedef enum MoreKind
{
	MORE_NOTHING,
	MORE_MEMBERS,				/* experts of a group, classes of a task */
	MORE_TASKS,
	MORE_PRODUCTS,
	MORE_LEVELS
} MoreKind;

typedef struct PictureNode
{
	NodeRole	role;
	int			level;			/* -1: none */
	bool		in_level;		/* drawn within the level's frame */
	bool		before_levels;	/* a level reads it */
	int			task;			/* position in the contract, -1: none */
	bool		own;			/* its weights are the task's own */
	bool		shared;			/* its name says that they are not */
	const char *part;			/* "expert", "tower", ...; may be NULL */
	int			index;			/* of several such parts or classes, -1: there is one */
	int			first_op;		/* its operations: see Picture.next_op; -1: none */
	int			last_op;

	int			feature;		/* NODE_FEATURE: position, -1: all of a kind */
	FeatureKind kind;
	int			nfeatures;
	int64		nnumbers;		/* that they have in x */

	const char *output;			/* NODE_SCORE: its name */
	bool		hidden;			/* NODE_SCORE: no output */

	MoreKind	more;
	int			nmore;
	int			shown_as;		/* the node that stands for this one, or itself */
} PictureNode;

typedef struct PictureEdge
{
	int			from;			/* positions of nodes that are shown */
	int			to;
} PictureEdge;

typedef struct Picture
{
	const Graph *graph;
	const Contract *contract;
	int			nnodes;
	int			capacity;
	PictureNode *nodes;
	int		   *node_of;		/* by operation */
	int		   *score_of;		/* by operation: its NODE_SCORE, or -1 */
	int		   *next_op;		/* by operation: the next of its node, or -1 */
	int			nedges;
	int			edge_capacity;
	PictureEdge *edges;
} Picture;

/* Allocated in the current context; refers to the graph and the contract. */
extern Picture *PictureCreate(const Graph *graph, const Contract *contract);

/* The positions are not stable before PictureCreate returns: nodes may move. */
extern PictureNode *PictureAddNode(Picture *picture, NodeRole role);

/* elide.c: decides which nodes are shown, and adds those that stand for many. */
extern void PictureElide(Picture *picture);

/* edges.c: connects the nodes that are shown. */
extern void PictureConnect(Picture *picture);

static inline bool
NodeIsShown(const Picture *picture, int node)
{
	return picture->nodes[node].shown_as == node;
}

#endif							/* MTL_RANK_PICTURE_H */
