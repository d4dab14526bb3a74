"""The tensors that a contract calls for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np

from .container import dtype_name

# None is a size that the contract leaves open.
Size = Optional[int]
Shape = Tuple[Size, ...]


@dataclass(frozen=True)
class Expected:
    dtype: str
    shapes: Tuple[Shape, ...]          # any of these will do; the first is the usual one
    epsilon: Optional[float] = None    # a variance: every number + epsilon must be positive


class ExpectedTensors:
    """Name -> Expected, filled by features, layers and architectures in the order in which they are needed."""

    def __init__(self) -> None:
        self.tensors: Dict[str, Expected] = {}

    def add(self, name: str, *shapes: Shape, dtype: str = "F32", epsilon: Optional[float] = None) -> None:
        self.tensors[name] = Expected(dtype, shapes, epsilon)

    def problems(self, found: Dict[str, np.ndarray]) -> Iterator[str]:
        """What is missing, misshapen, of the wrong type or left over among the tensors found."""
        for name, expected in self.tensors.items():
            if name not in found:
                yield f'tensor "{name}" of shape {_shapes_text(expected.shapes)} is missing'
                continue
            tensor = found[name]
            if dtype_name(tensor) != expected.dtype:
                yield f'tensor "{name}" is of type {dtype_name(tensor)}, expected {expected.dtype}'
            elif not any(_fits(tensor.shape, shape) for shape in expected.shapes):
                yield f'tensor "{name}" has shape {shape_text(tensor.shape)}, expected {_shapes_text(expected.shapes)}'
            elif expected.epsilon is not None and not (tensor.astype("f8") + expected.epsilon > 0).all():
                yield f'tensor "{name}" has {tensor.min()}, which is not positive with epsilon {expected.epsilon}'
        for name in found:
            if name not in self.tensors:
                yield f'tensor "{name}" is not used by the contract'


def total(sizes: List[Size]) -> Size:
    """The sum, open if one of the sizes is."""
    return None if None in sizes else sum(sizes)  # type: ignore[arg-type]


def shape_text(shape: Shape) -> str:
    return "[" + ", ".join("any" if n is None else str(n) for n in shape) + "]"


def _shapes_text(shapes: Tuple[Shape, ...]) -> str:
    return " or ".join(map(shape_text, shapes))


def _fits(found: Tuple[int, ...], expected: Shape) -> bool:
    return len(found) == len(expected) and all(e is None or e == f for f, e in zip(found, expected))
