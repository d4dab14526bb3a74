"""Pickles of numpy arrays, among them PaddlePaddle's .pdparams: a dict of names and arrays.

paddle.save() of a state dict (python/paddle/framework/io.py) writes arrays by name and, under a name of its own, how
Paddle calls the parameters; with the protocols 2 and 3 parameters beyond a gigabyte are cut in slices. Of anything else it
writes each tensor as a tuple of its name and an array. bfloat16 comes as unsigned integers of the same bits.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ..bf16 import from_bf16
from . import pickles
from .arrays import array_of
from .budget import Budget
from .checkpoint import CheckpointError

# What numpy's dtypes are pickled as; others hold objects, texts or dates.
_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "b1"}

PADDLE_NAMES = "StructuredToParameterName@@"
PADDLE_SLICES = "UnpackBigParamInfor@@"


class _Dtype:
    def __init__(self, code: str):
        self.code = code
        self.order = "|"

    def set_pickled_state(self, state: Any) -> None:
        """(version, byte order, subarray, names, fields, ...)"""
        if not isinstance(state, tuple) or len(state) < 5 or state[1] not in ("<", "|", ">", "=") or any(state[2:5]):
            raise CheckpointError("an array of the pickle has a type that is not a plain number")
        self.order = state[1]

    def numpy(self) -> np.dtype:
        return np.dtype(self.code).newbyteorder(self.order)


class _Array:
    """An array as its pickle describes it; it is made afterwards, if a name refers to it."""

    def __init__(self) -> None:
        self.state: Optional[Tuple[Any, Any, str, Any]] = None

    def set_pickled_state(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran order, bytes)"""
        if not isinstance(state, tuple) or len(state) != 5:
            raise CheckpointError("an array of the pickle has a state of an unknown form")
        _, shape, dtype, fortran, data = state
        self.state = shape, dtype, "F" if fortran else "C", data

    def numpy(self, what: str, budget: Budget) -> np.ndarray:
        shape, dtype, order, data = self.state or (None, None, "C", None)
        if not isinstance(dtype, _Dtype) or not isinstance(data, (bytes, bytearray)):
            raise CheckpointError(f"{what} has no type or no bytes")
        budget.take(len(data))
        return array_of(bytes(data), dtype.numpy(), (shape,) if type(shape) is int else shape, order, what)


def _new_dtype(code: Any, *_: Any) -> _Dtype:
    if not isinstance(code, str) or code not in _DTYPES:
        raise CheckpointError(f"an array of the pickle has the type {pickles.shown(code)}, expected numbers")
    return _Dtype(code)


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.set_pickled_state((1, shape, dtype, order == "F", data))
    return array


def _scalar(dtype: Any, data: Any = b"") -> _Array:
    return _from_buffer(data, dtype, (), "C")


def _tuple(items: Any) -> Any:
    """How paddle.save() has a tensor outside of a state dict: tuple((name, array))."""
    if not isinstance(items, tuple):
        raise CheckpointError("the pickle makes a tuple of something else")
    return items


def _no_bytes() -> bytes:
    """How pickles of protocol 2 write no bytes at all."""
    return b""


class _ArrayClass:
    """Stands in for numpy.ndarray, which pickles only mention."""


def _stand_ins(budget: Budget) -> pickles.StandIns:
    def encode(text: Any, encoding: Any) -> bytes:
        """How pickles of protocol 2 write bytes: as text of the same code points."""
        if not isinstance(text, str) or encoding != "latin1":
            raise CheckpointError(f"the pickle encodes a text as {pickles.shown(encoding)}")
        budget.take(len(text))
        return text.encode("latin1")

    names: Dict[pickles.Name, Any] = {
        ("collections", "OrderedDict"): pickles.empty_ordered_dict,
        ("_codecs", "encode"): encode,
        ("__builtin__", "bytes"): _no_bytes,
        ("builtins", "tuple"): _tuple,
        ("__builtin__", "tuple"): _tuple,
        ("numpy", "ndarray"): _ArrayClass(),
        ("numpy", "dtype"): _new_dtype,
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = _reconstruct
        names[f"{core}.multiarray", "scalar"] = _scalar
        names[f"{core}.numeric", "_frombuffer"] = _from_buffer
    return names


def read(data: bytes, what: str) -> Any:
    """What was pickled, with arrays where it has arrays one or two dicts deep."""
    content = pickles.load(data, _stand_ins(Budget(what, len(data))), what=what)
    budget = Budget(what, len(data))

    def convert(name: str, value: Any) -> Any:
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], _Array):
            value = value[1]
        if not isinstance(value, _Array):
            return value
        return value.numpy(f'{what}: array "{name}"', budget)

    content = pickles.convert_leaves(content, convert)
    if not isinstance(content, dict):
        return content
    return _paddle(content, what) if PADDLE_NAMES in content or PADDLE_SLICES in content else content


# ---------------------------------------------------------------- PaddlePaddle


def _paddle(content: Dict[Any, Any], what: str) -> Dict[Any, Any]:
    """A state dict's arrays, whole and as floats."""
    slices = content.pop(PADDLE_SLICES, {})
    content.pop(PADDLE_NAMES, None)
    if not isinstance(slices, dict):
        raise CheckpointError(f'{what}: "{PADDLE_SLICES}" is no dict')
    for name, information in slices.items():
        content[name] = _joined(content, name, information, what)
    return {name: from_bf16(value) if isinstance(value, np.ndarray) and value.dtype == "u2" else value
            for name, value in content.items()}


def _joined(content: Dict[Any, Any], name: Any, information: Any, what: str) -> np.ndarray:
    """A parameter that was cut: its slices leave the content."""
    parts: Any = information.get("slices") if isinstance(information, dict) else None
    shape: Any = information.get("OriginShape") if isinstance(information, dict) else None
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise CheckpointError(f'{what}: parameter "{name}" is cut in slices that have no names')
    arrays: List[np.ndarray] = []
    for part in parts:
        array = content.pop(part, None)
        if not isinstance(array, np.ndarray) or array.ndim != 1 or (arrays and array.dtype != arrays[0].dtype):
            raise CheckpointError(f'{what}: slice "{part[:200]}" of parameter "{name}" is missing, or no vector of its type')
        arrays.append(array)
    whole = np.concatenate(arrays)
    return array_of(whole.tobytes(), whole.dtype, shape, "C", f'{what}: parameter "{name}"')
