"""FuxiCTR, and its fork STEM."""

from __future__ import annotations

from typing import Any, Dict, Iterator

import numpy as np

from mtl_rank import Model
from mtl_rank.checkpoints import Checkpoint

from .quirk import Quirk


def _features(model: Model, kind: str) -> Iterator[Dict[str, Any]]:
    return (feature for feature in model.contract["features"] if feature["kind"] == kind)


def _feature(model: Model, name: str) -> Dict[str, Any]:
    return next(feature for feature in model.contract["features"] if feature["name"] == name)


def _drop(model: Model, part: str) -> None:
    for name in [name for name in model.tensors if part in name]:
        del model.tensors[name]


# ---------------------------------------------------------------- features


def _kinds_in_order(model: Model, checkpoint: Checkpoint) -> None:
    """Categories before lists before numbers, as in other libraries; all vectors have one size."""
    model.contract["input"] = [feature["name"] for kind in ("sparse", "sequence", "dense") for feature in _features(model, kind)]


def _padding_counts(model: Model, checkpoint: Checkpoint) -> None:
    """Padding as one more value of the mean, whose vector is zeros."""
    family = _feature(model, "family")
    del family["padding"]
    family["oov"] = 0


def _unknown_is_padding(model: Model, checkpoint: Checkpoint) -> None:
    for feature in _features(model, "sequence"):
        feature["oov"] = "skip"


def _unknown_is_first(model: Model, checkpoint: Checkpoint) -> None:
    """Row 0 for what a vocabulary has not, as in libraries where unknown values and padding are one."""
    for feature in _features(model, "sparse"):
        feature["oov"] = 0


def _mean_for_all(model: Model, checkpoint: Checkpoint) -> None:
    for feature in _features(model, "sequence"):
        feature["combiner"] = "mean"


def _ids_from_zero(model: Model, checkpoint: Checkpoint) -> None:
    """Vocabularies without the place of padding before them."""
    _feature(model, "education")["lookup"]["offset"] = 0


def _all_vectors_known(model: Model, checkpoint: Checkpoint) -> None:
    """Vectors of ids above the one for unknown values, though the embedding is not frozen."""
    tables = "embedding_layer.embedding_layer.embedding_layers.lives"
    model.tensors["embedding.lives.weight"] = (
        checkpoint.tensors[f"{tables}.pretrain_embedding.weight"] + checkpoint.tensors[f"{tables}.id_embedding.weight"])


def _frozen_are_unknown(model: Model, checkpoint: Checkpoint) -> None:
    """Frozen vectors of ids above the one for unknown values as zeros too."""
    table = np.array(model.tensors["embedding.born.weight"])
    table[_feature(model, "born")["oov"] + 1:] = 0
    model.tensors["embedding.born.weight"] = table


def _unprojected_bias(model: Model, checkpoint: Checkpoint) -> None:
    """PretrainedEmbedding's projection without its bias, as FuxiCTR has it."""
    bias = checkpoint.tensors["embedding_layer.embedding_layer.embedding_layers.born.proj.bias"]
    model.tensors["embedding.born.weight"] = model.tensors["embedding.born.weight"] - bias


# ---------------------------------------------------------------- layers


def _linear_gate(model: Model, checkpoint: Checkpoint) -> None:
    """The gate's hidden layers without their activations."""
    model.contract["architecture"]["gate"]["activation"] = "linear"
    _drop(model, ".gate.0.activation.")
    _drop(model, ".gate.1.activation.")


def _gate_without_norm(model: Model, checkpoint: Checkpoint) -> None:
    model.contract["architecture"]["gate"]["normalization"] = None
    _drop(model, ".gate.0.norm.")
    _drop(model, ".gate.1.norm.")


def _gate_without_bias(model: Model, checkpoint: Checkpoint) -> None:
    model.contract["architecture"]["gate"]["logit_bias"] = False
    _drop(model, ".gate.logit.bias")


def _dice_of_the_row(model: Model, checkpoint: Checkpoint) -> None:
    """dice over the units of the row, as torch-rechub has it."""
    row = {"type": "dice", "statistics": "row_mean"}
    architecture = model.contract["architecture"]
    for part in ("expert", "gate", "tower"):
        architecture[part]["activation"] = [row if each == "dice" else each for each in architecture[part]["activation"]]
    _drop(model, ".activation.running_")


