"""torch-rechub 0.8.0: SharedBottom, ESMM, MMOE, PLE and AITM, from model.state_dict().

Read from datawhalechina/torch-rechub at 5a73b2e. What differs from other libraries, and from what one would expect:

* Input: sparse features and sequences in declared order, then dense ones, wherever they are declared. Embeddings of a model
  have one size.
* Sequences are pooled by mean or sum. The id padding_idx is left out, if there is one; else every id counts. The default
  that InputMask looks for, -1, cannot be in a sequence: the lookup fails before. Nor can a sequence with the pooling
  "concat" be in one of these models, whose layers expect one vector of it, unless it is of length one.
* Every hidden layer has a batch norm, the gates of MMOE and PLE too: linear with bias, batch norm, softmax.
* dice takes mean and variance over the units of the row; the variance is a sum, and so is its epsilon of 1e-3.
* ESMM: user features, then item features, none of them dense; outputs cvr, ctr, ctcvr.
* PLE keeps the specific experts of a level in one list, task by task. The last level has no shared gate.
* AITM: the info gates have relu, whatever the bottoms have; the attention's layers have no bias.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..checkpoints import Checkpoint
from ..contract import aitm, dice, leaky_relu, mmoe, ple, product, shared_bottom, single_task
from ..errors import ModelError
from ..model import Model
from ..reader import as_string
from .configuration import Configuration, Json
from .experts import count_experts, count_levels
from .library import Library
from .mlp_blocks import block, hidden_blocks, tower_blocks
from .translation import Translation

TITLE = "torch-rechub 0.8.0"

# By the names that activation_layer() takes, and those of classes of torch.nn that it can be given. Not softmax.
ACTIVATIONS = {
    "relu": "relu", "sigmoid": "sigmoid", "prelu": "prelu", "dice": dice(statistics="row_sum", epsilon=1e-3),
    "leakyrelu": leaky_relu(), "tanh": "tanh", "silu": "silu", "gelu": "gelu", "identity": "linear",
}
# Activations with a tensor, and its name.
ALPHAS = {"prelu": "weight", "dice": "alpha"}

KINDS = {"sparse": "SparseFeature", "sequence": "SequenceFeature", "dense": "DenseFeature"}
TABLES = "embedding.embed_dict."


# ---------------------------------------------------------------- features


def _features(translation: Translation, config: Configuration) -> List[str]:
    """Completes the features and copies their tables; returns the order of the network's input."""
    config.check_kinds(KINDS)
    for kind in ("sparse", "sequence"):
        config.set_default(kind, lookup={"type": "index"})
    for feature in config.of_kind("sequence"):
        _check_pooling(feature)
    for feature in config.of_kind("sparse", "sequence"):
        table = feature.get("embedding", feature["name"])
        if f"embedding.{table}.weight" not in translation.tensors:
            what = f'the embedding of feature "{feature["name"]}"'
            translation.copy(f"{TABLES}{table}.weight", f"embedding.{table}.weight", what)
    _check_one_size(translation.checkpoint)
    return [feature["name"] for feature in config.of_kind("sparse", "sequence") + config.of_kind("dense")]


def _check_pooling(feature: Json) -> None:
    combiner = feature.setdefault("combiner", "mean")
    if combiner == "concat":
        raise ModelError(f'feature "{feature["name"]}" has the combiner "concat", with which the library makes no multi-task '
                         f"model: their layers expect one vector of each feature. A list of length one is a sparse feature")
    if combiner not in ("mean", "sum"):
        raise ModelError(f'feature "{feature["name"]}" has the combiner {combiner!r}, this library has "mean", "sum"')


def _check_one_size(checkpoint: Checkpoint) -> None:
    sizes: Dict[int, str] = {}
    for name in checkpoint:
        if name.startswith(TABLES) and checkpoint.tensors[name].ndim == 2:
            sizes.setdefault(checkpoint.shape(name)[1], name)
    if len(sizes) > 1:
        found = ", ".join(f'"{name}" has {size}' for size, name in sizes.items())
        raise ModelError(f"{checkpoint.source}: embeddings of different sizes, where this library has one size for all: {found}")


# ---------------------------------------------------------------- layers


