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
#define PLACE_CLASSES	32

/*
 * Places in scratch, whose sizes are powers of two.  The place of a vector that is
 * no longer needed goes to the next vector of its class.
 */
typedef struct Places
{
	Size	   *offsets;		/* of the selection */
	int			free[PLACE_CLASSES];	/* an operation whose place is free, or -1 */
	int		   *next_free;		/* the one after it, by operation */
	Size		row_size;
} Places;

static int
PlaceClass(int width)
{
	return pg_ceil_log2_32(Max(width, MIN_PLACE));
}

static void
TakePlace(Places *places, int position, int width)
{
	int			class = PlaceClass(width);
	int			gone = places->free[class];

	if (gone >= 0)
	{
		places->offsets[position] = places->offsets[gone];
		places->free[class] = places->next_free[gone];
		return;
	}
	places->offsets[position] = places->row_size;
	places->row_size += (Size) 1 << class;
}

static void
FreePlace(Places *places, int position, int width)
{
	int			class = PlaceClass(width);

	places->next_free[position] = places->free[class];
	places->free[class] = position;
}

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
 * Gives each selected vector its place.  An operation's place is taken before those
 * that it reads for the last time are given back: none works in place.
 */
static void
PlaceVectors(const Program *program, Selection *selection, int *last_readers)
{
	Places		places = {0};

	places.offsets = selection->offsets;
	places.next_free = palloc(sizeof(int) * program->nops);
	for (int i = 0; i < PLACE_CLASSES; i++)
		places.free[i] = -1;

	for (int i = 0; i < selection->nops; i++)
	{
		int			position = selection->ops[i];
		const CompiledOp *op = &program->ops[position];

		TakePlace(&places, position, op->width);
		for (int k = 0; k < op->ninputs; k++)
		{
			int			input = op->inputs[k];

			if (last_readers[input] == position)
			{
				FreePlace(&places, input, program->ops[input].width);
				last_readers[input] = -1;	/* it may be read twice here */
			}
		}
	}
	selection->row_size = places.row_size;
	pfree(places.next_free);
}

Selection *
ProgramSelect(const Program *program, int nops, const int *ops)
{
	Selection  *selection = palloc0(sizeof(Selection));
	int		   *last_readers = FindLastReaders(program, nops, ops);

	selection->nresults = nops;
	selection->results = palloc(sizeof(int) * Max(nops, 1));
	memcpy(selection->results, ops, sizeof(int) * nops);

	selection->ops = palloc(sizeof(int) * program->nops);
	for (int i = 0; i < program->nops; i++)
		if (last_readers[i] >= 0)
			selection->ops[selection->nops++] = i;

	selection->ntemporary = program->ntemporary;
	selection->offsets = palloc0(sizeof(Size) * program->nops);
	PlaceVectors(program, selection, last_readers);
	pfree(last_readers);
	return selection;
}

/*
 * The temporary numbers, the vectors, and what aligning the beginning of each may
 * take.
 */
Size
SelectionScratchSize(const Selection *selection, int nrows)
{
	uint64		size = sizeof(double) * (uint64) selection->ntemporary +
		sizeof(float) * (uint64) selection->row_size * nrows + 2 * VECTOR_ALIGNMENT;

	if (size > MaxAllocHugeSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("scoring %d rows at once would take " UINT64_FORMAT " bytes", nrows, size)));
	return size;
}
