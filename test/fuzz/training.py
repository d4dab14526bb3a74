#!/usr/bin/python3
"""Mutated specs and options of mtl_train: each gives a model that verifies, or an error that is meant; never an internal error, a
crash or a hang.

usage: training.py COUNT [SEED]

The server is the one that psql connects to.
"""

import collections
import copy
import json
import random
import re
import subprocess
import sys

SETUP = r"""
\set VERBOSITY verbose
SET client_min_messages = error;
SET statement_timeout = '30s';
CREATE TEMP TABLE samples AS SELECT i, 'c' || i % 5 AS city, i % 7 AS item, ARRAY[i % 7, i % 3] AS seen, i % 50 AS age, ARRAY[1, i, 2]::real[] AS vector,
    (i % 3 = 0)::int AS click, (i % 6 = 0)::int AS buy, i % 3 AS kind, i / 100.0 AS amount, 1 + i % 2 AS weight FROM generate_series(1, 200) i;
"""

SPECS = [
    {"architecture": {"type": "mmoe", "num_experts": 3, "expert": {"hidden_units": [8], "activation": "dice", "normalization": {"type": "batch_norm"}},
                      "tower": {"hidden_units": [4]}},
     "features": [{"name": "city", "kind": "sparse", "embedding_dim": 3, "min_count": 2},
                  {"name": "seen", "kind": "sequence", "embedding": "item", "max_length": 3, "combiner": "max"},
                  {"name": "item", "kind": "sparse", "lookup": {"type": "index"}},
                  {"name": "age", "kind": "dense", "transform": [{"type": "log1p"}, {"type": "standardize"}], "missing": "mean"},
                  {"name": "vector", "kind": "dense", "width": 3, "embedding_dim": 2}],
     "tasks": [{"name": "ctr", "type": "binary", "label": "click"}, {"name": "cvr", "type": "binary", "head": "softmax"},
               {"name": "ctcvr", "type": "product", "of": ["ctr", "cvr"], "label": "buy"},
               {"name": "kind", "type": "multiclass", "num_classes": 3, "label": "kind"}]},
    {"architecture": {"type": "ple", "num_levels": 2, "shared_expert_num": 1, "specific_expert_num": 1, "expert": {"hidden_units": [4]}},
     "features": [{"name": "city", "kind": "sparse", "lookup": {"type": "hash", "num_buckets": 7}}],
     "tasks": [{"name": "ctr", "type": "binary", "label": "click"}, {"name": "amount", "type": "regression", "label": "amount"}]},
    {"architecture": {"type": "sluice", "column": {"hidden_units": [4, 4]}}, "features": [{"name": "age", "kind": "dense"}],
     "tasks": [{"name": "ctr", "type": "binary", "label": "click"}, {"name": "amount", "type": "regression", "label": "amount"}]}]
OPTIONS = [
    {"epochs": 1, "batch_size": 50},
    {"epochs": 1, "batch_size": 16, "optimizer": {"type": "adam", "learning_rate": 0.01}, "embedding_optimizer": {"type": "ftrl", "l1": 0.1},
     "task_weights": {"type": "gradnorm"}, "l2": {"layers": 0.1, "soft_sharing": 0}, "dropout": 0.1, "validation": {"fraction": 0.3},
     "early_stopping": {"watch": "any"}, "schedule": {"type": "cosine"}, "weight_column": "weight", "clip_norm": 1, "examples": 3},
    {"epochs": 1, "batch_size": 40, "calibrator": {"weight": 0.5, "tasks": ["ctr", "cvr", "ctcvr"]}, "task_weights": {"type": "pcgrad"}, "weight_column": "weight"}]
VALUES = [None, 0, 1, -1, 2, 3, 65536, 1e9, 0.5, 1e308, -1e308, "", "x", "item", "city", "oov", "zero", "error", "mean", "skip", True, False, [], {}, [1],
          [65536, 65536], ["ctr"], {"type": "x"}, "vocabulary", "index", "hash", "adam", "sgd", "adagrad", "pcgrad", "dwa", "uncertainty", "fixed", "concat", "sum",
          "layer_norm", "relu", "gelu", "stem", "aitm", "dbmtl", "omoe", "cgc", "cross_stitch", "shared_bottom", "single_task"]


def paths(value, path=()):
    yield path
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from paths(value[key], path + (key,))


def mutate(document, source):
    document = copy.deepcopy(document)
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        places = [path for path in paths(document) if path]
        if not places:
            break
        *parents, last = source.choice(places)
        parent = document
        for key in parents:
            parent = parent[key]
        if source.random() < 0.75:
            parent[last] = copy.deepcopy(source.choice(VALUES))
        else:
            del parent[last]
    return document


def quoted(document):
    return "'" + json.dumps(document).replace("'", "''") + "'"


def statement(source):
    spec, options = source.choice(SPECS), source.choice(OPTIONS)
    if source.random() < 0.8:
        spec = mutate(spec, source)
    if source.random() < 0.4:
        options = mutate(options, source)
    # what takes long because it was asked to is no hang
    if isinstance(options, dict) and options.get("epochs") == 65536:
        options["epochs"] = 2
    return (f"SELECT 'trained' FROM (SELECT mtl_train({quoted(spec)}, 'SELECT * FROM samples', {quoted(options)}) AS model OFFSET 0) m, "
            "LATERAL (SELECT count(*) FROM mtl_verify(model)) v;")


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    source = random.Random(seed)
    statements = [statement(source) for _ in range(count)]
    result = subprocess.run(["psql", "-X", "-q", "-A", "-t"], input=SETUP + "\n".join(statements), capture_output=True, text=True)
    trained = result.stdout.count("trained")
    errors = re.findall(r"^ERROR:  (\w{5}): (.*)$", result.stderr, re.M)
    print(f"{count} trainings: {trained} models, {len(errors)} errors")
    for kind, n in collections.Counter(code for code, _ in errors).most_common():
        print(f"{n:8} {kind}")
    # XX: internal; 57: the timeout, or the end of the server
    wrong = [(code, message) for code, message in errors if code[:2] in ("XX", "57")]
    for code, message in wrong[:10]:
        print(f"{code}: {message}")
    if wrong or trained + len(errors) != count or trained < count / 20:
        sys.exit(f"not every training gave a model or a meant error\n{result.stderr[-1000:]}")


if __name__ == "__main__":
    main()
