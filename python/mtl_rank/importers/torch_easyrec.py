"""TorchEasyRec: MMoE, PLE and DBMTL, from model.state_dict().

Read from alibaba/TorchEasyRec at 54cac31. What differs from other libraries, and from what one would expect:

* The input is the vectors of the feature group in the order of its feature_names, sparse and dense ones mixed.
* A layer with batch norm has no bias; with layer norm it has one. dice has a batch norm of its own, epsilon 1e-5.
* Gates have a bias, and in MMoE and DBMTL may have hidden layers, whose last one has its activation, too.
* num_class is 1 (a sigmoid), 2 (a softmax, whose second number is the score) or more. Logits have a bias.
* Each extraction network of PLE has its own numbers and sizes of experts. Shared gates mix all experts; the last has none.
* A relation of DBMTL reads its tower's own vector, and then what the relations of the named towers gave.
* A feature's table is called after it, with "_emb", unless embedding_name says otherwise. Pooling adds, unless it says "mean".

Trained on several machines, the library saves folders; see checkpoints/formats.py. Variational dropout scales features even
when it scores, sequence encoders and MaskNet are networks of their own, and zero-collision hashing changes ids while it
trains: the contract has none of them, so they are refused.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ..checkpoints import Checkpoint, CheckpointError
from ..contract import dbmtl, dice, leaky_relu, mmoe, ple, ple_level
from ..errors import ModelError
from ..model import Model
from ..reader import as_string, quoted, type_name
from .configuration import Configuration, Json
from .experts import count_experts, count_layers, count_levels
from .library import Library
from .translation import Layer, Translation

TITLE = "TorchEasyRec"

ACTIVATIONS = {
    "": "linear", "nn.identity": "linear", "nn.relu": "relu", "nn.sigmoid": "sigmoid", "nn.tanh": "tanh", "nn.silu": "silu",
    "nn.gelu": "gelu", "nn.leakyrelu": "leaky_relu", "nn.prelu": "prelu", "dice": dice(epsilon=1e-5),
}
PARTS = ("bottom", "expert", "gate", "tower", "mlp", "relation")

KINDS = {
    "sparse": "a feature of one id", "sequence": "a feature of several ids, pooled", "dense": "a raw feature without embedding",
}

# Prefixes of names that tell of something that the contract has not, with what it is.
_REFUSED = {
    "mask_net.": "MaskNet", "group_variational_dropouts.": "variational dropout, which scales features when it scores, too",
    "embedding_group.seq_emb_impls.": "sequence encoders", "embedding_group._group_name_to_seq_encoders.": "sequence encoders",
    "intervention": "interventions (DC2VR)",
}
_REFUSED_INPUTS = {".mc_ebc": "zero-collision hashing", ".dense_ec.": "embeddings of raw features"}

# What training leaves in a state dict.
_OF_TRAINING = ("_metric_modules.", "_train_metric_modules.", "_loss_modules.")

_TRAIN_WRAPPER = "model."


# ---------------------------------------------------------------- the configuration


class _Mlps:
    """What the configuration says of a part's MLPs: its activation, and whether layers have a bias."""

    def __init__(self, config: Configuration):
        self.activation = _activation(config.extra("activation"), "activation")
        self.activations = {part: _activation(value, f"activations.{part}")
                            for part, value in _by_part(config, "activations").items()}
        self.biases = _by_part(config, "bias")
        for part, value in self.biases.items():
            if not isinstance(value, bool):
                raise ModelError(f'"bias.{part}" must be true or false, found {type_name(value)}')

    def of(self, part: str) -> Tuple[Any, bool]:
        return self.activations.get(part, self.activation), self.biases.get(part, True)


def _by_part(config: Configuration, key: str) -> Mapping[str, Any]:
    value = config.extra(key, {})
    if not isinstance(value, dict):
        raise ModelError(f'"{key}" must be an object, found {type_name(value)}')
    unknown = [part for part in value if part not in PARTS]
    if unknown:
        raise ModelError(f'"{key}" has the unknown key {quoted(unknown)}, known are {quoted(PARTS)}')
    return value


