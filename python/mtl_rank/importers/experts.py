"""How many levels, experts and layers a checkpoint has, by names, which may be anybody's."""

from __future__ import annotations

from ..architectures import MAX_EXPERTS, MAX_LEVELS
from ..errors import ModelError
from ..layers import MAX_LAYERS
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


def count_layers(translation: Translation, prefix: str) -> int:
    """Of an MLP, whose layers are under a prefix; 0 when there are none."""
    layers = translation.checkpoint.count(prefix)
    if layers > MAX_LAYERS:
        raise ModelError(f'{translation.checkpoint.source}: "{prefix}" has {layers} layers, the limit is {MAX_LAYERS}')
    return layers
