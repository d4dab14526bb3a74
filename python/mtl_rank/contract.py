"""Builders for the parts of a contract.

Each function returns the JSON object that docs/model-format.md describes under the same name; an argument that is left
out stays out of the object, so that the documented default holds. A contract can as well be written by hand as a dict.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Sequence, Union

Json = Dict[str, Any]
Numbers = Union[float, Sequence[float]]
PerLayer = Any       # one value for all layers, or a list with one per layer

FORMAT = 1


def _object(given: Json) -> Json:
    """The arguments of a function as an object, without those that were left out."""
    return {key: value for key, value in given.items() if value is not None}


def make_contract(
    architecture: Json,
    features: Sequence[Json],
    tasks: Sequence[Json],
    *,
    input: Optional[Sequence[str]] = None,
    context: Optional[Sequence[str]] = None,
    precision: Optional[str] = None,
    rank: Optional[Json] = None,
    provenance: Optional[Json] = None,
) -> Json:
    """The whole contract. `input` is the order of the features in the network's input (default: as declared); `context` names
    those that describe what candidates are ranked for (a user, a request), which are computed once for many candidates.
    `precision`: "float32" (default), "bf16" or "int8", which the server makes of a model with mtl_quantize()."""
    return {"format": FORMAT, **_object(locals())}


# ---------------------------------------------------------------- features


def dense(
    name: str,
    *,
    width: Optional[int] = None,
    columns: Optional[Sequence[str]] = None,
    transform: Union[None, Json, Sequence[Json]] = None,
    embedding_dim: Optional[int] = None,
    embedding_bias: Optional[bool] = None,
    missing: Any = None,
) -> Json:
    """A number, or `width` of them. `missing`: "error" (default), "zero", or the number to take instead."""
    return {"name": name, "kind": "dense", **_object(locals())}


def sparse(
    name: str,
    lookup: Json,
    *,
    embedding: Optional[str] = None,
    vocabulary_size: Optional[int] = None,
    embedding_dim: Optional[int] = None,
    oov: Union[None, int, str] = None,
    missing: Any = None,
) -> Json:
    """A category: a row of the table `embedding.<embedding>.weight`. `oov`: a row, "zero" or "error" (default)."""
    return {"name": name, "kind": "sparse", **_object(locals())}


def sequence(
    name: str,
    lookup: Json,
    max_length: int,
    *,
    embedding: Optional[str] = None,
    vocabulary_size: Optional[int] = None,
    embedding_dim: Optional[int] = None,
    oov: Union[None, int, str] = None,
    truncate: Optional[str] = None,
    padding: Union[None, float, str] = None,
    combiner: Optional[str] = None,
    unused: Optional[str] = None,
    epsilon: Optional[float] = None,
    empty_value: Optional[float] = None,
    weights: Optional[Json] = None,
    missing: Optional[str] = None,
) -> Json:
    """A list of categories, made one vector by `combiner` ("mean", "sum", "max" or "concat"). `unused` is for "concat": zeros
    for places without a value come after the values ("tail", default) or before them ("head")."""
    return {"name": name, "kind": "sequence", **_object(locals())}


def sequence_weights(column: str, *, normalize: Optional[str] = None) -> Json:
    """The `weights` of a sequence: one number per value in a second column; `normalize`: "none", "sum" or "softmax"."""
    return _object(locals())


def index_lookup(*, offset: Optional[int] = None, precision: Optional[str] = None) -> Json:
    """The value is the row's number, less `offset`. `precision` is "double" (default), or "float32", to which the value is
    rounded first, as a library does that keeps ids in a matrix of float32."""
    return {"type": "index", **_object(locals())}


def vocabulary_lookup(*, vocabulary: Optional[str] = None, offset: Optional[int] = None) -> Json:
    """The value's position in a vocabulary, plus `offset`. See Model.set_vocabulary()."""
    return {"type": "vocabulary", **_object(locals())}


def hash_lookup(
    *,
    num_buckets: Optional[int] = None,
    mask_zero: Optional[bool] = None,
    number_format: Optional[str] = None,
    offset: Optional[int] = None,
) -> Json:
    """FarmHash Fingerprint64 of the value's text, as TensorFlow hashes."""
    return {"type": "hash", **_object(locals())}


def standardize(mean: Numbers, std: Numbers) -> Json:
    return {"type": "standardize", "mean": mean, "std": std}


def min_max(min: Numbers, max: Numbers) -> Json:
    return {"type": "min_max", "min": min, "max": max}


def log1p() -> Json:
    return {"type": "log1p"}


def clip(min: Optional[Numbers] = None, max: Optional[Numbers] = None) -> Json:
    return {"type": "clip", **_object(locals())}


# ---------------------------------------------------------------- layers


