/*
 * edges.c
 *	  The edges of a picture: each pair of nodes that are shown at most once.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"

#include "draw/picture.h"

typedef struct Wiring
{
	Picture    *picture;
	HTAB	   *seen;			/* PictureEdge */
} Wiring;

/*
 * Of tasks that one node stands for, edges from one to another are left out: they
 * would be loops.
 */
static bool
IsLoop(const Picture *picture, int from, int to)
{
	const PictureNode *shown_from = &picture->nodes[picture->nodes[from].shown_as];
	const PictureNode *shown_to = &picture->nodes[picture->nodes[to].shown_as];

	return shown_from == shown_to ||
		(shown_from->more == MORE_TASKS && shown_to->more == MORE_TASKS &&
		 picture->nodes[from].task != picture->nodes[to].task);
}

static void
Connect(Wiring *wiring, int from, int to)
{
	Picture    *picture = wiring->picture;
	PictureEdge edge = {picture->nodes[from].shown_as, picture->nodes[to].shown_as};
	bool		found;

	if (IsLoop(picture, from, to))
		return;
	(void) hash_search(wiring->seen, &edge, HASH_ENTER, &found);
	if (found)
		return;
	if (picture->nedges == picture->edge_capacity)
	{
		picture->edge_capacity = Max(2 * picture->edge_capacity, 64);
		picture->edges = picture->edges ?
			repalloc(picture->edges, sizeof(PictureEdge) * picture->edge_capacity) :
			palloc(sizeof(PictureEdge) * picture->edge_capacity);
	}
	picture->edges[picture->nedges++] = edge;
}

static void
ConnectOp(Wiring *wiring, int op)
{
	const Picture *picture = wiring->picture;
	const GraphOp *reader = &picture->graph->ops[op];
	int			node = picture->node_of[op];

	CHECK_FOR_INTERRUPTS();
	if (reader->kind == OP_PICK)
		return;

	/* combinations that are one node read the same */
	if (reader->kind == OP_COMBINE && picture->nodes[node].first_op != op)
		return;
	for (int k = 0; k < reader->ninputs; k++)
		Connect(wiring,
				reader->kind == OP_PRODUCT ?
				picture->score_of[reader->inputs[k]] : picture->node_of[reader->inputs[k]],
				node);
}

static void
ConnectRank(Wiring *wiring, int node)
{
	const Picture *picture = wiring->picture;
	const RankFormula *rank = picture->contract->rank;

	for (int i = 0; i < rank->nterms; i++)
		Connect(wiring, picture->score_of[picture->graph->output_ops[rank->outputs[i]]], node);
}

void
PictureConnect(Picture *picture)
{
	Wiring		wiring = {.picture = picture};
	HASHCTL		control = {
		.keysize = sizeof(PictureEdge),
		.entrysize = sizeof(PictureEdge),
		.hcxt = CurrentMemoryContext
	};

	wiring.seen = hash_create("mtl_rank edges", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (int i = 0; i < picture->nnodes; i++)
		if (picture->nodes[i].role == NODE_FEATURE)
			Connect(&wiring, i, picture->node_of[0]);
	for (int op = 1; op < picture->graph->nops; op++)
		ConnectOp(&wiring, op);
	for (int op = 0; op < picture->graph->nops; op++)
		if (picture->score_of[op] >= 0 && picture->score_of[op] != picture->node_of[op])
			Connect(&wiring, picture->node_of[op], picture->score_of[op]);
	for (int i = 0; i < picture->nnodes; i++)
		if (picture->nodes[i].role == NODE_RANK)
			ConnectRank(&wiring, i);
	hash_destroy(wiring.seen);
}
