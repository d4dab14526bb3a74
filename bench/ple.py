#!/usr/bin/python3
"""PLE on Census-Income, with education among its inputs, by mtl_train and by PyTorch: the same network, options and rows.

usage: ple.py --data FOLDER [--inputs numbers,both] [--seeds 3] [--torch-seeds 3] [--epochs N] [--search]

The folder has census-income-kdd.train.sorted.csv.gz and census-income-kdd.test.csv.gz (UCI, 199,523 and 99,762 rows). Inputs are
"numbers", the published ones, or "both", where the numbers are also given as categories. The even rows of the test file choose
the epoch; --search compares SEARCH by these alone. The AUC of income / marital is that of the odd rows.
"""

import argparse
import collections
import json
import pathlib
import time

import numpy as np
import torch

from session import CENSUS, CENSUS_NUMBERS, Session, auc, census_labels, literal, mean_and_error, read_census

# marital is a label, income too; the weight says how many people a row stands for
LEFT_OUT = {"marital_stat", "income_50k", "instance_weight"}
CATEGORIES = [name for name in CENSUS if name not in CENSUS_NUMBERS and name not in LEFT_OUT]
TASKS = ("income", "marital")
SHARED, SPECIFIC, LEVELS = 4, 2, 2
MIN_COUNT, PATIENCE = 10, 3

# The best of the search.
OPTIONS = {"dim": 8, "units": [32], "tower": [8], "batch": 1024, "rate": 0.001, "dropout": 0, "l2": 0, "norm": False,
           "schedule": "constant", "epochs": 10, "log": False, "both": True}
SMALL = {"dim": 4, "units": [16]}
# by --inputs; all but one run of 10 epochs were best after the last with the published inputs
INPUTS = {"numbers": {**OPTIONS, **SMALL, "both": False, "epochs": 30}, "both": OPTIONS}
SEARCH = [
    {**SMALL, "both": False},
    SMALL,
    {**SMALL, "norm": True},
    {**SMALL, "dropout": 0.1, "l2": 1e-6},
    {**SMALL, "log": True, "batch": 2048, "rate": 0.002, "schedule": "cosine", "dropout": 0.1},
    {"log": True, "batch": 2048, "rate": 0.002, "schedule": "cosine", "l2": 1e-5},
]


def spec(options):
    numbers = [{"name": name, "kind": "dense", "transform":
                [{"type": "log1p"}, {"type": "standardize"}] if options["log"] and name != "age" else {"type": "standardize"}}
               for name in CENSUS_NUMBERS]
    sparse = [{"name": name, "kind": "sparse", "embedding_dim": options["dim"]} for name in CATEGORIES]
    if options["both"]:
        sparse += [{"name": "c_" + name, "kind": "sparse", "embedding_dim": options["dim"], "min_count": MIN_COUNT} for name in CENSUS_NUMBERS]
    layers = {"normalization": {"type": "batch_norm"}} if options["norm"] else {}
    return {"architecture": {"type": "ple", "num_levels": LEVELS, "specific_expert_num": SPECIFIC, "shared_expert_num": SHARED,
                             "expert": {"hidden_units": options["units"], **layers}, "tower": {"hidden_units": options["tower"], **layers}},
            "features": sparse + numbers, "tasks": [{"name": task, "type": "binary", "label": task} for task in TASKS]}


def training_options(options, seed):
    return {"epochs": options["epochs"], "batch_size": options["batch"], "seed": seed, "examples": 0,
            "optimizer": {"type": "adam", "learning_rate": options["rate"]}, "schedule": {"type": options["schedule"]},
            "dropout": options["dropout"], "l2": {"embeddings": options["l2"]},
            "early_stopping": {"watch": "income", "patience": PATIENCE},
            "validation": {"query": "SELECT * FROM bench_census WHERE part = 1 ORDER BY i"}}


