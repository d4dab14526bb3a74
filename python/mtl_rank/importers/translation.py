"""From a checkpoint's tensors to a model's: what all importers share.

A Translation copies tensors under their new names and notes what was used and what was missing, so that one error can
list all of it. Functions that copy layers return the piece of the contract that describes them; sizes come from shapes.
Numbers stay as they are: batch norm stays batch norm, and nothing is folded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..checkpoints import Checkpoint
from ..contract import batch_norm, gate, layer_norm, make_contract, mlp, tower
from ..errors import ModelError
from ..model import Model
from .configuration import EXTRAS, Configuration, Json

MAX_LISTED = 30


@dataclass(frozen=True)
class Naming:
    """How a framework calls and lays out the tensors of a linear layer and of a batch norm.

    transposed: weights are (in, out). separator: between a layer's name and its tensors' names.
    """

    weight: str
    bias: str
    norm: Tuple[str, str, str, str]       # scale, shift, mean, variance
    transposed: bool
    separator: str = "."


TORCH = Naming("weight", "bias", ("weight", "bias", "running_mean", "running_var"), transposed=False)
KERAS = Naming("kernel", "bias", ("gamma", "beta", "moving_mean", "moving_variance"), transposed=True, separator="/")
PADDLE = Naming("weight", "bias", ("weight", "bias", "_mean", "_variance"), transposed=True)


@dataclass(frozen=True)
class Layer:
    """Where a checkpoint has one layer of an MLP: names up to the separator, None for a part that it has not.

    norm is a batch norm's, layer_norm a layer norm's. alpha: the name of the tensor of prelu or dice. statistics: where dice
    with batch statistics has mean and variance.
    """

    linear: str
    norm: Optional[str] = None
    alpha: Optional[str] = None
    statistics: Optional[str] = None
    layer_norm: Optional[str] = None


class Translation:
    """One import: `checkpoint` in, `tensors` out.

    The library's habits come first; an importer sets those that differ. What a library always has is never guessed from what
    is there: a bias that is not in the checkpoint is missing.
    """

    naming = TORCH
    norm_epsilon = 1e-5
    norm_position: Optional[str] = None      # "after_activation" where the library normalizes there
    layer_bias = True                        # of hidden layers
    layer_bias_with_norm = True              # of those that are normalized
    gate_bias = True                         # of a gate's logits
    logit_bias = True                        # of a tower's logit

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self.tensors: Dict[str, np.ndarray] = {}
        self.used: Dict[str, None] = {}
        self.ignored: Dict[str, str] = {}
        self.missing: Dict[str, str] = {}

    # ------------------------------------------------------------ single tensors

    def take(self, name: str, what: str = "") -> Optional[np.ndarray]:
        """The tensor, noted as used; None, noted as missing, when it is not there. what: says what it would be."""
        if name not in self.checkpoint:
            self.missing[name] = what
            return None
        self.used[name] = None
        return self.checkpoint.tensors[name]

    def put(self, name: str, value: Optional[np.ndarray]) -> None:
        """A tensor of the model; None, of something missing, is passed over."""
        if value is None:
            return
        with np.errstate(over="ignore"):
            self.tensors[name] = np.ascontiguousarray(value, "<f4")
        if not np.isfinite(self.tensors[name]).all():
            raise ModelError(f'tensor "{name}" has numbers beyond the range of float32')

    def copy(self, source: str, target: str, what: str = "") -> None:
        self.put(target, self.take(source, what))

    def ignore(self, names: Sequence[str], why: str) -> None:
        """Tensors that are rightly not in the model."""
        for name in names:
            if name in self.checkpoint:
                self.ignored[name] = why

    def ignore_prefix(self, prefix: str, why: str) -> None:
        self.ignore(self.checkpoint.under(prefix), why)

    # ------------------------------------------------------------ layers

    def _name(self, prefix: str, name: str) -> str:
        return f"{prefix}{self.naming.separator}{name}"

    def units(self, prefix: str) -> int:
        """Outputs of a linear layer; 0 when it is missing, or not a matrix."""
        shape = self.checkpoint.shape(self._name(prefix, self.naming.weight))
        return 0 if len(shape) != 2 else shape[1 if self.naming.transposed else 0]

    def inputs(self, prefix: str) -> int:
        """Inputs of a linear layer; 0 when it is missing, or not a matrix."""
        shape = self.checkpoint.shape(self._name(prefix, self.naming.weight))
        return 0 if len(shape) != 2 else shape[0 if self.naming.transposed else 1]

    def weight(self, prefix: str, what: str = "") -> Optional[np.ndarray]:
        """A linear layer's weights as (out, in)."""
        name = self._name(prefix, self.naming.weight)
        weight = self.take(name, what)
        if weight is None:
            return None
        if weight.ndim != 2:
            raise ModelError(f'tensor "{name}" has shape {list(weight.shape)}, expected a matrix')
        return weight.T if self.naming.transposed else weight

    def bias(self, prefix: str, what: str = "") -> Optional[np.ndarray]:
        return self.take(self._name(prefix, self.naming.bias), what)

    def linear(self, source: str, target: str, *, bias: bool, what: str = "") -> None:
        self.put(f"{target}.weight", self.weight(source, what))
        if bias:
            self.put(f"{target}.bias", self.bias(source, what))

    def norm(self, source: str, target: str, what: str = "") -> Json:
        """A batch norm; returns its contract. All libraries have scale and shift: without them, they are missing."""
        for name, part in zip(self.naming.norm, ("weight", "bias", "running_mean", "running_var")):
            self.copy(self._name(source, name), f"{target}.norm.{part}", what)
        self.ignore([self._name(source, "num_batches_tracked")], "counts batches of the training")
        return batch_norm(epsilon=self.norm_epsilon, position=self.norm_position)

    def layer_norm(self, source: str, target: str, what: str = "") -> Json:
        """A layer norm with scale and shift; returns its contract."""
        for name, part in zip(self.naming.norm, ("weight", "bias")):
            self.copy(self._name(source, name), f"{target}.norm.{part}", what)
        return layer_norm(epsilon=self.norm_epsilon, position=self.norm_position)

    def _has_bias(self, layer: Layer) -> bool:
        return self.layer_bias if layer.norm is None else self.layer_bias_with_norm

    def _layer(self, layer: Layer, target: str, what: str) -> Optional[Json]:
        """One layer of an MLP; returns its normalization."""
        self.linear(layer.linear, target, bias=self._has_bias(layer), what=what)
        if layer.alpha is not None:
            alpha = self.take(layer.alpha, what)
            self.put(f"{target}.activation.alpha", None if alpha is None else alpha.reshape(-1))
        if layer.statistics is not None:
            _, _, mean, variance = self.naming.norm
            self.copy(self._name(layer.statistics, mean), f"{target}.activation.running_mean", what)
            self.copy(self._name(layer.statistics, variance), f"{target}.activation.running_var", what)
            self.ignore([self._name(layer.statistics, "num_batches_tracked")], "counts batches of the training")
        if layer.layer_norm is not None:
            return self.layer_norm(layer.layer_norm, target, what)
        return None if layer.norm is None else self.norm(layer.norm, target, what)

    def _layers(self, layers: Sequence[Layer], target: str, activation: Any, what: str) -> Json:
        """The keys that MLPs, gates and towers share."""
        norms = [self._layer(layer, f"{target}.{l}", what) for l, layer in enumerate(layers)]
        biases = [self._has_bias(layer) for layer in layers]
        if not layers:
            return {"hidden_units": []}
        return {
            "hidden_units": [self.units(layer.linear) for layer in layers],
            "activation": activation,
            "normalization": once(norms),
            "bias": None if all(biases) else once(biases),
        }

    def mlp(self, layers: Sequence[Layer], target: str, activation: Any, what: str = "") -> Json:
        """Copies an MLP; returns its contract. activation: one, or a list with one per layer."""
        return mlp(**self._layers(layers, target, activation, what))

    def tower(
        self, layers: Sequence[Layer], logit: str, task: str, activation: Any, *,
        logit_bias: Optional[str] = None, what: str = "",
    ) -> Json:
        """Copies a task's tower and its logit; returns the tower's contract.

        logit_bias: the name of a tensor with the bias where the logit's layer has none, such as a global bias.
        """
        target = f"task.{task}.tower"
        keys = self._layers(layers, target, activation, what)
        self.linear(logit, f"{target}.logit", bias=self.logit_bias, what=what)
        if logit_bias is not None:
            bias = self.take(logit_bias, what)
            self.put(f"{target}.logit.bias", None if bias is None else bias.reshape(-1))
        return tower(**keys, logit_bias=None if self.logit_bias or logit_bias is not None else False)

    def gate(
        self, layers: Sequence[Layer], logit: str, target: str, activation: Any, *,
        logit_norm: Optional[str] = None, what: str = "",
    ) -> Json:
        """Copies a gate, its hidden layers and its logits; returns its contract."""
        keys = self._layers(layers, target, activation, what) if layers else {}
        self.linear(logit, f"{target}.logit", bias=self.gate_bias, what=what)
        normalization = None if logit_norm is None else self.norm(logit_norm, f"{target}.logit", what)
        return gate(**keys, logit_bias=True if self.gate_bias else None, logit_normalization=normalization)

    # ------------------------------------------------------------ PyTorch's Sequential

    def sequential(self, prefix: str) -> List[Layer]:
        """The layers of a torch.nn.Sequential, whatever their positions in it: see split_sequential() for the last one.

        A matrix is a linear layer; what follows up to the next one belongs to it: a batch norm has running means, a
        single vector is the slope of prelu or dice.
        """
        layers: List[Layer] = []
        for n in self.checkpoint.numbers(f"{prefix}."):
            part = f"{prefix}.{n}"
            shape = self.checkpoint.shape(f"{part}.weight")
            if len(shape) == 2:
                layers.append(Layer(part))
            elif layers and f"{part}.running_mean" in self.checkpoint:
                layers[-1] = Layer(layers[-1].linear, norm=part, alpha=layers[-1].alpha)
            elif layers and f"{part}.bn.running_mean" in self.checkpoint:
                layers[-1] = Layer(layers[-1].linear, layers[-1].norm, f"{part}.alpha", f"{part}.bn")
            elif layers:
                for alpha in (f"{part}.weight", f"{part}.alpha"):
                    if alpha in self.checkpoint:
                        layers[-1] = Layer(layers[-1].linear, layers[-1].norm, alpha)
        return layers

    def split_sequential(self, prefix: str) -> Tuple[List[Layer], str]:
        """A Sequential that ends with a linear output layer: the hidden layers, and the name of the output layer."""
        layers = self.sequential(prefix)
        if not layers:
            return [], f"{prefix}.0"
        return layers[:-1], layers[-1].linear

    # ------------------------------------------------------------ the whole

    def one(self, specifications: Mapping[str, Json]) -> Json:
        """What a contract says once for several parts, by the parts' names: error if they differ."""
        items = list(specifications.items())
        for name, specification in items[1:]:
            # Where tensors are missing they may be why; finish() lists them all.
            if specification != items[0][1] and not self.missing:
                raise ModelError(f"{items[0][0]} is {items[0][1]}, but {name} is {specification}; they must be alike")
        return items[0][1]

    def shared_tower(self, towers: Mapping[str, Json], tasks: List[Json]) -> Optional[Json]:
        """Towers by task: what all have in common is returned for the architecture, else each task gets its own."""
        values = list(towers.values())
        if all(value == values[0] for value in values):
            return values[0]
        for task in tasks:
            if task["name"] in towers:
                task["tower"] = towers[task["name"]]
        return None

    def problems(self) -> List[str]:
        """What is missing in the checkpoint, and what is in it that the model does not use."""
        missing = [f'tensor "{name}" is missing{": " + what if what else ""}' for name, what in self.missing.items()]
        return missing + [
            f'tensor "{name}" of shape {list(self.checkpoint.shape(name))} is not used'
            for name in self.checkpoint if name not in self.used and name not in self.ignored
        ]

    def finish(
        self, configuration: Configuration, architecture: Json, tasks: Sequence[Json], *, library: str,
        input: Optional[Sequence[str]] = None,
    ) -> Model:
        """The model; an error lists everything that was missing or left over."""
        problems = self.problems()
        if problems:
            raise ModelError(f"{self.checkpoint.source} is not the model that the configuration describes:\n  "
                             + "\n  ".join(cut(problems)))
        extras = {key: configuration.extra(key) for key in EXTRAS}
        contract = make_contract(
            architecture, configuration.features, list(tasks), input=input, context=extras["context"], rank=extras["rank"],
            provenance={"library": library, **(extras["provenance"] or {})},
        )
        model = Model(contract, self.tensors)
        for table, entries in configuration.vocabularies.items():
            model.set_vocabulary(table, entries)
        problems = model.problems()
        if problems:
            raise ModelError("the checkpoint does not fit the configuration:\n  " + "\n  ".join(cut(problems)))
        return model


def once(values: List[Any]) -> Any:
    """What a contract says of each layer: one value if all are equal, the list otherwise."""
    return values[0] if all(value == values[0] for value in values) else values


def cut(problems: List[str]) -> List[str]:
    more = len(problems) - MAX_LISTED
    return problems if more <= 0 else problems[:MAX_LISTED] + [f"... and {more} more"]
