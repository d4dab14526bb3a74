/*
 * value.h
 *	  Numbers of PostgreSQL as feature values.
 */
#ifndef MTL_RANK_VALUE_H
#define MTL_RANK_VALUE_H

#include "postgres.h"

#include "utils/numeric.h"

#include "model/contract.h"

/* The nearest double; infinite when out of range, NaN for NaN. */
extern double NumericToDouble(Numeric number);

/*
 * An integer when the number has no fraction and fits int64 (without going
 * through a double), else a real, possibly NaN or infinite.
 */
extern FeatureValue FeatureValueFromNumeric(Numeric number);
extern FeatureValue FeatureValueFromDouble(double number);

#endif							/* MTL_RANK_VALUE_H */
