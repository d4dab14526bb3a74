#!/usr/bin/python3
"""Makes the cases of TorchEasyRec: trains its models and saves what they save.

usage: make_torch_easyrec.py FOLDER      a checkout of alibaba/TorchEasyRec

Run are the library's own model classes (tzrec/models/{mmoe,ple,dbmtl}.py, with what they inherit), their predict() and all their
modules, configured by the library's own protocol buffers. TorchRec, which cannot be installed everywhere, is not: in place of the
embedding group stands one of torch.nn.EmbeddingBag, with the same names of tables and the same order. Metrics, losses, readers of
data and features are empty names.

Needs PyTorch and protocol buffers (Debian: python3-torch, python3-protobuf, protobuf-compiler).
"""

import importlib.abc
import importlib.machinery
import os
import subprocess
import sys
import tempfile
import types
import warnings

import numpy as np
import torch

import cases
import training
from census import COUNTRIES, WORK, People

EXAMPLES = 12

# Of the library's imports: those that nothing of what runs here uses. Any name in them is an empty class.
EMPTY = (
    "torchrec", "torchmetrics", "tzrec.acc", "tzrec.datasets", "tzrec.features", "tzrec.loss", "tzrec.metrics", "tzrec.ops",
    "tzrec.modules.embedding", "tzrec.modules.variational_dropout",
    *(f"tzrec.protos.{name}_pb2" for name in ("data", "eval", "export", "pipeline", "train")),
)
PROTOCOLS = ("model", "loss", "metric", "module", "tower", "simi", "seq_encoder", "models/rank_model", "models/multi_task_rank",
             "models/match_model", "models/general_rank_model", "models/sid_model")


class Empty(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (), {})
        setattr(self, name, value)
        return value


class EmptyModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if any(name == empty or name.startswith(f"{empty}.") for empty in EMPTY):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec):
        return Empty(spec.name)

    def exec_module(self, module):
        pass


class EmbeddingGroup(torch.nn.Module):
    """In place of tzrec.modules.embedding.EmbeddingGroup: each feature's vector, side by side in the order of the group."""

    def __init__(self, features, feature_groups, **_):
        super().__init__()
        self.features = {feature.name: feature for feature in features}
        self.groups = {group.group_name: list(group.feature_names) for group in feature_groups}
        bags = torch.nn.ModuleDict()
        for feature in features:
            if feature.table is not None and feature.table not in bags:
                bags[feature.table] = torch.nn.EmbeddingBag(feature.rows, feature.width, mode=feature.pooling)
        self.emb_impls = torch.nn.ModuleDict({"__BASE__": torch.nn.Module()})
        self.emb_impls["__BASE__"].ebc = torch.nn.Module()
        self.emb_impls["__BASE__"].ebc.embedding_bags = bags

    def group_names(self):
        return list(self.groups)

    def group_total_dim(self, name):
        return sum(self.features[feature].width for feature in self.groups[name])

    def vector(self, feature, values):
        if feature.table is None:
            return torch.tensor(np.array(values), dtype=torch.float32).reshape(len(values), -1)
        bag = self.emb_impls["__BASE__"].ebc.embedding_bags[feature.table]
        offsets = np.cumsum([0] + [len(ids) for ids in values[:-1]])
        ids = torch.tensor([i for ids in values for i in ids], dtype=torch.int64)
        # Features that share a table may pool in two ways.
        return torch.nn.functional.embedding_bag(ids, bag.weight, torch.from_numpy(offsets), mode=feature.pooling)

    def forward(self, batch):
        return {name: torch.cat([self.vector(self.features[feature], batch[feature]) for feature in features], dim=1)
                for name, features in self.groups.items()}


def import_library(folder, work):
    """The library's models, and its messages, compiled to `work`."""
    files = [f"tzrec/protos/{name}.proto" for name in PROTOCOLS]
    subprocess.run(["protoc", "-I.", f"--python_out={work}", *files], cwd=folder, check=True)
    sys.meta_path.insert(0, EmptyModules())
    for name, paths in {
        "tzrec": [os.path.join(folder, "tzrec")],
        "tzrec.protos": [os.path.join(work, "tzrec", "protos")],
        "tzrec.protos.models": [os.path.join(work, "tzrec", "protos", "models")],
    }.items():
        package = types.ModuleType(name)       # without the packages' own __init__, which load everything
        package.__path__ = paths
        sys.modules[name] = package

    import tzrec.modules.embedding
    tzrec.modules.embedding.EmbeddingGroup = EmbeddingGroup

    from google.protobuf import text_format
    import tzrec.models.dbmtl
    import tzrec.models.mmoe
    import tzrec.models.ple
    from tzrec.protos.model_pb2 import ModelConfig

    models = {"mmoe": tzrec.models.mmoe.MMoE, "ple": tzrec.models.ple.PLE, "dbmtl": tzrec.models.dbmtl.DBMTL}
    return models, lambda text: text_format.Parse(text, ModelConfig())


