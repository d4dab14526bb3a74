"""DeepCTR's DNN in a Keras checkpoint: its layers, batch norms and activations, each with its own number.

A DNN's group holds kernel0, kernel1, ..., bias0, ..., and under names that Keras counts up the weights of its batch norms, PReLUs
and Dices. In the list of the group the first of a kind belongs to layer 0, the next to layer 1, and so on; there is one for
each layer, or none.
"""

from __future__ import annotations

import re
from typing import Dict, List, Tuple

import numpy as np

from ..checkpoints import Checkpoint
from ..errors import ModelError
from .keras_layers import KerasLayers

_NORM = {"gamma", "beta", "moving_mean", "moving_variance"}
_STATISTICS = {"moving_mean", "moving_variance"}
_OWN = re.compile(r"(kernel|bias)(\d{1,4})")


def by_layer(checkpoint: Checkpoint, layers: KerasLayers) -> Checkpoint:
    """The checkpoint under names that no counter is in: "tower_ctr/0/kernel", ".../bias", ".../norm/gamma", ".../alpha" and
    ".../dice/moving_mean" for a DNN, "dense_3/kernel" for other layers. A weight that fits nowhere keeps its name."""
    tensors: Dict[str, np.ndarray] = {}
    for layer, weights in layers.weights.items():
        names = _dnn(layer, weights) if any(_OWN.fullmatch(path) for path in weights) else {}
        for path, name in weights.items():
            tensors[names.get(path, f"{layer}/{path}")] = checkpoint.tensors[name]
    return Checkpoint(tensors, checkpoint.source, checkpoint.attributes)


def _dnn(layer: str, weights: Dict[str, str]) -> Dict[str, str]:
    """Path of a weight within the layer -> its name by number."""
    parts: Dict[str, Dict[str, str]] = {}
    names: Dict[str, str] = {}
    for path in weights:
        own = _OWN.fullmatch(path)
        if own:
            names[path] = f"{layer}/{int(own.group(2))}/{own.group(1)}"
        else:
            parent, _, leaf = path.rpartition("/")
            parts.setdefault(parent, {})[leaf] = path
    depth = len({name.split("/")[-2] for name in names.values()})

    dices = {parent: leaves for parent, leaves in parts.items() if set(leaves) == {"dice_alpha"}}
    norms: List[Tuple[str, str, Dict[str, str]]] = []
    for parent, leaves in parts.items():
        if set(leaves) == _NORM:
            norms.append(("norm", parent, leaves))
        elif set(leaves) == _STATISTICS and parent.rpartition("/")[0] in dices:
            norms.append(("dice", parent, leaves))
    for kind in ("norm", "dice"):
        _number(layer, depth, kind, [leaves for found, _, leaves in norms if found == kind], names)
    _number(layer, depth, "alpha of dice", list(dices.values()), names)
    _number(layer, depth, "alpha of prelu", [leaves for leaves in parts.values() if set(leaves) == {"alpha"}], names)
    return names


def _number(layer: str, depth: int, kind: str, found: List[Dict[str, str]], names: Dict[str, str]) -> None:
    """Numbers the parts of a kind in their order."""
    if found and len(found) != depth:
        raise ModelError(f'layer "{layer}" has {depth} layers, but {len(found)} with {kind}, so it cannot be told whose they are')
    for l, leaves in enumerate(found):
        for leaf, path in leaves.items():
            names[path] = f"{layer}/{l}/alpha" if kind.startswith("alpha") else f"{layer}/{l}/{kind}/{leaf}"
