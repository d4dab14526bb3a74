"""The operations of TensorFlow that DeepCTR's multi-task models call, on PyTorch's tensors."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "oracle"))

from farmhash import fingerprint64    # noqa: E402

float32, float64, int32, int64, bool = torch.float32, torch.float64, torch.int32, torch.int64, torch.bool
string = "string"

_DTYPES = {"float32": float32, "float64": float64, "int32": int32, "int64": int64, "bool": bool, "string": string}


class Strings:
    """A tensor of texts, which PyTorch has not."""

    dtype = string

    def __init__(self, values: Any):
        self.values = np.asarray(values, object)

    @property
    def shape(self) -> Any:
        return self.values.shape


def as_dtype(dtype: Any) -> Any:
    return _DTYPES[dtype] if isinstance(dtype, str) else dtype


def tensor(values: Any, dtype: Any) -> Any:
    """What a model's input becomes."""
    if as_dtype(dtype) == string:
        return values if isinstance(values, Strings) else Strings(values)
    return torch.as_tensor(np.asarray(values)).to(as_dtype(dtype))


# ---------------------------------------------------------------- texts


def as_string(x: Any) -> Strings:
    """Integers in decimal; floats as %f has them, with six decimals."""
    texts = [f"{v:f}" if x.dtype.is_floating_point else f"{v:d}" for v in x.reshape(-1).tolist()]
    return Strings(np.array(texts, object).reshape(tuple(x.shape)))


def string_to_hash_bucket_fast(x: Strings, num_buckets: int, name: Any = None) -> torch.Tensor:
    hashed = [fingerprint64(text.encode()) % num_buckets for text in x.values.reshape(-1)]
    return torch.tensor(hashed, dtype=int64).reshape(x.shape)


def not_equal(x: Any, y: Any) -> Any:
    return torch.as_tensor((x.values != y.values).astype(np.bool_)) if isinstance(x, Strings) else x != y


class TextFileInitializer:
    """A file with a key and a value per line."""

    def __init__(self, path: str, key_dtype: str, key_index: int, value_dtype: str, value_index: int, delimiter: str):
        with open(path, encoding="utf-8") as file:
            fields = [line.rstrip("\n").split(delimiter) for line in file]
        self.table = {field[key_index]: int(field[value_index]) for field in fields}


class StaticHashTable:
    def __init__(self, initializer: TextFileInitializer, default_value: int):
        self.table, self.default = initializer.table, default_value

    def lookup(self, x: Strings) -> torch.Tensor:
        return torch.tensor([self.table.get(text, self.default) for text in x.values.reshape(-1)], dtype=int64).reshape(x.shape)


# ---------------------------------------------------------------- numbers


def constant(value: Any, dtype: Any = float32) -> torch.Tensor:
    return torch.tensor(value, dtype=as_dtype(dtype))


def zeros(shape: Any, dtype: Any = float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=as_dtype(dtype))


def cast(x: Any, dtype: Any) -> torch.Tensor:
    return x.to(as_dtype(dtype))


def tensordot(x: torch.Tensor, kernel: torch.Tensor, axes: Any) -> torch.Tensor:
    return torch.tensordot(x, kernel, dims=([axes[0]], [axes[1]]))


def bias_add(x: torch.Tensor, bias: torch.Tensor, data_format: Any = None) -> torch.Tensor:
    return x + bias


def softmax(x: torch.Tensor, axis: int = -1, name: Any = None) -> torch.Tensor:
    return torch.softmax(x, axis)


def reduce_sum(x: torch.Tensor, axis: Any = None, keepdims: Any = False, name: Any = None) -> torch.Tensor:
    return torch.sum(x, axis, keepdim=keepdims)


def reduce_max(x: torch.Tensor, axis: Any = None, keepdims: Any = False, name: Any = None) -> torch.Tensor:
    return torch.amax(x, axis, keepdim=keepdims)


def sequence_mask(lengths: torch.Tensor, maxlen: int, dtype: Any = bool) -> torch.Tensor:
    """One more dimension: whether a place is before the length."""
    return (torch.arange(maxlen) < lengths.unsqueeze(-1)).to(as_dtype(dtype))


def transpose(x: torch.Tensor, order: Any) -> torch.Tensor:
    return x.permute(*order)


def tile(x: torch.Tensor, times: Any) -> torch.Tensor:
    return x.repeat(*times)


def expand_dims(x: torch.Tensor, axis: int) -> torch.Tensor:
    return x.unsqueeze(axis)


def concat(xs: Any, axis: int) -> torch.Tensor:
    return torch.cat(xs, axis)


def stack(xs: Any, axis: int) -> torch.Tensor:
    return torch.stack(xs, axis)


def divide(x: Any, y: Any, name: Any = None) -> torch.Tensor:
    return x / y


where, multiply, sigmoid, reshape = torch.where, torch.mul, torch.sigmoid, torch.reshape
ones_like, zeros_like = torch.ones_like, torch.zeros_like
