"""DeepCTR on Keras."""

from __future__ import annotations

import re


from mtl_rank import Model
from mtl_rank.checkpoints import Checkpoint

from .quirk import Quirk


def _order_of_declaration(model: Model, checkpoint: Checkpoint) -> None:
    del model.contract["input"]


def _no_groups(model: Model, checkpoint: Checkpoint) -> None:
    """Sparse features, then sequences, then dense ones, as if groups did not count."""
    kinds = ("sparse", "sequence", "dense")
    features = sorted(model.contract["features"], key=lambda feature: kinds.index(feature["kind"]))
    model.contract["input"] = [feature["name"] for feature in features]


def _torch_epsilon(model: Model, checkpoint: Checkpoint) -> None:
    model.contract["architecture"]["bottom"]["normalization"]["epsilon"] = 1e-5


def _no_global_bias(model: Model, checkpoint: Checkpoint) -> None:
    for name in [name for name in model.tensors if name.endswith(".tower.logit.bias")]:
        model.tensors[name] = model.tensors[name] * 0


def _swap(model: Model, pattern: str, replacement: str) -> None:
    """Swaps tensors by their names."""
    swapped = {}
    for name in model.tensors:
        other = re.sub(pattern, replacement, name)
        if other != name:
            swapped[other], swapped[name] = model.tensors[name], model.tensors[other]
    model.tensors.update(swapped)


def _alphabetical_logits(model: Model, checkpoint: Checkpoint) -> None:
    """dense_10 sorts before dense_9."""
    _swap(model, r"^task\.ctr\.tower\.logit\.weight$", "task.cvr.tower.logit.weight")


def _alphabetical_towers(model: Model, checkpoint: Checkpoint) -> None:
    """dnn_10 sorts before dnn_9."""
    _swap(model, r"^task\.ctr\.tower\.(\d)\.", r"task.cvr.tower.\1.")


def _alphabetical_kernels(model: Model, checkpoint: Checkpoint) -> None:
    """kernel10 sorts before kernel2. The layers of the case have one size."""
    for task in ("income", "never_married"):
        for part in ("weight", "bias"):
            names = [f"task.{task}.tower.{l}.{part}" for l in sorted(range(11), key=str)[1:]]
            values = [model.tensors[name] for name in names]
            model.tensors.update(zip((f"task.{task}.tower.{l}.{part}" for l in range(1, 11)), values))


_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def _norms_by_name(model: Model, checkpoint: Checkpoint) -> None:
    """Batch norms in the order of their names, where batch_normalization_10 comes before batch_normalization_9."""
    paths = [name for name in checkpoint if name.startswith("tower_income/") and name.endswith("/gamma:0")]
    for l, path in enumerate(sorted(paths)):
        for part, leaf in _NORM.items():
            model.tensors[f"task.income.tower.{l}.norm.{part}"] = checkpoint.tensors[path.replace("gamma:0", f"{leaf}:0")]


def _one_bias_for_both(model: Model, checkpoint: Checkpoint) -> None:
    """As in DeepCTR-Torch."""
    model.tensors["task.cvr.tower.logit.bias"] = model.tensors["task.ctr.tower.logit.bias"]


def _probability_of_conversion(model: Model, checkpoint: Checkpoint) -> None:
    """The second output as cvr, which is hidden, in place of ctcvr."""
    model.contract["tasks"] = [{"name": "ctr", "type": "binary"}, {"name": "ctcvr", "type": "binary"}]
    for name in [name for name in model.tensors if name.startswith("task.cvr.")]:
        model.tensors[name.replace("task.cvr.", "task.ctcvr.")] = model.tensors.pop(name)


def _linear_gate(model: Model, checkpoint: Checkpoint) -> None:
    model.contract["architecture"]["gate"]["activation"] = "linear"
    for name in [name for name in model.tensors if ".gate.0.activation." in name]:
        del model.tensors[name]


def _one_slope(model: Model, checkpoint: Checkpoint) -> None:
    """PReLU as PyTorch has it, with one slope for all units."""
    for name in [name for name in model.tensors if name.endswith(".activation.alpha")]:
        model.tensors[name] = model.tensors[name].mean(keepdims=True)


def _row_statistics(model: Model, checkpoint: Checkpoint) -> None:
    """dice with the statistics of the row, as torch-rechub has it."""
    for key in ("expert", "tower"):
        model.contract["architecture"][key]["activation"] = {"type": "dice", "statistics": "row_mean"}
    for name in [name for name in model.tensors if ".activation.running_" in name]:
        del model.tensors[name]


