"""PyTorch's files: what torch.save(model.state_dict(), path) writes, read without PyTorch.

Since PyTorch 1.6 that is a zip archive: data.pkl, whose tensors refer to storages by key, and a file per storage. Before,
it was a sequence of pickles followed by the storages.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Dict, List, Tuple

import numpy as np

from ..bf16 import from_bf16
from . import pickles
from .arrays import array_of, is_shape
from .budget import Budget
from .checkpoint import CheckpointError
from .zip_file import Archive, is_zip

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

# Name in PyTorch -> type of the stored numbers, little-endian. bfloat16 is the upper half of a float32.
_BFLOAT16 = "bfloat16"
_DTYPES = {
    "float32": "<f4", "float": "<f4", "float64": "<f8", "double": "<f8", "float16": "<f2", "half": "<f2",
    _BFLOAT16: _BFLOAT16, "int64": "<i8", "long": "<i8", "int32": "<i4", "int": "<i4", "int16": "<i2", "short": "<i2",
    "int8": "i1", "uint8": "u1", "bool": "?",
}
_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": _BFLOAT16,
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8", "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


@dataclass(frozen=True)
class _Type:
    """Stands in for a storage class and for a dtype."""

    name: str


@dataclass
class _Storage:
    type: _Type
    key: str
    numel: int


@dataclass
class Tensor:
    """A tensor as its pickle describes it; its numbers are read afterwards."""

    storage: _Storage
    offset: int
    shape: Tuple[int, ...]
    strides: Tuple[int, ...]


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    if not isinstance(storage, _Storage):
        raise CheckpointError("a tensor of the pickle has no storage")
    if not is_shape((offset,)) or not is_shape(shape) or not is_shape(strides) or len(shape) != len(strides):
        raise CheckpointError("a tensor of the pickle has an offset, a shape or strides that are no sizes")
    return Tensor(storage, offset, shape, strides)


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


def _size(items: Any) -> Any:
    """torch.Size, of a tuple."""
    if not isinstance(items, tuple):
        raise CheckpointError("the pickle makes a torch.Size of something else")
    return items


def _stand_ins() -> pickles.StandIns:
    names: Dict[pickles.Name, Any] = {
        ("collections", "OrderedDict"): pickles.empty_ordered_dict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
        ("torch", "Size"): _size,
    }
    for storage, dtype in _STORAGES.items():
        names["torch", storage] = _Type(dtype)
    for dtype in _DTYPES:
        names["torch", dtype] = _Type(dtype)
    return names


def _persistent(storages: Dict[str, _Storage], what: str) -> Callable[[Any], Any]:
    """Turns ("storage", type, key, location, numel, ...) into a storage, and notes it."""

    def resolve(identifier: Any) -> Any:
        if isinstance(identifier, tuple) and len(identifier) > 1 and isinstance(identifier[1], pickles.Refused):
            return identifier[1]        # ("module", class, source code), of a whole module
        if (
            not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage"
            or not isinstance(identifier[1], _Type) or not isinstance(identifier[2], str)
            or len(identifier[2]) > pickles.MAX_TEXT or not is_shape((identifier[4],))
        ):
            raise CheckpointError(f"{what}: the pickle refers to something that is no storage of a known type")
        if len(identifier) > 5 and identifier[5] is not None:
            raise CheckpointError(f"{what}: the pickle refers to a view of a storage, as PyTorch before 0.4 did")
        new = _Storage(identifier[1], identifier[2], identifier[4])
        old = storages.setdefault(new.key, new)
        if old != new:
            raise CheckpointError(f'{what}: storage "{new.key}" has {old.numel} numbers of type {old.type.name}, '
                                  f"and again {new.numel} of type {new.type.name}")
        return old

    return resolve


def _item_size(storage: _Storage) -> int:
    dtype = _DTYPES[storage.type.name]
    return 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize


def _numbers(data: bytes, storage: _Storage, what: str) -> np.ndarray:
    if len(data) != storage.numel * _item_size(storage):
        raise CheckpointError(f'{what}: storage "{storage.key}" has {len(data)} bytes, '
                              f"expected {storage.numel} numbers of type {storage.type.name}")
    dtype = _DTYPES[storage.type.name]
    if dtype == _BFLOAT16:
        return from_bf16(np.frombuffer(data, "<u2"))
    return np.frombuffer(data, dtype)


def _array(name: str, tensor: Tensor, numbers: np.ndarray, budget: Budget) -> np.ndarray:
    """The tensor's view of its storage, copied out."""
    last, elements = tensor.offset, 1
    for size, stride in zip(tensor.shape, tensor.strides):
        elements *= size
        last += (size - 1) * stride
    budget.take(elements * numbers.itemsize)
    what = f'{budget.what}: tensor "{name}"'
    if elements == 0:
        return array_of(b"", numbers.dtype, tensor.shape, "C", what)
    if last >= len(numbers):
        raise CheckpointError(f"{what} reads number {last} of a storage of {len(numbers)}")
    strides = tuple(stride * numbers.itemsize if size > 1 else 0 for size, stride in zip(tensor.shape, tensor.strides))
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset:], tensor.shape, strides).copy()