def _activation(value: Any, path: str) -> Any:
    """The contract's activation for what an MLP's configuration has: a class of torch.nn, or Dice, perhaps with arguments."""
    text = re.sub(r"\s", "", as_string(value, path)).lower()
    if text in ACTIVATIONS:
        return ACTIVATIONS[text]
    slope = re.fullmatch(r"nn\.leakyrelu\((?:negative_slope=)?(\d*\.?\d+(?:e-?\d+)?)\)", text)
    if slope:
        return leaky_relu(float(slope.group(1)))
    if text == "nn.gelu(approximate='tanh')":
        return "gelu_tanh"
    raise ModelError(f'"{path}" is "{value}", which has no counterpart; known are '
                     '"nn.ReLU", "nn.LeakyReLU(negative_slope=0.2)", "nn.PReLU", "nn.Sigmoid", "nn.Tanh", "nn.SiLU", "nn.GELU", '
                     '"Dice" and ""')


# ---------------------------------------------------------------- the checkpoint


def _without_wrapper(checkpoint: Checkpoint) -> Checkpoint:
    """The library's TrainWrapper calls the model "model"."""
    if not checkpoint.has_prefix(f"{_TRAIN_WRAPPER}embedding_group.") and not _models_of(checkpoint, _TRAIN_WRAPPER):
        return checkpoint
    tensors = {name[len(_TRAIN_WRAPPER):] if name.startswith(_TRAIN_WRAPPER) else name: tensor
               for name, tensor in checkpoint.tensors.items()}
    return Checkpoint(tensors, checkpoint.source, checkpoint.attributes)


def _refuse_what_is_not_imported(checkpoint: Checkpoint) -> None:
    found = {what for prefix, what in _REFUSED.items() if checkpoint.has_prefix(prefix)}
    found |= {what for part, what in _REFUSED_INPUTS.items()
              if any(name.startswith("embedding_group.") and part in name for name in checkpoint)}
    if found:
        raise CheckpointError(f"{checkpoint.source}: the model has {', '.join(sorted(found))}; the model file has no counterpart")


# ---------------------------------------------------------------- features


def _features(translation: Translation, config: Configuration) -> None:
    config.check_kinds(KINDS)
    for kind in ("sparse", "sequence"):
        config.set_default(kind, lookup={"type": "index"})
    config.set_default("sequence", combiner="sum")
    for feature in config.of_kind("sequence"):
        if feature["combiner"] not in ("sum", "mean"):
            raise ModelError(f'feature "{feature["name"]}" has the combiner {feature["combiner"]!r}, '
                             f'the library has "sum" and "mean"')
    bags = _bags(translation.checkpoint)
    for feature in config.of_kind("sparse", "sequence"):
        table = as_string(feature.get("embedding", feature["name"]), "embedding")
        if f"embedding.{table}.weight" not in translation.tensors:
            # embedding_name says how the table is called; without one the feature's name has an addition.
            names = (f"{table}_emb", table) if table == feature["name"] else (table, f"{table}_emb")
            translation.copy(_table(translation.checkpoint, bags, names), f"embedding.{table}.weight",
                             f'the embedding of feature "{feature["name"]}"')


_BAG = re.compile(r"embedding_group\.emb_impls\.[^.]+\.ebc(?:_user)?\.embedding_bags\.(.*)\.weight", re.DOTALL)


def _bags(checkpoint: Checkpoint) -> Dict[str, List[str]]:
    """A table -> its whole names; in the middle of them there is a data group, and a part for users' features."""
    bags: Dict[str, List[str]] = {}
    for match in filter(None, map(_BAG.fullmatch, checkpoint)):
        bags.setdefault(match[1], []).append(match[0])
    return bags


def _table(checkpoint: Checkpoint, bags: Dict[str, List[str]], names: Tuple[str, str]) -> str:
    """The whole name of a table that may be called by either name."""
    for table in names:
        found = bags.get(table, [])
        if len(found) > 1:
            raise CheckpointError(f"{checkpoint.source}: table \"{table}\" is there as {quoted(found)}")
        if found:
            return found[0]
    return f"embedding_group.emb_impls.__BASE__.ebc.embedding_bags.{names[0]}.weight"


# ---------------------------------------------------------------- layers


