"""How many levels and experts a checkpoint has."""

from __future__ import annotations

from ..architectures import MAX_EXPERTS, MAX_LEVELS
from ..errors import ModelError
from .translation import Translation


def count_experts(translation: Translation, prefix: str, gate: str, others: int = 0) -> int:
    """Experts under a prefix ("experts."). Of one that is missing the gate knows, which weighs these and `others`."""
    number = max(translation.checkpoint.count(prefix), translation.units(gate) - others)
    if not 1 <= number + others <= MAX_EXPERTS:
        raise ModelError(f'{translation.checkpoint.source}: "{prefix}" and the gate "{gate}" have {number + others} experts, '
                         f"expected 1 to {MAX_EXPERTS}")
    return number


def count_levels(translation: Translation, prefix: str) -> int:
    levels = translation.checkpoint.count(prefix)
    if not 1 <= levels <= MAX_LEVELS:
        raise ModelError(f'{translation.checkpoint.source}: "{prefix}" has {levels} levels, expected 1 to {MAX_LEVELS}')
    return levels
