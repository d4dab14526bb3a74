"""The tensors that a contract calls for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

import numpy as np

from .container import dtype_name

# None is a size that the contract leaves open.
Size = Optional[int]
Shape = Tuple[Size, ...]

# Of the layers of MLPs, by the precision of the model.
WEIGHT_DTYPES = {"float32": "F32", "bf16": "BF16", "int8": "I8"}
MAX_COMPACT_INPUTS = 65536      # layers with more are float32 in any model


@dataclass(frozen=True)
class Expected:
    dtype: str
    shapes: Tuple[Shape, ...]          # any of these will do; the first is the usual one
    epsilon: Optional[float] = None    # a variance: every number + epsilon must be positive


class ExpectedTensors:
    """Name -> Expected, filled by features, layers and architectures in the order in which they are needed."""

    def __init__(self, precision: str = "float32") -> None:
        self.precision = precision
        self.tensors: Dict[str, Expected] = {}

    def add(self, name: str, *shapes: Shape, dtype: str = "F32", epsilon: Optional[float] = None) -> None:
        self.tensors[name] = Expected(dtype, shapes, epsilon)

    def add_table(self, name: str, shape: Shape) -> None:
        """An embedding table, which is bf16 in models that are not float32."""
        self.add(name, shape, dtype="F32" if self.precision == "float32" else "BF16")

    def add_hidden_weight(self, name: str, units: Size, width: Size) -> None:
        """The weight of a layer of an MLP, in the precision of the model, and for int8 its scales."""
        if width is not None and width > MAX_COMPACT_INPUTS:
            self.add(name, (units, width))
            return
        self.add(name, (units, width), dtype=WEIGHT_DTYPES[self.precision])
        if self.precision == "int8":
            self.add(name + "_scale", (units,))

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
