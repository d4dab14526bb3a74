#!/usr/bin/python3
"""Makes the cases of DeepCTR-Torch: trains its models and saves what they save.

usage: make_deepctr_torch.py FOLDER      a checkout of shenweichen/DeepCTR-Torch, 0.2.9

Needs PyTorch, pandas, scikit-learn and tqdm (Debian: python3-torch, python3-pandas, python3-sklearn, python3-tqdm).
"""

import sys
import types

import numpy as np
import torch

import cases
import training
from census import COUNTRIES, WORK, People

EXAMPLES = 12
FEW = 8        # examples of the wide table


def import_library(folder):
    """The library asks for TensorFlow's callbacks, which only its fit() uses: empty classes will do."""
    for name in ("tensorflow", "tensorflow.python", "tensorflow.python.keras", "tensorflow.python.keras.callbacks"):
        module = types.ModuleType(name)
        for callback in ("CallbackList", "EarlyStopping", "ModelCheckpoint", "History"):
            setattr(module, callback, type(callback, (), {}))
        sys.modules[name] = module
    sys.path.insert(0, folder)
    import deepctr_torch.inputs
    import deepctr_torch.models

    return deepctr_torch.inputs, deepctr_torch.models


class Data:
    """Columns in an order that the library does not keep: dense, sparse and sequences mixed."""

    def __init__(self, inputs):
        people = People()
        self.people = people
        self.countries = people.vocabulary(*COUNTRIES)
        self.education = people.vocabulary("education")
        self.work = people.vocabulary(*WORK)
        sizes = len(self.countries) + 1, len(self.education) + 1, len(self.work) + 1
        self.columns = [
            inputs.DenseFeat("age", 1),
            inputs.SparseFeat("country", sizes[0], embedding_dim=4),
            inputs.VarLenSparseFeat(inputs.SparseFeat("family", sizes[0], embedding_dim=4, embedding_name="country"),
                                    maxlen=3, combiner="mean"),
            inputs.SparseFeat("education", sizes[1], embedding_dim=3),
            inputs.DenseFeat("weeks_worked", 1),
            inputs.VarLenSparseFeat(inputs.SparseFeat("work", sizes[2], embedding_dim=5), maxlen=3, combiner="max"),
        ]
        self.arrays = {
            "age": people.numbers("age") / 50,
            "country": people.ids("country_self", self.countries),
            "family": people.sequence(COUNTRIES[:2] + ("country_self",), self.countries),
            "education": people.ids("education", self.education),
            "weeks_worked": people.numbers("weeks_worked") / 26,
            "work": people.sequence(WORK, self.work),
        }
        # The last example has no known country, and no family: the mean and the max over nothing.
        self.arrays["country"][EXAMPLES - 1] = 0
        self.arrays["family"][EXAMPLES - 1] = 0
        self.arrays["work"][EXAMPLES - 1] = 0

    def matrix(self, rows):
        """What BaseModel.predict() makes: one float32 matrix."""
        parts = [self.arrays[column.name][rows].reshape(len(rows), -1) for column in self.columns]
        return torch.from_numpy(np.concatenate(parts, axis=-1)).float()

    def config(self, tasks, activation="relu", **more):
        table = {"lookup": {"type": "vocabulary", "offset": 1}, "oov": 0}
        return {
            "features": [
                {"name": "age", "kind": "dense", "transform": {"type": "min_max", "min": 0, "max": 50}},
                {"name": "country", "kind": "sparse", **table},
                {"name": "family", "kind": "sequence", "embedding": "country", "max_length": 3, "combiner": "mean",
                 "lookup": table["lookup"], "padding": "?"},
                {"name": "education", "kind": "sparse"},
                {"name": "weeks_worked", "kind": "dense", "transform": {"type": "min_max", "min": 0, "max": 26}},
                {"name": "work", "kind": "sequence", "max_length": 3, "combiner": "max"},
            ],
            "tasks": [{"name": name, "type": kind} for name, kind in tasks.items()],
            "activation": activation,
            "vocabularies": {"country": self.countries},
            **more,
        }

    def rows(self):
        """Examples as a user has them: countries as texts, where the library has ids."""
        text = lambda i: "?" if i == 0 else self.countries[i - 1]
        return [{
            "age": self.people.columns["age"][r],
            "country": text(self.arrays["country"][r]),
            "family": [text(i) for i in self.arrays["family"][r]],
            "education": self.arrays["education"][r],
            "weeks_worked": self.people.columns["weeks_worked"][r],
            "work": self.arrays["work"][r],
        } for r in range(EXAMPLES)]


