#!/usr/bin/python3
"""Makes the cases of STEM: runs its feature processor, trains its models and saves what they save.

usage: make_stem.py FOLDER      a checkout of LiangcaiSu/STEM

Needs what make_fuxictr.py needs.
"""

import os
import shutil
import sys
import tempfile

import h5py
import numpy as np
import torch

import cases
import fuxictr_data
import training
from census import People
from fuxictr_data import EXAMPLES, LABELS

BINARY = dict.fromkeys(LABELS, "binary")
CLICKS = dict.fromkeys(("ctr", "ctcvr"), "binary")
# The processor asks its normalizers for a function that they lack, so nobody can have used one.
COLUMNS = [{key: value for key, value in column.items() if key != "normalizer"} for column in fuxictr_data.COLUMNS]
CHAIN = dict.fromkeys(("married", "works", "earns"), "binary")


class Data:
    """One data set: raw columns, the processor, and batches as the data loader makes them, one matrix."""

    def __init__(self, root, name, columns, tasks, labels, people):
        from fuxictr.preprocess import FeatureProcessor

        self.tasks = tasks
        self.labels = labels
        self.frame = fuxictr_data.frame(people, labels, list(tasks))
        self.frame["age"] /= 50
        self.processor = FeatureProcessor(columns, [{"name": task, "dtype": "float"} for task in tasks], name, root)
        self.processor.fit(self.frame[EXAMPLES:])
        encoded = self.processor.transform(self.frame)
        self.map = self.processor.feature_map
        arrays = (encoded[column] for column in [*self.map.features, *tasks])
        self.matrix = torch.from_numpy(np.hstack([array.reshape(len(self.frame), -1) for array in arrays]))

    def scores(self, model, numbers):
        found = model(self.matrix[numbers])
        return torch.cat([found[f"{task}_pred"] for task in self.tasks], dim=1)


def make(name, model, data, root, activation="relu", more=None, **keys):
    from models import AITM, ESMM, MMoE, OMoE, PLE, STEM, SharedBottom

    training.seed()
    count = len(data.tasks)
    classes = {each.__name__: each for each in (AITM, ESMM, MMoE, OMoE, PLE, STEM, SharedBottom)}
    model = classes[model](
        data.map, num_tasks=count, task=["binary_classification"] * count, loss=["binary_crossentropy"] * count, optimizer="adam",
        metrics=["AUC"], verbose=0, model_root=root, embedding_dim=4, hidden_activations=activation, **keys,
    )
    training.train(model, lambda numbers: data.scores(model, numbers), data.labels, range(count))
    training.spread_norms(model)
    fuxictr_data.spread_rows(model)
    scores = model.predict([data.matrix[:EXAMPLES]])
    config = {**fuxictr_data.configuration(data.processor, data.tasks, activation), **(more or {})}
    cases.write_case(f"stem_{name}", model.save_weights, config, fuxictr_data.rows(data.frame, config), scores,
                     suffix="model")


def pretrained(root):
    """A column whose embedding joins two tables, and projects them with a bias. The processor copies the file with the vectors to
    a name without the suffix under which the model looks for it, so here it is there before."""
    path = os.path.join(root, "countries.h5")
    keys = ["Mexico", "Cuba", "United-States", fuxictr_data.ELSEWHERE]
    with h5py.File(path, "w") as file:
        file["key"] = np.array(keys, h5py.string_dtype())
        file["value"] = np.random.default_rng(training.SEED).normal(size=(len(keys), 3))
    os.mkdir(os.path.join(root, "pretrained"))
    shutil.copy(path, os.path.join(root, "pretrained", "pretrained_born.h5"))
    return [{"name": "born", "active": True, "dtype": "str", "type": "categorical", "pretrained_emb": path, "pretrain_dim": 3,
             "pretrain_usage": "concat", "freeze_emb": False}, COLUMNS[0]]


def main():
    fuxictr_data.import_fuxictr(sys.argv[1])
    people = People()
    both = people.labels()
    clicks = people.chain()
    three = np.stack([1 - both[:, 1], (people.numbers("weeks_worked") > 0).astype("f4"), both[:, 0]], axis=1)

    with tempfile.TemporaryDirectory() as root:
        data = Data(root, "census", COLUMNS, BINARY, both, people)
        experts = {"expert_hidden_units": [6], "gate_hidden_units": [5], "tower_hidden_units": [4]}
        levels = {"num_shared_experts": 2, "num_specific_experts": 1, **experts}
        make("stem", "STEM", data, root, num_layers=3, net_dropout=0.1, **levels)
        make("omoe", "OMoE", data, root, num_experts=3, **experts)
        make("ple", "PLE", data, root, more={"library": "stem"}, num_layers=2, **levels)
        make("esmm", "ESMM", Data(root, "clicks", COLUMNS, CLICKS, clicks, people), root, "Sigmoid", tower_hidden_units=[8, 4])
        make("aitm", "AITM", Data(root, "chain", COLUMNS, CHAIN, three, people), root, bottom_hidden_units=[8, 6],
             tower_hidden_units=[4], batch_norm=True)
        make("pretrained", "SharedBottom", Data(root, "pretrained", pretrained(root), BINARY, both, people), root,
             more={"library": "stem"}, bottom_hidden_units=[6], tower_hidden_units=[])


if __name__ == "__main__":
    main()
