"""Models that ask for as much as they can: at the limits of docs/model-format.md and beyond, and dear to parse, build or score.

Each is a file that a few lines describe; some are valid, others must be refused in a short time and little memory.
"""

import json

import hostile
from mutant import Mutant, Tensor, assemble

# (label, function that gives the file and a row), filled by the decorator
EXTREMES = []


def extreme(*variants):
    """The function for each of the variants, which are its arguments."""
    def add(function):
        for arguments in variants:
            EXTREMES.append((" ".join([function.__name__] + [str(a) for a in arguments]),
                             lambda function=function, arguments=arguments: function(*arguments)))
        return function
    return add


def zeros(*shape):
    count = 1
    for size in shape:
        count *= size
    return Tensor("F32", list(shape), bytes(4 * count))


def integers(numbers):
    return Tensor("I64", [len(numbers)], b"".join(n.to_bytes(8, "little", signed=True) for n in numbers))


def octets(data):
    return Tensor("U8", [len(data)], data)


def dense(name="x", **keys):
    return dict({"name": name, "kind": "dense"}, **keys)


def sparse(name="s", kind="sparse", **keys):
    return dict({"name": name, "kind": kind, "lookup": {"type": "index"}, "embedding": "t"}, **keys)


def binary(count):
    return [{"name": "t%d" % i, "type": "binary"} for i in range(count)]


def contract(features, tasks, architecture=None, **keys):
    return dict({"format": 1, "features": features, "tasks": tasks, "architecture": architecture or {"type": "single_task"}}, **keys)


def towers(tasks, width):
    """The tensors of towers without hidden layers and without a bias."""
    return {"task.%s.tower.logit.weight" % t["name"]: zeros(1, width) for t in tasks if t["type"] != "product"}


NO_BIAS = {"logit_bias": False}


def model(c, tensors, row=None):
    c["architecture"].setdefault("tower", NO_BIAS)
    return Mutant(c, tensors).file(), {"x": 1} if row is None else row


def x_model(width, *features, row, tensors=None):
    """One binary task over the features, whose vectors have this width together."""
    tasks = binary(1)
    return model(contract(list(features), tasks), dict(tensors or {}, **towers(tasks, width)), row)


# ---------------------------------------------------------------- features

@extreme((65536,), (65537,))
def wide_dense(width):
    return x_model(width, dense(width=width), row={"x": [1] * width})


@extreme((63,), (64,), (10000,))
def many_wide_dense(count):
    """The vectors of all features may have 4,194,304 numbers."""
    width = 65536
    features = [dense("x%d" % i, width=width, missing=0) for i in range(count)]
    return x_model(count * width if count < 64 else 1, *features, row={})


@extreme((64, {"type": "log1p"}), (64, {"type": "clip"}), (64, {"type": "standardize", "mean": 0, "std": 1}), (65, {"type": "clip"}))
def many_transforms(count, transform):
    return x_model(65536, dense(width=65536, missing=0, transform=[transform] * count), row={})


@extreme(("1e-16383", 60000), ("0e-16383", 60000), ("1e1000", 60000), ("1e-1100", 20000), ("0." + "0" * 1000 + "1", 1000))
def dear_numbers(text, count):
    """Numbers that are short in JSON and long in decimals."""
    transform = {"type": "standardize", "mean": hostile.RAW + "[%s]" % ",".join([text] * count), "std": 1}
    return x_model(count, dense(width=count, missing=0, transform=transform), row={})


@extreme(("1e-16383",), ("1e-400",), ("1e131071",))
def dear_defaults(text):
    features = [dense("x%d" % i, missing=hostile.RAW + text) for i in range(3000)]
    return x_model(3000, *features, row={})


@extreme((10000,), (10001,))
def many_features(count):
    features = [sparse("s%d" % i, missing="zero") for i in range(count)]
    return x_model(count, *features, tensors={"embedding.t.weight": zeros(2, 1)}, row={"s0": 1, "s9999": 0})


