#!/usr/bin/python3
"""Makes the cases of torch-rechub: trains its models and saves what they save.

usage: make_torch_rechub.py FOLDER      a checkout of datawhalechina/torch-rechub, 0.8.0

Needs PyTorch, pandas, scikit-learn and tqdm (Debian: python3-torch, python3-pandas, python3-sklearn, python3-tqdm).
"""

import os
import shutil
import sys
import tempfile
import types

import numpy as np
import torch

import cases
import training
from census import COUNTRIES, WORK, People

EXAMPLES = 12
SIZE = 4
EPOCHS = 4
MONEY = ("wage_per_hour", "capital_gains", "stock_dividends")


def import_library(folder):
    """The package's own __init__ asks for its installed version: an empty package in its place will do."""
    package = types.ModuleType("torch_rechub")
    package.__path__ = [os.path.join(folder, "torch_rechub")]
    sys.modules["torch_rechub"] = package
    import torch_rechub.basic.features
    import torch_rechub.basic.initializers
    import torch_rechub.models.multi_task
    import torch_rechub.trainers.mtl_trainer
    import torch_rechub.utils.data

    return torch_rechub


class Data:
    """Features in an order that the library does not keep: dense ones before and between the others."""

    def __init__(self, library):
        features = library.basic.features
        wide = {"initializer": library.basic.initializers.RandomNormal(0, 1)}
        people = People()
        self.people = people
        self.countries = people.vocabulary(*COUNTRIES)
        self.education = people.vocabulary("education")
        self.work = people.vocabulary(*WORK)
        countries = len(self.countries) + 1
        self.features = [
            features.DenseFeature("age"),
            features.SequenceFeature("family", countries, SIZE, pooling="mean", shared_with="country", padding_idx=0, **wide),
            features.SparseFeature("country", countries, SIZE, **wide),
            features.DenseFeature("money", len(MONEY)),
            features.SparseFeature("education", len(self.education) + 1, SIZE, **wide),
            features.SequenceFeature("work", len(self.work) + 1, SIZE, pooling="sum", **wide),
        ]
        self.arrays = {
            "age": people.numbers("age") / 50,
            "family": people.sequence(COUNTRIES, self.countries),
            "country": people.ids("country_self", self.countries),
            "money": np.log1p(np.stack([people.numbers(column) for column in MONEY], axis=1)),
            "education": people.ids("education", self.education),
            "work": people.sequence(WORK, self.work),
        }
        # The last example has no known country, and no family: the mean over nothing. The one before knows one of three.
        self.arrays["family"][EXAMPLES - 2, 1:] = 0
        self.arrays["country"][EXAMPLES - 1] = 0
        self.arrays["family"][EXAMPLES - 1] = 0
        self.arrays["work"][EXAMPLES - 1] = 0

    def part(self, *names):
        """The features with these names, in this order."""
        return [feature for name in names for feature in self.features if feature.name == name]

    def batch(self, rows):
        return {name: torch.from_numpy(array[rows]) for name, array in self.arrays.items()}

    def config(self, tasks, names=None, **more):
        table = {"lookup": {"type": "vocabulary", "offset": 1}, "oov": 0}
        features = [
            {"name": "age", "kind": "dense", "transform": {"type": "min_max", "min": 0, "max": 50}},
            {"name": "family", "kind": "sequence", "embedding": "country", "max_length": 3, "combiner": "mean",
             "lookup": table["lookup"], "padding": "?"},
            {"name": "country", "kind": "sparse", **table},
            {"name": "money", "kind": "dense", "columns": list(MONEY), "transform": {"type": "log1p"}},
            {"name": "education", "kind": "sparse"},
            {"name": "work", "kind": "sequence", "max_length": 3, "combiner": "sum"},
        ]
        return {
            "features": features if names is None else [f for name in names for f in features if f["name"] == name],
            "tasks": [{"name": name, "type": kind} for name, kind in tasks.items()],
            "vocabularies": {"country": self.countries},
            **more,
        }

    def rows(self, names=None):
        """Examples as a user has them: countries as texts, where the library has ids."""
        text = lambda i: "?" if i == 0 else self.countries[i - 1]
        rows = [{
            "age": self.people.columns["age"][r],
            "family": [text(i) for i in self.arrays["family"][r]],
            "country": text(self.arrays["country"][r]),
            **{column: self.people.columns[column][r] for column in MONEY},
            "education": self.arrays["education"][r],
            "work": self.arrays["work"][r],
        } for r in range(EXAMPLES)]
        return rows if names is None else [{name: row[name] for name in names} for row in rows]


