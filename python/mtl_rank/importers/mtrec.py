"""Multitask-Recommendation-Library (MTReclib): SingleTask, Shared-Bottom, OMoE, MMoE, PLE and AITM, from model.state_dict().

Read from easezyc/Multitask-Recommendation-Library at 8c6529c, which has no versions. What differs from other libraries, and
from what one would expect:

* All categorical columns have one embedding table, each with the offset of the columns before it. Their sizes are nowhere in
  the checkpoint. An id beyond its column's size reads the rows of the next column, as it does there.
* All numeric columns together make one more field, the last one: a linear layer with bias, of the embeddings' size.
* Every hidden layer has a batch norm and relu. Gates are linear with bias.
* PLE has experts of one layer, a level for each of bottom_mlp_dims. Its last level has a shared gate that nothing reads.
* AITM: one query, key and value for all tasks, with bias; the information goes through a linear layer.
* SingleTask has tables and numeric layers for each task. Here a feature's vector is those of all tasks, one after the other,
  and the weights of a task's first layer are zero where they meet those of another task, which adds exactly nothing.
"""

from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np

from ..checkpoints import Checkpoint
from ..contract import aitm, attention, gate, mlp, mmoe, omoe, ple, ple_level, shared_bottom, single_task
from ..errors import ModelError
from ..model import Model
from ..reader import MAX_INT, Reader
from .configuration import Configuration, Json
from .experts import count_experts, count_levels
from .library import Library
from .mlp_blocks import hidden_blocks, tower_blocks
from .translation import Translation

TITLE = "Multitask-Recommendation-Library"

KINDS = {"sparse": "categorical columns", "dense": "numeric columns"}
TABLE = "fields"       # the model's name of the one table


# ---------------------------------------------------------------- features


class _Fields:
    """The fields of the network's input: the categorical columns and, last, all numeric ones together.

    owners: whose tables there are, "" for one that all tasks share, or a dot and the number of each task. size: of an embedding.
    """

    def __init__(self, translation: Translation, config: Configuration, owners: Sequence[str]):
        config.check_kinds(KINDS)
        numeric = _numeric_feature(config)
        sparse = config.of_kind("sparse")
        rows = _complete_sparse(sparse)
        self.order = [feature["name"] for feature in sparse] + [numeric["name"]]
        self.owners = owners

        table = _joined(translation, [f"embedding{owner}.embedding.weight" for owner in owners], 1, "the embedding table")
        what = "the layer of the numeric columns"
        weight = _joined(translation, [f"numerical_layer{owner}.weight" for owner in owners], 0, what)
        bias = _joined(translation, [f"numerical_layer{owner}.bias" for owner in owners], 0, what)
        if table is not None and table.shape[0] != rows:
            raise ModelError(f'"vocabulary_size" of all sparse features together is {rows}, but the embedding table of the '
                             f"checkpoint has {table.shape[0]} rows")
        translation.put(f"embedding.{TABLE}.weight", table)
        translation.put(f"dense.{numeric['name']}.weight", weight)
        translation.put(f"dense.{numeric['name']}.bias", bias)
        width = 0 if table is None else table.shape[1]
        self.size = width // len(owners)
        numeric.update(embedding_dim=width, embedding_bias=True)

    def spread(self, translation: Translation, name: str, task: int) -> None:
        """Widens a layer over the fields of one task to one over those of all tasks; the new weights are zero."""
        weight = translation.tensors.get(name)
        if weight is None or self.size == 0:
            return
        fields = len(self.order)
        if weight.shape[1] != fields * self.size:
            raise ModelError(f'the first layer of task {task} reads {weight.shape[1]} numbers, but {fields} fields have '
                             f"{fields * self.size}: is a feature missing?")
        wide = np.zeros((len(weight), fields, len(self.owners), self.size), "<f4")
        wide[:, :, task] = weight.reshape(len(weight), fields, self.size)
        translation.put(name, wide.reshape(len(weight), -1))


def _numeric_feature(config: Configuration) -> Json:
    numeric = config.of_kind("dense")
    if len(numeric) != 1:
        raise ModelError(f'"features" has {len(numeric)} dense features, this library has one, of all numeric columns: '
                         f'give it "columns", their names in the order of the training')
    _refuse_keys(numeric[0], "embedding_dim", "embedding_bias")
    return numeric[0]


def _refuse_keys(feature: Json, *keys: str) -> None:
    """Error for what the checkpoint decides."""
    for key in keys:
        if key in feature:
            raise ModelError(f'feature "{feature["name"]}" has "{key}", which follows from the checkpoint')


