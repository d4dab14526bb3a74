"""The safetensors file that a model is: bytes from contract and tensors, and back.

This layer knows the container only. What the contract means is the business of `mtl_rank.model`.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, Dict, List, Mapping, Tuple, Union

import numpy as np

from . import bf16
from .errors import ModelError
from .reader import check_distinct

Path = Union[str, "os.PathLike[str]"]

LENGTH_SIZE = 8                       # bytes of the header's length
MAX_HEADER_SIZE = 16 * 1024 * 1024
MAX_TENSORS = 100_000
MAX_DIMS = 4

CONTRACT_KEY = "mtl_rank"
DIGEST_KEY = "mtl_rank_sha256"

# Widest first: written in this order every tensor is aligned to its type.
DTYPES = {"I64": np.dtype("<i8"), "F32": np.dtype("<f4"), "BF16": bf16.BITS, "I8": np.dtype("i1"), "U8": np.dtype("u1")}


def dtype_name(tensor: np.ndarray) -> str:
    """The safetensors name of an array's type."""
    for name, dtype in DTYPES.items():
        if tensor.dtype == dtype:
            return name
    raise ModelError(f"type {tensor.dtype} cannot be stored, expected one of {', '.join(DTYPES)}")


def as_tensor(name: str, value: Any) -> np.ndarray:
    """A little-endian array of one of the types; floats of any size become float32. uint16 are bits of bf16."""
    array = np.asarray(value)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(DTYPES["F32"])
    elif array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = array.astype(DTYPES["BF16"])
    elif array.dtype == DTYPES["I8"]:
        pass
    elif array.dtype.kind == "i" or (array.dtype.kind == "u" and array.dtype.itemsize == 4):
        array = array.astype(DTYPES["I64"])
    elif array.dtype != DTYPES["U8"]:
        raise ModelError(f'tensor "{name}" has the type {array.dtype}, expected floats, integers or bytes')
    return array


