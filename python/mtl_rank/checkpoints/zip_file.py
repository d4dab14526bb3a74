"""Zip archives, as torch.save() and numpy.savez() write them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Dict

from .checkpoint import CheckpointError

MAX_ENTRIES = 1_000_000

# zipfile has no common class for what it raises about damaged archives.
_ERRORS = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError,
           ValueError)


def is_zip(data: bytes) -> bool:
    return data[:4] == b"PK\x03\x04"


def first_name(data: bytes) -> bytes:
    """Of the first file in the archive."""
    return data[30:30 + int.from_bytes(data[26:28], "little")]


class Archive:
    """The files of an archive, by name; reading one checks its size and its checksum."""

    def __init__(self, data: bytes, what: str):
        self.what = what
        self.size = len(data)
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except _ERRORS as error:
            raise CheckpointError(f"{what}: a damaged zip archive: {error}") from None
        infos = self._archive.infolist()
        if len(infos) > MAX_ENTRIES:
            raise CheckpointError(f"{what}: {len(infos)} files in the archive exceed the limit of {MAX_ENTRIES}")
        self.entries: Dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            # Readers disagree about which of two counts.
            if self.entries.setdefault(info.filename, info) is not info:
                raise CheckpointError(f'{what}: "{info.filename[:200]}" is in the archive twice')

    def stored_size(self, name: str) -> int:
        """How many bytes a file will have that is stored without compression."""
        info = self.entries.get(name)
        if info is None:
            raise CheckpointError(f'{self.what}: the archive has no "{name[:200]}"')
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > self.size:
            raise CheckpointError(f'{self.what}: "{name}" of the archive is compressed, or larger than the archive')
        return info.file_size

    def read(self, name: str) -> bytes:
        """No more than the size that the entry states, whatever decompression would give."""
        info = self.entries[name]
        try:
            with self._archive.open(info) as file:
                data = file.read(info.file_size)
        except _ERRORS as error:
            raise CheckpointError(f'{self.what}: "{name}" of the archive is damaged: {error}') from None
        if len(data) != info.file_size:
            raise CheckpointError(f'{self.what}: "{name}" of the archive has {len(data)} bytes, expected {info.file_size}')
        return data