def _complete_sparse(features: List[Json]) -> int:
    """Gives each its place in the table; returns the rows of all. The configuration's rows count within the feature."""
    begin = 0
    for feature in features:
        name = feature["name"]
        _refuse_keys(feature, "embedding", "embedding_dim")
        reader = Reader(feature, f"features.{name}")
        if reader.get("vocabulary_size") is None:
            raise ModelError(f'feature "{name}" has no "vocabulary_size", its number in field_dims: the checkpoint has one table '
                             f"for all features")
        rows = reader.integer("vocabulary_size", 1, MAX_INT)
        lookup = reader.object("lookup", {"type": "index"})
        assert lookup is not None
        own = lookup.integer("offset", -MAX_INT, MAX_INT, 0)
        placed = {**lookup.value, "offset": begin + own}
        if placed.get("type") == "vocabulary":
            placed.setdefault("vocabulary", name)
        elif placed.get("type") == "hash":
            placed.setdefault("num_buckets", rows - own)
        if not isinstance(reader.get("oov", "error"), str):
            feature["oov"] = begin + reader.integer("oov", 0, rows - 1)
        feature.update(embedding=TABLE, lookup=placed)
        del feature["vocabulary_size"]
        begin += rows
    return begin


def _joined(translation: Translation, names: Sequence[str], axis: int, what: str) -> Optional[np.ndarray]:
    """Tensors of the tasks, one after the other; None if one is missing."""
    parts = [part for part in (translation.take(name, what) for name in names) if part is not None]
    if len(parts) < len(names):
        return None
    if parts[0].ndim != (1 if names[0].endswith("bias") else 2) or any(part.shape != parts[0].shape for part in parts):
        shapes = " and ".join(f'"{name}" {list(part.shape)}' for name, part in zip(names, parts))
        raise ModelError(f"{what} has an unexpected shape: {shapes}")
    if 0 in parts[0].shape:
        raise ModelError(f'tensor "{names[0]}" has shape {list(parts[0].shape)}: a model without {what} cannot be imported')
    return np.concatenate(parts, axis)


# ---------------------------------------------------------------- layers


def _mlp(translation: Translation, prefix: str, target: str, what: str) -> Json:
    return translation.mlp(hidden_blocks(translation, f"{prefix}.mlp"), target, "relu", what)


def _towers(translation: Translation, config: Configuration) -> Optional[Json]:
    """All tasks' towers, and their contract."""
    towers = {}
    for t, task in enumerate(config.task_names()):
        what = f'the tower of task "{task}"'
        layers, logit = tower_blocks(translation, f"tower.{t}.mlp")
        towers[task] = translation.tower(layers, logit, task, "relu", what=what)
    return translation.shared_tower(towers, config.tasks)


def _gate(translation: Translation, prefix: str, target: str) -> Json:
    translation.linear(f"{prefix}.0", f"{target}.logit", bias=True, what=f'the gate "{target}"')
    return gate(logit_bias=True)


# ---------------------------------------------------------------- models


def _single_task(translation: Translation, config: Configuration) -> Tuple[Json, List[str]]:
    tasks = config.task_names()
    fields = _Fields(translation, config, [f".{t}" for t in range(len(tasks))])
    towers = {}
    for t, task in enumerate(tasks):
        what = f'the bottom and the tower of task "{task}"'
        layers, logit = tower_blocks(translation, f"tower.{t}.mlp")
        bottom = hidden_blocks(translation, f"bottom.{t}.mlp")
        towers[task] = translation.tower(bottom + layers, logit, task, "relu", what=what)
        fields.spread(translation, f"task.{task}.tower.0.weight", t)
    return single_task(tower=translation.shared_tower(towers, config.tasks)), fields.order


def _shared_bottom(translation: Translation, config: Configuration) -> Tuple[Json, List[str]]:
    order = _Fields(translation, config, [""]).order
    bottom = _mlp(translation, "bottom", "shared.bottom", "the bottom")
    return shared_bottom(bottom, tower=_towers(translation, config)), order


def _experts(translation: Translation, some_gate: str) -> Tuple[int, Json]:
    """The experts of OMoE and MMoE: how many, and their contract."""
    experts = count_experts(translation, "expert.", some_gate)
    return experts, translation.one({
        f"expert {i}": _mlp(translation, f"expert.{i}", f"level.0.expert.{i}", f"expert {i}") for i in range(experts)
    })


def _omoe(translation: Translation, config: Configuration) -> Tuple[Json, List[str]]:
    order = _Fields(translation, config, [""]).order
    experts, expert = _experts(translation, "gate.0")
    shared = _gate(translation, "gate", "level.0.shared.gate")
    return omoe(experts, expert, gate=shared, tower=_towers(translation, config)), order