class _Network:
    """One import: how a module of the library becomes a part of the model."""

    def __init__(self, translation: Translation, config: Configuration):
        self.translation = translation
        self.checkpoint = translation.checkpoint
        self.config = config
        self.mlps = _Mlps(config)
        self.tasks = config.task_names()

    def layer(self, name: str, activation: Any) -> Layer:
        """A Perceptron: linear, then perhaps a norm, then the activation. A batch norm has statistics; the slope of prelu, which
        is a weight too, has no bias, and nothing after it."""
        has = lambda part: f"{name}.{part}" in self.checkpoint
        batch_norm = self.checkpoint.has_prefix(f"{name}.1.running_") or has("1.num_batches_tracked")
        layer_norm = not batch_norm and (has("1.bias") or has("2.weight") or (has("1.weight") and activation != "prelu"))
        last = f"{name}.{2 if batch_norm or layer_norm else 1}"
        is_dice = activation == ACTIVATIONS["dice"]
        return Layer(
            f"{name}.0", norm=f"{name}.1" if batch_norm else None, layer_norm=f"{name}.1" if layer_norm else None,
            alpha=f"{last}.alpha" if is_dice else f"{last}.weight" if activation == "prelu" else None,
            statistics=f"{last}.bn" if is_dice else None,
        )

    def layers(self, prefix: str, part: str) -> Tuple[List[Layer], Any]:
        """Of an MLP, and its activation."""
        activation, self.translation.layer_bias = self.mlps.of(part)
        count = count_layers(self.translation, f"{prefix}.mlp.")
        return [self.layer(f"{prefix}.mlp.{l}.perceptron", activation) for l in range(count)], activation

    def mlp(self, prefix: str, target: str, part: str, what: str) -> Json:
        layers, activation = self.layers(prefix, part)
        return self.translation.mlp(layers, target, activation, what)

    def gate(self, mlp: Optional[str], logit: str, target: str) -> Json:
        layers, activation = ([], None) if mlp is None else self.layers(mlp, "gate")
        return self.translation.gate(layers, logit, target, activation, what=f'the gate "{target}"')

    def tower(self, mlp: Optional[str], logit: str, task: str) -> Json:
        layers, activation = ([], None) if mlp is None else self.layers(mlp, "tower")
        return self.translation.tower(layers, logit, task, activation, what=f'the tower of task "{task}"')

    # ------------------------------------------------------------ tasks

    def complete_tasks(self, logit: Callable[[int], str], count: int) -> List[Json]:
        """Heads and numbers of classes from the units of the logits; logit: number of a task -> name of its layer."""
        self.config.check_task_types("binary", "regression", "multiclass")
        self.config.check_task_count(count, "towers")
        for t, task in enumerate(self.config.tasks):
            units = self.translation.units(logit(t))
            wanted = {"binary": (1, 2), "regression": (1,), "multiclass": tuple(range(2, units + 1))}[task["type"]]
            if units and units not in wanted:
                raise ModelError(f'task "{task["name"]}" of type "{task["type"]}" has num_class {units} in the checkpoint')
            if task["type"] == "binary" and units == 2:
                task["head"] = "softmax"
            if task["type"] == "multiclass" and "classes" not in task:
                task["num_classes"] = units
        return self.config.tasks

    def task_towers(self) -> Optional[Json]:
        """Of MMoE and PLE."""
        tasks = self.complete_tasks(lambda t: f"_task_tower.{t}.linear", self.checkpoint.count("_task_tower."))
        towers = {task: self.tower(f"_task_tower.{t}.tower_mlp", f"_task_tower.{t}.linear", task)
                  for t, task in enumerate(self.tasks)}
        return self.translation.shared_tower(towers, tasks)

    # ------------------------------------------------------------ networks

    def mixture(self) -> Json:
        """The keys of a level of experts, as mmoe and dbmtl have it."""
        experts = count_experts(self.translation, "mmoe.expert_mlps.", "mmoe.gate_finals.0")
        expert = self.translation.one({
            f"expert {i}": self.mlp(f"mmoe.expert_mlps.{i}", f"level.0.expert.{i}", "expert", f"expert {i}")
            for i in range(experts)
        })
        hidden = self.checkpoint.has_prefix("mmoe.gate_mlps.")
        gate = self.translation.one({
            f'the gate of task "{task}"': self.gate(f"mmoe.gate_mlps.{t}" if hidden else None, f"mmoe.gate_finals.{t}",
                                                    f"level.0.task.{task}.gate")
            for t, task in enumerate(self.tasks)
        })
        return {"num_experts": experts, "expert": expert, "gate": gate}

    def mmoe(self) -> Json:
        tower = self.task_towers()
        return mmoe(**self.mixture(), tower=tower)

    def ple(self) -> Json:
        tower = self.task_towers()
        levels = count_levels(self.translation, "_extraction_nets.")
        specifications = [self.ple_level(j, j == levels - 1) for j in range(levels)]
        if all(specification == specifications[0] for specification in specifications):
            return ple(**specifications[0], num_levels=levels, tower=tower)
        return ple(levels=specifications, tower=tower)

    def ple_level(self, j: int, last: bool) -> Json:
        net = f"_extraction_nets.{j}"
        shared = self.checkpoint.count(f"{net}._shared_layers.")
        specific = count_experts(self.translation, f"{net}._task_layers.0.", f"{net}._task_gates.0", shared)
        experts, gates = {}, {}
        for t, task in enumerate(self.tasks):
            for i in range(specific):
                target = f"level.{j}.task.{task}.expert.{i}"
                experts[target] = self.mlp(f"{net}._task_layers.{t}.{i}", target, "expert", f'the expert "{target}"')
            target = f"level.{j}.task.{task}.gate"
            gates[target] = self.gate(None, f"{net}._task_gates.{t}", target)
        for k in range(shared):
            target = f"level.{j}.shared.expert.{k}"
            experts[target] = self.mlp(f"{net}._shared_layers.{k}", target, "expert", f'the expert "{target}"')
        if not last:
            gates[f"level.{j}.shared.gate"] = self.gate(None, f"{net}._shared_gate", f"level.{j}.shared.gate")
        return ple_level(shared, specific, self.translation.one(experts), gate=self.translation.one(gates))

    def dbmtl(self) -> Json:
        tasks = self.complete_tasks(lambda t: f"task_outputs.{t}", self.checkpoint.count("task_outputs."))
        bottom, level = None, {}
        if self.checkpoint.has_prefix("bottom_mlp."):
            bottom = self.mlp("bottom_mlp", "shared.bottom", "bottom", "the bottom")
        if self.checkpoint.has_prefix("mmoe."):
            level = self.mixture()
        mlps = {task: self.mlp(f"task_mlps.{task}", f"task.{task}.mlp", "mlp", f'the MLP of task "{task}"')
                for task in self.tasks if self.checkpoint.has_prefix(f"task_mlps.{task}.")}
        relations = self.relations()
        towers = {task: self.tower(None, f"task_outputs.{t}", task) for t, task in enumerate(self.tasks)}
        return dbmtl(bottom=bottom, **level, mlps=mlps or None, relations=relations or None,
                     tower=self.translation.shared_tower(towers, tasks))

    def relations(self) -> Dict[str, Json]:
        """Which towers a relation reads is not in the checkpoint."""
        related = [task for task in self.tasks if self.checkpoint.has_prefix(f"relation_mlps.{task}.")]
        reads = self.config.extra("relations", {})
        if not isinstance(reads, dict) or sorted(reads) != sorted(related):
            raise ModelError(f'"relations" must be an object that says for the tasks {quoted(related)} which tasks their '
                             f"relations read (relation_tower_names)")
        relations = {}
        for task in related:
            relation = self.mlp(f"relation_mlps.{task}", f"task.{task}.relation", "relation", f'the relation of task "{task}"')
            relations[task] = {"reads": reads[task], **relation}
        return relations


