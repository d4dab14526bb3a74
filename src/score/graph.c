/*
 * graph.c
 *	  mtl_graph: a picture of the network.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"
#include "draw/dot.h"
#include "score/model_argument.h"

MTL_FUNCTION(mtl_graph);

/* mtl_graph(model): Graphviz's DOT */
Datum
mtl_graph(PG_FUNCTION_ARGS)
{
	const MtlModel *model = ModelArgumentBeginning(fcinfo);
	ModelFile  *file = ModelFileReadAgain(model->file, model->file_size);
	Contract   *contract = ContractParse(file->contract);
	Graph	   *graph = GraphBuild(contract, file);
	StringInfoData dot;

	initStringInfo(&dot);
	AppendDot(&dot, PictureCreate(graph, contract));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(dot.data, dot.len));
}
