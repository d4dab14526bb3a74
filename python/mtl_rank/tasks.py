"""Tasks, outputs and the value formula of a contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Optional

from .errors import ModelError
from .layers import Tower
from .reader import REQUIRED, Reader, as_number, as_string, check_distinct, quoted

MAX_TASKS = 1_000
MAX_OUTPUTS = 1_000
MAX_EXAMPLES = 100_000

TYPES = ("binary", "regression", "multiclass", "product")


@dataclass
class Task:
    name: str
    type: str
    hidden: bool
    units: int                 # of the tower's last layer; 0 for a product
    classes: List[str]         # multiclass
    tower: Optional[Tower]     # the task's own

    @property
    def outputs(self) -> List[str]:
        if self.hidden:
            return []
        return [f"{self.name}.{c}" for c in self.classes] if self.type == "multiclass" else [self.name]


def _read_classes(reader: Reader, name: str) -> List[str]:
    path = reader.key_path("classes")
    classes: Any = reader.array("classes", None)
    count = reader.integer("num_classes", 2, MAX_OUTPUTS, REQUIRED if classes is None else len(classes))
    if classes is None:
        return [str(i) for i in range(count)]
    if len(classes) != count:
        raise ModelError(f'multiclass task "{name}" has {len(classes)} names in "classes" and num_classes {count}')
    if not 2 <= count <= MAX_OUTPUTS:
        raise ModelError(f'multiclass task "{name}" has {count} classes, expected 2 to {MAX_OUTPUTS}')
    classes = [as_string(c, path) for c in classes]
    check_distinct(classes, f'class of task "{name}"')
    return classes


def _check_factors(reader: Reader, name: str, earlier: List[Task]) -> None:
    path = reader.key_path("of")
    factors = [as_string(f, path) for f in reader.array("of")]
    if len(factors) < 2:
        raise ModelError(f'"{path}" has {len(factors)} tasks, expected at least 2')
    types = {task.name: task.type for task in earlier}
    for factor in factors:
        if factor not in types:
            raise ModelError(f'product "{name}" names "{factor}", which is no task declared before it')
        if types[factor] == "multiclass":
            raise ModelError(f'product "{name}" names the multiclass task "{factor}"')


def _read_task(reader: Reader, earlier: List[Task]) -> Task:
    name = reader.name("name")
    task = Task(name, reader.choice("type", TYPES), reader.boolean("hidden", False), 1, [], None)
    if task.type == "product":
        task.units = 0
        _check_factors(reader, name, earlier)
    else:
        tower = reader.object("tower", None)
        task.tower = None if tower is None else Tower(tower)
    if task.type == "binary" and reader.choice("head", ("sigmoid", "softmax"), "sigmoid") == "softmax":
        task.units = 2
    if task.type == "multiclass":
        task.classes = _read_classes(reader, name)
        task.units = len(task.classes)
    reader.close()
    return task


def read_tasks(contract: Reader) -> List[Task]:
    values = contract.array("tasks")
    if not 1 <= len(values) <= MAX_TASKS:
        raise ModelError(f"{len(values)} tasks, expected 1 to {MAX_TASKS}")
    tasks: List[Task] = []
    for i, value in enumerate(values):
        tasks.append(_read_task(Reader(value, f"tasks.{i}"), tasks))
    check_distinct([task.name for task in tasks], "task")

    outputs = output_names(tasks)
    if not 1 <= len(outputs) <= MAX_OUTPUTS:
        raise ModelError(f"{len(outputs)} outputs, expected 1 to {MAX_OUTPUTS}")
    check_distinct(outputs, "output")
    return tasks


def output_names(tasks: List[Task]) -> List[str]:
    return [output for task in tasks for output in task.outputs]


def check_rank(contract: Reader, outputs: List[str]) -> None:
    rank = contract.object("rank", None)
    if rank is None:
        return
    rank.choice("form", ("sum", "product"), "sum")
    weights = rank.object("weights")
    assert weights is not None
    if not weights.value:
        raise ModelError(f'"{weights.path}" is empty, give a weight to at least one of {quoted(outputs)}')
    for name, weight in weights.value.items():
        if name not in outputs:
            raise ModelError(f'"{weights.path}" names "{name}", the outputs are {quoted(outputs)}')
        as_number(weight, weights.key_path(name))
    rank.close()


def read_example_count(contract: Reader) -> int:
    """The number of examples, 0 if there are none."""
    examples = contract.object("examples", None)
    if examples is None:
        return 0
    count = examples.integer("count", 1, MAX_EXAMPLES)
    tolerance = examples.number("tolerance", 1e-6)
    if tolerance < 0:
        raise ModelError(f'"{examples.key_path("tolerance")}" is {tolerance}, expected 0 or more')
    examples.close()
    return count
