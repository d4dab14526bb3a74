"""Hostile values, names and JSON texts."""

import copy
import json

# A string that starts with this stands for the JSON text after it, as it is: numbers that Python would not write so, or no JSON.
RAW = "RAW:"


def nested(depth, inner="0"):
    return RAW + "[" * depth + inner + "]" * depth


def nested_objects(depth):
    return RAW + '{"a":' * depth + "0" + "}" * depth


NUMBERS = [0, 1, -1, 2, 3, 7, 63, 64, 65, 255, 256, 1000, 1001, 1023, 1024, 1025, 65535, 65536, 65537, 99999, 100000, 100001,
           4194303, 4194304, 4194305, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63,
           2**64 - 1, 2**64, -2**31, -2**31 - 1, -2**53, -2**63, -2**63 - 1, 10**30, 0.5, -0.5, 1.5, 1e-9, 1e-45, 1e-46, 1e-300,
           3.4028234663852886e38, 3.5e38, -3.5e38, 1e300, -1e300]
NUMBERS += [RAW + text for text in
            ["1e308", "-1e308", "1.8e308", "1e309", "-1e309", "5e-324", "1e-325", "1e1000", "-1e1000", "1e131071", "1e131072",
             "1e-16383", "1e-16384", "1e99999999999", "-0", "-0.0", "0.0", "1.0", "2.000000", "1e0", "1E+2", "0e-16383",
             "9" * 400, "0." + "0" * 400 + "1", "1." + "9" * 400, "65536.0000001"]]

# No numbers, and no JSON either.
BROKEN = [RAW + text for text in
          ["NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1e", "--1", "nul", "TRUE", "'a'", "", ",", "}", "]", "{",
           "[", '"', '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\x41"', '"\\', '{"a"}', '{"a":}', "{a:1}", '{"a":1,}', "[1,]",
           "[,]", "/**/1", "1 2"]]

TEXTS = ["", " ", "0", "1", "-1", "1.5", "x", "a.b", ".", "..", "true", "false", "null", "NaN", "\x01", "\t", "\n", "\x7f", "\x85",
         "\u2028", "'", '"', "\\", "%s%n%d", "$1", "{}", "; --", "é", "点击", "😀", "e\u0301", "\u202e", "\ufeff", "\ufffd", "x" * 62,
         "x" * 63, "x" * 64, "é" * 31, "é" * 32, "😀" * 16, "y" * 300, "z" * 5000, "__metadata__", "mtl_rank", "F32", "F64", "I64",
         "U8", "BOOL", "f32", "../x", "-", "\ud800"]

# Words that mean something in a contract, in the right place or a wrong one.
WORDS = ["error", "zero", "oov", "empty", "skip", "dense", "sparse", "sequence", "binary", "regression", "multiclass", "product", "sum",
         "mean", "max", "average", "concat", "index", "vocabulary", "hash", "farmhash64", "integer", "float", "relu", "linear", "prelu",
         "dice", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh", "leaky_relu", "softmax", "none", "head", "tail", "batch_norm",
         "layer_norm", "before_activation", "after_activation", "batch", "row_mean", "row_sum", "raw", "level", "task", "shared", "all",
         "specific_first", "shared_first", "scalar", "per_unit", "standardize", "min_max", "log1p", "clip", "single_task",
         "shared_bottom", "cross_stitch", "sluice", "omoe", "mmoe", "asymmetric_sharing", "customized_sharing", "cgc", "ple", "stem", "aitm",
         "dbmtl", "double", "float32"]

KEYS = ["format", "architecture", "features", "input", "tasks", "rank", "examples", "provenance", "name", "kind", "type", "width",
        "columns", "transform", "embedding", "embedding_dim", "embedding_bias", "vocabulary_size", "lookup", "oov", "missing", "value",
        "offset", "vocabulary", "function", "num_buckets", "mask_zero", "number_format", "max_length", "truncate", "padding",
        "combiner", "epsilon", "empty_value", "weights", "column", "normalize", "mean", "std", "min", "max", "hidden_units",
        "activation", "normalization", "bias", "scale", "center", "position", "negative_slope", "statistics", "logit_bias",
        "logit_normalization", "logit_activation", "temperature", "tower", "bottom", "shared_bottom", "order", "stitch", "stitch_after",
        "subspaces", "skip", "reads", "fusion", "num_levels", "levels", "num_experts", "expert", "gate", "gate_input", "mix",
        "shared_expert_num", "specific_expert_num", "expert_order", "shared_gate", "head", "num_classes", "classes", "of", "hidden",
        "form", "count", "tolerance", "info", "attention", "mlps", "relations", "unused", "precision"]

STRUCTURES = [None, True, False, [], {}, [[]], [{}], [None], {"": {}}, [0], [1], [1, 1], [1, 2, 3], [1] * 70, ["x"], ["x", "x"], [True],
              {"type": "x"}, {"type": "relu"}, {"type": "dice", "statistics": "row_sum"}, {"type": "index"}, {"type": "hash"},
              {"type": "vocabulary"}, {"type": "clip"}, {"type": "log1p"}, [{"type": "log1p"}] * 65, {"value": 1}, {"value": None},
              {"value": "x"}, {"value": [1]}, {"hidden_units": [1]}, {"hidden_units": []}, {"hidden_units": [65536] * 64},
              {"type": "batch_norm"}, {"type": "layer_norm", "epsilon": 0}, {"num_experts": 1, "expert": {}}, nested(3), nested(60),
              nested_objects(60)]

DEEP = [nested(1000), nested(20000), nested_objects(1000), nested_objects(20000), nested(100000)]

# Factors that a switch may have and still be valid, at the ends of what is.
EXTREME_NUMBERS = [1e-320, 1e-300, 1e-46, 1e-45, 1e-38, 1e-20, 1e-7, 0.5, 1, 3, 1e7, 1e20, 1e38, 3.4e38, 1e39, 1e300, 1.7e308]


def repeat(values, times):
    """The list that many times; as it is when that would be large, so that repetitions of repetitions end. Each time it is a copy, or a
    later change of one would be one of all, and large after all."""
    if times * len(json.dumps(values)) >= 200000:
        return values
    return [value for _ in range(times) for value in copy.deepcopy(values)]


def value(d):
    """Any JSON value, the caller's own."""
    return copy.deepcopy(d.pick(d.pick([NUMBERS, NUMBERS, TEXTS, WORDS, STRUCTURES, STRUCTURES, BROKEN if d.chance(0.3) else NUMBERS,
                                        DEEP if d.chance(0.05) else STRUCTURES])))
