"""Architectures: the tensors that each calls for, one function per type.

A function reads its keys, adds its tensors, and returns for each task the size of what the task's tower reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Tuple

from .errors import ModelError
from .expected import ExpectedTensors, Size, total
from .layers import Gate, Mlp, Tower, expect_layer
from .reader import MAX_WIDTH, Reader, as_integer, as_string, quoted
from .tasks import Task

MAX_EXPERTS = 1_024
MAX_LEVELS = 64

Widths = Dict[str, Size]       # task -> numbers in the vector


@dataclass
class Input:
    """The vectors that make x, in any order: feature -> numbers."""

    vectors: Dict[str, Size]

    @property
    def width(self) -> Size:
        return total(list(self.vectors.values()))


def _mlp(reader: Reader, key: str) -> Mlp:
    nested = reader.object(key)
    assert nested is not None
    return Mlp(nested)


def _gate(reader: Reader) -> Gate:
    nested = reader.object("gate", {})
    assert nested is not None
    return Gate(nested)


def _single_task(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    return {t: x.width for t in tasks}


def _shared_bottom(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    width = _mlp(reader, "bottom").expect(expected, "shared.bottom", x.width)
    return {t: width for t in tasks}


def _customized_sharing(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    bottom = _mlp(reader, "bottom")
    own = reader.object("shared_bottom", None)
    reader.choice("order", ("specific_first", "shared_first"), "specific_first")
    shared = (bottom if own is None else Mlp(own)).expect(expected, "shared.bottom", x.width)
    return {t: total([bottom.expect(expected, f"task.{t}.bottom", x.width), shared]) for t in tasks}


def _task_list(reader: Reader, key: str, tasks: List[str], task: str) -> List[str]:
    """The tasks that a task reads besides itself."""
    path = reader.key_path(key)
    names = [as_string(name, path) for name in reader.array(key, [])]
    for name in names:
        if name not in tasks:
            raise ModelError(f'"{path}" names "{name}", the tasks with a tower are {quoted(tasks)}')
        if name == task or names.count(name) > 1:
            raise ModelError(f'"{path}" names "{name}", a task reads its own vector once and another\'s at most once')
    return names


def _asymmetric_sharing(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    bottom = _mlp(reader, "bottom")
    concat = reader.choice("fusion", ("concat", "sum", "average"), "concat") == "concat"
    reads = reader.object("reads", {})
    assert reads is not None
    sources = {t: _task_list(reads, t, tasks, t) for t in tasks}
    reads.close()
    width = {t: bottom.expect(expected, f"task.{t}.bottom", x.width) for t in tasks}
    return {t: total([width[t]] + [width[s] for s in sources[t]]) if concat else width[t] for t in tasks}


def _columns(column: Mlp, tasks: List[str], expected: ExpectedTensors, x: Size) -> Size:
    """One MLP per task; returns the size of their outputs."""
    width = x
    for t in tasks:
        width = column.expect(expected, f"task.{t}.column", x)
    return width


def _cross_stitch(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    column = _mlp(reader, "column")
    layers = len(column.hidden_units)
    path = reader.key_path("stitch_after")
    after = [as_integer(l, path, 0, layers - 1) for l in reader.array("stitch_after", list(range(layers)))]
    if len(set(after)) != len(after):
        raise ModelError(f'"{path}" names a layer twice')
    per_unit = reader.choice("stitch", ("scalar", "per_unit"), "scalar") == "per_unit"
    width = _columns(column, tasks, expected, x.width)
    for l in sorted(after):
        shape = (len(tasks), len(tasks))
        expected.add(f"stitch.{l}.weight", shape + (column.hidden_units[l],) if per_unit else shape)
    return {t: width for t in tasks}


def _sluice(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    column = _mlp(reader, "column")
    subspaces = reader.integer("subspaces", 1, MAX_WIDTH, 2)
    skip = reader.boolean("skip", True)
    sizes = column.hidden_units
    if not sizes:
        raise ModelError(f'"{reader.key_path("column")}.hidden_units" is empty, a sluice network needs a layer')
    for l, units in enumerate(sizes):
        if units % subspaces:
            raise ModelError(f'"{reader.key_path("column")}": layer {l} of {units} units cannot be cut '
                             f"in {subspaces} equal slices")
    if skip and len(set(sizes)) > 1:
        raise ModelError(f'"{reader.key_path("skip")}" needs layers of one size, found {sizes}')

    width = _columns(column, tasks, expected, x.width)
    slices = len(tasks) * subspaces
    for l in range(len(sizes)):
        expected.add(f"stitch.{l}.weight", (slices, slices))
    if skip:
        expected.add("skip.weight", (len(tasks), len(sizes)))
    return {t: width for t in tasks}


# ---------------------------------------------------------------- levels


def _levels(reader: Reader, several: bool = True) -> List[Reader]:
    """A reader per level: of the objects in the list, or of the architecture itself, num_levels times."""
    levels = reader.array("levels", None) if several else None
    if levels is None:
        return [reader] * (reader.integer("num_levels", 1, MAX_LEVELS, 1) if several else 1)
    path = reader.key_path("levels")
    if not 1 <= len(levels) <= MAX_LEVELS:
        raise ModelError(f'"{path}" has {len(levels)} levels, expected 1 to {MAX_LEVELS}')
    return [Reader(value, f"{path}.{j}") for j, value in enumerate(levels)]


def _close_levels(levels: List[Reader], architecture: Reader) -> None:
    for level in levels:
        if level is not architecture:
            level.close()


def _gates_read_raw(level: Reader) -> bool:
    return level.choice("gate_input", ("level", "raw"), "level") == "raw"


def _mixes_per_task(level: Reader, last: bool, listed: bool) -> bool:
    """Of a level of mmoe, whose last one always does."""
    mix = level.choice("mix", ("task", "shared"), "task" if last else "shared")
    if last and listed and mix == "shared":
        raise ModelError(f'"{level.key_path("mix")}" is "shared" on the last level, expected "task"')
    return last or mix == "task"


def _mixture(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    """omoe and mmoe."""
    levels = _levels(reader)
    width, was_per_task = x.width, False
    for j, level in enumerate(levels):
        num_experts, expert, gate = level.integer("num_experts", 1, MAX_EXPERTS), _mlp(level, "expert"), _gate(level)
        per_task = reader.get("type") == "mmoe" and _mixes_per_task(level, j == len(levels) - 1, level is not reader)
        if was_per_task and not per_task:
            raise ModelError(f'"{level.key_path("mix")}" is "shared" after a level with "task"')
        was_per_task = per_task

        read = width
        gate_read = x.width if _gates_read_raw(level) else read
        for i in range(num_experts):
            width = expert.expect(expected, f"level.{j}.expert.{i}", read)
        for owner in [f"task.{t}" for t in tasks] if per_task else ["shared"]:
            gate.expect_gate(expected, f"level.{j}.{owner}.gate", gate_read, num_experts)
    _close_levels(levels, reader)
    return {t: width for t in tasks}


def _specific_expert_num(level: Reader, tasks: List[str]) -> Dict[str, int]:
    path = level.key_path("specific_expert_num")
    value = level.get("specific_expert_num")
    if not isinstance(value, list):
        return dict.fromkeys(tasks, level.integer("specific_expert_num", 0, MAX_EXPERTS))
    if len(value) != len(tasks):
        raise ModelError(f'"{path}" has {len(value)} numbers, expected one for each of {len(tasks)} tasks')
    return {t: as_integer(n, path, 0, MAX_EXPERTS) for t, n in zip(tasks, value)}


def _extraction_experts(
    level: Reader, tasks: List[str], expected: ExpectedTensors, j: int, read: Size
) -> Tuple[Dict[str, int], int, Size]:
    """Of level `j`: how many experts each task has, how many are shared, and the size of their output."""
    expert = _mlp(level, "expert")
    specific, shared = _specific_expert_num(level, tasks), level.integer("shared_expert_num", 0, MAX_EXPERTS)
    number = sum(specific.values()) + shared
    if number > MAX_EXPERTS:
        raise ModelError(f"level {j} has {number} experts, the limit is {MAX_EXPERTS}")
    for t in tasks:
        for i in range(specific[t]):
            expert.expect(expected, f"level.{j}.task.{t}.expert.{i}", read)
    for i in range(shared):
        expert.expect(expected, f"level.{j}.shared.expert.{i}", read)
    return specific, shared, expert.width(read)


def _extraction_gates(level: Reader, expected: ExpectedTensors, read: Size, gates: Dict[str, int]) -> None:
    """`gates`: prefix -> number of experts."""
    gate = _gate(level)
    for name, experts in gates.items():
        if experts == 0:
            raise ModelError(f'gate "{name}" has no experts')
        gate.expect_gate(expected, name, read, experts)


def _extraction(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    """cgc and ple."""
    levels = _levels(reader, several=reader.get("type") == "ple")
    width = x.width
    for j, level in enumerate(levels):
        level.choice("expert_order", ("specific_first", "shared_first"), "specific_first")
        shared_gate_over_all = level.choice("shared_gate", ("all", "shared"), "all") == "all"
        gate_read = x.width if _gates_read_raw(level) else width
        specific, shared, width = _extraction_experts(level, tasks, expected, j, width)
        gates = {f"level.{j}.task.{t}.gate": specific[t] + shared for t in tasks}
        if j < len(levels) - 1:
            gates[f"level.{j}.shared.gate"] = sum(specific.values()) + shared if shared_gate_over_all else shared
        _extraction_gates(level, expected, gate_read, gates)
    _close_levels(levels, reader)
    return {t: width for t in tasks}


def _stem(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    slices = len(tasks) + 1
    for name, size in x.vectors.items():
        if size is not None and size % slices:
            raise ModelError(f'the vector of feature "{name}" has {size} numbers, expected a multiple of {slices}: '
                             f"a slice for each of {len(tasks)} tasks and a shared one")
    levels = _levels(reader)
    width = None if x.width is None else x.width // slices
    for j, level in enumerate(levels):
        gate_read = width
        specific, shared, width = _extraction_experts(level, tasks, expected, j, width)
        owners = [f"task.{t}" for t in tasks] + (["shared"] if j < len(levels) - 1 else [])
        _extraction_gates(level, expected, gate_read,
                          {f"level.{j}.{owner}.gate": sum(specific.values()) + shared for owner in owners})
    _close_levels(levels, reader)
    return {t: width for t in tasks}


# ---------------------------------------------------------------- chains of tasks


def _aitm(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    bottom, info = _mlp(reader, "bottom"), _mlp(reader, "info")
    attention = reader.object("attention", {})
    assert attention is not None
    bias, shared = attention.boolean("bias", False), attention.boolean("shared", False)
    attention.close()

    width = bottom.width(x.width)
    if width is not None and info.width(width) != width:
        raise ModelError(f'"{reader.key_path("info")}" ends with {info.width(width)} units, '
                         f'expected {width} as "{reader.key_path("bottom")}" has')
    for t in tasks:
        bottom.expect(expected, f"task.{t}.bottom", x.width)
    for t in tasks[1:]:
        info.expect(expected, f"task.{t}.info", width)
        for layer in ("query", "key", "value"):
            prefix = "shared.attention" if shared else f"task.{t}.attention"
            expect_layer(expected, f"{prefix}.{layer}", width, width, bias)
    return {t: width for t in tasks}


def _dbmtl(reader: Reader, tasks: List[str], expected: ExpectedTensors, x: Input) -> Widths:
    bottom = reader.object("bottom", None)
    width = x.width if bottom is None else Mlp(bottom).expect(expected, "shared.bottom", x.width)
    if reader.get("num_experts") is not None:
        num_experts, expert, gate = reader.integer("num_experts", 1, MAX_EXPERTS), _mlp(reader, "expert"), _gate(reader)
        gate_read = x.width if _gates_read_raw(reader) else width
        for t in tasks:
            gate.expect_gate(expected, f"level.0.task.{t}.gate", gate_read, num_experts)
        for i in range(num_experts):
            expert.expect(expected, f"level.0.expert.{i}", width)
        width = expert.width(width)

    widths = dict.fromkeys(tasks, width)
    mlps, relations = reader.object("mlps", {}), reader.object("relations", {})
    assert mlps is not None and relations is not None
    for t in tasks:
        mlp = mlps.object(t, None)
        if mlp is not None:
            widths[t] = Mlp(mlp).expect(expected, f"task.{t}.mlp", width)
    mlps.close()
    for i, t in enumerate(tasks):
        relation = relations.object(t, None)
        if relation is None:
            continue
        sources = _task_list(relation, "reads", tasks, t)
        for s in sources:
            if s not in tasks[:i]:
                raise ModelError(f'"{relation.key_path("reads")}" names task "{s}", which is not declared before "{t}"')
        widths[t] = Mlp(relation).expect(expected, f"task.{t}.relation", total([widths[s] for s in [t] + sources]))
    relations.close()
    return widths


ARCHITECTURES: Dict[str, Callable[[Reader, List[str], ExpectedTensors, Input], Widths]] = {
    "single_task": _single_task,
    "shared_bottom": _shared_bottom,
    "cross_stitch": _cross_stitch,
    "sluice": _sluice,
    "omoe": _mixture,
    "mmoe": _mixture,
    "asymmetric_sharing": _asymmetric_sharing,
    "customized_sharing": _customized_sharing,
    "cgc": _extraction,
    "ple": _extraction,
    "stem": _stem,
    "aitm": _aitm,
    "dbmtl": _dbmtl,
}


def expect_network(architecture: Reader, tasks: List[Task], expected: ExpectedTensors, vectors: Dict[str, Size]) -> None:
    """The tensors of the whole network; `vectors` are the sizes of the features' vectors."""
    kind = architecture.choice("type", list(ARCHITECTURES))
    default = architecture.object("tower", {})
    assert default is not None
    default_tower = Tower(default)
    with_tower = [task for task in tasks if task.type != "product"]

    widths = ARCHITECTURES[kind](architecture, [task.name for task in with_tower], expected, Input(vectors))
    architecture.close()
    for task in with_tower:
        (task.tower or default_tower).expect_tower(expected, task.name, widths[task.name], task.units)
