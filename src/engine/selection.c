/*
 * selection.c
 *	  The part of a program that some vectors need, and its layout in scratch.
 */
#include "postgres.h"

#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "engine/program.h"

/* Numbers of the smallest place; keeps every place aligned for any number of rows. */
#define MIN_PLACE		((int) (VECTOR_ALIGNMENT / sizeof(float)))

/* Sizes of places between one power of two and the next. */
#define CLASS_BITS		2
#define PLACE_CLASSES	(32 << CLASS_BITS)

/*
 * Rows a multiple of this many numbers long would compete for the same lines of the
 * CPU's cache.
 */
#define CACHE_STRIDE	512

/*
 * A block of rows goes through all operations before the next: its vectors should stay
 * in the second-level cache, beside the weights that pass through it, but then each
 * weight should serve many rows.  Blocks are multiples of all heights of tiles.
 */
#define BLOCK_SIZE		(384 * 1024)
#define BLOCK_MULTIPLE	24

/*
 * Places in scratch, whose sizes are classes.  The place of a vector that is no longer
 * needed goes to the next vector of its class.
 */
typedef struct Places
{
	Place	   *places;			/* of the selection */
	int			free[PLACE_CLASSES];	/* an operation whose place is free, or -1 */
	int		   *next_free;		/* the one after it, by operation */
	Size		row_size;
} Places;

/* What the layers of a group have in common while they are placed. */
typedef struct Group
{
	int			step;			/* -1: not yet selected */
	int			nlive;			/* layers whose vectors are still needed */
} Group;

/* ------------------------------------------------------------------ places */

/*
 * The class of the smallest size that is enough: 16, 20, 24, 28, 32, 40, ...
 */
static int
PlaceClass(Size width, Size *size)
{
	Size		needed = Max(width, MIN_PLACE);
	int			bits = pg_leftmost_one_pos64(needed);
	int			shift = bits - CLASS_BITS;
	Size		steps = (needed + ((Size) 1 << shift) - 1) >> shift;

	*size = TYPEALIGN(MIN_PLACE, steps << shift);
	/* four steps of the next power of two are eight of this one */
	return (bits << CLASS_BITS) + (int) (steps - ((Size) 1 << CLASS_BITS));
}

static void
TakePlace(Places *places, int position, Size width)
{
	Size		size;
	int			class = PlaceClass(width, &size);
	int			gone = places->free[class];

	if (gone >= 0)
	{
		places->places[position].offset = places->places[gone].offset;
		places->free[class] = places->next_free[gone];
		return;
	}
	places->places[position].offset = places->row_size;
	places->row_size += size;
}

static void
FreePlace(Places *places, int position, Size width)
{
	Size		size;
	int			class = PlaceClass(width, &size);

	places->next_free[position] = places->free[class];
	places->free[class] = position;
}

/* --------------------------------------------------------------- selection */

/*
 * Marks what the results depend on, from the last operation to the first, and
 * finds the last reader of each vector.  Results outlive the run: nops.
 */
static int *
FindLastReaders(const Program *program, int nresults, const int *results)
{
	int		   *last_readers = palloc(sizeof(int) * program->nops);

	/* -1: not selected */
	for (int i = 0; i < program->nops; i++)
		last_readers[i] = -1;
	for (int i = 0; i < nresults; i++)
	{
		if (results[i] < 0 || results[i] >= program->nops)
			elog(ERROR, "operation %d of %d is selected", results[i], program->nops);
		last_readers[results[i]] = program->nops;
	}
	for (int i = program->nops - 1; i >= 0; i--)
	{
		const CompiledOp *op = &program->ops[i];

		for (int k = 0; last_readers[i] >= 0 && k < op->ninputs; k++)
			last_readers[op->inputs[k]] = Max(last_readers[op->inputs[k]], i);
	}
	return last_readers;
}

/*
 * Makes the steps: one for each operation, or for the layers of a group where the first
 * of them comes, as all read the same.
 */
