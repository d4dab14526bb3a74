"""The models that are measured: sizes as in the papers' and libraries' examples, random weights.

S: MMoE, 64 inputs, 4 experts [64, 32], towers [16], 2 tasks
M: MMoE, 128 inputs, 3 experts [256, 128], towers [64], 2 tasks
L: PLE, 256 inputs, 2 levels of 2 specific and 2 shared experts [256], towers [64], 3 tasks
E: ESMM, 512 inputs, two towers [256, 128, 64]
R: M over 24 sparse features of width 16, vocabularies of 10 to 100,000, and two dense ones of width 8; half of them are the context's
"""

import pathlib
import sys

import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / "python")]

import mtl_rank as mtl  # noqa: E402

SPARSE = 24
RANKING_DENSE = 8


def architectures():
    m = mtl.mmoe(num_experts=3, expert=mtl.mlp([256, 128]), tower=mtl.tower([64]))
    return {
        "S": (64, 2, mtl.mmoe(num_experts=4, expert=mtl.mlp([64, 32]), tower=mtl.tower([16]))),
        "M": (128, 2, m),
        "L": (256, 3, mtl.ple(num_levels=2, specific_expert_num=2, shared_expert_num=2, expert=mtl.mlp([256]),
                              tower=mtl.tower([64]))),
        "E": (512, 2, mtl.single_task(tower=mtl.tower([256, 128, 64]))),
        "R": (RANKING_DENSE, 2, m),
    }


def vocabulary_size(i):
    """10 to 100,000, evenly on a logarithmic scale."""
    return round(10 ** (1 + 4 * i / (SPARSE - 1)))


def ranking_columns():
    """Features of R's context and of its candidates: name -> size of the vocabulary, None for the dense ones."""
    sizes = [{f"s{i}": vocabulary_size(i) for i in range(first, SPARSE, 2)} for first in (0, 1)]
    return {"u": None, **sizes[0]}, {"x": None, **sizes[1]}


def fill(model, seed=1):
    random = np.random.default_rng(seed)
    for tensor, shape in model.expected_tensors().items():
        scale = (2 / shape[-1]) ** 0.5 if len(shape) == 2 else 0.1
        model.tensors[tensor] = random.standard_normal(size=shape, dtype="f4") * np.float32(scale)
    return model


def make(name):
    width, tasks, architecture = architectures()[name]
    features, context = [mtl.dense("x", width=width)], {}
    if name == "R":
        features = [mtl.dense("u", width=width)] + features
        features += [mtl.sparse(f"s{i}", mtl.index_lookup(), embedding_dim=16, vocabulary_size=vocabulary_size(i))
                     for i in range(SPARSE)]
        context = {"context": list(ranking_columns()[0])}
    outputs = [mtl.binary(f"t{i}") for i in range(tasks)]
    if name == "E":
        outputs.append(mtl.product("t0t1", of=["t0", "t1"]))
    model = mtl.Model(mtl.make_contract(architecture=architecture, features=features, tasks=outputs, **context))
    return fill(model, sum(name.encode()))


def rows(name, count, seed=1):
    random = np.random.default_rng(seed)
    width = architectures()[name][0]
    result = []
    for _ in range(count):
        row = {"x": [round(float(v), 4) for v in random.normal(size=width)]}
        if name == "R":
            row["u"] = [round(float(v), 4) for v in random.normal(size=width)]
            row.update({f"s{i}": int(random.integers(vocabulary_size(i))) for i in range(SPARSE)})
        result.append(row)
    return result


def multiply_adds(name, model):
    """Of all layers and mixes, for one row."""
    layers = sum(t.size for n, t in model.tensors.items() if t.ndim == 2 and not n.startswith("embedding."))
    mixes = {"S": 2 * 4 * 32, "M": 2 * 3 * 128, "L": (3 * 4 + 8 + 3 * 4) * 256, "E": 0, "R": 2 * 3 * 128}
    return layers + mixes[name]


# ------------------------------------------------- for single parts of the benchmark

LARGE_DENSE, LARGE_VOCABULARY = 128, 1500000
GROWTH_WIDTH = 128


def large():
    """M over an array and one sparse feature with an embedding table of 96 MB."""
    features = [mtl.dense("x", width=LARGE_DENSE),
                mtl.sparse("s", mtl.index_lookup(), embedding_dim=16, vocabulary_size=LARGE_VOCABULARY)]
    return fill(mtl.Model(mtl.make_contract(architecture=architectures()["M"][2], features=features, tasks=[mtl.binary("t0"), mtl.binary("t1")])))


def growing(units, tasks):
    """MMoE with 3 experts [units, units / 2], and its multiply-adds."""
    architecture = mtl.mmoe(num_experts=3, expert=mtl.mlp([units, units // 2]), tower=mtl.tower([64]))
    model = fill(mtl.Model(mtl.make_contract(architecture=architecture, features=[mtl.dense("x", width=GROWTH_WIDTH)],
                                             tasks=[mtl.binary(f"t{i}") for i in range(tasks)])))
    return model, sum(t.size for t in model.tensors.values() if t.ndim == 2) + tasks * 3 * (units // 2)
