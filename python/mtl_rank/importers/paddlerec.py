"""PaddleRec: share_bottom, mmoe, ple, esmm, escm2 and aitm of models/multitask, from rec.pdparams.

Read from PaddlePaddle/PaddleRec at 656326a. What differs from other libraries, and from what one would expect:

* Weights are (in, out). Experts, towers and the bottom have one layer each, always with relu; gates have a bias.
* A task's logit has two units under a softmax (but for aitm); its probability is the second.
* share_bottom, mmoe and ple read numbers, which the readers make by one-hot encoding: a sparse feature here is a one-hot one.
* ple reads expert i * task_num + j of its list where i * exp_per_task + j is meant, so that with exp_per_task other than
  task_num some experts serve two places and others none. Scores need the same mistake.
* esmm and escm2 have one table for all fields, whose id 0 is nothing, and add the rows of a field's ids.
* Probabilities are clipped to [1e-15, 1 - 1e-15], which in float32 is no more than keeping them from 0; that is not imported.
* Layers that are attributes of their model, too, are in the file under two names.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import numpy as np

from ..checkpoints import Checkpoint
from ..contract import aitm, binary, mmoe, ple, product, shared_bottom, single_task
from ..errors import ModelError
from ..model import Model
from .configuration import Configuration, Json
from .experts import count_experts, count_layers, count_levels
from .library import Library
from .translation import PADDLE, Layer, Translation

TITLE = "PaddleRec"

MAX_ONE_HOT = 4_096
TABLE = "ids"        # of esmm and escm2, unless the configuration calls it otherwise

AITM_LAYERS = (0, 3, 6)     # of a tower's Sequential: always three, each with an activation and a dropout

KINDS_OF_NUMBERS = {"dense": "columns of the input", "sparse": "one-hot columns of the input"}
KINDS_OF_FIELDS = {"sequence": "a field of several ids", "sparse": "a field of one id"}
KINDS_OF_IDS = {"sparse": "a field"}


# ---------------------------------------------------------------- features


def _numbers(translation: Translation, config: Configuration) -> None:
    """Features of models that read one vector: numbers, and one-hot columns, which are rows of an identity matrix."""
    config.check_kinds(KINDS_OF_NUMBERS)
    for feature in config.of_kind("sparse"):
        name, size = feature["name"], feature.get("vocabulary_size")
        if not isinstance(size, int) or not 1 <= size <= MAX_ONE_HOT:
            raise ModelError(f'feature "{name}" is one-hot, so its "vocabulary_size" must say how many columns it has, '
                             f"1 to {MAX_ONE_HOT}")
        feature.setdefault("lookup", {"type": "index"})
        feature.setdefault("oov", "zero")
        translation.put(f"embedding.{feature.get('embedding', name)}.weight", np.eye(size))


def _fields(translation: Translation, config: Configuration) -> None:
    """Features of models with one table, which gives zeros for id 0 whatever the table has there."""
    config.check_kinds(KINDS_OF_FIELDS)
    for kind in KINDS_OF_FIELDS:
        config.set_default(kind, lookup={"type": "index"}, embedding=TABLE)
    config.set_default("sequence", padding=0, combiner="sum")
    for feature in config.of_kind("sequence"):
        if feature["combiner"] != "sum":
            raise ModelError(f'feature "{feature["name"]}" has the combiner {feature["combiner"]!r}, the library adds: "sum"')
    tables = {feature["embedding"] for feature in config.features}
    if len(tables) > 1:
        raise ModelError(f'"features" have the embeddings {", ".join(map(repr, sorted(tables)))}, the library has one for all')
    table = translation.take("embedding.weight", "the table of all fields")
    if table is not None:
        table = np.array(table)
        table[0] = 0
    translation.put(f"embedding.{tables.pop()}.weight", table)


def _tables(translation: Translation, config: Configuration) -> None:
    """Features of aitm: a table each, in the order of feature_vocabulary."""
    config.check_kinds(KINDS_OF_IDS)
    config.set_default("sparse", lookup={"type": "index"})
    tables = translation.checkpoint.count("embedding_dict.")
    if tables != len(config.features):
        raise ModelError(f'"features" has {len(config.features)} features, the checkpoint has {tables} tables (embedding_dict)')
    for i, feature in enumerate(config.features):
        if feature.setdefault("embedding", feature["name"]) != feature["name"]:
            raise ModelError(f'feature "{feature["name"]}" has the embedding "{feature["embedding"]}", '
                             f"the library has a table each")
        translation.copy(f"embedding_dict.{i}.weight", f"embedding.{feature['name']}.weight",
                         f'the embedding of feature "{feature["name"]}"')


# ---------------------------------------------------------------- layers


def _layer(translation: Translation, name: str, target: str, what: str) -> Json:
    return translation.mlp([Layer(name)], target, "relu", what)


def _towers(translation: Translation, tasks: Dict[str, int]) -> Dict[str, Json]:
    """Of tower_0, ... and tower_out_0, ...; tasks: name -> number."""
    return {
        task: translation.tower([Layer(f"tower_{t}")], f"tower_out_{t}", task, "relu", what=f'the tower of task "{task}"')
        for task, t in tasks.items()
    }


def _gate(translation: Translation, name: str, target: str) -> Json:
    return translation.gate([], name, target, "relu", what=f'the gate "{target}"')


def _softmax_tasks(config: Configuration, count: int) -> Dict[str, int]:
    """All tasks have a tower and a logit of two units; their numbers by name."""
    config.check_task_types("binary")
    config.check_task_count(count, "towers (tower_out)")
    for task in config.tasks:
        task["head"] = "softmax"
    return {task: t for t, task in enumerate(config.task_names())}


def _ignore_second_name(translation: Translation, first: str, second: str) -> None:
    """A layer that is an attribute and was added by name, too. If they differ, both are reported as they are."""
    tensors = translation.checkpoint.tensors
    for part in (f".{PADDLE.weight}", f".{PADDLE.bias}"):
        if first + part in tensors and np.array_equal(tensors[first + part], tensors.get(second + part)):
            translation.ignore([second + part], "the same tensor under a second name")


# ---------------------------------------------------------------- models


def _shared_bottom(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    _numbers(translation, config)
    _ignore_second_name(translation, "bottom", "_param_bottom")
    bottom = _layer(translation, "bottom", "shared.bottom", "the bottom")
    towers = _towers(translation, _softmax_tasks(config, translation.checkpoint.count("tower_out_")))
    return shared_bottom(bottom, tower=translation.shared_tower(towers, config.tasks)), config.tasks


def _mixture(translation: Translation, tasks: Dict[str, int], specifications: List[Json]) -> Json:
    """expert_0, ..., gate_0, ... and towers."""
    experts = count_experts(translation, "expert_", "gate_0")
    expert = translation.one({
        f"expert {i}": _layer(translation, f"expert_{i}", f"level.0.expert.{i}", f"expert {i}") for i in range(experts)
    })
    gate = translation.one({
        f'the gate of task "{task}"': _gate(translation, f"gate_{t}", f"level.0.task.{task}.gate") for task, t in tasks.items()
    })
    towers = _towers(translation, tasks)
    return mmoe(experts, expert, gate=gate, tower=translation.shared_tower(towers, specifications))


def _mmoe(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    _numbers(translation, config)
    tasks = _softmax_tasks(config, translation.checkpoint.count("tower_out_"))
    return _mixture(translation, tasks, config.tasks), config.tasks


def _ple(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    _numbers(translation, config)
    checkpoint = translation.checkpoint
    numbers = _softmax_tasks(config, checkpoint.count("tower_out_"))
    tasks = list(numbers)
    levels = count_levels(translation, "lev_")
    shared = checkpoint.count("lev_0.lev_0_exp_shared_")
    specific = count_experts(translation, "lev_0.lev_0_exp_0_", "lev_0.lev_0_gate_0", shared)
    if specific < 1 or not shared:
        raise ModelError(f"{checkpoint.source}: ple has {specific} experts per task and {shared} shared ones, "
                         f"expected some of both")
    experts, gates = {}, {}
    for j in range(levels):
        level = f"lev_{j}.lev_{j}"
        sources = [f"{level}_exp_{t}_{i}" for t in range(len(tasks)) for i in range(specific)]
        sources += [f"{level}_exp_shared_{k}" for k in range(shared)]
        # Where the library reads: see the top of this file.
        places = {f"level.{j}.task.{task}.expert.{i}": _misplaced(t * len(tasks) + i, sources)
                  for t, task in enumerate(tasks) for i in range(specific)}
        places.update({f"level.{j}.shared.expert.{k}": f"{level}_exp_shared_{k}" for k in range(shared)})
        for target, source in places.items():
            experts[target] = _layer(translation, source, target, f'the expert "{target}"')
        read = set(places.values())
        for source in [source for source in sources if source not in read]:
            translation.ignore_prefix(f"{source}.", "an expert that the library makes and never reads")
        for task, t in numbers.items():
            gates[f"level.{j}.task.{task}.gate"] = f"{level}_gate_{t}"
        if j < levels - 1:
            gates[f"level.{j}.shared.gate"] = f"{level}_gate_shared_"
            _ignore_second_name(translation, f"{level}_gate_shared_", f"lev_{j}._param_gate_shared")
    gate = translation.one({target: _gate(translation, source, target) for target, source in gates.items()})
    towers = _towers(translation, numbers)
    architecture = ple(shared, specific, translation.one(experts), gate=gate, num_levels=levels,
                       tower=translation.shared_tower(towers, config.tasks))
    return architecture, config.tasks


def _misplaced(position: int, sources: List[str]) -> str:
    if position >= len(sources):
        raise ModelError(f"ple reads expert {position} of a list of {len(sources)}, so the library itself fails with these "
                         f"numbers of tasks and experts")
    return sources[position]


def _click_tasks(config: Configuration, counts: Tuple[int, ...]) -> List[Json]:
    """ctr, cvr, ctcvr, and what may come after them: the last of the three is the product of the others."""
    config.check_task_types("binary")
    if len(config.tasks) not in counts:
        raise ModelError(f'"tasks" has {len(config.tasks)} tasks, expected {" or ".join(map(str, counts))}: '
                         f'the outputs, such as "ctr", "cvr" and "ctcvr"')
    ctr, cvr, ctcvr, *more = config.task_names()
    return [binary(ctr, head="softmax"), binary(cvr, head="softmax"), product(ctcvr, of=[ctr, cvr]),
            *(binary(name, head="softmax") for name in more)]


def _esmm(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    """linear_0, ... are the layers of ctr, and then those of cvr."""
    _fields(translation, config)
    tasks = _click_tasks(config, (3,))
    layers = [f"linear_{i}" for i in range(count_layers(translation, "linear_"))]
    second = _second_tower(translation, layers)
    towers = {}
    for task, part in ((tasks[0]["name"], layers[:second]), (tasks[1]["name"], layers[second:])):
        towers[task] = translation.tower([Layer(name) for name in part[:-1]], part[-1], task, "relu",
                                         what=f'the tower of task "{task}"')
    return single_task(tower=translation.shared_tower(towers, tasks)), tasks


def _second_tower(translation: Translation, layers: List[str]) -> int:
    """Which layer is the first of cvr: the one before it has the two units of a head, and it reads what layer 0 reads."""
    sizes = [(translation.inputs(name), translation.units(name)) for name in layers]
    lost = [f'tensor "{name}.weight" is missing' for name, (_, units) in zip(layers, sizes) if units == 0]
    if lost:
        raise ModelError(f"{translation.checkpoint.source}: {', '.join(lost)}, so the towers cannot be told apart")
    fits = lambda part: all(after[0] == before[1] for before, after in zip(part, part[1:])) and part[-1][1] == 2
    found = [i for i in range(1, len(layers)) if sizes[i][0] == sizes[0][0] and fits(sizes[:i]) and fits(sizes[i:])]
    if len(found) != 1:
        raise ModelError(f"{translation.checkpoint.source}: the layers linear_0, ... have the inputs and units {sizes}, which "
                         f"make two towers with two outputs each in {len(found)} ways, expected one")
    return found[0]


def _escm2(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    """An mmoe of ctr and cvr; in the mode DR with a third tower, the imputed loss, which only the training reads."""
    _fields(translation, config)
    towers = translation.checkpoint.count("tower_out_")
    if towers not in (2, 3):
        raise ModelError(f"{translation.checkpoint.source}: escm2 has {towers} towers, expected 2 or 3")
    tasks = _click_tasks(config, (3, 4) if towers == 3 else (3,))
    numbers = {tasks[0]["name"]: 0, tasks[1]["name"]: 1}
    if len(tasks) == 4:
        numbers[tasks[3]["name"]] = 2
    elif towers == 3:
        for name in ("gate_2", "tower_2", "tower_out_2"):
            translation.ignore_prefix(f"{name}.", "of the imputed loss, which only the training reads")
    return _mixture(translation, numbers, tasks), tasks


def _aitm(translation: Translation, config: Configuration) -> Tuple[Json, List[Json]]:
    """Two tasks, click and conversion; heads of one unit."""
    _tables(translation, config)
    config.check_task_types("binary")
    config.check_task_count(2, 'outputs, such as "click" and "conversion"')
    bottoms, towers = {}, {}
    for task, part in zip(config.task_names(), ("click", "conversion")):
        what = f'the tower of task "{task}"'
        layers = [Layer(f"{part}_tower.layer.{n}") for n in AITM_LAYERS]
        bottoms[what] = translation.mlp(layers, f"task.{task}.bottom", "relu", what)
        towers[task] = translation.tower([], f"{part}_layer.0", task, "relu", what=what)
    last = config.task_names()[1]
    info = translation.mlp([Layer("info_layer.0")], f"task.{last}.info", "relu", "the information that is passed on")
    for letter, target in (("q", "query"), ("k", "key"), ("v", "value")):
        translation.linear(f"attention_layer.{letter}_layer", f"task.{last}.attention.{target}", bias=False, what="the attention")
    architecture = aitm(translation.one(bottoms), info, tower=translation.shared_tower(towers, config.tasks))
    return architecture, config.tasks


Translator = Callable[[Translation, Configuration], Tuple[Json, List[Json]]]

# Each with names that together only it has; in the order in which they are looked for.
_MODELS: Tuple[Tuple[Tuple[str, ...], Translator], ...] = (
    (("lev_0.lev_0_exp_", "tower_out_0."), _ple),
    (("embedding.weight", "expert_0.", "tower_out_0."), _escm2),
    (("expert_0.", "gate_0.", "tower_out_0."), _mmoe),
    (("bottom.", "tower_out_0."), _shared_bottom),
    (("embedding.weight", "linear_0.", "linear_1."), _esmm),
    (("click_tower.layer.", "conversion_tower.layer.", "attention_layer."), _aitm),
)


def _model(checkpoint: Checkpoint) -> Any:
    return next((translate for names, translate in _MODELS if all(map(checkpoint.has_prefix, names))), None)


def _recognise(checkpoint: Checkpoint) -> bool:
    return _model(checkpoint) is not None


def _translate(translation: Translation, config: Configuration) -> Model:
    translation.naming = PADDLE
    architecture, tasks = _model(translation.checkpoint)(translation, config)
    return translation.finish(config, architecture, tasks, library=TITLE)


LIBRARY = Library("paddlerec", TITLE, _recognise, _translate)
