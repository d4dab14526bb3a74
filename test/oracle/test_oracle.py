#!/usr/bin/python3
"""Layers, architectures and tasks of the oracle against numbers worked out by hand, and against torch where it is installed."""

import math
import unittest

import numpy as np

import precision
from oracle import Model
from oracle_features import RowError

try:
    import torch
except ImportError:
    torch = None

LOG2 = math.log(2)


def f32(*values):
    return np.array(values, "f4")


def model(architecture=None, tensors=None, features=None, tasks=None, **contract):
    """A model; by default of one dense feature `x` of two numbers and one regression `y` that adds them up."""
    features = features or [{"name": "x", "kind": "dense", "width": 2}]
    tasks = tasks or [{"name": "y", "type": "regression"}]
    contract = dict(contract, format=1, architecture=architecture or {"type": "single_task"}, features=features, tasks=tasks)
    return Model(contract, tensors or {})


def sums(*tasks, n):
    """Towers that add up their n inputs."""
    return {k: v for t in tasks for k, v in (("task.%s.tower.logit.weight" % t, np.ones((1, n), "f4")),
                                             ("task.%s.tower.logit.bias" % t, f32(0)))}


class PrecisionTest(unittest.TestCase):
    def test_bf16_rounds_to_even(self):
        bits = precision.bf16_bits(f32(1, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -2.5, 0, 2.0**-126))
        self.assertEqual([hex(b) for b in bits], ["0x3f80", "0x3f80", "0x3f82", "0x3f81", "0xc020", "0x0", "0x80"])

    def test_bf16_sums_take_the_later_of_two_first(self):
        # 2^24 + 1 is 2^24 in float32, 2^24 + 2 is not rounded
        weights = precision.bf16_bits(f32([1, 1, 1, 1]).reshape(1, 4))
        self.assertEqual(precision.bf16_sums(weights, f32(2**24, 1, 1, 0))[0], 2**24)
        self.assertEqual(precision.bf16_sums(weights, f32(1, 1, 2**24, 0))[0], 2**24 + 2)
        self.assertEqual(precision.bf16_sums(weights[:, :3], f32(1, 2**24, 1))[0], 2**24)

    def test_bf16_of_little_is_zero(self):
        weights = precision.bf16_bits(f32([2.0**100, 2.0**100]).reshape(1, 2))
        self.assertEqual(precision.bf16_sums(weights, f32(2.0**-56, 0))[0], 2.0**44)
        self.assertEqual(precision.bf16_sums(weights, f32(2.0**-57, 2.0**-56 * 0.999))[0], 2.0**44)
        self.assertEqual(precision.bf16_sums(weights, f32(2.0**-57, 2.0**-56 * 0.99))[0], 0)

    def test_int8_rows(self):
        q, scale, zero = precision.int8_row(f32(-1, 0, 0.5, 1.55))
        self.assertEqual((list(q), round(float(scale), 9), zero), ([0, 100, 150, 255], 0.01, 100))
        q, scale, zero = precision.int8_row(f32(0, 510, 2, 3, 5))
        self.assertEqual((list(q), scale, zero), ([0, 255, 1, 2, 2], 2, 0))
        self.assertEqual([list(precision.int8_row(f32(*x))[0]) for x in ((0, 0), (2.0**-101, 0))], [[0, 0], [0, 0]])

    def test_int8_weights(self):
        weights, scales = precision.rounded_to_int8(f32(-254, 1, 3, 100, 0, 0, 0, 0).reshape(2, 4))
        self.assertEqual((weights.tolist(), list(scales)), ([[-127, 0, 2, 50], [0, 0, 0, 0]], [2, 0]))

    def test_layer(self):
        tensors = {"p.0.weight": np.array([[1, -2], [127, 0]], "i1"), "p.0.weight_scale": f32(0.5, 2), "p.0.bias": f32(10, 0.25),
                   "p.0.norm.running_mean": f32(10, 0), "p.0.norm.running_var": f32(4, 1)}
        m = model(tensors=tensors, precision="int8")
        y = m.mlp_layer("p", {"hidden_units": [2], "activation": "linear", "normalization": {
            "type": "batch_norm", "epsilon": 0, "scale": False, "center": False}}, 0, np.array([255, 51], "f8"))
        self.assertEqual(list(y), [(153 * 0.5 + 10 - 10) / 2, 127 * 255 * 2 + 0.25])

    def test_folded(self):
        def names(kind, units, inputs, *tables):
            return "".join(sorted(precision.folded(kind, tables, units, inputs)))

        def sparse(name, rows, numbers=24, context=False):
            return name, "sparse", rows, numbers, context

        self.assertEqual(names("bf16", [1], 8, sparse("a", 2, 23), sparse("b", 2, 24), ("c", "sequence", 2, 24, False)), "b")
        self.assertEqual(names("int8", [1], 8, sparse("a", 2, 31), sparse("b", 2, 32)), "b")
        # 2^18 numbers are 1024 * (232 + 24); each layer's units are rounded up
        for units, folded in (([1024], "a"), ([1000, 9], "a"), ([1000, 17], "")):
            self.assertEqual(names("bf16", units, 8, sparse("a", 232)), folded)
        self.assertEqual(names("bf16", [1024], 8, sparse("a", 233)), "")
        # as many as weights and tables have
        self.assertEqual(names("bf16", [1024], 300, sparse("a", 233)), "a")
        self.assertEqual(names("bf16", [1024], 8, sparse("a", 233), ("c", "sequence", 10000, 32, False)), "a")
        # fewer rows first, those of the context last, then as declared; what is too large is passed over
        self.assertEqual(names("bf16", [1024], 8, sparse("a", 110), sparse("b", 100)), "b")
        self.assertEqual(names("bf16", [1024], 8, sparse("a", 110), sparse("b", 100, context=True)), "a")
        self.assertEqual(names("bf16", [1024], 8, sparse("a", 105), sparse("b", 105)), "a")
        self.assertEqual(names("bf16", [1024], 8, sparse("a", 100), sparse("b", 110), sparse("c", 50, context=True)), "ac")
        # 2^22 numbers, 2^30 products at most
        self.assertEqual(names("bf16", [4096], 1024, sparse("a", 1000)), "a")
        self.assertEqual(names("bf16", [4096], 1024, sparse("a", 1001)), "")
        self.assertEqual(names("bf16", [1024], 4096, sparse("a", 512, 2048), sparse("b", 513)), "a")
        self.assertEqual(names("bf16", [1024], 4096, sparse("a", 512, 2049), sparse("b", 513)), "b")

    def test_layer_that_reads_x(self):
        features = [{"name": n, "kind": "dense"} for n in "abc"]
        tower = {"hidden_units": [1], "activation": "linear", "bias": False, "logit_bias": False}
        tensors = {"task.y.tower.0.weight": np.array([[1, 1, 1]], "i1"), "task.y.tower.0.weight_scale": f32(1),
                   "task.y.tower.logit.weight": f32([1]).reshape(1, 1)}

        def score(**contract):
            m = model({"type": "single_task", "tower": tower}, tensors, features, precision="int8", **contract)
            return m.scores({"a": 255, "b": 0.375, "c": 51})[0]

        # beside 255, 0.375 is rounded to 0; beside 51 to two steps of 0.2
        self.assertEqual(score(), 306)
        self.assertEqual(score(context=["a", "c", "b"]), 306)
        for context in (["a"], ["b", "c"]):
            self.assertAlmostEqual(score(context=context), 255 + 51 + 0.4, places=4)
        # b alone is exact
        for context in (["b"], ["a", "c"]):
            self.assertEqual(score(context=context), 306.375)

    def test_folded_embedding(self):
        # beside 255, 0.25 is rounded to 0
        features = [{"name": "s", "kind": "sparse", "lookup": {"type": "index"}}, {"name": "x", "kind": "dense"}]
        tower = {"hidden_units": [1], "activation": "linear", "bias": False, "logit_bias": False}
        for numbers, expected in ((32, 255 + 8), (31, 255)):
            tensors = {"embedding.s.weight": precision.bf16_bits(f32(*[0.25] * numbers).reshape(1, numbers)),
                       "task.y.tower.0.weight": np.full((1, numbers + 1), 2, "i1"), "task.y.tower.0.weight_scale": f32(0.5),
                       "task.y.tower.logit.weight": f32([1]).reshape(1, 1)}
            m = model({"type": "single_task", "tower": tower}, tensors, features, precision="int8")
            self.assertEqual(list(m.scores({"s": 0, "x": 255})), [expected])
            self.assertEqual(m.readers, {"task.y.tower.0": 1})

    def test_near_ties(self):
        self.assertFalse(precision.bf16_near_tie(np.array([1, 1 + 2**-7, 1 + 2**-8 + 1e-5])))
        self.assertTrue(precision.bf16_near_tie(np.array([1, 1 + 2**-8 + 1e-8])))
        self.assertFalse(precision.int8_near_tie(np.array([0, 255, 3.4])))
        self.assertTrue(precision.int8_near_tie(np.array([0, 255, 3.50001])))


