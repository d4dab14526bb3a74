"""DeepCTR 0.9.4 on Keras: SharedBottom, ESMM, MMOE and PLE, from model.save_weights("model.h5") or model.save("model.h5").

Read from shenweichen/DeepCTR at 1b5fe40, with the file formats of keras-team/tf-keras at dd0a723 and keras-team/keras at 3422977.
What differs from other libraries, and from what one would expect:

* Input: sparse features and pooled sequences by group_name, in each group the sparse ones first; then dense ones.
* The logits of gates and towers have no bias; PredictionLayer adds a global one. ESMM's cvr has a PredictionLayer of its own.
* Gates have no hidden layers unless gate_dnn_hidden_units says so.
* Batch norm has Keras's epsilon, 1e-3. prelu and dice have a slope per unit; dice normalizes with epsilon 1e-9.
* The bottom of SharedBottom, the towers of ESMM and all logits have names that Keras numbers, through all models of a process.
* use_hash hashes the text of a value: sparse features to all rows, sequences to all but row 0, which is for "0" and masked.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple

from ..architectures import MAX_EXPERTS, MAX_LEVELS
from ..checkpoints import Checkpoint
from ..contract import binary, mmoe, ple, product, shared_bottom, single_task
from ..errors import ModelError
from ..layers import MAX_LAYERS
from ..model import Model
from ..reader import quoted
from .configuration import Configuration, Json
from .deepctr_features import Features
from .deepctr_layers import by_layer
from .keras_layers import KerasLayers
from .library import Library
from .translation import KERAS, Layer, Translation

TITLE = "DeepCTR 0.9.4"

# By Keras's names of functions and of classes of layers, in lower case; both with Keras's default slopes.
ACTIVATIONS = {
    "relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "linear": "linear", "swish": "silu", "silu": "silu", "gelu": "gelu",
    "leaky_relu": {"type": "leaky_relu", "negative_slope": 0.2}, "leakyrelu": {"type": "leaky_relu", "negative_slope": 0.3},
    "prelu": "prelu", "dice": "dice",
}
_NAMED_BY_KERAS = ("hash", "lambda", "sequence_pooling_layer", "weighted_sequence_layer", "no_mask", "concat", "flatten")
_DNN_WEIGHT = re.compile(r"(.+)/(\d{1,6})/(?:kernel|bias|alpha|norm/\w+|dice/\w+)$")
_GATE_PARTS = re.compile(r"(level_\d+_)?gate_mul_expert_.*")


class _Network:
    """A model's layers on their way into a contract."""

    def __init__(self, translation: Translation, config: Configuration, layers: KerasLayers):
        self.translation, self.config, self.layers = translation, config, layers
        self.seen: Dict[str, None] = {}          # layers that the model was expected to have
        self.lambdas = 0                         # what gates are made of besides
        self.has_norm = bool(translation.checkpoint.matching(r".*/\d+/norm/moving_mean"))
        self.depths = self._depths()
        self.activation = self._activation()

    def _activation(self) -> Any:
        """The configuration's, or the saved model's, where all DNNs have the same."""
        graph, given = self.layers.graph, self.config.reader.get("activation", None)
        if graph is not None:
            dnns = [graph.config(name) for name in self.layers.names if graph.kind(name) == "DNN"]
            saved = {str(dnn.get("activation")).lower() for dnn in dnns}
            saved |= {str(dnn["output_activation"]).lower() for dnn in dnns if dnn.get("output_activation")}
            if len(saved) != 1 or (given is not None and {str(given).lower()} != saved):
                raise ModelError(f"{self.layers.source}: the DNNs of the saved model have the activation {quoted(sorted(saved))}"
                                 + (f', "activation" is {given!r}' if given is not None else ""))
            self.config.reader.value["activation"] = saved.pop()
        elif given is None:
            raise ModelError('the configuration lacks what a file of weights cannot tell: "activation": the activation of all '
                             "hidden layers (dnn_activation)")
        return self.config.activation(ACTIVATIONS)

    def _depths(self) -> Dict[str, int]:
        """DNN -> how many layers it has. A gap counts, so that what should be in it is reported as missing."""
        depths: Dict[str, int] = {}
        for match in filter(None, map(_DNN_WEIGHT.match, self.translation.checkpoint)):
            depths[match[1]] = max(depths.get(match[1], 0), int(match[2]) + 1)
        for name, depth in depths.items():
            self._check_limit(depth, MAX_LAYERS, f'layer "{name}"', "layers")
        return depths

    def _check_limit(self, number: int, most: int, of_what: str, what: str) -> None:
        if number > most:
            raise ModelError(f"{self.layers.source}: {of_what} has {number} {what}, the limit is {most}")

    def has(self, name: str) -> bool:
        return name in self.layers.weights

    def count(self, pattern: str, most: int) -> int:
        """How many layers there are of a name with a number in it, from 0 on."""
        found = 0
        while self.has(pattern.format(found)):
            found += 1
        self._check_limit(found, most, "the model", f'layers called "{pattern.format("...")}"')
        return found

    def dnn(self, name: str) -> List[Layer]:
        """Layers of a DNN; it has none, and no weights, for empty hidden units."""
        self.seen[name] = None
        if not self.has(name):
            self.translation.missing[name] = "a layer of the model"
        with_alpha = self.activation in ("prelu", "dice")
        return [
            Layer(f"{name}/{l}", f"{name}/{l}/norm" if self.has_norm else None, f"{name}/{l}/alpha" if with_alpha else None,
                  f"{name}/{l}/dice" if self.activation == "dice" else None)
            for l in range(self.depths.get(name, 0))
        ]

    def mlp(self, name: str, target: str) -> Json:
        return self.translation.mlp(self.dnn(name), target, self.activation, f'layer "{name}"')

    def gate(self, dnn: str, softmax: str, target: str) -> Json:
        self.seen[softmax] = None
        return self.translation.gate(self.dnn(dnn), softmax, target, self.activation, what=f'the gate "{target}"')

    def tower(self, task: str, prediction: str, logit: str, dnn: str) -> Json:
        """prediction: the PredictionLayer, which has the logit's bias."""
        self.seen.update({prediction: None, logit: None})
        return self.translation.tower(self.dnn(dnn), logit, task, self.activation, logit_bias=f"{prediction}/global_bias",
                                      what=f'the tower of task "{task}"')

    # ------------------------------------------------------------ layers that Keras names

    def logits(self, predictions: List[str]) -> List[str]:
        """The Dense before each PredictionLayer."""
        graph = self.layers.graph
        if graph is not None:
            return [graph.single((prediction, 0), "Dense")[0] for prediction in predictions]
        return self._in_order("dense", len(predictions), "logits of the towers")

    def esmm_towers(self, logits: List[str]) -> List[str]:
        graph = self.layers.graph
        if graph is not None:
            return [graph.single((logit, 0), "DNN")[0] for logit in logits]
        return self._in_order("dnn", 2, "towers of ESMM")

    def bottom(self, task: str) -> str:
        graph = self.layers.graph
        if graph is not None:
            return graph.single((f"tower_{task}", 0), "DNN")[0]
        return self._in_order("dnn", 1, "bottom of SharedBottom")[0]

    def _in_order(self, base: str, count: int, what: str) -> List[str]:
        found = self.layers.in_order(base)
        if len(found) != count:
            raise ModelError(f"{self.layers.source}: expected {count} layers called {base}, {base}_1 or the like, the {what}; "
                             f"found {len(found)}" + (f": {', '.join(found)}" if found else ""))
        return found

    # ------------------------------------------------------------ left over

    def check_rest(self, features: Features) -> None:
        """Layers without weights change scores too."""
        inputs = set(features.inputs)
        for base, expected in self._counts(features).items():
            found = [name for name in self.layers.named_by_keras(base) if name not in inputs]
            if len(found) != expected:
                raise ModelError(f"{self.layers.source}: the model has {len(found)} layers of the kind {base}, the configuration "
                                 f"makes {expected}; {_HINTS[base]}")
        known = {name for base in _NAMED_BY_KERAS for name in self.layers.named_by_keras(base)}
        known.update(features.inputs, features.tables, self.seen)
        left = [name for name in self.layers.names
                if not self.layers.weights[name] and name not in known and not _GATE_PARTS.fullmatch(name)]
        if left:
            raise ModelError(f"{self.layers.source}: the model has the layers {quoted(left[:20])}, which are no features of the "
                             f"configuration and nothing that DeepCTR makes")

    def _counts(self, features: Features) -> Dict[str, int]:
        counts = features.counts(self.config)
        return {**counts, "lambda": counts["lambda"] + self.lambdas}


