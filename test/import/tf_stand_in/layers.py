"""Keras's Layer and the layers that DeepCTR's multi-task models are made of: names, weights, masks and arithmetic of tf.keras 2.

A layer is called with tensors, or, while a model is put together, with symbols (symbol.py).
"""

from __future__ import annotations

import inspect
import re
from typing import Any, Dict, List

import torch

from . import ops
from .symbol import Symbol, first_shape, flatten, map_structure, record

_counts: Dict[str, int] = {}
_scopes: List[str] = []
_seed = [0]


def snake_case(name: str) -> str:
    return re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()


def unique_name(cls: type) -> str:
    """dense, dense_1, dense_2: counted for the whole process."""
    name = snake_case(cls.__name__)
    count = _counts.get(name, 0)
    _counts[name] = count + 1
    return f"{name}_{count}" if count else name


# ---------------------------------------------------------------- initializers


class _Initializer:
    def __init__(self, *_: Any, **keys: Any):
        self.keys = keys

    def __call__(self, shape: Any) -> torch.Tensor:
        raise NotImplementedError


class Zeros(_Initializer):
    def __call__(self, shape: Any) -> torch.Tensor:
        return torch.zeros(shape)


class Ones(_Initializer):
    def __call__(self, shape: Any) -> torch.Tensor:
        return torch.ones(shape)


class RandomNormal(_Initializer):
    def __call__(self, shape: Any) -> torch.Tensor:
        _seed[0] += 1
        generator = torch.Generator().manual_seed(_seed[0])
        return torch.randn(shape, generator=generator) * self.keys.get("stddev", 0.05)


class glorot_normal(_Initializer):
    def __call__(self, shape: Any) -> torch.Tensor:
        return RandomNormal(stddev=(2 / sum(shape)) ** 0.5)(shape)


# ---------------------------------------------------------------- the base


class Layer:
    def __init__(self, name: Any = None, trainable: bool = True, dtype: Any = "float32", **_: Any):
        self.name = name or unique_name(type(self))
        self.trainable, self.dtype = trainable, dtype
        self.supports_masking = False
        self.built = False
        self.nodes: List[Any] = []
        self._own: List[Any] = []
        self._own_fixed: List[Any] = []

    def __setattr__(self, name: str, value: Any) -> None:
        """Layers in attributes, and in lists there, are tracked in the order in which they were set."""
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Layer):
                self.__dict__.setdefault("_children", []).append(item)
        object.__setattr__(self, name, value)

    def add_weight(self, name: str, shape: Any, initializer: Any = None, trainable: bool = True, **_: Any) -> torch.nn.Parameter:
        variable = torch.nn.Parameter((initializer or glorot_normal())(tuple(shape)), requires_grad=trainable)
        variable.keras_name = "/".join(_scopes + [name]) + ":0"
        (self._own if trainable else self._own_fixed).append(variable)
        return variable

    @property
    def trainable_weights(self) -> List[Any]:
        return self._own + [w for child in self.__dict__.get("_children", []) for w in child.trainable_weights]

    @property
    def non_trainable_weights(self) -> List[Any]:
        return self._own_fixed + [w for child in self.__dict__.get("_children", []) for w in child.non_trainable_weights]

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask

    def get_config(self) -> Dict[str, Any]:
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}

    def __call__(self, inputs: Any, training: bool = False) -> Any:
        if any(isinstance(x, Symbol) for x in flatten(inputs)):
            value, mask = self.run(map_structure(inputs, lambda x: x.value), map_structure(inputs, lambda x: x.mask), training)
            return record(self, inputs, value, mask)
        return self.run(inputs, map_structure(inputs, lambda x: None), training)[0]

    def run(self, inputs: Any, masks: Any, training: bool) -> Any:
        """(output, its mask or None)"""
        parameters = inspect.signature(self.call).parameters
        keys: Dict[str, Any] = {}
        if "training" in parameters:
            keys["training"] = training
        if "mask" in parameters and any(mask is not None for mask in flatten(masks)):
            keys["mask"] = masks
        _scopes.append(self.name)
        try:
            if not self.built:
                self.build(map_structure(inputs, first_shape))
                self.built = True
            output = self.call(inputs, **keys)
        finally:
            _scopes.pop()
        own_mask = type(self).compute_mask is not Layer.compute_mask
        return output, self.compute_mask(inputs, masks) if own_mask or self.supports_masking else None


# ---------------------------------------------------------------- Keras's own layers


class InputLayer(Layer):
    def __init__(self, shape: Any, dtype: Any, name: str):
        super().__init__(name=name, dtype=dtype)
        self.shape = shape

    def get_config(self) -> Dict[str, Any]:
        return {"batch_input_shape": [None, *self.shape], "dtype": self.dtype, "sparse": False, "ragged": False,
                "name": self.name}


def Input(shape: Any, name: Any = None, dtype: str = "float32") -> Symbol:
    layer = InputLayer(tuple(shape), dtype, name)
    value = ops.tensor([["0"] * shape[-1]] * 2, "string") if dtype == "string" else ops.zeros((2, *shape), dtype)
    return record(layer, None, value, None)