class LayerTest(unittest.TestCase):
    def run_layer(self, y, activation="linear", normalization=None, **tensors):
        """A layer whose weight is the identity: normalization and activation of `y`."""
        n = len(y)
        tensors = {"p." + k.replace("__", "."): np.array(v, "f4") for k, v in tensors.items()}
        tensors["p.weight"] = np.eye(n, dtype="f4")
        return model(tensors=tensors).layer("p", n, np.array(y, "f8"), False, normalization, activation)

    def check(self, expected, *args, **kwargs):
        np.testing.assert_allclose(self.run_layer(*args, **kwargs), expected, rtol=1e-7, atol=1e-12)

    def test_elementwise_activations(self):
        y = [-2, 0, 3]
        self.check(y, y, "linear")
        self.check([0, 0, 3], y, "relu")
        self.check([-0.02, 0, 3], y, "leaky_relu")
        self.check([-0.5, 0, 3], y, {"type": "leaky_relu", "negative_slope": 0.25})
        self.check([-0.5, 0, 3], y, "prelu", activation__alpha=[0.25])
        self.check([-0.5, 0, 3], y, {"type": "prelu"}, activation__alpha=[0.25, 5, 6])
        self.check([0.25, 0.5, 0.75], [-math.log(3), 0, math.log(3)], "sigmoid")
        self.check([-0.6, 0, 0.6], [-LOG2, 0, LOG2], "tanh")
        self.check([-0.25 * math.log(3), 0, 0.75 * math.log(3)], [-math.log(3), 0, math.log(3)], "silu")
        # The normal distribution function at -1, 0, 2.
        self.check([-0.15865525393145707, 0, 2 * 0.9772498680518208], [-1, 0, 2], "gelu")
        t = math.tanh(math.sqrt(2 / math.pi) * 1.044715)
        self.check([-(1 - t) / 2, 0, (1 + t) / 2], [-1, 0, 1], "gelu_tanh")

    def test_large_values_do_not_overflow(self):
        self.check([0, 1], [-1000, 1000], "sigmoid")
        self.check([0, 1000], [-1000, 1000], "silu")

    def test_dice(self):
        # (y - 1) / 2 = (-ln 3, ln 3): p = (1/4, 3/4)
        y = [1 - 2 * math.log(3), 1 + 2 * math.log(3)]
        statistics = {"activation__running_mean": [1, 1], "activation__running_var": [4, 4]}
        self.check([y[0] * (0.25 + 0.5 * 0.75), y[1] * (0.75 + 0.5 * 0.25)], y, "dice", activation__alpha=[0.5], **statistics)
        self.check([y[0] * (0.25 + 2 * 0.75), y[1] * (0.75 - 0.25)], y, "dice", activation__alpha=[2, -1], **statistics)
        self.check([y[0] * (0.25 + 0.5 * 0.75), y[1] * (0.75 + 0.5 * 0.25)], y, {"type": "dice", "epsilon": 3},
                   activation__alpha=[0.5], activation__running_mean=[1, 1], activation__running_var=[1, 1])

    def test_dice_of_a_row(self):
        # The mean is 1, the squares are 4 each; with epsilon 0 and the mean of squares (y - m) / sqrt(s) is -1 and 1.
        p = 1 / (1 + math.exp(-1))
        self.check([-(1 - p), 3 * p], [-1, 3], {"type": "dice", "statistics": "row_mean", "epsilon": 0}, activation__alpha=[0])
        p = 1 / (1 + math.exp(-2 / math.sqrt(8 + 2 * 0.5)))
        self.check([-(1 - p), 3 * p], [-1, 3], {"type": "dice", "statistics": "row_sum", "epsilon": 0.5}, activation__alpha=[0])
        p = 1 / (1 + math.exp(-2 / math.sqrt(4 + 1e-3)))
        self.check([-(1 - p), 3 * p], [-1, 3], {"type": "dice", "statistics": "row_mean"}, activation__alpha=[0])

    def test_batch_norm(self):
        tensors = {"norm__running_mean": [1, 2], "norm__running_var": [3, 8], "norm__weight": [10, 20], "norm__bias": [5, -5]}
        norm = {"type": "batch_norm", "epsilon": 1}
        self.check([10 * 1 + 5, 20 * -1 - 5], [3, -1], normalization=norm, **tensors)
        self.check([1, -1], [3, -1], normalization=dict(norm, scale=False, center=False), **tensors)
        self.check([10, -20], [3, -1], normalization=dict(norm, center=False), **tensors)
        self.check([6, -6], [3, -1], normalization=dict(norm, scale=False), **tensors)
        self.check([15, 0], [3, -1], "relu", norm, **tensors)
        # after relu the numbers are 3 and 0
        self.check([15, 20 * (-2 / 3) - 5], [3, -1], "relu", dict(norm, position="after_activation"), **tensors)
        default = {"type": "batch_norm", "scale": False, "center": False}
        self.check([1 / math.sqrt(1e-5)], [1], normalization=default, norm__running_mean=[0], norm__running_var=[0])

    def test_layer_norm(self):
        # mean 3, variance (4 + 0 + 4) / 3
        norm = {"type": "layer_norm", "epsilon": 4 / 3}
        self.check([-1, 0, 1], [1, 3, 5], normalization=dict(norm, scale=False, center=False))
        self.check([-1, 7, 2], [1, 3, 5], normalization=norm, norm__weight=[2, 2, 2], norm__bias=[1, 7, 0])
        default = {"type": "layer_norm", "scale": False, "center": False}
        self.check([-1 / math.sqrt(1 + 1e-5), 1 / math.sqrt(1 + 1e-5)], [1, 3], normalization=default)

    def test_mlp(self):
        tensors = {"m.0.weight": np.array([[1, -1], [2, 0]], "f4"), "m.0.bias": f32(1, -10),
                   "m.1.weight": f32([3, 5]), "m.1.bias": f32(0.5)}
        m = model(tensors=tensors)
        x = np.array([4.0, 2.0])
        self.assertEqual(list(m.mlp("m", {"hidden_units": [2, 1]}, x)), [9.5])
        self.assertEqual(list(m.mlp("m", {"hidden_units": [2, 1], "activation": ["linear", "relu"]}, x)), [0 + max(9 - 10 + 0.5, 0)])
        self.assertEqual(list(m.mlp("m", {"hidden_units": [2, 1], "bias": False, "activation": "linear"}, x)), [46])
        self.assertEqual(list(m.mlp("m", {}, x)), [4, 2])

    def test_gate(self):
        tensors = {"g.logit.weight": np.array([[1, 0], [0, 1]], "f4"), "g.logit.bias": f32(math.log(9), 0),
                   "g.0.weight": f32([0, 0], [0, 0])}
        m = model(tensors=tensors)
        experts = [np.array([4.0]), np.array([8.0])]
        x = np.array([math.log(3), 0.0])

        def mix(**spec):
            return m.mixed("g", spec, x, experts)[0]

        self.assertAlmostEqual(mix(), (3 * 4 + 8) / 4, 12)
        self.assertAlmostEqual(mix(temperature=0.5), (9 * 4 + 8) / 10, 12)
        self.assertAlmostEqual(mix(logit_bias=True), (27 * 4 + 8) / 28, 6)
        self.assertAlmostEqual(mix(hidden_units=[2], bias=False), 6, 12)
        t = math.exp(math.tanh(math.log(3)))
        self.assertAlmostEqual(mix(logit_activation="tanh"), (t * 4 + 8) / (t + 1), 12)
        # Of two numbers layer norm makes -1 and 1.
        e = math.exp(2 / math.sqrt(1 + 4e-5 / math.log(3) ** 2))
        norm = {"type": "layer_norm", "scale": False, "center": False}
        self.assertAlmostEqual(mix(logit_normalization=norm), (e * 4 + 8) / (e + 1), 12)


