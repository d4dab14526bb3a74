#!/usr/bin/python3
"""Makes the cases of FuxiCTR: runs its feature processor, trains its multi-task models and saves what they save.

usage: make_fuxictr.py FOLDER      a checkout of reczoo/FuxiCTR

Needs PyTorch, pandas, scikit-learn, h5py, PyYAML and tqdm (Debian: python3-torch, python3-pandas, python3-sklearn, python3-h5py,
python3-yaml, python3-tqdm).
"""

import os
import sys
import tempfile

import numpy as np
import torch

import cases
import fuxictr_data
import training
from census import People
from fuxictr_data import COLUMNS, EXAMPLES, LABELS

BINARY = dict.fromkeys(LABELS, "binary")
TASKS = {"binary": "binary_classification", "regression": "regression"}


class Frame:
    """What the processor needs of a polars frame: one column as a pandas series."""

    def __init__(self, data):
        self.data = data

    def select(self, name):
        return Frame(self.data[name])

    def collect(self):
        return self

    to_series = collect

    def to_pandas(self):
        return self.data


class Data:
    """One data set: raw columns, the processor, and batches as the data loader makes them."""

    def __init__(self, root, name, columns):
        from fuxictr.preprocess import FeatureProcessor
        from fuxictr.pytorch.dataloaders.parquet_dataloader import BatchCollator

        people = People()
        self.labels = people.labels()
        self.frame = fuxictr_data.frame(people, self.labels, list(LABELS))
        self.processor = FeatureProcessor(columns, [{"name": label, "dtype": "float"} for label in LABELS], name, root)
        self.processor.fit(Frame(self.frame[EXAMPLES:]))
        encoded = self.processor.transform(self.frame.copy())
        self.map = self.processor.feature_map
        self.matrix = np.column_stack([np.array(encoded[column].to_list()) for column in [*self.map.features, *LABELS]])
        self.collate = BatchCollator(self.map)

    def batch(self, numbers):
        return self.collate(list(self.matrix[numbers]))

    def scores(self, model, numbers):
        found = model(self.batch(numbers))
        return torch.cat([found[f"{label}_pred"] for label in LABELS], dim=1)


def make(name, model_class, data, root, tasks=BINARY, activation="relu", **keys):
    training.seed()
    count = len(tasks)
    model = model_class(
        data.map, num_tasks=count, task=[TASKS[kind] for kind in tasks.values()], loss=["binary_crossentropy"] * count,
        optimizer="adam", metrics=["AUC"], verbose=0, model_root=root, embedding_dim=4, hidden_activations=activation, **keys,
    )
    training.train(model, lambda numbers: data.scores(model, numbers), data.labels, range(count))
    training.spread_norms(model)
    fuxictr_data.spread_rows(model)
    scores = model.predict([data.batch(np.arange(EXAMPLES))])
    config = fuxictr_data.configuration(data.processor, tasks, activation)
    cases.write_case(f"fuxictr_{name}", model.save_weights, config, fuxictr_data.rows(data.frame, config), scores,
                     suffix="model")


def pretrained(root):
    """Columns whose embeddings begin with vectors from elsewhere, of known tokens and of another."""
    columns = []
    generator = np.random.default_rng(training.SEED)
    keys = np.array(["Mexico", "Cuba", "United-States", "Germany", fuxictr_data.ELSEWHERE])
    kinds = ("born", "init", True), ("lives", "sum", False), ("father", "concat", True), ("mother", "sum", False)
    for name, usage, frozen in kinds:
        dimension = 4 if name == "lives" else 3
        path = os.path.join(root, f"{name}.npz")
        np.savez(path, key=keys, value=generator.normal(size=(len(keys), dimension)))
        columns.append({"name": name, "active": True, "dtype": "str", "type": "categorical", "pretrained_emb": path,
                        "pretrain_dim": dimension, "pretrain_usage": usage, "freeze_emb": frozen})
    vector = {"name": "vector", "active": True, "dtype": "float", "type": "embedding", "pretrain_dim": fuxictr_data.VECTOR}
    return [columns[0], vector, *columns[1:]]


def main():
    # Its feature processor reads files with polars; here it is given what it has read.
    fuxictr_data.stub("polars")
    fuxictr_data.import_fuxictr(sys.argv[1])
    from model_zoo.multitask.MMoE.src import MMoE
    from model_zoo.multitask.PLE.src import PLE
    from model_zoo.multitask.ShareBottom.src import ShareBottom

    with tempfile.TemporaryDirectory() as root:
        data = Data(root, "census", COLUMNS)
        make("shared_bottom", ShareBottom, data, root, bottom_hidden_units=[12, 8], tower_hidden_units=[4], batch_norm=True,
             net_dropout=0.1)
        make("mmoe", MMoE, data, root, activation=["Dice", "Tanh"], num_experts=3, expert_hidden_units=[8, 6],
             gate_hidden_units=[5, 4], tower_hidden_units=[5, 4], batch_norm=True, net_dropout=0.1)
        make("mmoe_plain_gate", MMoE, data, root, {"income": "binary", "never_married": "regression"}, "PReLU", num_experts=2,
             expert_hidden_units=[8], gate_hidden_units=[], tower_hidden_units=[])
        make("ple", PLE, data, root, num_layers=3, num_shared_experts=2, num_specific_experts=1, expert_hidden_units=[6],
             gate_hidden_units=[5], tower_hidden_units=[4])
        make("pretrained", ShareBottom, Data(root, "pretrained", pretrained(root)), root, bottom_hidden_units=[8],
             tower_hidden_units=[])


if __name__ == "__main__":
    main()
