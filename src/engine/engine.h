/*
 * engine.h
 *	  Runs a graph: packed weights in, encoded rows in, vectors out.
 *
 * A Program is a graph made ready to run: batch norm folded, weights copied and
 * laid out for the kernels.  It refers to nothing outside its memory context and
 * its bulk.
 * A Selection is the part of a program that some of its vectors need.
 *
 * Each output of a linear layer accumulates over its inputs in order with fused
 * multiply-add, and the transcendental functions are our own; so a score is the
 * same bits for any number of rows per call and on any CPU.
 */
#ifndef MTL_RANK_ENGINE_H
#define MTL_RANK_ENGINE_H

#include "postgres.h"

#include "graph/graph.h"
#include "model/bulk.h"

typedef struct Program Program;
typedef struct Selection Selection;

/* Rows that ProgramRun() takes at most in one call. */
#define MTL_MAX_BATCH 256

/*
 * What contexts add to the first layers' sums, for rows that have a context in common: a
 * run goes on from there.  The bits are the same as without.
 */
typedef struct ContextShares
{
	int			nfields;		/* features that shares have; see ProgramContextFields() */
	const float *shares;		/* one after the other */
	const int16 *of_row;		/* the share of each row; NULL: all have the first */
} ContextShares;

/*
 * Makes the graph ready to run: structures in the current context, numbers in the bulk,
 * which must live as long.  Sizes were checked when the graph was built.
 */
extern Program *ProgramCompile(const Graph *graph, Bulk *bulk);

/*
 * Multiply-adds of float32 that take as long as the operations that the given ones (graph
 * positions) depend on, themselves included, for a row.
 */
extern int64 ProgramCost(const Program *program, int nops, const int *ops);

/*
 * Selects the operations that the given ones (graph positions) depend on, in the
 * current context.  It may refer to the program.
 */
extern Selection *ProgramSelect(const Program *program, int nops, const int *ops);

/* Bytes of scratch memory that a run over nrows rows needs. */
extern Size SelectionScratchSize(const Selection *selection, int nrows);

/*
 * Computes the selected operations for nrows encoded rows (see graph/input.h); contexts
 * is NULL, or has what was computed before by ProgramRunContexts().
 * scratch is caller-provided, MAXALIGNed.  results[i], for the i-th operation
 * given to ProgramSelect(), is set to where its vectors are in scratch: row r
 * begins at results[i] + r * width of the operation.
 *
 * Raises an error that names the operation when a number that is computed on the
 * way leaves the range of float32, and for weights of a sequence whose sum is 0
 * where they are divided by it.
 */
extern void ProgramRun(const Program *program, const Selection *selection, int nrows,
					   const float *floats, const int32 *ids, const ContextShares *contexts,
					   void *scratch, const float **results);

/*
 * Has the CPU fetch what a run over an encoded row will look up, when it comes to it after
 * more rows have been encoded; the first nfields features in the order of sums are left
 * out, as a share has them.
 */
extern void ProgramPrefetch(const Program *program, int nfields, const int32 *ids);

/*
 * How many features a share can have where some, true in context by declared order, are
 * those of a context: layers that read the features take them in an order of their own,
 * those that the contract declares as context first.  0: nothing to share.
 */
extern int	ProgramContextFields(const Program *program, const bool *context);

/* Bytes of a share. */
extern Size SelectionShareSize(const Selection *selection);

/*
 * Computes the shares of the contexts of nrows encoded rows, of which only the first
 * nfields features in the order of sums are read (some more may be looked at).
 */
extern void ProgramRunContexts(const Program *program, const Selection *selection, int nfields,
							   int nrows, const float *floats, const int32 *ids,
							   void *scratch, float *shares);

#endif							/* MTL_RANK_ENGINE_H */
