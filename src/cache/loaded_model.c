/*
 * loaded_model.c
 *	  A model made ready to score: contract, encoder, program.
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "utils/memutils.h"

#include "cache/loaded_model.h"
#include "model/examples.h"
#include "model/memory.h"
#include "model/outline.h"

/*
 * The layout refers to the features of the contract, which stays.
 */
static InputLayout *
CopyLayout(const InputLayout *layout)
{
	InputLayout *copy = palloc(sizeof(InputLayout));

	*copy = *layout;
	copy->fields = palloc(sizeof(InputField) * layout->nfields);
	memcpy(copy->fields, layout->fields, sizeof(InputField) * layout->nfields);
	return copy;
}

static GraphGate *
CopyGates(const Graph *graph)
{
	GraphGate  *gates = palloc(sizeof(GraphGate) * Max(graph->ngates, 1));

	for (int i = 0; i < graph->ngates; i++)
	{
		gates[i] = graph->gates[i];
		gates[i].task = gates[i].task ? pstrdup(gates[i].task) : NULL;
		gates[i].experts = palloc(sizeof(char *) * gates[i].nexperts);
		for (int k = 0; k < gates[i].nexperts; k++)
			gates[i].experts[k] = pstrdup(graph->gates[i].experts[k]);
	}
	return gates;
}

/* ------------------------------------------------------------ structures */

static LoadedModel *
CreateModel(const uint8 digest[MTL_DIGEST_SIZE])
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank model",
												  ALLOCSET_DEFAULT_SIZES);
	LoadedModel *model = MemoryContextAllocZero(context, sizeof(LoadedModel));

	model->context = context;
	memcpy(model->digest, digest, MTL_DIGEST_SIZE);
	return model;
}

/*
 * The contract of a file, without what reading it leaves behind.
 */
static Contract *
ReadContract(LoadedModel *model, const ModelFile *file)
{
	Contract   *contract = ContractParse(file->contract);

	return ContractCopy(contract, MemoryContextAlloc(model->context, ContractCopySize(contract)));
}

/*
 * What is known without the bulk, but for the contract, which is there.  The graph is made
 * in the current context: it refers to the file.
 */
static Graph *
FillStructures(LoadedModel *model, ModelFile *file)
{
	Graph	   *graph;
	MemoryContext caller;

	ContractFindJson(model->contract, file->contract);
	graph = GraphBuild(model->contract, file);
	ContractForgetJson(model->contract);

	caller = MemoryContextSwitchTo(model->context);
	model->layout = CopyLayout(graph->layout);
	model->ngates = graph->ngates;
	model->gates = CopyGates(graph);
	model->output_ops = palloc(sizeof(int) * graph->noutputs);
	memcpy(model->output_ops, graph->output_ops, sizeof(int) * graph->noutputs);
	MemoryContextSwitchTo(caller);
	return graph;
}

/*
 * Makes what has the bulk.  This, and what it calls, decides how the bulk is laid out.
 */
static void
FillBulk(LoadedModel *model, const Graph *graph, ModelFile *file, Bulk *bulk)
{
	MemoryContext caller = MemoryContextSwitchTo(model->context);
	Vocabulary **vocabularies = VocabulariesCreate(model->contract, file, bulk);

	model->encoder = EncoderCreate(model->contract, model->layout, vocabularies);
	model->program = ProgramCompile(graph, bulk);
	BulkCheckComplete(bulk);
	model->size = MemoryContextMemAllocated(model->context, true);
	MemoryContextSwitchTo(caller);
}

/*
 * The size of the bulk: asks for all its parts, in the current context.
 */
static Size
CountBulk(const LoadedModel *model, const Graph *graph, ModelFile *file)
{
	Bulk		counting = {NULL, 0, 0, false};

	(void) VocabulariesCreate(model->contract, file, &counting);
	(void) ProgramCompile(graph, &counting);
	return counting.used;
}

/* ----------------------------------------------------------------- image */

typedef struct ImageHeader
{
	uint64		outline;		/* bytes of the outline, which comes next */
	uint64		beginning;		/* bytes of the file after it */
	uint64		bulk;			/* bytes after those, aligned */
	uint64		file_size;
} ImageHeader;

static char *
ImageOutline(char *image)
{
	return image + MAXALIGN(sizeof(ImageHeader));
}

