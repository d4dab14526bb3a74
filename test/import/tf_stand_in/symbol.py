"""Tensors of a model that is being put together: they know which layer made them, and carry a value for two rows of zeros."""

from __future__ import annotations

from typing import Any, Callable, List


class Symbol:
    """layer, node: what made it, as Keras's _keras_history. inputs are the node's."""

    def __init__(self, layer: Any, node: int, inputs: Any, value: Any, mask: Any):
        self.layer, self.node, self.inputs, self.value, self.mask = layer, node, inputs, value, mask

    @property
    def shape(self) -> Any:
        return first_shape(self.value)

    @property
    def dtype(self) -> Any:
        return self.value.dtype


def record(layer: Any, inputs: Any, value: Any, mask: Any) -> Symbol:
    symbol = Symbol(layer, len(layer.nodes), inputs, value, mask)
    layer.nodes.append(symbol)
    return symbol


def flatten(structure: Any) -> List[Any]:
    return structure if isinstance(structure, list) else [structure]


def map_structure(structure: Any, function: Callable[[Any], Any]) -> Any:
    return [function(x) for x in structure] if isinstance(structure, list) else function(structure)


def first_shape(value: Any) -> Any:
    """A shape whose first place, the batch, is unknown."""
    return (None, *tuple(value.shape)[1:])
