"""Layers, MLPs, gates and towers: their keys, and the tensors they call for."""

from __future__ import annotations

from typing import Any, Callable, List, Optional

from .errors import ModelError
from .expected import ExpectedTensors, Size
from .reader import MAX_WIDTH, Reader, as_boolean, as_integer

MAX_LAYERS = 64

SIMPLE_ACTIVATIONS = ("linear", "relu", "prelu", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh")
ACTIVATIONS = SIMPLE_ACTIVATIONS + ("leaky_relu", "dice")


def _epsilon(reader: Reader, default: float, may_be_zero: bool) -> float:
    epsilon = reader.number("epsilon", default)
    if epsilon < 0 or (epsilon == 0 and not may_be_zero):
        expected = "0 or more" if may_be_zero else "a positive number"
        raise ModelError(f'"{reader.key_path("epsilon")}" is {epsilon}, expected {expected}')
    return epsilon


class Activation:
    def __init__(self, value: Any, path: str):
        reader = Reader({"type": value} if isinstance(value, str) else value, path)
        self.type = reader.choice("type", ACTIVATIONS)
        self.batch_statistics = False
        self.epsilon = 0.0
        if self.type == "leaky_relu":
            reader.number("negative_slope", 0.01)
        elif self.type == "dice":
            self.batch_statistics = reader.choice("statistics", ("batch", "row_mean", "row_sum"), "batch") == "batch"
            self.epsilon = _epsilon(reader, 1e-9 if self.batch_statistics else 1e-3, self.batch_statistics)
        reader.close()

    def expect(self, expected: ExpectedTensors, prefix: str, units: Size) -> None:
        if self.type in ("prelu", "dice"):
            expected.add(f"{prefix}.activation.alpha", (units,), (1,))
        if self.batch_statistics:
            expected.add(f"{prefix}.activation.running_mean", (units,))
            expected.add(f"{prefix}.activation.running_var", (units,), epsilon=self.epsilon)


class Normalization:
    def __init__(self, reader: Reader):
        self.type = reader.choice("type", ("batch_norm", "layer_norm"))
        self.epsilon = _epsilon(reader, 1e-5, self.type == "batch_norm")
        self.scale = reader.boolean("scale", True)
        self.center = reader.boolean("center", True)
        reader.choice("position", ("before_activation", "after_activation"), "before_activation")
        reader.close()

    def expect(self, expected: ExpectedTensors, prefix: str, units: Size) -> None:
        if self.type == "batch_norm":
            expected.add(f"{prefix}.norm.running_mean", (units,))
            expected.add(f"{prefix}.norm.running_var", (units,), epsilon=self.epsilon)
        if self.scale:
            expected.add(f"{prefix}.norm.weight", (units,))
        if self.center:
            expected.add(f"{prefix}.norm.bias", (units,))


def _normalization(reader: Reader, key: str) -> Optional[Normalization]:
    nested = reader.object(key, None)
    return None if nested is None else Normalization(nested)


def expect_layer(
    expected: ExpectedTensors,
    prefix: str,
    units: Size,
    width: Size,
    bias: bool,
    normalization: Optional[Normalization] = None,
    activation: Optional[Activation] = None,
    hidden: bool = False,
) -> None:
    """One layer of `units` over an input of `width` numbers; `hidden`: of an MLP, in the precision of the model."""
    if hidden:
        expected.add_hidden_weight(f"{prefix}.weight", units, width)
    else:
        expected.add(f"{prefix}.weight", (units, width))
    if bias:
        expected.add(f"{prefix}.bias", (units,))
    if normalization is not None:
        normalization.expect(expected, prefix, units)
    if activation is not None:
        activation.expect(expected, prefix, units)


class Mlp:
    """The keys that MLPs, gates and towers share."""

    def __init__(self, reader: Reader):
        path = reader.key_path("hidden_units")
        self.hidden_units: List[int] = [as_integer(u, path, 1, MAX_WIDTH) for u in reader.array("hidden_units", [])]
        if len(self.hidden_units) > MAX_LAYERS:
            raise ModelError(f'"{path}" has {len(self.hidden_units)} layers, the limit is {MAX_LAYERS}')
        self.activations: List[Activation] = self._per_layer(reader, "activation", "relu", "activations", Activation)
        self.normalizations: List[Optional[Normalization]] = self._per_layer(
            reader, "normalization", None, "normalizations",
            lambda value, path: None if value is None else Normalization(Reader(value, path)))
        self.biases: List[bool] = self._per_layer(reader, "bias", True, "truth values", as_boolean)
        self.read_more(reader)
        reader.close()

    def read_more(self, reader: Reader) -> None:
        """Reads the keys of a subclass."""

    def _per_layer(self, reader: Reader, key: str, default: Any, what: str, read: Callable[[Any, str], Any]) -> List[Any]:
        """What a key says of each layer: one value for all, or a list with one per layer."""
        value, path, layers = reader.get(key, default), reader.key_path(key), len(self.hidden_units)
        if not isinstance(value, list):
            return [read(value, path)] * layers
        if len(value) != layers:
            raise ModelError(f'"{path}" has {len(value)} {what}, expected one for each of {layers} layers')
        return [read(v, f"{path}.{i}") for i, v in enumerate(value)]

    def width(self, width: Size) -> Size:
        """The size of the output for an input of this size."""
        return self.hidden_units[-1] if self.hidden_units else width

    def expect_one(self, expected: ExpectedTensors, prefix: str, layer: int, width: Size) -> int:
        """One of the layers; returns its size."""
        units = self.hidden_units[layer]
        expect_layer(expected, f"{prefix}.{layer}", units, width, self.biases[layer], self.normalizations[layer],
                     self.activations[layer], hidden=True)
        return units

    def expect(self, expected: ExpectedTensors, prefix: str, width: Size) -> Size:
        """All layers; returns the size of the output, which is the input's if there are none."""
        for layer in range(len(self.hidden_units)):
            width = self.expect_one(expected, prefix, layer, width)
        return width


class Gate(Mlp):
    def read_more(self, reader: Reader) -> None:
        self.logit_bias = reader.boolean("logit_bias", False)
        self.logit_normalization = _normalization(reader, "logit_normalization")
        self.logit_activation = Activation(reader.get("logit_activation", "linear"), reader.key_path("logit_activation"))
        temperature = reader.number("temperature", 1)
        if temperature <= 0:
            raise ModelError(f'"{reader.key_path("temperature")}" is {temperature}, expected a positive number')

    def expect_gate(self, expected: ExpectedTensors, prefix: str, width: Size, experts: int) -> None:
        width = self.expect(expected, prefix, width)
        expect_layer(expected, f"{prefix}.logit", experts, width, self.logit_bias, self.logit_normalization,
                     self.logit_activation)


class Tower(Mlp):
    def read_more(self, reader: Reader) -> None:
        self.logit_bias = reader.boolean("logit_bias", True)

    def expect_tower(self, expected: ExpectedTensors, task: str, width: Size, units: int) -> None:
        prefix = f"task.{task}.tower"
        width = self.expect(expected, prefix, width)
        expect_layer(expected, f"{prefix}.logit", units, width, self.logit_bias)
