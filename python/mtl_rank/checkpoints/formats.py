"""Which format a checkpoint has, by its first bytes; and from what was saved to names and arrays."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping, Union

import numpy as np

from .. import container
from ..bf16 import from_bf16
from ..errors import ModelError
from . import keras_file, npz_file, numpy_pickle, torch_file, zip_file
from .budget import Budget
from .checkpoint import Checkpoint, CheckpointError

Path = Union[str, "os.PathLike[str]"]

MAX_FILE_SIZE = 8 << 30

# Under which key training scripts put the state dict, beside epochs and optimizers.
_STATE_DICT_KEYS = ("state_dict", "model_state_dict", "model", "net", "params")
_PARALLEL_PREFIX = "module."        # of torch.nn.DataParallel


_SAFETENSORS_DTYPES = {
    **container.DTYPES, "F64": np.dtype("<f8"), "F16": np.dtype("<f2"), "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"), "I8": np.dtype("i1"), "BOOL": np.dtype("?"),
}


def read_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint file; the format is recognised by its content."""
    what = os.fspath(path)
    if os.path.isdir(what):
        raise CheckpointError(_about_folder(what))
    size = os.path.getsize(what)
    if size > MAX_FILE_SIZE:
        raise CheckpointError(f"{what}: {size} bytes, the limit is {MAX_FILE_SIZE}")
    with open(what, "rb") as file:
        data = file.read()
    if data[:8] == b"\x89HDF\r\n\x1a\n":
        tensors, attributes = keras_file.read(what, what)
        return _checked(tensors, what, attributes)
    return from_mapping(_content(data, what), what)


def _about_folder(path: str) -> str:
    """torch.distributed.checkpoint writes a folder; in one of TorchEasyRec's checkpoints it is called model."""
    for folder in (path, os.path.join(path, "model")):
        if os.path.exists(os.path.join(folder, ".metadata")):
            return (f"{folder}: a distributed checkpoint, in many files; make one of it, where PyTorch is: "
                    f"torch.distributed.checkpoint.format_utils.dcp_to_torch_save({folder!r}, 'model.pth')")
    return f"{path}: a folder; an importer needs one file with the weights, see python/README.md"


def _content(data: bytes, what: str) -> Any:
    if zip_file.is_zip(data):
        return npz_file.read(data, what) if npz_file.is_npz(data) else torch_file.read(data, what)
    if data[:1] == b"\x80":
        # A pickle: of PyTorch before 1.6 when the first of several is the magic number.
        legacy = data[2:3] == b"\x8a" and torch_file.LEGACY_MAGIC.to_bytes(10, "little") in data[:32]
        return torch_file.read(data, what) if legacy else numpy_pickle.read(data, what)
    if len(data) > 9 and data[8:9] == b"{":
        return _safetensors(data, what)
    raise CheckpointError(f"{what}: not a checkpoint of a known format: expected a PyTorch state dict, .pdparams, Keras .h5, "
                          f".safetensors or .npz")


def _safetensors(data: bytes, what: str) -> Dict[str, np.ndarray]:
    """A plain file of tensors, such as safetensors.torch.save_file(model.state_dict(), path) writes."""
    try:
        header, body = container.split(data)
        header.pop("__metadata__", None)
        budget = Budget(what, len(data))
        tensors = {}
        for name, entry in header.items():
            _, _, array = container.stored_array(name, entry, body, _SAFETENSORS_DTYPES)
            budget.take(array.nbytes)
            tensors[name] = _widened(array, entry)
        return tensors
    except CheckpointError:
        raise
    except ModelError as error:
        raise CheckpointError(f"{what}: {error}") from None


def _widened(array: np.ndarray, entry: Mapping[str, Any]) -> np.ndarray:
    return from_bf16(array) if entry["dtype"] == "BF16" else array


# ---------------------------------------------------------------- names and arrays


def from_mapping(content: Any, what: str = "the state dict") -> Checkpoint:
    """A checkpoint from what was saved: names and arrays, perhaps one dict deeper; tensors of PyTorch will do too."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{what}: holds a {type(content).__name__}, expected names and tensors; "
                              f"save model.state_dict()")
    arrays = _arrays(content)
    if not arrays:
        found = [key for key in _STATE_DICT_KEYS if isinstance(content.get(key), Mapping) and _arrays(content[key])]
        if len(found) != 1:
            raise CheckpointError(f"{what}: no names and tensors in it, nor under one of {', '.join(_STATE_DICT_KEYS)}")
        arrays = _arrays(content[found[0]])
    if all(name.startswith(_PARALLEL_PREFIX) for name in arrays):
        arrays = {name[len(_PARALLEL_PREFIX):]: array for name, array in arrays.items()}
    return _checked(arrays, what, {})


def _arrays(content: Mapping[Any, Any]) -> Dict[str, np.ndarray]:
    arrays = {}
    for name, value in content.items():
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray) and isinstance(name, str):
            arrays[name] = value
    return arrays


def _checked(tensors: Mapping[str, np.ndarray], what: str, attributes: Dict[str, object]) -> Checkpoint:
    if len(tensors) > container.MAX_TENSORS:
        raise CheckpointError(f"{what}: {len(tensors)} tensors exceed the limit of {container.MAX_TENSORS}")
    for name, array in tensors.items():
        if any("\ud800" <= c <= "\udfff" for c in name):
            raise CheckpointError(f"{what}: {ascii(name)[:200]} has half a character in the name of a tensor")
        if array.dtype.kind not in "fiub":
            raise CheckpointError(f'{what}: tensor "{name}" has the type {array.dtype}, expected numbers')
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f'{what}: tensor "{name}" has an infinite number or NaN')
    return Checkpoint(tensors, what, attributes)