def dense_layer(prefix, weight, bias=None):
    weight = np.atleast_2d(np.array(weight, "f4"))
    return {prefix + ".weight": weight, prefix + ".bias": np.zeros(len(weight), "f4") if bias is None else f32(*bias)}


LINEAR1 = {"hidden_units": [1], "activation": "linear"}


class ArchitectureTest(unittest.TestCase):
    """Linear layers of few units: every score is a small sum of products. `x` is (1, 2)."""

    ROW = {"x": [1, 2]}

    def scores(self, architecture, tensors, tasks="ab", n=1):
        """Scores of regressions whose towers add up n inputs, with the tensors used and no other."""
        tensors = dict(sums(*tasks, n=n), **tensors)
        m = model(architecture, tensors, tasks=[{"name": t, "type": "regression"} for t in tasks])
        scores = list(m.scores(self.ROW))
        self.assertEqual(m.used, set(tensors))
        return scores

    def test_single_task(self):
        self.assertEqual(self.scores({"type": "single_task"}, dense_layer("task.b.tower.logit", [2, 5], [1]), n=2), [3, 13])

    def test_shared_bottom(self):
        a = {"type": "shared_bottom", "bottom": LINEAR1, "tower": {"logit_bias": False}}
        m = model(a, {"shared.bottom.0.weight": f32([3, 4]), "shared.bottom.0.bias": f32(-1),
                      "task.y.tower.logit.weight": f32([2])})
        self.assertEqual(list(m.scores(self.ROW)), [20])

    def test_customized_sharing(self):
        a = {"type": "customized_sharing", "bottom": LINEAR1}
        tensors = dict(dense_layer("task.a.bottom.0", [1, 0]), **dense_layer("task.b.bottom.0", [0, 1]),
                       **dense_layer("shared.bottom.0", [2, 2]), **dense_layer("task.a.tower.logit", [10, 1]),
                       **dense_layer("task.b.tower.logit", [10, 1]))
        self.assertEqual(self.scores(a, tensors), [10 + 6, 20 + 6])
        self.assertEqual(self.scores(dict(a, order="shared_first"), tensors), [60 + 1, 60 + 2])
        tensors.update(dense_layer("shared.bottom.0", [[2, 2], [3, 3]]))
        tensors.update(dense_layer("task.a.tower.logit", [100, 10, 1]))
        tensors.update(dense_layer("task.b.tower.logit", [100, 10, 1]))
        a["shared_bottom"] = {"hidden_units": [2], "activation": "linear"}
        self.assertEqual(self.scores(a, tensors), [100 + 60 + 9, 200 + 60 + 9])

    def test_asymmetric_sharing(self):
        a = {"type": "asymmetric_sharing", "bottom": LINEAR1, "reads": {"c": ["b", "a"]}}
        bottoms = {}
        for t, w in zip("abc", ([1, 0], [0, 1], [4, 0])):
            bottoms.update(dense_layer("task.%s.bottom.0" % t, w))
        concat = dict(bottoms, **dense_layer("task.c.tower.logit", [100, 10, 1]))
        self.assertEqual(self.scores(a, concat, "abc"), [1, 2, 400 + 20 + 1])
        self.assertEqual(self.scores(dict(a, fusion="sum"), bottoms, "abc"), [1, 2, 7])
        self.assertEqual(self.scores(dict(a, fusion="average"), dict(bottoms, **dense_layer("task.c.tower.logit", [3])), "abc"),
                         [1, 2, 7])

    def test_cross_stitch(self):
        a = {"type": "cross_stitch", "column": {"hidden_units": [1, 1], "activation": "linear"}}
        tensors = dict(dense_layer("task.a.column.0", [1, 0]), **dense_layer("task.b.column.0", [0, 1]),
                       **dense_layer("task.a.column.1", [10]), **dense_layer("task.b.column.1", [100]))
        first, second = f32([1, 2], [3, 4]), f32([0, 1], [5, 6])
        # 1, 2 -> 5, 11 -> 50, 1100 -> 1100, 6850
        both = dict(tensors, **{"stitch.0.weight": first, "stitch.1.weight": second})
        self.assertEqual(self.scores(a, both), [1100, 6850])
        # 1, 2 -> 10, 200 -> 200, 1250
        self.assertEqual(self.scores(dict(a, stitch_after=[1]), dict(tensors, **{"stitch.1.weight": second})), [200, 1250])
        self.assertEqual(self.scores(dict(a, stitch_after=[]), tensors), [10, 200])

    def test_cross_stitch_per_unit(self):
        a = {"type": "cross_stitch", "column": {"hidden_units": [2], "activation": "linear"}, "stitch": "per_unit"}
        tensors = dict(dense_layer("task.a.column.0", [[1, 0], [0, 1]]), **dense_layer("task.b.column.0", [[3, 0], [0, 3]]))
        tensors["stitch.0.weight"] = f32([[1, 10], [2, 20]], [[3, 30], [4, 40]])
        # outputs (1, 2) and (3, 6); a: 1*1 + 2*3, 10*2 + 20*6; b: 3*1 + 4*3, 30*2 + 40*6
        self.assertEqual(self.scores(a, tensors, n=2), [7 + 140, 15 + 300])

    def test_sluice(self):
        a = {"type": "sluice", "column": {"hidden_units": [2, 2], "activation": "linear"}}
        tensors = dict(dense_layer("task.a.column.0", [[1, 0], [0, 1]]), **dense_layer("task.b.column.0", [[3, 0], [0, 3]]),
                       **dense_layer("task.a.column.1", [[1, 0], [0, 1]]), **dense_layer("task.b.column.1", [[1, 0], [0, 1]]),
                       **dense_layer("task.a.tower.logit", [100, 1]), **dense_layer("task.b.tower.logit", [100, 1]))
        # slices a0 a1 b0 b1 = 1 2 3 6
        stitch = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0], [0, 2, 0, 1]], "f4")
        tensors["stitch.0.weight"] = stitch                         # 3 9 | 1 10
        tensors["stitch.1.weight"] = np.eye(4, dtype="f4") * 2      # 6 18 | 2 20
        self.assertEqual(self.scores(dict(a, skip=False), tensors), [618, 220])
        tensors["skip.weight"] = f32([1, 10], [5, 0])
        # a: 3 + 60, 9 + 180; b: 5, 50
        self.assertEqual(self.scores(a, tensors), [6300 + 189, 550])

    def mixing(self, prefix, weights, inputs=2):
        """A gate with the same weights whatever it reads: its logits are biases."""
        return {prefix + ".logit.weight": np.zeros((len(weights), inputs), "f4"),
                prefix + ".logit.bias": np.log(np.array(weights, "f8")).astype("f4")}

    GATE = {"logit_bias": True}

    def test_omoe(self):
        a = {"type": "omoe", "num_experts": 2, "expert": LINEAR1, "gate": self.GATE}
        tensors = dict(dense_layer("level.0.expert.0.0", [1, 0]), **dense_layer("level.0.expert.1.0", [0, 4]),
                       **self.mixing("level.0.shared.gate", [1, 3]))
        np.testing.assert_allclose(self.scores(a, tensors), [0.25 + 6] * 2, rtol=1e-7)

    def mmoe_tensors(self):
        return dict(dense_layer("level.0.expert.0.0", [1, 0]), **dense_layer("level.0.expert.1.0", [0, 4]))

    def test_mmoe(self):
        a = {"type": "mmoe", "num_experts": 2, "expert": LINEAR1, "gate": self.GATE}
        tensors = dict(self.mmoe_tensors(), **self.mixing("level.0.task.a.gate", [1, 3]), **self.mixing("level.0.task.b.gate", [1, 1]))
        np.testing.assert_allclose(self.scores(a, tensors), [0.25 + 6, 4.5], rtol=1e-7)

    def test_mmoe_stacked(self):
        tensors = dict(self.mmoe_tensors(), **dense_layer("level.1.expert.0.0", [10]), **dense_layer("level.1.expert.1.0", [100]),
                       **self.mixing("level.1.task.a.gate", [1, 0.25], 1), **self.mixing("level.1.task.b.gate", [1, 4], 1))
        a = {"type": "mmoe", "num_levels": 2, "num_experts": 2, "expert": LINEAR1, "gate": self.GATE}
        # the shared mix is 4.5; a: (0.8 * 10 + 0.2 * 100) * 4.5, b: (0.2 * 10 + 0.8 * 100) * 4.5
        shared = dict(tensors, **self.mixing("level.0.shared.gate", [1, 1]))
        np.testing.assert_allclose(self.scores(a, shared), [28 * 4.5, 82 * 4.5], rtol=1e-7)
        # mixes of their own: 6.25 and 4.5
        own = dict(tensors, **self.mixing("level.0.task.a.gate", [1, 3]), **self.mixing("level.0.task.b.gate", [1, 1]))
        np.testing.assert_allclose(self.scores(dict(a, mix="task"), own), [28 * 6.25, 82 * 4.5], rtol=1e-7)

    def test_gate_input(self):
        level = {"num_experts": 2, "expert": LINEAR1}
        tensors = dict(self.mmoe_tensors(), **self.mixing("level.0.shared.gate", [1, 1]), **dense_layer("level.1.expert.0.0", [0]),
                       **dense_layer("level.1.expert.1.0", [1]))
        del tensors["level.0.shared.gate.logit.bias"]
        a = {"type": "omoe", "levels": [level, level]}
        # The shared mix is 4.5; the second gate reads it, or x = (1, 2).
        tensors["level.1.shared.gate.logit.weight"] = f32([0], [0.1])
        g = 1 / (1 + math.exp(-float(np.float32(0.1)) * 4.5))
        np.testing.assert_allclose(self.scores(a, tensors, "a"), [g * 4.5], rtol=1e-12)
        tensors["level.1.shared.gate.logit.weight"] = f32([0, 0], [0, 0.1])
        a["levels"][1] = dict(level, gate_input="raw")
        g = 1 / (1 + math.exp(-float(np.float32(0.1)) * 2))
        np.testing.assert_allclose(self.scores(a, tensors, "a"), [g * 4.5], rtol=1e-12)

    def cgc_tensors(self):
        # a has experts 1 and 2, b none, shared are 8 and 16 (from x = (1, 2))
        return dict(dense_layer("level.0.task.a.expert.0.0", [1, 0]), **dense_layer("level.0.task.a.expert.1.0", [0, 1]),
                    **dense_layer("level.0.shared.expert.0.0", [8, 0]), **dense_layer("level.0.shared.expert.1.0", [0, 8]),
                    **self.mixing("level.0.task.a.gate", [1, 2, 3, 4]), **self.mixing("level.0.task.b.gate", [1, 3]))

    CGC = {"type": "cgc", "specific_expert_num": [2, 0], "shared_expert_num": 2, "expert": LINEAR1, "gate": {"logit_bias": True}}

    def test_cgc(self):
        np.testing.assert_allclose(self.scores(self.CGC, self.cgc_tensors()), [(1 + 4 + 24 + 64) / 10, 14], rtol=1e-7)
        np.testing.assert_allclose(self.scores(dict(self.CGC, expert_order="shared_first"), self.cgc_tensors()),
                                   [(8 + 32 + 3 + 8) / 10, 14], rtol=1e-7)

    def test_ple(self):
        a = dict(self.CGC, type="ple", num_levels=2)
        a.update(specific_expert_num=[1, 1], shared_expert_num=1)
        tensors = {}
        for name, w in (("task.a.expert.0", [1, 0]), ("task.b.expert.0", [0, 2]), ("shared.expert.0", [16, 0])):
            tensors.update(dense_layer("level.0.%s.0" % name, w))      # 1, 4, 16
        for name, w in (("task.a.expert.0", [1]), ("task.b.expert.0", [10]), ("shared.expert.0", [100])):
            tensors.update(dense_layer("level.1.%s.0" % name, w))
        for j in (0, 1):
            tensors.update(self.mixing("level.%d.task.a.gate" % j, [1, 1], 2 - j))
            tensors.update(self.mixing("level.%d.task.b.gate" % j, [1, 3], 2 - j))
        tensors.update(self.mixing("level.0.shared.gate", [1, 3, 4]))
        # level 0: a 8.5, b 1 + 12 = 13, shared (1 + 12 + 64) / 8 = 9.625
        np.testing.assert_allclose(self.scores(a, tensors), [(8.5 + 962.5) / 2, (130 + 3 * 962.5) / 4], rtol=1e-7)
        # shared first: a 8.5, b (16 + 3 * 4) / 4 = 7, shared (16 + 3 + 16) / 8 = 4.375
        np.testing.assert_allclose(self.scores(dict(a, expert_order="shared_first"), tensors),
                                   [(8.5 + 437.5) / 2, (437.5 + 3 * 70) / 4], rtol=1e-7)
        # the shared expert alone: shared 16
        tensors.update(self.mixing("level.0.shared.gate", [1]))
        np.testing.assert_allclose(self.scores(dict(a, shared_gate="shared"), tensors),
                                   [(8.5 + 1600) / 2, (130 + 3 * 1600) / 4], rtol=1e-7)

    def test_stem(self):
        features = [{"name": n, "kind": "dense", "width": 3} for n in "uv"]
        tasks = [{"name": t, "type": "regression"} for t in "ab"]
        a = {"type": "stem", "num_levels": 2, "specific_expert_num": [1, 0], "shared_expert_num": 1, "expert": LINEAR1, "gate": self.GATE}
        # slices: a (1, 10), b (2, 20), shared (3, 30)
        row = {"u": [1, 2, 3], "v": [10, 20, 30]}
        tensors = dict(dense_layer("level.0.task.a.expert.0.0", [1, 1]), **dense_layer("level.0.shared.expert.0.0", [1, 0]),
                       **dense_layer("level.1.task.a.expert.0.0", [2]), **dense_layer("level.1.shared.expert.0.0", [4]),
                       **self.mixing("level.0.task.a.gate", [1, 1]), **self.mixing("level.0.task.b.gate", [1, 3]),
                       **self.mixing("level.0.shared.gate", [3, 1]), **self.mixing("level.1.task.a.gate", [1, 0.25], 1),
                       **self.mixing("level.1.task.b.gate", [1, 0], 1), **sums("a", "b", n=1))
        tensors["level.1.task.b.gate.logit.bias"] = f32(0, 0)
        # the gate of b on level 1 reads b's and the shared mix, 5 + 9
        tensors["level.1.task.b.gate.logit.weight"] = f32([0], [LOG2 / 14])
        # level 0: experts 11 and 3; a 7, b 5, shared 9; level 1: experts 14 and 36
        expected = [0.8 * 14 + 0.2 * 36, (14 + 2 * 36) / 3]
        m = model(a, tensors, features, tasks)
        np.testing.assert_allclose(m.scores(row), expected, rtol=1e-6)
        self.assertEqual(m.used, set(tensors))
        # x in another order: the slices' numbers change their places
        tensors["level.0.task.a.expert.0.0.weight"] = f32([1, 0])
        self.assertAlmostEqual(model(dict(a, num_levels=1), tensors, features, tasks).scores(row)[0], (1 + 3) / 2, 6)
        self.assertAlmostEqual(model(dict(a, num_levels=1), tensors, features, tasks, input=["v", "u"]).scores(row)[0], (10 + 30) / 2, 6)

    def test_aitm(self):
        a = {"type": "aitm", "bottom": LINEAR1, "info": LINEAR1}
        tensors = dict(dense_layer("task.a.bottom.0", [1, 0]), **dense_layer("task.b.bottom.0", [0, 1]),
                       **dense_layer("task.b.info.0", [3]), **dense_layer("task.b.attention.query", [LOG2]),
                       **dense_layer("task.b.attention.key", [1]), **dense_layer("task.b.attention.value", [10]))
        for part in ("query", "key", "value"):
            del tensors["task.b.attention.%s.bias" % part]
        # b is 2 and p is 3: their scores are 4 and 9 times the logarithm of 2
        np.testing.assert_allclose(self.scores(a, tensors), [1, (20 + 32 * 30) / 33], rtol=1e-6)
        # with biases: queries log 2 * (3, 4), keys (5, 6), values (19, 29), the difference of the scores is log 2 * 9
        bias = dict(tensors, **{"task.b.attention.%s.bias" % n: f32(v) for n, v in (("query", LOG2), ("key", 3), ("value", -1))})
        np.testing.assert_allclose(self.scores(dict(a, attention={"bias": True}), bias), [1, (19 + 2 ** 9 * 29) / (1 + 2 ** 9)], rtol=1e-6)

    def test_aitm_chain(self):
        a = {"type": "aitm", "bottom": {"hidden_units": [4], "activation": "linear"}, "info": {}, "attention": {"shared": True}}
        ones = np.ones((4, 2), "f4")
        tensors = {k: v for t in "abc" for k, v in dense_layer("task.%s.bottom.0" % t, ones * [0, "abc".index(t) * LOG2 / 2]).items()}
        tensors.update({"shared.attention.%s.weight" % n: np.eye(4, dtype="f4") * w for n, w in (("query", 1 / LOG2), ("key", 1), ("value", 1))})
        # Four numbers 0, log 2 and 2 log 2; the score of v log 2 four times is 4 v * v log 2 / sqrt(4).
        def mix(b, p):
            return (b * 4 ** (b * b) + p * 4 ** (p * p)) / (4 ** (b * b) + 4 ** (p * p))
        b = mix(1, 0)
        np.testing.assert_allclose(self.scores(a, tensors, "abc", n=4), [0, 4 * LOG2 * b, 4 * LOG2 * mix(2, b)], rtol=1e-6)

    def test_dbmtl(self):
        a = {"type": "dbmtl", "mlps": {"b": LINEAR1, "c": LINEAR1},
             "relations": {"b": dict(LINEAR1, reads=["a"]), "c": dict(LINEAR1, reads=["b", "a"])}}
        # b's MLP makes 10 * 1 + 2, c's 3 * 2; the relations (12, 1, 2) -> 12 + 100 + 2000, (6, 2112, 1, 2) -> 6 + 2112 / 2 + 10 - 200
        tensors = dict(dense_layer("task.b.mlp.0", [10, 1]), **dense_layer("task.c.mlp.0", [0, 3]),
                       **dense_layer("task.b.relation.0", [1, 100, 1000]), **dense_layer("task.c.relation.0", [1, 0.5, 10, -100]),
                       **dense_layer("task.a.tower.logit", [1, 1]))
        self.assertEqual(self.scores(a, tensors, "abc"), [3, 2112, 6 + 1056 + 10 - 200])

    def test_dbmtl_mixture(self):
        a = {"type": "dbmtl", "bottom": LINEAR1, "num_experts": 2, "expert": LINEAR1, "gate": self.GATE,
             "relations": {"a": LINEAR1}}
        tensors = dict(dense_layer("shared.bottom.0", [1, 2]), **dense_layer("level.0.expert.0.0", [1]),
                       **dense_layer("level.0.expert.1.0", [10]), **self.mixing("level.0.task.a.gate", [1, 1], 1),
                       **self.mixing("level.0.task.b.gate", [3, 1], 1), **dense_layer("task.a.relation.0", [2]))
        # the bottom makes 5: experts 5 and 50
        np.testing.assert_allclose(self.scores(a, tensors), [55, (15 + 50) / 4], rtol=1e-6)
        # the gate of b on x = (1, 2)
        tensors.update(self.mixing("level.0.task.a.gate", [1, 1]))
        tensors.update({"level.0.task.b.gate.logit.weight": f32([0, 0], [0, LOG2]), "level.0.task.b.gate.logit.bias": f32(0, 0)})
        np.testing.assert_allclose(self.scores(dict(a, gate_input="raw"), tensors), [55, (5 + 4 * 50) / 5], rtol=1e-6)