@extreme((9999,))
def many_names(count):
    """The list "input" is searched for each feature."""
    features = [dense("x%d" % i, missing=0) for i in range(count)]
    tasks = binary(1)
    return model(contract(features, tasks, input=["x%d" % i for i in reversed(range(count))]), towers(tasks, count), {})


@extreme((65536,), (65537,))
def long_sequence(length):
    feature = sparse("s", "sequence", max_length=length, truncate="head", combiner="max", weights={"column": "w", "normalize": "softmax"})
    return x_model(4, feature, tensors={"embedding.t.weight": zeros(3, 4)}, row={"s": [0, 1, 2] * 30000, "w": [1, 2, -3] * 30000})


@extreme((65536, 1), (65536, 31), (65536, 64), (65536, 65536), (1, 65536))
def long_concatenation(length, dim):
    width = length * dim
    tensors = {"embedding.t.weight": zeros(3, dim)}
    if width > 2**20:
        tensors["task.t0.tower.logit.weight"] = zeros(1, 1)
        width = 1
    return x_model(width, sparse("s", "sequence", max_length=length, combiner="concat", unused="head", missing="empty"),
                   tensors=tensors, row={"s": [0, 1, 2] * min(length // 6 + 1, 1000)})


@extreme((31,), (63,), (64,))
def many_sequences(count):
    """The row numbers of all features may be 4,194,304."""
    features = [sparse("s%d" % i, "sequence", max_length=65536, missing="empty", weights={"column": "w%d" % i}) for i in range(count)]
    return x_model(4 * count, *features, tensors={"embedding.t.weight": zeros(3, 4)}, row={"s0": [1], "w0": [1]})


@extreme((65536, 1), (65536, 8), (65537, 1), (1, 300000))
def wide_table(width, rows):
    return x_model(width, sparse(), tensors={"embedding.t.weight": zeros(rows, width)}, row={"s": rows - 1})


@extreme((100000,))
def integer_vocabulary(count):
    ids = [i * 2**32 for i in range(count)]         # the same low bits for all
    return x_model(1, sparse(lookup={"type": "vocabulary"}), row={"s": ids[-1]},
                   tensors={"embedding.t.weight": zeros(count, 1), "vocabulary.t.ids": integers(ids)})


@extreme((100000, 0), (1, 1000000), (2, 0), (30000, 30))
def text_vocabulary(count, length):
    """All entries but the number at the end are alike; without one they are no vocabulary."""
    entries = [b"x" * length + str(i).encode() * (length > 0) for i in range(count)]
    offsets = [0]
    for entry in entries:
        offsets.append(offsets[-1] + len(entry))
    return x_model(1, sparse(lookup={"type": "vocabulary"}), row={"s": entries[-1].decode()},
                   tensors={"embedding.t.weight": zeros(count, 1), "vocabulary.t.bytes": octets(b"".join(entries)),
                            "vocabulary.t.offsets": integers(offsets)})


@extreme(([0, 2**62, 3],), ([0, -5, 3],), ([0, 3, 2],), ([1, 3],), ([0, 2**31 + 2],), ([0, 2**32 + 3],), ([0],), ([3],))
def broken_offsets(offsets):
    return x_model(1, sparse(lookup={"type": "vocabulary"}), row={"s": "abc"},
                   tensors={"embedding.t.weight": zeros(4, 1), "vocabulary.t.bytes": octets(b"abc"),
                            "vocabulary.t.offsets": integers(offsets)})


@extreme((2**31 - 1,), (2**31,), (2**53,), (-2**31,), (-2**63,), (1.5,))
def hash_offsets(number):
    return x_model(1, sparse(lookup={"type": "hash", "offset": number, "num_buckets": number}), row={"s": 1},
                   tensors={"embedding.t.weight": zeros(4, 1)})


# ---------------------------------------------------------------- tasks

@extreme((1000,), (1001,))
def many_tasks(count):
    tasks = binary(count)
    return model(contract([dense()], tasks), towers(tasks, 1))


@extreme((1000,), (1001,))
def many_classes(count):
    tasks = [{"name": "c", "type": "multiclass", "num_classes": count, "tower": NO_BIAS}]
    return model(contract([dense()], tasks), {"task.c.tower.logit.weight": zeros(count, 1)})


@extreme((1000, 2000), (3, 1000000))
def long_classes(count, length):
    tasks = [{"name": "c", "type": "multiclass", "classes": [("%d " % i) + "x" * length for i in range(count)]}]
    return model(contract([dense()], tasks), {"task.c.tower.logit.weight": zeros(count, 1)})


@extreme((500, 500), (4, 1001))
def many_products(count, factors):
    """Each product names the tasks just before it."""
    name = "%d"
    tasks = [{"name": name % i, "type": "binary"} for i in range(2)]
    for i in range(2, count):
        tasks.append({"name": name % i, "type": "product", "of": [name % max(i - 1 - k % 2, 0) for k in range(factors)]})
    return model(contract([dense()], tasks), towers(tasks[:2], 1))


@extreme((400, "concat"), (300, "sum"), (20, "average"))
def many_reads(count, fusion):
    tasks = binary(count)
    names = [t["name"] for t in tasks]
    c = contract([dense()], tasks, {"type": "asymmetric_sharing", "bottom": {"hidden_units": [1], "bias": False}, "fusion": fusion,
                                    "reads": {a: [b for b in names if b != a] for a in names}})
    tensors = towers(tasks, count if fusion == "concat" else 1)
    tensors.update({"task.%s.bottom.0.weight" % name: zeros(1, 1) for name in names})
    return model(c, tensors)


@extreme((400, 1), (1000, 1), (1000, 2), (64, 1000))
def many_relations(count, units):
    """Each task reads all before it."""
    tasks = binary(count)
    names = [t["name"] for t in tasks]
    c = contract([dense()], tasks, {"type": "dbmtl", "relations": {name: {"reads": names[:i], "hidden_units": [units], "bias": False}
                                                                   for i, name in enumerate(names)}})
    tensors = towers(tasks, units)
    if units == 1:
        tensors.update({"task.%s.relation.0.weight" % name: zeros(units, 1 + units * i) for i, name in enumerate(names)})
    return model(c, tensors)


@extreme((300,))
def same_reads(count):
    tasks = binary(count)
    c = contract([dense()], tasks, {"type": "asymmetric_sharing", "bottom": {}, "reads": {t["name"]: ["t0"] * (count - 1) for t in tasks}})
    return model(c, towers(tasks, count))


# ---------------------------------------------------------------- architectures

@extreme((64, 1), (64, 65536), (65, 1))
def deep_mlp(layers, units):
    c = contract([dense()], binary(1), {"type": "shared_bottom", "bottom": {"hidden_units": [units] * layers, "bias": False}})
    tensors = towers(c["tasks"], units)
    if units == 1:
        tensors.update({"shared.bottom.%d.weight" % i: zeros(1, 1) for i in range(layers)})
    return model(c, tensors)


@extreme((65536,), (65537,))
def wide_layer(units):
    c = contract([dense()], binary(1), {"type": "shared_bottom", "bottom": {"hidden_units": [units], "bias": False}})
    return model(c, dict(towers(c["tasks"], units), **{"shared.bottom.0.weight": zeros(units, 1)}))


@extreme((1024, 400, 1), (1024, 200, 2), (1024, 1001, 2), (1, 1000, 33), (1025, 1, 1))
def many_experts(experts, count, levels):
    """Experts without layers cost no operations; the gates' sizes are limited by the vectors."""
    tasks = binary(count)
    c = contract([dense()], tasks, {"type": "mmoe", "num_experts": experts, "expert": {}, "num_levels": levels, "mix": "task"})
    tensors = towers(tasks, 1)
    for level in range(levels):
        tensors.update({"level.%d.task.%s.gate.logit.weight" % (level, t["name"]): zeros(experts, 1) for t in tasks})
    return model(c, tensors)


@extreme((2, 511, 1), (1024, 400, 1), (1024, 400, 64), (1, 1000, 33), (1, 100, 64))
def many_specific_experts(experts, count, levels):
    """A list with a number of experts for each task."""
    tasks = binary(count)
    c = contract([dense()], tasks, {"type": "ple", "specific_expert_num": [experts] * count, "shared_expert_num": 1, "expert": {},
                                    "num_levels": levels, "shared_gate": "shared"})
    tensors = towers(tasks, 1)
    for level in range(levels if experts == 1 else 1):
        tensors.update({"level.%d.task.%s.gate.logit.weight" % (level, t["name"]): zeros(experts + 1, 1) for t in tasks})
        if level < levels - 1:
            tensors["level.%d.shared.gate.logit.weight" % level] = zeros(1, 1)
    return model(c, tensors)


@extreme((1000, 1, 1), (1000, 2, 64), (3, 10000, 1), (200, 10000, 1), (1000, 65, 1))
def many_slices(count, features, levels):
    """Every gate of every task mixes the experts of all; experts without layers cost no operations."""
    tasks = binary(count)
    dim = count + 1
    c = contract([sparse("s%d" % i, missing="zero") for i in range(features)], tasks,
                 {"type": "stem", "specific_expert_num": 1, "shared_expert_num": 0, "expert": {}, "num_levels": levels})
    tensors = dict(towers(tasks, features), **{"embedding.t.weight": zeros(2, dim)})
    owners = ["task.%s" % t["name"] for t in tasks] + (["shared"] if levels > 1 else [])
    tensors.update({"level.0.%s.gate.logit.weight" % owner: zeros(count, features) for owner in owners if count * features <= 2000})
    if count == 3:
        tensors.update({"level.0.%s.gate.logit.weight" % owner: zeros(count, features) for owner in owners})
    return model(c, tensors, {"s0": 1})


@extreme((1000, 1), (10, 64), (2, 512), (3, 65536))
def many_attentions(count, units):
    """Three layers of units over units, which a model with shared attention has once."""
    tasks = binary(count)
    mlp = {"hidden_units": [units], "bias": False}
    c = contract([dense()], tasks, {"type": "aitm", "bottom": mlp, "info": {} if units > 64 else mlp, "attention": {"shared": True}})
    tensors = towers(tasks, units)
    for task in tasks:
        tensors["task.%s.bottom.0.weight" % task["name"]] = zeros(units, 1)
        if units <= 64 and task is not tasks[0]:
            tensors["task.%s.info.0.weight" % task["name"]] = zeros(units, units)
    tensors.update({"shared.attention.%s.weight" % part: zeros(units, units) for part in ("query", "key", "value") if units <= 512})
    return model(c, tensors)


@extreme((64, 20), (30, 200))
def many_stitches(layers, count):
    tasks = binary(count)
    c = contract([dense()], tasks, {"type": "cross_stitch", "column": {"hidden_units": [1] * layers, "bias": False},
                                    "stitch_after": list(range(0, layers, 7))})
    tensors = towers(tasks, 1)
    for layer in range(layers):
        tensors.update({"task.%s.column.%d.weight" % (t["name"], layer): zeros(1, 1) for t in tasks})
        if layer % 7 == 0:
            tensors["stitch.%d.weight" % layer] = zeros(count, count)
    return model(c, tensors)


@extreme((2, 256), (2, 65536), (100, 4))
def many_subspaces(count, subspaces):
    tasks = binary(count)
    c = contract([dense()], tasks, {"type": "sluice", "column": {"hidden_units": [subspaces], "bias": False}, "subspaces": subspaces})
    tensors = dict(towers(tasks, subspaces), **{"skip.weight": zeros(count, 1)})
    tensors.update({"task.%s.column.0.weight" % t["name"]: zeros(subspaces, 1) for t in tasks})
    if subspaces < 1000:
        tensors["stitch.0.weight"] = zeros(count * subspaces, count * subspaces)
    return model(c, tensors)


# ---------------------------------------------------------------- the file and its JSON

@extreme((50000,))
def many_tensors(count):
    tensors = {"unused.%d" % i: zeros(1) for i in range(count)}
    return x_model(1, dense(), tensors=tensors, row={"x": 1})


@extreme((100000,))
def empty_tensors(count):
    tensors = {"unused.%d" % i: octets(b"") for i in range(count)}
    return x_model(1, dense(), tensors=tensors, row={"x": 1})


@extreme((200000,))
def long_provenance(count):
    c = contract([dense()], binary(1), provenance={"a": hostile.RAW + "[%s]" % ",".join(["0"] * count)})
    return model(c, towers(c["tasks"], 1))


@extreme((1000,))
def dear_provenance(count):
    """Few bytes whose decimals fill the memory when they are shown."""
    c = contract([dense()], binary(1), provenance={"a": hostile.RAW + "[%s]" % ",".join(["1e131071"] * count)})
    return model(c, towers(c["tasks"], 1))


@extreme((100,), (1000,), (20000,), (1000000,))
def deep_provenance(depth):
    c = contract([dense()], binary(1), provenance={"a": hostile.nested(depth)})
    return model(c, towers(c["tasks"], 1))


@extreme((1000000,))
def long_key(length):
    return model(contract([dense()], binary(1), **{"k" * length: 1}), towers(binary(1), 1))


@extreme((1000000,))
def deep_header(depth):
    return assemble(b"[" * depth, b""), {}


@extreme((200000,))
def many_keys(count):
    header = {str(i): 0 for i in range(count)}
    return assemble(json.dumps(header).encode(), b""), {}


@extreme((16 * 1024 * 1024 + 1,))
def padded_header(length):
    return assemble(b"{}" + b" " * (length - 2), b""), {}


@extreme((100000, "{}"), (100001, "{}"), (1000, "[" * 50 + "]" * 50), (1, "{}" + " " * 3000000), (1, "0" + ",0" * 8400000), (2000, '{"x": 1e-16383}'))
def many_examples(count, row):
    tensors = {"examples.rows": octets(b"[" + b",".join([row.encode()] * count) + b"]"), "examples.scores": zeros(count, 1)}
    c = contract([dense(missing=0)], [{"name": "t0", "type": "regression"}], examples={"count": count})
    return model(c, dict(tensors, **towers(c["tasks"], 1)))


@extreme(("1e-300", None), ("1e-320", None), ("1e300", None), ("1e-45", "leaky_relu"), ("1e300", "leaky_relu"), ("-1e300", "leaky_relu"),
         ("1e-300", "dice"), ("1e300", "dice"), ("1e-300", "layer_norm"), ("1e300", "layer_norm"), ("0", "batch_norm"), ("1e300", "batch_norm"))
def extreme_switch(number, switch):
    """Doubles that are no float32."""
    number = hostile.RAW + number
    activation = {"leaky_relu": {"type": "leaky_relu", "negative_slope": number},
                  "dice": {"type": "dice", "statistics": "row_sum", "epsilon": number}}.get(switch, "relu")
    normalization = {"type": switch, "epsilon": number, "scale": False, "center": False} if switch and "norm" in switch else None
    gate = {"temperature": number if switch is None else 1}
    c = contract([dense(width=3)], binary(1), {"type": "mmoe", "num_experts": 2, "gate": gate,
                                               "expert": {"hidden_units": [3], "activation": activation, "normalization": normalization}})
    ones = b"\0\0\x80\x3f"
    tensors = towers(c["tasks"], 3)
    tensors["level.0.task.t0.gate.logit.weight"] = Tensor("F32", [2, 3], ones * 2 + bytes(16))
    for expert in range(2):
        prefix = "level.0.expert.%d.0" % expert
        tensors[prefix + ".weight"] = Tensor("F32", [3, 3], b"\0\0\x80\xbf" * 3 + ones * 6)
        tensors[prefix + ".bias"] = zeros(3)
        if switch == "dice":
            tensors[prefix + ".activation.alpha"] = Tensor("F32", [1], ones)
        if switch == "batch_norm":
            tensors[prefix + ".norm.running_mean"] = zeros(3)
            tensors[prefix + ".norm.running_var"] = Tensor("F32", [3], ones * 2 + b"\x01\0\0\0")
    return model(c, tensors, {"x": [1e10, -1e10, 3]})
