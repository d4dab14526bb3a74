#!/usr/bin/python3
"""Trains two models on Census-Income (KDD) with PyTorch and writes them as model files; the demo registers one of them.

usage: train_census.py TRAINING_FILE TEST_FILE [--out FOLDER] [--seed N]

The files are UCI's census-income.data and census-income.test, plain or gzipped. Needs PyTorch and numpy. The results are
in the repository, so the demo itself needs neither this script nor Python.

Tasks, as in the MMoE paper (KDD 2018): does this person earn above $50,000 a year (income), and did this person never
marry (never_married). Education and marital status are left out of the inputs, as there. The test file is cut in two
halves: the first says when to stop training, the second is looked at once, at the end.
"""

import argparse
import copy
import csv
import gzip
import os
import sys

import numpy as np
import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import mtl_rank as mtl

COLUMNS = """age class_worker det_ind_code det_occ_code education wage_per_hour hs_college marital_stat major_ind_code
major_occ_code race hisp_origin sex union_member unemp_reason full_or_part_emp capital_gains capital_losses
stock_dividends tax_filer_stat region_prev_res state_prev_res det_hh_fam_stat det_hh_summ instance_weight mig_chg_msa
mig_chg_reg mig_move_reg mig_same mig_prev_sunbelt num_emp fam_under_18 country_father country_mother country_self
citizenship own_or_self vet_question vet_benefits weeks_worked year income_50k""".split()

LEFT_OUT = {"education", "marital_stat", "income_50k", "instance_weight"}
DENSE = ["age", "wage_per_hour", "capital_gains", "capital_losses", "stock_dividends", "num_emp", "weeks_worked"]
SKEWED = {"wage_per_hour"}    # log1p; for the other amounts of money it did worse on the validation half
CODES = {"det_ind_code", "det_occ_code", "own_or_self", "vet_benefits", "year"}     # categories that are numbers
SPARSE = [c for c in COLUMNS if c not in LEFT_OUT and c not in DENSE]

TASKS = {"income": ("income_50k", "50000+."), "never_married": ("marital_stat", "Never married")}

EMBEDDING_DIM = 4
EXPERTS = 8
EXPERT_UNITS = 16
TOWER_UNITS = 8

BATCH = 1024
LEARNING_RATE = 0.005
EPOCHS = 40
PATIENCE = 5
UNKNOWN_RATE = 0.005      # of the categories in training, replaced by "unknown" so that its embedding learns something


# ---------------------------------------------------------------- data


def read_people(path):
    """Column -> list of values: numbers for dense columns and codes, text without the blanks around it for the rest."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", newline="") as file:
        rows = [[value.strip() for value in row] for row in csv.reader(file) if row]
    people = dict(zip(COLUMNS, map(list, zip(*rows))))
    for column in [*DENSE, *CODES]:
        people[column] = [int(value) for value in people[column]]
    return people


class Encoder:
    """From people to the network's input: exactly what the contract tells the server to do."""

    def __init__(self, people):
        self.vocabularies = {c: sorted(set(people[c])) for c in SPARSE}
        self.positions = {c: {v: i for i, v in enumerate(entries)} for c, entries in self.vocabularies.items()}
        self.scaling = {}
        for c in DENSE:
            v = self.unskewed(c, np.array(people[c], "f8"))
            self.scaling[c] = (round(v.mean(), 6), round(v.std(), 6))

    @staticmethod
    def unskewed(column, v):
        return np.log1p(v) if column in SKEWED else v

    def ids(self, people):
        """Rows of the embedding tables; row 0 is for values that are unknown or missing."""
        return np.array([[1 + self.positions[c][v] if v in self.positions[c] else 0 for v in people[c]] for c in SPARSE]).T

    def numbers(self, people):
        """Standardized numbers; a missing one becomes 0, which is the mean."""
        result = []
        for c in DENSE:
            mean, std = self.scaling[c]
            v = np.array([np.nan if value is None else value for value in people[c]], "f8")
            result.append(np.nan_to_num((self.unskewed(c, v) - mean) / std, nan=0.0).astype("f4"))
        return np.array(result).T

    def features(self):
        """The contract's features: categories first, then numbers, as DeepCTR orders its input."""
        features = [mtl.sparse(c, mtl.vocabulary_lookup(offset=1), vocabulary_size=1 + len(self.vocabularies[c]),
                               embedding_dim=EMBEDDING_DIM, oov=0, missing="oov") for c in SPARSE]
        for c in DENSE:
            standardize = mtl.standardize(*self.scaling[c])
            transform = [mtl.log1p(), standardize] if c in SKEWED else standardize
            features.append(mtl.dense(c, transform=transform, missing="zero"))
        return features