_HINTS = {
    "hash": 'say "use_hash": true of the features that have it',
    "lambda": 'say "transform_fn": true, and the "transform", of dense features that have one',
    "sequence_pooling_layer": "sequences are VarLenSparseFeat",
    "weighted_sequence_layer": 'say "weights" of sequences with a weight_name',
}


# ---------------------------------------------------------------- models


def _towers(network: _Network, predictions: List[str]) -> Dict[str, Json]:
    logits = network.logits(predictions)
    return {task: network.tower(task, task, logit, f"tower_{task}") for task, logit in zip(predictions, logits)}


def _shared_bottom(network: _Network, tasks: List[str]) -> Tuple[Json, List[Json]]:
    bottom = network.mlp(network.bottom(tasks[0]), "shared.bottom")
    towers = _towers(network, tasks)
    return shared_bottom(bottom, tower=network.translation.shared_tower(towers, network.config.tasks)), network.config.tasks


def _esmm(network: _Network, predictions: List[str]) -> Tuple[Json, List[Json]]:
    """Outputs ctr and ctcvr; cvr has a tower, a bias of its own and no output."""
    config, translation = network.config, network.translation
    ctr, ctcvr = config.task_names()
    cvr = config.reader.string("cvr_name", "cvr")
    network.seen[ctcvr] = None
    logits = network.logits(predictions)
    towers = {
        task: network.tower(task, prediction, logit, dnn)
        for task, prediction, logit, dnn in zip((ctr, cvr), predictions, logits, network.esmm_towers(logits))
    }
    tasks = [binary(ctr), binary(cvr, hidden=True), product(ctcvr, of=[ctr, cvr])]
    return single_task(tower=translation.shared_tower(towers, tasks)), tasks


