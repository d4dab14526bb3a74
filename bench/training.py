#!/usr/bin/python3
"""Rows that mtl_train trains on per second, over those of PyTorch with one thread, on the same rows with the same network, batch
and optimizer; and the AUC that both reach on other rows.

usage: training.py [--rounds 5] [--epochs 4] [--batch 1024]

MMoE with 8 experts of 16 units on half of demo/census-income-test.csv.gz, validated on the other half. Both take turns, the time is that of the
CPU (other processes may run meanwhile), medians are printed. The server is the one that psql connects to (PGHOST, ...), on this
machine. Reading and encoding the rows is not counted: PyTorch is given them as tensors.
"""

import argparse
import csv
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

DATA = pathlib.Path(__file__).parent.parent / "demo" / "census-income-test.csv.gz"
COLUMNS = """age class_worker det_ind_code det_occ_code education wage_per_hour hs_college marital_stat major_ind_code major_occ_code race
hisp_origin sex union_member unemp_reason full_or_part_emp capital_gains capital_losses stock_dividends tax_filer_stat region_prev_res
state_prev_res det_hh_fam_stat det_hh_summ instance_weight mig_chg_msa mig_chg_reg mig_move_reg mig_same mig_prev_sunbelt num_emp fam_under_18
country_father country_mother country_self citizenship own_or_self vet_question vet_benefits weeks_worked year income_50k""".split()
NUMBERS = "age wage_per_hour capital_gains capital_losses stock_dividends num_emp weeks_worked".split()
# what the MMoE paper leaves out, the labels, and a weight
LEFT_OUT = {"education", "marital_stat", "income_50k", "instance_weight"}
CATEGORIES = [name for name in COLUMNS if name not in NUMBERS and name not in LEFT_OUT]
DIM, EXPERTS, UNITS, TOWER, RATE = 4, 8, 16, 8, 0.001


def read_rows():
    with gzip.open(DATA, "rt") as file:
        rows = [[value.strip() for value in row] for row in csv.reader(file)]
    return {name: [row[i] for row in rows] for i, name in enumerate(COLUMNS)}


def labels(data):
    return np.stack([np.array(data["income_50k"]) == "50000+.", np.array(data["marital_stat"]) == "Never married"], 1).astype(np.float32)


# ---------------------------------------------------------------- mtl_train


class Session:
    """One psql, and the process that serves it."""

    def __init__(self):
        self.psql = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.run("SET client_min_messages = warning; SET maintenance_work_mem = '1GB'; CREATE EXTENSION IF NOT EXISTS mtl_rank;")
        self.pid = int(self.ask("SELECT pg_backend_pid()"))

    def run(self, sql):
        self.psql.stdin.write(sql + "\n")

    def ask(self, query):
        self.run(query + ";")
        self.psql.stdin.flush()
        answer = self.psql.stdout.readline()
        if answer == "":
            sys.exit("psql ended")
        return answer.strip()

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load_rows(session, data, targets):
    names = CATEGORIES + NUMBERS
    columns = ", ".join([f"{name} text" for name in CATEGORIES] + [f"{name} real" for name in NUMBERS])
    session.run(f"DROP TABLE IF EXISTS bench_census; CREATE UNLOGGED TABLE bench_census (i int, income int, marital int, {columns});")
    session.run("COPY bench_census FROM stdin;")
    for i in range(len(targets)):
        session.run("\t".join([str(i), *(f"{int(label)}" for label in targets[i]), *(data[name][i] for name in names)]))
    session.run("\\.")


def train(session, args, epochs, validate=False):
    """CPU seconds, and the AUCs if they are asked for."""
    spec = {"architecture": {"type": "mmoe", "num_experts": EXPERTS, "expert": {"hidden_units": [UNITS]}, "tower": {"hidden_units": [TOWER]}},
            "features": [{"name": name, "kind": "sparse", "embedding_dim": DIM} for name in CATEGORIES] +
                        [{"name": name, "kind": "dense", "transform": {"type": "standardize"}} for name in NUMBERS],
            "tasks": [{"name": name, "type": "binary", "label": name} for name in ("income", "marital")]}
    options = {"epochs": epochs, "batch_size": args.batch, "optimizer": {"type": "adam", "learning_rate": RATE}, "examples": 0}
    if validate:
        options["validation"] = {"query": "SELECT * FROM bench_census WHERE i % 2 = 1 ORDER BY i"}
    start = session.cpu_seconds()
    metrics = session.ask(f"""SELECT mtl_describe(mtl_train('{json.dumps(spec)}', 'SELECT * FROM bench_census WHERE i % 2 = 0 ORDER BY i',
        '{json.dumps(options).replace("'", "''")}')) #> '{{contract,provenance,metrics}}'""".replace("\n", " "))
    seconds = session.cpu_seconds() - start
    return seconds, [json.loads(metrics)[task].get("auc") for task in ("income", "marital")]


# ------------------------------------------------------------------ PyTorch


class Mmoe(torch.nn.Module):
    def __init__(self, sizes):
        super().__init__()
        width = len(sizes) * DIM + len(NUMBERS)
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
    numbers = np.array([data[name] for name in NUMBERS], np.float64).T
    numbers = (numbers - numbers[::2].mean(0)) / numbers[::2].std(0)
    return torch.tensor(np.array(ids).T), torch.tensor(numbers.astype(np.float32)), torch.tensor(targets), sizes


def auc(label, score):
    order = np.argsort(score, kind="stable")
    values, inverse, counts = np.unique(score[order], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = label[order] == 1
    n = positive.sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(label) - n))


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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=1024)
    args = parser.parse_args()
    torch.set_num_threads(1)

    data = read_rows()
    targets = labels(data)
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
    our_time, their_time = statistics.median(ours), statistics.median(theirs)
    print(f"mtl_train {rows / our_time:10.0f} rows/s   AUC {our_auc[0]:.4f} / {our_auc[1]:.4f}")
    print(f"PyTorch   {rows / their_time:10.0f} rows/s   AUC {their_auc[0]:.4f} / {their_auc[1]:.4f}")
    print(f"mtl_train over PyTorch: {their_time / our_time:.2f}")


if __name__ == "__main__":
    main()