static void
MakeSteps(const Program *program, Selection *selection, const int *last_readers, Group *groups)
{
	int		   *nlayers = palloc0(sizeof(int) * Max(program->ngroups, 1));
	int			nselected = 0;

	for (int g = 0; g < program->ngroups; g++)
		groups[g].step = -1;
	for (int i = 0; i < program->nops; i++)
	{
		nselected += last_readers[i] >= 0;
		if (last_readers[i] >= 0 && program->ops[i].kind == OP_LAYER)
			nlayers[program->ops[i].group]++;
	}

	selection->steps = palloc0(sizeof(Step) * nselected);
	for (int i = 0; i < program->nops; i++)
	{
		const CompiledOp *op = &program->ops[i];
		Group	   *group;
		Step	   *step;

		if (last_readers[i] < 0)
			continue;
		if (op->kind != OP_LAYER)
		{
			selection->steps[selection->nsteps++].position = i;
			continue;
		}
		group = &groups[op->group];
		if (group->step < 0)
		{
			group->step = selection->nsteps++;
			step = &selection->steps[group->step];
			step->position = i;
			step->layers = palloc(sizeof(int) * nlayers[op->group]);
		}
		step = &selection->steps[group->step];
		step->layers[step->nlayers++] = i;
		group->nlive++;
	}
	pfree(nlayers);
}

/*
 * Finds the strips that a step computes, and where the vectors of its layers are among
 * them.  columns[s] becomes where strip s begins.
 */
static void
SelectStrips(const Program *program, Selection *selection, Step *step)
{
	const CompiledLinear *linear = program->ops[step->position].u.layer->linear;
	int			nstrips = (linear->units + MTL_STRIP - 1) / MTL_STRIP;
	int			nwhole = LinearStrips(linear);
	bool	   *wanted = palloc0(sizeof(bool) * nstrips);
	Size	   *columns = palloc0(sizeof(Size) * nstrips);
	Size		width = 0;

	for (int i = 0; i < step->nlayers; i++)
	{
		const CompiledLayer *layer = program->ops[step->layers[i]].u.layer;

		for (int s = layer->column / MTL_STRIP; s * MTL_STRIP < layer->column + layer->units; s++)
			wanted[s] = true;
	}

	step->runs = palloc(sizeof(StripRun) * nstrips);
	for (int s = 0; s < nstrips; s++)
	{
		if (!wanted[s])
			continue;
		columns[s] = width;
		width += MTL_STRIP;
		if (s == nwhole && LinearHasRest(linear))
			step->narrow = true;
		else if (step->nruns > 0 && step->runs[step->nruns - 1].end == s)
			step->runs[step->nruns - 1].end++;
		else
			step->runs[step->nruns++] = (StripRun) {s, s + 1};
	}
	step->stride = width % CACHE_STRIDE == 0 ? width + MTL_STRIP : width;

	for (int i = 0; i < step->nlayers; i++)
	{
		const CompiledLayer *layer = program->ops[step->layers[i]].u.layer;
		Place	   *place = &selection->places[step->layers[i]];

		place->column = columns[layer->column / MTL_STRIP] + layer->column % MTL_STRIP;
		place->stride = step->stride;
	}
	pfree(wanted);
	pfree(columns);
}

/*
 * Says how the selected operations read the features: as x, or as inputs of sums, which
 * have a place of their own if they are not the same.
 */
static void
FindInputReaders(const Program *program, Selection *selection, const int *last_readers)
{
	const CompiledSums *sums = program->ops[program->input].u.input->sums;
	bool		same = sums && sums->same;

	selection->reads_x = last_readers[program->input] == program->nops;
	for (int i = 0; i < program->nops; i++)
	{
		const CompiledOp *op = &program->ops[i];
		bool		in_sums = op->kind == OP_LAYER && op->u.layer->linear->sums;

		for (int k = 0; last_readers[i] >= 0 && k < op->ninputs; k++)
		{
			if (op->inputs[k] != program->input)
				continue;
			if (in_sums && !same)
				selection->reads_inputs = true;
			else
				selection->reads_x = true;
		}
	}
}

static void
PlaceInput(const Program *program, Selection *selection, Places *places)
{
	const CompiledOp *op = &program->ops[program->input];
	Place	   *x = &selection->places[program->input];
	Place	   *inputs = &selection->places[program->nops];

	x->stride = op->width;
	x->encoded = op->u.input->direct;
	if (selection->reads_x && !x->encoded)
		TakePlace(places, program->input, op->width);
	if (selection->reads_inputs)
	{
		inputs->stride = op->u.input->sums->ninputs;
		TakePlace(places, program->nops, inputs->stride);
	}
}

static void
LeaveInput(const Program *program, const Selection *selection, Places *places)
{
	if (selection->reads_x && !selection->places[program->input].encoded)
		FreePlace(places, program->input, program->ops[program->input].width);
	if (selection->reads_inputs)
		FreePlace(places, program->nops, selection->places[program->nops].stride);
}

/*
 * Takes the place of what a step computes; layers have theirs in common.
 */
