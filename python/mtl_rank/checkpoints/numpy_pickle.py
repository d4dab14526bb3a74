"""Pickles of numpy arrays, among them PaddlePaddle's .pdparams: a dict of names and arrays."""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

import numpy as np

from . import pickles
from .checkpoint import CheckpointError

# What numpy's dtypes are pickled as; others hold objects, texts or dates.
_DTYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "b1"}


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


class Array:
    """An array of which the pickle has yet to say the shape and the bytes."""

    def __init__(self) -> None:
        self.value: Optional[np.ndarray] = None

    def set_pickled_state(self, state: Any) -> None:
        """(version, shape, dtype, whether in Fortran order, bytes)"""
        if not isinstance(state, tuple) or len(state) != 5:
            raise CheckpointError("an array of the pickle has a state of an unknown form")
        _, shape, dtype, fortran, data = state
        self.value = _array(shape, dtype, "F" if fortran else "C", data)


def _array(shape: Any, dtype: Any, order: str, data: Any) -> np.ndarray:
    if isinstance(shape, int):
        shape = (shape,)
    if not isinstance(dtype, _Dtype) or not isinstance(data, (bytes, bytearray)) or not isinstance(shape, tuple):
        raise CheckpointError("an array of the pickle has no type, no shape or no bytes")
    if not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 32:
        raise CheckpointError(f"an array of the pickle has the shape {shape!r}")
    expected = dtype.numpy().itemsize
    for n in shape:
        expected *= n
    if expected != len(data):
        raise CheckpointError(f"an array of the pickle of shape {list(shape)} has {len(data)} bytes, expected {expected}")
    return np.frombuffer(data, dtype.numpy()).reshape(shape, order=order).copy()


def _new_dtype(code: Any, *_: Any) -> _Dtype:
    if code not in _DTYPES:
        raise CheckpointError(f"an array of the pickle has the type {code!r}, expected numbers")
    return _Dtype(code)


def _reconstruct(*_: Any) -> Array:
    return Array()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    array = Array()
    array.value = _array(shape, dtype, "F" if order == "F" else "C", data)
    return array


def _scalar(dtype: Any, data: Any = b"") -> Array:
    return _from_buffer(data, dtype, (), "C")


def _encode(text: Any, encoding: Any) -> bytes:
    """How pickles of protocol 2 write bytes: as text of the same code points."""
    if not isinstance(text, str) or encoding != "latin1":
        raise CheckpointError(f"the pickle encodes a text as {encoding!r}")
    return text.encode("latin1")


class _ArrayClass:
    """Stands in for numpy.ndarray, which pickles only mention."""


def _stand_ins() -> pickles.StandIns:
    names: Dict[Tuple[str, str], Any] = {
        ("collections", "OrderedDict"): pickles.empty_ordered_dict,
        ("_codecs", "encode"): _encode,
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
    return _values(pickles.load(data, _stand_ins(), what=what), 2)


def _values(content: Any, depth: int) -> Any:
    if isinstance(content, Array):
        return content.value
    if isinstance(content, dict) and depth:
        return {key: _values(value, depth - 1) for key, value in content.items()}
    return content
