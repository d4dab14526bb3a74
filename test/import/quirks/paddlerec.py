"""PaddleRec."""

from __future__ import annotations

import numpy as np

from mtl_rank import Model
from mtl_rank.checkpoints import Checkpoint

from .quirk import Quirk


def _weights_as_they_are(model: Model, checkpoint: Checkpoint) -> None:
    """Of square matrices, whose shape does not tell (in, out) from (out, in)."""
    for part in ("query", "key", "value"):
        name = f"task.conversion.attention.{part}.weight"
        model.tensors[name] = np.ascontiguousarray(model.tensors[name].T)


def _first_of_two(model: Model, checkpoint: Checkpoint) -> None:
    """The first unit of the softmax as the score."""
    for task in ("income", "never_married"):
        for part in ("weight", "bias"):
            name = f"task.{task}.tower.logit.{part}"
            model.tensors[name] = np.ascontiguousarray(model.tensors[name][::-1])


def _gates_without_bias(model: Model, checkpoint: Checkpoint) -> None:
    del model.contract["architecture"]["gate"]["logit_bias"]
    for name in [name for name in model.tensors if name.endswith(".gate.logit.bias")]:
        del model.tensors[name]


def _experts_where_they_were_meant(model: Model, checkpoint: Checkpoint) -> None:
    """Expert i of task t in its place, in models of 2 tasks."""
    levels = checkpoint.count("lev_")
    for j in range(levels):
        for t, task in enumerate(("income", "never_married")):
            for i in range(checkpoint.count(f"lev_{j}.lev_{j}_exp_{t}_")):
                source, target = f"lev_{j}.lev_{j}_exp_{t}_{i}", f"level.{j}.task.{task}.expert.{i}.0"
                model.tensors[f"{target}.weight"] = np.ascontiguousarray(checkpoint.tensors[f"{source}.weight"].T)
                model.tensors[f"{target}.bias"] = checkpoint.tensors[f"{source}.bias"]


def _padding_is_a_row(model: Model, checkpoint: Checkpoint) -> None:
    """Id 0 as any other."""
    model.tensors["embedding.ids.weight"] = checkpoint.tensors["embedding.weight"]
    for feature in model.contract["features"]:
        feature.pop("padding", None)
        feature["oov"] = 0


def _mean(model: Model, checkpoint: Checkpoint) -> None:
    for feature in model.contract["features"]:
        if feature["kind"] == "sequence":
            feature["combiner"] = "mean"


QUIRKS = [
    Quirk("weights are (in, out)", "paddlerec_aitm", _weights_as_they_are),
    Quirk("the second of a task's two units is its score", "paddlerec_share_bottom", _first_of_two),
    Quirk("gates have a bias", "paddlerec_mmoe", _gates_without_bias),
    Quirk("ple reads expert i * task_num + j", "paddlerec_ple", _experts_where_they_were_meant),
    Quirk("ple with fewer experts than tasks reads shared ones for the second task", "paddlerec_ple_one_expert",
          _experts_where_they_were_meant),
    Quirk("id 0 is nothing", "paddlerec_esmm", _padding_is_a_row),
    Quirk("ids of a field are added", "paddlerec_escm2", _mean),
]
