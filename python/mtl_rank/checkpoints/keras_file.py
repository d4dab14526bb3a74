"""Keras's HDF5 files: weights, or a whole model with its layers. Needs h5py."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np

from .checkpoint import CheckpointError

MAX_TENSOR_BYTES = 4 << 30

# Names of the attributes that Keras writes.
_LAYER_NAMES = "layer_names"
_WEIGHT_NAMES = "weight_names"
_MODEL_CONFIG = "model_config"


def _h5py(what: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise CheckpointError(f"{what}: reading HDF5 files needs h5py (Debian: python3-h5py)") from None
    return h5py


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _texts(group: Any, attribute: str) -> List[str]:
    """A list of texts; Keras cuts one that exceeds HDF5's limit in pieces, attribute0, attribute1, ..."""
    if attribute in group.attrs:
        return [_text(value) for value in group.attrs[attribute]]
    texts: List[str] = []
    while f"{attribute}{len(texts)}" in group.attrs and len(texts) < 10_000:
        texts.append(f"{attribute}{len(texts)}")
    return [_text(value) for piece in texts for value in group.attrs[piece]]


def read(path: str, what: str) -> Any:
    """Weights by "<layer>/<weight's name>", and the attributes "layers" (names in order) and "model_config" (JSON text)."""
    h5py = _h5py(what)
    try:
        with h5py.File(path, "r") as file:
            return _read_file(h5py, file, what)
    except (OSError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{what}: a damaged HDF5 file: {error}") from None


def _read_file(h5py: Any, file: Any, what: str) -> Any:
    attributes: Dict[str, object] = {}
    if _MODEL_CONFIG in file.attrs:
        attributes["model_config"] = _text(file.attrs[_MODEL_CONFIG])
    group = file["model_weights"] if "model_weights" in file else file
    layers = _texts(group, _LAYER_NAMES)
    if not layers:
        raise CheckpointError(f"{what}: the HDF5 file is not from Keras: it does not list its layers")

    tensors: Dict[str, np.ndarray] = {}
    for layer in layers:
        for weight in _texts(group[layer], _WEIGHT_NAMES):
            dataset = group[layer][weight]
            # An external or virtual dataset would read other files of this machine.
            if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
                raise CheckpointError(f'{what}: weight "{weight}" of layer "{layer}" is not stored in the file')
            if dataset.dtype.kind not in "fiu" or dataset.size * dataset.dtype.itemsize > MAX_TENSOR_BYTES:
                raise CheckpointError(f'{what}: weight "{weight}" of layer "{layer}" is not an array of numbers, or too large')
            tensors[f"{layer}/{weight}"] = np.asarray(dataset[()])
    attributes["layers"] = layers
    return tensors, attributes