def load_rows(session, parts):
    names = CATEGORIES + CENSUS_NUMBERS
    columns = ", ".join([f"{name} text" for name in CATEGORIES] + [f"{name} real" for name in CENSUS_NUMBERS])
    generated = ", ".join(f"c_{name} int GENERATED ALWAYS AS ({name}) STORED" for name in CENSUS_NUMBERS)
    session.run("DROP TABLE IF EXISTS bench_census; CREATE UNLOGGED TABLE bench_census "
                f"(i int, part int, income int, marital int, {columns}, {generated});")
    target = "bench_census (i, part, income, marital, " + ", ".join(names) + ")"
    for test, data in enumerate(parts):
        labels = census_labels(data)
        session.copy(target, ([str(i), str(1 + i % 2 if test else 0), *(f"{int(label)}" for label in labels[i]), *(data[name][i] for name in names)]
                              for i in range(len(labels))))
    session.run("ANALYZE bench_census;")


def train(session, options, seed):
    """AUCs on the even and the odd rows of the test file, and epochs."""
    session.run("DROP TABLE IF EXISTS bench_model; CREATE UNLOGGED TABLE bench_model AS SELECT mtl_train(%s, %s, %s) AS model;" % (
        literal(spec(options)), literal("SELECT * FROM bench_census WHERE part = 0 ORDER BY i"), literal(training_options(options, seed))))
    provenance = json.loads(session.ask("SELECT mtl_describe(model) #> '{contract,provenance}' FROM bench_model"))
    test = session.ask("SELECT json_build_array(%s) FROM bench_model, bench_census c WHERE part = 2" %
                       ", ".join(f"mtl_auc({task}, mtl_score(model, c, '{task}'))" for task in TASKS))
    return [provenance["metrics"][task]["auc"] for task in TASKS], json.loads(test), provenance["best_epoch"]


# ------------------------------------------------------------------ PyTorch


class Level(torch.nn.Module):
    """Experts and gates; the shared gate, which mixes all experts, is on every level but the last."""

    def __init__(self, width, units, last):
        super().__init__()
        self.sizes = [SPECIFIC] * len(TASKS) + [SHARED]
        self.last = last
        self.experts = torch.nn.ModuleList(torch.nn.Linear(width, units * size) for size in self.sizes)
        gates = [SPECIFIC + SHARED] * len(TASKS) + ([] if last else [sum(self.sizes)])
        self.gates = torch.nn.ModuleList(torch.nn.Linear(width, size, bias=False) for size in gates)
        self.units = units

    def forward(self, inputs):
        groups = [torch.relu(experts(x)).reshape(len(x), size, self.units) for experts, x, size in zip(self.experts, inputs, self.sizes)]
        mixes = []
        for i, gate in enumerate(self.gates):
            experts = torch.cat(groups if i == len(TASKS) else [groups[i], groups[-1]], 1)
            mixes.append((torch.softmax(gate(inputs[i]), 1).unsqueeze(2) * experts).sum(1))
        return mixes


class Ple(torch.nn.Module):
    def __init__(self, sizes, options):
        super().__init__()
        width, units, tower = len(sizes) * options["dim"] + len(CENSUS_NUMBERS), options["units"][0], options["tower"][0]
        self.embeddings = torch.nn.ModuleList(torch.nn.Embedding(size, options["dim"]) for size in sizes)
        self.levels = torch.nn.ModuleList(Level(units if i else width, units, i == LEVELS - 1) for i in range(LEVELS))
        self.towers = torch.nn.ModuleList(
            torch.nn.Sequential(torch.nn.Linear(units, tower), torch.nn.ReLU(), torch.nn.Linear(tower, 1)) for _ in TASKS)
        for module in self.modules():
            if isinstance(module, torch.nn.Embedding):
                torch.nn.init.uniform_(module.weight, -0.05, 0.05)
            if isinstance(module, torch.nn.Linear):
                if module.bias is not None:
                    torch.nn.init.zeros_(module.bias)
                torch.nn.init.xavier_uniform_(module.weight)
        # each expert for itself, as there are no matrices of several
        for level in self.levels:
            for experts in level.experts:
                for weight in experts.weight.data.split(units):
                    torch.nn.init.xavier_uniform_(weight)

    def forward(self, ids, numbers):
        x = torch.cat([embedding(ids[:, i]) for i, embedding in enumerate(self.embeddings)] + [numbers], 1)
        representations = [x] * (len(TASKS) + 1)
        for level in self.levels:
            representations = level(representations)
        return torch.sigmoid(torch.cat([tower(mix) for tower, mix in zip(self.towers, representations)], 1))


