"""FuxiCTR and STEM: their multi-task models, from the weights that model.save_weights() or fit() writes.

FuxiCTR was read at reczoo/FuxiCTR 0245987: SharedBottom, MMoE and PLE. STEM, LiangcaiSu/STEM at 769e2af, is a fork of it with the
same three, and OMoE, ESMM, AITM and STEM. Both name their tensors alike. Features are in fuxictr_features.py. What differs from
other libraries, and from what one would expect:

* Hidden layers are one Sequential, whose numbers depend on batch norm and dropout, so they are told apart by shapes.
* Gates have hidden layers unless gate_hidden_units is empty, with batch norm if there is any; their logits have a bias.
* The shared gate of PLE mixes the shared experts alone. The last level has one too, which nothing reads; STEM as well.
* ESMM's first tower is that of cvr, its outputs are ctr and ctcvr.
* AITM has one attention for all tasks, with biases; h1 makes values, h2 keys and h3 queries.
* prelu has a slope per unit, dice batch statistics with an epsilon of 1e-9.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from ..checkpoints import Checkpoint, CheckpointError
from ..contract import aitm, attention, binary, mmoe, omoe, ple, product, shared_bottom, single_task, stem
from ..errors import ModelError
from ..model import Model
from ..reader import as_string, quoted
from .configuration import Configuration, Json
from .experts import count_experts, count_levels
from .fuxictr_features import translate_features
from .library import Library
from .translation import Layer, Translation

# Names that the library knows, and those of modules in torch.nn, which it takes too. "linear" is its null.
ACTIVATIONS = {
    "relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "prelu": "prelu", "dice": "dice", "gelu": "gelu", "silu": "silu",
    "leakyrelu": "leaky_relu", "identity": "linear", "linear": "linear",
}

Parts = Tuple[Json, List[Json]]      # architecture and tasks


# ---------------------------------------------------------------- layers


def _activation(config: Configuration) -> Any:
    """hidden_activations: one name, or a list with one per hidden layer."""
    value = config.reader.get("activation")
    if not isinstance(value, list):
        return config.activation(ACTIVATIONS)
    unknown = [name for name in value if as_string(name, "activation").lower() not in ACTIVATIONS]
    if unknown:
        raise ModelError(f'"activation" has {quoted(unknown)}, this library has {quoted(list(ACTIVATIONS))}')
    return [ACTIVATIONS[name.lower()] for name in value]


def _hidden(translation: Translation, layers: List[Layer]) -> List[Layer]:
    """Hidden layers, with what must be there: batch_norm is one switch for all of a model."""
    normalized = any(name.endswith(".running_mean") and ".bn." not in name for name in translation.checkpoint)
    for layer in layers:
        if normalized and layer.norm is None:
            source = translation.checkpoint.source
            raise CheckpointError(f'{source}: layer "{layer.linear}" lacks the batch norm that others have')
    return layers


def _mlp(translation: Translation, prefix: str, target: str, activation: Any) -> Json:
    layers = _hidden(translation, translation.sequential(f"{prefix}.mlp"))
    if not layers:
        translation.take(f"{prefix}.mlp.0.weight", f'the layers of "{target}"')
    return translation.mlp(layers, target, activation, target)


def _gate(translation: Translation, prefix: str, target: str, activation: Any) -> Json:
    hidden, logit = translation.split_sequential(f"{prefix}.mlp")
    return translation.gate(_hidden(translation, hidden), logit, target, activation, what=f'the gate "{target}"')


def _tower(translation: Translation, number: int, task: str, activation: Any) -> Json:
    hidden, logit = translation.split_sequential(f"tower.{number}.mlp")
    return translation.tower(_hidden(translation, hidden), logit, task, activation, what=f'the tower of task "{task}"')


def _towers(translation: Translation, config: Configuration, activation: Any) -> Any:
    """A tower per task, in the order of the labels; returns what all have in common."""
    towers = {task: _tower(translation, t, task, activation) for t, task in enumerate(config.task_names())}
    return translation.shared_tower(towers, config.tasks)


def _logit(translation: Translation, gate: str) -> str:
    """The linear layer of a gate that weighs the experts."""
    return translation.split_sequential(f"{gate}.mlp")[1]


def _experts(translation: Translation, number: int, experts: str, targets: str, activation: Any) -> Dict[str, Json]:
    return {
        f"{targets}.{i}": _mlp(translation, f"{experts}.{i}", f"{targets}.{i}", activation) for i in range(number)
    }


# ---------------------------------------------------------------- models


def _shared_bottom(translation: Translation, config: Configuration, activation: Any) -> Parts:
    bottom = _mlp(translation, "bottom", "shared.bottom", activation)
    return shared_bottom(bottom, tower=_towers(translation, config, activation)), config.tasks


def _omoe(translation: Translation, config: Configuration, activation: Any) -> Parts:
    number = count_experts(translation, "omoe_layer.experts.", _logit(translation, "omoe_layer.gate"))
    expert = translation.one(_experts(translation, number, "omoe_layer.experts", "level.0.expert", activation))
    gate = _gate(translation, "omoe_layer.gate", "level.0.shared.gate", activation)
    return omoe(number, expert, gate=gate, tower=_towers(translation, config, activation)), config.tasks


def _mmoe(translation: Translation, config: Configuration, activation: Any) -> Parts:
    number = count_experts(translation, "mmoe_layer.experts.", _logit(translation, "mmoe_layer.gate.0"))
    expert = translation.one(_experts(translation, number, "mmoe_layer.experts", "level.0.expert", activation))
    gate = translation.one({
        f'the gate of task "{task}"': _gate(translation, f"mmoe_layer.gate.{t}", f"level.0.task.{task}.gate", activation)
        for t, task in enumerate(config.task_names())
    })
    return mmoe(number, expert, gate=gate, tower=_towers(translation, config, activation)), config.tasks


def _levels(
    translation: Translation, config: Configuration, activation: Any, root: str, specific: int, shared: int
) -> Dict[str, Any]:
    """The level keys that PLE and STEM share, whose tensors have the same names. specific, shared: numbers of experts."""
    levels, tasks = count_levels(translation, f"{root}."), config.task_names()
    experts: Dict[str, Json] = {}
    gates: Dict[str, Json] = {}
    for j in range(levels):
        source, target = f"{root}.{j}", f"level.{j}"
        for t, task in enumerate(tasks):
            experts.update(_experts(
                translation, specific, f"{source}.specific_experts.{t}", f"{target}.task.{task}.expert", activation))
            gates[f"{target}.task.{task}"] = _gate(
                translation, f"{source}.gate.{t}", f"{target}.task.{task}.gate", activation)
        experts.update(_experts(translation, shared, f"{source}.shared_experts", f"{target}.shared.expert", activation))
        shared_gate = f"{source}.gate.{len(tasks)}"
        if j < levels - 1:
            gates[f"{target}.shared"] = _gate(translation, shared_gate, f"{target}.shared.gate", activation)
        else:
            translation.ignore_prefix(f"{shared_gate}.", "the shared gate of the last level, which nothing reads")
    return {
        "shared_expert_num": shared, "specific_expert_num": specific, "num_levels": levels,
        "expert": translation.one(experts), "gate": translation.one(gates), "tower": _towers(translation, config, activation),
    }


def _ple(translation: Translation, config: Configuration, activation: Any) -> Parts:
    level = "cgc_layers.0"
    shared = count_experts(translation, f"{level}.shared_experts.", _logit(translation, f"{level}.gate.{len(config.tasks)}"))
    specific = count_experts(translation, f"{level}.specific_experts.0.", _logit(translation, f"{level}.gate.0"), shared)
    return ple(**_levels(translation, config, activation, "cgc_layers", specific, shared), shared_gate="shared"), config.tasks


def _stem(translation: Translation, config: Configuration, activation: Any) -> Parts:
    """All gates weigh the experts of all tasks."""
    level = "stem_layers.0"
    specific = translation.checkpoint.count(f"{level}.specific_experts.0.")
    shared = count_experts(translation, f"{level}.shared_experts.", _logit(translation, f"{level}.gate.0"),
                           specific * len(config.tasks))
    return stem(**_levels(translation, config, activation, "stem_layers", specific, shared)), config.tasks


def _esmm(translation: Translation, config: Configuration, activation: Any) -> Parts:
    """Outputs ctr and ctcvr, in the order of the labels; cvr has the first tower and no output."""
    config.check_task_types("binary")
    ctr, ctcvr = config.task_names()
    cvr = config.reader.string("cvr_name", "cvr")
    towers = {task: _tower(translation, number, task, activation) for number, task in enumerate((cvr, ctr))}
    tasks = [binary(ctr), binary(cvr, hidden=True), product(ctcvr, of=[ctr, cvr])]
    return single_task(tower=translation.shared_tower(towers, tasks)), tasks


def _aitm(translation: Translation, config: Configuration, activation: Any) -> Parts:
    tasks = config.task_names()
    if len(tasks) < 2:
        raise ModelError("AITM has one task, expected a chain of at least two")
    bottom = translation.one({
        f'the bottom of task "{task}"': _mlp(translation, f"bottom.{t}", f"task.{task}.bottom", activation)
        for t, task in enumerate(tasks)
    })
    info = translation.one({
        f'the information for task "{task}"': translation.mlp([Layer(f"g.{t}")], f"task.{task}.info", "linear")
        for t, task in enumerate(tasks[1:])
    })
    for name, layer in (("h1", "value"), ("h2", "key"), ("h3", "query")):
        translation.linear(name, f"shared.attention.{layer}", bias=True, what=f"the attention's {layer}")
    towers = _towers(translation, config, activation)
    return aitm(bottom, info, attention=attention(bias=True, shared=True), tower=towers), config.tasks


# ---------------------------------------------------------------- libraries

_Models = Dict[str, Callable[[Translation, Configuration, Any], Parts]]

_FEATURES = "embedding_layer.embedding_layer."

# By what their names begin with, besides those of features and towers.
_MODELS: _Models = {"bottom.mlp.": _shared_bottom, "mmoe_layer.": _mmoe, "cgc_layers.": _ple}
_STEM_MODELS: _Models = {"omoe_layer.": _omoe, "stem_layers.": _stem, "h1.": _aitm}
_ALL: _Models = {**_MODELS, **_STEM_MODELS}


def _is_family(checkpoint: Checkpoint) -> bool:
    return checkpoint.has_prefix(_FEATURES) and checkpoint.has_prefix("tower.0.mlp.")


def _recognise_fuxictr(checkpoint: Checkpoint) -> bool:
    return _is_family(checkpoint) and any(checkpoint.has_prefix(prefix) for prefix in _MODELS)


def _is_esmm(checkpoint: Checkpoint) -> bool:
    """Nothing but features and two towers."""
    return checkpoint.count("tower.") == 2 and all(name.startswith((_FEATURES, "tower.")) for name in checkpoint)


def _recognise_stem(checkpoint: Checkpoint) -> bool:
    return _is_family(checkpoint) and (any(checkpoint.has_prefix(prefix) for prefix in _STEM_MODELS) or _is_esmm(checkpoint))


def _accept_stem(checkpoint: Checkpoint) -> bool:
    return _recognise_fuxictr(checkpoint) or _recognise_stem(checkpoint)


def _translate(title: str) -> Callable[[Translation, Configuration], Model]:
    def translate(translation: Translation, config: Configuration) -> Model:
        activation = _activation(config)
        config.check_task_types("binary", "regression")
        config.check_task_count(translation.checkpoint.count("tower."), "towers (tower)")
        translate_features(translation, config)
        model = next((function for prefix, function in _ALL.items() if translation.checkpoint.has_prefix(prefix)), _esmm)
        architecture, tasks = model(translation, config, activation)
        return translation.finish(config, architecture, tasks, library=title)

    return translate


_QUESTIONS = {"activation": "the activation of all hidden layers, or a list with one per layer (hidden_activations)"}

_FUXICTR_TITLE = "FuxiCTR"
_STEM_TITLE = "STEM"

FUXICTR = Library("fuxictr", _FUXICTR_TITLE, _recognise_fuxictr, _translate(_FUXICTR_TITLE), questions=_QUESTIONS)
STEM = Library(
    "stem", _STEM_TITLE, _recognise_stem, _translate(_STEM_TITLE), questions=_QUESTIONS,
    options={"cvr_name": 'ESMM: the name of the hidden task between ctr and ctcvr, "cvr" unless given'},
    accept=_accept_stem,
)
