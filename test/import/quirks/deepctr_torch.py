"""DeepCTR-Torch."""

from __future__ import annotations

from mtl_rank import Model
from mtl_rank.checkpoints import Checkpoint

from .quirk import Quirk


def _order_of_declaration(model: Model, checkpoint: Checkpoint) -> None:
    """A network's input in the order of the feature columns. Both orders have the same tensors."""
    del model.contract["input"]


def _linear_gate(model: Model, checkpoint: Checkpoint) -> None:
    """The gate's hidden layer without its activation, as if it were one linear layer."""
    model.contract["architecture"]["gate"]["activation"] = "linear"
    for name in [name for name in model.tensors if ".gate.0.activation." in name]:
        del model.tensors[name]


def _last_shared_expert(model: Model, checkpoint: Checkpoint) -> None:
    """The last of the shared experts that were made, not the first."""
    for j in range(2):
        for part in ("weight", "bias"):
            model.tensors[f"level.{j}.shared.expert.0.0.{part}"] = checkpoint.tensors[f"shared_experts.{j}.0.1.linears.0.{part}"]


def _unused_gate(model: Model, checkpoint: Checkpoint) -> None:
    """The last of the shared gates for the last level that has one; it belongs to the level after."""
    model.tensors["level.1.shared.gate.logit.weight"] = checkpoint.tensors["shared_gate_dnn_final_layer.2.weight"]


def _no_global_bias(model: Model, checkpoint: Checkpoint) -> None:
    for task in ("ctr", "cvr"):
        model.tensors[f"task.{task}.tower.logit.bias"] = model.tensors[f"task.{task}.tower.logit.bias"] * 0


def _bias_for_ctr_alone(model: Model, checkpoint: Checkpoint) -> None:
    """Two PredictionLayers, as in DeepCTR: the second would have a bias of its own, which nobody trained."""
    model.tensors["task.cvr.tower.logit.bias"] = model.tensors["task.cvr.tower.logit.bias"] * 0


def _exact_ids(model: Model, checkpoint: Checkpoint) -> None:
    model.contract["features"][0]["lookup"] = {"type": "index"}


def _plain_mean(model: Model, checkpoint: Checkpoint) -> None:
    """Padding that counts in the mean, as row 0."""
    for feature in model.contract["features"]:
        if feature["kind"] == "sequence":
            feature.pop("padding", None)
            feature["oov"] = 0


def _empty_is_zero(model: Model, checkpoint: Checkpoint) -> None:
    """The max over nothing as zero; the library pushes padding down by 1e9."""
    for feature in model.contract["features"]:
        feature.pop("empty_value", None)


QUIRKS = [
    Quirk("sparse features first, then sequences, then dense ones", "deepctr_torch_mmoe_plain_gate", _order_of_declaration),
    Quirk("gates have a hidden layer with the activation", "deepctr_torch_mmoe", _linear_gate),
    Quirk("gates of PLE have a hidden layer with the activation", "deepctr_torch_ple", _linear_gate),
    Quirk("PLE uses the first of the shared experts that it makes", "deepctr_torch_ple", _last_shared_expert),
    Quirk("the shared gate of the last level of PLE is unused", "deepctr_torch_ple_three_levels", _unused_gate),
    Quirk("PredictionLayer adds a global bias", "deepctr_torch_esmm", _no_global_bias),
    Quirk("ESMM has one global bias for both tasks", "deepctr_torch_esmm", _bias_for_ctr_alone),
    Quirk("ids are float32", "deepctr_torch_wide_ids", _exact_ids),
    Quirk("id 0 of a sequence is masked", "deepctr_torch_shared_bottom", _plain_mean),
    Quirk("the max of an empty sequence is -1e9", "deepctr_torch_shared_bottom", _empty_is_zero),
]
