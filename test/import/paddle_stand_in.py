"""The part of PaddlePaddle that the networks of PaddleRec call, on PyTorch: Paddle itself cannot be installed everywhere.

install() makes `import paddle` give it. Each function does what Paddle's documentation says of it for the arguments that
PaddleRec gives; an argument that it does not know is an error. save() writes what paddle.save() does.
"""

from __future__ import annotations

import pickle
import sys
import types
from typing import Any, Dict, Mapping

import torch

# ---------------------------------------------------------------- layers


class Layer(torch.nn.Module):
    """Layers set as attributes are sublayers, those in plain lists are not; both as in PyTorch."""

    def add_sublayer(self, name: str, sublayer: torch.nn.Module) -> torch.nn.Module:
        # Paddle allows a name that PyTorch would not see as an attribute, with dots; there are none here.
        self.add_module(name, sublayer)
        return sublayer


class Linear(Layer):
    """Weights are (in, out)."""

    def __init__(self, in_features, out_features, weight_attr=None, bias_attr=None, name=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(in_features, out_features) * (2 / in_features) ** 0.5)
        self.bias = None if bias_attr is False else torch.nn.Parameter(torch.randn(out_features) * 0.3)

    def forward(self, x):
        y = torch.matmul(x, self.weight)
        return y if self.bias is None else y + self.bias


class Embedding(Layer):
    """Gives zeros for padding_idx, whatever the table has there."""

    def __init__(self, num_embeddings, embedding_dim, padding_idx=None, sparse=False, weight_attr=None, name=None):
        super().__init__()
        self.padding_idx = padding_idx
        self.weight = torch.nn.Parameter(torch.randn(num_embeddings, embedding_dim))

    def forward(self, x):
        rows = torch.nn.functional.embedding(x, self.weight)
        return rows if self.padding_idx is None else rows * (x != self.padding_idx).unsqueeze(-1)


class Softmax(Layer):
    def __init__(self, axis=-1, name=None):
        super().__init__()
        self.axis = axis

    def forward(self, x):
        return torch.softmax(x, self.axis)


# ---------------------------------------------------------------- functions


def concat(x, axis=0):
    return torch.cat(list(x), dim=axis)


def sum_(x, axis=None):
    return x.sum(dim=axis)


def multiply(x, y):
    return x * y


def clip(x, min=None, max=None):
    return torch.clamp(x, min, max)


def slice_(input, axes, starts, ends):
    for axis, start, end in zip(axes, starts, ends):
        input = input.narrow(axis, start, end - start)
    return input


def flatten(x, start_axis=0):
    return torch.flatten(x, start_axis)


def softmax(x, axis=-1):
    return torch.softmax(x, axis)


class _Described:
    """ParamAttr and initializers: which values parameters begin with. Here all begin with random ones."""

    def __init__(self, *_: Any, **__: Any):
        pass


# ---------------------------------------------------------------- the modules


def _module(name: str, **content: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module
    return module


def install() -> None:
    initializer = _module("paddle.nn.initializer", Constant=_Described, Uniform=_Described, Normal=_Described,
                          XavierUniform=_Described)
    functional = _module("paddle.nn.functional", relu=torch.relu, softmax=softmax)
    layers = _module(
        "paddle.nn", Layer=Layer, Linear=Linear, Embedding=Embedding, Softmax=Softmax, Sequential=torch.nn.Sequential,
        LayerList=torch.nn.ModuleList, ReLU=torch.nn.ReLU, Sigmoid=torch.nn.Sigmoid, Dropout=torch.nn.Dropout,
        initializer=initializer, functional=functional,
    )
    _module(
        "paddle", nn=layers, ParamAttr=_Described, is_compiled_with_custom_device=lambda device: False, concat=concat,
        reshape=torch.reshape, multiply=multiply, sum=sum_, clip=clip, slice=slice_, flatten=flatten,
        unsqueeze=torch.unsqueeze, squeeze=torch.squeeze,
    )


def save(state_dict: Mapping[str, torch.Tensor], path: str, protocol: int = 4) -> None:
    """A state dict as paddle.save() writes it (python/paddle/framework/io.py), of parameters below a gigabyte."""
    content: Dict[str, Any] = {name: value.detach().numpy() for name, value in state_dict.items()}
    content["StructuredToParameterName@@"] = {name: f"parameter_{i}" for i, name in enumerate(state_dict)}
    with open(path, "wb") as file:
        pickle.dump(content, file, protocol=protocol)