def _dice_epsilon(model: Model, checkpoint: Checkpoint) -> None:
    """That of Keras's batch norm."""
    model.contract["architecture"]["expert"]["activation"] = {"type": "dice", "epsilon": 1e-3}


def _lookup(name: str, **changes: object):
    def forget(model: Model, checkpoint: Checkpoint) -> None:
        next(feature for feature in model.contract["features"] if feature["name"] == name)["lookup"].update(changes)
    return forget


def _without(name: str, *keys: str, **changes: object):
    def forget(model: Model, checkpoint: Checkpoint) -> None:
        feature = next(feature for feature in model.contract["features"] if feature["name"] == name)
        for key in keys:
            del feature[key]
        feature.update(changes)
    return forget


def _weights(name: str, normalize: str):
    def forget(model: Model, checkpoint: Checkpoint) -> None:
        next(feature for feature in model.contract["features"] if feature["name"] == name)["weights"]["normalize"] = normalize
    return forget


def _order_of_experts(model: Model, checkpoint: Checkpoint) -> None:
    model.contract["architecture"]["expert_order"] = "shared_first"


def _first_logits_swapped(model: Model, checkpoint: Checkpoint) -> None:
    _swap(model, r"^task\.income\.tower\.logit\.weight$", "task.never_married.tower.logit.weight")


QUIRKS = [
    Quirk("sparse features and sequences come before dense ones", "deepctr_ple_three_levels", _order_of_declaration),
    Quirk("features are put together by group_name", "deepctr_shared_bottom", _no_groups),
    Quirk("batch norm has the epsilon 1e-3", "deepctr_shared_bottom", _torch_epsilon),
    Quirk("a transform_fn is part of the model", "deepctr_shared_bottom", _without("age", "transform")),
    Quirk("id 0 of a sequence is masked", "deepctr_shared_bottom", _without("family", "padding")),
    Quirk("the max of an empty sequence is -1e9", "deepctr_shared_bottom", _without("work", "empty_value")),
    Quirk("id 0 counts where the length is given", "deepctr_ple_three_levels", _without("jobs_before", padding=0)),
    Quirk("PredictionLayer adds a global bias", "deepctr_shared_bottom", _no_global_bias),
    Quirk("kernels are in the order of their numbers", "deepctr_shared_bottom_deep", _alphabetical_kernels),
    Quirk("batch norms are in the order of the list", "deepctr_shared_bottom_deep", _norms_by_name),
    Quirk("logits are in the order of the layers", "deepctr_esmm", _alphabetical_logits),
    Quirk("towers of ESMM are in the order of the layers", "deepctr_esmm", _alphabetical_towers),
    Quirk("ESMM has two global biases", "deepctr_esmm", _one_bias_for_both),
    Quirk("ESMM's second output is a product", "deepctr_esmm", _probability_of_conversion),
    Quirk("hidden layers of gates have the activation", "deepctr_mmoe", _linear_gate),
    Quirk("a saved model says which logit is whose", "deepctr_mmoe", _first_logits_swapped),
    Quirk("prelu has a slope per unit", "deepctr_mmoe", _one_slope),
    Quirk("dice has statistics of the training", "deepctr_mmoe_hash", _row_statistics),
    Quirk("dice has the epsilon 1e-9", "deepctr_mmoe_hash", _dice_epsilon),
    Quirk("sparse features are hashed to all rows", "deepctr_mmoe_hash", _lookup("state", mask_zero=True)),
    Quirk("sequences are hashed to all rows but the first", "deepctr_mmoe_hash", _lookup("ages", mask_zero=False)),
    Quirk('the text "0" of a hashed sequence is masked', "deepctr_mmoe_hash", _without("parents", "padding")),
    Quirk("the number 0 of a hashed sequence is masked", "deepctr_mmoe_hash", _without("ages", "padding")),
    Quirk("keys that a vocabulary file lacks are masked in sequences", "deepctr_ple", _without("schools", oov=0)),
    Quirk("weights are normalized by a softmax", "deepctr_ple", _weights("paid", "none")),
    Quirk("weights without weight_norm stay as they are", "deepctr_ple", _weights("unpaid", "softmax")),
    Quirk("id 0 has a weight where the length is given", "deepctr_ple", _without("paid_before", padding=0)),
    Quirk("own experts come before shared ones", "deepctr_ple", _order_of_experts),
]