def labels(people):
    return np.array([[v == positive for v in people[column]] for column, positive in TASKS.values()], "f4").T


def auc(label, score):
    """Area under the ROC curve, from the sum of the positives' ranks; equal scores share their average rank."""
    _, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positives = label.sum()
    return (ranks[label == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


# ---------------------------------------------------------------- networks


def layer(width, units):
    """Linear and ReLU."""
    return nn.Sequential(nn.Linear(width, units), nn.ReLU())


class Network(nn.Module):
    """Embeddings and towers; what stands between them is the subclass's."""

    def __init__(self, table_sizes):
        super().__init__()
        # All tables lie one after the other in one.
        self.register_buffer("first_row", torch.tensor(np.cumsum([0] + table_sizes[:-1])))
        self.table_sizes = table_sizes
        self.embedding = nn.Embedding(sum(table_sizes), EMBEDDING_DIM)
        nn.init.normal_(self.embedding.weight, std=0.05)
        self.width = EMBEDDING_DIM * len(table_sizes) + len(DENSE)
        self.towers = nn.ModuleDict({
            t: nn.Sequential(layer(EXPERT_UNITS, TOWER_UNITS), nn.Linear(TOWER_UNITS, 1)) for t in TASKS})

    def forward(self, ids, numbers):
        """Logits (rows, tasks)."""
        x = torch.cat([self.embedding(ids + self.first_row).flatten(1), numbers], 1)
        read = self.body(x)
        return torch.cat([self.towers[t](read[t]) for t in TASKS], 1)

    def tensors(self):
        """The weights under the names of the model file."""
        tables = torch.split(self.embedding.weight, self.table_sizes)
        tensors = {f"embedding.{c}.weight": table for c, table in zip(SPARSE, tables)}
        for t in TASKS:
            tensors.update(named(f"task.{t}.tower.0", self.towers[t][0][0]))
            tensors.update(named(f"task.{t}.tower.logit", self.towers[t][1]))
        tensors.update(self.body_tensors())
        return {name: tensor.detach().numpy().astype("f4") for name, tensor in tensors.items()}


def named(prefix, linear):
    return {f"{prefix}.{part}": tensor for part, tensor in linear.named_parameters()}


class SharedBottom(Network):
    architecture = mtl.shared_bottom(mtl.mlp([EXPERT_UNITS]), tower=mtl.tower([TOWER_UNITS]))

    def __init__(self, table_sizes):
        super().__init__(table_sizes)
        self.bottom = layer(self.width, EXPERT_UNITS)

    def body(self, x):
        bottom = self.bottom(x)
        return {t: bottom for t in TASKS}

    def body_tensors(self):
        return named("shared.bottom.0", self.bottom[0])


class MMoE(Network):
    architecture = mtl.mmoe(EXPERTS, mtl.mlp([EXPERT_UNITS]), tower=mtl.tower([TOWER_UNITS]))

    def __init__(self, table_sizes):
        super().__init__(table_sizes)
        self.experts = nn.ModuleList([layer(self.width, EXPERT_UNITS) for _ in range(EXPERTS)])
        self.gates = nn.ModuleDict({t: nn.Linear(self.width, EXPERTS, bias=False) for t in TASKS})

    def body(self, x):
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        return {t: (torch.softmax(self.gates[t](x), 1).unsqueeze(2) * experts).sum(1) for t in TASKS}

    def body_tensors(self):
        tensors = {}
        for i, expert in enumerate(self.experts):
            tensors.update(named(f"level.0.expert.{i}.0", expert[0]))
        for t in TASKS:
            tensors.update(named(f"level.0.task.{t}.gate.logit", self.gates[t]))
        return tensors


# ---------------------------------------------------------------- training


def scores(network, ids, numbers):
    """Probabilities (rows, tasks) in double precision."""
    network = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        return torch.sigmoid(network(torch.tensor(ids), torch.tensor(numbers).double())).numpy()


def task_aucs(network, data):
    ids, numbers, y = data
    p = scores(network, ids, numbers)
    return {t: float(auc(y[:, k], p[:, k])) for k, t in enumerate(TASKS)}


def train(network, data, validation, generator):
    """Stops when the mean AUC on the validation half has not risen for some epochs; returns the best network and epoch."""
    ids, numbers, y = (torch.tensor(part) for part in data)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    loss_function = nn.BCEWithLogitsLoss()
    best, best_auc, best_epoch = None, 0.0, 0
    for epoch in range(1, EPOCHS + 1):
        network.train()
        # The training file is sorted: without shuffling every batch would hold one kind of person.
        for rows in torch.randperm(len(ids), generator=generator).split(BATCH):
            unknown = torch.rand((len(rows), ids.shape[1]), generator=generator) < UNKNOWN_RATE
            logits = network(ids[rows].masked_fill(unknown, 0), numbers[rows])
            loss = sum(loss_function(logits[:, k], y[rows, k]) for k in range(len(TASKS)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        aucs = task_aucs(network, validation)
        mean = sum(aucs.values()) / len(aucs)
        print(f"  epoch {epoch:2d}: " + ", ".join(f"{t} {a:.4f}" for t, a in aucs.items()), flush=True)
        if mean > best_auc:
            best, best_auc, best_epoch = copy.deepcopy(network), mean, epoch
        elif epoch - best_epoch >= PATIENCE:
            break
    return best, best_epoch


# ---------------------------------------------------------------- the model file


def example_people(people):
    """Twenty people of the test half; one with a country that nobody knows, one about whom much is missing."""
    inputs = [*SPARSE, *DENSE]
    rows = [{c: people[c][i] for c in inputs} for i in range(-20, 0)]
    rows[0]["country_self"] = "Atlantis"
    rows[1].update({c: None for c in ("age", "stock_dividends", "sex", "det_occ_code")})
    return rows


def make_model(network, encoder, examples, provenance):
    contract = mtl.make_contract(
        architecture=network.architecture,
        features=encoder.features(),
        tasks=[mtl.binary(t) for t in TASKS],
        rank=mtl.rank_sum({"income": 1, "never_married": 0.2}),
        provenance=provenance,
    )
    model = mtl.Model(contract, network.tensors())
    for c in SPARSE:
        model.set_vocabulary(c, encoder.vocabularies[c])
    columns = {c: [row[c] for row in examples] for c in examples[0]}
    model.attach_examples(examples, scores(network, encoder.ids(columns), encoder.numbers(columns)))
    return model


def main():
    parser = argparse.ArgumentParser(description="Trains the demo's models on Census-Income (KDD).")
    parser.add_argument("training_file")
    parser.add_argument("test_file")
    parser.add_argument("--out", default=os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--seed", type=int, default=2018)
    arguments = parser.parse_args()
    torch.set_num_threads(2)

    people, test_people = read_people(arguments.training_file), read_people(arguments.test_file)
    encoder = Encoder(people)
    data = encoder.ids(people), encoder.numbers(people), labels(people)
    test_data = encoder.ids(test_people), encoder.numbers(test_people), labels(test_people)
    half = len(test_data[0]) // 2
    parts = {"validation_half": [d[:half] for d in test_data], "test_half": [d[half:] for d in test_data],
             "test_file": test_data}

    for kind, file_name in ((SharedBottom, "census.safetensors"), (MMoE, "census_mmoe.safetensors")):
        torch.manual_seed(arguments.seed)
        generator = torch.Generator().manual_seed(arguments.seed)
        print(f"{kind.__name__}, AUC on the validation half")
        network = kind([1 + len(encoder.vocabularies[c]) for c in SPARSE])
        network, epoch = train(network, data, parts["validation_half"], generator)
        metrics = {name: {t: round(a, 6) for t, a in task_aucs(network, part).items()} for name, part in parts.items()}
        provenance = {
            "library": f"PyTorch {torch.__version__}",
            "script": "demo/train_census.py",
            "data": "Census-Income (KDD), UCI Machine Learning Repository, CC BY 4.0",
            "rows": len(data[0]),
            "seed": arguments.seed,
            "epochs": epoch,
            "metrics": {"auc": metrics},
        }
        path = os.path.join(arguments.out, file_name)
        make_model(network, encoder, example_people(test_people), provenance).save(path)
        print(f"  epoch {epoch} kept: {metrics}\n  wrote {path}, {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
