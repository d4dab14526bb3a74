"""TorchEasyRec."""

from __future__ import annotations

import numpy as np

from mtl_rank import Model
from mtl_rank.checkpoints import Checkpoint

from .quirk import Quirk


def _numbers_last(model: Model, checkpoint: Checkpoint) -> None:
    features = model.contract["features"]
    model.contract["input"] = [f["name"] for dense in (False, True) for f in features if (f["kind"] == "dense") == dense]


def _mean_of_all_sequences(model: Model, checkpoint: Checkpoint) -> None:
    for feature in model.contract["features"]:
        if feature["kind"] == "sequence":
            feature["combiner"] = "mean"


def _gates_without_bias(model: Model, checkpoint: Checkpoint) -> None:
    del model.contract["architecture"]["gate"]["logit_bias"]
    for name in [name for name in model.tensors if name.endswith(".gate.logit.bias")]:
        del model.tensors[name]


def _linear_gates(model: Model, checkpoint: Checkpoint) -> None:
    """The MLP of a gate without an activation, as if it were a part of one linear layer."""
    model.contract["architecture"]["gate"]["activation"] = "linear"


def _first_of_two(model: Model, checkpoint: Checkpoint) -> None:
    for part in ("weight", "bias"):
        name = f"task.never_married.tower.logit.{part}"
        model.tensors[name] = np.ascontiguousarray(model.tensors[name][::-1])


def _dice_of_the_row(model: Model, checkpoint: Checkpoint) -> None:
    """Dice with the statistics of the row, as torch-rechub has it."""
    model.contract["architecture"]["expert"]["activation"] = {"type": "dice", "statistics": "row_mean"}
    for name in [name for name in model.tensors if ".activation.running_" in name]:
        del model.tensors[name]


def _no_layer_norm(model: Model, checkpoint: Checkpoint) -> None:
    del model.contract["architecture"]["levels"][0]["expert"]["normalization"]
    for name in [name for name in model.tensors if ".norm." in name]:
        del model.tensors[name]


def _shared_experts_first(model: Model, checkpoint: Checkpoint) -> None:
    for level in model.contract["architecture"]["levels"]:
        level["expert_order"] = "shared_first"


def _relations_in_the_order_of_tasks(model: Model, checkpoint: Checkpoint) -> None:
    for relation in model.contract["architecture"]["relations"].values():
        relation["reads"].sort(key=[task["name"] for task in model.contract["tasks"]].index)


QUIRKS = [
    Quirk("the input has the order of the feature group", "torch_easyrec_dbmtl_plain", _numbers_last),
    Quirk("sequences are added unless they say mean", "torch_easyrec_mmoe", _mean_of_all_sequences),
    Quirk("gates have a bias", "torch_easyrec_dbmtl", _gates_without_bias),
    Quirk("hidden layers of gates have their activation to the last", "torch_easyrec_mmoe", _linear_gates),
    Quirk("of two classes the second is the score", "torch_easyrec_mmoe", _first_of_two),
    Quirk("dice has the statistics of its own batch norm", "torch_easyrec_mmoe_dice", _dice_of_the_row),
    Quirk("layers may have layer norm", "torch_easyrec_ple", _no_layer_norm),
    Quirk("gates of PLE weigh a task's own experts first", "torch_easyrec_ple", _shared_experts_first),
    Quirk("a relation reads other towers in the order that it names them", "torch_easyrec_dbmtl",
          _relations_in_the_order_of_tasks),
]
