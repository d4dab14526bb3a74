/*
 * model_error.h
 *	  Errors about a model that is wrong as it is, and what to do about it.
 *
 * Training replaces the beginning of their messages, and the hint FORMAT_HINT: there an
 * argument of its is wrong (train/prepare.c).
 */
#ifndef MTL_RANK_MODEL_ERROR_H
#define MTL_RANK_MODEL_ERROR_H

#include "postgres.h"

#define MODEL_ERROR_PREFIX "invalid model: "

/* where nothing better can be said: the writer has made a mistake */
#define FORMAT_HINT "Correct the file as docs/model-format.md says, or write it with the mtl_rank Python module."

/* bytes that no writer can have meant */
#define DAMAGE_HINT "Compare the file's SHA-256 with the original's; if they are equal, export the model again."

/* the tensors are not those of the contract */
#define TENSORS_HINT "Export contract and tensors of the same model; docs/model-format.md names the tensors and their shapes."

/* The message is a format and its arguments. */
#define ModelError(hint, ...) \
	ereport(ERROR, \
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION), \
			 errmsg(MODEL_ERROR_PREFIX __VA_ARGS__), \
			 errhint("%s", hint)))

/* The same for what is too large. */
#define ModelLimitError(hint, ...) \
	ereport(ERROR, \
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), \
			 errmsg(MODEL_ERROR_PREFIX __VA_ARGS__), \
			 errhint("%s", hint)))

#endif							/* MTL_RANK_MODEL_ERROR_H */
