#!/usr/bin/python3
"""Rows that mtl_train trains on per second, over those of PyTorch with one thread, on the same rows with the same network, batch
and optimizer; and the AUC that both reach on other rows.

usage: training.py [--rounds 5] [--epochs 4] [--batch 1024]

MMoE with 8 experts of 16 units on half of demo/census-income-test.csv.gz, validated on the other half. Both take turns, the time is that of the
CPU (other processes may run meanwhile), medians are printed. The server is the one that psql connects to (PGHOST, ...), on this
machine. Reading and encoding the rows is not counted: PyTorch is given them as tensors.
"""

import argparse
import pathlib
import statistics
import time

import numpy as np
import torch

from session import CENSUS, CENSUS_NUMBERS, Session, auc, census_labels, read_census

DATA = pathlib.Path(__file__).parent.parent / "demo" / "census-income-test.csv.gz"
# what the MMoE paper leaves out, the labels, and a weight
LEFT_OUT = {"education", "marital_stat", "income_50k", "instance_weight"}
CATEGORIES = [name for name in CENSUS if name not in CENSUS_NUMBERS and name not in LEFT_OUT]
DIM, EXPERTS, UNITS, TOWER, RATE = 4, 8, 16, 8, 0.001


# ---------------------------------------------------------------- mtl_train


def load_rows(session, data, targets):
    names = CATEGORIES + CENSUS_NUMBERS
    columns = ", ".join([f"{name} text" for name in CATEGORIES] + [f"{name} real" for name in CENSUS_NUMBERS])
    session.run(f"DROP TABLE IF EXISTS bench_census; CREATE UNLOGGED TABLE bench_census (i int, income int, marital int, {columns});")
    session.copy("bench_census", ([str(i), *(f"{int(label)}" for label in targets[i]), *(data[name][i] for name in names)]
                                  for i in range(len(targets))))


def spec():
    return {"architecture": {"type": "mmoe", "num_experts": EXPERTS, "expert": {"hidden_units": [UNITS]}, "tower": {"hidden_units": [TOWER]}},
            "features": [{"name": name, "kind": "sparse", "embedding_dim": DIM} for name in CATEGORIES] +
                        [{"name": name, "kind": "dense", "transform": {"type": "standardize"}} for name in CENSUS_NUMBERS],
            "tasks": [{"name": name, "type": "binary", "label": name} for name in ("income", "marital")]}


def options(epochs, batch):
    return {"epochs": epochs, "batch_size": batch, "optimizer": {"type": "adam", "learning_rate": RATE}, "examples": 0}


QUERY = "SELECT * FROM bench_census WHERE i % 2 = 0 ORDER BY i"


def train(session, args, epochs, validate=False):
    """CPU seconds, and the AUCs if they are asked for."""
    chosen = options(epochs, args.batch)
    if validate:
        chosen["validation"] = {"query": "SELECT * FROM bench_census WHERE i % 2 = 1 ORDER BY i"}
    start = session.cpu_seconds()
    metrics = session.train(spec(), QUERY, chosen)["metrics"]
    seconds = session.cpu_seconds() - start
    return seconds, [metrics[task].get("auc") for task in ("income", "marital")]


# ------------------------------------------------------------------ PyTorch


class Mmoe(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        width = len(sizes) * DIM + len(CENSUS_NUMBERS)
        self.embeddings = torch.nn.ModuleList(torch.nn.Embedding(size, DIM) for size in sizes)
        self.experts = torch.nn.ModuleList(torch.nn.Linear(width, UNITS) for _ in range(EXPERTS))
        self.gates = torch.nn.ModuleList(torch.nn.Linear(width, EXPERTS, bias=False) for _ in range(2))
        self.towers = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Linear(UNITS, TOWER), torch.nn.ReLU(), torch.nn.Linear(TOWER, 1)) for _ in range(2))
        for module in self.modules():
            if isinstance(module, torch.nn.Embedding):
                torch.nn.init.uniform_(module.weight, -0.05, 0.05)
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    torch.nn.init.zeros_(module.bias)

    def forward(self, ids, numbers):
        x = torch.cat([embedding(ids[:, i]) for i, embedding in enumerate(self.embeddings)] + [numbers], 1)
        experts = torch.stack([torch.relu(expert(x)) for expert in self.experts], 1)
        mixes = [(torch.softmax(gate(x), 1).unsqueeze(2) * experts).sum(1) for gate in self.gates]
        return torch.sigmoid(torch.cat([tower(mix) for tower, mix in zip(self.towers, mixes)], 1))


def tensors(data, targets):
    """Ids (0: not seen in training), scaled numbers, labels, and the sizes of the tables."""
    ids, sizes = [], []
    for name in CATEGORIES:
        vocabulary = {value: i + 1 for i, value in enumerate(sorted(set(data[name][::2])))}
        ids.append([vocabulary.get(value, 0) for value in data[name]])
        sizes.append(len(vocabulary) + 1)
    numbers = np.array([data[name] for name in CENSUS_NUMBERS], np.float64).T
    numbers = (numbers - numbers[::2].mean(0)) / numbers[::2].std(0)
    return torch.tensor(np.array(ids).T), torch.tensor(numbers.astype(np.float32)), torch.tensor(targets), sizes


def train_torch(args, ids, numbers, targets, sizes, epochs, seed):
    """CPU seconds of all epochs, and the AUCs."""
    torch.manual_seed(seed)
    model = Mmoe(sizes)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    loss = torch.nn.BCELoss()
    start = time.process_time()
    for _ in range(epochs):
        order = 2 * torch.randperm((len(targets) + 1) // 2)
        for begin in range(0, len(order), args.batch):
            batch = order[begin:begin + args.batch]
            optimizer.zero_grad()
            scores = model(ids[batch], numbers[batch])
            (loss(scores[:, 0], targets[batch, 0]) + loss(scores[:, 1], targets[batch, 1])).backward()
            optimizer.step()
    seconds = time.process_time() - start
    with torch.no_grad():
        scores = model(ids[1::2], numbers[1::2]).numpy()
    return seconds, [auc(targets[1::2, k].numpy(), scores[:, k]) for k in range(2)]


def compare(args):
    """Rows per second of mtl_train and of PyTorch, and the AUCs of both."""
    torch.set_num_threads(1)
    data = read_census(DATA)
    targets = census_labels(data)
    session = Session()
    load_rows(session, data, targets)
    inputs = tensors(data, targets)
    rows = (len(targets) + 1) // 2
    ours, theirs, our_auc, their_auc = [], [], [], []
    for i in range(args.rounds):
        # the difference takes out what is done once
        ours.append((train(session, args, 1 + args.epochs)[0] - train(session, args, 1)[0]) / args.epochs)
        our_auc = train(session, args, 1 + args.epochs, validate=True)[1]
        seconds, their_auc = train_torch(args, *inputs, 1 + args.epochs, i)
        theirs.append(seconds / (1 + args.epochs))
    session.run("DROP TABLE bench_census;")
    session.close()
    return {"mtl_train": {"rows per second": rows / statistics.median(ours), "AUC": our_auc},
            "PyTorch": {"rows per second": rows / statistics.median(theirs), "AUC": their_auc}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1024)
    results = compare(parser.parse_args())
    for name, result in results.items():
        print(f"{name:9} {result['rows per second']:10.0f} rows/s   AUC {result['AUC'][0]:.4f} / {result['AUC'][1]:.4f}")
    print(f"mtl_train over PyTorch: {results['mtl_train']['rows per second'] / results['PyTorch']['rows per second']:.2f}")


if __name__ == "__main__":
    main()