/* Where the beginning of the file is in an image. */
static Size
BeginningOffset(Size outline)
{
	return add_size(MAXALIGN(sizeof(ImageHeader)), outline);
}

/* Where the bulk is. */
static Size
BulkOffset(Size outline, Size beginning)
{
	return TYPEALIGN(MTL_BULK_ALIGNMENT, add_size(BeginningOffset(outline), beginning));
}

/*
 * Writes all but the bulk, and returns where that begins.
 */
static char *
FillImage(char *image, const ModelFile *file, const Contract *contract, Size bulk)
{
	ImageHeader *header = (ImageHeader *) image;

	header->outline = OutlineSize(file, contract);
	header->beginning = file->beginning;
	header->bulk = bulk;
	header->file_size = file->size;
	OutlineWrite(file, contract, ImageOutline(image));
	memcpy(image + BeginningOffset(header->outline), file->bytes, file->beginning);
	return image + BulkOffset(header->outline, header->beginning);
}

/* --------------------------------------------------------------- loading */

struct ModelLoad
{
	MemoryContext context;		/* what goes when the load ends */
	LoadedModel *model;
	ModelFile  *file;
	Graph	   *graph;
	Size		bulk_size;
};

ModelLoad *
ModelLoadBegin(const char *file, Size size, const uint8 digest[MTL_DIGEST_SIZE], bool stored)
{
	LoadedModel *model = CreateModel(digest);
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank load",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	ModelLoad  *load = palloc(sizeof(ModelLoad));

	load->context = work;
	load->model = model;
	load->file = stored ? ModelFileReadStored(file, size) : ModelFileRead(file, size);
	model->contract = ReadContract(model, load->file);
	load->graph = FillStructures(model, load->file);
	load->bulk_size = CountBulk(model, load->graph, load->file);

	/* all tensors are spoken for before the large copies are made */
	(void) ExamplesRead(model->contract, load->file);
	ModelFileCheckAllUsed(load->file);
	MemoryContextSwitchTo(caller);
	return load;
}

Size
ModelLoadImageSize(const ModelLoad *load)
{
	return add_size(BulkOffset(OutlineSize(load->file, load->model->contract), load->file->beginning), load->bulk_size);
}

LoadedModel *
ModelLoadFinish(ModelLoad *load, char *image)
{
	LoadedModel *model = load->model;
	MemoryContext caller = MemoryContextSwitchTo(load->context);
	Bulk		bulk = {NULL, load->bulk_size, 0, false};

	if (image)
		bulk.base = FillImage(image, load->file, model->contract, load->bulk_size);
	else
	{
		char	   *chunk = MemoryContextAllocHuge(model->context,
												   load->bulk_size + MTL_BULK_ALIGNMENT);

		bulk.base = (char *) TYPEALIGN(MTL_BULK_ALIGNMENT, chunk);
		PreferHugePages(bulk.base, load->bulk_size);
	}
	FillBulk(model, load->graph, load->file, &bulk);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(load->context);
	return model;
}

LoadedModel *
LoadedModelCreate(const char *file, Size size, const uint8 digest[MTL_DIGEST_SIZE])
{
	return ModelLoadFinish(ModelLoadBegin(file, size, digest, false), NULL);
}

LoadedModel *
LoadedModelAttach(char *image, Size size, const uint8 digest[MTL_DIGEST_SIZE])
{
	const ImageHeader *header = (const ImageHeader *) image;
	LoadedModel *model = CreateModel(digest);
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "mtl_rank load",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);
	Size		bulk_offset = BulkOffset(header->outline, header->beginning);
	Bulk		bulk = {image + bulk_offset, header->bulk, 0, true};
	ModelFile  *file;

	if (bulk_offset + header->bulk != size)
		elog(ERROR, "an image of %zu bytes says that it has " UINT64_FORMAT,
			 size, (uint64) bulk_offset + header->bulk);
	if (OutlineIsReadable(ImageOutline(image)))
	{
		MemoryContextSwitchTo(model->context);
		model->contract = OutlineContract(ImageOutline(image));
		MemoryContextSwitchTo(work);
		file = OutlineRead(ImageOutline(image));
	}
	else
	{
		file = ModelFileReadAgain(image + BeginningOffset(header->outline), header->file_size);
		model->contract = ReadContract(model, file);
	}
	FillBulk(model, FillStructures(model, file), file, &bulk);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return model;
}
