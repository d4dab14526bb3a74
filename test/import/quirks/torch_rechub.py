"""torch-rechub."""

from __future__ import annotations

from typing import Any

from mtl_rank import Model
from mtl_rank.checkpoints import Checkpoint

from .quirk import Quirk


def _order_of_declaration(model: Model, checkpoint: Checkpoint) -> None:
    """A network's input in the order of the feature list, dense features among the others."""
    del model.contract["input"]


def _sequences_after_sparse(model: Model, checkpoint: Checkpoint) -> None:
    """As in DeepCTR: sparse features, then sequences, then dense ones."""
    kinds = {feature["name"]: feature["kind"] for feature in model.contract["features"]}
    model.contract["input"].sort(key=lambda name: ("sparse", "sequence", "dense").index(kinds[name]))


def _id_zero_masked(model: Model, checkpoint: Checkpoint) -> None:
    """Id 0 as padding in a sequence that has no padding_idx."""
    for feature in model.contract["features"]:
        if feature["kind"] == "sequence":
            feature.setdefault("padding", 0)


def _padding_counts(model: Model, checkpoint: Checkpoint) -> None:
    """The padding_idx as an id like others."""
    for feature in model.contract["features"]:
        if feature.pop("padding", None) is not None:
            feature["oov"] = 0


def _plain_gates(model: Model, checkpoint: Checkpoint) -> None:
    """Gates without batch norm, as everywhere else."""
    del model.contract["architecture"]["gate"]["logit_normalization"]
    for name in [name for name in model.tensors if ".gate.logit.norm." in name]:
        del model.tensors[name]


def _set_everywhere(part: Any, type_: str, key: str, value: Any) -> None:
    """In all objects of the type within a part of a contract."""
    if isinstance(part, dict):
        if part.get("type") == type_:
            part[key] = value
        for inner in part.values():
            _set_everywhere(inner, type_, key, value)


def _keras_epsilon(model: Model, checkpoint: Checkpoint) -> None:
    _set_everywhere(model.contract["architecture"], "batch_norm", "epsilon", 1e-3)


def _mean_of_squares(model: Model, checkpoint: Checkpoint) -> None:
    """dice with a variance, where the library has a sum of squares."""
    _set_everywhere(model.contract["architecture"], "dice", "statistics", "row_mean")


def _small_epsilon(model: Model, checkpoint: Checkpoint) -> None:
    """dice with the epsilon of DeepCTR."""
    _set_everywhere(model.contract["architecture"], "dice", "epsilon", 1e-9)


def _ctr_first(model: Model, checkpoint: Checkpoint) -> None:
    """ESMM's outputs as ctr, cvr, ctcvr, by exchanging the towers of the first two."""
    towers = [task.pop("tower", None) for task in model.contract["tasks"][:2]]
    for task, tower in zip(model.contract["tasks"], reversed(towers)):
        task["tower"] = tower
    names = {name: name.replace("task.cvr.", "task.CTR.").replace("task.ctr.", "task.cvr.") for name in model.tensors}
    model.tensors = {names[name].replace("task.CTR.", "task.ctr."): tensor for name, tensor in model.tensors.items()}


def _experts_in_turn(model: Model, checkpoint: Checkpoint) -> None:
    """Specific experts as task 0's first, task 1's first, task 0's second, ...: number i * tasks + t for expert i of task t."""
    tasks = [task["name"] for task in model.contract["tasks"]]
    for j in range(2):
        for t, task in enumerate(tasks):
            for i in range(2):
                source, target = f"cgc_layers.{j}.experts_specific.{i * 2 + t}.mlp", f"level.{j}.task.{task}.expert.{i}.0"
                for number, part in ((0, ""), (1, "norm.")):
                    for name in ("weight", "bias"):
                        model.tensors[f"{target}.{part}{name}"] = checkpoint.tensors[f"{source}.{number}.{name}"]
                for name in ("running_mean", "running_var"):
                    model.tensors[f"{target}.norm.{name}"] = checkpoint.tensors[f"{source}.1.{name}"]
                model.tensors[f"{target}.activation.alpha"] = checkpoint.tensors[f"{source}.2.weight"]


def _info_as_bottom(model: Model, checkpoint: Checkpoint) -> None:
    """Info gates with the activation of the bottoms."""
    architecture = model.contract["architecture"]
    architecture["info"]["activation"] = architecture["bottom"]["activation"]


QUIRKS = [
    Quirk("dense features come last", "torch_rechub_mmoe", _order_of_declaration),
    Quirk("sequences stand among sparse features", "torch_rechub_mmoe", _sequences_after_sparse),
    Quirk("every id of a sequence counts without padding_idx", "torch_rechub_shared_bottom", _id_zero_masked),
    Quirk("padding_idx does not count in the mean", "torch_rechub_shared_bottom", _padding_counts),
    Quirk("gates of MMOE have a batch norm", "torch_rechub_mmoe", _plain_gates),
    Quirk("gates of PLE have a batch norm", "torch_rechub_ple", _plain_gates),
    Quirk("batch norms have PyTorch's epsilon", "torch_rechub_shared_bottom", _keras_epsilon),
    Quirk("dice sums the squares over the units of the row", "torch_rechub_mmoe", _mean_of_squares),
    Quirk("dice has an epsilon of 1e-3", "torch_rechub_mmoe", _small_epsilon),
    Quirk("ESMM gives cvr first", "torch_rechub_esmm", _ctr_first),
    Quirk("PLE keeps specific experts task by task", "torch_rechub_ple", _experts_in_turn),
    Quirk("AITM's info gates have relu", "torch_rechub_aitm", _info_as_bottom),
]
