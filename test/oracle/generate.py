#!/usr/bin/python3
"""Random models and rows, with the scores that the oracle gives them.

usage: generate.py --models 520 --rows 12 --seed 1 --out DIR

writes DIR/model_NNNN.safetensors, DIR/models.jsonl and DIR/rows.jsonl. A model depends on the seed and its number alone.
Fails when some value of some switch of the format (coverage.py) occurs in no model: with few models that is so.
"""

import argparse
import json
import os
import sys

import numpy as np

import model_file
from coverage import Coverage
from draw import Draw
from oracle import Model
from random_contract import VARIANTS, random_contract
from random_rows import array_form, random_row
from random_tensors import TensorMaker


def random_model(seed, number, row_count):
    """Contract, tensors and rows of a model; each row with its events, scores and maybe an array form."""
    d = Draw(seed, number)
    variant = VARIANTS[number % len(VARIANTS)]
    contract, plan = random_contract(d, variant)
    maker = TensorMaker(d, contract, plan)
    tensors = maker.make()
    model = Model(contract, tensors)

    drawn = []
    for _ in range(row_count):
        events = set()
        drawn.append((random_row(d, plan, contract, events), events))
    for task in contract["tasks"]:
        while task["type"] == "regression" and max(abs(model.task_scores(row)[task["name"]][0]) for row, _ in drawn) > 4:
            maker.shrink(task["name"], 0.5)

    rows = []
    for i, (features, events) in enumerate(drawn):
        row = {"model": number, "row": i, "features": features}
        array = array_form(plan, contract, features)
        if array is not None:
            row["array"] = array
            events.add("row: array")
            if any(f.get("combiner") == "concat" and f.get("padding") is None for f in contract["features"]):
                events.add("row: array of a concatenated sequence without padding")
        model.near_tie = False
        row["scores"] = [float(s) for s in model.scores(features)]
        row["near_tie"] = model.near_tie
        if "rank" in contract:
            rank = model.rank(features)
            # Powers of tiny scores leave the range of the server's float4.
            if contract["rank"]["form"] == "sum" or 1e-30 < rank < 1e30:
                row["rank"] = rank
        rows.append((row, events))

    # A vocabulary is read when some row looks something up in it, all else by every row.
    left = sorted(t for t in set(tensors) - model.used if not t.startswith("vocabulary."))
    if left:
        raise AssertionError("model %d: the oracle did not use %s" % (number, left))
    if d.chance(0.2):
        count = min(3, row_count)
        # see check.py
        contract["examples"] = {"count": count, "tolerance": 0.05 if any(r["near_tie"] for r, _ in rows[:count]) else 2e-6}
        tensors.update(model_file.example_tensors([r["features"] for r, _ in rows[:count]], [r["scores"] for r, _ in rows[:count]]))
    return d, variant, contract, tensors, model, rows


def kinds_of_outputs(contract):
    """"probability" or "regression" for each output; a product that includes a regression is one."""
    kinds, result = {}, []
    for task in contract["tasks"]:
        kind = "regression" if task["type"] == "regression" else "probability"
        if task["type"] == "product" and "regression" in [kinds[f] for f in task["of"]]:
            kind = "regression"
        kinds[task["name"]] = kind
        if not task.get("hidden"):
            classes = task.get("num_classes") or len(task.get("classes") or [None])
            result += [kind] * classes
    return result


def check_scale(number, model, kinds, rows):
    """The bounds that the server is held to make sense for moderate scores only."""
    for row, _ in rows:
        for name, kind, score in zip(model.outputs, kinds, row["scores"]):
            if not np.isfinite(score) or (kind == "regression" and abs(score) > 4):
                raise AssertionError("model %d, row %d: %s is %r" % (number, row["row"], name, score))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=520)
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()

    os.makedirs(options.out, exist_ok=True)
    coverage = Coverage()
    with open(os.path.join(options.out, "models.jsonl"), "w") as models_file, \
            open(os.path.join(options.out, "rows.jsonl"), "w") as rows_file:
        for number in range(options.models):
            d, variant, contract, tensors, model, rows = random_model(options.seed, number, options.rows)
            kinds = kinds_of_outputs(contract)
            check_scale(number, model, kinds, rows)

            name = "model_%04d.safetensors" % number
            model_file.write(os.path.join(options.out, name), contract, tensors, order=d.shuffled(list(tensors)),
                             ascii_only=d.chance(0.5), padding=d.pick([0, 1, 7, 64]),
                             metadata=d.pick([None, {"format": "pt"}, {"é": "ü"}]))
            entry = {"number": number, "file": name, "seed": options.seed, "architecture": contract["architecture"]["type"],
                     "variant": variant, "precision": model.precision, "outputs": model.outputs, "kinds": kinds, "rank": contract.get("rank"),
                     "examples": "examples" in contract, "switches": coverage.add_model(contract, tensors, model)}
            models_file.write(json.dumps(entry) + "\n")
            for row, events in rows:
                coverage.add_row(events)
                rows_file.write(json.dumps(row) + "\n")

    missing = coverage.missing()
    if missing:
        sys.exit("not covered by these %d models:\n  %s" % (options.models, "\n  ".join(missing)))
    print("%d models with %d rows each cover every switch" % (options.models, options.rows))


if __name__ == "__main__":
    main()
