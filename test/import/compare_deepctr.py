#!/usr/bin/python3
"""Runs the models of DeepCTR's cases on Keras 3 itself, which says whether tf_stand_in does what Keras does.

usage: compare_deepctr.py FOLDER      a checkout of shenweichen/DeepCTR, 0.9.4

Needs Keras 3 with what its numpy backend needs (pip: keras, numpy, jax), h5py, and what make_deepctr.py needs. DeepCTR asks for
tf.keras 2, but its multi-task models are put together by Keras 3 too; TensorFlow's own operations are in numpy here.

For every model: the layers, their order, and the order of their weights are those of the case; with the case's weights, the
scores are the case's. Two models are saved by Keras 3, and become the cases deepctr_keras3_*.
"""

import contextlib
import os
import re
import sys
import tempfile

os.environ["KERAS_BACKEND"] = "numpy"

import keras
import numpy as np
from keras.src import backend

import cases
import make_deepctr
import tf_stand_in
from farmhash import fingerprint64
from mtl_rank import read_examples
from mtl_rank.checkpoints import read_checkpoint

TOLERANCE = 5e-7
SAVED = ("shared_bottom", "esmm")

# Keras's numpy backend has no texts: they go in as numbers from here on, which as_string() turns back.
FIRST_TEXT = 10**8
_texts = []


def encode(texts):
    new = set(texts.reshape(-1)) - set(_texts)
    _texts.extend(sorted(new))
    return np.array([FIRST_TEXT + _texts.index(text) for text in texts.reshape(-1)], "i4").reshape(texts.shape)


def as_string(x):
    decode = lambda v: _texts[v - FIRST_TEXT] if v >= FIRST_TEXT else str(v)
    return np.array([decode(v) for v in np.asarray(x).reshape(-1).tolist()], object).reshape(np.shape(x))


def to_hash_bucket(x, num_buckets, name=None):
    return np.array([fingerprint64(text.encode()) % num_buckets for text in x.reshape(-1)], "i8").reshape(x.shape)


class Table(tf_stand_in.ops.StaticHashTable):
    def lookup(self, x):
        return np.array([self.table.get(text, self.default) for text in x.reshape(-1)], "i8").reshape(x.shape)


def reducing(function):
    return lambda x, axis=None, keepdims=False, name=None: function(np.asarray(x), axis=axis, keepdims=keepdims)


def where(condition, x, y):
    """As TensorFlow has it, for a condition that lacks no dimension."""
    return np.where(np.broadcast_to(condition, np.shape(x)), x, y).astype("f4")


OPERATIONS = {
    "float32": np.float32, "int64": np.int64, "bool": np.bool_, "string": "string", "as_dtype": lambda dtype: dtype,
    "constant": lambda value, dtype: np.asarray(value, dtype), "zeros": np.zeros,
    "cast": lambda x, dtype: np.asarray(x).astype(dtype),
    "as_string": as_string, "string_to_hash_bucket_fast": to_hash_bucket, "not_equal": lambda x, y: np.asarray(x != y),
    "tile": np.tile, "expand_dims": np.expand_dims, "transpose": np.transpose, "reshape": np.reshape, "where": where,
    "concat": lambda xs, axis: np.concatenate([np.asarray(x) for x in xs], axis),
    "stack": lambda xs, axis: np.stack([np.asarray(x) for x in xs], axis),
    "sequence_mask": lambda lengths, most, dtype=bool: (np.arange(most) < np.asarray(lengths)[..., None]).astype(dtype),
    "ones_like": np.ones_like, "zeros_like": np.zeros_like, "multiply": lambda x, y: np.asarray(x) * np.asarray(y),
    "divide": lambda x, y, name=None: np.asarray(x) / np.asarray(y),
    "reduce_sum": reducing(np.sum), "reduce_max": reducing(np.max),
    "tensordot": lambda x, kernel, axes: np.asarray(x) @ np.asarray(kernel),
    "sigmoid": lambda x: backend.nn.sigmoid(backend.convert_to_tensor(x)),
}


def parts_on_keras():
    initializers = keras.initializers
    return {
        "tensorflow": OPERATIONS,
        "tensorflow.nn": {
            "bias_add": lambda x, bias, data_format=None: np.asarray(x) + np.asarray(bias),
            "softmax": lambda x, axis=-1, name=None: backend.nn.softmax(backend.convert_to_tensor(x), axis),
        },
        "tensorflow.python.ops.init_ops_v2": {
            "Zeros": initializers.Zeros, "Ones": initializers.Ones, "glorot_normal": initializers.GlorotNormal,
            "TruncatedNormal": initializers.TruncatedNormal, "Constant": initializers.Constant,
            "glorot_uniform": initializers.GlorotUniform,
        },
        "tensorflow.python.ops.lookup_ops": {
            "TextFileInitializer": tf_stand_in.ops.TextFileInitializer, "StaticHashTable": Table,
        },
        "tensorflow.keras.initializers": {"RandomNormal": initializers.RandomNormal, "Zeros": initializers.Zeros},
        "tensorflow.keras.regularizers": {"l2": keras.regularizers.L2},
        "tensorflow.keras.models": {"Model": keras.Model},
        "tensorflow.keras.layers": vars(keras.layers),
    }


