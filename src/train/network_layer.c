/*
 * network_layer.c
 *	  Layers in training: linear part by group, normalization, activation, dropout.
 *
 * Dropout: Srivastava et al. 2014, scaled when it is trained, so that scoring needs
 * not know of it.  It follows the hidden layers of MLPs, and no gate's or tower's
 * last layer.
 */
#include "postgres.h"

#include <ctype.h>

#include "train/blas.h"
#include "train/network.h"

/* Rows that are summed between two looks for a cancelled query. */
#define ROWS_PER_SUM 256

/* Dropout compares 16 random bits with its threshold. */
#define DROPOUT_RANGE 65536

/* A layer of an MLP is called by its number: shared.bottom.0 */
static bool
IsHidden(const GraphOp *layer)
{
	const char *last = strrchr(layer->name, '.');

	return last && isdigit((unsigned char) last[1]);
}

static bool
IsScore(const Network *network, const GraphOp *layer)
{
	for (int i = 0; i < network->graph->ntasks; i++)
		if (&network->graph->ops[network->graph->task_ops[i]] == layer)
			return true;
	return false;
}

/* A task's score keeps what its activation reads, which the loss is computed from. */
void
LayerPlan(Network *network, NetworkOp *op)
{
	const GraphOp *layer = op->op;

	op->dropped = network->dropout > 0 && IsHidden(layer);
	op->in_place = !op->dropped && layer->norm.kind == NORM_NONE &&
		ActivatesInPlace(layer->activation.kind) && !IsScore(network, layer);
}

void
GroupForward(Network *network, LayerGroup *group)
{
	const NetworkOp *input = &network->ops[group->input];

	for (int i = 0; i < group->nmembers; i++)
	{
		const NetworkOp *op = &network->ops[group->members[i]];
		const real *bias = ValueOf(op->op->bias);

		if (bias)
			memcpy(group->bias + op->column, bias, sizeof(real) * op->width);
		else
			memset(group->bias + op->column, 0, sizeof(real) * op->width);
	}
	for (int r = 0; r < network->nrows; r++)
	{
		CheckAtRow(r, group->width);
		memcpy(group->z + (Size) r * group->width, group->bias, sizeof(real) * group->width);
	}
	BlasMultiply(false, true, network->nrows, group->width, group->ninputs,
				 input->out.value, input->out.stride,
				 network->parameters->flat + group->offset, group->ninputs,
				 1, group->z, group->width);
}

MTL_VECTORIZED static void
SumRows(int nrows, int width, const real *restrict rows, real *restrict sums)
{
	for (int r = 0; r < nrows; r++, rows += width)
		for (int u = 0; u < width; u++)
			sums[u] += rows[u];
}

static void
BiasBackward(Network *network, const LayerGroup *group)
{
	memset(group->bias, 0, sizeof(real) * group->width);
	for (int r = 0; r < network->nrows; r += ROWS_PER_SUM)
	{
		CheckAtRow(0, group->width);
		SumRows(Min(ROWS_PER_SUM, network->nrows - r), group->width,
				group->dz + (Size) r * group->width, group->bias);
	}
	for (int i = 0; i < group->nmembers; i++)
	{
		const NetworkOp *op = &network->ops[group->members[i]];
		real	   *gradient = GradientOf(network, op->op->bias);

		for (int u = 0; gradient && u < op->width; u++)
			gradient[u] += group->bias[op->column + u];
	}
}

void
GroupBackward(Network *network, LayerGroup *group)
{
	NetworkOp  *input = &network->ops[group->input];

	BiasBackward(network, group);
	BlasMultiply(true, false, group->width, group->ninputs, network->nrows,
				 group->dz, group->width, input->out.value, input->out.stride,
				 1, network->gradient + group->offset, group->ninputs);
	BlasMultiply(false, false, network->nrows, group->ninputs, group->width,
				 group->dz, group->width, network->parameters->flat + group->offset, group->ninputs,
				 1, input->out.gradient, input->out.stride);
}

/* ---------------------------------------------------------------- dropout */

/* Units that are dropped of DROPOUT_RANGE; never all of them. */
static int
Threshold(const Network *network)
{
	return Min((int) (network->dropout * DROPOUT_RANGE), DROPOUT_RANGE - 1);
}

static void
Drop(const Network *network, const NetworkOp *op, real *vectors)
{
	real		scale = (real) DROPOUT_RANGE / (DROPOUT_RANGE - Threshold(network));
	const uint8 *mask = op->mask;

	for (int r = 0; r < network->nrows; r++, vectors += op->width, mask += op->width)
	{
		CheckAtSomeRows(r);
		for (int u = 0; u < op->width; u++)
			vectors[u] *= mask[u] * scale;
	}
}

static void
DrawMask(const Network *network, const NetworkOp *op, pg_prng_state *state)
{
	uint64		threshold = Threshold(network);
	Size		n = (Size) network->nrows * op->width;
	uint64		bits = 0;

	for (Size i = 0; i < n; i++)
	{
		if (i % NUMBERS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		bits = i % 4 == 0 ? pg_prng_uint64(state) : bits >> 16;
		op->mask[i] = (bits & (DROPOUT_RANGE - 1)) >= threshold;
	}
}

/* ----------------------------------------------------------------- layers */

/* What the activation reads. */
static const real *
Preactivation(const Network *network, const NetworkOp *op, int *stride)
{
	const LayerGroup *group = &network->groups[op->group];

	*stride = op->normed ? op->width : group->width;
	return op->normed ? op->normed : group->z + op->column;
}

void
LayerForward(Network *network, NetworkOp *op, pg_prng_state *state)
{
	const GraphOp *layer = op->op;
	const LayerGroup *group = &network->groups[op->group];
	const real *z;
	int			stride;

	if (op->normed)
		NormForward(network, &layer->norm, &op->norm, op->width,
					group->z + op->column, group->width, op->normed);
	z = Preactivation(network, op, &stride);
	if (op->activated)
	{
		ActivationForward(network, op, z, stride, op->activated, op->width);
		NormForward(network, &layer->norm, &op->norm, op->width, op->activated, op->width, op->out.value);
	}
	else
		ActivationForward(network, op, z, stride, op->out.value, op->out.stride);

	if (op->dropped && network->training)
	{
		DrawMask(network, op, state);
		Drop(network, op, op->out.value);
	}
}

void
LayerBackward(Network *network, NetworkOp *op)
{
	const GraphOp *layer = op->op;
	LayerGroup *group = &network->groups[op->group];
	real	   *gradient = op->out.gradient;
	real	   *dz = group->dz + op->column;
	int			stride;
	const real *z = Preactivation(network, op, &stride);

	if (op->dropped)
		Drop(network, op, gradient);
	if (op->activated)
	{
		NormBackward(network, &layer->norm, &op->norm, op->width, gradient);
		ActivationBackward(network, op, z, stride, op->activated, op->width, gradient, op->out.stride);
	}
	else
		/* an activation after which dropout comes looks at its input alone */
		ActivationBackward(network, op, z, stride, op->out.value, op->out.stride,
						   gradient, op->out.stride);
	if (op->normed)
		NormBackward(network, &layer->norm, &op->norm, op->width, gradient);
	if (op->in_place)
		return;

	for (int r = 0; r < network->nrows; r++)
	{
		CheckAtRow(r, op->width);
		for (int u = 0; u < op->width; u++)
		{
			Size		i = (Size) r * op->width + u;

			dz[(Size) r * group->width + u] = gradient[i] + (op->direct ? op->direct[i] : 0);
		}
	}
}
