/*
 * architecture.h
 *	  The architectures: one function and one file each.
 *
 * An architecture reads its keys from its object in the contract and adds its
 * operations.  For each task that has a tower it says what the tower reads:
 * representations[t] is the position of that operation.  To add an architecture,
 * write its file and list it in graph.c.
 */
#ifndef MTL_RANK_ARCHITECTURE_H
#define MTL_RANK_ARCHITECTURE_H

#include "graph/layers.h"
#include "model/names.h"

typedef void (*BuildArchitecture) (GraphBuilder *builder, JsonObject *object, int *representations);

extern void BuildSingleTask(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildSharedBottom(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildCrossStitch(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildSluice(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildOmoe(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildMmoe(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildAsymmetricSharing(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildCustomizedSharing(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildCgc(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildPle(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildAitm(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildDbmtl(GraphBuilder *builder, JsonObject *object, int *representations);
extern void BuildStem(GraphBuilder *builder, JsonObject *object, int *representations);

/*
 * Levels of extraction (levels.c): either the list "levels" of the object, or the
 * object itself num_levels times.
 */
typedef struct Levels
{
	int			nlevels;
	JsonObject **objects;
	bool		listed;			/* they are objects of their own, to be closed */
} Levels;

extern Levels *LevelsOpen(JsonObject *object, bool one_level);
extern void LevelsClose(Levels *levels);

/* Whether the level's gates read x and not what their experts read. */
extern bool GateReadsRaw(JsonObject *level);

/* One level of a mixture of experts (moe_level.c); see its comment. */
extern void AddMoeLevel(GraphBuilder *builder, JsonObject *object, int level,
						bool per_task, int *representations);

/*
 * The positions of the tasks that a list in the contract names (task_list.c), in its
 * order; NULL is the empty list.  Errors for names of no task with a tower, twice
 * the same, the reader itself, and with earlier for tasks declared after it.
 */
extern NameIndex *IndexTasks(const GraphBuilder *builder);
extern int *ReadTaskList(const GraphBuilder *builder, const NameIndex *names,
						 const JsonArray *list, int reader, bool earlier, int *ntasks);

typedef enum ExtractionKind
{
	EXTRACTION_CGC,				/* a task's gate mixes its own and the shared experts */
	EXTRACTION_STEM				/* it mixes those of all tasks */
} ExtractionKind;

/* One level of extraction (extraction_level.c); see its comment. */
extern void AddExtractionLevel(GraphBuilder *builder, ExtractionKind kind, JsonObject *object,
							   int level, bool last, int *representations, int *shared);

#endif							/* MTL_RANK_ARCHITECTURE_H */
