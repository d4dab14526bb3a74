"""The features of FuxiCTR and STEM: every feature becomes one vector, of a table or of a number times a learnt vector.

* numeric: the value times a vector, without a bias; "embedding" (a list of numbers) times a matrix.
* Id 0 is padding, the last id is for unknown values. Ids are carried in float64, so they are exact.
* MaskedAveragePooling takes every row that sums to zero for padding, and divides by the number of the others + 1e-12.
  MaskedSumPooling adds all rows, so padding must be zeros.
* A feature that shares a table has it in the checkpoint again, under its own name.
* PretrainedEmbedding computes a vector from an id alone, so here it becomes one table. Its vectors of ids above the one
  for unknown values are zeros, unless freeze_emb was set. Its projection has a bias in STEM and none in FuxiCTR.
"""

from __future__ import annotations

from typing import Any, Optional

import numpy as np

from ..errors import ModelError
from ..reader import MAX_INT, as_integer, as_string
from .configuration import Configuration, Json
from .translation import Translation

_TABLES = "embedding_layer.embedding_layer.embedding_layers"
_ENCODERS = "embedding_layer.embedding_layer.feature_encoders"

_KINDS = {"sparse": "categorical", "sequence": "sequence", "dense": "numeric, embedding"}
_POOLING = {"mean": "MaskedAveragePooling", "sum": "MaskedSumPooling"}
_MEAN_EPSILON = 1e-12

# What the contract does not know: keys of a feature that say how its PretrainedEmbedding was made.
_OOV_INDEX, _FROZEN = "oov_idx", "freeze_emb"


def translate_features(translation: Translation, config: Configuration) -> None:
    """Completes the features and copies their tables. Their vectors are the network's input, in the order of the feature map."""
    config.check_kinds(_KINDS)
    for feature in config.features:
        if feature["kind"] == "dense":
            _dense(translation, feature)
        else:
            _category(translation, config, feature)


# ---------------------------------------------------------------- numbers


def _dense(translation: Translation, feature: Json) -> None:
    """A numeric feature is a Linear(1, d); one of type "embedding" goes as it is into its encoder, a Linear."""
    name = feature["name"]
    linear = f"{_ENCODERS}.{name}" if translation.has_linear(f"{_ENCODERS}.{name}") else f"{_TABLES}.{name}"
    if linear.startswith(_ENCODERS) and translation.has_linear(f"{_TABLES}.{name}"):
        _refuse_encoder(name)
    bias = translation.has_bias(linear)
    translation.linear(linear, f"dense.{name}", bias=bias, what=f'the vector of feature "{name}"')
    feature.setdefault("embedding_dim", translation.units(linear) or None)
    width = translation.inputs(linear)
    if width > 1:
        feature.setdefault("width", width)
    if bias:
        feature.setdefault("embedding_bias", True)


def _refuse_encoder(name: str) -> None:
    raise ModelError(f'feature "{name}" has a feature_encoder with weights after its embedding, which a model file cannot say')


# ---------------------------------------------------------------- categories and lists of them


def _category(translation: Translation, config: Configuration, feature: Json) -> None:
    name = feature["name"]
    table_name = as_string(feature.get("embedding", name), "embedding")
    oov_index, frozen = feature.pop(_OOV_INDEX, None), feature.pop(_FROZEN, None)
    if translation.checkpoint.has_prefix(f"{_ENCODERS}.{name}."):
        _refuse_encoder(name)
    table = _table(translation, name, oov_index, frozen)
    if table is not None:
        _put_table(translation, feature, table_name, table)
    lookup = feature.setdefault("lookup", {"type": "index"})
    vocabulary = isinstance(lookup, dict) and lookup.get("type") == "vocabulary"
    entries = 0
    if vocabulary:
        lookup.setdefault("offset", 1)
        entries = len(config.vocabularies.get(as_string(lookup.get("vocabulary", table_name), "vocabulary"), ()))
        if table is not None:
            feature.setdefault("oov", len(table) - 1 if oov_index is None else oov_index)
    if feature["kind"] == "sequence":
        # Padding is what the tokenizer's fill_na is, the empty text unless given.
        feature.setdefault("padding", "" if vocabulary else 0)
        reachable = as_integer(lookup["offset"], "offset", 0, MAX_INT) + entries if vocabulary else MAX_INT
        _pooling(feature, table, reachable)


def _put_table(translation: Translation, feature: Json, table_name: str, table: np.ndarray) -> None:
    target = f"embedding.{table_name}.weight"
    if target not in translation.tensors:
        translation.put(target, table)
    elif not np.array_equal(translation.tensors[target], table):
        raise ModelError(f'feature "{feature["name"]}" has a table of its own, other than "{table_name}", in the checkpoint; '
                         f'leave out its "embedding"')