class TaskTest(unittest.TestCase):
    TASKS = [{"name": "view", "type": "binary"},
             {"name": "click", "type": "binary", "head": "softmax", "hidden": True},
             {"name": "both", "type": "product", "of": ["view", "click"]},
             {"name": "spend", "type": "regression", "tower": {"hidden_units": [1]}},
             {"name": "value", "type": "product", "of": ["both", "spend"]},
             {"name": "level", "type": "multiclass", "num_classes": 3},
             {"name": "mood", "type": "multiclass", "classes": ["bad", "good"]}]

    def model(self, **contract):
        tensors = dict(dense_layer("task.view.tower.logit", [math.log(3), 0]),
                       **dense_layer("task.click.tower.logit", [[0, 0], [0, 0]], [0, math.log(4)]),
                       **dense_layer("task.spend.tower.0", [3, 4]), **dense_layer("task.spend.tower.logit", [-0.5]),
                       **dense_layer("task.level.tower.logit", [[0, 0]] * 3, np.log([1, 2, 5])),
                       **dense_layer("task.mood.tower.logit", [[0, 0], [0, 0]], np.log([1, 3])))
        return model(tensors=tensors, tasks=self.TASKS, **contract)

    def test_outputs(self):
        self.assertEqual(self.model().outputs, ["view", "both", "spend", "value", "level.0", "level.1", "level.2", "mood.bad", "mood.good"])

    def test_scores(self):
        # view 3/4, click 4/5, both 3/5, spend -(3 + 8) / 2, value -3.3
        expected = [0.75, 0.6, -5.5, -3.3, 1 / 8, 2 / 8, 5 / 8, 1 / 4, 3 / 4]
        np.testing.assert_allclose(self.model().scores({"x": [1, 2]}), expected, rtol=1e-6)

    def test_rank(self):
        row = {"x": [1, 2]}
        m = self.model(rank={"form": "sum", "weights": {"view": 2, "spend": -1, "mood.good": 4}})
        self.assertAlmostEqual(m.rank(row), 1.5 + 5.5 + 3, 5)
        m = self.model(rank={"form": "product", "weights": {"both": 2, "level.1": -0.5}})
        self.assertAlmostEqual(m.rank(row), 0.36 * 2, 6)
        with self.assertRaises(RowError):
            self.model(rank={"form": "product", "weights": {"spend": 1}}).rank(row)

    def test_input_order(self):
        features = [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense", "width": 2}]
        tensors = dense_layer("task.y.tower.logit", [100, 10, 1])
        row = {"b": [2, 3], "a": 1}
        self.assertEqual(list(model(features=features, tensors=tensors).scores(row)), [123])
        self.assertEqual(list(model(features=features, tensors=tensors, input=["b", "a"]).scores(row)), [231])


@unittest.skipIf(torch is None, "torch is not installed")
class TorchTest(unittest.TestCase):
    """Layers of a few sizes with random weights, in float64 on both sides."""

    def setUp(self):
        torch.manual_seed(1)
        self.random = np.random.default_rng(1)

    def rand(self, *shape):
        return self.random.normal(0, 1, shape).astype("f4")

    def check(self, activation, module, normalization=None, norm_module=None, norm_tensors=None, alpha=None):
        for units, inputs in ((1, 3), (7, 5), (16, 33)):
            weight, bias, x = self.rand(units, inputs), self.rand(units), self.rand(4, inputs)
            tensors = {"p.weight": weight, "p.bias": bias}
            norm = None
            if normalization is not None:
                if units == 1 and normalization["type"] == "layer_norm":
                    continue
                norm = norm_module(units).double().eval()
                state = {k: np.abs(self.rand(units)) + 0.1 for k in norm_tensors}
                norm.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=False)
                tensors.update({"p.norm." + k: v for k, v in state.items()})
            act = module
            if alpha is not None:
                tensors["p.activation.alpha"] = self.rand(alpha(units))
                act = torch.nn.PReLU(alpha(units)).double()
                act.load_state_dict({"weight": torch.tensor(tensors["p.activation.alpha"])})
            y = torch.tensor(x).double() @ torch.tensor(weight).double().T + torch.tensor(bias).double()
            if norm is None:
                expected = act(y)
            elif normalization.get("position") == "after_activation":
                expected = norm(act(y))
            else:
                expected = act(norm(y))
            m = model(tensors=tensors)
            for row, e in zip(x, expected.detach().numpy()):
                ours = m.layer("p", units, row.astype("f8"), True, normalization, activation)
                np.testing.assert_allclose(ours, e, rtol=1e-10, atol=1e-12)

    def test_activations(self):
        functional = torch.nn.functional
        for name, module in (("linear", lambda y: y), ("relu", torch.relu), ("sigmoid", torch.sigmoid), ("tanh", torch.tanh),
                             ("silu", functional.silu), ("gelu", functional.gelu),
                             ("gelu_tanh", lambda y: functional.gelu(y, approximate="tanh")),
                             ("leaky_relu", functional.leaky_relu)):
            with self.subTest(name):
                self.check(name, module)

    def test_prelu(self):
        self.check("prelu", None, alpha=lambda units: 1)
        self.check("prelu", None, alpha=lambda units: units)

    def test_batch_norm(self):
        names = ("weight", "bias", "running_mean", "running_var")
        for norm in ({"type": "batch_norm"}, {"type": "batch_norm", "position": "after_activation"}):
            self.check("tanh", torch.tanh, norm, torch.nn.BatchNorm1d, names)
        self.check("relu", torch.relu, {"type": "batch_norm", "epsilon": 0.01, "scale": False, "center": False},
                   lambda units: torch.nn.BatchNorm1d(units, eps=0.01, affine=False), names[2:])

    def test_layer_norm(self):
        for norm in ({"type": "layer_norm"}, {"type": "layer_norm", "position": "after_activation"}):
            self.check("tanh", torch.tanh, norm, torch.nn.LayerNorm, ("weight", "bias"))

    def test_mlp(self):
        net = torch.nn.Sequential(torch.nn.Linear(6, 9), torch.nn.BatchNorm1d(9), torch.nn.GELU(),
                                  torch.nn.Linear(9, 4), torch.nn.BatchNorm1d(4), torch.nn.SiLU()).double().eval()
        tensors = {}
        with torch.no_grad():
            for l, (linear, norm) in enumerate(((net[0], net[1]), (net[3], net[4]))):
                for prefix, module in (("m.%d" % l, linear), ("m.%d.norm" % l, norm)):
                    for name, value in module.state_dict().items():
                        if value.dim() > 0:
                            value.copy_(torch.tensor(self.rand(*value.shape)).abs())
                            tensors["%s.%s" % (prefix, name)] = value.numpy().astype("f4")
        x = self.rand(5, 6)
        expected = net(torch.tensor(x).double()).detach().numpy()
        spec = {"hidden_units": [9, 4], "activation": ["gelu", "silu"], "normalization": {"type": "batch_norm"}}
        for row, e in zip(x, expected):
            np.testing.assert_allclose(model(tensors=tensors).mlp("m", spec, row.astype("f8")), e, rtol=1e-10)


if __name__ == "__main__":
    unittest.main()
