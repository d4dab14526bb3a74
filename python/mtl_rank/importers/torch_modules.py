"""PyTorch in general: a hand-written torch.nn.Module, described part by part.

    export = TorchExport(net)
    experts = [export.mlp(f"level.0.expert.{i}", expert) for i, expert in enumerate(net.experts)]
    ...
    model = export.finish(architecture, features, tasks)

What forward() does with its parts only its author knows, so the author says which part of the contract each module is.
Sizes, activations and normalizations are read from the modules, and finish() refuses if a parameter was left over.
Modules are known by the names of their classes, so this needs no PyTorch of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..checkpoints import from_mapping
from ..contract import batch_norm, gate, layer_norm, leaky_relu, make_contract, mlp, tower
from ..errors import ModelError
from ..model import Model
from ..vocabulary import Entries
from .translation import Json, Translation, cut, once

# Those without parameters. LogSigmoid, ELU and others have no counterpart in the contract.
_ACTIVATIONS: Dict[str, Callable[[Any], Any]] = {
    "ReLU": lambda module: "relu",
    "Sigmoid": lambda module: "sigmoid",
    "Tanh": lambda module: "tanh",
    "SiLU": lambda module: "silu",
    "GELU": lambda module: "gelu_tanh" if getattr(module, "approximate", "none") == "tanh" else "gelu",
    "LeakyReLU": lambda module: leaky_relu(module.negative_slope),
    "PReLU": lambda module: "prelu",
}
_IDENTITIES = ("Dropout", "Identity", "AlphaDropout", "FeatureAlphaDropout")
_NORMS = ("BatchNorm1d", "LayerNorm")


@dataclass
class _Layer:
    linear: str
    bias: bool
    units: int
    activation: Any = "linear"
    alpha: Optional[str] = None
    norm: Optional[Tuple[str, Any]] = None
    norm_last: bool = False


class TorchExport:
    """Takes a module apart. Prefixes and tensors are those of docs/model-format.md."""

    def __init__(self, net: Any):
        if getattr(net, "training", False):
            raise ModelError("the module is in training mode, where batch norm and dropout work otherwise; call net.eval()")
        # Held, because modules are known by their identity.
        self._modules = {id(module): (name, module) for name, module in net.named_modules()}
        self._translation = Translation(from_mapping(net.state_dict(), type(net).__name__))

    # ------------------------------------------------------------ parts of the network

    def mlp(self, prefix: str, module: Any, activation: Any = None) -> Json:
        """Linear layers with what follows each: batch norm or layer norm, an activation, dropout. Returns the contract's MLP.

        module: a Linear, a Sequential, or a list of modules in the order in which forward() calls them. activation: of layers
        that have none among these, because forward() calls a function such as torch.relu().
        """
        return mlp(**self._put_layers(prefix, _activated(self._layers(module), activation)))

    def gate(self, prefix: str, module: Any, activation: Any = None) -> Json:
        """A gate: its last linear layer gives the logits. The softmax is the contract's, with or without a Softmax module.

        activation: of hidden layers, as in mlp().
        """
        hidden, logit = self._split(self._layers(module, softmax=True), activation)
        self._put_layer(f"{prefix}.logit", logit)
        return gate(
            **(self._put_layers(prefix, hidden) if hidden else {}),
            logit_bias=logit.bias or None,
            logit_normalization=self._normalization(logit),
            logit_activation=None if logit.activation == "linear" else logit.activation,
        )

    def tower(self, task: str, module: Any, activation: Any = None) -> Json:
        """A task's tower: its last linear layer gives the logit. The task's sigmoid or softmax is the contract's.

        activation: of hidden layers, as in mlp().
        """
        hidden, logit = self._split(self._layers(module, sigmoid=True), activation)
        if logit.norm is not None or logit.activation != "linear":
            raise ModelError(f'the tower of task "{task}" ends with more than a linear layer and the task\'s own sigmoid or softmax')
        self._put_layer(f"task.{task}.tower.logit", logit)
        return tower(**self._put_layers(f"task.{task}.tower", hidden), logit_bias=None if logit.bias else False)

    def linear(self, prefix: str, module: Any) -> bool:
        """One linear layer, such as an attention's query; returns whether it has a bias."""
        hidden, layer = self._split(self._layers(module))
        if hidden or layer.activation != "linear" or layer.norm is not None:
            raise ModelError(f'"{prefix}" is one linear layer, found more')
        self._put_layer(prefix, layer)
        return layer.bias

    def embedding(self, table: str, module: Any) -> None:
        """The table of sparse features and sequences. What padding_idx or mode mean is for the feature to say."""
        if type(module).__name__ not in ("Embedding", "EmbeddingBag"):
            raise ModelError(f'{self._describe(module)} is no table; expected Embedding or EmbeddingBag for "{table}"')
        if getattr(module, "max_norm", None) is not None:
            raise ModelError(f"{self._describe(module)} has max_norm, which changes rows when they are read")
        self._translation.copy(f"{self._name(module)}.weight", f"embedding.{table}.weight")

    def dense(self, feature: str, module: Any) -> bool:
        """The matrix of a dense feature with embedding_dim; returns whether it has a bias (embedding_bias)."""
        return self.linear(f"dense.{feature}", module)

    def tensor(self, name: str, parameter: str, reshape: Optional[Sequence[int]] = None) -> None:
        """Any other tensor of the contract, from the state dict by its name there: stitches, skips, parameters of one's own."""
        value = self._translation.take(parameter)
        if value is not None and reshape is not None:
            value = value.reshape(reshape)
        self._translation.put(name, value)

    def leave_out(self, prefix: str) -> None:
        """Parameters under a module's name that scores do not depend on, such as those of a loss."""
        self._translation.ignore_prefix(prefix, "said to be left out")

    def same(self, parts: Sequence[Json]) -> Json:
        """What the contract says once for several experts, gates or towers: error if they differ."""
        return self._translation.one({f"number {i}": part for i, part in enumerate(parts)})

    # ------------------------------------------------------------ the whole

    def finish(
        self, architecture: Json, features: Sequence[Json], tasks: Sequence[Json],
        vocabularies: Optional[Mapping[str, Entries]] = None, **contract: Any,
    ) -> Model:
        """The model. Error for every parameter that is missing or left over.

        vocabularies: name -> entries, as for Model.set_vocabulary(). Further arguments are make_contract()'s.
        """
        for name in self._translation.checkpoint.matching(r"(.*\.)?num_batches_tracked"):
            self._translation.ignore([name], "counts batches of the training")
        problems = self._translation.problems()
        model = Model(make_contract(architecture, features, tasks, **contract), self._translation.tensors)
        for name, entries in (vocabularies or {}).items():
            model.set_vocabulary(name, entries)
        problems += model.problems()
        if problems:
            raise ModelError("the modules do not make the network that the contract describes:\n  " + "\n  ".join(cut(problems)))
        return model

    # ------------------------------------------------------------ from modules to layers

    def _name(self, module: Any) -> str:
        if id(module) not in self._modules:
            raise ModelError(f"a {type(module).__name__} is no part of the module that is exported")
        return self._modules[id(module)][0]

    def _describe(self, module: Any) -> str:
        return f'module "{self._name(module)}" ({type(module).__name__})'

    def _leaves(self, module: Any) -> Iterator[Any]:
        """The modules of a Sequential in their order, of Sequentials in it too."""
        if isinstance(module, (list, tuple)):
            parts = module
        elif type(module).__name__ in ("Sequential", "ModuleList"):
            parts = module.children()
        else:
            yield module
            return
        for part in parts:
            yield from self._leaves(part)

    def _layers(self, module: Any, softmax: bool = False, sigmoid: bool = False) -> List[_Layer]:
        """softmax, sigmoid: at the end of a gate or a tower these belong to the contract."""
        leaves = [leaf for leaf in self._leaves(module) if type(leaf).__name__ not in _IDENTITIES]
        if leaves and ((softmax and type(leaves[-1]).__name__ == "Softmax")
                       or (sigmoid and type(leaves[-1]).__name__ in ("Sigmoid", "Softmax"))):
            leaves.pop()
        layers: List[_Layer] = []
        for leaf in leaves:
            kind = type(leaf).__name__
            if kind == "Linear":
                layers.append(_Layer(self._name(leaf), leaf.bias is not None, leaf.out_features))
            elif kind not in _NORMS and kind not in _ACTIVATIONS:
                known = ", ".join(["Linear", *_NORMS, *_ACTIVATIONS, *_IDENTITIES])
                raise ModelError(f"{self._describe(leaf)} has no counterpart in the contract; known are {known}")
            elif not layers:
                raise ModelError(f"{self._describe(leaf)} comes before the first linear layer")
            elif kind in _NORMS:
                self._add_norm(layers[-1], leaf)
            else:
                self._add_activation(layers[-1], leaf)
        return layers

    def _add_norm(self, layer: _Layer, module: Any) -> None:
        if layer.norm is not None:
            raise ModelError(f"{self._describe(module)} is the second normalization of its layer")
        if type(module).__name__ == "BatchNorm1d" and module.running_mean is None:
            raise ModelError(f"{self._describe(module)} keeps no running statistics, so it depends on the batch")
        layer.norm = self._name(module), module
        layer.norm_last = layer.activation != "linear"

    def _add_activation(self, layer: _Layer, module: Any) -> None:
        if layer.activation != "linear":
            raise ModelError(f"{self._describe(module)} is the second activation of its layer")
        layer.activation = _ACTIVATIONS[type(module).__name__](module)
        if layer.activation == "prelu":
            layer.alpha = f"{self._name(module)}.weight"

    @staticmethod
    def _split(layers: List[_Layer], activation: Any = None) -> Tuple[List[_Layer], _Layer]:
        """Hidden layers, and the last one."""
        if not layers:
            raise ModelError("a part has no linear layer")
        return _activated(layers[:-1], activation), layers[-1]

    # ------------------------------------------------------------ from layers to tensors

    @staticmethod
    def _normalization(layer: _Layer) -> Optional[Json]:
        if layer.norm is None:
            return None
        module = layer.norm[1]
        return (batch_norm if type(module).__name__ == "BatchNorm1d" else layer_norm)(
            epsilon=module.eps,
            scale=None if module.weight is not None else False,
            center=None if getattr(module, "bias", None) is not None else False,
            position="after_activation" if layer.norm_last else None,
        )

    def _put_layer(self, prefix: str, layer: _Layer) -> None:
        self._translation.linear(layer.linear, prefix, bias=layer.bias)
        if layer.alpha is not None:
            self._translation.copy(layer.alpha, f"{prefix}.activation.alpha")
        if layer.norm is not None:
            name, module = layer.norm
            for part in ("weight", "bias", "running_mean", "running_var"):
                if getattr(module, part, None) is not None:
                    self._translation.copy(f"{name}.{part}", f"{prefix}.norm.{part}")

    def _put_layers(self, prefix: str, layers: List[_Layer]) -> Json:
        for l, layer in enumerate(layers):
            self._put_layer(f"{prefix}.{l}", layer)
        if not layers:
            return {"hidden_units": []}
        norms = [self._normalization(layer) for layer in layers]
        biases = [layer.bias for layer in layers]
        return {
            "hidden_units": [layer.units for layer in layers],
            "activation": once([layer.activation for layer in layers]),
            "normalization": once(norms),
            "bias": None if all(biases) else once(biases),
        }


def _activated(layers: List[_Layer], activation: Any) -> List[_Layer]:
    for layer in layers:
        if activation is not None and layer.activation == "linear":
            layer.activation = activation
    return layers