BINARY = {"income": "binary", "never_married": "binary"}
CHAIN = {"single": "binary", "works": "binary", "all_year": "binary"}


def scores_of(model, data, tasks):
    model.eval()
    with torch.no_grad():
        scores = model(data.batch(np.arange(EXAMPLES))).numpy()
    return {task: scores[:, t] for t, task in enumerate(tasks)}


def make(name, model, data, tasks=BINARY, labels=None, names=None, trained=None, save=lambda model: model.state_dict(), **config):
    """trained: the outputs that are trained, if not all."""
    labels = data.people.labels() if labels is None else labels
    outputs = list(range(len(tasks))) if trained is None else trained
    training.spread_norms(model)
    training.train(model, lambda rows: model(data.batch(rows))[:, outputs], labels, range(len(outputs)))
    scores = scores_of(model, data, tasks)
    cases.write_case(f"torch_rechub_{name}", lambda path: torch.save(save(model), path),
                     data.config(tasks, names, **config), data.rows(names), scores)


def make_with_trainer(name, library, model, data, tasks, **config):
    """By the library's own trainer, with uncertainty weighting, whose weights it saves with the model's."""
    labels, batch = data.people.labels(), data.batch(np.arange(data.people.count))
    generator = library.utils.data.DataGenerator(batch, labels)
    few = {key: value[:512] for key, value in batch.items()}
    train, validate, _ = generator.generate_dataloader(x_val=few, y_val=labels[:512], x_test=few, y_test=labels[:512],
                                                       batch_size=training.BATCH)
    types_ = [{"binary": "classification"}.get(kind, kind) for kind in tasks.values()]
    training.spread_norms(model)
    with tempfile.TemporaryDirectory() as work:
        trainer = library.trainers.mtl_trainer.MTLTrainer(
            model, types_, optimizer_params={"lr": 0.01}, adaptive_params={"method": "uwl"}, n_epoch=EPOCHS, model_path=work)
        trainer.fit(train, validate)
        saved = os.path.join(work, "model_base_0.pth")
        cases.write_case(f"torch_rechub_{name}", lambda path: shutil.copyfile(saved, path),
                         data.config(tasks, **config), data.rows(), scores_of(model, data, tasks))


def main():
    library = import_library(sys.argv[1])
    models = library.models.multi_task
    data = Data(library)
    binary = ["classification"] * 2

    training.seed()
    mixed = {"income": "binary", "never_married": "regression"}
    make_with_trainer(
        "shared_bottom", library,
        models.SharedBottom(data.features, ["classification", "regression"], {"dims": [16, 8], "activation": "leakyrelu"},
                            [{"dims": [4], "activation": "prelu"}, {"dims": []}]),
        data, mixed, activation="leakyrelu", tower_activation=["prelu", "relu"])

    training.seed()
    user, item = ("work", "country"), ("education", "family")
    make("esmm", models.ESMM(data.part(*user), data.part(*item), {"dims": [8]}, {"dims": [8], "activation": "sigmoid"}), data,
         {"cvr": "binary", "ctr": "binary", "ctcvr": "binary"}, data.people.chain(), user + item, trained=[1, 2],
         activation="relu", tower_activation=["relu", "sigmoid"])

    training.seed()
    make("mmoe", models.MMOE(data.features, binary, 3, {"dims": [16, 8], "activation": "dice"},
                             [{"dims": [4], "activation": "dice"}] * 2), data, activation="dice")

    training.seed()
    ple = models.PLE(data.features, binary, n_level=2, n_expert_specific=2, n_expert_shared=1,
                     expert_params={"dims": [8], "activation": "prelu"}, tower_params_list=[{"dims": [4]}] * 2)
    make("ple", ple, data, save=lambda model: torch.nn.DataParallel(model).state_dict(),
         activation="prelu", tower_activation="relu")

    training.seed()
    chain = data.people.chain()
    all_year = chain[:, :1] * (data.people.numbers("weeks_worked") == 52).astype("f4")[:, None]
    towers = [{"dims": [4], "activation": torch.nn.Tanh}] * 3
    make("aitm", models.AITM(data.features, 3, {"dims": [16, 8], "activation": torch.nn.SiLU}, towers), data, CHAIN,
         np.concatenate([chain, all_year], axis=1), activation="silu", tower_activation="tanh")


if __name__ == "__main__":
    main()
