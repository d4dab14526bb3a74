/*
 * layers.h
 *	  Layers, MLPs and gates: their keys in the contract, and their operations.
 *
 * Read functions parse keys of an object that the caller opened and will close;
 * Add functions take the tensors' prefix.  Formulas: docs/model-format.md,
 * "Layers".
 */
#ifndef MTL_RANK_LAYERS_H
#define MTL_RANK_LAYERS_H

#include "graph/builder.h"
#include "model/json_reader.h"

typedef struct NormSpec
{
	NormKind	kind;
	double		epsilon;
	bool		scale;
	bool		center;
	bool		after_activation;
} NormSpec;

typedef struct ActivationSpec
{
	ActivationKind kind;
	double		slope;
	double		epsilon;
} ActivationSpec;

typedef struct LayerSpec
{
	int			units;
	bool		hidden;			/* of an MLP: it has the precision of the model */
	bool		bias;
	NormSpec	norm;
	ActivationSpec activation;
} LayerSpec;

typedef struct MlpSpec
{
	int			nlayers;
	LayerSpec  *layers;
} MlpSpec;

typedef struct GateSpec
{
	MlpSpec    *hidden;
	LayerSpec	logit;			/* its units are set when the gate is added */
	double		temperature;
} GateSpec;

/* hidden_units, activation, normalization, bias; object NULL: no layers. */
extern MlpSpec *MlpSpecRead(JsonObject *object);

/* The MLP at key, which is required; opens and closes the object. */
extern MlpSpec *MlpSpecNeed(JsonObject *parent, const char *key);

/* Numbers that the MLP makes of a vector of so many. */
extern int	MlpWidth(const MlpSpec *spec, int input_width);

/* The gate at key; the defaults when absent. */
extern GateSpec *GateSpecGet(JsonObject *parent, const char *key);

extern int	AddLayer(GraphBuilder *builder, const LayerSpec *spec, const char *prefix, int input);
extern int	AddMlp(GraphBuilder *builder, const MlpSpec *spec, const char *prefix, int input);

/*
 * Adds a gate over the experts and the mix of them; experts are operations and
 * names their prefixes.  task is NULL for a shared gate.  Returns the mix.
 */
extern int	AddGatedMix(GraphBuilder *builder, const GateSpec *spec, const char *prefix,
						int level, const char *task, int input,
						int nexperts, const int *experts, char **names);

#endif							/* MTL_RANK_LAYERS_H */
