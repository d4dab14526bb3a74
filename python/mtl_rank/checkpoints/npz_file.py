"""numpy's .npz: a zip archive of arrays, compressed or not. Pickled objects in it are refused."""

from __future__ import annotations

import io
from typing import Dict

import numpy as np

from .arrays import array_of
from .budget import Budget
from .checkpoint import CheckpointError
from .zip_file import Archive, first_name

_SUFFIX = ".npy"
_PREFIX = b"\x93NUMPY"
_MAX_HEADER = 10_000          # of an array: its type and its shape, as Python's text
_COMPRESSED = 1 << 30         # bytes that a small file may become


def is_npz(data: bytes) -> bool:
    """Of a zip archive."""
    return first_name(data).endswith(_SUFFIX.encode())


def read(data: bytes, what: str) -> Dict[str, np.ndarray]:
    archive = Archive(data, what)
    budget = Budget(what, len(data), _COMPRESSED)
    arrays = {}
    for name, info in archive.entries.items():
        if not name.endswith(_SUFFIX):
            raise CheckpointError(f'{what}: "{name[:200]}" in the .npz file is no array')
        budget.take(info.file_size)
        arrays[name[:-len(_SUFFIX)]] = _array(archive.read(name), f'{what}: array "{name[:200]}"')
    return arrays


def _array(data: bytes, what: str) -> np.ndarray:
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise CheckpointError(f"{what} has the version {version} of the format, expected 1.0 or 2.0")
        width = 2 if version == (1, 0) else 4
        if int.from_bytes(data[len(_PREFIX) + 2:][:width], "little") > _MAX_HEADER:
            raise CheckpointError(f"{what} has a header of more than {_MAX_HEADER} bytes")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, in_fortran_order, dtype = read_header(file)
    except CheckpointError:
        raise
    except Exception as error:      # the header is an expression of Python: any of its parser's errors
        raise CheckpointError(f"{what} is damaged: {str(error)[:200]}") from None
    if dtype.kind not in "fiub":
        raise CheckpointError(f"{what} has the type {str(dtype)[:200]}, expected numbers")
    return array_of(data[file.tell():], dtype, shape, "F" if in_fortran_order else "C", what)
