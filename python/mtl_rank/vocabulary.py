"""Vocabularies: lists of distinct integers or texts, as tensors."""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Union

import numpy as np

from .errors import ModelError
from .expected import ExpectedTensors
from .reader import check_distinct, type_name

Entries = Union[Sequence[str], Sequence[int]]


def _names(vocabulary: str) -> List[str]:
    return [f"vocabulary.{vocabulary}.{part}" for part in ("ids", "bytes", "offsets")]


def vocabulary_tensors(vocabulary: str, entries: Entries) -> Dict[str, np.ndarray]:
    """The tensors of a vocabulary; entry i is looked up as row offset + i."""
    ids, texts, offsets = _names(vocabulary)
    if isinstance(entries, str) or not hasattr(entries, "__iter__"):
        raise ModelError(f'vocabulary "{vocabulary}" must be a list, found {type_name(entries)}')
    entries = list(entries)
    if not entries:
        raise ModelError(f'vocabulary "{vocabulary}" is empty')
    strings = all(isinstance(entry, str) for entry in entries)
    if not strings and not all(isinstance(entry, (int, np.integer)) and not isinstance(entry, bool) for entry in entries):
        raise ModelError(f'vocabulary "{vocabulary}" must be all strings or all integers')
    check_distinct(entries, f'entry of vocabulary "{vocabulary}"')
    if strings:
        encoded = [str(entry).encode() for entry in entries]
        ends = np.cumsum([0] + [len(text) for text in encoded])
        return {texts: np.frombuffer(b"".join(encoded), "u1"), offsets: ends.astype("<i8")}
    return {ids: np.array([int(entry) for entry in entries], "<i8")}


def vocabulary_entries(vocabulary: str, tensors: Dict[str, np.ndarray]) -> Union[List[str], List[int]]:
    """The entries in the order of their positions."""
    ids, texts, offsets = _names(vocabulary)
    if ids in tensors:
        return tensors[ids].tolist()
    if texts not in tensors or offsets not in tensors:
        raise ModelError(f'there is no vocabulary "{vocabulary}"')
    data, ends = tensors[texts].tobytes(), tensors[offsets].tolist()
    try:
        return [data[begin:end].decode() for begin, end in zip(ends, ends[1:])]
    except UnicodeDecodeError as error:
        raise ModelError(f'vocabulary "{vocabulary}" has an entry that is not UTF-8: {error}') from None


def vocabulary_size(vocabulary: str, tensors: Dict[str, np.ndarray]) -> int:
    ids, _, offsets = _names(vocabulary)
    return len(tensors[ids]) if ids in tensors else len(tensors[offsets]) - 1


def expect_vocabulary(vocabulary: str, expected: ExpectedTensors, found: Dict[str, np.ndarray]) -> None:
    """Of integers when those were found, of texts otherwise."""
    ids, texts, offsets = _names(vocabulary)
    if ids in found:
        expected.add(ids, (None,), dtype="I64")
    else:
        expected.add(texts, (None,), dtype="U8")
        expected.add(offsets, (None,), dtype="I64")


def vocabulary_problem(vocabulary: str, found: Dict[str, np.ndarray]) -> Optional[str]:
    """What is wrong with the numbers in a vocabulary's tensors, whose types and shapes are known to be right."""
    ids, texts, offsets = _names(vocabulary)
    if ids not in found:
        ends, size = found[offsets], len(found[texts])
        if ends[0] != 0 or ends[-1] != size or (np.diff(ends) < 0).any():
            return f'tensor "{offsets}" must start with 0, never fall, and end with {size}, the length of "{texts}"'
    try:
        check_distinct(vocabulary_entries(vocabulary, found), f'entry of vocabulary "{vocabulary}"')
    except ModelError as error:
        return str(error)
    return None
