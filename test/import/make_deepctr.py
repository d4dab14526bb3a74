#!/usr/bin/python3
"""Makes the cases of DeepCTR: its own code, on a stand-in for TensorFlow, trains its models and saves them as Keras does.

usage: make_deepctr.py FOLDER      a checkout of shenweichen/DeepCTR, 0.9.4

Needs PyTorch and h5py (Debian: python3-torch, python3-h5py). See tf_stand_in for what this proves and what not.
"""

import os
import sys
import tempfile

import numpy as np
import torch

import cases
import tf_stand_in
from census import COUNTRIES, WORK, People
from tf_stand_in import layers as keras

EXAMPLES = 12
STEPS = 40
BATCH = 256
TOLD_BY_SAVED_MODELS = (
    "group_name", "use_hash", "dtype", "length_name", "combiner", "max_length", "weights", "embedding", "width", "transform_fn",
)
BINARY = {"income": "binary", "never_married": "binary"}


class Data:
    """Columns that models choose from: the library's feature column, its values, the configuration, and values as a user has
    them."""

    def __init__(self, fc):
        self.fc = fc
        self.people = people = People(1024)
        self.columns, self.arrays, self.config, self.raw = {}, {}, {}, {}
        self.countries = people.vocabulary(*COUNTRIES)
        self.work = people.vocabulary(*WORK)
        self.education = people.vocabulary("education")
        self.add_dense()
        self.add_ids()
        self.add_hashed()
        self.add_vocabularies()
        self.add_weighted()

    def add(self, column, values, config, raw=None):
        name = column.name
        self.columns[name], self.arrays[name] = column, np.asarray(values)
        self.config[name] = {"name": name, **config}
        self.raw[name] = self.arrays[name] if raw is None else raw

    def sparse(self, name, rows, dim, **keys):
        """Tables with numbers that matter; the library starts with very small ones."""
        return self.fc.SparseFeat(name, rows, embedding_dim=dim, embeddings_initializer=keras.RandomNormal(stddev=0.4), **keys)

    def add_dense(self):
        people = self.people
        self.add(self.fc.DenseFeat("age", 1, transform_fn=lambda x: (x - 38.0) / 20.0), people.numbers("age"),
                 {"kind": "dense", "transform_fn": True, "transform": {"type": "standardize", "mean": 38, "std": 20}})
        pair = np.stack([people.numbers("weeks_worked") / 52, people.numbers("num_emp") / 6], axis=1)
        self.add(self.fc.DenseFeat("jobs", 2), pair, {"kind": "dense", "width": 2})

    def add_ids(self):
        people = self.people
        countries = len(self.countries) + 1
        self.add(self.sparse("country", countries, 4, group_name="place"), people.ids("country_self", self.countries),
                 {"kind": "sparse", "group_name": "place"})
        self.add(self.fc.VarLenSparseFeat(self.sparse("family", countries, 4, embedding_name="country", group_name="place"), 3),
                 people.sequence(COUNTRIES, self.countries),
                 {"kind": "sequence", "embedding": "country", "max_length": 3, "group_name": "place"})
        education = people.ids("education", self.education)
        self.add(self.sparse("education", len(self.education) + 1, 3), education, {"kind": "sparse"})
        work = people.sequence(WORK, self.work)
        self.add(self.fc.VarLenSparseFeat(self.sparse("work", len(self.work) + 1, 5), 3, combiner="max"), work,
                 {"kind": "sequence", "max_length": 3, "combiner": "max"})
        lengths = (np.arange(len(work)) % 4).reshape(-1, 1)
        self.add(self.fc.VarLenSparseFeat(self.sparse("jobs_before", len(self.work) + 1, 3), 3, combiner="mean",
                                          length_name="jobs_before_length"),
                 work, {"kind": "sequence", "max_length": 3, "length_name": "jobs_before_length"},
                 [ids[:n] for ids, n in zip(work, lengths[:, 0])])
        self.arrays["jobs_before_length"] = lengths

    def texts(self, *columns):
        return np.stack([np.array(self.people.columns[column], object) for column in columns], axis=1)

    def add_hashed(self):
        """Few rows, so that texts meet."""
        state = self.texts("state_prev_res")
        self.add(self.sparse("state", 11, 3, use_hash=True, dtype="string"), state,
                 {"kind": "sparse", "use_hash": True, "dtype": "string"}, state[:, 0])
        code = self.people.numbers("age").astype("i8") * 1000003
        self.add(self.sparse("code", 13, 2, use_hash=True, dtype="int64"), code,
                 {"kind": "sparse", "use_hash": True, "dtype": "int64"})
        parents = self.texts("country_father", "country_mother")
        parents[parents == "United-States"] = "0"
        self.add(self.fc.VarLenSparseFeat(self.sparse("parents", 9, 3, use_hash=True, dtype="string"), 2, combiner="sum"),
                 parents,
                 {"kind": "sequence", "max_length": 2, "combiner": "sum", "use_hash": True, "dtype": "string"})
        ages = np.stack([code % 7, code % 5], axis=1)
        self.add(self.fc.VarLenSparseFeat(self.sparse("ages", 8, 2, use_hash=True), 2), ages,
                 {"kind": "sequence", "max_length": 2, "use_hash": True})

    def add_vocabularies(self):
        """A file, in the current folder, which leaves out the last text, so that it is unknown."""
        path = "education.csv"
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(f"{i + 1},{text}\n" for i, text in enumerate(self.education[:-1]))
        lookup = {"lookup": {"type": "vocabulary", "vocabulary": "education", "offset": 1}, "use_hash": True, "dtype": "string"}
        keys = {"use_hash": True, "vocabulary_path": path, "dtype": "string"}
        rows = len(self.education)
        texts = self.texts("education")
        self.add(self.sparse("school", rows, 3, **keys), texts, {"kind": "sparse", **lookup}, texts[:, 0])
        pair = np.concatenate([texts, texts[::-1]], axis=1)
        self.add(self.fc.VarLenSparseFeat(self.sparse("schools", rows, 2, **keys), 2), pair,
                 {"kind": "sequence", "max_length": 2, **lookup})
        self.vocabularies = {"education": self.education[:-1]}

    def add_weighted(self):
        """Once with and once without a length; with the length, id 0 counts and has a weight."""
        weights = (np.arange(3 * self.people.count) % 7 - 2).reshape(-1, 3) / 4
        work = self.arrays["work"] * (np.arange(3 * self.people.count) % 5 > 0).reshape(-1, 3)
        lengths = (np.arange(self.people.count) % 3 + 1).reshape(-1, 1)
        cut = lambda values: [row[:n] for row, n in zip(values, lengths[:, 0])]
        for name, combiner, keys, norm in (
            ("paid", "sum", {}, {}),
            ("unpaid", "mean", {}, {"normalize": "none"}),
            ("paid_before", "mean", {"length_name": "paid_before_length"}, {}),
            ("unpaid_before", "max", {"length_name": "unpaid_before_length"}, {"normalize": "none"}),
        ):
            column = self.fc.VarLenSparseFeat(self.sparse(name, len(self.work) + 1, 3), 3, combiner=combiner,
                                              weight_name=f"{name}_weights", weight_norm=not norm, **keys)
            self.add(column, work, {"kind": "sequence", "max_length": 3, "combiner": combiner, **keys,
                                    "weights": {"column": f"{name}_weights", **norm}}, cut(work) if keys else None)
            self.arrays[f"{name}_weights"] = weights[:, :, None]
            self.raw[f"{name}_weights"] = cut(weights) if keys else weights
            if keys:
                self.arrays[f"{name}_length"] = lengths

    # ------------------------------------------------------------ what a model and its case take

    def inputs(self, rows):
        taken = {name: values[rows] for name, values in self.arrays.items()}
        return {name: values.reshape(len(rows), -1) if values.ndim < 3 else values for name, values in taken.items()}

    def rows(self, names):
        taken = [part for name in names for part in (name, f"{name}_weights") if part in self.raw]
        return [{name: self.raw[name][r] for name in taken} for r in range(EXAMPLES)]


