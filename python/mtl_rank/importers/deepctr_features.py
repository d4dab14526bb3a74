"""The features of a DeepCTR model: from the configuration, and, if the whole model was saved, from its layers.

Features are written as in a contract, with these keys of DeepCTR's feature columns besides: "use_hash" (with a vocabulary lookup:
it has a vocabulary_path), "dtype", "group_name", "length_name", and "transform_fn": true, where "transform" says what it does.
A saved model tells all of them, and the order of the network's input; then the configuration need not, and must not contradict.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..errors import ModelError
from ..reader import quoted
from .configuration import Configuration, Json
from .keras_layers import KerasGraph, KerasLayers, Node
from .translation import Translation

KINDS = {"sparse": "SparseFeat", "sequence": "VarLenSparseFeat", "dense": "DenseFeat"}
MAX_EXACT_ID = 1 << 24
MAX_STEPS = 100_000

_DTYPES = ("int32", "int64", "float32", "float64", "string")
_LIBRARY_KEYS = {
    "use_hash": False, "dtype": "int32", "group_name": "default_group", "length_name": None, "transform_fn": False,
}
_TABLE_PREFIXES = ("sparse_emb_", "sparse_seq_emb_")


class Features:
    """Completes the features and copies their tables.

    order: of the network's input. inputs: names of all input layers. tables: names of all embedding layers.
    """

    def __init__(self, translation: Translation, config: Configuration, layers: KerasLayers):
        config.check_kinds(KINDS)
        self.layers = layers
        self.tables: List[str] = []
        self.library: Dict[str, Json] = {}       # what is DeepCTR's and no contract's, by feature
        found = None if layers.graph is None else _read_graph(layers.graph)
        if found is not None:
            self._agree(config, found)
        for feature in config.features:
            self.library[feature["name"]] = self._take_keys(feature)
            if feature["kind"] != "dense":
                self._complete(translation, feature)
        self._check_transforms(config)
        self.order = list(found) if found is not None else self._group_order(config)
        self.inputs = [name for feature in config.features for name in (
            feature["name"], self.library[feature["name"]]["length_name"], (feature.get("weights") or {}).get("column")) if name]
        self._check_inputs()

    # ------------------------------------------------------------ the configuration's keys

    def _agree(self, config: Configuration, found: Dict[str, Json]) -> None:
        """Fills in what the saved model says; error for a contradiction."""
        names = [feature["name"] for feature in config.features]
        if sorted(names) != sorted(found):
            raise ModelError(f'"features" are {quoted(names)}, the saved model\'s are {quoted(list(found))}')
        for feature in config.features:
            facts = dict(found[feature["name"]])
            self._agree_on_vocabulary(feature, facts.pop("vocabulary", None))
            for key, value in facts.items():
                if key == "weights" and value is not None and isinstance(feature.get(key), dict):
                    feature[key] = {**value, **feature[key]}
                if feature.get(key) is None and value is not None:
                    feature[key] = value
                if feature.get(key) != value:
                    raise ModelError(f'feature "{feature["name"]}" has "{key}" {feature[key]!r}, in the saved model it is '
                                     f"{value!r}")

    def _agree_on_vocabulary(self, feature: Json, has_path: Optional[bool]) -> None:
        """has_path: whether a hashed feature has a vocabulary_path; None if it is not hashed."""
        lookup = feature.get("lookup")
        listed = isinstance(lookup, dict) and lookup.get("type") == "vocabulary"
        if has_path is not None and has_path != listed:
            raise ModelError(f'feature "{feature["name"]}" has ' + (
                'a vocabulary_path: give its keys in "vocabularies", and a lookup of type "vocabulary"' if has_path
                else "a lookup by vocabulary, but no vocabulary_path in the saved model"))

    def _take_keys(self, feature: Json) -> Json:
        keys = {key: feature.pop(key, default) for key, default in _LIBRARY_KEYS.items()}
        if keys["dtype"] not in _DTYPES:
            raise ModelError(f'feature "{feature["name"]}" has "dtype" {keys["dtype"]!r}, expected one of {quoted(_DTYPES)}')
        if not isinstance(keys["group_name"], str):
            raise ModelError(f'feature "{feature["name"]}" has "group_name" {keys["group_name"]!r}, expected a string')
        for key in ("use_hash", "transform_fn"):
            if not isinstance(keys[key], bool):
                raise ModelError(f'feature "{feature["name"]}" has "{key}" {keys[key]!r}, expected true or false')
        return keys

    # ------------------------------------------------------------ sparse features and sequences

    def _complete(self, translation: Translation, feature: Json) -> None:
        keys = self.library[feature["name"]]
        table = feature.get("embedding", feature["name"])
        rows = self._copy_table(translation, feature, table)
        given = feature.get("lookup")
        if keys["use_hash"] and isinstance(given, dict) and given.get("type") == "vocabulary":
            self._complete_vocabulary(feature, given)
        elif keys["use_hash"]:
            self._complete_hash(feature)
        else:
            self._complete_index(feature, rows)
        if feature["kind"] == "sequence":
            self._complete_sequence(feature)

    def _copy_table(self, translation: Translation, feature: Json, table: str) -> int:
        """A table that only sequences use has another prefix."""
        names = [f"{prefix}{table}/embeddings" for prefix in _TABLE_PREFIXES]
        name = next((name for name in names if name in translation.checkpoint), names[feature["kind"] == "sequence"])
        self.tables.append(name.rpartition("/")[0])
        if f"embedding.{table}.weight" not in translation.tensors:
            translation.copy(name, f"embedding.{table}.weight", f'the embedding of feature "{feature["name"]}"')
        return (translation.checkpoint.shape(name) or (0,))[0]

    def _complete_index(self, feature: Json, rows: int) -> None:
        """Ids as they are; those of dtype float32 are rounded before they are looked up."""
        float32 = self.library[feature["name"]]["dtype"] == "float32"
        lookup = feature.setdefault("lookup", {"type": "index", **({"precision": "float32"} if float32 else {})})
        kind = lookup.get("type") if isinstance(lookup, dict) else None
        if kind == "hash":
            raise ModelError(f'feature "{feature["name"]}" has a lookup by hash, but not "use_hash"')
        if float32 and rows > MAX_EXACT_ID and kind != "index":
            raise ModelError(f'feature "{feature["name"]}" has {rows} ids of dtype float32, where those above {MAX_EXACT_ID} '
                             f'fall together; its lookup must be of type "index"')

    def _complete_hash(self, feature: Json) -> None:
        """Hash hashes the text of a value; for sequences "0" becomes row 0 and all else rows from 1 on."""
        name, keys = feature["name"], self.library[feature["name"]]
        if keys["dtype"].startswith("float"):
            raise ModelError(f'feature "{name}" hashes the text of a {keys["dtype"]}, which depends on its rounding; this cannot '
                             f"be imported")
        expected = {"type": "hash", "mask_zero": True} if feature["kind"] == "sequence" else {"type": "hash"}
        if feature.setdefault("lookup", expected) != expected:
            raise ModelError(f'feature "{name}" has the lookup {feature["lookup"]}, DeepCTR\'s hash is {expected}')

    def _complete_vocabulary(self, feature: Json, lookup: Json) -> None:
        """vocabulary_path: a key's row is its value in the file, all other keys have row 0; in sequences row 0 is masked."""
        name = feature["name"]
        masked = feature["kind"] == "sequence" and self.library[name]["length_name"] is None
        if masked and not lookup.get("offset"):
            raise ModelError(f'feature "{name}": the key of value 0 in its vocabulary file is masked, as all unknown keys are; '
                             f'leave it out of the vocabulary and say "offset": 1')
        oov = "skip" if masked else 0
        if feature.setdefault("oov", oov) != oov:
            raise ModelError(f'feature "{name}" has "oov" {feature["oov"]!r}, for DeepCTR\'s vocabulary_path it is {oov!r}')

    def _complete_sequence(self, feature: Json) -> None:
        """SequencePoolingLayer: row 0 is masked unless the length is given; the mean divides by length + 1e-8."""
        keys = self.library[feature["name"]]
        if keys["length_name"] is None and feature.get("oov") != "skip":
            feature.setdefault("padding", "0" if keys["dtype"] == "string" else 0)
        combiner = feature.setdefault("combiner", "mean")
        if combiner == "mean":
            feature.setdefault("epsilon", 1e-8)
        elif combiner == "max":
            feature.setdefault("empty_value", -1e9)
        elif combiner != "sum":
            raise ModelError(f'feature "{feature["name"]}" has the combiner {combiner!r}, DeepCTR has "mean", "sum", "max"')
        if isinstance(feature.get("weights"), dict):
            feature["weights"].setdefault("normalize", "softmax")

    # ------------------------------------------------------------ all together

    def _group_order(self, config: Configuration) -> List[str]:
        """Groups in the order in which sparse features, then sequences first name them; in each its sparse features are first."""
        columns = config.of_kind("sparse") + config.of_kind("sequence")
        group = lambda feature: self.library[feature["name"]]["group_name"]
        groups = list(dict.fromkeys(map(group, columns)))
        columns.sort(key=lambda feature: groups.index(group(feature)))
        return [feature["name"] for feature in columns + config.of_kind("dense")]

    def _check_transforms(self, config: Configuration) -> None:
        """A transform_fn is code in the model, which is not run; the configuration must say what it does."""
        for feature in config.features:
            if self.library[feature["name"]]["transform_fn"] and feature.get("transform") is None:
                raise ModelError(f'feature "{feature["name"]}" has a transform_fn, which is code; say what it computes as '
                                 '"transform"')

    def _check_inputs(self) -> None:
        absent = [name for name in self.inputs if name not in self.layers.weights]
        if absent:
            raise ModelError(f"{self.layers.source}: the model has no input {quoted(absent)}; its layers begin with "
                             + ", ".join(self.layers.names[:8]))

    def counts(self, config: Configuration) -> Dict[str, int]:
        """How many layers of the kinds that Keras names the features make."""
        keys = self.library.values()
        return {
            "hash": sum(key["use_hash"] for key in keys),
            "lambda": sum(key["transform_fn"] for key in keys),
            "sequence_pooling_layer": len(config.of_kind("sequence")),
            "weighted_sequence_layer": sum(feature.get("weights") is not None for feature in config.features),
        }