# In the order in which they are looked for, each with a name that only it has.
_MODELS: Tuple[Tuple[str, Callable[[_Network], Json]], ...] = (
    ("_extraction_nets.0._task_gates.", _Network.ple),
    ("mmoe.gate_finals.0.|_task_tower.0.linear.", _Network.mmoe),
    ("task_outputs.0.", _Network.dbmtl),
)


def _models_of(checkpoint: Checkpoint, prefix: str = "") -> List[Callable[[_Network], Json]]:
    return [model for names, model in _MODELS if all(checkpoint.has_prefix(prefix + name) for name in names.split("|"))]


def _recognise(checkpoint: Checkpoint) -> bool:
    return bool(_models_of(_without_wrapper(checkpoint)))


def _translate(translation: Translation, config: Configuration) -> Model:
    translation.checkpoint = _without_wrapper(translation.checkpoint)
    _refuse_what_is_not_imported(translation.checkpoint)
    translation.layer_bias_with_norm = False
    for prefix in _OF_TRAINING:
        translation.ignore_prefix(prefix, "of the training")
    _features(translation, config)
    architecture = _models_of(translation.checkpoint)[0](_Network(translation, config))
    return translation.finish(config, architecture, config.tasks, library=TITLE)


LIBRARY = Library(
    "torch_easyrec", TITLE, _recognise, _translate,
    questions={"activation": "the activation of hidden layers, as in the MLPs' configuration"},
    options={
        "activations": f'object: the activation of a part where it is another; parts are {", ".join(PARTS)}',
        "bias": "object: false for a part whose MLPs are configured without bias",
        "relations": "DBMTL: object: task -> list of the tasks whose relations its own reads (relation_tower_names)",
    },
)
