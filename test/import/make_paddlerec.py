#!/usr/bin/python3
"""Makes the cases of PaddleRec: trains its networks and saves them.

usage: make_paddlerec.py FOLDER      a checkout of PaddlePaddle/PaddleRec

The networks are the library's own files, models/multitask/*/net.py; they run on paddle_stand_in.py in place of
PaddlePaddle. Needs PyTorch (Debian: python3-torch).
"""

import importlib.util
import os
import sys

import numpy as np
import torch

import cases
import paddle_stand_in
import training
from census import COUNTRIES, WORK, People

EXAMPLES = 12
BINARY = {"income": "binary", "never_married": "binary"}


def network(folder, model):
    """The module net.py of a model."""
    path = os.path.join(folder, "models", "multitask", model, "net.py")
    specification = importlib.util.spec_from_file_location(f"paddlerec_{model}", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class OneHot:
    """One matrix: the one-hot education, age, the one-hot class of worker, weeks worked."""

    def __init__(self, people):
        self.people = people
        self.education = people.vocabulary("education")
        self.workers = people.vocabulary("class_worker")
        blocks = [self.block("education", self.education), people.numbers("age")[:, None] / 50,
                  self.block("class_worker", self.workers), people.numbers("weeks_worked")[:, None] / 26]
        self.matrix = np.concatenate(blocks, axis=1).astype("f4")
        self.matrix[EXAMPLES - 1, :len(self.education)] = 0       # nothing known of this one's education

    def block(self, column, vocabulary):
        return (self.people.ids(column, vocabulary)[:, None] == 1 + np.arange(len(vocabulary))).astype("f4")

    def inputs(self, rows):
        return torch.from_numpy(self.matrix[rows])

    def config(self):
        """Raw columns: the model makes the one-hot ones."""
        return {
            "features": [
                {"name": "education", "kind": "sparse", "vocabulary_size": len(self.education), "lookup": {"type": "vocabulary"}},
                {"name": "age", "kind": "dense", "transform": {"type": "min_max", "min": 0, "max": 50}},
                {"name": "class_worker", "kind": "sparse", "vocabulary_size": len(self.workers),
                 "lookup": {"type": "vocabulary"}},
                {"name": "weeks_worked", "kind": "dense", "transform": {"type": "min_max", "min": 0, "max": 26}},
            ],
            "vocabularies": {"education": self.education, "class_worker": self.workers},
        }

    def rows(self):
        names = ("education", "age", "class_worker", "weeks_worked")
        rows = [{name: self.people.columns[name][r] for name in names} for r in range(EXAMPLES)]
        rows[EXAMPLES - 1]["education"] = "unheard of"
        return rows


class Vector(OneHot):
    """The same matrix as one feature, as the library's readers have it."""

    def config(self):
        return {"features": [{"name": "x", "kind": "dense", "width": self.matrix.shape[1]}]}

    def rows(self):
        return [{"x": self.matrix[r].tolist()} for r in range(EXAMPLES)]


class Fields:
    """Ids of all fields in one table; 0 is padding."""

    def __init__(self, people):
        self.people = people
        self.countries, self.work = people.vocabulary(*COUNTRIES), people.vocabulary(*WORK)
        self.education = people.vocabulary("education")
        shift = lambda ids, by: np.where(ids > 0, ids + by, 0)
        first, second = len(self.countries), len(self.countries) + len(self.work)
        self.size = second + len(self.education) + 1
        self.arrays = [
            people.sequence(COUNTRIES, self.countries),
            shift(people.sequence(WORK, self.work), first),
            shift(people.ids("education", self.education), second)[:, None],
        ]
        for array in self.arrays:
            array[EXAMPLES - 1] = 0
        self.arrays[1][EXAMPLES - 2, 1:] = 0
        self.offsets = (1, 1 + first, 1 + second)

    def inputs(self, rows):
        return [torch.from_numpy(array[rows]) for array in self.arrays]

    def config(self):
        lookup = lambda name, part: {"type": "vocabulary", "vocabulary": name, "offset": self.offsets[part]}
        return {
            "features": [
                {"name": "family", "kind": "sequence", "max_length": 3, "lookup": lookup("countries", 0), "padding": "?"},
                {"name": "work", "kind": "sequence", "max_length": 3, "embedding": "ids"},
                {"name": "education", "kind": "sparse", "lookup": lookup("education", 2), "oov": 0},
            ],
            "vocabularies": {"countries": self.countries, "education": self.education},
        }

    def rows(self):
        text = lambda i: "?" if i == 0 else self.countries[i - 1]
        educations = [self.people.columns["education"][r] for r in range(EXAMPLES)]
        educations[EXAMPLES - 1] = "unheard of"
        return [{"family": [text(i) for i in self.arrays[0][r]], "work": self.arrays[1][r], "education": educations[r]}
                for r in range(EXAMPLES)]


class Tables:
    """A table per field."""

    def __init__(self, people):
        self.people = people
        self.vocabularies = {name: people.vocabulary(name) for name in ("education", "class_worker", "country_self")}
        self.arrays = [people.ids(name, vocabulary) for name, vocabulary in self.vocabularies.items()]
        self.sizes = {name: len(vocabulary) + 1 for name, vocabulary in self.vocabularies.items()}

    def inputs(self, rows):
        return [torch.from_numpy(array[rows]) for array in self.arrays]

    def config(self):
        return {
            "features": [{"name": name, "kind": "sparse", "lookup": {"type": "vocabulary", "offset": 1}, "oov": 0}
                         for name in self.vocabularies],
            "vocabularies": self.vocabularies,
        }

    def rows(self):
        return [{name: self.people.columns[name][r] for name in self.vocabularies} for r in range(EXAMPLES)]


def make(name, module, layer, sizes, data, tasks, outputs, labels, columns, protocol=4):
    """outputs: from what the network returns to scores, in the order of the tasks. columns: their labels."""
    training.seed()
    model = getattr(module, layer)(*sizes)
    forward = lambda rows: torch.stack(outputs(model(data.inputs(rows))), dim=1)
    training.train(model, forward, labels, columns)
    with torch.no_grad():
        scores = forward(np.arange(EXAMPLES)).numpy()
    config = {**data.config(), "tasks": [{"name": task, "type": kind} for task, kind in tasks.items()]}
    cases.write_case(
        f"paddlerec_{name}", lambda path: paddle_stand_in.save(model.state_dict(), path, protocol), config, data.rows(),
        {task: scores[:, t] for t, task in enumerate(tasks)}, suffix="pdparams",
    )


def second_of_each(outputs):
    return [probabilities[:, 1] for probabilities in outputs]


def click_outputs(*places):
    return lambda outputs: [outputs[place][:, 0] for place in places]


def main():
    folder = sys.argv[1]
    paddle_stand_in.install()
    people = People()
    one_hot, vector, fields, tables = OneHot(people), Vector(people), Fields(people), Tables(people)
    width = one_hot.matrix.shape[1]
    labels, chain = people.labels(), people.chain()
    clicks = {"ctr": "binary", "cvr": "binary", "ctcvr": "binary"}
    fields_width = 4 * len(fields.arrays)

    make("share_bottom", network(folder, "share_bottom"), "ShareBottomLayer", (width, 2, 8, 4), vector, BINARY,
         second_of_each, labels, (0, 1), protocol=2)
    make("mmoe", network(folder, "mmoe"), "MMoELayer", (width, 3, 8, 4, 2), one_hot, BINARY, second_of_each, labels, (0, 1))
    ple = network(folder, "ple")
    # (feature_size, task_num, exp_per_task, shared_num, expert_size, tower_size, level_number)
    make("ple", ple, "PLELayer", (width, 2, 3, 2, 8, 4, 2), one_hot, BINARY, second_of_each, labels, (0, 1))
    make("ple_one_expert", ple, "PLELayer", (width, 2, 1, 1, 8, 4, 1), one_hot, BINARY, second_of_each, labels, (0, 1))
    make("esmm", network(folder, "esmm"), "ESMMLayer", (fields.size, 4, len(fields.arrays), [8, 4], [6]), fields, clicks,
         click_outputs(1, 3, 5), chain, (0, 1, 1), protocol=3)
    escm2 = network(folder, "escm2")
    sizes = (fields.size, 4, len(fields.arrays), [], [], 3, 8, 4)
    make("escm2", escm2, "ESCMLayer", (*sizes, "IPW", fields_width), fields, clicks, click_outputs(1, 3, 5), chain, (0, 1, 1))
    make("escm2_dr", escm2, "ESCMLayer", (*sizes, "DR", fields_width), fields, {**clicks, "imp": "binary"},
         click_outputs(1, 3, 5, 6), chain, (0, 1, 1, 0))
    make("aitm", network(folder, "aitm"), "AITM", (tables.sizes, 4, [12, 8, 32]), tables,
         {"click": "binary", "conversion": "binary"}, list, chain, (0, 1))


if __name__ == "__main__":
    main()
