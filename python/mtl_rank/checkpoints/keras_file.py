"""Keras's HDF5 files: weights, or a whole model with its layers. Needs h5py.

h5py is a C library, and what a damaged file does to it is its business; what a well-formed one could reach is ours: links
to other files of this machine are not followed, and compressed data does not fill the memory.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List

import numpy as np

from .budget import Budget
from .checkpoint import CheckpointError

_COMPRESSED = 1 << 30          # bytes that a small file may become

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


def _member(h5py: Any, group: Any, name: str, what: str) -> Any:
    """What a group has under a path: by plain links alone, since others lead to other files, or round in circles."""
    for part in name.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise CheckpointError(f'{what}: "{name[:200]}" is not in the HDF5 file, or not as Keras puts it there')
        group = group[part]
    return group


def read(path: str, what: str) -> Any:
    """Weights by "<layer>/<weight's name>", and the attributes "layers" (names in order) and "model_config" (JSON text)."""
    h5py = _h5py(what)
    try:
        with h5py.File(path, "r") as file:
            return _read_file(h5py, file, what)
    except CheckpointError:
        raise
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:     # whatever h5py meets
        raise CheckpointError(f"{what}: a damaged HDF5 file: {error}") from None


def _read_file(h5py: Any, file: Any, what: str) -> Any:
    attributes: Dict[str, object] = {}
    if _MODEL_CONFIG in file.attrs:
        attributes["model_config"] = _text(file.attrs[_MODEL_CONFIG])
    group = _member(h5py, file, "model_weights", what) if "model_weights" in file else file
    layers = _texts(group, _LAYER_NAMES)
    if not layers:
        raise CheckpointError(f"{what}: the HDF5 file is not from Keras: it does not list its layers")

    budget = Budget(what, os.path.getsize(file.filename), _COMPRESSED)
    tensors: Dict[str, np.ndarray] = {}
    for layer in layers:
        members = _member(h5py, group, layer, what)
        for weight in _texts(members, _WEIGHT_NAMES):
            dataset = _member(h5py, members, weight, what)
            # An external or virtual dataset would read other files of this machine.
            if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
                raise CheckpointError(f'{what}: weight "{weight}" of layer "{layer}" is not stored in the file')
            if dataset.dtype.kind not in "fiu" or dataset.size is None:
                raise CheckpointError(f'{what}: weight "{weight}" of layer "{layer}" is not an array of numbers')
            budget.take(dataset.size * dataset.dtype.itemsize)
            tensors[f"{layer}/{weight}"] = np.asarray(dataset[()])
    attributes["layers"] = layers
    return tensors, attributes
