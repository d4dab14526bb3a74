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

from typing import Any, List, Optional

import numpy as np

from ..errors import ModelError
from ..reader import MAX_INT, Reader, as_array, as_string, quoted
from .configuration import Configuration, Json
from .translation import Translation

_TABLES = "embedding_layer.embedding_layer.embedding_layers"
_ENCODERS = "embedding_layer.embedding_layer.feature_encoders"

_KINDS = {"sparse": "categorical", "sequence": "sequence", "dense": "numeric, embedding"}
_POOLING = {"mean": "MaskedAveragePooling", "sum": "MaskedSumPooling"}
_MEAN_EPSILON = 1e-12

# Keys of a feature that say how its PretrainedEmbedding was made, as feature_map.json has them; none of the contract's.
_OOV_INDEX, _FROZEN, _USAGE = "oov_idx", "freeze_emb", "pretrain_usage"
_USAGES = ("init", "sum", "concat")


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
    name, checkpoint = feature["name"], translation.checkpoint
    table, encoder = f"{_TABLES}.{name}", f"{_ENCODERS}.{name}"
    encoded = checkpoint.has_prefix(f"{encoder}.")
    if encoded and checkpoint.has_prefix(f"{table}."):
        _refuse_encoder(name)
    linear = encoder if encoded else table
    bias = f"{encoder}.bias" in checkpoint      # of an encoder that the user gave
    translation.linear(linear, f"dense.{name}", bias=bias, what=f'the vector of feature "{name}"')
    feature.setdefault("embedding_dim", translation.units(linear) or None)
    if translation.inputs(linear) > 1:
        feature.setdefault("width", translation.inputs(linear))
    if bias:
        feature.setdefault("embedding_bias", True)


def _refuse_encoder(name: str) -> None:
    raise ModelError(f'feature "{name}" has a feature_encoder with weights after its embedding, which a model file cannot say')


# ---------------------------------------------------------------- categories and lists of them


def _category(translation: Translation, config: Configuration, feature: Json) -> None:
    name = feature["name"]
    table_name = as_string(feature.get("embedding", name), "embedding")
    settings = {key: feature.pop(key, None) for key in (_OOV_INDEX, _FROZEN, _USAGE)}
    if translation.checkpoint.has_prefix(f"{_ENCODERS}.{name}."):
        _refuse_encoder(name)
    table = _put_table(translation, name, table_name, _table(translation, name, settings))
    entries = None
    lookup = feature.setdefault("lookup", {"type": "index"})
    if isinstance(lookup, dict) and lookup.get("type") == "vocabulary":
        lookup.setdefault("offset", 1)
        vocabulary = as_string(lookup.get("vocabulary", table_name), "vocabulary")
        entries = as_array(config.vocabularies.get(vocabulary, []), f"vocabularies.{vocabulary}")
        if table is not None:
            feature.setdefault("oov", len(table) - 1 if settings[_OOV_INDEX] is None else settings[_OOV_INDEX])
    if feature["kind"] == "sequence":
        # Padding is what the tokenizer's fill_na is, the empty text unless given.
        feature.setdefault("padding", 0 if entries is None else "")
        _pooling(feature, table, entries)


