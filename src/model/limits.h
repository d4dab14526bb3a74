/*
 * limits.h
 *	  What a model may ask for at most.
 *
 * A model's bytes come from outside.  Every size they state is checked against
 * one of these before it is used, so that no sum of sizes can overflow and no
 * small file can ask for a large allocation.  docs/model-format.md lists them.
 */
#ifndef MTL_RANK_LIMITS_H
#define MTL_RANK_LIMITS_H

#define MTL_MAX_JSON_SIZE		(16 * 1024 * 1024)	/* bytes of the header, of the examples' rows */
#define MTL_MAX_TENSORS			100000
#define MTL_MAX_DIMS			4
#define MTL_MAX_NAME			63	/* bytes of a feature, table or task name */
#define MTL_MAX_STRING			1000	/* bytes of a key or string in JSON, which errors repeat */
#define MTL_MAX_DIGITS			1100	/* of a number in JSON, before and after its point */
#define MTL_MAX_FEATURES		10000
#define MTL_MAX_TASKS			1000
#define MTL_MAX_OUTPUTS			1000
#define MTL_MAX_WIDTH			65536	/* width, max_length, units, dims */
#define MTL_MAX_COMPACT_INPUTS	65536	/* of a layer in bf16 or int8: so many products of int8 fit int32 */
#define MTL_MAX_LAYERS			64	/* layers of an MLP, extraction levels */
#define MTL_MAX_EXPERTS			1024	/* of one level */
#define MTL_MAX_OPS				100000
#define MTL_MAX_ACTIVATIONS		4194304 /* numbers in all vectors of one row */

#endif							/* MTL_RANK_LIMITS_H */
