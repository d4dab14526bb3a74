"""Writes the model of the tests that compare forms of a row, plans and kernels, as a psql script.

usage: forms.py > test/models/forms.sql

A PLE of two levels with what makes sums long and orders matter: batch norm, dice, layer norm, several experts, and
every kind of feature that fits an array of numbers. The weights are random, from a fixed seed.
"""

import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))

import mtl_rank as mtl

CONTRACT = mtl.make_contract(
    architecture=mtl.ple(levels=[
        mtl.ple_level(2, [1, 2], mtl.mlp([24, 16], activation=["gelu", mtl.dice()], normalization=mtl.batch_norm()),
                      gate=mtl.gate(hidden_units=[8], temperature=1.5)),
        mtl.ple_level(1, 2, mtl.mlp([12], activation="silu", normalization=mtl.layer_norm()), shared_gate="shared"),
    ], tower=mtl.tower([8], activation="prelu")),
    features=[
        mtl.sparse("shop", mtl.index_lookup(), vocabulary_size=20, embedding_dim=4, oov="zero", missing="oov"),
        mtl.dense("price", transform=[mtl.log1p(), mtl.standardize(2, 1.5)], missing=1),
        mtl.sparse("seller", mtl.hash_lookup(), vocabulary_size=50, embedding_dim=3, missing=0),
        mtl.dense("picture", width=3, embedding_dim=5, missing="zero"),
        mtl.sequence("viewed", mtl.vocabulary_lookup(offset=1), 4, vocabulary_size=9, embedding_dim=4, oov="skip", padding=0,
                     combiner="mean", epsilon=1e-8, missing="empty",
                     weights=mtl.sequence_weights("viewed_weight", normalize="softmax")),
    ],
    tasks=[mtl.binary("ctr"), mtl.regression("revenue"), mtl.product("value", of=["ctr", "revenue"])],
    rank=mtl.rank_sum({"ctr": 1, "value": 0.25}))

LINE = 400  # hexadecimal digits in a line of the script


def make_model():
    random = np.random.default_rng(20)
    model = mtl.Model(CONTRACT)
    model.set_vocabulary("viewed", [3, 5, 8, 13, 21, -34, 55, 9007199254740993])
    for name, shape in model.expected_tensors().items():
        if name in model.tensors:
            continue
        if name.endswith("running_var"):
            model.tensors[name] = random.uniform(0.5, 2, shape)
        elif name.endswith("norm.weight"):
            model.tensors[name] = random.uniform(0.8, 1.2, shape)
        else:
            model.tensors[name] = random.normal(0, shape[-1] ** -0.5, shape)
    return model


if __name__ == "__main__":
    text = make_model().to_bytes().hex()
    print("-- made by test/models/forms.py")
    print("CREATE TABLE forms_model AS SELECT ('\\x'")
    for i in range(0, len(text), LINE):
        print(f"    '{text[i:i + LINE]}'")
    print(")::bytea::mtl_model AS model;")