def spread(model):
    """Moves all weights apart, so that a mistaken one would show; and batch norms' statistics away from 0 and 1."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for weight in model.trainable_weights + model.non_trainable_weights:
            noise = torch.rand(weight.shape, generator=generator) - 0.5
            weight += noise * (0.6 if weight.requires_grad else 1)
            if weight.keras_name.endswith("moving_variance:0"):
                weight.abs_().add_(0.2)


class Maker:
    def __init__(self, folder, parts=None):
        self.fc, self.models = tf_stand_in.import_deepctr(folder, parts)
        self.data = Data(self.fc)
        # Examples whose sequences are padded, or empty: the mean and the max over nothing.
        self.data.arrays["family"][EXAMPLES - 3, 1:] = 0
        self.data.arrays["family"][EXAMPLES - 2] = 0
        self.data.arrays["work"][EXAMPLES - 1] = 0

    def columns(self, names):
        return [self.data.columns[name] for name in names]

    def make(self, name, network, names, tasks=None, labels=None, whole=False, bare=False, **config):
        """bare: without what the saved model tells."""
        data, tasks = self.data, tasks or BINARY
        labels = data.people.labels() if labels is None else labels
        # An empty max of -1e9 is for scoring alone: it would take batch norms out of range.
        others = np.arange(EXAMPLES, data.people.count)
        tf_stand_in.train(network, data.inputs(others), torch.from_numpy(labels[others]), STEPS, BATCH)
        spread(network)
        scores = network.predict(data.inputs(np.arange(EXAMPLES)))
        features = [dict(data.config[feature]) for feature in names]
        for feature in features if bare else []:
            for key in TOLD_BY_SAVED_MODELS:
                feature.pop(key, None)
        if any("lookup" in feature for feature in features):
            config["vocabularies"] = data.vocabularies
        cases.write_case(
            f"deepctr_{name}", network.save if whole else network.save_weights,
            {"features": features, "tasks": [{"name": task, "type": kind} for task, kind in tasks.items()], **config},
            data.rows(names), {task: scores[t] for t, task in enumerate(tasks)}, suffix="h5",
        )


PLAIN = ["age", "work", "country", "jobs", "education", "family"]


def count_to(cls, number):
    """As if models before had layers of this class, so that the next one has this number."""
    while keras.unique_name(cls) != f"{keras.snake_case(cls.__name__)}_{number - 1}":
        pass


def main():
    with tempfile.TemporaryDirectory() as work:
        folder = os.path.abspath(sys.argv[1])
        os.chdir(work)
        make_all(Maker(folder))


def make_all(maker):
    models, columns = maker.models, maker.columns
    from deepctr.layers.core import DNN
    small = {"task_names": list(BINARY)}

    maker.make("shared_bottom", models.SharedBottom(columns(PLAIN), (16, 8), (4,), dnn_use_bn=True, **small), PLAIN,
               activation="relu")

    deep = ["jobs"]
    maker.make("shared_bottom_deep", models.SharedBottom(
        columns(deep), (6,), (4,) * 11, dnn_activation="tanh", dnn_use_bn=True, task_types=("binary", "regression"), **small),
        deep, {"income": "binary", "never_married": "regression"}, activation="tanh")

    count_to(keras.Dense, 9)
    count_to(DNN, 9)
    maker.make("esmm", models.ESMM(columns(PLAIN), (8, 4)), PLAIN, {"ctr": "binary", "ctcvr": "binary"},
               maker.data.people.chain(), activation="relu")

    maker.make("mmoe", models.MMOE(columns(PLAIN), 3, (8, 4), (4,), (5,), dnn_use_bn=True, dnn_activation="PReLU", **small),
               PLAIN, whole=True, bare=True)

    hashed = ["state", "ages", "age", "code", "parents"]
    maker.make("mmoe_hash", models.MMOE(columns(hashed), 2, (6,), (), (), dnn_activation="dice", **small), hashed,
               activation="dice")

    named = ["schools", "unpaid", "jobs_before", "unpaid_before", "school", "paid", "ages", "state", "paid_before"]
    maker.make("ple", models.PLE(columns(named), 1, 2, 2, (6,), (4, 3), (), dnn_activation="dice", dnn_use_bn=True, **small),
               named, whole=True, bare=True)

    maker.make("ple_three_levels", models.PLE(columns(named), 2, 1, 3, (5,), (), (), dnn_activation=keras.LeakyReLU, **small),
               named, activation="LeakyReLU")


if __name__ == "__main__":
    main()
