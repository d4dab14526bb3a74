"""How much memory a file may be turned into: one of a few bytes must not be able to ask for all there is."""

from __future__ import annotations

from .checkpoint import CheckpointError

EXPANSION = 8       # tied weights share their numbers in a file, and some tensors are expanded views


class Budget:
    """Bytes that a file's content may still take.

    what: the file, for errors. size: its bytes. floor: allowed whatever the size, as compressed files need it.
    """

    def __init__(self, what: str, size: int, floor: int = 1 << 20):
        self.what = what
        self.size = size
        self.limit = floor + EXPANSION * size
        self.taken = 0

    def take(self, count: int) -> None:
        """Before `count` bytes are allocated."""
        self.taken += count
        if self.taken > self.limit:
            raise CheckpointError(f"{self.what}: its {self.size} bytes would become {self.taken} in memory, the limit is "
                                  f"{self.limit}; they are shared or compressed more than weights are")