def mlp(
    hidden_units: Sequence[int] = (),
    *,
    activation: PerLayer = None,
    normalization: PerLayer = None,
    bias: PerLayer = None,
) -> Json:
    """Fully connected layers of these sizes; none of them is the identity.

    activation, normalization, bias: one for all layers, or a list with one per layer.
    """
    return _object(locals())


def gate(
    hidden_units: Optional[Sequence[int]] = None,
    *,
    activation: PerLayer = None,
    normalization: PerLayer = None,
    bias: PerLayer = None,
    logit_bias: Optional[bool] = None,
    logit_normalization: Optional[Json] = None,
    logit_activation: Any = None,
    temperature: Optional[float] = None,
) -> Json:
    """The layers that weigh the experts; by default one without bias, as in the MMoE paper."""
    return _object(locals())


def tower(
    hidden_units: Sequence[int] = (),
    *,
    activation: PerLayer = None,
    normalization: PerLayer = None,
    bias: PerLayer = None,
    logit_bias: Optional[bool] = None,
) -> Json:
    """A task's own layers; the logit comes after them."""
    return _object(locals())


def batch_norm(
    *,
    epsilon: Optional[float] = None,
    scale: Optional[bool] = None,
    center: Optional[bool] = None,
    position: Optional[str] = None,
) -> Json:
    """`epsilon` defaults to PyTorch's 1e-5; Keras and TensorFlow use 1e-3."""
    return {"type": "batch_norm", **_object(locals())}


def layer_norm(
    *,
    epsilon: Optional[float] = None,
    scale: Optional[bool] = None,
    center: Optional[bool] = None,
    position: Optional[str] = None,
) -> Json:
    return {"type": "layer_norm", **_object(locals())}


def leaky_relu(negative_slope: Optional[float] = None) -> Json:
    return {"type": "leaky_relu", **_object(locals())}


def dice(*, statistics: Optional[str] = None, epsilon: Optional[float] = None) -> Json:
    """`statistics`: "batch" (default, stored statistics), "row_mean" or "row_sum"."""
    return {"type": "dice", **_object(locals())}


# ---------------------------------------------------------------- architectures


def single_task(*, tower: Optional[Json] = None) -> Json:
    return {"type": "single_task", **_object(locals())}


def shared_bottom(bottom: Json, *, tower: Optional[Json] = None) -> Json:
    return {"type": "shared_bottom", **_object(locals())}


def cross_stitch(
    column: Json,
    *,
    stitch_after: Optional[Sequence[int]] = None,
    stitch: Optional[str] = None,
    tower: Optional[Json] = None,
) -> Json:
    """`stitch`: "scalar" (default) or "per_unit"."""
    return {"type": "cross_stitch", **_object(locals())}


def sluice(
    column: Json, *, subspaces: Optional[int] = None, skip: Optional[bool] = None, tower: Optional[Json] = None
) -> Json:
    return {"type": "sluice", **_object(locals())}


def asymmetric_sharing(
    bottom: Json,
    reads: Mapping[str, Sequence[str]],
    *,
    fusion: Optional[str] = None,
    tower: Optional[Json] = None,
) -> Json:
    """`reads`: which tasks' bottoms a task's tower reads besides its own; `fusion`: "concat", "sum" or "average"."""
    return {"type": "asymmetric_sharing", **_object(locals())}


def customized_sharing(
    bottom: Json,
    *,
    shared_bottom: Optional[Json] = None,
    order: Optional[str] = None,
    tower: Optional[Json] = None,
) -> Json:
    return {"type": "customized_sharing", **_object(locals())}


def moe_level(
    num_experts: int,
    expert: Json,
    *,
    gate: Optional[Json] = None,
    gate_input: Optional[str] = None,
    mix: Optional[str] = None,
) -> Json:
    """One level of a stacked OMoE or MMoE; `mix` (MMoE alone): "task" or "shared"."""
    return _object(locals())


def omoe(
    num_experts: Optional[int] = None,
    expert: Optional[Json] = None,
    *,
    gate: Optional[Json] = None,
    gate_input: Optional[str] = None,
    num_levels: Optional[int] = None,
    levels: Optional[Sequence[Json]] = None,
    tower: Optional[Json] = None,
) -> Json:
    """Either one description of a level, for all `num_levels`, or a list of moe_level()."""
    return {"type": "omoe", **_object(locals())}


def mmoe(
    num_experts: Optional[int] = None,
    expert: Optional[Json] = None,
    *,
    gate: Optional[Json] = None,
    gate_input: Optional[str] = None,
    mix: Optional[str] = None,
    num_levels: Optional[int] = None,
    levels: Optional[Sequence[Json]] = None,
    tower: Optional[Json] = None,
) -> Json:
    """Either one description of a level, for all `num_levels`, or a list of moe_level()."""
    return {"type": "mmoe", **_object(locals())}


def ple_level(
    shared_expert_num: int,
    specific_expert_num: Union[int, Sequence[int]],
    expert: Json,
    *,
    gate: Optional[Json] = None,
    gate_input: Optional[str] = None,
    expert_order: Optional[str] = None,
    shared_gate: Optional[str] = None,
) -> Json:
    """One extraction level; `specific_expert_num` is one number or a list with one per task."""
    return _object(locals())


