/*
 * rounding.h
 *	  Tensors of float32 as bf16 and as int8; docs/model-format.md, "Precision".
 */
#ifndef MTL_RANK_ROUNDING_H
#define MTL_RANK_ROUNDING_H

#include "model/container.h"

/*
 * A tensor of the same name and shape in bf16, in the current context.  Error for a
 * number beyond the range of bf16.
 */
extern Tensor RoundToBf16(const Tensor *tensor);

/*
 * A matrix (units, inputs) in int8, and the scales of its units, which it calls after
 * the matrix; in the current context.
 */
extern Tensor RoundToInt8(const Tensor *matrix, Tensor *scales);

#endif							/* MTL_RANK_ROUNDING_H */
