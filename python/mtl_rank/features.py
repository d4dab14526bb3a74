"""Features of a contract: their keys, the tensors they call for, and the columns that a row must bring."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

from .errors import ModelError
from .expected import ExpectedTensors, Size
from .reader import (
    MAX_INT,
    MAX_WIDTH,
    REQUIRED,
    Reader,
    as_array,
    as_choice,
    as_name,
    as_number,
    as_string,
    check_distinct,
    type_name,
)
from .vocabulary import expect_vocabulary, vocabulary_size

MAX_FEATURES = 10_000
MAX_TRANSFORMS = 64


@dataclass
class Lookup:
    type: str
    offset: int
    vocabulary: Optional[str] = None
    num_buckets: Optional[int] = None


@dataclass
class Feature:
    name: str
    kind: str
    required: bool = True                    # a row without it is an error
    columns: List[str] = field(default_factory=list)   # what a row must bring

    # dense
    width: int = 1
    embedding_bias: bool = False

    # sparse and sequence
    embedding: str = ""
    vocabulary_size: Optional[int] = None
    lookup: Optional[Lookup] = None
    vectors: int = 1                         # of a row's size each that make the feature's
    oov_row: Optional[int] = None

    # all: of a dense feature without an embedding, None
    embedding_dim: Optional[int] = None


# ---------------------------------------------------------------- dense


def _read_numbers(reader: Reader, key: str, width: int, default: Any) -> Sequence[float]:
    """One number for all, or a list with one for each of the feature's width."""
    value, path = reader.get(key, default), reader.key_path(key)
    if not isinstance(value, list):
        return [value if value is default else as_number(value, path)] * width
    if len(value) != width:
        raise ModelError(f'"{path}" has {len(value)} numbers, expected {width}')
    return [as_number(v, path) for v in value]


def _check_transform(reader: Reader, width: int) -> None:
    kind = reader.choice("type", ("standardize", "min_max", "log1p", "clip"))
    if kind == "standardize":
        _read_numbers(reader, "mean", width, REQUIRED)
        for std in _read_numbers(reader, "std", width, REQUIRED):
            if std <= 0:
                raise ModelError(f'"{reader.key_path("std")}" is {std}, expected a positive number')
    elif kind != "log1p":
        absent = kind == "clip"
        lows = _read_numbers(reader, "min", width, -np.inf if absent else REQUIRED)
        highs = _read_numbers(reader, "max", width, np.inf if absent else REQUIRED)
        for low, high in zip(lows, highs):
            if low > high or (low == high and kind == "min_max"):
                raise ModelError(f'"{reader.path}" has min {low} and max {high}, expected min below max')
    reader.close()


def _read_dense(reader: Reader, feature: Feature) -> None:
    path = reader.key_path("columns")
    columns = reader.array("columns", None)
    feature.width = reader.integer("width", 1, MAX_WIDTH, 1 if columns is None else len(columns))
    if columns is not None:
        if not columns or len(columns) != feature.width:
            raise ModelError(f'"{path}" has {len(columns)} names, expected the feature\'s width {feature.width}')
        feature.columns = [as_name(c, path) for c in columns]

    path = reader.key_path("transform")
    transforms = reader.get("transform", [])
    if not isinstance(transforms, list):
        _check_transform(Reader(transforms, path), feature.width)
    else:
        if len(transforms) > MAX_TRANSFORMS:
            raise ModelError(f'"{path}" has {len(transforms)} transforms, the limit is {MAX_TRANSFORMS}')
        for i, transform in enumerate(transforms):
            _check_transform(Reader(transform, f"{path}.{i}"), feature.width)

    feature.embedding_dim = reader.integer("embedding_dim", 1, MAX_WIDTH, None)
    feature.embedding_bias = reader.boolean("embedding_bias", False)
    if feature.embedding_bias and feature.embedding_dim is None:
        raise ModelError(f'"{reader.key_path("embedding_bias")}" is true without "embedding_dim"')


# ---------------------------------------------------------------- sparse and sequence


