"""DeepCTR-Torch 0.2.9: SharedBottom, ESMM, MMOE and PLE, from model.state_dict().

Read from shenweichen/DeepCTR-Torch at f685425. What differs from other libraries, and from what one would expect:

* Input: sparse features, then sequences, then dense ones, whatever the order of the feature columns.
* All inputs lie in one float32 matrix, ids too, so ids above 2^24 fall on their neighbours.
* Gates of MMOE and PLE have a hidden layer unless gate_dnn_hidden_units is empty; their logits have no bias.
* Logits of towers have no bias; PredictionLayer adds a global one. ESMM has one such bias for both tasks.
* PLE makes as many shared experts as specific ones, and uses the first shared_expert_num of them. Its last level has a
  shared gate that nothing reads.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

from ..checkpoints import Checkpoint
from ..contract import binary, mmoe, ple, product, shared_bottom, single_task
from ..errors import ModelError
from ..model import Model
from .configuration import Configuration, Json
from .experts import count_experts, count_layers, count_levels
from .library import Library
from .translation import Layer, Translation

TITLE = "DeepCTR-Torch 0.2.9"

# dice asserts on its input's dimensions, so no trained multi-task model has it.
ACTIVATIONS = {"relu": "relu", "sigmoid": "sigmoid", "linear": "linear", "prelu": "prelu"}
MAX_EXACT_ID = 1 << 24

KINDS = {"sparse": "SparseFeat", "sequence": "VarLenSparseFeat", "dense": "DenseFeat"}


# ---------------------------------------------------------------- features


def _features(translation: Translation, config: Configuration) -> List[str]:
    """Completes the features and copies their tables; returns the order of the network's input."""
    config.check_kinds(KINDS)
    for kind in ("sparse", "sequence"):
        config.set_default(kind, lookup={"type": "index", "precision": "float32"})
    for feature in config.of_kind("sequence"):
        _complete_sequence(feature)
    for feature in config.of_kind("sparse", "sequence"):
        table = feature.get("embedding", feature["name"])
        name = f"embedding_dict.{table}.weight"
        if f"embedding.{table}.weight" not in translation.tensors:
            translation.copy(name, f"embedding.{table}.weight", f'the embedding of feature "{feature["name"]}"')
        _check_positions(translation, feature, name)
    return [feature["name"] for kind in KINDS for feature in config.of_kind(kind)]


def _complete_sequence(feature: Json) -> None:
    """SequencePoolingLayer: id 0 is masked, unless the length is given; the mean divides by length + 1e-8."""
    if feature.pop("length_name", None) is None:
        feature.setdefault("padding", 0)
    combiner = feature.setdefault("combiner", "mean")
    if combiner == "mean":
        feature.setdefault("epsilon", 1e-8)
    elif combiner == "max":
        feature.setdefault("empty_value", -1e9)


def _check_positions(translation: Translation, feature: Json, name: str) -> None:
    """A vocabulary's positions are exact, as the library's float32 ids are only up to 2^24."""
    lookup: Any = feature["lookup"]
    rows = (translation.checkpoint.shape(name) or (0,))[0]
    if isinstance(lookup, dict) and lookup.get("type") != "index" and rows > MAX_EXACT_ID:
        raise ModelError(f'feature "{feature["name"]}" has {rows} ids, but the library keeps ids in float32, where those above '
                         f"{MAX_EXACT_ID} fall together; its lookup must be of type \"index\"")


# ---------------------------------------------------------------- layers


def _dnn(translation: Translation, prefix: str, activation: Any) -> List[Layer]:
    """Layers of a DNN; none when the library left the module out, as it does for empty hidden units.

    dnn_use_bn holds for all of a model, so where one batch norm is, all must be.
    """
    layers = []
    has_norm = bool(translation.checkpoint.matching(r".*\.bn\.\d+\.running_mean"))
    for l in range(count_layers(translation, f"{prefix}.linears.")):
        alpha = f"{prefix}.activation_layers.{l}.weight" if activation == "prelu" else None
        layers.append(Layer(f"{prefix}.linears.{l}", f"{prefix}.bn.{l}" if has_norm else None, alpha))
    return layers


def _towers(translation: Translation, config: Configuration, activation: Any) -> Dict[str, Json]:
    """tower_dnn may be absent; the logit's bias is PredictionLayer's."""
    return {
        task: translation.tower(
            _dnn(translation, f"tower_dnn.{t}", activation), f"tower_dnn_final_layer.{t}", task, activation,
            logit_bias=f"out.{t}.bias", what=f'the tower of task "{task}"',
        )
        for t, task in enumerate(config.task_names())
    }


def _gate(translation: Translation, dnn: str, final: str, target: str, activation: Any) -> Json:
    return translation.gate(_dnn(translation, dnn, activation), final, target, activation, what=f'the gate "{target}"')


# ---------------------------------------------------------------- models


def _shared_bottom(translation: Translation, config: Configuration, activation: Any) -> Tuple[Json, List[Json]]:
    bottom = translation.mlp(_dnn(translation, "bottom_dnn", activation), "shared.bottom", activation, "the bottom")
    towers = _towers(translation, config, activation)
    return shared_bottom(bottom, tower=translation.shared_tower(towers, config.tasks)), config.tasks


