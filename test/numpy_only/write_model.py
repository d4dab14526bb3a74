#!/usr/bin/python3
"""Writes one model file with numpy and the standard library alone, after docs/model-format.md.

usage: write_model.py OUT.safetensors

The model is a small MMoE: the city of a person as a string category, the cities visited before as a sequence that
shares its embedding table, and the age as a dense number; tasks ctr and cvr, and their product ctcvr. The weights are
random, from a fixed seed. The scores of three example rows are computed below in plain numpy and stored in the file, so
that `mtl_verify` proves that the server reads the file as its writer meant it.
"""

import hashlib
import json
import sys

import numpy as np

CITIES = ["Amsterdam", "Berlin", "København", "Łódź", "東京"]
DIM = 4            # of the embedding
EXPERTS = 3
UNITS = 8          # of each expert
TOWER_UNITS = 4
INPUT = DIM + DIM + 1

CONTRACT = {
    "format": 1,
    "architecture": {
        "type": "mmoe",
        "num_experts": EXPERTS,
        "expert": {"hidden_units": [UNITS], "activation": "relu"},
        "gate": {"logit_bias": False},
        "tower": {"hidden_units": [TOWER_UNITS], "activation": "tanh"},
    },
    "features": [
        # Row 0 of the table is for cities that are not in the vocabulary, hence the offset.
        {"name": "city", "kind": "sparse", "vocabulary_size": len(CITIES) + 1, "embedding_dim": DIM,
         "lookup": {"type": "vocabulary", "offset": 1}, "oov": 0, "missing": "oov"},
        {"name": "visited", "kind": "sequence", "embedding": "city", "lookup": {"type": "vocabulary", "offset": 1},
         "oov": "skip", "combiner": "mean", "max_length": 3, "missing": "empty"},
        {"name": "age", "kind": "dense", "transform": {"type": "standardize", "mean": 38.6, "std": 13.2}, "missing": 38.6},
    ],
    "tasks": [
        {"name": "ctr", "type": "binary"},
        {"name": "cvr", "type": "binary"},
        {"name": "ctcvr", "type": "product", "of": ["ctr", "cvr"]},
    ],
    "rank": {"form": "sum", "weights": {"ctr": 1, "ctcvr": 4}},
    "examples": {"count": 3, "tolerance": 1e-6},
    "provenance": {"note": "random weights"},
}

ROWS = [
    {"city": "Berlin", "visited": ["Łódź", "東京"], "age": 31},
    {"city": "Atlantis", "visited": ["Berlin", "Atlantis", "Berlin", "København", "Amsterdam"], "age": 64.5},
    {"city": None, "visited": []},
]


def make_weights(random):
    """All F32 tensors of the contract."""
    def normal(*shape):
        return random.normal(0, shape[-1] ** -0.5, shape).astype("<f4")

    weights = {"embedding.city.weight": normal(len(CITIES) + 1, DIM)}
    for i in range(EXPERTS):
        weights[f"level.0.expert.{i}.0.weight"] = normal(UNITS, INPUT)
        weights[f"level.0.expert.{i}.0.bias"] = normal(UNITS)
    for task in ("ctr", "cvr"):
        weights[f"level.0.task.{task}.gate.logit.weight"] = normal(EXPERTS, INPUT)
        weights[f"task.{task}.tower.0.weight"] = normal(TOWER_UNITS, UNITS)
        weights[f"task.{task}.tower.0.bias"] = normal(TOWER_UNITS)
        weights[f"task.{task}.tower.logit.weight"] = normal(1, TOWER_UNITS)
        weights[f"task.{task}.tower.logit.bias"] = normal(1)
    return weights


def make_vocabulary():
    """The texts one after the other, and where each begins and ends."""
    texts = [city.encode() for city in CITIES]
    offsets = np.cumsum([0] + [len(text) for text in texts])
    return {"vocabulary.city.bytes": np.frombuffer(b"".join(texts), "u1"),
            "vocabulary.city.offsets": offsets.astype("<i8")}


def score(row, w):
    """ctr, cvr and ctcvr of a row."""
    table = w["embedding.city.weight"]

    city = row.get("city")
    city = table[1 + CITIES.index(city)] if city in CITIES else table[0]

    visited = [table[1 + CITIES.index(v)] for v in row.get("visited") or [] if v in CITIES][:3]
    visited = np.mean(visited, axis=0) if visited else np.zeros(DIM)

    age = (row.get("age", 38.6) - 38.6) / 13.2
    x = np.concatenate([city, visited, [np.float32(age)]])

    experts = [np.maximum(w[f"level.0.expert.{i}.0.weight"] @ x + w[f"level.0.expert.{i}.0.bias"], 0)
               for i in range(EXPERTS)]
    scores = {}
    for task in ("ctr", "cvr"):
        gate = np.exp(w[f"level.0.task.{task}.gate.logit.weight"] @ x)
        gate = gate / gate.sum()
        mix = sum(gate[i] * experts[i] for i in range(EXPERTS))
        hidden = np.tanh(w[f"task.{task}.tower.0.weight"] @ mix + w[f"task.{task}.tower.0.bias"])
        logit = w[f"task.{task}.tower.logit.weight"] @ hidden + w[f"task.{task}.tower.logit.bias"]
        scores[task] = 1 / (1 + np.exp(-logit[0]))
    return [scores["ctr"], scores["cvr"], scores["ctr"] * scores["cvr"]]


def write(path, contract, tensors):
    contract = json.dumps(contract)
    digest = hashlib.sha256(contract.encode())
    for name in sorted(tensors, key=str.encode):
        digest.update(name.encode() + tensors[name].tobytes())

    header = {"__metadata__": {"mtl_rank": contract, "mtl_rank_sha256": digest.hexdigest()}}
    dtypes = {"float32": "F32", "int64": "I64", "uint8": "U8"}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": dtypes[tensor.dtype.name], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    header = json.dumps(header).encode()

    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for tensor in tensors.values():
            file.write(tensor.tobytes())


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: write_model.py OUT.safetensors")
    weights = make_weights(np.random.default_rng(2018))
    tensors = {**weights, **make_vocabulary()}
    tensors["examples.rows"] = np.frombuffer(json.dumps(ROWS).encode(), "u1")
    exact = {name: weight.astype("f8") for name, weight in weights.items()}
    tensors["examples.scores"] = np.array([score(row, exact) for row in ROWS], "<f4")
    write(sys.argv[1], CONTRACT, tensors)


if __name__ == "__main__":
    main()
