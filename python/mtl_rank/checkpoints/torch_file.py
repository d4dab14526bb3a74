"""PyTorch's files: what torch.save(model.state_dict(), path) writes, read without PyTorch.

Since PyTorch 1.6 that is a zip archive: data.pkl, whose tensors refer to storages by key, and a file per storage. Before,
it was a sequence of pickles followed by the storages.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Dict, List, Tuple

import numpy as np

from . import pickles
from .checkpoint import CheckpointError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MAX_TENSOR_BYTES = 4 << 30
MAX_ENTRIES = 1_000_000

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
    sizes = (offset, *shape, *strides) if isinstance(shape, tuple) and isinstance(strides, tuple) else ()
    if not isinstance(storage, _Storage) or not sizes or len(shape) != len(strides):
        raise CheckpointError("a tensor of the pickle has no storage, or no shape")
    if not all(type(n) is int and n >= 0 for n in sizes):
        raise CheckpointError(f"a tensor of the pickle has the offset, shape and strides {list(sizes)}")
    return Tensor(storage, offset, shape, strides)


def _rebuild_parameter(data: Any, *_: Any) -> Any:
    return data


def _stand_ins() -> pickles.StandIns:
    names: Dict[pickles.Name, Any] = {
        ("collections", "OrderedDict"): pickles.empty_ordered_dict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
        ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        ("torch._utils", "_rebuild_parameter_with_state"): _rebuild_parameter,
        ("torch", "Size"): tuple,
    }
    for storage, dtype in _STORAGES.items():
        names["torch", storage] = _Type(dtype)
    for dtype in _DTYPES:
        names["torch", dtype] = _Type(dtype)
    return names


def _persistent(storages: Dict[str, _Storage], what: str) -> Callable[[Any], _Storage]:
    """Turns ("storage", type, key, location, numel, ...) into a storage, and notes it."""

    def resolve(identifier: Any) -> _Storage:
        if (
            not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage"
            or not isinstance(identifier[1], _Type) or not isinstance(identifier[2], str)
            or type(identifier[4]) is not int or identifier[4] < 0
        ):
            raise CheckpointError(f"{what}: the pickle refers to something that is no storage of a known type")
        key = identifier[2]
        return storages.setdefault(key, _Storage(identifier[1], key, identifier[4]))

    return resolve


def _numbers(data: bytes, dtype_name: str, what: str) -> np.ndarray:
    dtype = _DTYPES[dtype_name]
    if dtype == _BFLOAT16:
        if len(data) % 2:
            raise CheckpointError(f"{what}: a storage of bfloat16 has {len(data)} bytes")
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    if len(data) % np.dtype(dtype).itemsize:
        raise CheckpointError(f"{what}: a storage of {dtype_name} has {len(data)} bytes")
    return np.frombuffer(data, dtype)


def _array(name: str, tensor: Tensor, numbers: np.ndarray) -> np.ndarray:
    """The tensor's view of its storage, copied out."""
    last, elements = tensor.offset, 1
    for size, stride in zip(tensor.shape, tensor.strides):
        elements *= size
        last += (size - 1) * stride
    if elements * numbers.itemsize > MAX_TENSOR_BYTES:
        raise CheckpointError(f'tensor "{name}" of shape {list(tensor.shape)} takes more than {MAX_TENSOR_BYTES} bytes')
    if elements == 0:
        return np.zeros(tensor.shape, numbers.dtype)
    if last >= len(numbers):
        raise CheckpointError(f'tensor "{name}" reads number {last} of a storage of {len(numbers)}')
    strides = tuple(stride * numbers.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(numbers[tensor.offset:], tensor.shape, strides).copy()


# ---------------------------------------------------------------- the two file formats


def is_zip(data: bytes) -> bool:
    return data[:4] == b"PK\x03\x04"


def _read_zip(data: bytes, what: str) -> Tuple[Any, Callable[[_Storage], bytes]]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError) as error:
        raise CheckpointError(f"{what}: a damaged zip archive: {error}") from None
    entries = {info.filename: info for info in archive.infolist()}
    if len(entries) > MAX_ENTRIES:
        raise CheckpointError(f"{what}: {len(entries)} files in the archive exceed the limit of {MAX_ENTRIES}")

    def read(name: str) -> bytes:
        info = entries.get(name)
        if info is None:
            raise CheckpointError(f'{what}: the archive has no "{name}"')
        # PyTorch stores without compression, so nothing can be larger than the file itself.
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(data):
            raise CheckpointError(f'{what}: "{name}" of the archive is compressed, or larger than the archive')
        try:
            return archive.read(info)
        except (zipfile.BadZipFile, RuntimeError, EOFError, ValueError) as error:
            raise CheckpointError(f'{what}: "{name}" of the archive is damaged: {error}') from None

    pickled = [name for name in entries if name.split("/", 1)[-1] == "data.pkl"]
    if len(pickled) != 1:
        constants = any(name.endswith("constants.pkl") for name in entries)
        hint = "; it looks like TorchScript: save model.state_dict() instead" if constants else ""
        raise CheckpointError(f"{what}: the archive has no data.pkl, so it is not from torch.save{hint}")
    if any(name.endswith("constants.pkl") for name in entries):
        raise CheckpointError(f"{what}: this is a TorchScript archive, which is code; save model.state_dict() instead")
    prefix = pickled[0][:-len("data.pkl")]
    if f"{prefix}byteorder" in entries and read(f"{prefix}byteorder") != b"little":
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
        if key not in storages:
            raise CheckpointError(f"{what}: a storage is there that no tensor uses")
        dtype = _DTYPES[storages[key].type.name]
        numel = int.from_bytes(file.read(8), "little")
        if numel != storages[key].numel:
            raise CheckpointError(f"{what}: a storage of {numel} numbers, expected {storages[key].numel}")
        size = numel * (2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize)
        found[key] = file.read(size)
        if len(found[key]) != size:
            raise CheckpointError(f"{what}: a storage of {size} bytes ends after {len(found[key])}")
    missing = [key for key in storages if key not in found]
    if missing:
        raise CheckpointError(f"{what}: {len(missing)} storages are missing at the end of the file")
    return found


def read(data: bytes, what: str) -> Any:
    """What was saved, with arrays in place of tensors: usually a dict of names and arrays."""
    content, read_storage = _read_zip(data, what) if is_zip(data) else _read_legacy(data, what)
    cache: Dict[str, np.ndarray] = {}

    def numbers(storage: _Storage) -> np.ndarray:
        if storage.key not in cache:
            cache[storage.key] = _numbers(read_storage(storage), storage.type.name, what)
        return cache[storage.key]

    return materialize(content, lambda name, tensor: _array(name, tensor, numbers(tensor.storage)))


def materialize(content: Any, convert: Callable[[str, Tensor], np.ndarray]) -> Any:
    """Replaces tensors two dicts deep, where state dicts have them; deeper ones are nobody's weights."""
    if isinstance(content, Tensor):
        return convert("", content)
    if not isinstance(content, dict):
        return content
    result: Dict[Any, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            result[key] = {
                inner: convert(str(inner), item) if isinstance(item, Tensor) else item for inner, item in value.items()
            }
        else:
            result[key] = convert(str(key), value) if isinstance(value, Tensor) else value
    return result
