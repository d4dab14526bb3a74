#!/usr/bin/python3
"""Makes the cases of Multitask-Recommendation-Library: trains its models and saves what they save.

usage: make_mtrec.py FOLDER      a checkout of easezyc/Multitask-Recommendation-Library

Needs PyTorch (Debian: python3-torch).
"""

import os
import sys

import numpy as np
import torch

import cases
import training
from census import People

EXAMPLES = 12
SIZE = 4
NUMERIC = ("age", "weeks_worked", "num_emp")


def import_library(folder):
    """The library asks for a name of int that numpy has no longer, and PLE for its layers without their package."""
    np.long = int
    sys.path[:0] = [folder, os.path.join(folder, "models")]
    import models.aitm
    import models.mmoe
    import models.omoe
    import models.ple
    import models.sharedbottom
    import models.singletask

    return models


class Data:
    """Categorical columns of which one has an id too many, and numeric ones."""

    def __init__(self):
        self.people = people = People()
        self.countries = people.vocabulary("country_self")
        self.education = people.vocabulary("education")
        self.work = people.vocabulary("major_occ_code")
        self.field_dims = [len(vocabulary) + 1 for vocabulary in (self.countries, self.education, self.work)]
        self.categorical = np.stack([people.ids("country_self", self.countries), people.ids("education", self.education),
                                     people.ids("major_occ_code", self.work)], axis=1)
        numbers = np.stack([people.numbers(column) for column in NUMERIC], axis=1)
        self.mean, self.std = numbers.mean(axis=0).round(3), numbers.std(axis=0).round(3)
        self.numeric = ((numbers - self.mean) / self.std).astype("f4")
        # The last but one example has an education beyond the field, so the library reads the next field's first row.
        self.categorical[EXAMPLES - 2, 1] = self.field_dims[1]
        self.categorical[EXAMPLES - 1, 0] = 0

    def outputs(self, model, rows):
        scores = model(torch.from_numpy(self.categorical[rows]), torch.from_numpy(self.numeric[rows]))
        return torch.stack(scores, dim=1)

    def config(self, tasks):
        """Numeric columns first, where the library has them last; countries as texts."""
        dims = dict(zip(("country", "education", "work"), self.field_dims))
        return {
            "features": [
                {"name": "numbers", "kind": "dense", "columns": list(NUMERIC),
                 "transform": {"type": "standardize", "mean": self.mean.tolist(), "std": self.std.tolist()}},
                {"name": "country", "kind": "sparse", "vocabulary_size": dims["country"],
                 "lookup": {"type": "vocabulary", "offset": 1}, "oov": 0},
                {"name": "education", "kind": "sparse", "vocabulary_size": dims["education"]},
                {"name": "work", "kind": "sparse", "vocabulary_size": dims["work"],
                 "lookup": {"type": "vocabulary", "offset": 1}, "oov": 0},
            ],
            "tasks": [{"name": name, "type": "binary"} for name in tasks],
            "vocabularies": {"country": self.countries, "work": self.work},
        }

    def rows(self):
        text = lambda i, vocabulary: "?" if i == 0 else vocabulary[i - 1]
        return [{
            **{column: self.people.columns[column][r] for column in NUMERIC},
            "country": text(self.categorical[r, 0], self.countries),
            "education": self.categorical[r, 1],
            "work": text(self.categorical[r, 2], self.work),
        } for r in range(EXAMPLES)]


PAIR = ("income", "never_married")
CHAIN = ("single", "works", "all_year")


def make(name, model, data, tasks=PAIR, labels=None):
    labels = data.people.labels() if labels is None else labels
    training.spread_norms(model)
    training.train(model, lambda rows: data.outputs(model, rows), labels, range(len(tasks)))
    with torch.no_grad():
        scores = data.outputs(model, np.arange(EXAMPLES)).numpy()
    cases.write_case(f"mtrec_{name}", lambda path: torch.save(model.state_dict(), path), data.config(tasks), data.rows(),
                     {task: scores[:, t] for t, task in enumerate(tasks)}, suffix="pt")


def main():
    library = import_library(sys.argv[1])
    data = Data()

    def new(model, bottom=(8, 6), task_num=2, **more):
        training.seed()
        return model(data.field_dims, len(NUMERIC), SIZE, bottom, (4,), task_num, dropout=0.1, **more)

    make("singletask", new(library.singletask.SingleTaskModel), data)
    make("sharedbottom", new(library.sharedbottom.SharedBottomModel), data)
    make("omoe", new(library.omoe.OMoEModel, expert_num=3), data)
    make("mmoe", new(library.mmoe.MMoEModel, expert_num=3), data)
    make("ple", new(library.ple.PLEModel, (8, 8, 6), shared_expert_num=1, specific_expert_num=2), data)
    chain = data.people.chain()
    all_year = chain[:, :1] * (data.people.numbers("weeks_worked") == 52).astype("f4")[:, None]
    make("aitm", new(library.aitm.AITMModel, task_num=3), data, CHAIN, np.concatenate([chain, all_year], axis=1))


if __name__ == "__main__":
    main()
