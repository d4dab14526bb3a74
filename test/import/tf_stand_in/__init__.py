"""Stands in for the part of TensorFlow and tf.keras 2 that DeepCTR's multi-task models use, on PyTorch.

    feature_column, multitask = import_deepctr(folder)

runs DeepCTR's own code on it. Written from what TensorFlow documents and from reading tf-keras 2. compare_deepctr.py runs the
same models on Keras 3 itself.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any, Dict, Optional, Tuple

import torch

from . import layers, model, ops


def _module(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)
    return module


def parts_on_torch() -> Dict[str, Dict[str, Any]]:
    """Members of TensorFlow's modules."""
    initializers = {"Zeros": layers.Zeros, "Ones": layers.Ones, "RandomNormal": layers.RandomNormal}
    return {
        "tensorflow": {key: value for key, value in vars(ops).items() if not key.startswith("_")},
        "tensorflow.nn": {"bias_add": ops.bias_add, "softmax": ops.softmax},
        "tensorflow.python.ops.init_ops_v2": {
            **initializers, "glorot_normal": layers.glorot_normal, "TruncatedNormal": layers.RandomNormal,
            "Constant": layers.Zeros, "glorot_uniform": layers.glorot_normal,
        },
        "tensorflow.python.ops.lookup_ops": {
            "TextFileInitializer": ops.TextFileInitializer, "StaticHashTable": ops.StaticHashTable,
        },
        "tensorflow.keras.initializers": initializers,
        "tensorflow.keras.regularizers": {"l2": lambda factor: None},
        "tensorflow.keras.models": {"Model": model.Model},
        "tensorflow.keras.layers": {
            **{key: value for key, value in vars(layers).items() if isinstance(value, type)}, "Input": layers.Input,
            **{name: type(name, (layers.Layer,), {}) for name in ("LSTM", "Add")},      # imported, and never used
        },
    }


def import_deepctr(folder: str, parts: Optional[Dict[str, Dict[str, Any]]] = None) -> Tuple[Any, Any]:
    """DeepCTR's modules feature_column and models.multitask from a checkout.

    The packages' own __init__ files are passed over: they ask the network for newer versions, and import models that need more
    of TensorFlow.
    """
    for name in ("tensorflow", "tensorflow.python", "tensorflow.python.ops", "tensorflow.keras"):
        _module(name).__path__ = []
    _module("tensorflow.keras.backend")
    for name, members in (parts or parts_on_torch()).items():
        vars(sys.modules.get(name) or _module(name)).update(members)
    sys.modules["tensorflow"].__version__ = "2.15.0"
    for name in ("deepctr", "deepctr.layers", "deepctr.models"):
        _module(name).__path__ = [os.path.join(folder, *name.split("."))]
    _module("deepctr.contrib").__path__ = []
    _module("deepctr.contrib.rnn_v2", dynamic_rnn=None)
    _module("deepctr.contrib.utils", QAAttGRUCell=None, VecAttGRUCell=None)
    import deepctr.layers.utils
    sys.modules["deepctr.layers"].Linear = deepctr.layers.utils.Linear
    import deepctr.feature_column
    import deepctr.models.multitask

    return deepctr.feature_column, deepctr.models.multitask


def train(network: Any, columns: Any, labels: torch.Tensor, steps: int, batch: int) -> None:
    """Adam on the mean squared distance of scores and labels (rows, outputs)."""
    optimizer = torch.optim.Adam(network.trainable_weights, lr=0.01)
    generator = torch.Generator().manual_seed(11)
    for _ in range(steps):
        rows = torch.randperm(len(labels), generator=generator)[:batch].numpy()
        scores = torch.cat(network({name: values[rows] for name, values in columns.items()}, training=True), dim=1)
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(scores, labels[rows]).backward()
        optimizer.step()
