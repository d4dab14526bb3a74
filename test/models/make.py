#!/usr/bin/python3
"""Writes the small models that the tests of the registry use, next to this script, and models.sql, which holds the same
files as psql variables.

usage: make.py

linear_1, linear_2: value = k * (a + 2 * b) with k = 1 and 10, ctr = sigmoid(a - b), expected = ctr * value; so a row with
    a = b has scores that can be told without a computer.
moved: the same with k = 100, but the examples are those of linear_1.
gated: an MMoE with random weights, strings, lists and missing values, and too large to be kept inside a table's row.
"""

import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "python"), str(HERE.parent / "oracle")]

import mtl_rank as mtl  # noqa: E402
import oracle  # noqa: E402


def linear(k, examples_of=None):
    model = mtl.Model(mtl.make_contract(
        architecture=mtl.single_task(),
        features=[mtl.dense("a"), mtl.dense("b")],
        tasks=[mtl.regression("value"), mtl.binary("ctr"), mtl.product("expected", of=["ctr", "value"])],
        rank=mtl.rank_sum({"value": 1, "ctr": 2}),
    ), {
        "task.value.tower.logit.weight": np.array([[k, 2 * k]], "f4"),
        "task.value.tower.logit.bias": np.zeros(1, "f4"),
        "task.ctr.tower.logit.weight": np.array([[1, -1]], "f4"),
        "task.ctr.tower.logit.bias": np.zeros(1, "f4"),
    })
    slope = 3 * (examples_of or k)
    model.attach_examples([{"a": x, "b": x} for x in (1, 2)], [[slope * x, 0.5, slope * x / 2] for x in (1, 2)])
    return model


def gated():
    model = mtl.Model(mtl.make_contract(
        architecture=mtl.mmoe(num_experts=2, expert=mtl.mlp([6]), tower=mtl.tower([3], activation="tanh")),
        features=[
            mtl.sparse("city", mtl.vocabulary_lookup(offset=1), embedding_dim=4, oov=0, missing="oov"),
            mtl.sequence("visited", mtl.vocabulary_lookup(offset=1), embedding="city", max_length=3, oov="skip",
                         missing="empty"),
            mtl.dense("age", transform=mtl.standardize(mean=38.6, std=13.2), missing=38.6),
        ],
        tasks=[mtl.binary("ctr"), mtl.binary("cvr"), mtl.product("ctcvr", of=["ctr", "cvr"])],
        rank=mtl.rank_sum({"ctr": 1, "ctcvr": 4}),
    ))
    random = np.random.default_rng(2020)
    model.set_vocabulary("city", ["Amsterdam", "Berlin", "København"])
    model.tensors["embedding.city.weight"] = random.normal(size=(4, 4)).astype("f4")
    for name, shape in model.expected_tensors().items():
        if name not in model.tensors:
            model.tensors[name] = random.normal(size=shape).astype("f4")

    rows = [{"city": "Berlin", "visited": ["Amsterdam", "Atlantis"], "age": 31}, {"city": "Atlantis"}]
    reference = oracle.Model(model.contract, model.tensors)
    model.attach_examples(rows, [reference.scores(row) for row in rows])
    return model


MODELS = {
    "linear_1": linear(1),
    "linear_2": linear(10),
    "moved": linear(100, examples_of=1),
    "gated": gated(),
}


def main():
    with open(HERE / "models.sql", "w") as sql:
        sql.write("-- Model files as psql variables, written by make.py: :'linear_1'::mtl_model\n")
        for name, model in MODELS.items():
            model.save(HERE / f"{name}.safetensors")
            sql.write(f"\\set {name} '\\\\x{model.to_bytes().hex()}'\n")


if __name__ == "__main__":
    main()