def _mmoe(network: _Network, tasks: List[str]) -> Tuple[Json, List[Json]]:
    translation = network.translation
    experts = network.count("expert_{}", MAX_EXPERTS)
    expert = translation.one({f"expert_{i}": network.mlp(f"expert_{i}", f"level.0.expert.{i}") for i in range(experts)})
    gate = translation.one({
        f'the gate of task "{task}"': network.gate(f"gate_{task}", f"gate_softmax_{task}", f"level.0.task.{task}.gate")
        for task in tasks
    })
    network.lambdas = 1 + len(tasks)         # one stacks the experts, one per gate turns its weights
    towers = _towers(network, tasks)
    return mmoe(experts, expert, gate=gate, tower=translation.shared_tower(towers, network.config.tasks)), network.config.tasks


def _ple(network: _Network, tasks: List[str]) -> Tuple[Json, List[Json]]:
    translation = network.translation
    first = tasks[0].replace("{", "{{").replace("}", "}}")
    levels = network.count(f"level_{{}}_gate_softmax_specific_{first}", MAX_LEVELS)
    specific = network.count(f"level_0_task_{first}_expert_specific_{{}}", MAX_EXPERTS)
    shared = network.count("level_0_expert_shared_{}", MAX_EXPERTS)
    experts, gates = {}, {}
    for j in range(levels):
        names = {f"level_{j}_task_{task}_expert_specific_{i}": f"level.{j}.task.{task}.expert.{i}"
                 for task in tasks for i in range(specific)}
        names.update({f"level_{j}_expert_shared_{k}": f"level.{j}.shared.expert.{k}" for k in range(shared)})
        for name, target in names.items():
            experts[name] = network.mlp(name, target)
        for task in tasks:
            name = f"level_{j}_gate_specific_{task}"
            gates[name] = network.gate(name, f"level_{j}_gate_softmax_specific_{task}", f"level.{j}.task.{task}.gate")
        if j < levels - 1:
            name = f"level_{j}_gate_shared"
            gates[name] = network.gate(name, f"level_{j}_gate_softmax_shared", f"level.{j}.shared.gate")
    network.lambdas = 2 * len(gates)         # as in MMOE, but each gate stacks its own experts
    towers = _towers(network, tasks)
    architecture = ple(shared, specific, translation.one(experts), gate=translation.one(gates), num_levels=levels,
                       tower=translation.shared_tower(towers, network.config.tasks))
    return architecture, network.config.tasks