# ---------------------------------------------------------------- the two file formats


def _read_zip(data: bytes, what: str, budget: Budget) -> Tuple[Any, Callable[[_Storage], bytes]]:
    archive = Archive(data, what)

    def read(name: str) -> bytes:
        # PyTorch stores without compression. Files of an archive may lie over each other, and together be larger than it.
        budget.take(archive.stored_size(name))
        return archive.read(name)

    pickled = [name for name in archive.entries if name.split("/", 1)[-1] == "data.pkl"]
    constants = any(name.endswith("constants.pkl") for name in archive.entries)
    if constants:
        raise CheckpointError(f"{what}: this is a TorchScript archive, which is code; save model.state_dict() instead")
    if len(pickled) != 1:
        hint = ""
        if "model.weights.h5" in archive.entries:
            hint = '; it is a .keras archive: save with model.save("model.h5") instead'
        raise CheckpointError(f"{what}: the archive has no data.pkl, so it is not from torch.save{hint}")
    prefix = pickled[0][:-len("data.pkl")]
    if f"{prefix}byteorder" in archive.entries and read(f"{prefix}byteorder") != b"little":
        raise CheckpointError(f"{what}: the tensors are not little-endian")

    storages: Dict[str, _Storage] = {}
    content = pickles.load(read(pickled[0]), _stand_ins(), what=what, persistent=_persistent(storages, what))
    return content, lambda storage: read(f"{prefix}data/{storage.key}")


def _read_legacy(data: bytes, what: str) -> Tuple[Any, Callable[[_Storage], bytes]]:
    """Pickles of a magic number, a version, the byte order, the content and the keys; then the storages."""
    file = io.BytesIO(data)
    storages: Dict[str, _Storage] = {}
    persistent = _persistent(storages, what)
    parts = [pickles.load(file, _stand_ins(), what=what, persistent=persistent) for _ in range(5)]
    magic, _, system, content, keys = parts
    if magic != LEGACY_MAGIC or not isinstance(system, dict) or not isinstance(keys, list):
        raise CheckpointError(f"{what}: not a file from torch.save")
    if system.get("little_endian") is not True:
        raise CheckpointError(f"{what}: the tensors are not little-endian")
    found = _legacy_storages(file, keys, storages, what)
    return content, lambda storage: found[storage.key]


def _legacy_storages(file: BinaryIO, keys: List[Any], storages: Dict[str, _Storage], what: str) -> Dict[str, bytes]:
    found: Dict[str, bytes] = {}
    for key in keys:
        if not isinstance(key, str) or len(key) > pickles.MAX_TEXT or key not in storages:
            raise CheckpointError(f"{what}: a storage is there that no tensor uses")
        numel = int.from_bytes(file.read(8), "little")
        if numel != storages[key].numel:
            raise CheckpointError(f"{what}: a storage of {numel} numbers, expected {storages[key].numel}")
        size = numel * _item_size(storages[key])
        found[key] = file.read(size)
        if len(found[key]) != size:
            raise CheckpointError(f"{what}: a storage of {size} bytes ends after {len(found[key])}")
    missing = [key for key in storages if key not in found]
    if missing:
        raise CheckpointError(f"{what}: {len(missing)} storages are missing at the end of the file")
    return found


def read(data: bytes, what: str) -> Any:
    """What was saved, with arrays in place of tensors: usually a dict of names and arrays."""
    budget = Budget(what, len(data))
    content, read_storage = _read_zip(data, what, budget) if is_zip(data) else _read_legacy(data, what)
    storages: Dict[str, np.ndarray] = {}

    def convert(name: str, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        storage = value.storage
        if storage.key not in storages:
            storages[storage.key] = _numbers(read_storage(storage), storage, what)
        return _array(name, value, storages[storage.key], budget)

    return pickles.convert_leaves(content, convert)