class Feature:
    """What the stand-in for the embedding group wants to know of a feature."""

    def __init__(self, name, width, table=None, rows=0, pooling="sum"):
        self.name, self.width, self.table, self.rows, self.pooling = name, width, table, rows, pooling


class Data:
    def __init__(self):
        people = People()
        self.people = people
        self.countries, self.education, self.work = (people.vocabulary(*columns) for columns in (COUNTRIES, ["education"], WORK))
        self.features = [
            Feature("age", 1),
            Feature("country", 4, "country_emb", len(self.countries)),
            Feature("family", 4, "country_emb", len(self.countries), "mean"),
            Feature("education", 3, "schools", len(self.education)),
            Feature("worked", 2),
            Feature("work", 5, "work_emb", len(self.work)),
        ]
        known = lambda ids: [i - 1 for i in ids if i > 0]
        ids = lambda column, vocabulary: [known([i]) for i in people.ids(column, vocabulary)]
        lists = lambda columns, vocabulary: [known(row) for row in people.sequence(columns, vocabulary)]
        self.columns = {
            "age": people.numbers("age")[:, None] / 50,
            "country": ids("country_self", self.countries),
            "family": lists(COUNTRIES[:2], self.countries),
            "education": ids("education", self.education),
            "worked": np.stack([people.numbers("weeks_worked") / 26, people.numbers("num_emp")], axis=1),
            "work": lists(WORK, self.work),
        }
        # The last example has nothing but numbers.
        for name in ("country", "family", "education", "work"):
            self.columns[name][EXAMPLES - 1] = []

    def batch(self, rows):
        return {name: [values[r] for r in rows] for name, values in self.columns.items()}

    def group(self):
        names = " ".join(f'feature_names: "{feature.name}"' for feature in self.features)
        return f'feature_groups {{ group_name: "all" {names} group_type: DEEP }}'

    def config(self):
        table = {"lookup": {"type": "vocabulary", "vocabulary": "countries"}, "oov": "zero"}
        return {
            "features": [
                {"name": "age", "kind": "dense", "transform": {"type": "min_max", "min": 0, "max": 50}},
                {"name": "country", "kind": "sparse", **table},
                {"name": "family", "kind": "sequence", "embedding": "country", "max_length": 2, "combiner": "mean",
                 "lookup": table["lookup"], "oov": "skip"},
                {"name": "education", "kind": "sparse", "embedding": "schools", "missing": "zero"},
                {"name": "worked", "kind": "dense", "width": 2},
                {"name": "work", "kind": "sequence", "max_length": 3},
            ],
            "vocabularies": {"countries": self.countries},
        }

    def rows(self):
        text = lambda r: [self.people.columns[column][r] for column in COUNTRIES[:2]]
        return [{
            "age": self.people.columns["age"][r],
            "country": "?" if r == EXAMPLES - 1 else self.people.columns["country_self"][r],
            "family": ["?", "unheard of"] if r == EXAMPLES - 1 else text(r),
            "education": (self.columns["education"][r] or [None])[0],
            "worked": self.columns["worked"][r].tolist(),
            "work": self.columns["work"][r],
        } for r in range(EXAMPLES)]

    def labels(self):
        """Earns above $50,000; never married; and the same two as classes, with a third for the rest."""
        labels = self.people.labels()
        classes = np.where(labels[:, 0] > 0, 0, np.where(labels[:, 1] > 0, 1, 2))
        return np.concatenate([labels, np.eye(3, dtype="f4")[classes]], axis=1)


LOSSES = {"binary": "losses { binary_cross_entropy {} }", "softmax": "losses { softmax_cross_entropy {} } num_class: 2",
          "multiclass": "losses { softmax_cross_entropy {} } num_class: 3", "regression": "losses { l2_loss {} }"}
# Per kind of task: what predict() calls its scores, and the columns of labels() that it learns.
SCORES = {"binary": "probs_{}", "softmax": "probs1_{}", "multiclass": "probs_{}", "regression": "y_{}"}
LABELS = {"income": (0,), "never_married": (1,), "class": (2, 3, 4)}


def outputs(tasks):
    return [f"{task}.{c}" if kind == "multiclass" else task
            for task, kind in tasks.items() for c in range(3 if kind == "multiclass" else 1)]


