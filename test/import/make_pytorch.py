#!/usr/bin/python3
"""Makes the cases of hand-written PyTorch modules, as docs/import/pytorch.md exports them.

usage: make_pytorch.py

Needs PyTorch (Debian: python3-torch).
"""

import os
import shutil

import numpy as np
import torch
from torch import nn

import cases
import training
from census import COUNTRIES, People

import mtl_rank as mtl    # cases has put it on the path

EXAMPLES = 12
DIM = 4
TASKS = ["income", "never_married"]


class Data:
    def __init__(self):
        self.people = People()
        self.countries = self.people.vocabulary(*COUNTRIES)
        self.country = self.people.ids("country_self", self.countries)
        self.family = self.people.sequence(COUNTRIES[:2], self.countries)
        self.family[EXAMPLES - 1] = 0
        self.numbers = np.stack([self.people.numbers("age"), self.people.numbers("weeks_worked")], 1)

    def tensors(self, rows):
        scaled = (self.numbers[rows] - [35, 23]) / [22, 24]
        return torch.from_numpy(self.country[rows]), torch.from_numpy(self.family[rows]), torch.from_numpy(scaled).float()

    def features(self, **dense):
        known = {"lookup": mtl.vocabulary_lookup(vocabulary="country", offset=1), "embedding": "country", "oov": 0}
        return [
            mtl.sparse("country", **known),
            mtl.sequence("family", max_length=2, combiner="mean", padding="?", **known),
            mtl.dense("numbers", columns=["age", "weeks_worked"], transform=mtl.standardize([35, 23], [22, 24]), **dense),
        ]

    def rows(self):
        text = lambda i: "?" if i == 0 else self.countries[i - 1]
        return [{"country": text(self.country[r]), "family": [text(i) for i in self.family[r]],
                 "age": self.numbers[r, 0], "weeks_worked": self.numbers[r, 1]} for r in range(EXAMPLES)]


class Input(nn.Module):
    """One table for both features; the mean over a family counts who is known."""

    def __init__(self, countries):
        super().__init__()
        self.country = nn.Embedding(countries + 1, DIM)
        self.numbers = nn.Linear(2, DIM)

    def forward(self, country, family, numbers):
        known = (family != 0).float().unsqueeze(2)
        mean = (self.country(family) * known).sum(1) / known.sum(1).clamp(min=1)
        return torch.cat([self.country(country), mean, self.numbers(numbers)], 1)


class Mmoe(nn.Module):
    """Layers that differ: batch norm and bias on the first alone, norm after the activation in the towers."""

    def __init__(self, countries):
        super().__init__()
        self.input = Input(countries)
        self.experts = nn.ModuleList(nn.Sequential(
            nn.Linear(3 * DIM, 8, bias=False), nn.BatchNorm1d(8, eps=1e-3), nn.PReLU(), nn.Dropout(0.1), nn.Linear(8, 6), nn.GELU(),
        ) for _ in range(3))
        self.gates = nn.ModuleDict({task: nn.Sequential(nn.Linear(3 * DIM, 3), nn.Softmax(1)) for task in TASKS})
        self.towers = nn.ModuleDict({task: nn.Sequential(
            nn.Linear(6, 5), nn.LeakyReLU(0.2), nn.LayerNorm(5, eps=1e-2), nn.Linear(5, 1), nn.Sigmoid()) for task in TASKS})

    def forward(self, *row):
        x = self.input(*row)
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        return torch.cat([self.towers[task]((self.gates[task](x).unsqueeze(2) * experts).sum(1)) for task in TASKS], 1)


def export_mmoe(net, data):
    export = mtl.TorchExport(net)
    export.embedding("country", net.input.country)
    export.dense("numbers", net.input.numbers)
    expert = export.same([export.mlp(f"level.0.expert.{i}", module) for i, module in enumerate(net.experts)])
    gate = export.same([export.gate(f"level.0.task.{task}.gate", net.gates[task]) for task in TASKS])
    tower = export.same([export.tower(task, net.towers[task]) for task in TASKS])
    return export.finish(mtl.mmoe(3, expert, gate=gate, tower=tower), data.features(embedding_dim=DIM, embedding_bias=True),
                         [mtl.binary(task) for task in TASKS], {"country": data.countries})


class CrossStitch(nn.Module):
    """Functions in forward(), parameters of its own, a regression, an extra head for training alone."""

    def __init__(self, countries):
        super().__init__()
        self.input = Input(countries)
        self.columns = nn.ModuleList(nn.Linear(3 * DIM, 6) for _ in TASKS)
        self.stitch = nn.Parameter(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
        self.heads = nn.ModuleList(nn.Linear(6, 1) for _ in TASKS)
        self.auxiliary = nn.Linear(6, 3)

    def forward(self, *row):
        x = self.input(*row)
        columns = torch.stack([torch.tanh(column(x)) for column in self.columns], 1)
        stitched = torch.einsum("ts,bsu->btu", self.stitch, columns)
        return torch.cat([torch.sigmoid(self.heads[0](stitched[:, 0])), self.heads[1](stitched[:, 1])], 1)


def export_cross_stitch(net, data):
    export = mtl.TorchExport(net)
    export.embedding("country", net.input.country)
    export.dense("numbers", net.input.numbers)
    column = export.same([export.mlp(f"task.{task}.column", net.columns[t], "tanh") for t, task in enumerate(TASKS)])
    export.tensor("stitch.0.weight", "stitch")
    tower = export.same([export.tower(task, net.heads[t]) for t, task in enumerate(TASKS)])
    export.leave_out("auxiliary.")
    return export.finish(mtl.cross_stitch(column, tower=tower), data.features(embedding_dim=DIM, embedding_bias=True),
                         [mtl.binary("income"), mtl.regression("never_married")], {"country": data.countries})


def make(name, make_net, export, data):
    training.seed()
    net = make_net(len(data.countries))
    training.train(net, lambda rows: net(*data.tensors(rows)), data.people.labels(), (0, 1))
    training.spread_norms(net)
    model = export(net, data)
    model.attach_examples(data.rows(), net(*data.tensors(np.arange(EXAMPLES))).detach().numpy())
    folder = cases.folder(f"pytorch_{name}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model.save(os.path.join(folder, "model.safetensors"))
    print(f"== pytorch_{name}: {model}")


def main():
    data = Data()
    make("mmoe", Mmoe, export_mmoe, data)
    make("cross_stitch", CrossStitch, export_cross_stitch, data)


if __name__ == "__main__":
    main()