def _table(translation: Translation, name: str, oov_index: Any, frozen: Any) -> Optional[np.ndarray]:
    """The vectors by id; None if something is missing."""
    prefix = f"{_TABLES}.{name}"
    what = f'the embedding of feature "{name}"'
    if translation.checkpoint.has_prefix(f"{prefix}.pretrain_embedding."):
        return _pretrained(translation, name, oov_index, frozen)
    table = translation.take(f"{prefix}.weight", what)
    return None if table is None else _matrix(table, f"{prefix}.weight")


def _matrix(table: np.ndarray, name: str) -> np.ndarray:
    if table.ndim != 2 or table.size == 0:
        raise ModelError(f'tensor "{name}" has shape {list(table.shape)}, expected a matrix')
    return table


def _pretrained(translation: Translation, name: str, oov_index: Any, frozen: Any) -> Optional[np.ndarray]:
    """PretrainedEmbedding: init, sum or concat, by the tensors that are there."""
    prefix = f"{_TABLES}.{name}"
    if isinstance(oov_index, bool) or not isinstance(oov_index, int) or not isinstance(frozen, bool):
        raise ModelError(f'feature "{name}" has a pretrained embedding; give its "{_OOV_INDEX}" (a number) and "{_FROZEN}" '
                         f"(true or false) in the configuration, as feature_map.json has them")
    vectors = _known_rows(translation, f"{prefix}.pretrain_embedding.weight", None if frozen else oov_index)
    if vectors is None or not translation.checkpoint.has_prefix(f"{prefix}.id_embedding."):
        return vectors if vectors is None else _project(translation, f"{prefix}.proj", vectors)
    ids = _known_rows(translation, f"{prefix}.id_embedding.weight", oov_index)
    if ids is None:
        return None
    if len(ids) != len(vectors):
        raise ModelError(f'feature "{name}" has {len(vectors)} pretrained vectors and {len(ids)} ids')
    if translation.inputs(f"{prefix}.proj") == vectors.shape[1] + ids.shape[1]:
        return _project(translation, f"{prefix}.proj", np.concatenate([vectors, ids], axis=1))
    vectors = _project(translation, f"{prefix}.proj", vectors)
    if ids.shape[1] != vectors.shape[1]:
        raise ModelError(f'feature "{name}" adds pretrained vectors of {vectors.shape[1]} numbers to ids of {ids.shape[1]}')
    return vectors + ids


def _known_rows(translation: Translation, name: str, last: Optional[int]) -> Optional[np.ndarray]:
    """A table with zeros after row `last`, if there is such a row."""
    table = translation.take(name)
    if table is None:
        return None
    table = _matrix(table, name).astype("f8")
    if last is not None:
        table[last + 1:] = 0
    return table


def _project(translation: Translation, prefix: str, vectors: np.ndarray) -> np.ndarray:
    """The vectors after PretrainedEmbedding's projection, if it has one."""
    if not translation.has_linear(prefix):
        return vectors
    weight = translation.weight(prefix)
    bias = translation.bias(prefix) if translation.has_bias(prefix) else None
    assert weight is not None
    if weight.shape[1] != vectors.shape[1] or (bias is not None and bias.shape != weight.shape[:1]):
        raise ModelError(f'"{prefix}" has a weight of shape {list(weight.shape)}, the embedding has {vectors.shape[1]} numbers')
    return vectors @ weight.T.astype("f8") + (0 if bias is None else bias)


# ---------------------------------------------------------------- pooling


def _pooling(feature: Json, table: Optional[np.ndarray], reachable: int) -> None:
    """reachable: the rows from here on are no entry's."""
    combiner = feature.setdefault("combiner", "mean")
    if combiner not in _POOLING:
        raise ModelError(f'sequence "{feature["name"]}" has the combiner "{combiner}", the multi-task models of this library have '
                         + ", ".join(f'"{key}" ({title})' for key, title in _POOLING.items()))
    if combiner == "mean":
        feature.setdefault("epsilon", _MEAN_EPSILON)
    if table is None:
        return
    if table[0].any():
        raise ModelError(f'sequence "{feature["name"]}": row 0 of its table is not zero, so the library adds it for every '
                         f"place of padding (a pretrained embedding that is not frozen does this), which a model file cannot say")
    if combiner == "mean":
        _check_zero_rows(feature, table, reachable)


def _check_zero_rows(feature: Json, table: np.ndarray, reachable: int) -> None:
    """Error for a row that the library's mean takes for padding, though it is an entry's. Unknown values can be skipped."""
    zero = [int(row) for row in np.flatnonzero(table.sum(axis=1, dtype="f4") == 0)]
    if feature.get("oov") in zero:
        feature["oov"] = "skip"
    entries = [str(row) for row in zero if 0 < row < reachable]
    if entries:
        raise ModelError(f'sequence "{feature["name"]}": rows {", ".join(entries[:8])} of its table sum to zero, so the library takes '
                         f"them for padding in the mean, which a model file can say of one id alone")
