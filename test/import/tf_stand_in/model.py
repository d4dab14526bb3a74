"""Keras's functional Model: the order of its layers, prediction, and the two HDF5 files that tf.keras 2 saves."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

import h5py
import numpy as np
import torch

from . import ops
from .layers import unique_name
from .symbol import Symbol, flatten, map_structure

HEADER_LIMIT = 64512
KERAS_VERSION = "2.15.0"


class Model:
    def __init__(self, inputs: List[Symbol], outputs: List[Symbol]):
        self.inputs, self.outputs = inputs, outputs
        self.name = unique_name(Model)
        self.order = self._order()
        self.layers = self._layers()

    def _order(self) -> List[Symbol]:
        """Every symbol after those that it is made from."""
        done: Dict[int, Symbol] = {}

        def visit(symbol: Symbol) -> None:
            if id(symbol) not in done:
                for source in flatten(symbol.inputs) if symbol.inputs is not None else []:
                    visit(source)
                done[id(symbol)] = symbol

        for output in self.outputs:
            visit(output)
        return list(done.values())

    def _layers(self) -> List[Any]:
        """Farthest from the outputs first; among equals, those first that a walk back from the outputs meets first."""
        met: Dict[int, int] = {}
        seen = set()

        def walk(symbol: Symbol) -> None:
            if id(symbol) in seen:
                return
            seen.add(id(symbol))
            met.setdefault(id(symbol.layer), len(met))
            for source in flatten(symbol.inputs) if symbol.inputs is not None else []:
                walk(source)

        for output in self.outputs:
            walk(output)
        depths: Dict[int, int] = {}
        layer_depths: Dict[int, int] = {}
        layers: Dict[int, Any] = {}
        for symbol in reversed(self.order):
            layer = symbol.layer
            depth = max(depths.get(id(symbol), 0), layer_depths.get(id(layer), 0))
            layer_depths[id(layer)] = depths[id(symbol)] = depth
            layers[id(layer)] = layer
            for source in flatten(symbol.inputs) if symbol.inputs is not None else []:
                depths[id(source)] = max(depth + 1, depths.get(id(source), 0))
        return sorted(layers.values(), key=lambda layer: (-layer_depths[id(layer)], met[id(layer)]))

    def __call__(self, columns: Dict[str, Any], training: bool = False) -> List[Any]:
        """columns: values by input name."""
        values: Dict[int, Tuple[Any, Any]] = {}
        for symbol in self.order:
            if symbol.inputs is None:
                values[id(symbol)] = ops.tensor(columns[symbol.layer.name], symbol.layer.dtype), None
            else:
                given = map_structure(symbol.inputs, lambda x: values[id(x)])
                inputs = [g[0] for g in given] if isinstance(given, list) else given[0]
                masks = [g[1] for g in given] if isinstance(given, list) else given[1]
                values[id(symbol)] = symbol.layer.run(inputs, masks, training)
        return [values[id(output)][0] for output in self.outputs]

    def predict(self, columns: Dict[str, Any]) -> List[np.ndarray]:
        with torch.no_grad():
            return [output.numpy() for output in self(columns)]

    @property
    def trainable_weights(self) -> List[Any]:
        return [w for layer in self.layers for w in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> List[Any]:
        return [w for layer in self.layers for w in layer.non_trainable_weights]

    # ------------------------------------------------------------ saving

    def save_weights(self, path: str) -> None:
        with h5py.File(path, "w") as file:
            self._write_weights(file)

    def save(self, path: str) -> None:
        """The whole model: its layers as JSON, and its weights. As in Keras, not if an activation was given as a class."""
        with h5py.File(path, "w") as file:
            file.attrs["keras_version"] = KERAS_VERSION
            file.attrs["backend"] = "tensorflow"
            file.attrs["model_config"] = json.dumps(self._config()).encode()
            self._write_weights(file.create_group("model_weights"))

    def _write_weights(self, group: Any) -> None:
        _write_texts(group, "layer_names", [layer.name.encode() for layer in self.layers])
        group.attrs["backend"] = b"tensorflow"
        group.attrs["keras_version"] = KERAS_VERSION.encode()
        for layer in sorted(self.layers, key=lambda layer: layer.name):
            self._write_layer(group.create_group(layer.name), layer.trainable_weights + layer.non_trainable_weights)
        self._write_layer(group.create_group("top_level_model_weights"), [])

    def _write_layer(self, group: Any, weights: List[Any]) -> None:
        _write_texts(group, "weight_names", [weight.keras_name.encode() for weight in weights])
        for weight in weights:
            value = weight.detach().numpy()
            group.create_dataset(weight.keras_name, value.shape, dtype=value.dtype)[...] = value

    def _config(self) -> Dict[str, Any]:
        """Nodes of a layer are numbered among those that this model has."""
        ours = {id(symbol) for symbol in self.order}

        def coordinates(symbol: Symbol) -> List[Any]:
            return [symbol.layer.name, [id(s) for s in symbol.layer.nodes if id(s) in ours].index(id(symbol)), 0]

        layers = []
        for layer in self.layers:
            nodes = [symbol for symbol in layer.nodes if id(symbol) in ours and symbol.inputs is not None]
            layers.append({
                "class_name": type(layer).__name__, "config": layer.get_config(), "name": layer.name,
                "inbound_nodes": [[[*coordinates(source), {}] for source in flatten(node.inputs)] for node in nodes],
            })
        return {"class_name": "Functional", "config": {
            "name": self.name, "layers": layers,
            "input_layers": [coordinates(symbol) for symbol in self.inputs],
            "output_layers": [coordinates(symbol) for symbol in self.outputs],
        }}


def _write_texts(group: Any, name: str, texts: List[bytes]) -> None:
    """In as few pieces as the limit of an HDF5 header allows."""
    array, pieces = np.asarray(texts), 1
    while any(piece.nbytes > HEADER_LIMIT for piece in np.array_split(array, pieces)):
        pieces += 1
    if pieces == 1:
        group.attrs[name] = texts
    for i, piece in enumerate(np.array_split(array, pieces) if pieces > 1 else []):
        group.attrs[f"{name}{i}"] = piece
