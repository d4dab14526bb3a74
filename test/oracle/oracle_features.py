"""The first half of the oracle: what a row means, and the vector that each feature makes of it."""

import math

import numpy as np

from farmhash import fingerprint64
from precision import bf16_values

REAL = np.float64


class RowError(Exception):
    """The contract makes an error of this row."""


def get(spec, key, default=None):
    """The value of a key; null means the same as an absent key."""
    value = spec.get(key)
    return default if value is None else value


# ---------------------------------------------------------------- values

def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def as_number(value):
    """A number or truth value as a number."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise RowError("not a finite number: %r" % (value,))
    return int(value) if isinstance(value, bool) else value


def as_integer(value):
    number = as_number(value)
    if number != int(number):
        raise RowError("has a fraction: %r" % (value,))
    return int(number)


def as_single(value):
    """A number rounded to float32 once; numpy rounds Python's integers twice, by way of a double."""
    number = as_number(value)
    if isinstance(number, int) and -2 ** 63 <= number < 2 ** 63:
        return float(np.array([number], "i8").astype("f4")[0])
    return float(np.float32(number))


def as_text(value, number_format="integer"):
    """The text that string vocabularies and hashes read."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if number_format == "float":
        return "%f" % as_number(value)
    return str(as_integer(value))


def transformed(transforms, value, place):
    """A number of a dense feature after its transforms; `place` is its position in the value."""
    def parameter(transform, key):
        p = get(transform, key)
        return p[place] if isinstance(p, list) else p

    v = float(as_number(value))
    for t in transforms:
        if t["type"] == "standardize":
            v = (v - parameter(t, "mean")) / parameter(t, "std")
        elif t["type"] == "min_max":
            low, high = parameter(t, "min"), parameter(t, "max")
            v = (v - low) / (high - low)
        elif t["type"] == "log1p":
            if v <= -1:
                raise RowError("log1p of %r" % v)
            v = math.log1p(v)
        elif t["type"] == "clip":
            low, high = parameter(t, "min"), parameter(t, "max")
            v = v if low is None else max(v, low)
            v = v if high is None else min(v, high)
        else:
            raise ValueError("transform %r" % t["type"])
    return v


def softmax(y):
    e = np.exp(y - np.max(y))
    return e / np.sum(e)


class Features:
    """The features of a model: contract (dict) and tensors (name -> numpy array)."""

    def __init__(self, contract, tensors):
        self.contract = contract
        self.tensors = tensors
        self.features = {f["name"]: f for f in contract["features"]}
        self.used = set()

    def tensor(self, name, *shapes):
        """The tensor in float64; it must have one of the shapes."""
        self.used.add(name)
        t = self.tensors[name]
        if t.shape not in shapes:
            raise ValueError("%s has shape %s, not %s" % (name, t.shape, " or ".join(map(str, shapes))))
        return bf16_values(t).astype(REAL) if t.dtype == np.dtype("<u2") else t.astype(REAL)

    def feature_vectors(self, row):
        return [self.feature_vector(self.features[name], row) for name in self.input_names()]

    def input_names(self):
        """The features in the order of their vectors in x."""
        return get(self.contract, "input", list(self.features))

    def feature_vector(self, feature, row):
        return {"dense": self.dense, "sparse": self.sparse, "sequence": self.sequence}[feature["kind"]](feature, row)

    def dense(self, feature, row):
        width = get(feature, "width", 1)
        columns = get(feature, "columns")
        value = get(row, feature["name"])
        if columns is not None:
            numbers = [get(row, c) for c in columns]
        elif value is None:
            numbers = [None] * width
        elif width == 1:
            numbers = [value]
        else:
            if len(value) != width or None in value:
                raise RowError("%s is not a list of %d numbers" % (feature["name"], width))
            numbers = value

        transforms = get(feature, "transform", [])
        transforms = transforms if isinstance(transforms, list) else [transforms]
        missing = get(feature, "missing", "error")
        result = np.zeros(width, dtype=np.float32)
        for i, number in enumerate(numbers):
            if number is None and missing == "error":
                raise RowError("%s is missing" % feature["name"])
            if number is None and missing == "zero":
                continue
            if number is None:
                number = missing["value"] if isinstance(missing, dict) else missing
            result[i] = np.float32(transformed(transforms, number, i))
        result = result.astype(REAL)

        d = get(feature, "embedding_dim")
        if d is None:
            return result
        prefix = "dense." + feature["name"]
        result = self.tensor(prefix + ".weight", (d, width)) @ result
        if get(feature, "embedding_bias", False):
            result = result + self.tensor(prefix + ".bias", (d,))
        return result

    def table(self, feature):
        name = "embedding.%s.weight" % get(feature, "embedding", feature["name"])
        return self.tensor(name, self.tensors[name].shape)

    def vocabulary(self, name):
        """The entries of a vocabulary: a list of integers or a list of texts."""
        prefix = "vocabulary." + name
        if prefix + ".ids" in self.tensors:
            self.used.add(prefix + ".ids")
            return [int(v) for v in self.tensors[prefix + ".ids"]]
        self.used.update((prefix + ".bytes", prefix + ".offsets"))
        data = self.tensors[prefix + ".bytes"].tobytes()
        offsets = [int(v) for v in self.tensors[prefix + ".offsets"]]
        return [data[a:b].decode() for a, b in zip(offsets, offsets[1:])]

    def lookup(self, feature, value):
        """The row of the table for a value, or None when the lookup does not know the value."""
        lookup = feature["lookup"]
        offset = get(lookup, "offset", 0)
        rows = len(self.table(feature))

        if lookup["type"] == "index":
            single = get(lookup, "precision", "double") == "float32"
            row = offset + as_integer(as_single(value) if single else value)
            return row if 0 <= row < rows else None

        if lookup["type"] == "vocabulary":
            entries = self.vocabulary(get(lookup, "vocabulary", get(feature, "embedding", feature["name"])))
            key = as_text(value) if isinstance(entries[0], str) else as_integer(value)
            return offset + entries.index(key) if key in entries else None

        number_format = get(lookup, "number_format", "integer")
        buckets = get(lookup, "num_buckets", rows - offset)
        text = as_text(value, number_format)
        h = fingerprint64(text.encode())
        if not get(lookup, "mask_zero", False):
            return offset + h % buckets
        zero = "0.000000" if number_format == "float" and is_number(value) else "0"
        return offset if text == zero else offset + 1 + h % (buckets - 1)

    def rows_of_table(self, feature, value):
        """The vector of one value after the rule for unknown values: a list of one, or of none for "skip"."""
        table = self.table(feature)
        row = self.lookup(feature, value)
        if row is not None:
            return [table[row]]
        return self.unknown(feature, value)

    def unknown(self, feature, value):
        table = self.table(feature)
        oov = get(feature, "oov", "error")
        if oov == "error":
            raise RowError("%s does not know %r" % (feature["name"], value))
        if oov == "skip":
            return []
        if oov == "zero":
            return [np.zeros(table.shape[1], dtype=REAL)]
        return [table[oov]]

    def sparse(self, feature, row):
        value = get(row, feature["name"])
        if value is None:
            missing = get(feature, "missing", "error")
            if missing == "error":
                raise RowError("%s is missing" % feature["name"])
            if missing == "zero":
                return np.zeros(self.table(feature).shape[1], dtype=REAL)
            if missing == "oov":
                return self.unknown(feature, None)[0]
            value = missing["value"] if isinstance(missing, dict) else missing
        return self.rows_of_table(feature, value)[0]

    def sequence(self, feature, row):
        name = feature["name"]
        values = get(row, name)
        weighting = get(feature, "weights")
        weights = get(row, weighting["column"]) if weighting else None
        if values is None:
            if get(feature, "missing", "error") != "empty":
                raise RowError("%s is missing" % name)
            values, weights = [], []
        if weighting is None:
            weights = [1] * len(values)
        if weights is None or None in values or None in weights or len(values) != len(weights):
            raise RowError("%s and its weights do not fit" % name)

        # Padding goes first (or becomes zeros), then unknown values under "skip", then what is beyond max_length.
        padding = get(feature, "padding")
        combiner = get(feature, "combiner", "mean")
        dim = self.table(feature).shape[1]
        pairs = []
        for value, weight in zip(values, weights):
            if padding is not None and isinstance(value, str) == isinstance(padding, str) and value == padding:
                if combiner == "concat":
                    pairs.append((np.zeros(dim, dtype=REAL), None))
                continue
            for vector in self.rows_of_table(feature, value):
                pairs.append((vector, float(as_number(weight))))
        n = feature["max_length"]
        pairs = pairs[:n] if get(feature, "truncate", "tail") == "tail" else pairs[-n:]

        if combiner == "concat":
            places = [v for v, _ in pairs]
            unused = [np.zeros(dim, dtype=REAL)] * (n - len(places))
            return np.concatenate(places + unused if get(feature, "unused", "tail") == "tail" else unused + places)
        if not pairs:
            return np.full(dim, get(feature, "empty_value", 0) if combiner == "max" else 0, dtype=REAL)

        vectors = np.array([v for v, _ in pairs], dtype=REAL)
        if weighting is not None:
            w = np.array([w for _, w in pairs], dtype=REAL)
            normalize = get(weighting, "normalize", "none")
            if normalize == "sum":
                if w.sum() == 0:
                    raise RowError("the weights of %s sum to 0" % name)
                w = w / w.sum()
            elif normalize == "softmax":
                w = softmax(w)
            vectors = vectors * w[:, None]

        if combiner == "sum":
            return vectors.sum(axis=0)
        if combiner == "max":
            return vectors.max(axis=0)
        return vectors.sum(axis=0) / (len(pairs) + get(feature, "epsilon", 0))
