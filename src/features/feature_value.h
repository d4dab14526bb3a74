/*
 * feature_value.h
 *	  What is asked of a FeatureValue.
 *
 * label says in errors what a value belongs to: feature "age".
 */
#ifndef MTL_RANK_FEATURE_VALUE_H
#define MTL_RANK_FEATURE_VALUE_H

#include "postgres.h"

#include "model/contract.h"

/* A text of the database's encoding as a value; copied only if it must be converted. */
extern FeatureValue FeatureValueFromText(const char *data, int length);

/* Numbers and truth values as a double; an error for texts. */
extern double FeatureValueNumber(const FeatureValue *value, const char *label);

/* Whether both are the same number or the same text; true is 1 and false is 0. */
extern bool FeatureValueEqual(const FeatureValue *a, const FeatureValue *b);

/* The value as a message shows it, in the database's encoding. */
extern char *FeatureValueShow(const FeatureValue *value);

/* A double in its shortest exact form, for messages. */
extern char *NumberShow(double number);

#endif							/* MTL_RANK_FEATURE_VALUE_H */