def cgc(
    shared_expert_num: int,
    specific_expert_num: Union[int, Sequence[int]],
    expert: Json,
    *,
    gate: Optional[Json] = None,
    gate_input: Optional[str] = None,
    expert_order: Optional[str] = None,
    tower: Optional[Json] = None,
) -> Json:
    """Customized gate control: one extraction level."""
    return {"type": "cgc", **_object(locals())}


def ple(
    shared_expert_num: Optional[int] = None,
    specific_expert_num: Union[None, int, Sequence[int]] = None,
    expert: Optional[Json] = None,
    *,
    gate: Optional[Json] = None,
    gate_input: Optional[str] = None,
    expert_order: Optional[str] = None,
    shared_gate: Optional[str] = None,
    num_levels: Optional[int] = None,
    levels: Optional[Sequence[Json]] = None,
    tower: Optional[Json] = None,
) -> Json:
    """Either one description of a level, for all `num_levels`, or a list of ple_level()."""
    return {"type": "ple", **_object(locals())}


def stem_level(
    shared_expert_num: int,
    specific_expert_num: Union[int, Sequence[int]],
    expert: Json,
    *,
    gate: Optional[Json] = None,
) -> Json:
    """One level of a STEM; `specific_expert_num` is one number or a list with one per task."""
    return _object(locals())


def stem(
    shared_expert_num: Optional[int] = None,
    specific_expert_num: Union[None, int, Sequence[int]] = None,
    expert: Optional[Json] = None,
    *,
    gate: Optional[Json] = None,
    num_levels: Optional[int] = None,
    levels: Optional[Sequence[Json]] = None,
    tower: Optional[Json] = None,
) -> Json:
    """Either one description of a level, for all `num_levels`, or a list of stem_level(). Every feature's vector holds a
    slice for each task and a shared one."""
    return {"type": "stem", **_object(locals())}


def attention(*, bias: Optional[bool] = None, shared: Optional[bool] = None) -> Json:
    """The attention of aitm(). `bias`: of its layers; `shared`: one set of them for all tasks."""
    return _object(locals())


def aitm(bottom: Json, info: Json, *, attention: Optional[Json] = None, tower: Optional[Json] = None) -> Json:
    """A chain of tasks in declared order: `info`, over what the task before has learnt, is weighed against the bottom."""
    return {"type": "aitm", **_object(locals())}


def relation(
    reads: Optional[Sequence[str]] = None,
    hidden_units: Sequence[int] = (),
    *,
    activation: PerLayer = None,
    normalization: PerLayer = None,
    bias: PerLayer = None,
) -> Json:
    """A relation of dbmtl(): an MLP over the task's own vector and those of the earlier tasks that it reads."""
    return _object(locals())


def dbmtl(
    *,
    bottom: Optional[Json] = None,
    num_experts: Optional[int] = None,
    expert: Optional[Json] = None,
    gate: Optional[Json] = None,
    gate_input: Optional[str] = None,
    mlps: Optional[Mapping[str, Json]] = None,
    relations: Optional[Mapping[str, Json]] = None,
    tower: Optional[Json] = None,
) -> Json:
    """A shared bottom, a mixture of experts, an mlp() per task and a relation() per task, each where it is given."""
    return {"type": "dbmtl", **_object(locals())}


# ---------------------------------------------------------------- tasks and rank


def binary(
    name: str, *, head: Optional[str] = None, tower: Optional[Json] = None, hidden: Optional[bool] = None
) -> Json:
    """A probability. `head`: "sigmoid" of one unit (default) or "softmax" of two."""
    return {"name": name, "type": "binary", **_object(locals())}


def regression(name: str, *, tower: Optional[Json] = None, hidden: Optional[bool] = None) -> Json:
    return {"name": name, "type": "regression", **_object(locals())}


def multiclass(
    name: str,
    *,
    num_classes: Optional[int] = None,
    classes: Optional[Sequence[str]] = None,
    tower: Optional[Json] = None,
    hidden: Optional[bool] = None,
) -> Json:
    """One output per class, called <name>.<class>."""
    return {"name": name, "type": "multiclass", **_object(locals())}


def product(name: str, of: Sequence[str], *, hidden: Optional[bool] = None) -> Json:
    """The product of tasks declared earlier, such as ctcvr of ctr and cvr."""
    return {"name": name, "type": "product", **_object(locals())}


def rank_sum(weights: Mapping[str, float]) -> Json:
    """Value formula: the sum of weight * score over the outputs."""
    return {"form": "sum", "weights": dict(weights)}


def rank_product(weights: Mapping[str, float]) -> Json:
    """Value formula: the product of score ^ weight over the outputs."""
    return {"form": "product", "weights": dict(weights)}