def _put_table(translation: Translation, name: str, table_name: str, table: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Puts the table, which may be there already, shared; returns it as the model has it."""
    target = f"embedding.{table_name}.weight"
    if table is None:
        return None
    if target not in translation.tensors:
        translation.put(target, table)
    elif not np.array_equal(translation.tensors[target], table.astype("f4")):
        raise ModelError(f'feature "{name}" has a table of its own, other than "{table_name}", in the checkpoint; '
                         f'leave out its "embedding"')
    return translation.tensors[target]


def _table(translation: Translation, name: str, settings: Json) -> Optional[np.ndarray]:
    """The vectors by id; None if something is missing."""
    prefix = f"{_TABLES}.{name}"
    if translation.checkpoint.has_prefix(f"{prefix}.pretrain_embedding."):
        return _pretrained(translation, name, settings)
    table = translation.take(f"{prefix}.weight", f'the embedding of feature "{name}"')
    return None if table is None else _matrix(table, f"{prefix}.weight")


def _matrix(table: np.ndarray, name: str) -> np.ndarray:
    if table.ndim != 2 or table.size == 0:
        raise ModelError(f'tensor "{name}" has shape {list(table.shape)}, expected a matrix')
    return table


def _pretrained(translation: Translation, name: str, settings: Json) -> Optional[np.ndarray]:
    prefix = f"{_TABLES}.{name}"
    oov_index, frozen, usage = settings[_OOV_INDEX], settings[_FROZEN], settings[_USAGE]
    if type(oov_index) is not int or oov_index < 0 or not isinstance(frozen, bool) or usage not in _USAGES:
        raise ModelError(f'feature "{name}" has a pretrained embedding; give its "{_OOV_INDEX}" (a number), "{_FROZEN}" (true or '
                         f'false) and "{_USAGE}" ({quoted(_USAGES)}) in the configuration, as feature_map.json has them')
    vectors = _known_rows(translation, f"{prefix}.pretrain_embedding.weight", None if frozen else oov_index)
    if usage == "init":
        return None if vectors is None else _project(translation, f"{prefix}.proj", vectors)
    ids = _known_rows(translation, f"{prefix}.id_embedding.weight", oov_index)
    if vectors is None or ids is None:
        return None
    if len(ids) != len(vectors):
        raise ModelError(f'feature "{name}" has {len(vectors)} pretrained vectors and {len(ids)} ids')
    if usage == "concat":
        return _project(translation, f"{prefix}.proj", np.concatenate([vectors, ids], axis=1), required=True)
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


def _project(translation: Translation, prefix: str, vectors: np.ndarray, required: bool = False) -> np.ndarray:
    """The vectors after PretrainedEmbedding's projection, which it has for vectors of another size."""
    weight = translation.weight(prefix) if required or translation.checkpoint.has_prefix(f"{prefix}.") else None
    if weight is None:
        return vectors
    bias = translation.bias(prefix) if f"{prefix}.bias" in translation.checkpoint else None
    if weight.shape[1] != vectors.shape[1] or (bias is not None and bias.shape != weight.shape[:1]):
        raise ModelError(f'"{prefix}" has a weight of shape {list(weight.shape)}, the embedding has {vectors.shape[1]} numbers')
    return vectors @ weight.T.astype("f8") + (0 if bias is None else bias)


# ---------------------------------------------------------------- pooling


def _pooling(feature: Json, table: Optional[np.ndarray], entries: Optional[List[Any]]) -> None:
    """entries: of its vocabulary, if it has one."""
    combiner = as_string(feature.setdefault("combiner", "mean"), "combiner")
    if combiner not in _POOLING:
        raise ModelError(f'sequence "{feature["name"]}" has the combiner "{combiner}", the multi-task models of this library '
                         + "have " + ", ".join(f'"{key}" ({title})' for key, title in _POOLING.items()))
    if combiner == "mean":
        feature.setdefault("epsilon", _MEAN_EPSILON)
    if table is None:
        return
    if table[0].any():
        raise ModelError(f'sequence "{feature["name"]}": row 0 of its table is not zero, so the library adds it for every '
                         f"place of padding (a pretrained embedding that is not frozen does this), which a model file cannot say")
    if combiner == "mean":
        _check_zero_rows(feature, table, entries)


def _check_zero_rows(feature: Json, table: np.ndarray, entries: Optional[List[Any]]) -> None:
    """Error for a row that the library's mean takes for padding, though values that are not padding lead to it."""
    zero = [int(row) for row in np.flatnonzero(table.sum(axis=1, dtype="f4") == 0)]
    if feature.get("oov") in zero:
        feature["oov"] = "skip"
    padding, lookup = feature["padding"], Reader(feature["lookup"], "lookup")
    first = lookup.integer("offset", 0, MAX_INT, 0)
    end = len(table) if entries is None else first + len(entries)
    taken_out = None
    if entries is None:
        taken_out = first + padding if isinstance(padding, int) else None
    elif padding in entries:
        taken_out = first + entries.index(padding)
    counted = [str(row) for row in zero if first <= row < end and row != taken_out]
    if counted:
        raise ModelError(f'sequence "{feature["name"]}": rows {", ".join(counted[:8])} of its table sum to zero, so the library '
                         f"takes them for padding in the mean, which a model file can say of one value alone")