NUMBERED = "concat|flatten|no_mask|hash|lambda|sequence_pooling_layer|weighted_sequence_layer|dense|dnn|prediction_layer"


def plain(name):
    """A layer's name without the number that Keras gives."""
    return re.sub(rf"^({NUMBERED})_\d+$", r"\1", name)


def leaf(path):
    return path.split(":")[0].rsplit("/", 1)[-1]


class Comparison(make_deepctr.Maker):
    """Gets the models that make_deepctr.py makes, and compares them with their cases."""

    def __init__(self, folder):
        self.failures = []
        super().__init__(folder, parts_on_keras())
        for name, column in self.data.columns.items():
            values = self.data.arrays[name]
            if values.dtype == object:
                self.data.arrays[name] = encode(values)
                sequence = hasattr(column, "sparsefeat")
                self.data.columns[name] = column._replace(sparsefeat=column.sparsefeat._replace(dtype="int32")) if sequence else (
                    column._replace(dtype="int32"))

    def make(self, name, network, names, tasks=None, labels=None, whole=False, bare=False, **config):
        tasks = list(tasks or make_deepctr.BINARY)
        with cases.unpacked(f"deepctr_{name}", "checkpoint.") as path:
            checkpoint = read_checkpoint(path)
        inputs = self.data.inputs(np.arange(make_deepctr.EXAMPLES))
        feed = {tensor.name: inputs[tensor.name] for tensor in network.inputs}
        network(feed)          # Keras 3 makes a layer's weights when it is first run

        layers = [layer.name for layer in network.layers]
        stored = checkpoint.attributes["layers"]
        self.check(name, "layers", list(map(plain, layers)), list(map(plain, stored)))
        self.copy_weights(name, network, checkpoint, stored)
        scores = np.stack([np.asarray(output).reshape(-1) for output in network(feed)])
        examples = read_examples(os.path.join(cases.folder(f"deepctr_{name}"), "examples.jsonl"))
        expected = np.array([[example["scores"][task] for example in examples] for task in tasks])
        difference = np.abs(scores - expected).max()
        self.check(name, "scores that agree", bool(difference <= TOLERANCE), True)
        print(f"{name}: {len(layers)} layers, {len(checkpoint)} weights, scores differ by {difference:.1e}")
        if name in SAVED:
            told = make_deepctr.TOLD_BY_SAVED_MODELS
            features = [{key: value for key, value in self.data.config[feature].items() if key not in told} for feature in names]
            cases.write_case(f"deepctr_keras3_{name}", network.save,
                             {"features": features, "tasks": [{"name": task, "type": "binary"} for task in tasks]},
                             self.data.rows(names), dict(zip(tasks, scores)), suffix="h5")

    def copy_weights(self, name, network, checkpoint, stored):
        """By order, as Keras does; names must agree but for numbers."""
        for saved, layer in zip(stored, network.layers):
            weights = layer.trainable_weights + layer.non_trainable_weights
            paths = [path for path in checkpoint if path.startswith(f"{saved}/")]
            self.check(name, f"weights of {saved}", [leaf(weight.path) for weight in weights], list(map(leaf, paths)))
            for weight, path in zip(weights, paths):
                weight.assign(checkpoint.tensors[path])

    def check(self, name, what, found, expected):
        if found != expected:
            self.failures.append(f"{name}: {what} are {found}, expected {expected}")


def prepare():
    """What differs between tf.keras 2 and Keras 3."""
    import tensorflow
    for name in ("TensorShape", "DType", "TypeSpec"):
        setattr(tensorflow, name, type(name, (), {}))
    import deepctr.layers.core as core
    # A Lambda is saved as its code, with the paths of this machine in it.
    code = {"class_name": "__lambda__", "config": {"code": "", "defaults": None, "closure": None}}
    keras.layers.Lambda._serialize_function_to_config = lambda self, function: code
    make = core.activation_layer
    core.activation_layer = lambda activation: keras.layers.PReLU() if activation == "PReLU" else make(activation)


def count_to(cls, number):
    while True:
        name = (cls(1) if cls is keras.layers.Dense else cls((1,))).name
        if name.endswith(f"_{number - 1}"):
            return


def main():
    make_deepctr.keras = keras.layers
    keras.layers.RandomNormal = keras.initializers.RandomNormal
    make_deepctr.count_to = count_to
    folder = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as stack:
        stack.callback(os.chdir, os.getcwd())
        os.chdir(work)
        comparison = Comparison(folder)
        prepare()
        make_deepctr.make_all(comparison)
    for failure in comparison.failures:
        print(f"FAILED {failure}")
    sys.exit(1 if comparison.failures else 0)


if __name__ == "__main__":
    main()
