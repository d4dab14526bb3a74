/*
 * model_argument.h
 *	  The model argument of the SQL functions: a value, or a registered name.
 */
#ifndef MTL_RANK_MODEL_ARGUMENT_H
#define MTL_RANK_MODEL_ARGUMENT_H

#include "postgres.h"

#include "fmgr.h"

#include "cache/model_cache.h"
#include "model/model_value.h"

typedef struct ModelArgument ModelArgument;

/*
 * Prepares for argument 0 of a function, in its fn_mcxt; the model in use stays
 * pinned until that context goes, or another model comes.
 */
extern ModelArgument *ModelArgumentCreate(FunctionCallInfo fcinfo);

/*
 * The model that the argument means now.  Reads as little as it can: nothing for
 * a value on disk that is the same as in the last call, and one look into the
 * registry per statement for a name.
 */
extern LoadedModel *ModelArgumentGet(ModelArgument *argument, FunctionCallInfo fcinfo);

/*
 * For functions that are called once and look into the file: the whole value of
 * argument 0, checked and detoasted.
 */
extern MtlModel *ModelArgumentValue(FunctionCallInfo fcinfo);

/*
 * The same for functions that need no numbers of tensors: MtlModelBeginning() of argument
 * 0, which is a few kilobytes however large the model is.
 */
extern const MtlModel *ModelArgumentBeginning(FunctionCallInfo fcinfo);

/*
 * For the planner: the model of a value, pinned, or NULL if it is not in the cache
 * and should not be loaded into it.  No error for what scoring would refuse.
 */
extern LoadedModel *ModelPeek(Datum value);

#endif							/* MTL_RANK_MODEL_ARGUMENT_H */