def _one_slope(model: Model, checkpoint: Checkpoint) -> None:
    """prelu with one slope for all units."""
    for name in [name for name in model.tensors if name.endswith(".activation.alpha")]:
        model.tensors[name] = model.tensors[name][:1]


# ---------------------------------------------------------------- models


def _unused_gate(model: Model, checkpoint: Checkpoint) -> None:
    """The shared gate of the last level for the level before."""
    weights = sorted(checkpoint.matching(r"(cgc|stem)_layers\.2\.gate\.2\.mlp\.\d\.weight"))
    for layer, name in zip(("0", "logit"), weights):
        model.tensors[f"level.1.shared.gate.{layer}.weight"] = checkpoint.tensors[name]
        model.tensors[f"level.1.shared.gate.{layer}.bias"] = checkpoint.tensors[name[:-len("weight")] + "bias"]


def _shared_gate_over_all(model: Model, checkpoint: Checkpoint) -> None:
    """The shared gate over all experts, as in the paper; those that it has no weights for get zeros."""
    model.contract["architecture"]["shared_gate"] = "all"
    for level in (0, 1):
        for part in ("weight", "bias"):
            name = f"level.{level}.shared.gate.logit.{part}"
            own = model.tensors[name]
            model.tensors[name] = np.concatenate([np.zeros((2, *own.shape[1:]), "f4"), own])


def _towers_in_order(model: Model, checkpoint: Checkpoint) -> None:
    """ESMM's towers in the order of its outputs."""
    swapped = {"ctr": "cvr", "cvr": "ctr"}
    towers = {name: value for name, value in model.tensors.items() if ".tower." in name}
    for name, value in towers.items():
        _, task, rest = name.split(".", 2)
        model.tensors[f"task.{swapped[task]}.{rest}"] = value


def _query_key_value(model: Model, checkpoint: Checkpoint) -> None:
    """AITM's h1, h2 and h3 as query, key and value."""
    for layer, source in (("query", "h1"), ("key", "h2"), ("value", "h3")):
        for part in ("weight", "bias"):
            model.tensors[f"shared.attention.{layer}.{part}"] = checkpoint.tensors[f"{source}.{part}"]


def _shared_slice_first(model: Model, checkpoint: Checkpoint) -> None:
    """STEM's shared embeddings before those of the tasks."""
    for name, value in list(model.tensors.items()):
        if name.startswith("embedding."):
            model.tensors[name] = np.roll(value, -value.shape[1] // 3, axis=1)


QUIRKS = [
    Quirk("vectors are in the order of the feature map", "fuxictr_shared_bottom", _kinds_in_order),
    Quirk("padding does not count in the mean", "fuxictr_shared_bottom", _padding_counts),
    Quirk("unknown values of a sequence count in the mean", "fuxictr_shared_bottom", _unknown_is_padding),
    Quirk("the last id is for unknown values", "fuxictr_shared_bottom", _unknown_is_first),
    Quirk("each sequence has its own pooling", "fuxictr_shared_bottom", _mean_for_all),
    Quirk("ids start at 1", "fuxictr_shared_bottom", _ids_from_zero),
    Quirk("ids above that of unknown values have no vector unless frozen", "fuxictr_pretrained", _all_vectors_known),
    Quirk("frozen vectors are there for all ids", "fuxictr_pretrained", _frozen_are_unknown),
    Quirk("gates have hidden layers with the activation", "fuxictr_ple", _linear_gate),
    Quirk("gates have batch norm in their hidden layers", "fuxictr_mmoe", _gate_without_norm),
    Quirk("logits of gates have a bias", "fuxictr_mmoe_plain_gate", _gate_without_bias),
    Quirk("dice has batch statistics", "fuxictr_mmoe", _dice_of_the_row),
    Quirk("prelu has a slope per unit", "fuxictr_mmoe_plain_gate", _one_slope),
    Quirk("the shared gate mixes the shared experts alone", "fuxictr_ple", _shared_gate_over_all),
    Quirk("the shared gate of the last level of PLE is unused", "fuxictr_ple", _unused_gate),
    Quirk("PretrainedEmbedding's projection has a bias", "stem_pretrained", _unprojected_bias),
    Quirk("ESMM's first tower is that of cvr", "stem_esmm", _towers_in_order),
    Quirk("AITM's layers are value, key and query", "stem_aitm", _query_key_value),
    Quirk("the shared slice is the last one", "stem_stem", _shared_slice_first),
    Quirk("the shared gate of the last level of STEM is unused", "stem_stem", _unused_gate),
]
