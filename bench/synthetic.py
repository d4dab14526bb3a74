#!/usr/bin/python3
"""The synthetic experiment of MMoE (Ma et al., KDD 2018): how much Shared-Bottom and MMoE of about the same size lose as the
correlation of two regressions falls.

usage: synthetic.py [--seeds 20] [--first-seed 0] [--starts 5] [--correlations 1,0.9,0.5] [--rows 60000] [--epochs 10] [--rate 0.01]
                    [--scale 1] [--sines 10] [--curve N]

x ~ N(0, I) of 100 numbers; u1, u2 orthogonal unit vectors; w1 = c u1, w2 = c (p u1 + sqrt(1 - p^2) u2), with p the correlation;
y_k = w_k x + sum over i of sin(alpha_i w_k x + beta_i) + noise of variance 0.01, alpha and beta ~ N(0, 1). MMoE has 8 experts of 16
units and a gate per task, Shared-Bottom a bottom of 113 units; towers have 8 units. A seed makes x, u, noise, alpha and beta (unless these
are those of --curve), for all correlations, and both networks are trained from several starts. The loss is the mean of both tasks' squared
errors on rows that are not trained on, over the last three epochs and all starts. It is compared in pairs, by seed: of both networks, and
their difference at the first correlation with that at the others.

What the paper says is taken from it; it leaves open m, alpha and beta, which are those of the PLE paper, and c, which is that paper's 1. The
learning rate is the best for both networks, by their mean loss at all correlations, of the MMoE paper's 0.0001, 0.001 and 0.01 (seeds 100 to 105).
"""

import argparse

import numpy as np

from session import Session, mean_and_error

WIDTH = 100
HELD_OUT = 5000
LAST = 3
ARCHITECTURES = {
    "shared_bottom": {"type": "shared_bottom", "bottom": {"hidden_units": [113]}, "tower": {"hidden_units": [8]}},
    "mmoe": {"type": "mmoe", "num_experts": 8, "expert": {"hidden_units": [16]}, "tower": {"hidden_units": [8]}},
}
TASKS = ("1", "2")


def make_rows(args, seed):
    """x, and by correlation y of both tasks: the same but for the second direction."""
    random = np.random.default_rng(seed)
    u1, u2 = np.linalg.qr(random.normal(size=(WIDTH, 2)))[0].T
    alpha, beta = np.random.default_rng(1000 + seed if args.curve is None else args.curve).normal(size=(2, args.sines))
    x = random.normal(size=(args.rows + HELD_OUT, WIDTH)).round(3)
    noise = random.normal(size=(2, len(x))) * 0.1

    def label(w):
        product = args.scale * (x @ w)
        return product + np.sin(product[:, None] * alpha + beta).sum(1)

    return x, {p: np.stack([label(u1), label(p * u1 + (1 - p ** 2) ** 0.5 * u2)] + noise, 1) for p in args.correlations}


def load_rows(session, x, y):
    """Labels of the i-th correlation are y<i>_1 and y<i>_2."""
    columns = ", ".join(f"y{i}_{task} real" for i in range(len(y)) for task in TASKS)
    session.run(f"DROP TABLE IF EXISTS bench_synthetic; CREATE UNLOGGED TABLE bench_synthetic (i int, {columns}, x real[]);")
    lists = ("{" + ",".join(map(str, row)) + "}" for row in x.tolist())
    labels = np.concatenate(list(y.values()), 1).tolist()
    session.copy("bench_synthetic", ([str(i), *(f"{v:.6g}" for v in labels[i]), numbers] for i, numbers in enumerate(lists)))


def train(session, args, name, i, start):
    """The loss on rows that are not trained on, in the last epochs, with the labels of the i-th correlation."""
    spec = {"architecture": ARCHITECTURES[name], "features": [{"name": "x", "kind": "dense", "width": WIDTH}],
            "tasks": [{"name": task, "type": "regression", "label": f"y{i}_{task}"} for task in TASKS]}
    options = {"epochs": args.epochs, "batch_size": args.batch, "seed": start, "examples": 0,
               "optimizer": {"type": "adam", "learning_rate": args.rate},
               "validation": {"query": f"SELECT * FROM bench_synthetic WHERE i >= {args.rows} ORDER BY i"}}
    provenance = session.train(spec, f"SELECT * FROM bench_synthetic WHERE i < {args.rows} ORDER BY i", options)
    return np.mean([epoch["tasks"][task]["validation_loss"] for epoch in provenance["history"][-LAST:] for task in TASKS])


def report(args, labels, losses):
    """labels are correlations by p, losses by p and network; both are lists by seed."""
    print(f"{'p':>5} {'corr(y1, y2)':>12} {'shared_bottom':>18} {'mmoe':>18} {'difference':>18} {'growth of it, how often':>28}")
    first = None
    for p in args.correlations:
        bottom, mmoe = (np.array(losses[p, name]) for name in ARCHITECTURES)
        growth = "" if first is None else f"{mean_and_error(bottom - mmoe - first)}, {(bottom - mmoe > first).sum()} of {len(bottom)}"
        first = bottom - mmoe if first is None else first
        print(f"{p:5g} {np.mean(labels[p]):12.3f} {mean_and_error(bottom):>18} {mean_and_error(mmoe):>18} {mean_and_error(bottom - mmoe):>18}"
              f" {growth:>28}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--correlations", default="1,0.9,0.5", type=lambda s: [float(p) for p in s.split(",")])
    parser.add_argument("--rows", type=int, default=60000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rate", type=float, default=0.01)
    parser.add_argument("--scale", type=float, default=1, help="c")
    parser.add_argument("--sines", type=int, default=10, help="m")
    parser.add_argument("--curve", type=int, help="seed of alpha and beta")
    args = parser.parse_args()

    session = Session()
    start = session.cpu_seconds()
    losses = {(p, name): [] for p in args.correlations for name in ARCHITECTURES}
    labels = {p: [] for p in args.correlations}
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        x, y = make_rows(args, seed)
        load_rows(session, x, y)
        for i, p in enumerate(args.correlations):
            labels[p].append(np.corrcoef(y[p].T)[0, 1])
            for name in ARCHITECTURES:
                losses[p, name].append(np.mean([train(session, args, name, i, args.starts * seed + start) for start in range(args.starts)]))
        print(f"seed {seed}: " + "  ".join(f"{p:g}: {losses[p, 'shared_bottom'][-1]:.4f} {losses[p, 'mmoe'][-1]:.4f}" for p in args.correlations),
              flush=True)
    report(args, labels, losses)
    session.run("DROP TABLE bench_synthetic;")
    print(f"means +- standard errors of {args.seeds} seeds; {session.cpu_seconds() - start:.0f} s of CPU time")


if __name__ == "__main__":
    main()