def digest(contract: str, tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the contract's text and, in byte order of the names, each tensor's name and bytes."""
    sha256 = hashlib.sha256(contract.encode())
    for name in sorted(tensors, key=str.encode):
        sha256.update(name.encode())
        sha256.update(tensors[name].tobytes())
    return sha256.hexdigest()


def encode(contract: Mapping[str, Any], tensors: Mapping[str, Any]) -> bytes:
    """The bytes of a model file."""
    arrays = {name: as_tensor(name, value) for name, value in tensors.items()}
    for name, array in arrays.items():
        check_tensor(name, array)
    text = json.dumps(contract, allow_nan=False)
    header: Dict[str, Any] = {"__metadata__": {CONTRACT_KEY: text, DIGEST_KEY: digest(text, arrays)}}

    widths = [dtype.itemsize for dtype in DTYPES.values()]
    order = sorted(arrays, key=lambda name: (widths.index(arrays[name].itemsize), name.encode()))
    end = 0
    for name in order:
        begin, end = end, end + arrays[name].nbytes
        header[name] = {"dtype": dtype_name(arrays[name]), "shape": list(arrays[name].shape), "data_offsets": [begin, end]}

    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    if len(head) > MAX_HEADER_SIZE:
        raise ModelError(f"the header has {len(head)} bytes, the limit is {MAX_HEADER_SIZE}")
    if len(arrays) > MAX_TENSORS:
        raise ModelError(f"{len(arrays)} tensors exceed the limit of {MAX_TENSORS}")
    return b"".join([len(head).to_bytes(LENGTH_SIZE, "little"), head, *(arrays[name].tobytes() for name in order)])


def decode(data: bytes) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    """Contract and tensors of a model file; the container, its checksum included, is checked."""
    header, body = split(data)
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict):
        raise ModelError('the safetensors file has no "__metadata__"')
    for key in (CONTRACT_KEY, DIGEST_KEY):
        if not isinstance(metadata.get(key), str):
            raise ModelError(f'"__metadata__" has no "{key}"')
    if len(header) > MAX_TENSORS:
        raise ModelError(f"{len(header)} tensors exceed the limit of {MAX_TENSORS}")

    tensors = {}
    places = []
    copied = 0
    for name, entry in header.items():
        begin, end, tensors[name] = stored_array(name, entry, body, DTYPES)
        check_tensor(name, tensors[name])
        places.append((begin, end, name))
        copied += end - begin
        if copied > len(body):
            break           # some lie over each other, as is said next; copies of all could fill the memory
    _check_tiling(places, len(body))

    expected, found = metadata[DIGEST_KEY], digest(metadata[CONTRACT_KEY], tensors)
    if expected != found:
        raise ModelError(f"checksum does not match: the file says {expected}, its contract and tensors give {found}")
    contract = _json_object(metadata[CONTRACT_KEY], "contract")
    return contract, tensors


def write(path: Path, contract: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
    data = encode(contract, tensors)
    with open(path, "wb") as file:
        file.write(data)


def read(path: Path) -> Tuple[Dict[str, Any], Dict[str, np.ndarray]]:
    with open(path, "rb") as file:
        return decode(file.read())


def check_tensor(name: str, tensor: np.ndarray) -> None:
    """What the format asks of any tensor, whatever its use."""
    if not 1 <= tensor.ndim <= MAX_DIMS:
        raise ModelError(f'tensor "{name}" has {tensor.ndim} dimensions, expected 1 to {MAX_DIMS}')
    if tensor.size == 0 and dtype_name(tensor) != "U8":
        raise ModelError(f'tensor "{name}" of shape {list(tensor.shape)} is empty')
    if tensor.dtype.kind == "f" or tensor.dtype == DTYPES["BF16"]:
        numbers = tensor if tensor.dtype.kind == "f" else bf16.from_bf16(tensor)
        finite = np.isfinite(numbers)
        if not finite.all():
            place = np.unravel_index(np.argmin(finite), tensor.shape)
            raise ModelError(f'tensor "{name}" has {numbers[place]} at {[int(i) for i in place]}, expected a finite number')


def split(data: bytes) -> Tuple[Dict[str, Any], bytes]:
    """Header and body of any safetensors file."""
    if len(data) < LENGTH_SIZE:
        raise ModelError(f"{len(data)} bytes are too few for a safetensors file")
    length = int.from_bytes(data[:LENGTH_SIZE], "little")
    if length > len(data) - LENGTH_SIZE:
        raise ModelError(f"header of {length} bytes in a file of {len(data)} bytes: truncated, or not a safetensors file")
    if length > MAX_HEADER_SIZE:
        raise ModelError(f"the header has {length} bytes, the limit is {MAX_HEADER_SIZE}")
    try:
        text = data[LENGTH_SIZE:LENGTH_SIZE + length].decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"the header is not UTF-8 text: {error}") from None
    return _json_object(text, "header"), data[LENGTH_SIZE + length:]


def _json_object(text: str, what: str) -> Dict[str, Any]:
    def refuse_constant(constant: str) -> None:
        raise ModelError(f"the {what} holds {constant}, which is not JSON")

    def without_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            check_distinct([name for name, _ in pairs], f"key of the {what}")
        return result

    try:
        value = json.loads(text, parse_constant=refuse_constant, object_pairs_hook=without_duplicates)
    except ModelError:
        raise
    except ValueError as error:         # of its syntax, or an integer with more digits than Python converts
        raise ModelError(f"the {what} is not JSON: {error}") from None
    except RecursionError:
        raise ModelError(f"the {what} is nested too deeply") from None
    if not isinstance(value, dict):
        raise ModelError(f"the {what} is not a JSON object")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def stored_array(name: str, entry: Any, body: bytes, dtypes: Mapping[str, np.dtype]) -> Tuple[int, int, np.ndarray]:
    """One tensor of any safetensors file: its first byte, the byte after its last, and a copy of it as an array."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ModelError(f'tensor "{name}": expected the keys "dtype", "shape" and "data_offsets"')
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in dtypes:
        raise ModelError(f'tensor "{name}" has the dtype {entry["dtype"]!r}, expected one of {", ".join(dtypes)}')
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not all(map(_is_count, shape)):
        raise ModelError(f'tensor "{name}" has the shape {shape!r}, expected a list of sizes')
    if len(shape) > MAX_DIMS:
        raise ModelError(f'tensor "{name}" has {len(shape)} dimensions, expected 1 to {MAX_DIMS}')
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise ModelError(f'tensor "{name}" has the data_offsets {offsets!r}, expected a begin and an end')

    begin, end = offsets
    if begin > end or end > len(body):
        raise ModelError(f'tensor "{name}" lies at bytes {begin} to {end} of {len(body)} bytes of data')
    dtype = dtypes[entry["dtype"]]
    size = dtype.itemsize
    for n in shape:
        size *= n
    if size != end - begin:
        raise ModelError(f'tensor "{name}" of shape {shape} has {end - begin} bytes of data, expected {size}')
    try:
        return begin, end, np.frombuffer(body[begin:end], dtype).reshape(shape).copy()
    except (ValueError, OverflowError):         # empty, but for dimensions beyond what numpy counts
        raise ModelError(f'tensor "{name}" has the shape {shape}, which is out of range') from None


def _check_tiling(places: List[Tuple[int, int, str]], size: int) -> None:
    """Together the tensors must cover the data without gaps or overlaps."""
    position = 0
    for begin, end, name in sorted(places):
        if begin != position:
            raise ModelError(f'tensor "{name}" begins at byte {begin} of the data, expected {position}')
        position = end
    if position != size:
        raise ModelError(f"the tensors cover {position} bytes of data, the file has {size}")
