"""The process that reads one of Keras's HDF5 files with h5py, for keras_file.py.

What model.save_weights("model.h5") of tf.keras and model.save("model.h5") of tf.keras and Keras 3 write (hdf5_format.py of
tf-keras, legacy_h5_format.py of keras): a group per layer, in it a dataset per weight under the weight's whole name
("dnn/batch_normalization/gamma:0"), and attributes that list layers and weights in order. The order counts:
the numbers that Keras puts in names differ between processes, and HDF5 lists names alphabetically.

HDF5 can lead out of the file (external links, storage and virtual datasets), and promise more than it holds (compression,
storage that was never written). Keras uses none of that, so all of it is refused, and no array can be larger than the file.

usage: python3 -m mtl_rank.checkpoints.keras_hdf5 FILE

Writes to its output one line of JSON, {"layers": [...], "model_config": "...", "tensors": [[name, dtype, shape], ...]}, and the
bytes of the tensors in that order; or {"error": "..."}.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, BinaryIO, Dict, List, NoReturn, Tuple

import numpy as np

from .checkpoint import CheckpointError

SPARE_MEMORY = 4 << 30          # bytes, for Python, its libraries and the names of weights; besides the file's own size
MAX_NAMES = 100_000
MAX_ATTRIBUTE_BYTES = 64 << 20

# Names that Keras gives. Texts that exceed the limit of an HDF5 header are cut in pieces: layer_names0, layer_names1, ...
_LAYER_NAMES = "layer_names"
_WEIGHT_NAMES = "weight_names"
_MODEL_CONFIG = "model_config"
_MODEL_WEIGHTS = "model_weights"
_TOP_LEVEL = "top_level_model_weights"

# The groups of the files that save_weights("model.weights.h5") writes since Keras 2.12.
_NEW_LAYOUT = ("_layer_checkpoint_dependencies", "layers", "_self_tracked_trackables")


class _File:
    """A file that is being read; left is how many bytes its arrays may still have."""

    def __init__(self, h5py: Any, file: Any, size: int):
        self.h5py, self.file, self.left = h5py, file, size

    def refuse(self, problem: str) -> NoReturn:
        raise CheckpointError(problem)

    def read(self) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
        """Weights by "<layer>/<weight's name>", and the attributes "layers" and "model_config"."""
        attributes: Dict[str, Any] = {}
        root = self.file
        if _MODEL_CONFIG in self.file.attrs:
            attributes["model_config"] = "".join(self.texts(self.file, _MODEL_CONFIG))
        if _MODEL_WEIGHTS in self.file:
            root = self.walk(self.file, _MODEL_WEIGHTS, self.h5py.Group)
        self.check_layout(root)

        layers = self.listed(root, _LAYER_NAMES)
        tensors: Dict[str, np.ndarray] = {}
        for layer in layers + ([_TOP_LEVEL] if _TOP_LEVEL in root else []):
            group = self.walk(root, layer, self.h5py.Group)
            for weight in self.listed(group, _WEIGHT_NAMES):
                tensors[f"{layer}/{weight}"] = self.array(self.walk(group, weight, self.h5py.Dataset), f"{layer}/{weight}")
        attributes["layers"] = layers
        return tensors, attributes

    def check_layout(self, root: Any) -> None:
        if _LAYER_NAMES in root.attrs or f"{_LAYER_NAMES}0" in root.attrs:
            return
        if any(name in root for name in _NEW_LAYOUT):
            self.refuse("this is the layout of Keras's .weights.h5 files, which does not keep the names of layers; save with "
                        'model.save("model.h5")')
        self.refuse("the HDF5 file is not from Keras: it does not list its layers")

    # ------------------------------------------------------------ attributes

    def texts(self, holder: Any, attribute: str) -> List[str]:
        """An attribute that is a text or a list of texts."""
        stored = holder.attrs.get_id(attribute)
        count = int(np.prod(stored.shape, dtype=object)) if stored.shape else 1
        if count > MAX_NAMES or count * stored.dtype.itemsize > MAX_ATTRIBUTE_BYTES:
            self.refuse(f'attribute "{attribute}" has {count} entries of {stored.dtype.itemsize} bytes')
        value = holder.attrs[attribute]
        values = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else [value]
        for text in values:
            if not isinstance(text, (bytes, str)):
                self.refuse(f'attribute "{attribute}" is not a text')
        # A text that is not UTF-8 comes with surrogates, which do not encode.
        return [(text if isinstance(text, bytes) else text.encode()).decode() for text in values]

    def listed(self, holder: Any, attribute: str) -> List[str]:
        """A list of names that may be cut in pieces; none of them twice."""
        names: List[str] = []
        if attribute in holder.attrs:
            if holder.attrs.get_id(attribute).shape != (0,):      # as Keras writes an empty list: of floats
                names = self.texts(holder, attribute)
        else:
            pieces = 0
            while f"{attribute}{pieces}" in holder.attrs and len(names) <= MAX_NAMES:
                names += self.texts(holder, f"{attribute}{pieces}")
                pieces += 1
            if not pieces:
                self.refuse(f'"{holder.name}" has no attribute "{attribute}"')
        if len(names) > MAX_NAMES:
            self.refuse(f'attribute "{attribute}" has more than {MAX_NAMES} names')
        seen = set()
        for name in names:
            if name in seen:
                self.refuse(f'attribute "{attribute}" of "{holder.name}" has "{name}" twice')
            seen.add(name)
        return names

    # ------------------------------------------------------------ groups and datasets

    def walk(self, group: Any, path: str, kind: Any) -> Any:
        """What lies under a path, step by step, so that no step leads anywhere else."""
        found = group
        for step in path.split("/"):
            if step in ("", ".", "..") or not isinstance(found, self.h5py.Group) or step not in found:
                self.refuse(f'"{path}" is listed in "{group.name}", but not there')
            if not isinstance(found.get(step, getlink=True), self.h5py.HardLink):
                self.refuse(f'"{path}" in "{group.name}" is a link to something else')
            found = found[step]
        if not isinstance(found, kind):
            self.refuse(f'"{path}" in "{group.name}" is a {type(found).__name__}, expected a {kind.__name__}')
        return found

    def array(self, dataset: Any, name: str) -> np.ndarray:
        properties = dataset.id.get_create_plist()
        plain = (self.h5py.h5d.CONTIGUOUS, self.h5py.h5d.COMPACT)
        if properties.get_layout() not in plain or properties.get_external_count():
            self.refuse(f'weight "{name}" is compressed, in chunks, or in another file; Keras stores weights as they are')
        if dataset.dtype.kind not in "fiu" or dataset.dtype.itemsize > 8:
            self.refuse(f'weight "{name}" has the type {dataset.dtype}, expected numbers')
        count = int(np.prod(dataset.shape, dtype=object)) if dataset.shape else 1
        bytes_needed, bytes_stored = count * dataset.dtype.itemsize, dataset.id.get_storage_size()
        what = f'weight "{name}" of shape {list(dataset.shape)}'
        if bytes_needed > self.left:
            self.refuse(f"{what} takes {bytes_needed} bytes, more than are left in the file")
        if bytes_stored != bytes_needed:
            self.refuse(f"{what} has {bytes_stored} bytes, expected {bytes_needed}")
        self.left -= bytes_needed
        return np.asarray(dataset[()])


def _read(path: str) -> Tuple[Dict[str, np.ndarray], Dict[str, Any]]:
    try:
        import h5py
    except ImportError:
        raise CheckpointError("reading HDF5 files needs h5py (Debian: python3-h5py)") from None
    try:
        with h5py.File(path, "r") as file:
            return _File(h5py, file, os.path.getsize(path)).read()
    except CheckpointError:
        raise
    except Exception as error:      # h5py raises what HDF5's errors remind it of
        raise CheckpointError(f"a damaged HDF5 file: {error}") from None


def _write(path: str, out: BinaryIO) -> None:
    try:
        tensors, header = _read(path)
    except CheckpointError as error:
        tensors, header = {}, {"error": str(error)}
    arrays = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in tensors.items()}
    header["tensors"] = [[name, array.dtype.str, array.shape] for name, array in arrays.items()]
    out.write(json.dumps(header).encode() + b"\n")
    for array in arrays.values():
        out.write(array.tobytes())


def _limit_memory(path: str) -> None:
    """Where the system can do so: texts of HDF5 can be many times larger than their file."""
    try:
        import resource
    except ImportError:
        return
    most = SPARE_MEMORY + 4 * os.path.getsize(path)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    _limit_memory(sys.argv[1])
    _write(sys.argv[1], sys.stdout.buffer)
