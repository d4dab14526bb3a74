"""bfloat16, which numpy lacks: the upper half of a float32. Arrays of it are its bits, uint16."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ModelError

BITS = np.dtype("<u2")

_EXPONENT = 0x7F80


def from_bf16(bits: np.ndarray) -> np.ndarray:
    """The same numbers as float32."""
    return (np.asarray(bits, BITS).astype("<u4") << 16).view("<f4")


def to_bf16(numbers: Any) -> np.ndarray:
    """The nearest bf16, ties to even."""
    halves = np.ascontiguousarray(numbers, "<f4").view("<u4")
    bits = ((halves + 0x7FFF + ((halves >> 16) & 1)) >> 16).astype(BITS)
    if not is_finite(bits).all():
        raise ModelError("a number exceeds the range of bf16")
    return bits


def is_finite(bits: np.ndarray) -> np.ndarray:
    return (bits & _EXPONENT) != _EXPONENT