class Dense(Layer):
    def __init__(self, units: int, activation: Any = None, use_bias: bool = True, **keys: Any):
        super().__init__(**keys)
        self.units, self.function, self.use_bias = units, activation or "linear", use_bias

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight("kernel", (input_shape[-1], self.units))
        if self.use_bias:
            self.bias = self.add_weight("bias", (self.units,), Zeros())

    def call(self, inputs: Any) -> Any:
        y = inputs @ self.kernel
        return _FUNCTIONS[self.function](y + self.bias if self.use_bias else y)

    def get_config(self) -> Dict[str, Any]:
        return {**super().get_config(), "units": self.units, "activation": self.function, "use_bias": self.use_bias}


class Embedding(Layer):
    def __init__(self, input_dim: int, output_dim: int, embeddings_initializer: Any, embeddings_regularizer: Any = None,
                 mask_zero: bool = False, **keys: Any):
        super().__init__(**keys)
        self.input_dim, self.output_dim, self.mask_zero = input_dim, output_dim, mask_zero
        self.initializer = embeddings_initializer
        self.supports_masking = mask_zero

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight("embeddings", (self.input_dim, self.output_dim), self.initializer)

    def call(self, inputs: Any) -> Any:
        return self.embeddings[inputs.to(torch.int32 if inputs.is_floating_point() else inputs.dtype).long()]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return inputs != 0 if self.mask_zero else None

    def get_config(self) -> Dict[str, Any]:
        return {**super().get_config(), "input_dim": self.input_dim, "output_dim": self.output_dim, "mask_zero": self.mask_zero,
                "input_length": None}


class Flatten(Layer):
    def call(self, inputs: Any) -> Any:
        return inputs.reshape(len(inputs), -1)


class Multiply(Layer):
    def call(self, inputs: Any) -> Any:
        return inputs[0] * inputs[1]


class Lambda(Layer):
    """Its function is code, which a saved model holds marshalled; here it is left out."""

    def __init__(self, function: Any, **keys: Any):
        super().__init__(**keys)
        self.function = function

    def call(self, inputs: Any) -> Any:
        return self.function(inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None

    def get_config(self) -> Dict[str, Any]:
        return {**super().get_config(), "function": {"class_name": "__tuple__", "items": ["", None, None]},
                "function_type": "lambda", "arguments": {}}


class Dropout(Layer):
    def __init__(self, rate: float, seed: Any = None, **keys: Any):
        super().__init__(**keys)
        self.rate = rate

    def call(self, inputs: Any, training: Any = None) -> Any:
        return torch.nn.functional.dropout(inputs, self.rate, bool(training))


_FUNCTIONS = {
    "linear": lambda x: x, "relu": torch.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "softmax": lambda x: torch.softmax(x, -1), "swish": torch.nn.functional.silu, "gelu": torch.nn.functional.gelu,
    "leaky_relu": lambda x: torch.nn.functional.leaky_relu(x, 0.2),
}


class PReLU(Layer):
    def build(self, input_shape: Any) -> None:
        self.alpha = self.add_weight("alpha", input_shape[1:], Zeros())

    def call(self, inputs: Any) -> Any:
        return torch.relu(inputs) - self.alpha * torch.relu(-inputs)


class LeakyReLU(Layer):
    def call(self, inputs: Any) -> Any:
        return torch.nn.functional.leaky_relu(inputs, 0.3)


class Activation(Layer):
    """A function by its name; the name of a layer's class makes such a layer, which is tracked."""

    def __init__(self, activation: str, **keys: Any):
        super().__init__(**keys)
        self.supports_masking = True
        layers = {"PReLU": PReLU, "LeakyReLU": LeakyReLU}
        self.activation = layers[activation]() if activation in layers else _FUNCTIONS[activation]

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class BatchNormalization(Layer):
    def __init__(self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
                 **keys: Any):
        super().__init__(**keys)
        self.momentum, self.epsilon, self.center, self.scale = momentum, epsilon, center, scale

    def build(self, input_shape: Any) -> None:
        shape = (input_shape[-1],)
        self.gamma = self.add_weight("gamma", shape, Ones()) if self.scale else 1
        self.beta = self.add_weight("beta", shape, Zeros()) if self.center else 0
        self.moving_mean = self.add_weight("moving_mean", shape, Zeros(), trainable=False)
        self.moving_variance = self.add_weight("moving_variance", shape, Ones(), trainable=False)

    def call(self, inputs: Any, training: Any = None) -> Any:
        mean, variance = self.moving_mean, self.moving_variance
        if training:
            mean, variance = inputs.mean(0), inputs.var(0, unbiased=False)
            with torch.no_grad():
                self.moving_mean.lerp_(mean, 1 - self.momentum)
                self.moving_variance.lerp_(variance, 1 - self.momentum)
        return (inputs - mean) * torch.rsqrt(variance + self.epsilon) * self.gamma + self.beta
