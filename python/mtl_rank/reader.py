"""Strict reading of JSON objects: every key must be known and of its type.

A reader remembers the keys it was asked for, and close() refuses the rest. null reads as an absent key. Errors name the
place by its path ("architecture.expert.bias").
"""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Sequence

from .errors import ModelError

MAX_NAME = 63          # bytes of a feature, table or task name
MAX_WIDTH = 65_536     # width, max_length, embedding_dim, units of a layer
MAX_INT = 2**31 - 1

REQUIRED: Any = object()


def type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a truth value"
    names = {dict: "an object", list: "an array", str: "a string", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)


def as_string(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise ModelError(f'"{path}" must be a string, found {type_name(value)}')
    return value


def as_number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ModelError(f'"{path}" must be a number, found {type_name(value)}')
    try:
        finite = math.isfinite(value)
    except OverflowError:        # an integer of more digits than a double holds
        finite = False
    if not finite:
        raise ModelError(f'"{path}" is outside the range of a double')
    return value


def as_integer(value: Any, path: str, low: int, high: int) -> int:
    number = as_number(value, path)
    if number != int(number):
        raise ModelError(f'"{path}" is {number}, expected an integer')
    if not low <= number <= high:
        raise ModelError(f'"{path}" is {int(number)}, expected {low} to {high}')
    return int(number)


def as_boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise ModelError(f'"{path}" must be true or false, found {type_name(value)}')
    return value


def as_array(value: Any, path: str) -> List[Any]:
    if not isinstance(value, list):
        raise ModelError(f'"{path}" must be an array, found {type_name(value)}')
    return value


def as_choice(value: Any, path: str, choices: Sequence[str]) -> str:
    if as_string(value, path) not in choices:
        raise ModelError(f'"{path}" is "{value}", expected one of {quoted(choices)}')
    return value


def as_name(value: Any, path: str) -> str:
    """A name of a feature, an embedding table or a task."""
    name = as_string(value, path)
    length = len(name.encode())
    if not 1 <= length <= MAX_NAME:
        raise ModelError(f'"{path}" is "{name}" of {length} bytes, expected 1 to {MAX_NAME}')
    if any(c == "." or c < " " or c == "\x7f" for c in name):
        raise ModelError(f'"{path}" is {name!r}, a name has neither dots nor control characters')
    return name


def check_distinct(names: Sequence[Any], what: str) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise ModelError(f'{what} "{name}" appears twice')
        seen.add(name)


def quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


class Reader:
    """Reads one object; `path` is "" for the contract itself."""

    def __init__(self, value: Any, path: str):
        if not isinstance(value, dict):
            raise ModelError(f'"{path or "contract"}" must be an object, found {type_name(value)}')
        self.value: Dict[str, Any] = value
        self.path = path
        self._asked: set = set()

    def key_path(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def get(self, key: str, default: Any = None) -> Any:
        """The value as it is, or the default; an error for an absent key if the default is REQUIRED."""
        self._asked.add(key)
        value = self.value.get(key)
        if value is not None:
            return value
        if default is REQUIRED:
            raise ModelError(f'key "{self.key_path(key)}" is missing')
        return default

    def string(self, key: str, default: Any = REQUIRED) -> Any:
        value = self.get(key, default)
        return value if value is default else as_string(value, self.key_path(key))

    def name(self, key: str, default: Any = REQUIRED) -> str:
        return as_name(self.get(key, default), self.key_path(key))

    def choice(self, key: str, choices: Sequence[str], default: Any = REQUIRED) -> str:
        return as_choice(self.get(key, default), self.key_path(key), choices)

    def integer(self, key: str, low: int, high: int, default: Any = REQUIRED) -> Any:
        value = self.get(key, default)
        return value if value is default else as_integer(value, self.key_path(key), low, high)

    def number(self, key: str, default: Any = REQUIRED) -> float:
        return as_number(self.get(key, default), self.key_path(key))

    def boolean(self, key: str, default: bool) -> bool:
        return as_boolean(self.get(key, default), self.key_path(key))

    def array(self, key: str, default: Any = REQUIRED) -> Any:
        value = self.get(key, default)
        return value if value is default else as_array(value, self.key_path(key))

    def object(self, key: str, default: Any = REQUIRED) -> Optional["Reader"]:
        """A reader of the object under a key. A default of None: None for an absent key."""
        value = self.get(key, default)
        return None if value is None else Reader(value, self.key_path(key))

    def close(self) -> None:
        """Error for keys that nobody asked for: a switch that is not understood would give wrong scores."""
        unknown = [key for key in self.value if key not in self._asked]
        if unknown:
            raise ModelError(f'unknown key "{self.key_path(unknown[0])}", known here are {quoted(sorted(self._asked))}')
