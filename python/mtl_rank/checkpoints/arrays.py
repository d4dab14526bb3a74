"""An array from the bytes and the shape that a file says it has."""

from __future__ import annotations

from typing import Any

import numpy as np

from .checkpoint import CheckpointError

MAX_DIMS = 32
MAX_SIZE = 1 << 40       # of one dimension


def is_shape(value: Any) -> bool:
    """Whether it is a tuple of sizes. Nothing of it goes into an error message otherwise: it may print endlessly."""
    return isinstance(value, tuple) and len(value) <= MAX_DIMS and all(type(n) is int and 0 <= n <= MAX_SIZE for n in value)


def array_of(data: bytes, dtype: np.dtype, shape: Any, order: str, what: str) -> np.ndarray:
    """A copy. order: "C" or "F". what: the array, for errors."""
    if not is_shape(shape):
        raise CheckpointError(f"{what} has a shape that is no list of at most {MAX_DIMS} sizes")
    expected = dtype.itemsize
    for n in shape:
        expected *= n
    if expected != len(data):
        raise CheckpointError(f"{what} of shape {list(shape)} has {len(data)} bytes, expected {expected}")
    try:
        return np.frombuffer(data, dtype).reshape(shape, order=order).copy() if data else np.zeros(shape, dtype)
    except ValueError as error:         # nothing in it, but other dimensions beyond what numpy counts
        raise CheckpointError(f"{what} of shape {list(shape)}: {error}") from None
