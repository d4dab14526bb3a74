"""MLPs of blocks of four modules in one torch.nn.Sequential: a linear layer, a batch norm, an activation, a dropout.

In these libraries no part of a block is optional, so a batch norm that is not there is missing, where
Translation.sequential() would take it for an MLP without. A linear layer may follow the last block.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from .translation import Layer, Translation

_MODULES = 4


def block(prefix: str, first: int = 0, alpha: Optional[str] = None) -> Layer:
    """The layer whose modules begin with number `first`. alpha: the name of its activation's tensor, if it has one."""
    return Layer(f"{prefix}.{first}", f"{prefix}.{first + 1}", None if alpha is None else f"{prefix}.{first + 2}.{alpha}")


def _blocks(prefix: str, count: int, alpha: Optional[str]) -> List[Layer]:
    return [block(prefix, _MODULES * l, alpha) for l in range(count)]


def hidden_blocks(translation: Translation, prefix: str, alpha: Optional[str] = None) -> List[Layer]:
    """All layers of an MLP that ends with a block, at least one."""
    # Of the last block, the activation and the dropout may have no tensors.
    count = max(1, (translation.checkpoint.count(f"{prefix}.") + 3) // _MODULES)
    return _blocks(prefix, count, alpha)


def tower_blocks(translation: Translation, prefix: str, alpha: Optional[str] = None) -> Tuple[List[Layer], str]:
    """Of an MLP with a linear layer after the last block: its hidden layers, perhaps none, and that layer's name."""
    count = (translation.checkpoint.count(f"{prefix}.") + 2) // _MODULES
    return _blocks(prefix, count, alpha), f"{prefix}.{_MODULES * count}"