def tower(name, kind, more=""):
    return f'task_towers {{ tower_name: "{name}" label_name: "{name}" {LOSSES[kind]} {more} }}'


def make(name, library, data, kind, text, tasks, **config):
    models, parse = library
    training.seed()
    message = parse(f"{data.group()} {kind} {{ {text} }}")
    model = models[kind](message, data.features, list(tasks))

    def forward(rows):
        predictions = model.predict(data.batch(rows))
        return torch.cat([predictions[SCORES[how].format(task)].reshape(len(rows), -1) for task, how in tasks.items()], dim=1)

    training.train(model, forward, data.labels(), [column for task in tasks for column in LABELS[task]])
    training.spread_norms(model)
    with torch.no_grad():
        for part in model.modules():       # so that one that was left out would show
            if isinstance(part, torch.nn.LayerNorm):
                part.weight.add_(torch.linspace(-0.3, 0.4, len(part.weight)))
                part.bias.add_(torch.linspace(0.2, -0.3, len(part.bias)))
            elif hasattr(part, "alpha"):
                part.alpha.add_(torch.linspace(-0.3, 0.4, len(part.alpha)))
        scores = forward(np.arange(EXAMPLES)).numpy()
    types_of = {"softmax": "binary"}
    cases.write_case(
        f"torch_easyrec_{name}", lambda path: torch.save(model.state_dict(), path),
        {**data.config(), "tasks": [{"name": task, "type": types_of.get(how, how)} for task, how in tasks.items()], **config},
        data.rows(), {output: scores[:, i] for i, output in enumerate(outputs(tasks))},
    )


def mlp(name, *units, more=""):
    return f"{name} {{ {' '.join(f'hidden_units: {u}' for u in units)} {more} }}"


def main():
    warnings.simplefilter("ignore", UserWarning)        # the library calls sigmoid by an old name
    data = Data()
    with tempfile.TemporaryDirectory() as work:
        library = import_library(os.path.abspath(sys.argv[1]), work)
        norm, layer_norm = "use_bn: true", "use_ln: true"

        make("mmoe", library, data, "mmoe",
             f"{mlp('expert_mlp', 8, 6, more=norm)} {mlp('gate_mlp', 5)} num_expert: 3 "
             + tower("income", "binary", mlp("mlp", 4)) + tower("never_married", "softmax", mlp("mlp", 5)),
             {"income": "binary", "never_married": "softmax"}, activation="nn.ReLU")
        dice = "activation: 'Dice'"
        make("mmoe_dice", library, data, "mmoe",
             f"{mlp('expert_mlp', 8, more=f'{norm} {dice}')} num_expert: 2 "
             + tower("income", "binary", mlp("mlp", 4, more="activation: 'nn.LeakyReLU(negative_slope=0.2)' bias: false"))
             + tower("class", "multiclass", mlp("mlp", 4, more="activation: 'nn.LeakyReLU(negative_slope=0.2)' bias: false")),
             {"income": "binary", "class": "multiclass"}, activation="Dice",
             activations={"tower": "nn.LeakyReLU(negative_slope=0.2)"}, bias={"tower": False})
        network = lambda name, own, shared, *units, more="": (
            f'extraction_networks {{ network_name: "{name}" expert_num_per_task: {own} share_num: {shared} '
            f"{mlp('task_expert_net', *units, more=more)} {mlp('share_expert_net', *units, more=more)} }}")
        make("ple", library, data, "ple",
             network("first", 2, 1, 8, 6, more=layer_norm) + network("second", 1, 2, 5)
             + tower("income", "binary") + tower("never_married", "regression", mlp("mlp", 4)),
             {"income": "binary", "never_married": "regression"}, activation="nn.ReLU")
        relation = lambda units, *towers: mlp("relation_mlp", units) + " ".join(f' relation_tower_names: "{t}"' for t in towers)
        make("dbmtl", library, data, "dbmtl",
             f"{mlp('bottom_mlp', 8)} {mlp('expert_mlp', 6)} num_expert: 2 "
             + tower("income", "binary", mlp("mlp", 5)) + tower("class", "multiclass", relation(4, "income"))
             + tower("never_married", "binary", mlp("mlp", 3) + relation(4, "class", "income")),
             {"income": "binary", "class": "multiclass", "never_married": "binary"}, activation="nn.ReLU",
             relations={"class": ["income"], "never_married": ["class", "income"]})
        make("dbmtl_plain", library, data, "dbmtl", tower("income", "binary") + tower("never_married", "softmax", mlp("mlp", 4)),
             {"income": "binary", "never_married": "softmax"}, activation="nn.ReLU")


if __name__ == "__main__":
    main()