def _read_lookup(reader: Reader, table: str) -> Lookup:
    kind = reader.choice("type", ("index", "vocabulary", "hash"))
    lookup = Lookup(kind, reader.integer("offset", -MAX_INT if kind == "index" else 0, MAX_INT, 0))
    if kind == "index":
        reader.choice("precision", ("double", "float32"), "double")
    elif kind == "vocabulary":
        lookup.vocabulary = reader.name("vocabulary", table)
    elif kind == "hash":
        reader.choice("function", ("farmhash64",), "farmhash64")
        mask_zero = reader.boolean("mask_zero", False)
        lookup.num_buckets = reader.integer("num_buckets", 2 if mask_zero else 1, MAX_INT, None)
        reader.choice("number_format", ("integer", "float"), "integer")
    reader.close()
    return lookup


def _read_sparse(reader: Reader, feature: Feature) -> None:
    feature.embedding = reader.name("embedding", feature.name)
    feature.vocabulary_size = reader.integer("vocabulary_size", 1, MAX_INT, None)
    feature.embedding_dim = reader.integer("embedding_dim", 1, MAX_WIDTH, None)
    lookup = reader.object("lookup")
    assert lookup is not None
    feature.lookup = _read_lookup(lookup, feature.embedding)

    oov = reader.get("oov", "error")
    if isinstance(oov, str):
        rules = ("error", "zero", "skip") if feature.kind == "sequence" else ("error", "zero")
        as_choice(oov, reader.key_path("oov"), rules)
    else:
        feature.oov_row = reader.integer("oov", 0, MAX_INT)


def _read_sequence(reader: Reader, feature: Feature) -> None:
    max_length = reader.integer("max_length", 1, MAX_WIDTH)
    reader.choice("truncate", ("tail", "head"), "tail")
    padding = reader.get("padding")
    if padding is not None and not isinstance(padding, str):
        as_number(padding, reader.key_path("padding"))
    if reader.choice("combiner", ("sum", "mean", "max", "concat"), "mean") == "concat":
        reader.choice("unused", ("tail", "head"), "tail")
        feature.vectors = max_length
    else:
        _read_pooling(reader, feature)


def _read_pooling(reader: Reader, feature: Feature) -> None:
    if reader.number("epsilon", 0) < 0:
        raise ModelError(f'"{reader.key_path("epsilon")}" is {reader.number("epsilon")}, expected 0 or more')
    reader.number("empty_value", 0)
    weights = reader.object("weights", None)
    if weights is not None:
        feature.columns.append(weights.name("column"))
        weights.choice("normalize", ("none", "sum", "softmax"), "none")
        weights.close()


def _read_missing(reader: Reader, feature: Feature) -> None:
    value, path = reader.get("missing", "error"), reader.key_path("missing")
    feature.required = value == "error"
    rules = {"dense": ("error", "zero"), "sparse": ("error", "zero", "oov"), "sequence": ("error", "empty")}[feature.kind]
    if isinstance(value, str):
        as_choice(value, path, rules)
        return
    if feature.kind == "sequence":
        raise ModelError(f'"{path}" must be "error" or "empty" for a sequence, found {type_name(value)}')
    if isinstance(value, dict):
        nested = Reader(value, path)
        value, path = nested.get("value", REQUIRED), nested.key_path("value")
        nested.close()
    if feature.kind == "dense" or not isinstance(value, str):
        as_number(value, path)


# ---------------------------------------------------------------- all features


def _read_feature(reader: Reader) -> Feature:
    name = reader.name("name")
    feature = Feature(name, reader.choice("kind", ("dense", "sparse", "sequence")), columns=[name])
    if feature.kind == "dense":
        _read_dense(reader, feature)
    else:
        _read_sparse(reader, feature)
    if feature.kind == "sequence":
        _read_sequence(reader, feature)
    _read_missing(reader, feature)
    reader.close()
    return feature


