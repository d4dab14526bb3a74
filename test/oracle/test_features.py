#!/usr/bin/python3
"""Features and hashes of the oracle against numbers worked out by hand."""

import math
import os
import unittest

import numpy as np

from farmhash import fingerprint64
from model_file import vocabulary_tensors
from oracle_features import Features, RowError

HERE = os.path.dirname(os.path.abspath(__file__))
LOG2 = math.log(2)


def f32(*values):
    return np.array(values, "f4")


def vector(feature, tensors, row):
    """The vector of a feature of a row."""
    return list(Features({"features": [feature]}, tensors).feature_vector(feature, row))


class FarmHashTest(unittest.TestCase):
    def test_vectors(self):
        with open(os.path.join(HERE, "farmhash_vectors.txt")) as f:
            vectors = [line.split() for line in f if not line.startswith("#")]
        self.assertGreater(len(vectors), 190)
        lengths = set()
        for text, expected in vectors:
            data = bytes.fromhex(text.replace("-", ""))
            lengths.add(len(data))
            self.assertEqual(fingerprint64(data), int(expected), text)
        self.assertTrue(lengths.issuperset(range(0, 66)))

    def test_empty(self):
        self.assertEqual(fingerprint64(b""), 0x9AE16A3B2F90404F)

    def test_tensorflow_buckets(self):
        # The values of TensorFlow's own test of string_to_hash_bucket_fast.
        self.assertEqual([fingerprint64(t) % 10 for t in (b"a", b"b", b"c", b"d")], [9, 2, 2, 5])


class DenseTest(unittest.TestCase):
    def dense(self, value, missing=None, **keys):
        feature = dict({"name": "x", "kind": "dense"}, **keys)
        if missing is not None:
            feature["missing"] = missing
        return vector(feature, {}, {} if value is None else {"x": value})

    def test_transforms(self):
        self.assertEqual(self.dense(7, transform={"type": "standardize", "mean": 1, "std": 4}), [1.5])
        self.assertEqual(self.dense(3, transform={"type": "min_max", "min": 1, "max": 9}), [0.25])
        self.assertEqual(self.dense(1, transform={"type": "log1p"}), [np.float32(LOG2)])
        self.assertEqual(self.dense(9, transform={"type": "clip", "max": 2}), [2])
        self.assertEqual(self.dense(-9, transform={"type": "clip", "max": 2}), [-9])
        self.assertEqual(self.dense(-9, transform={"type": "clip", "min": -1, "max": None}), [-1])
        self.assertEqual(self.dense(True), [1])

    def test_transforms_in_order(self):
        clip, scale = {"type": "clip", "min": 0, "max": 4}, {"type": "min_max", "min": 0, "max": 8}
        self.assertEqual(self.dense(16, transform=[clip, scale]), [0.5])
        self.assertEqual(self.dense(16, transform=[scale, clip]), [2])

    def test_parameter_per_number(self):
        t = {"type": "standardize", "mean": [1, 2], "std": [2, 4]}
        self.assertEqual(self.dense([5, 4], width=2, transform=t), [2, 0.5])

    def test_rounded_once_at_the_end(self):
        self.assertEqual(self.dense(0.1), [float(np.float32(0.1))])
        # 2^24 + 1 is no float32: had it been rounded before the difference, 0 would be left.
        self.assertEqual(self.dense(2 ** 24 + 1, transform={"type": "standardize", "mean": 2 ** 24, "std": 1}), [1])

    def test_log1p_error(self):
        with self.assertRaises(RowError):
            self.dense(-1, transform={"type": "log1p"})

    def test_missing(self):
        t = {"type": "standardize", "mean": 1, "std": 4}
        with self.assertRaises(RowError):
            self.dense(None)
        self.assertEqual(self.dense(None, 5, transform=t), [1])
        self.assertEqual(self.dense(None, {"value": 5}, transform=t), [1])
        self.assertEqual(self.dense(None, "zero", transform=t), [0])
        self.assertEqual(self.dense(None, 5, width=2, transform=t), [1, 1])
        with self.assertRaises(RowError):
            self.dense([1, None], 5, width=2)

    def test_columns(self):
        feature = {"name": "x", "kind": "dense", "width": 2, "columns": ["a", "b"], "missing": 3,
                   "transform": {"type": "min_max", "min": 1, "max": 5}}
        self.assertEqual(vector(feature, {}, {"b": 5}), [0.5, 1])
        self.assertEqual(vector(feature, {}, {"b": None, "a": 1, "x": 9}), [0, 0.5])

    def test_embedding(self):
        feature = {"name": "x", "kind": "dense", "width": 2, "embedding_dim": 3, "embedding_bias": True, "missing": "zero"}
        tensors = {"dense.x.weight": np.array([[1, 2], [3, 4], [5, 6]], "f4"), "dense.x.bias": f32(10, 20, 30)}
        self.assertEqual(vector(feature, tensors, {"x": [1, -1]}), [9, 19, 29])
        self.assertEqual(vector(feature, tensors, {}), [10, 20, 30])


