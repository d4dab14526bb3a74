#!/usr/bin/python3
"""ESMM on Hillstrom's e-mail challenge, against the same network for P(conversion | visit) trained on visited rows alone.

usage: hillstrom.py --data FOLDER [--seeds 20]

The folder has hillstrom-email.csv.gz: 64,000 customers, of whom 9,394 visited the shop and 578 bought. For each seed half of them are
trained on, a quarter chooses the number of epochs, and on the last quarter these AUCs are compared, in pairs:

  ctcvr  of P(visit and conversion) over all rows
  cvr    of P(conversion | visit) over visited rows

ESMM trains ctr and ctcvr = ctr * cvr over all rows, with shared embeddings (Ma et al., SIGIR 2018). The conversion model is that
paper's BASE: trained on visited rows alone, with the same network and options. Over all rows it is compared as it is, and times a model of visits that is
trained over all rows.
"""

import argparse
import csv
import gzip
import json
import pathlib

import numpy as np

from session import Session, literal, mean_and_error

COLUMNS = "recency history_segment history mens womens zip_code newbie channel segment".split()
CATEGORIES = "history_segment mens womens zip_code newbie channel segment".split()
FEATURES = ([{"name": name, "kind": "sparse", "embedding_dim": 4} for name in CATEGORIES] +
            [{"name": "recency", "kind": "dense", "transform": {"type": "standardize"}},
             {"name": "history", "kind": "dense", "transform": [{"type": "log1p"}, {"type": "standardize"}]}])
CTR = {"name": "ctr", "type": "binary", "label": "visit"}
MODELS = {
    "esmm": ([CTR, {"name": "cvr", "type": "binary"}, {"name": "ctcvr", "type": "product", "of": ["ctr", "cvr"], "label": "conversion"}], "true"),
    "cvr": ([{"name": "cvr", "type": "binary", "label": "conversion"}], "visit = 1"),
    "ctr": ([CTR], "true"),
}
# AUCs of the last part: of ESMM and of the conversion model
MEASURES = {
    "ctcvr": ("mtl_auc(conversion, mtl_score(esmm, r, 'ctcvr'))", "mtl_auc(conversion, mtl_score(cvr, r, 'cvr'))"),
    "ctcvr, times ctr": ("mtl_auc(conversion, mtl_score(esmm, r, 'ctcvr'))",
                         "mtl_auc(conversion, mtl_score(cvr, r, 'cvr')::float8 * mtl_score(ctr, r, 'ctr'))"),
    "cvr": ("mtl_auc(conversion, mtl_score(esmm, r, 'cvr')) FILTER (WHERE visit = 1)",
            "mtl_auc(conversion, mtl_score(cvr, r, 'cvr')) FILTER (WHERE visit = 1)"),
}
ROWS = "SELECT bench_hillstrom.* FROM bench_hillstrom JOIN bench_split USING (i) WHERE part = %d AND %s ORDER BY i"


def load_rows(session, folder):
    with gzip.open(folder / "hillstrom-email.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    columns = ", ".join(f"{name} text" if name in CATEGORIES else f"{name} real" for name in COLUMNS)
    session.run("DROP TABLE IF EXISTS bench_hillstrom; CREATE UNLOGGED TABLE bench_hillstrom "
                f"(i int, {columns}, visit int, conversion int);")
    names = COLUMNS + ["visit", "conversion"]
    session.copy(f"bench_hillstrom (i, {', '.join(names)})", ([str(i), *(row[name] for name in names)] for i, row in enumerate(rows)))
    return len(rows)


def split_rows(session, count, seed):
    """bench_split: 0 to train on, 1 to choose, 2 to compare."""
    part = np.repeat([0, 1, 2], [count - 2 * (count // 4), count // 4, count // 4])
    np.random.default_rng(seed).shuffle(part)
    session.run("DROP TABLE IF EXISTS bench_split; CREATE UNLOGGED TABLE bench_split (i int, part int);")
    session.copy("bench_split", ([str(i), str(p)] for i, p in enumerate(part.tolist())))


def train(session, args, name, seed):
    """Makes the model that is a row of bench_models, and says its best epoch."""
    tasks, space = MODELS[name]
    spec = {"architecture": {"type": "single_task", "tower": {"hidden_units": args.units}}, "features": FEATURES, "tasks": tasks}
    options = {"epochs": args.epochs, "batch_size": args.batch, "seed": seed, "examples": 0, "l2": {"layers": args.l2, "embeddings": args.l2},
               "optimizer": {"type": "adam", "learning_rate": args.rate}, "early_stopping": {"watch": "mean", "patience": args.patience},
               "validation": {"query": ROWS % (1, space)}}
    session.run("INSERT INTO bench_models SELECT '%s', mtl_train(%s, %s, %s);" % (
        name, literal(spec), literal(ROWS % (0, space)), literal(options)))
    return int(session.ask(f"SELECT mtl_describe(model) #> '{{contract,provenance,best_epoch}}' FROM bench_models WHERE name = '{name}'"))


def compare(session, args, seed):
    """AUCs by measure, of ESMM and of the conversion model; and the best epochs by model."""
    session.run("DROP TABLE IF EXISTS bench_models; CREATE UNLOGGED TABLE bench_models (name text PRIMARY KEY, model mtl_model);")
    epochs = [train(session, args, name, seed) for name in MODELS]
    models = ", ".join(f"(SELECT model FROM bench_models WHERE name = '{name}') AS {name}" for name in MODELS)
    pairs = ", ".join(f"json_build_array({ours}, {theirs})" for ours, theirs in MEASURES.values())
    return json.loads(session.ask(f"SELECT json_build_array({pairs}) FROM (SELECT {models}) m, ({ROWS % (2, 'true')}) r")), epochs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--patience", type=int, default=8)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=0.003)
    parser.add_argument("--l2", type=float, default=1e-5)
    parser.add_argument("--units", default="32", type=lambda s: [int(u) for u in s.split(",")])
    args = parser.parse_args()

    session = Session()
    count = load_rows(session, args.data)
    start = session.cpu_seconds()
    results, epochs = [], []
    for seed in range(args.seeds):
        split_rows(session, count, seed)
        aucs, best = compare(session, args, seed)
        results.append(aucs)
        epochs.append(best)
    session.run("DROP TABLE bench_hillstrom, bench_split, bench_models;")
    print(f"{'AUC':18} {'ESMM':>18} {'conversion model':>18} {'difference':>18}  ESMM is higher")
    for i, measure in enumerate(MEASURES):
        ours, theirs = np.array(results)[:, i].T
        print(f"{measure:18} {mean_and_error(ours):>18} {mean_and_error(theirs):>18} {mean_and_error(ours - theirs):>18}  "
              f"{(ours > theirs).sum()} of {args.seeds} times")
    print("means +- standard errors; epochs: %s; %.0f s of CPU time" % (
        ", ".join(f"{name} {n:.1f}" for name, n in zip(MODELS, np.mean(epochs, 0))), session.cpu_seconds() - start))


if __name__ == "__main__":
    main()
