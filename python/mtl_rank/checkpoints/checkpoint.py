"""A checkpoint: arrays by the names that a training library gave them."""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from ..errors import ModelError


class CheckpointError(ModelError):
    """A checkpoint cannot be read, or is not what an importer needs."""


class Checkpoint:
    """Names and arrays.

    tensors: name -> array. source: the file, for errors. attributes: what a format says besides its tensors, such as the
    layers of a Keras model.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], source: str, attributes: Optional[Dict[str, object]] = None):
        self.tensors: Dict[str, np.ndarray] = dict(tensors)
        self.source = source
        self.attributes = attributes or {}

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def has_prefix(self, prefix: str) -> bool:
        """Whether a name begins with it."""
        return any(name.startswith(prefix) for name in self.tensors)

    def matching(self, pattern: str) -> List[str]:
        """Names that a regular expression matches as a whole."""
        compiled = re.compile(pattern)
        return [name for name in self.tensors if compiled.fullmatch(name)]

    def shape(self, name: str) -> Tuple[int, ...]:
        """Of a tensor that may be missing: () then."""
        return self.tensors[name].shape if name in self.tensors else ()

    def count(self, prefix: str) -> int:
        """How many numbered parts lie under a prefix: "experts." with experts.0..., experts.2... has 3.

        A gap counts, so that what should be in it is reported as missing.
        """
        numbers = self.numbers(prefix)
        return numbers[-1] + 1 if numbers else 0

    def numbers(self, prefix: str) -> List[int]:
        """The numbers of the parts that are there, in order."""
        pattern = re.compile(re.escape(prefix) + r"(\d{1,6})(?:\.|$)")
        return sorted({int(match.group(1)) for match in map(pattern.match, self.tensors) if match})