class LookupTest(unittest.TestCase):
    TABLE = {"embedding.c.weight": np.arange(12, dtype="f4").reshape(6, 2)}     # row i is (2i, 2i + 1)

    def sparse(self, value, lookup, tensors=None, **keys):
        feature = dict({"name": "c", "kind": "sparse", "lookup": lookup}, **keys)
        return vector(feature, dict(self.TABLE, **(tensors or {})), {"c": value})

    def test_index_of_single_precision(self):
        lookup = {"type": "index", "offset": -2 ** 24, "precision": "float32"}
        big = 2 ** 24
        self.assertEqual(self.sparse(big, lookup), [0, 1])
        self.assertEqual(self.sparse(big + 1, lookup), [0, 1])
        self.assertEqual(self.sparse(big + 2, lookup), [4, 5])
        self.assertEqual(self.sparse(big + 3, lookup), [8, 9])
        self.assertEqual(self.sparse(big + 1.5, lookup), [4, 5])
        with self.assertRaises(RowError):
            self.sparse(0.5, lookup)
        with self.assertRaises(RowError):
            self.sparse(big + 1.5, dict(lookup, precision="double"))
        # halfway between two numbers of float32, and one more than that, which a double does not hold
        huge = 2 ** 62 + 2 ** 38
        self.assertEqual(self.sparse(huge, dict(lookup, offset=-2 ** 62)), [0, 1])
        self.assertEqual(self.sparse(huge + 1, dict(lookup, offset=-2 ** 62 - 2 ** 39)), [0, 1])

    def test_index(self):
        lookup = {"type": "index", "offset": 1}
        self.assertEqual(self.sparse(2, lookup), [6, 7])
        self.assertEqual(self.sparse(-1, lookup), [0, 1])
        self.assertEqual(self.sparse(True, lookup), [4, 5])
        self.assertEqual(self.sparse(5, lookup, oov=4), [8, 9])
        self.assertEqual(self.sparse(-2, lookup, oov="zero"), [0, 0])
        for wrong in (5, 1.5, "1"):
            with self.assertRaises(RowError):
                self.sparse(wrong, lookup)

    def test_integer_vocabulary(self):
        words = vocabulary_tensors("c", [50, -7, 2 ** 62 + 1])
        lookup = {"type": "vocabulary", "offset": 2}
        self.assertEqual(self.sparse(-7, lookup, words), [6, 7])
        self.assertEqual(self.sparse(50.0, lookup, words), [4, 5])
        self.assertEqual(self.sparse(2 ** 62 + 1, lookup, words), [8, 9])
        self.assertEqual(self.sparse(2 ** 62, lookup, words, oov=0), [0, 1])
        with self.assertRaises(RowError):
            self.sparse("50", lookup, words, oov=0)

    def test_text_vocabulary(self):
        words = vocabulary_tensors("w", ["été", "", "-17", "true"])
        lookup = {"type": "vocabulary", "vocabulary": "w"}
        self.assertEqual(self.sparse("été", lookup, words), [0, 1])
        self.assertEqual(self.sparse("", lookup, words), [2, 3])
        self.assertEqual(self.sparse(-17, lookup, words), [4, 5])
        self.assertEqual(self.sparse(-17.0, lookup, words), [4, 5])
        self.assertEqual(self.sparse(True, lookup, words), [6, 7])
        with self.assertRaises(RowError):
            self.sparse(1.5, lookup, words, oov=0)

    def test_hash(self):
        # Fingerprint64 of "a" ends with the digit 9, of "d" with 5 (see TensorFlow's values above).
        table = {"embedding.c.weight": np.arange(12, dtype="f4").reshape(12, 1)}

        def row(value, **keys):
            feature = {"name": "c", "kind": "sparse", "lookup": dict({"type": "hash"}, **keys)}
            return vector(feature, table, {"c": value})[0]

        self.assertEqual(row("a", num_buckets=10), 9)
        self.assertEqual(row("d", num_buckets=10, offset=2), 7)
        self.assertEqual(row("d", offset=2), 2 + 5)
        self.assertEqual(row("a", num_buckets=11, mask_zero=True), 10)
        self.assertEqual(row("0", num_buckets=11, mask_zero=True), 0)
        self.assertEqual(row(0, mask_zero=True, offset=1), 1)
        self.assertEqual(row(0, mask_zero=True, number_format="float"), 0)
        self.assertEqual(row("0", mask_zero=True, number_format="float"), 0)
        self.assertEqual(row(-17), fingerprint64(b"-17") % 12)
        self.assertEqual(row(-17.0), fingerprint64(b"-17") % 12)
        self.assertEqual(row(False), fingerprint64(b"false") % 12)
        self.assertEqual(row(2.5, number_format="float"), fingerprint64(b"2.500000") % 12)
        self.assertEqual(row(3, number_format="float"), fingerprint64(b"3.000000") % 12)
        self.assertEqual(row("3", number_format="float"), fingerprint64(b"3") % 12)
        with self.assertRaises(RowError):
            row(2.5)

    def test_missing(self):
        lookup = {"type": "index"}
        words = vocabulary_tensors("c", ["a", "b"])
        with self.assertRaises(RowError):
            self.sparse(None, lookup)
        self.assertEqual(self.sparse(None, lookup, missing=3), [6, 7])
        self.assertEqual(self.sparse(None, lookup, missing={"value": 9}, oov=5), [10, 11])
        self.assertEqual(self.sparse(None, {"type": "vocabulary"}, words, missing={"value": "b"}), [2, 3])
        self.assertEqual(self.sparse(None, lookup, missing="oov", oov=2), [4, 5])
        self.assertEqual(self.sparse(None, lookup, missing="oov", oov="zero"), [0, 0])
        self.assertEqual(self.sparse(None, lookup, missing="zero"), [0, 0])

    def test_shared_table(self):
        feature = {"name": "d", "kind": "sparse", "embedding": "c", "lookup": {"type": "vocabulary"}}
        tensors = dict(self.TABLE, **vocabulary_tensors("c", [10, 11]))
        self.assertEqual(vector(feature, tensors, {"d": 11}), [2, 3])