def _check_list(contract: Reader, key: str, names: List[str]) -> Optional[List[str]]:
    """A list of names of features, each at most once."""
    listed = contract.array(key, None)
    for name in listed or []:
        if as_string(name, key) not in names:
            raise ModelError(f'"{key}" names the unknown feature "{name}"')
    check_distinct(listed or [], f'"{key}": feature')
    return listed


def _check_input(contract: Reader, names: List[str]) -> None:
    order = _check_list(contract, "input", names)
    if order is not None and len(order) != len(names):
        raise ModelError(f'"input" names {len(order)} features, expected all {len(names)}')


def read_features(contract: Reader) -> List[Feature]:
    values = as_array(contract.get("features", REQUIRED), "features")
    if not 1 <= len(values) <= MAX_FEATURES:
        raise ModelError(f"{len(values)} features, expected 1 to {MAX_FEATURES}")
    features = [_read_feature(Reader(value, f"features.{i}")) for i, value in enumerate(values)]
    names = [feature.name for feature in features]
    check_distinct(names, "feature")
    check_distinct([column for feature in features for column in feature.columns], "column")
    _check_input(contract, names)
    _check_list(contract, "context", names)
    _table_sizes(features)
    return features


def _table_sizes(features: List[Feature]) -> Dict[str, List[Size]]:
    """Table -> its rows and its dim as far as the contract says them; features that share it must agree."""
    sizes: Dict[str, List[Size]] = {}
    for feature in features:
        if feature.kind == "dense":
            continue
        size = sizes.setdefault(feature.embedding, [None, None])
        stated = (("vocabulary_size", feature.vocabulary_size), ("embedding_dim", feature.embedding_dim))
        for i, (key, number) in enumerate(stated):
            if number is not None and size[i] not in (None, number):
                raise ModelError(f'features that share the embedding "{feature.embedding}" say {key} {size[i]} and {number}')
            size[i] = number if number is not None else size[i]
    return sizes


def expect_features(features: List[Feature], expected: ExpectedTensors, found: Dict[str, np.ndarray]) -> Dict[str, Size]:
    """Adds the features' tensors; returns the sizes of their vectors.

    Where the contract leaves a table's size open, the table that was found decides; without one it stays open.
    """
    sizes = _table_sizes(features)
    widths: Dict[str, Size] = {}
    for feature in features:
        if feature.kind == "dense":
            widths[feature.name] = _expect_dense(feature, expected)
            continue
        name = f"embedding.{feature.embedding}.weight"
        rows, dim = sizes[feature.embedding]
        expected.add_table(name, (rows, dim))
        if dim is None and name in found and found[name].ndim == 2:
            dim = found[name].shape[1]
        widths[feature.name] = None if dim is None else dim * feature.vectors
        assert feature.lookup is not None
        if feature.lookup.vocabulary is not None:
            expect_vocabulary(feature.lookup.vocabulary, expected, found)
    return widths


def _expect_dense(feature: Feature, expected: ExpectedTensors) -> int:
    if feature.embedding_dim is None:
        return feature.width
    expected.add(f"dense.{feature.name}.weight", (feature.embedding_dim, feature.width))
    if feature.embedding_bias:
        expected.add(f"dense.{feature.name}.bias", (feature.embedding_dim,))
    return feature.embedding_dim


def lookup_problem(feature: Feature, found: Dict[str, np.ndarray]) -> Optional[str]:
    """What a lookup asks of its table and the table does not have; all tensors are known to have their shapes."""
    if feature.lookup is None:
        return None
    rows = found[f"embedding.{feature.embedding}.weight"].shape[0]
    if feature.oov_row is not None and feature.oov_row >= rows:
        return f'feature "{feature.name}": "oov" is row {feature.oov_row} of a table of {rows} rows'
    lookup = feature.lookup
    used = None
    if lookup.vocabulary is not None:
        used, what = vocabulary_size(lookup.vocabulary, found), "a vocabulary of"
    elif lookup.type == "hash":
        used, what = lookup.num_buckets or 1, "a hash with num_buckets"
    if used is not None and lookup.offset + used > rows:
        return f'feature "{feature.name}": offset {lookup.offset} and {what} {used} exceed its table of {rows} rows'
    return None
