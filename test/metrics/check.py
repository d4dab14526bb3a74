#!/usr/bin/python3
"""Compares the server's metrics with their definitions and with scikit-learn.

usage: check.py [--seed 1]

The server is the one that psql connects to (PGHOST, PGDATABASE, ...). Random sets of rows, most of them with many ties, are
loaded in three orders. Each metric of each set is computed

* for every set at once with GROUP BY, hashed and sorted, and for each of the large sets alone;
* with 0 to 4 parallel workers, with the default work_mem and with the smallest one, in which the large sets spill;

and must have the same bits each time, be within 1e-9 of the definition in numpy (definitions.py), and that in turn of what
scikit-learn computes. Sums are compared with exact ones. Exits with 1 when anything differs.
"""

import argparse
import json
import math
import os
import shlex
import subprocess
import sys

import numpy as np
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

import definitions

TOLERANCE = 1e-9
SETS = 60
LARGE_SETS = 2
LARGE = 50000
ORDERS = 3
KS = [1, 3, 10, None]
WORKERS = [0, 1, 2, 4]
WORK_MEMS = ["4MB", "64kB"]

EPSILON = {"double": 2.0 ** -52, "real": 2.0 ** -23}


class RowSet:
    """Labels, grades, scores, weights and groups of some rows."""

    def __init__(self, rng, number):
        large = number >= SETS - LARGE_SETS
        self.number = number
        n = LARGE if large else int(rng.choice([2, 3, 10, 100, 1000]))
        form = number % 5
        scores = rng.random(n) ** rng.choice([0.5, 1, 3])
        if form == 1:                                       # few different scores
            scores = np.round(scores, 1)
        elif form == 2:                                     # numbers of type real
            scores = scores.astype(np.float32).astype(np.float64)
        elif form == 3:                                     # many at the ends, where the loss is clipped
            scores = np.where(rng.random(n) < 0.3, np.round(scores), scores)
        elif form == 4:                                     # one score
            scores[:] = scores[0]
        self.scores = scores
        # half of them beyond probabilities
        self.logits = np.where(rng.random(n) < 0.5, scores, np.round(rng.normal(size=n) * 1e3, 2))
        self.labels = (rng.random(n) < np.clip(scores, 0.05, 0.95)).astype(np.int64)
        self.grades = rng.integers(0, 5, n).astype(np.float64)
        if number % 3 == 1:                                 # hardly two alike
            self.grades = np.where(rng.random(n) < 0.5, 0, rng.random(n) * 1000)
        self.weights = rng.integers(0, 4, n) * rng.random(n)
        self.weights[0] = 1
        # the second large set has one group besides many small ones
        self.groups = rng.integers(0, max(1, n // int(rng.choice([1, 5, 50]))), n)
        if number == SETS - 1:
            self.groups[: n // 2] = -1

    def lines(self):
        for row in zip(self.labels, self.grades, self.scores, self.logits, self.weights, self.groups):
            label, grade, score, logit, weight, group = (x.item() for x in row)
            yield "\t".join([str(self.number), "t" if label else "f"] +
                            [repr(x) for x in (grade, score, logit, weight)] + [str(group), "user %d" % group])


def expressions():
    """Name, SQL, definition and scikit-learn's value of each metric."""
    yield "auc", "mtl_auc(label, logit)", lambda s: definitions.auc(s.labels, s.logits), sklearn_auc
    yield ("auc of numbers", "mtl_auc(label::int, score)", lambda s: definitions.auc(s.labels, s.scores),
           lambda s: sklearn_auc(s, "scores"))
    for weighting in ("impressions", "clicks"):
        yield ("gauc by " + weighting, "mtl_gauc(label, logit, user_name, '%s')" % weighting,
               lambda s, w=weighting: definitions.gauc(s.labels, s.logits, s.groups, w), None)
    yield ("gauc", "mtl_gauc(label, logit, user_id)",
           lambda s: definitions.gauc(s.labels, s.logits, s.groups, "impressions"), None)
    for kind in ("double", "real"):
        cast = "" if kind == "double" else "::real"
        yield ("logloss of " + kind, "mtl_logloss(label, score%s)" % cast,
               lambda s, k=kind: definitions.logloss(s.labels, of_type(s.scores, k), EPSILON[k]),
               lambda s, k=kind: sklearn_logloss(s, k))
    yield ("weighted logloss", "mtl_logloss(label, score, weight)",
           lambda s: definitions.logloss(s.labels, s.scores, EPSILON["double"], s.weights),
           lambda s: sklearn_logloss(s, "double", s.weights))
    for k in KS:
        yield ("ndcg at %s" % k, "mtl_ndcg(grade, logit, %s, user_id)" % (k or "NULL"),
               lambda s, k=k: definitions.ndcg(s.grades, s.logits, s.groups, k), lambda s, k=k: sklearn_ndcg(s, k))
    yield ("ndcg of labels", "mtl_ndcg(label, score, 5, user_name)",
           lambda s: definitions.ndcg(s.labels.astype(np.float64), s.scores, s.groups, 5), None)
    for bins in (1, 10, 17):
        for name, field in (("ratio", 0), ("ece", 1)):
            yield ("%s of %d bins" % (name, bins), "(mtl_calibration(label, score, %d)).%s" % (bins, name),
                   lambda s, b=bins, f=field: definitions.calibration(s.labels, s.scores, b)[f], None)


def of_type(scores, kind):
    return scores if kind == "double" else scores.astype(np.float32).astype(np.float64)


def sklearn_auc(s, scores="logits"):
    if len(set(s.labels)) < 2:
        return None
    return sklearn_metrics.roc_auc_score(s.labels, getattr(s, scores))


def sklearn_logloss(s, kind, weights=None):
    # It clips by the epsilon of the array's type, but then computes in that type.
    clipped = np.clip(of_type(s.scores, kind), EPSILON[kind], 1 - EPSILON[kind])
    return sklearn_metrics.log_loss(s.labels, clipped, labels=[0, 1], sample_weight=weights)


def sklearn_ndcg(s, k):
    values = []
    for rows in definitions.by_group(s.groups):
        if len(rows) == 1:                                  # scikit-learn refuses it since 1.3
            values.append(float(s.grades[rows[0]] > 0))
        else:
            values.append(sklearn_metrics.ndcg_score([s.grades[rows]], [s.logits[rows]], k=k))
    return float(np.mean(values))


class Check:
    def __init__(self):
        self.failures = []
        self.count = 0

    def equal(self, what, a, b):
        self.count += 1
        if a != b:
            self.failures.append("%s: %s and %s differ" % (what, a, b))

    def near(self, what, a, b):
        self.count += 1
        if a is None or b is None:
            if a is not b:
                self.failures.append("%s: %s and %s differ" % (what, a, b))
        elif not abs(a - b) <= TOLERANCE * max(1, abs(b)):
            self.failures.append("%s: %r, expected %r" % (what, a, b))


def psql(script):
    command = shlex.split(os.environ.get("PSQL", "psql")) + ["--no-psqlrc", "--quiet", "--no-align", "--tuples-only",
                                                             "--set", "ON_ERROR_STOP=1"]
    result = subprocess.run(command, input=script, stdout=subprocess.PIPE, encoding="utf-8")
    if result.returncode != 0:
        sys.exit("psql failed with %d" % result.returncode)
    return result.stdout


def load(rng, sets):
    yield "SET client_min_messages = warning;"
    lines = [line for s in sets for line in s.lines()]
    for order in range(ORDERS):
        yield "DROP TABLE IF EXISTS metric_rows_%d;" % order
        yield ("CREATE UNLOGGED TABLE metric_rows_%d (set int, label bool, grade float8, score float8, logit float8, weight float8,"
               " user_id bigint, user_name text);" % order)
        yield "COPY metric_rows_%d FROM STDIN;" % order
        arranged = lines if order == 0 else lines[::-1] if order == 1 else [lines[i] for i in rng.permutation(len(lines))]
        yield from arranged
        yield "\\."
        yield "ANALYZE metric_rows_%d;" % order


def configurations():
    """Settings and the order of the rows: each value of each with several of the others."""
    for i, workers in enumerate(WORKERS * 3):
        yield {"order": i % ORDERS, "max_parallel_workers_per_gather": workers, "work_mem": WORK_MEMS[i % 2 if i < 8 else 1],
               "enable_hashagg": "off" if i % 5 == 0 else "on", "parallel_leader_participation": "off" if i % 4 == 3 else "on"}


def queries(names_and_sql, large):
    """For every configuration: the plans, and the metrics of all sets as JSON."""
    columns = ", ".join("'%s', (%s)::text" % pair for pair in names_and_sql)
    yield ("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;"
           " SET extra_float_digits = 1; SET max_parallel_workers = 8;")
    for number, config in enumerate(configurations()):
        for name, value in config.items():
            if name != "order":
                yield "SET %s = '%s';" % (name, value)
        table = "metric_rows_%d" % config["order"]
        yield ("SELECT json_build_object('config', %d, 'set', set, 'values', json_object(ARRAY[%s])) FROM %s GROUP BY set;"
               % (number, columns, table))
        for s in large:
            yield ("SELECT json_build_object('config', %d, 'set', %d, 'values', json_object(ARRAY[%s])) FROM %s WHERE set = %d;"
                   % (number, s, columns, table, s))
        yield "\\echo plan"
        yield "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) SELECT mtl_auc(label, logit) FROM %s;" % table
        yield "\\echo end of plan"


def check_plan(check, number, config, plan):
    """That the plan was what the configuration meant: otherwise nothing was tested."""
    workers = config["max_parallel_workers_per_gather"]
    check.equal("configuration %d: parallel" % number, "Finalize Aggregate" in plan, workers > 0)
    if workers > 0:
        check.equal("configuration %d: workers" % number, "Workers Planned: %d" % workers in plan, True)
    if config["work_mem"] == "64kB":
        check.equal("configuration %d: spilled" % number, "temp read=" in plan, True)


def check_values(check, sets, values, metrics):
    """values[set][metric] is what each configuration gave."""
    for s in sets:
        for name, _, definition, sklearn in metrics:
            given = values[s.number][name]
            what = "set %d, %s" % (s.number, name)
            check.equal(what + ": bits", len(set(given)), 1)
            expected = definition(s)
            check.near(what, None if given[0] is None else float(given[0]), expected)
            if sklearn is not None:
                check.near(what + ", scikit-learn", expected, sklearn(s))


def check_bins(check, sets):
    """The bins of mtl_calibration, against the definition and scikit-learn's calibration curve."""
    out = psql("SELECT json_agg(json_build_array(set, n, rows, observed, predicted) ORDER BY set, n)"
               " FROM (SELECT set, (mtl_calibration(label, score)).bins FROM metric_rows_0 GROUP BY set) c,"
               " unnest(bins) WITH ORDINALITY AS b (lower, upper, rows, observed, predicted, n);")
    bins = {}
    for number, _, rows, observed, predicted in json.loads(out):
        bins.setdefault(number, []).append((rows, observed, predicted))
    for s in sets:
        expected = definitions.calibration(s.labels, s.scores, 10)[2]
        curve = iter(zip(*calibration_curve(s.labels, s.scores, n_bins=10)))
        # scikit-learn's edges are multiples of 0.1, which is a little too large; scores on an edge are another matter
        comparable = s.number % 5 in (0, 2)
        for i, (given, wanted) in enumerate(zip(bins[s.number], expected)):
            what = "set %d, bin %d" % (s.number, i)
            check.equal(what + ": rows", given[0], wanted[0])
            check.near(what + ": observed", given[1], wanted[1])
            check.near(what + ": predicted", given[2], wanted[2])
            if comparable and wanted[0] > 0:
                observed, predicted = next(curve)
                check.near(what + ": observed, scikit-learn", wanted[1], observed)
                check.near(what + ": predicted, scikit-learn", wanted[2], predicted)


def check_sums(check, rng):
    """Sums are exact and rounded once, as math.fsum has them, whatever the exponents."""
    half, tiny, ulp = 0.5, 5e-324, 2.0 ** -53
    cases = [[half, ulp / 2], [half, ulp / 2, tiny], [half + ulp, ulp / 2], [half + ulp, ulp / 2, tiny], [half, -0.0],
             [tiny], [tiny] * 3, [2.0 ** -1022, tiny], [2.0 ** -1022 - tiny, tiny], [1 - ulp] * 2049, [1.0] * 4097]
    for _ in range(200):
        n = int(rng.integers(1, 200))
        cases.append([float(x) for x in np.ldexp(rng.random(n), -rng.integers(0, int(rng.choice([2, 60, 1100])), n))])
    lines = ["SET client_min_messages = warning;", "DROP TABLE IF EXISTS metric_sums;",
             "CREATE UNLOGGED TABLE metric_sums (number int, score float8);", "COPY metric_sums FROM STDIN;"]
    lines += ["%d\t%r" % (number, x) for number, case in enumerate(cases) for x in case]
    lines += ["\\.", "SELECT json_agg((c).predicted::text ORDER BY number)"
              " FROM (SELECT number, mtl_calibration(true, score, 1) AS c FROM metric_sums GROUP BY number) s;"]
    for case, mean in zip(cases, json.loads(psql("\n".join(lines) + "\n"))):
        check.equal("sum of %r" % case[:3], float(mean), math.fsum(case) / len(case))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()

    rng = np.random.default_rng(args.seed)
    sets = [RowSet(rng, number) for number in range(SETS)]
    metrics = list(expressions())
    large = range(SETS - LARGE_SETS, SETS)
    psql("\n".join(load(rng, sets)) + "\n")
    out = psql("\n".join(queries([(name, sql) for name, sql, _, _ in metrics], large)) + "\n")

    check = Check()
    values = {s.number: {name: [] for name, _, _, _ in metrics} for s in sets}
    configs = list(configurations())
    lines = iter(out.splitlines())
    number = 0
    for line in lines:
        if line == "plan":
            plan = []
            for line in lines:
                if line == "end of plan":
                    break
                plan.append(line)
            check_plan(check, number, configs[number], "\n".join(plan))
            number += 1
            continue
        row = json.loads(line)
        check.equal("configuration", row["config"], number)
        for name, value in row["values"].items():
            values[row["set"]][name].append(value)
    check.equal("configurations", number, len(configs))
    for s in sets:
        for name, given in values[s.number].items():
            check.equal("set %d, %s: values" % (s.number, name), len(given), len(configs) * (2 if s.number in large else 1))
    check_values(check, sets, values, metrics)
    check_bins(check, sets)
    check_sums(check, rng)

    for failure in check.failures[:50]:
        print(failure)
    print("%d comparisons, %d failures" % (check.count, len(check.failures)))
    sys.exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