class _Activations:
    """The activations of a configuration: one for experts and bottoms, one for each task's tower."""

    def __init__(self, config: Configuration, towers: int):
        self.name = self._known(config.reader.get("activation"), "activation")
        given = config.reader.get("tower_activation", self.name)
        names = given if isinstance(given, list) else [given] * towers
        if len(names) != towers:
            raise ModelError(f'"tower_activation" has {len(names)} names, the checkpoint has {towers} towers')
        self.towers = [self._known(name, "tower_activation") for name in names]

    @staticmethod
    def _known(value: Any, key: str) -> str:
        name = as_string(value, key).lower()
        if name not in ACTIVATIONS:
            raise ModelError(f'"{key}" is "{name}", known of this library are {", ".join(ACTIVATIONS)}')
        return name


def _mlp(translation: Translation, prefix: str, target: str, activation: str, what: str) -> Json:
    layers = hidden_blocks(translation, f"{prefix}.mlp", ALPHAS.get(activation))
    return translation.mlp(layers, target, ACTIVATIONS[activation], what)


def _tower(translation: Translation, prefix: str, task: str, activation: str) -> Json:
    what = f'the tower of task "{task}"'
    layers, logit = tower_blocks(translation, f"{prefix}.mlp", ALPHAS.get(activation))
    return translation.tower(layers, logit, task, ACTIVATIONS[activation], what=what)


def _towers(translation: Translation, config: Configuration, activations: _Activations) -> Dict[str, Json]:
    return {task: _tower(translation, f"towers.{t}", task, activations.towers[t]) for t, task in enumerate(config.task_names())}


def _gate(translation: Translation, prefix: str, target: str) -> Json:
    """An MLP of one layer whose activation is softmax: its batch norm comes before the softmax."""
    what = f'the gate "{target}"'
    logit = block(f"{prefix}.mlp")
    return translation.gate([], logit.linear, target, "linear", logit_norm=logit.norm, what=what)


def _count_towers(translation: Translation, config: Configuration) -> int:
    towers = translation.checkpoint.count("towers.")
    config.check_task_count(towers, "towers")
    return towers


# ---------------------------------------------------------------- models