def tensors(parts, options):
    """Ids (0: unknown), scaled numbers and labels of the rows of both files, and the sizes of the tables."""
    count = len(parts[0]["age"])
    joined = {name: parts[0][name] + parts[1][name] for name in CENSUS}
    ids, sizes = [], []
    for name in CATEGORIES + (CENSUS_NUMBERS if options["both"] else []):
        seen = collections.Counter(joined[name][:count])
        known = [value for value in sorted(seen) if name in CATEGORIES or seen[value] >= MIN_COUNT]
        vocabulary = {value: i + 1 for i, value in enumerate(known)}
        ids.append([vocabulary.get(value, 0) for value in joined[name]])
        sizes.append(len(known) + 1)
    numbers = np.array([joined[name] for name in CENSUS_NUMBERS], np.float64).T
    numbers = (numbers - numbers[:count].mean(0)) / numbers[:count].std(0)
    return torch.tensor(np.array(ids).T), torch.tensor(numbers.astype(np.float32)), torch.tensor(census_labels(joined)), sizes, count


def train_torch(inputs, options, seed):
    """As train."""
    ids, numbers, targets, sizes, count = inputs
    torch.manual_seed(seed)
    model = Ple(sizes, options)
    optimizer = torch.optim.Adam(model.parameters(), options["rate"])
    loss = torch.nn.BCELoss()
    best = ([0], None, 0)
    for epoch in range(1, 1 + options["epochs"]):
        order = torch.randperm(count)
        for begin in range(0, count, options["batch"]):
            batch = order[begin:begin + options["batch"]]
            optimizer.zero_grad()
            scores = model(ids[batch], numbers[batch])
            (loss(scores[:, 0], targets[batch, 0]) + loss(scores[:, 1], targets[batch, 1])).backward()
            optimizer.step()
        with torch.no_grad():
            scores = model(ids[count:], numbers[count:]).numpy()
        labels = targets[count:].numpy()
        even, odd = ([auc(labels[i::2, k], scores[i::2, k]) for k in range(len(TASKS))] for i in range(2))
        if even[0] > best[0][0]:
            best = (even, odd, epoch)
        if epoch - best[2] == PATIENCE:
            break
    return best


def report(name, seed, result, start):
    print("%-10s seed %d   even rows %.4f / %.4f   odd rows %.4f / %.4f   best epoch %d   %.0f s" %
          (name, seed, *result[0], *result[1], result[2], time.monotonic() - start), flush=True)
    return result[1]


def compare(session, parts, name, options, args):
    """The same network, rows and options on both sides, seed by seed."""
    print(f"inputs: {name}")
    aucs = {"mtl_train": [], "PyTorch": []}
    for seed in range(args.seeds):
        start = time.monotonic()
        aucs["mtl_train"].append(report("mtl_train", seed, train(session, options, seed), start))
    inputs = tensors(parts, options)
    for seed in range(args.torch_seeds):
        start = time.monotonic()
        aucs["PyTorch"].append(report("PyTorch", seed, train_torch(inputs, options, seed), start))
    for side, values in aucs.items():
        if len(values) > 1:
            print(f"{side:10} odd rows " + " / ".join(mean_and_error(column) for column in np.array(values).T), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--inputs", default=",".join(INPUTS), type=lambda s: s.split(","))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--torch-seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="at most, instead of 30 and 10")
    parser.add_argument("--search", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)

    session = Session()
    parts = [read_census(args.data / f"census-income-kdd.{name}.csv.gz") for name in ("train.sorted", "test")]
    load_rows(session, parts)
    print("AUC of income / marital")
    limit = {"epochs": args.epochs} if args.epochs else {}
    for change in SEARCH if args.search else []:
        start = time.monotonic()
        report(json.dumps(change), 0, train(session, {**OPTIONS, **change, **limit}, 0), start)
    for name in args.inputs:
        compare(session, parts, name, {**INPUTS[name], **limit}, args)
    session.run("DROP TABLE IF EXISTS bench_census, bench_model;")


if __name__ == "__main__":
    main()
