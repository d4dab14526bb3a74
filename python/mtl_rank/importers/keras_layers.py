"""A Keras checkpoint by its layers: which there are, in which order, what each holds, and, if the whole model was saved, how they
are connected.

Names that Keras numbers (dense_9, dense_10) count up over all models of a process. So layers are told apart by what they hold and
by their order in the file, never by a number; with the model's own configuration, by their connections.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..checkpoints import Checkpoint, CheckpointError
from .configuration import Json

Node = Tuple[str, int]       # a layer's name and which of its calls

_OUTPUT = re.compile(r":\d+$")
_COUNTED = re.compile(r"(_\d+)?/")


class KerasLayers:
    """names: of all layers in the file's order. weights: layer -> path of a weight within it, "kernel" or
    "batch_normalization_3/gamma", -> its name in the checkpoint, in the file's order. graph: None for a file of weights."""

    def __init__(self, checkpoint: Checkpoint):
        self.source = checkpoint.source
        listed = checkpoint.attributes.get("layers")
        self.names: List[str] = list(listed) if isinstance(listed, list) else []
        self.weights: Dict[str, Dict[str, str]] = {name: {} for name in self.names}
        for name in checkpoint:
            layer, path = self._split(name)
            if path in self.weights.setdefault(layer, {}):
                raise CheckpointError(f'{self.source}: layer "{layer}" has two weights called "{path}"')
            self.weights[layer][path] = name
        config = checkpoint.attributes.get("model_config")
        self.graph = None if config is None else KerasGraph(str(config), self.source)

    def _split(self, name: str) -> Tuple[str, str]:
        """The layer, and the weight's path within it, without ":0" and its scope: the layer's name, to which TensorFlow may have
        appended a number."""
        end = name.find("/")
        layer = name[:end]
        while end >= 0:
            if name[:end] in self.weights:
                layer = name[:end]
            end = name.find("/", end + 1)
        path = _OUTPUT.sub("", name[len(layer) + 1:])
        scope = _COUNTED.match(path, len(layer)) if path.startswith(layer) else None
        return layer, path[scope.end():] if scope else path

    def named_by_keras(self, base: str) -> List[str]:
        """Layers that Keras named itself, such as dense or dense_7."""
        return [name for name in self.names if re.fullmatch(rf"{base}(_\d+)?", name)]

    def in_order(self, base: str) -> List[str]:
        """The same, certain to be in the order in which they were made.

        Layers as far from the outputs as each other are listed in the order of the outputs, which is also that of their
        numbers; where the two disagree, nothing tells which is which.
        """
        found = self.named_by_keras(base)
        numbers = [int(name[len(base) + 1:] or 0) for name in found]
        if numbers != sorted(numbers):
            raise CheckpointError(f"{self.source}: the layers {', '.join(found)} are not in the order of their numbers, so it "
                                  f"cannot be told which is which; save the whole model")
        return found


class KerasGraph:
    """The configuration of a functional model, as JSON; its code (of Lambda layers) is never looked at."""

    def __init__(self, text: str, source: str):
        self.source = source
        try:
            model = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"{source}: the model's configuration is not JSON: {error}") from None
        config = model.get("config") if isinstance(model, dict) else None
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            raise self._unknown("no list of layers")
        self.layers: Dict[str, Json] = {}
        for layer in config["layers"]:
            if not isinstance(layer, dict) or not isinstance(layer.get("name"), str) or not isinstance(layer.get("config"), dict):
                raise self._unknown("a layer without a name or a configuration")
            self.layers[layer["name"]] = layer
        self.inputs: Dict[Node, List[Node]] = {
            (name, index): self._nodes(node)
            for name, layer in self.layers.items() for index, node in enumerate(self._calls(layer))
        }
        self.outputs = self._nodes(config.get("output_layers"))

    def _unknown(self, problem: str) -> CheckpointError:
        return CheckpointError(f"{self.source}: the model's configuration is not that of a functional model of Keras: "
                               f"{problem}")

    def _calls(self, layer: Json) -> List[Any]:
        calls = layer.get("inbound_nodes")
        if not isinstance(calls, list):
            raise self._unknown(f'"inbound_nodes" of layer "{layer["name"]}" is not a list')
        return calls

    def _nodes(self, value: Any) -> List[Node]:
        """[["dense", 0, 0, {}], ...]: a layer, which of its calls, which of its outputs; Keras 3 wraps that."""
        if isinstance(value, dict):
            value = self._histories(value)
        if not isinstance(value, list):
            raise self._unknown(f"{str(value)[:60]} is not a list of layers")
        for node in value:
            if not isinstance(node, list) or len(node) < 3 or not isinstance(node[0], str) or type(node[1]) is not int:
                raise self._unknown(f"{str(node)[:60]} is no output of a layer")
        return [(node[0], node[1]) for node in value]

    def _histories(self, call: Json) -> List[Any]:
        """Keras 3: {"args": [a tensor, or a list of tensors, ...]}, a tensor being {"config": {"keras_history": [...]}}."""
        arguments = call.get("args")
        if not isinstance(arguments, list) or not arguments:
            raise self._unknown("a call without inputs")
        tensors = arguments[0] if isinstance(arguments[0], list) else arguments[:1]
        histories = []
        for tensor in tensors:
            config = tensor.get("config") if isinstance(tensor, dict) else None
            if not isinstance(config, dict) or not isinstance(config.get("keras_history"), list):
                raise self._unknown(f"{str(tensor)[:60]} is no tensor")
            histories.append(config["keras_history"])
        return histories

    def kind(self, name: str) -> str:
        """The class of a layer: of DeepCTR's own perhaps with a package before it."""
        return str(self.layers.get(name, {}).get("class_name", "")).rsplit(">", 1)[-1]

    def config(self, name: str) -> Mapping[str, Any]:
        return self.layers[name]["config"] if name in self.layers else {}

    def single(self, node: Node, kind: str) -> Node:
        """The one input of a node, which must come from a layer of this class."""
        inputs = self.inputs.get(node, [])
        if len(inputs) != 1 or self.kind(inputs[0][0]) != kind:
            raise self._unknown(f'layer "{node[0]}" does not read one {kind}')
        return inputs[0]

    def optional(self, node: Node, kind: str) -> Optional[Node]:
        """The first input of a node that comes from a layer of this class, if there is one."""
        return next((source for source in self.inputs.get(node, []) if self.kind(source[0]) == kind), None)