class SequenceTest(unittest.TestCase):
    TABLE = {"embedding.s.weight": np.array([[1, 10], [2, 30], [4, 20], [8, -5]], "f4")}

    def sequence(self, values, weight_list=None, **keys):
        feature = dict({"name": "s", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3}, **keys)
        return vector(feature, self.TABLE, {"s": values, "w": weight_list})

    def weighted(self, values, weight_list, spec, **keys):
        return self.sequence(values, weight_list, weights=spec, **keys)

    def test_concat(self):
        keys = {"combiner": "concat", "padding": 3}
        self.assertEqual(self.sequence([0, 2], **keys), [1, 10, 4, 20, 0, 0])
        self.assertEqual(self.sequence([3, 2], **keys), [0, 0, 4, 20, 0, 0])
        self.assertEqual(self.sequence([3, 2, 0, 1], **keys), [0, 0, 4, 20, 1, 10])
        self.assertEqual(self.sequence([3, 2, 3, 1], truncate="head", **keys), [4, 20, 0, 0, 2, 30])
        self.assertEqual(self.sequence([3, 2], unused="head", **keys), [0, 0, 0, 0, 4, 20])
        self.assertEqual(self.sequence([2, 3], unused="head", **keys), [0, 0, 4, 20, 0, 0])
        self.assertEqual(self.sequence([7, 3, 2], oov="skip", **keys), [0, 0, 4, 20, 0, 0])
        self.assertEqual(self.sequence([3], combiner="concat"), [8, -5, 0, 0, 0, 0])
        self.assertEqual(self.sequence([], combiner="concat"), [0] * 6)
        self.assertEqual(self.sequence(None, missing="empty", **keys), [0] * 6)

    def test_combiners(self):
        self.assertEqual(self.sequence([0, 2]), [2.5, 15])
        self.assertEqual(self.sequence([0, 2], combiner="sum"), [5, 30])
        self.assertEqual(self.sequence([0, 2, 1], combiner="max"), [4, 30])
        self.assertEqual(self.sequence([0, 2], epsilon=0.5), [2, 12])

    def test_empty(self):
        for combiner, expected in (("sum", 0), ("mean", 0), ("max", -1)):
            self.assertEqual(self.sequence([], combiner=combiner, empty_value=-1), [expected] * 2)
            self.assertEqual(self.sequence(None, combiner=combiner, empty_value=-1, missing="empty"), [expected] * 2)
        with self.assertRaises(RowError):
            self.sequence(None)
        with self.assertRaises(RowError):
            self.sequence([1, None])

    def test_truncation(self):
        self.assertEqual(self.sequence([0, 1, 2, 3], combiner="sum"), [7, 60])
        self.assertEqual(self.sequence([0, 1, 2, 3], combiner="sum", truncate="head"), [14, 45])

    def test_padding_goes_before_truncation(self):
        self.assertEqual(self.sequence([0, 0, 1, 0, 2], combiner="sum", padding=0), [6, 50])
        self.assertEqual(self.sequence([0, 0], combiner="max", padding=0, empty_value=7), [7, 7])

    def test_unknown(self):
        values = [9, 9, 1, 2, 3]
        with self.assertRaises(RowError):
            self.sequence(values)
        self.assertEqual(self.sequence(values, oov="skip", combiner="sum"), [14, 45])
        self.assertEqual(self.sequence(values, oov=0, combiner="sum"), [4, 50])
        self.assertEqual(self.sequence(values, oov="zero", combiner="mean"), [2 / 3, 10])
        # A zero vector counts in the max.
        self.assertEqual(self.sequence([3, 9], oov="zero", combiner="max"), [8, 0])

    def test_weights(self):
        w = {"column": "w"}
        self.assertEqual(self.weighted([0, 2], [2, -1], w), [-1, 0])
        self.assertEqual(self.weighted([0, 2], [1, 3], dict(w, normalize="sum"), combiner="sum"), [3.25, 17.5])
        self.assertEqual(self.weighted([0, 2], [1, 3], dict(w, normalize="sum"), combiner="mean"), [1.625, 8.75])
        # softmax of (0, ln 3) is (1/4, 3/4)
        got = self.weighted([0, 2], [0, math.log(3)], dict(w, normalize="softmax"), combiner="sum")
        np.testing.assert_allclose(got, [3.25, 17.5], rtol=1e-14)
        self.assertEqual(self.weighted([0, 2], [2, -1], w, combiner="max"), [2, 20])

    def test_only_used_weights_are_normalized(self):
        # Padding (0), an unknown value (9) and what is beyond max_length take their weights with them.
        got = self.weighted([0, 1, 9, 2, 3, 3], [50, 1, 60, 1, 2, 70], {"column": "w", "normalize": "sum"},
                            combiner="sum", padding=0, oov="skip")
        self.assertEqual(got, [(2 + 4 + 16) / 4, (30 + 20 - 10) / 4])
        with self.assertRaises(RowError):
            self.weighted([1, 2], [1, -1], {"column": "w", "normalize": "sum"})
        with self.assertRaises(RowError):
            self.weighted([1, 2], [1], {"column": "w"})

    def test_texts(self):
        feature = {"name": "s", "kind": "sequence", "lookup": {"type": "vocabulary"}, "max_length": 9, "padding": "b", "combiner": "sum"}
        tensors = dict(self.TABLE, **vocabulary_tensors("s", ["a", "b", "c"]))
        self.assertEqual(vector(feature, tensors, {"s": ["c", "b", "a", "b"]}), [5, 30])


if __name__ == "__main__":
    unittest.main()