# ---------------------------------------------------------------- the library


def _is_esmm(layers: KerasLayers, predictions: List[str]) -> bool:
    return (len(predictions) == 2 and re.fullmatch(r"prediction_layer(_\d+)?", predictions[1]) is not None
            and f"tower_{predictions[0]}" not in layers.weights)


def _predictions(layers: KerasLayers) -> List[str]:
    """PredictionLayers in the order of the outputs."""
    found = [name for name in layers.names if "global_bias" in layers.weights[name]]
    if layers.graph is None or _is_esmm(layers, found):
        return found
    outputs = [name for name, _ in layers.graph.outputs]
    if sorted(outputs) != sorted(found):
        raise ModelError(f"{layers.source}: the outputs of the saved model are {quoted(outputs)}, but its PredictionLayers "
                         f"{quoted(found)}")
    return outputs


def _check_tasks(config: Configuration, layers: KerasLayers, predictions: List[str]) -> None:
    esmm = _is_esmm(layers, predictions)
    config.check_task_types(*(("binary",) if esmm else ("binary", "regression")))
    names = config.task_names()
    expected = predictions
    if esmm:
        config.check_task_count(2, 'outputs, such as "ctr" and "ctcvr"')
        expected = [predictions[0], names[1] if names[1] in layers.weights and not layers.weights[names[1]] else "(a product)"]
    if names != expected:
        raise ModelError(f'"tasks" are {quoted(names)}, the outputs of the model are {quoted(expected)}')
    for task in config.tasks:
        saved: Optional[Any] = layers.graph and layers.graph.config(task["name"]).get("task")
        if saved is not None and saved != task["type"]:
            raise ModelError(f'task "{task["name"]}" has the type "{task["type"]}", in the saved model it is {saved!r}')


def _recognise(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.matching(r".*/global_bias(:\d+)?")) and isinstance(checkpoint.attributes.get("layers"), list)


def _translate(translation: Translation, config: Configuration) -> Model:
    layers = KerasLayers(translation.checkpoint)
    translation.checkpoint = by_layer(translation.checkpoint, layers)
    translation.naming, translation.norm_epsilon = KERAS, 1e-3
    translation.gate_bias = translation.logit_bias = False
    predictions = _predictions(layers)
    _check_tasks(config, layers, predictions)
    features = Features(translation, config, layers)
    network = _Network(translation, config, layers)
    if _is_esmm(layers, predictions):
        translate = _esmm
    elif network.has(f"level_0_gate_softmax_specific_{predictions[0]}"):
        translate = _ple
    elif network.has(f"gate_softmax_{predictions[0]}"):
        translate = _mmoe
    else:
        translate = _shared_bottom
    architecture, tasks = translate(network, predictions)
    network.check_rest(features)
    return translation.finish(config, architecture, tasks, library=TITLE, input=features.order)


LIBRARY = Library(
    "deepctr", TITLE, _recognise, _translate,
    options={
        "activation": "the activation of all hidden layers (dnn_activation); needed unless the whole model was saved",
        "cvr_name": 'ESMM: the name of the hidden task between ctr and ctcvr, "cvr" unless given',
    },
)