# ---------------------------------------------------------------- a saved model's layers


def _read_graph(graph: KerasGraph) -> Dict[str, Json]:
    """What the layers say of each feature, in the order of the network's input."""
    first = next((node for node, inputs in graph.inputs.items() if graph.kind(node[0]) == "DNN" and inputs
                  and graph.kind(inputs[0][0]) in ("Concat", "Flatten")), None)
    if first is None:
        raise ModelError(f"{graph.source}: no DNN in the saved model reads its features")
    found: Dict[str, Json] = {}
    for leaf in _leaves(graph, graph.inputs[first][0]):
        feature = _read_leaf(graph, leaf)
        found[feature.pop("name")] = feature
    return found


def _leaves(graph: KerasGraph, root: Node) -> List[Node]:
    """What is concatenated, in order."""
    leaves: List[Node] = []
    waiting = [root]
    for _ in range(MAX_STEPS):
        if not waiting:
            return leaves
        node = waiting.pop()
        if graph.kind(node[0]) in ("Concat", "Flatten", "NoMask"):
            waiting += reversed(graph.inputs.get(node, []))
        else:
            leaves.append(node)
    raise ModelError(f"{graph.source}: the saved model's features are not put together as DeepCTR does it")


def _read_leaf(graph: KerasGraph, node: Node) -> Json:
    kind = graph.kind(node[0])
    if kind == "InputLayer":
        return {"name": node[0], "kind": "dense", "width": _width(graph, node[0]), "transform_fn": False}
    if kind == "Lambda":
        name = graph.single(node, "InputLayer")[0]
        return {"name": name, "kind": "dense", "width": _width(graph, name), "transform_fn": True}
    if kind == "Embedding":
        return {"kind": "sparse", **_read_lookup(graph, node, False)}
    if kind == "SequencePoolingLayer":
        return _read_sequence(graph, node)
    raise ModelError(f'{graph.source}: layer "{node[0]}" of class {kind} is not one that DeepCTR makes of a feature')


