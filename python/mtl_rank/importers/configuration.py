"""The configuration of an import: what the shapes of tensors cannot tell.

Common to all libraries are "features" and "tasks", and, if wanted, "library", "vocabularies", "context", "rank", "tolerance"
and "provenance". Features are written as in a contract; an importer fills in what its library always does.
"""

from __future__ import annotations

import copy
from typing import Any, Dict, List, Mapping, Optional

from ..errors import ModelError
from ..reader import Reader, as_string, quoted

Json = Dict[str, Any]

COMMON_QUESTIONS = {
    "features": "the features in the order of the library's feature list, each with name and kind as in a contract",
    "tasks": 'the tasks in the library\'s order, each with its name and its type ("binary" or "regression")',
}
COMMON_OPTIONS = {
    "library": "the library's name, if it should not be recognised",
    "vocabularies": "table -> list of its entries, for features with a vocabulary lookup",
    "context": "names of the features that describe what candidates are ranked for, as in a contract",
    "rank": "the value formula, as in a contract",
    "tolerance": "how far an example's score may be from the library's, 1e-6 unless given",
    "provenance": "any object; stored with the model",
}
EXTRAS = ("vocabularies", "context", "rank", "tolerance", "provenance")


class Configuration:
    """Strict: keys that the library does not know, and those that are lacking, are errors, all of them at once."""

    def __init__(self, value: Mapping[str, Any], questions: Mapping[str, str], options: Mapping[str, str]):
        if not isinstance(value, dict):
            raise ModelError("the configuration must be an object")
        needed = {**COMMON_QUESTIONS, **questions}
        known = {**needed, **COMMON_OPTIONS, **options}
        lacking = [f'"{key}": {meaning}' for key, meaning in needed.items() if value.get(key) is None]
        if lacking:
            raise ModelError("the configuration lacks what the checkpoint cannot tell:\n  " + "\n  ".join(lacking))
        unknown = [key for key in value if key not in known]
        if unknown:
            raise ModelError(f"the configuration has the unknown key {quoted(unknown)}, known are {quoted(list(known))}")
        self.reader = Reader(copy.deepcopy(value), "")
        self.features: List[Json] = self._objects("features")
        self.tasks: List[Json] = self._objects("tasks")

    def _objects(self, key: str) -> List[Json]:
        values = self.reader.array(key)
        for i, value in enumerate(values):
            if not isinstance(value, dict) or not isinstance(value.get("name"), str):
                raise ModelError(f'"{key}[{i}]" must be an object with a "name"')
        if not values:
            raise ModelError(f'"{key}" is empty')
        return values

    # ------------------------------------------------------------ features

    def set_default(self, kind: str, **defaults: Any) -> None:
        """Fills in what all features of a kind have in this library, where the configuration does not say it."""
        for feature in self.features:
            if feature.get("kind") == kind:
                for key, value in defaults.items():
                    feature.setdefault(key, value)

    def of_kind(self, *kinds: str) -> List[Json]:
        """The features of these kinds, in declared order."""
        return [feature for feature in self.features if feature.get("kind") in kinds]

    def check_kinds(self, kinds: Mapping[str, str]) -> None:
        """Error for a feature of a kind that the library has not; kinds: kind -> what the library calls it."""
        for feature in self.features:
            if not isinstance(feature.get("kind"), str) or feature["kind"] not in kinds:
                raise ModelError(
                    f'feature "{feature["name"]}" has the kind {feature.get("kind")!r}, this library has '
                    + ", ".join(f'"{kind}" ({title})' for kind, title in kinds.items())
                )

    # ------------------------------------------------------------ tasks

    def check_task_types(self, *types: str) -> None:
        for task in self.tasks:
            if task.get("type") not in types:
                raise ModelError(f'task "{task["name"]}" has the type {task.get("type")!r}, expected one of {quoted(types)}')

    def check_task_count(self, count: int, of_what: str) -> None:
        if len(self.tasks) != count:
            raise ModelError(f'"tasks" has {len(self.tasks)} tasks, the checkpoint has {count} {of_what}')

    def task_names(self) -> List[str]:
        return [task["name"] for task in self.tasks]

    # ------------------------------------------------------------ the rest

    def activation(self, allowed: Mapping[str, Any], key: str = "activation") -> Any:
        """The contract's activation for the library's name of it; allowed: that name -> the contract's."""
        name = as_string(self.reader.get(key), key).lower()
        if name not in allowed:
            raise ModelError(f'"{key}" is "{name}", this library has {quoted(list(allowed))}')
        return allowed[name]

    def extra(self, key: str, default: Any = None) -> Any:
        return self.reader.get(key, default)

    @property
    def vocabularies(self) -> Dict[str, Any]:
        reader: Optional[Reader] = self.reader.object("vocabularies", None)
        return {} if reader is None else reader.value