BINARY = {"income": "binary", "never_married": "binary"}


def make(name, model, data, tasks=BINARY, labels=None, **config):
    training.train(model, lambda rows: model(data.matrix(rows)), data.people.labels() if labels is None else labels, (0, 1))
    training.spread_norms(model)
    scores = model(data.matrix(np.arange(EXAMPLES))).detach().numpy()
    cases.write_case(
        f"deepctr_torch_{name}", lambda path: torch.save(model.state_dict(), path), data.config(tasks, **config),
        data.rows(), {task: scores[:, t] for t, task in enumerate(tasks)},
    )


def make_wide_ids(inputs, models):
    """Ids above 2^24 in a float32 matrix: the library reads the rows of their even neighbours. Zeros compress well."""
    rows = (1 << 24) + 8
    columns = [inputs.SparseFeat("item", rows, embedding_dim=1), inputs.DenseFeat("price", 1)]
    training.seed()
    model = models.SharedBottom(columns, bottom_dnn_hidden_units=(4,), tower_dnn_hidden_units=(3,), init_std=0.5,
                                task_names=["ctr", "ctcvr"])
    items = np.array([(1 << 24) - 1 + i for i in range(FEW)])
    with torch.no_grad():
        table = model.embedding_dict["item"].weight
        table.zero_()
        table[items.tolist(), 0] = torch.arange(FEW, dtype=torch.float32) - 3
    model.eval()
    prices = np.linspace(0, 1, FEW)
    scores = model(torch.from_numpy(np.stack([items, prices], 1)).float()).detach().numpy()
    cases.write_case(
        "deepctr_torch_wide_ids", lambda path: torch.save(model.state_dict(), path),
        {"features": [{"name": "item", "kind": "sparse"}, {"name": "price", "kind": "dense"}], "activation": "relu",
         "tasks": [{"name": "ctr", "type": "binary"}, {"name": "ctcvr", "type": "binary"}]},
        [{"item": item, "price": price} for item, price in zip(items, prices)],
        {"ctr": scores[:, 0], "ctcvr": scores[:, 1]},
    )


def main():
    inputs, models = import_library(sys.argv[1])
    data = Data(inputs)
    small = {"init_std": 0.3, "task_names": list(BINARY)}
    new = lambda model, **keys: (training.seed(), getattr(models, model)(data.columns, **{**small, **keys}))[1]

    make("shared_bottom", new("SharedBottom", bottom_dnn_hidden_units=(16, 8), tower_dnn_hidden_units=(4,), dnn_use_bn=True), data)
    make("shared_bottom_regression",
         new("SharedBottom", bottom_dnn_hidden_units=(8,), tower_dnn_hidden_units=(), task_types=("binary", "regression")),
         data, {"income": "binary", "never_married": "regression"})
    make("esmm", new("ESMM", tower_dnn_hidden_units=(16, 8)), data,
         {"ctr": "binary", "ctcvr": "binary"}, data.people.chain())
    make("mmoe", new("MMOE", expert_dnn_hidden_units=(16, 8), gate_dnn_hidden_units=(6,), tower_dnn_hidden_units=(4,),
                     dnn_use_bn=True, dnn_activation="prelu"), data, activation="prelu")
    make("mmoe_plain_gate", new("MMOE", expert_dnn_hidden_units=(8,), gate_dnn_hidden_units=(), tower_dnn_hidden_units=()), data)
    make("ple", new("PLE", shared_expert_num=1, specific_expert_num=2, num_levels=2, expert_dnn_hidden_units=(8,),
                    gate_dnn_hidden_units=(5,), tower_dnn_hidden_units=(4,)), data)
    make("ple_three_levels", new("PLE", shared_expert_num=2, specific_expert_num=2, num_levels=3, expert_dnn_hidden_units=(8,),
                                 gate_dnn_hidden_units=(), tower_dnn_hidden_units=(4,), dnn_activation="sigmoid"),
         data, activation="sigmoid")
    make_wide_ids(inputs, models)


if __name__ == "__main__":
    main()