def _shared_bottom(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    config.check_task_types("binary", "regression")
    activations = _Activations(config, _count_towers(translation, config))
    bottom = _mlp(translation, "bottom_mlp", "shared.bottom", activations.name, "the bottom")
    towers = _towers(translation, config, activations)
    return shared_bottom(bottom, tower=translation.shared_tower(towers, config.tasks)), config.tasks


def _esmm(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    config.check_task_types("binary")
    config.check_task_count(3, 'outputs, in this order: "cvr", "ctr" and "ctcvr"')
    for feature in config.of_kind("dense"):
        raise ModelError(f'feature "{feature["name"]}" is dense, ESMM of this library has no dense features')
    cvr, ctr, ctcvr = config.task_names()
    activations = _Activations(config, 2)
    towers = {cvr: _tower(translation, "tower_cvr", cvr, activations.towers[0]),
              ctr: _tower(translation, "tower_ctr", ctr, activations.towers[1])}
    tasks = config.tasks[:2] + [{**config.tasks[2], **product(ctcvr, of=[ctr, cvr])}]
    return single_task(tower=translation.shared_tower(towers, tasks)), tasks


def _mmoe(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    config.check_task_types("binary", "regression")
    activations = _Activations(config, _count_towers(translation, config))
    experts = count_experts(translation, "experts.", "gates.0.mlp.0")
    expert = translation.one({
        f"expert {i}": _mlp(translation, f"experts.{i}", f"level.0.expert.{i}", activations.name, f"expert {i}")
        for i in range(experts)
    })
    gate = translation.one({
        f'the gate of task "{task}"': _gate(translation, f"gates.{t}", f"level.0.task.{task}.gate")
        for t, task in enumerate(config.task_names())
    })
    towers = _towers(translation, config, activations)
    return mmoe(experts, expert, gate=gate, tower=translation.shared_tower(towers, config.tasks)), config.tasks


def _specific_expert_num(checkpoint: Checkpoint, level: int, tasks: int) -> int:
    experts = checkpoint.count(f"cgc_layers.{level}.experts_specific.")
    if experts % tasks:
        raise ModelError(f"{checkpoint.source}: level {level} of PLE has {experts} specific experts for {tasks} tasks, "
                         f"expected the same number for each")
    return experts // tasks


def _ple(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    config.check_task_types("binary", "regression")
    activations = _Activations(config, _count_towers(translation, config))
    checkpoint, tasks = translation.checkpoint, config.task_names()
    levels = count_levels(translation, "cgc_layers.")
    specific = _specific_expert_num(checkpoint, 0, len(tasks))
    shared = count_experts(translation, "cgc_layers.0.experts_shared.", "cgc_layers.0.gates_specific.0.mlp.0", specific)
    experts, gates = {}, {}
    for j in range(levels):
        sources = {f"level.{j}.task.{task}.expert.{i}": f"experts_specific.{t * specific + i}"
                   for t, task in enumerate(tasks) for i in range(specific)}
        sources.update({f"level.{j}.shared.expert.{k}": f"experts_shared.{k}" for k in range(shared)})
        for target, source in sources.items():
            name = f"cgc_layers.{j}.{source}"
            experts[name] = _mlp(translation, name, target, activations.name, f'expert "{target}"')
        for t, task in enumerate(tasks):
            target = f"level.{j}.task.{task}.gate"
            gates[target] = _gate(translation, f"cgc_layers.{j}.gates_specific.{t}", target)
        if j < levels - 1:
            target = f"level.{j}.shared.gate"
            gates[target] = _gate(translation, f"cgc_layers.{j}.gate_shared", target)
    towers = _towers(translation, config, activations)
    architecture = ple(shared, specific, translation.one(experts), gate=translation.one(gates),
                       num_levels=levels, tower=translation.shared_tower(towers, config.tasks))
    return architecture, config.tasks


def _aitm(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    config.check_task_types("binary")
    activations = _Activations(config, _count_towers(translation, config))
    tasks = config.task_names()
    if len(tasks) < 2:
        raise ModelError("AITM has one task, expected a chain of at least two")
    bottom = translation.one({
        f'the bottom of task "{task}"': _mlp(
            translation, f"bottoms.{t}", f"task.{task}.bottom", activations.name, f'the bottom of task "{task}"')
        for t, task in enumerate(tasks)
    })
    info = translation.one({
        f'the info gate of task "{task}"': _mlp(
            translation, f"info_gates.{t}", f"task.{task}.info", "relu", f'the info gate of task "{task}"')
        for t, task in enumerate(tasks[1:])
    })
    for t, task in enumerate(tasks[1:]):
        for source, layer in (("q_layer", "query"), ("k_layer", "key"), ("v_layer", "value")):
            translation.linear(f"aits.{t}.{source}", f"task.{task}.attention.{layer}", bias=False,
                               what=f'the attention of task "{task}"')
    towers = _towers(translation, config, activations)
    return aitm(bottom, info, tower=translation.shared_tower(towers, config.tasks)), config.tasks


# Each with the pattern of a name that only it has.
_MODELS = (
    (r"cgc_layers\.\d+\.(experts|gates)_(specific|shared)\.\d+\.mlp\..*", _ple),
    (r"experts\.\d+\.mlp\..*", _mmoe),
    (r"bottom_mlp\.mlp\..*", _shared_bottom),
    (r"aits\.\d+\.[qkv]_layer\.weight", _aitm),
    (r"tower_(cvr|ctr)\.mlp\..*", _esmm),
)


def _recognise(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.matching(r"(towers\.\d+|tower_ctr|tower_cvr)\.mlp\.\d+\.weight")) and any(
        checkpoint.matching(pattern) for pattern, _ in _MODELS)


def _translate(translation: Translation, config: Configuration) -> Model:
    order = _features(translation, config)
    translate = next(function for pattern, function in _MODELS if translation.checkpoint.matching(pattern))
    architecture, tasks = translate(translation, config)
    translation.ignore_prefix("loss weight.", "a weight that the training gave a task's loss")
    return translation.finish(config, architecture, tasks, library=TITLE, input=order)


LIBRARY = Library(
    "torch_rechub", TITLE, _recognise, _translate,
    questions={"activation": "the activation of all hidden layers, by the library's name of it or that of a class of torch.nn"},
    options={"tower_activation": "the activation of the towers where it is another: one for all, or a list with one per tower"},
)