def _mmoe(translation: Translation, config: Configuration) -> Tuple[Json, List[str]]:
    order = _Fields(translation, config, [""]).order
    experts, expert = _experts(translation, "gate.0.0")
    gates = [_gate(translation, f"gate.{t}", f"level.0.task.{task}.gate") for t, task in enumerate(config.task_names())]
    return mmoe(experts, expert, gate=gates[0], tower=_towers(translation, config)), order


def _ple_level(translation: Translation, tasks: List[str], j: int, last: bool) -> Json:
    specific = translation.checkpoint.count(f"task_experts.{j}.0.")
    shared = count_experts(translation, f"share_experts.{j}.", f"task_gates.{j}.0.0", specific)
    sources = {f"level.{j}.task.{task}.expert.{i}": f"task_experts.{j}.{t}.{i}"
               for t, task in enumerate(tasks) for i in range(specific)}
    sources.update({f"level.{j}.shared.expert.{k}": f"share_experts.{j}.{k}" for k in range(shared)})
    expert = translation.one({
        source: _mlp(translation, source, target, f'expert "{target}"') for target, source in sources.items()
    })
    gates = [_gate(translation, f"task_gates.{j}.{t}", f"level.{j}.task.{task}.gate") for t, task in enumerate(tasks)]
    if last:
        translation.ignore_prefix(f"share_gates.{j}.", "the shared gate of the last level, which nothing reads")
    else:
        _gate(translation, f"share_gates.{j}", f"level.{j}.shared.gate")
    return ple_level(shared, specific, expert, gate=gates[0])


def _ple(translation: Translation, config: Configuration) -> Tuple[Json, List[str]]:
    order = _Fields(translation, config, [""]).order
    levels = count_levels(translation, "task_gates.")
    specifications = [_ple_level(translation, config.task_names(), j, j == levels - 1) for j in range(levels)]
    return ple(levels=specifications, tower=_towers(translation, config)), order


def _aitm(translation: Translation, config: Configuration) -> Tuple[Json, List[str]]:
    order = _Fields(translation, config, [""]).order
    tasks = config.task_names()
    bottom = translation.one({
        f'the bottom of task "{task}"': _mlp(translation, f"bottom.{t}", f"task.{task}.bottom", f'the bottom of task "{task}"')
        for t, task in enumerate(tasks)
    })
    units = translation.units("h1")
    for t, task in enumerate(tasks[1:]):
        translation.linear(f"g.{t}", f"task.{task}.info.0", bias=True, what=f'the information for task "{task}"')
    for source, layer in (("h1", "value"), ("h2", "key"), ("h3", "query")):
        translation.linear(source, f"shared.attention.{layer}", bias=True, what="the attention")
    return aitm(bottom, mlp([units], activation="linear"), attention=attention(bias=True, shared=True),
                tower=_towers(translation, config)), order


_Translate = Callable[[Translation, Configuration], Tuple[Json, List[str]]]

# In the order in which they are looked for; each with the pattern of a name that those after it have not.
_MODELS: Tuple[Tuple[str, _Translate], ...] = (
    (r"(task|share)_(experts|gates)\..*", _ple),
    (r"gate\.0\.(weight|bias)", _omoe),
    (r"(gate|expert)\..*", _mmoe),
    (r"h[123]\.(weight|bias)", _aitm),
    (r"bottom\.\d+\.mlp\..*", _single_task),
    (r"bottom\.mlp\..*", _shared_bottom),
)


def _recognise(checkpoint: Checkpoint) -> bool:
    return (
        bool(checkpoint.matching(r"(embedding(\.\d+)?\.embedding|numerical_layer(\.\d+)?)\.(weight|bias)"))
        and checkpoint.has_prefix("tower.")
        and any(checkpoint.matching(pattern) for pattern, _ in _MODELS)
    )


def _translate(translation: Translation, config: Configuration) -> Model:
    config.check_task_types("binary")
    config.check_task_count(translation.checkpoint.count("tower."), "towers")
    translate = next(function for pattern, function in _MODELS if translation.checkpoint.matching(pattern))
    architecture, order = translate(translation, config)
    return translation.finish(config, architecture, config.tasks, library=TITLE, input=order)


LIBRARY = Library(
    "mtrec", TITLE, _recognise, _translate,
    questions={
        "features": 'the categorical columns in the library\'s order, of kind "sparse", each with its number in field_dims as '
                    '"vocabulary_size"; and one of kind "dense" with "columns", the numeric columns in the library\'s order',
        "tasks": 'the tasks in the library\'s order, each with its name and the type "binary"',
    },
)