def _width(graph: KerasGraph, name: str) -> Any:
    shape = graph.config(name).get("batch_input_shape", graph.config(name).get("batch_shape"))     # the latter in Keras 3
    if not isinstance(shape, list) or len(shape) < 2:
        raise ModelError(f'{graph.source}: input "{name}" has the shape {shape!r}')
    return shape[1]


def _read_lookup(graph: KerasGraph, embedding: Node, mask_zero: bool) -> Json:
    table = next((embedding[0][len(prefix):] for prefix in _TABLE_PREFIXES if embedding[0].startswith(prefix)), embedding[0])
    source = graph.optional(embedding, "Hash")
    name = graph.single(source or embedding, "InputLayer")[0]
    feature = {"name": name, "embedding": table, "use_hash": source is not None, "dtype": graph.config(name).get("dtype")}
    if source is not None:
        config = graph.config(source[0])
        rows = graph.config(embedding[0]).get("input_dim")
        feature["vocabulary"] = bool(config.get("vocabulary_path"))
        if not feature["vocabulary"] and (config.get("num_buckets") != rows or bool(config.get("mask_zero")) != mask_zero):
            raise ModelError(f'{graph.source}: feature "{name}" is hashed to {config.get("num_buckets")} rows with mask_zero '
                             f'{config.get("mask_zero")}, and looked up in {rows}; this is not what DeepCTR does')
    return feature


def _read_sequence(graph: KerasGraph, pooling: Node) -> Json:
    weighted = graph.optional(pooling, "WeightedSequenceLayer")
    embedding = graph.optional(weighted or pooling, "Embedding")
    length = graph.optional(pooling, "InputLayer")
    if embedding is None:
        raise ModelError(f'{graph.source}: layer "{pooling[0]}" does not pool an embedding')
    feature = {"kind": "sequence", **_read_lookup(graph, embedding, True), "combiner": graph.config(pooling[0]).get("mode"),
               "length_name": None if length is None else length[0], "weights": None}
    feature["max_length"] = _width(graph, feature["name"])
    if weighted is not None:
        normalize = "softmax" if graph.config(weighted[0]).get("weight_normalization") else "none"
        feature["weights"] = {"column": graph.inputs[weighted][-1][0], "normalize": normalize}
    return feature