static void
PlaceStep(const Program *program, Selection *selection, Places *places, Step *step)
{
	const CompiledOp *op = &program->ops[step->position];

	if (op->kind == OP_INPUT)
	{
		PlaceInput(program, selection, places);
		return;
	}
	if (step->nlayers == 0)
	{
		places->places[step->position].stride = op->width;
		TakePlace(places, step->position, op->width);
		return;
	}
	SelectStrips(program, selection, step);
	if (op->u.layer->linear->sums)
	{
		step->share = selection->share_size;
		selection->share_size += step->stride;
	}
	TakePlace(places, step->position, step->stride);
	for (int i = 1; i < step->nlayers; i++)
		places->places[step->layers[i]].offset = places->places[step->position].offset;
}

/*
 * Gives back the place of a vector that is no longer needed; for a layer, when that is
 * so for all of its group.
 */
static void
LeavePlace(const Program *program, const Selection *selection, Places *places, Group *groups,
		   int position)
{
	const CompiledOp *op = &program->ops[position];

	if (op->kind == OP_INPUT)
		LeaveInput(program, selection, places);
	else if (op->kind != OP_LAYER)
		FreePlace(places, position, op->width);
	else if (--groups[op->group].nlive == 0)
	{
		const Step *step = &selection->steps[groups[op->group].step];

		FreePlace(places, step->position, step->stride);
	}
}

/*
 * Gives each selected vector its place.  A place is taken before those that are read
 * for the last time are given back: no operation works in place.
 */
static void
PlaceVectors(const Program *program, Selection *selection, int *last_readers, Group *groups)
{
	Places		places = {0};

	places.places = selection->places;
	places.next_free = palloc(sizeof(int) * (program->nops + 1));
	for (int i = 0; i < PLACE_CLASSES; i++)
		places.free[i] = -1;

	for (int i = 0, next = 0; i < program->nops; i++)
	{
		const CompiledOp *op = &program->ops[i];

		if (last_readers[i] < 0)
			continue;
		if (next < selection->nsteps && selection->steps[next].position == i)
			PlaceStep(program, selection, &places, &selection->steps[next++]);
		for (int k = 0; k < op->ninputs; k++)
		{
			int			input = op->inputs[k];

			if (last_readers[input] == i)
			{
				LeavePlace(program, selection, &places, groups, input);
				last_readers[input] = -1;	/* it may be read twice here */
			}
		}
	}
	selection->row_size = places.row_size;
	pfree(places.next_free);
}

static int
BlockRows(const Selection *selection)
{
	Size		rows = BLOCK_SIZE / sizeof(float) / Max(selection->row_size, 1);

	rows = rows / BLOCK_MULTIPLE * BLOCK_MULTIPLE;
	return Min(Max(rows, BLOCK_MULTIPLE), MTL_MAX_BATCH);
}

Selection *
ProgramSelect(const Program *program, int nops, const int *ops)
{
	Selection  *selection = palloc0(sizeof(Selection));
	int		   *last_readers = FindLastReaders(program, nops, ops);
	Group	   *groups = palloc0(sizeof(Group) * Max(program->ngroups, 1));

	selection->nresults = nops;
	selection->results = palloc(sizeof(int) * Max(nops, 1));
	memcpy(selection->results, ops, sizeof(int) * nops);
	for (int i = 0; i < nops; i++)
		selection->result_size += program->ops[ops[i]].width;

	selection->ntemporary = program->ntemporary;
	selection->row_temporary = program->row_temporary;
	selection->nfloats = program->nfloats;
	selection->nids = program->nids;
	selection->places = palloc0(sizeof(Place) * (program->nops + 1));
	FindInputReaders(program, selection, last_readers);
	MakeSteps(program, selection, last_readers, groups);
	PlaceVectors(program, selection, last_readers, groups);
	selection->block = BlockRows(selection);
	pfree(groups);
	pfree(last_readers);
	return selection;
}

/*
 * The temporary numbers, the vectors of a block, all results, and what aligning the
 * beginning of each may take.
 */
Size
SelectionScratchSize(const Selection *selection, int nrows)
{
	uint64		block = Min(nrows, selection->block);
	uint64		size = sizeof(double) * SelectionTemporary(selection, block) +
		sizeof(float) * (selection->row_size * block + (uint64) selection->result_size * nrows) +
		3 * VECTOR_ALIGNMENT;

	if (size > MaxAllocHugeSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("scoring %d rows at once would take " UINT64_FORMAT " bytes", nrows, size)));
	return size;
}
