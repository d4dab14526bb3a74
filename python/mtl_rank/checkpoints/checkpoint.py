"""A checkpoint: arrays by the names that a training library gave them."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

import numpy as np

from ..errors import ModelError


_NUMBER = re.compile(r"(\d{1,6})(?:\.|$)")


class CheckpointError(ModelError):
    """A checkpoint cannot be read, or is not what an importer needs."""


class Checkpoint:
    """Names and arrays.

    tensors: name -> array. source: the file, for errors. attributes: what a format says besides its tensors, such as the
    layers of a Keras model.

    What is under a prefix is found in a sorted list of the names, and costs no more than what is found, however many names there
    are: importers ask for every expert, tower and feature. The list is made when first asked for: then the names must stay.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], source: str, attributes: Optional[Dict[str, object]] = None):
        self.tensors: Dict[str, np.ndarray] = dict(tensors)
        self.source = source
        self.attributes = attributes or {}
        self._sorted: Optional[List[str]] = None
        self._numbers: Dict[str, Tuple[int, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)

    def has_prefix(self, prefix: str) -> bool:
        """Whether a name begins with it."""
        return next(self._under(prefix), None) is not None

    def under(self, prefix: str) -> List[str]:
        """Names that begin with it, sorted."""
        return list(self._under(prefix))

    def _under(self, prefix: str) -> Iterator[str]:
        if self._sorted is None:
            self._sorted = sorted(self.tensors)
        for i in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            if not self._sorted[i].startswith(prefix):
                break
            yield self._sorted[i]

    def matching(self, pattern: str) -> List[str]:
        """Names that a regular expression matches as a whole. Looks at all names: not to be asked for each part of a model."""
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

    def numbers(self, prefix: str) -> Tuple[int, ...]:
        """The numbers of the parts that are there, in order."""
        if prefix not in self._numbers:
            matches = (_NUMBER.match(name, len(prefix)) for name in self._under(prefix))
            self._numbers[prefix] = tuple(sorted({int(match[1]) for match in matches if match}))
        return self._numbers[prefix]