def _esmm(translation: Translation, config: Configuration, activation: Any) -> Tuple[Json, List[Json]]:
    """Outputs ctr and ctcvr; cvr has a tower and no output, and the same bias as ctr."""
    ctr, ctcvr = config.task_names()
    cvr = config.reader.string("cvr_name", "cvr")
    towers = {
        task: translation.tower(
            _dnn(translation, f"{part}_dnn", activation), f"{part}_dnn_final_layer", task, activation,
            logit_bias="out.bias", what=f'the tower of task "{task}"',
        )
        for task, part in ((ctr, "ctr"), (cvr, "cvr"))
    }
    tasks = [binary(ctr), binary(cvr, hidden=True), product(ctcvr, of=[ctr, cvr])]
    return single_task(tower=translation.shared_tower(towers, tasks)), tasks


def _mmoe(translation: Translation, config: Configuration, activation: Any) -> Tuple[Json, List[Json]]:
    experts = count_experts(translation, "expert_dnn.", "gate_dnn_final_layer.0")
    expert = translation.one({
        f"expert {i}": translation.mlp(_dnn(translation, f"expert_dnn.{i}", activation), f"level.0.expert.{i}", activation)
        for i in range(experts)
    })
    gate = translation.one({
        f'the gate of task "{task}"': _gate(
            translation, f"gate_dnn.{t}", f"gate_dnn_final_layer.{t}", f"level.0.task.{task}.gate", activation)
        for t, task in enumerate(config.task_names())
    })
    towers = _towers(translation, config, activation)
    return mmoe(experts, expert, gate=gate, tower=translation.shared_tower(towers, config.tasks)), config.tasks


def _ple(translation: Translation, config: Configuration, activation: Any) -> Tuple[Json, List[Json]]:
    checkpoint = translation.checkpoint
    levels = count_levels(translation, "specific_experts.")
    specific = checkpoint.count("specific_experts.0.0.")
    shared = translation.units("specific_gate_dnn_final_layer.0.0") - specific
    if not 0 <= shared <= specific:
        raise ModelError(f"{checkpoint.source}: PLE has {specific} experts per task and gates over {specific + shared}, so "
                         f"{shared} shared ones are used, of which the library makes only {specific}")
    experts, gates = {}, {}
    for j in range(levels):
        for t, task in enumerate(config.task_names()):
            for i in range(specific):
                target = f"level.{j}.task.{task}.expert.{i}"
                experts[target] = translation.mlp(
                    _dnn(translation, f"specific_experts.{j}.{t}.{i}", activation), target, activation)
            target = f"level.{j}.task.{task}.gate"
            gates[target] = _gate(translation, f"specific_gate_dnn.{j}.{t}.0", f"specific_gate_dnn_final_layer.{j}.{t}",
                                  target, activation)
        for k in range(shared):
            target = f"level.{j}.shared.expert.{k}"
            experts[target] = translation.mlp(
                _dnn(translation, f"shared_experts.{j}.0.{k}", activation), target, activation)
        for k in range(shared, specific):
            translation.ignore_prefix(f"shared_experts.{j}.0.{k}.", "a shared expert that the library makes and does not use")
        if j < levels - 1:
            target = f"level.{j}.shared.gate"
            gates[target] = _gate(translation, f"shared_gate_dnn.{j}", f"shared_gate_dnn_final_layer.{j}", target, activation)
        else:
            for name in ("shared_gate_dnn", "shared_gate_dnn_final_layer"):
                translation.ignore_prefix(f"{name}.{j}.", "the shared gate of the last level, which nothing reads")
    towers = _towers(translation, config, activation)
    architecture = ple(shared, specific, translation.one(experts), gate=translation.one(gates),
                       num_levels=levels, tower=translation.shared_tower(towers, config.tasks))
    return architecture, config.tasks


# In the order in which they are looked for; each with a name that only it has.
_MODELS = (
    ("specific_experts.", _ple),
    ("expert_dnn.", _mmoe),
    ("bottom_dnn.", _shared_bottom),
    ("ctr_dnn_final_layer.", _esmm),
)


def _recognise(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.matching(r"(tower_dnn|ctr_dnn)_final_layer\.(\d+\.)?weight")) and any(
        checkpoint.has_prefix(prefix) for prefix, _ in _MODELS)


def _check_tasks(translation: Translation, config: Configuration) -> None:
    towers = translation.checkpoint.count("tower_dnn_final_layer.")
    if towers == 0:
        config.check_task_types("binary")
        config.check_task_count(2, 'outputs, such as "ctr" and "ctcvr"')
    else:
        config.check_task_types("binary", "regression")
        config.check_task_count(towers, "towers (tower_dnn_final_layer)")


def _translate(translation: Translation, config: Configuration) -> Model:
    translation.gate_bias = translation.logit_bias = False
    _check_tasks(translation, config)
    activation = config.activation(ACTIVATIONS)
    order = _features(translation, config)
    translate = next(function for prefix, function in _MODELS if translation.checkpoint.has_prefix(prefix))
    architecture, tasks = translate(translation, config, activation)
    # The wide part is built from no features, so it has no weights that count.
    return translation.finish(config, architecture, tasks, library=TITLE, input=order)


LIBRARY = Library(
    "deepctr_torch", TITLE, _recognise, _translate,
    questions={"activation": "the activation of all hidden layers (dnn_activation)"},
    options={"cvr_name": 'ESMM: the name of the hidden task between ctr and ctcvr, "cvr" unless given'},
)
