"""Random contracts: architectures, layers, gates, tasks and the value formula."""

from random_features import Plan, random_features

TASK_NAMES = ["ctr", "cvr", "click", "like", "stay_time", "finish", "share", "t 1", "Käufe", "点击", "a/b", "'q'", "0", "\"x\""]
CLASS_NAMES = ["low", "mid", "high", "0", "ünd", "a b", "v1.5", "'", "none"]

UNITS = [1, 3, 4, 5, 7, 8, 8, 12, 13, 16, 16, 17, 24, 32, 33, 48, 65]

# The architectures in turn; the letters after them are read by the functions below.
VARIANTS = ["single_task", "shared_bottom", "cross_stitch scalar", "cross_stitch per_unit", "sluice skip", "sluice plain",
            "omoe single", "omoe stacked", "mmoe single", "mmoe stacked", "mmoe stacked", "asymmetric_sharing concat",
            "asymmetric_sharing sum", "asymmetric_sharing average", "customized_sharing specific_first",
            "customized_sharing shared_first", "cgc", "ple 1", "ple 2", "ple 3", "stem 1", "stem 2",
            "aitm own", "aitm shared", "dbmtl plain", "dbmtl mixture"]


def random_contract(d, variant):
    """A contract and the plan that belongs to it."""
    plan = Plan()
    kind, _, detail = variant.partition(" ")
    tasks = random_tasks(d, at_least=2 if kind in ("cross_stitch", "sluice", "asymmetric_sharing", "aitm", "dbmtl") else 1)
    if kind == "stem":
        plan.slices = 1 + sum(t["type"] != "product" for t in tasks)
    features = random_features(d, plan)
    contract = {"format": 1, "architecture": None, "features": features, "tasks": tasks}
    contract["architecture"] = random_architecture(d, kind, detail, [t["name"] for t in tasks if t["type"] != "product"])

    if d.chance(0.5):
        contract["input"] = d.shuffled([f["name"] for f in features])
    if d.chance(0.5):
        contract["context"] = [f["name"] for f in features if d.chance(0.5)]
    if d.chance(0.4):
        contract["rank"] = random_rank(d, tasks)
    precision = d.pick([None, None, "float32", "bf16", "int8"])
    if precision:
        contract["precision"] = precision
    if d.chance(0.3):
        contract["provenance"] = {"library": "none", "format": 2, "nested": {"a": [1, None, "ü"]}}
    return contract, plan


# ---------------------------------------------------------------- layers

def random_activation(d):
    kind = d.pick(["linear", "relu", "leaky_relu", "prelu", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh", "dice", "dice_row"])
    if kind == "dice_row":
        a = {"type": "dice", "statistics": d.pick(["row_mean", "row_sum"])}
        d.option(a, "epsilon", d.pick([1e-3, 1e-2]), 1e-3)
        return a
    a = {"type": kind}
    if kind == "leaky_relu":
        d.option(a, "negative_slope", d.pick([0.01, 0.3]), 0.01)
    if kind == "dice":
        d.option(a, "statistics", "batch", "batch")
        d.option(a, "epsilon", d.pick([1e-9, 1e-3]), 1e-9)
    return kind if len(a) == 1 and d.chance(0.7) else a


def random_normalization(d, smallest):
    """`smallest` is the size of the smallest layer: the statistics of a row of few units need a larger epsilon to be tame."""
    if d.chance(0.55):
        return None
    n = {"type": d.pick(["batch_norm", "layer_norm"])}
    d.option(n, "position", d.pick(["before_activation", "after_activation"]), "before_activation")
    tame = n["type"] == "batch_norm" or (smallest >= 12 and n.get("position") != "after_activation")
    d.option(n, "epsilon", d.pick([1e-5, 1e-5, 1e-3] if tame else [0.1, 0.5]), 1e-5)
    d.option(n, "scale", d.chance(0.5), True)
    d.option(n, "center", d.chance(0.5), True)
    return n


def random_mlp(d, at_least=0, at_most=2, units=None, equal=False):
    """`units` chooses the size of a layer; `equal` asks for layers of one size."""
    units = units or (lambda: d.pick(UNITS))
    layers = d.integer(at_least, at_most)
    sizes = [units()] * layers if equal else [units() for _ in range(layers)]
    spec = {}
    d.option(spec, "hidden_units", sizes, [])
    activation = random_activation(d)
    if layers and d.chance(0.4):
        activation = [random_activation(d) for _ in sizes]
    d.option(spec, "activation", activation, "relu")
    normalization = random_normalization(d, min(sizes, default=1))
    if layers and d.chance(0.2):
        normalization = [random_normalization(d, size) for size in sizes]
    d.option(spec, "normalization", normalization)
    d.option(spec, "bias", [d.chance(0.5) for _ in sizes] if layers and d.chance(0.2) else d.chance(0.8), True)
    return spec


def random_gate(d):
    if d.chance(0.1):
        return None
    spec = random_mlp(d, at_most=2) if d.chance(0.4) else {}
    d.option(spec, "logit_bias", d.chance(0.5), False)
    d.option(spec, "logit_normalization", random_normalization(d, 1))
    d.option(spec, "logit_activation", d.pick(["linear", random_activation(d), random_activation(d)]), "linear")
    d.option(spec, "temperature", d.pick([1, 1, 0.5, 2, 1.5]), 1)
    return spec


def random_tower(d):
    spec = random_mlp(d, at_most=2)
    d.option(spec, "logit_bias", d.chance(0.7), True)
    return spec


# ---------------------------------------------------------------- architectures

def random_architecture(d, kind, detail, tasks):
    a = {"type": kind}
    d.option(a, "tower", random_tower(d) if d.chance(0.85) else None)
    if kind == "shared_bottom":
        a["bottom"] = random_mlp(d, at_most=3)
    elif kind == "cross_stitch":
        a["column"] = random_mlp(d, at_least=1, at_most=3)
        d.option(a, "stitch", detail, "scalar")
        layers = list(range(len(a["column"]["hidden_units"])))
        d.option(a, "stitch_after", d.pick([layers, sorted(d.shuffled(layers)[:d.integer(1, len(layers))])]), layers)
    elif kind == "sluice":
        subspaces = d.pick([1, 2, 2, 3, 4])
        d.option(a, "subspaces", subspaces, 2)
        d.option(a, "skip", detail == "skip", True)
        a["column"] = random_mlp(d, at_least=1, at_most=3, units=lambda: subspaces * d.integer(1, 10), equal=detail == "skip")
    elif kind == "asymmetric_sharing":
        a["bottom"] = random_mlp(d, at_least=1, at_most=2)
        d.option(a, "fusion", detail, "concat")
        a["reads"] = random_reads(d, tasks)
    elif kind == "customized_sharing":
        a["bottom"] = random_mlp(d, at_most=2)
        d.option(a, "order", detail, "specific_first")
        if d.chance(0.5):
            a["shared_bottom"] = random_mlp(d, at_most=2)
    elif kind == "aitm":
        a["bottom"] = random_mlp(d, at_least=1, at_most=2)
        # The identity keeps the width, too.
        width = a["bottom"]["hidden_units"][-1]
        a["info"] = random_mlp(d, at_most=2, units=lambda: width)
        if detail == "shared" or d.chance(0.7):
            a["attention"] = {}
            d.option(a["attention"], "bias", d.chance(0.5), False)
            d.option(a["attention"], "shared", detail == "shared", False)
    elif kind in ("omoe", "mmoe"):
        complete_levels(d, a, 1 if detail == "single" else d.integer(2, 3),
                        lambda last: random_mixture_level(d, kind == "mmoe" and not last))
        if kind == "mmoe" and "levels" in a:
            order_mixes(d, a["levels"])
    elif kind == "dbmtl":
        d.option(a, "bottom", random_mlp(d) if d.chance(0.6) else None)
        if detail == "mixture":
            a.update(random_mixture_level(d, False))
        for key, random_one in (("mlps", lambda i: random_mlp(d)), ("relations", lambda i: random_relation(d, tasks[:i]))):
            share = d.pick([0, 0.7, 0.7, 1])
            some = {t: random_one(i) for i, t in enumerate(tasks) if d.chance(share)}
            d.option(a, key, some, {})
    elif kind == "stem":
        complete_levels(d, a, int(detail) + d.integer(0, 1), lambda last: random_stem_level(d, len(tasks)))
    elif kind in ("cgc", "ple"):
        levels = int(detail or 1)
        complete_levels(d, a, levels, lambda last: random_extraction_level(d, len(tasks), last and levels == 1))
    return a


def complete_levels(d, a, levels, random_level):
    """The keys of the levels: once in the architecture for all levels, or a list of objects."""
    if a["type"] == "cgc":
        a.update(random_level(True))
    elif d.chance(0.5):
        d.option(a, "num_levels", levels, 1)
        a.update(random_level(levels == 1))
    else:
        a["levels"] = [random_level(j == levels - 1) for j in range(levels)]


def random_mixture_level(d, may_mix):
    level = {"num_experts": d.integer(1, 5), "expert": random_mlp(d)}
    d.option(level, "gate", random_gate(d))
    d.option(level, "gate_input", d.pick(["level", "raw"]), "level")
    if may_mix:
        d.option(level, "mix", d.pick(["shared", "task"]), "shared")
    return level


def order_mixes(d, levels):
    """A "shared" level may not follow a "task" level."""
    task = False
    for level in levels[:-1]:
        if task:
            level["mix"] = "task"
        task = level.get("mix") == "task"
    if d.chance(0.3):
        levels[-1]["mix"] = "task"


def random_extraction_level(d, tasks, only):
    level = {"expert": random_mlp(d)}
    fewest = d.pick([0, 1, 1])
    specific = d.pick([d.integer(fewest, 3), [d.integer(fewest, 3) for _ in range(tasks)]])
    shared_gate = "all" if only else d.pick(["all", "shared"])
    needs_shared = shared_gate == "shared" or (min(specific) if isinstance(specific, list) else specific) == 0
    level["specific_expert_num"] = specific
    level["shared_expert_num"] = d.integer(1, 3) if needs_shared or d.chance(0.6) else 0
    d.option(level, "gate", random_gate(d))
    d.option(level, "gate_input", d.pick(["level", "raw"]), "level")
    d.option(level, "expert_order", d.pick(["specific_first", "shared_first"]), "specific_first")
    if not only:
        d.option(level, "shared_gate", shared_gate, "all")
    return level


def random_stem_level(d, tasks):
    level = {"expert": random_mlp(d)}
    fewest = d.pick([0, 1, 1])
    level["specific_expert_num"] = d.pick([d.integer(fewest, 2), [d.integer(fewest, 2) for _ in range(tasks)]])
    none = not any(level["specific_expert_num"]) if isinstance(level["specific_expert_num"], list) else level["specific_expert_num"] == 0
    level["shared_expert_num"] = d.integer(1, 2) if none or d.chance(0.6) else 0
    d.option(level, "gate", random_gate(d))
    return level


def random_relation(d, earlier):
    relation = random_mlp(d)
    reads = d.shuffled(earlier)
    d.option(relation, "reads", reads[:d.integer(0, len(reads))], [])
    return relation


def random_reads(d, tasks):
    """Some tasks read the bottoms of some others; at least one does."""
    reads = {}
    for t in tasks:
        others = d.shuffled([s for s in tasks if s != t])
        if d.chance(0.6):
            reads[t] = others[:d.integer(1, len(others))]
    return reads or {tasks[-1]: [tasks[0]]}


# ---------------------------------------------------------------- tasks

def random_tasks(d, at_least):
    names = d.shuffled(TASK_NAMES)
    tasks = []
    for _ in range(d.integer(at_least, 4)):
        task = {"name": names.pop(), "type": d.pick(["binary", "binary", "binary", "regression", "multiclass"])}
        if task["type"] == "binary":
            d.option(task, "head", d.pick(["sigmoid", "softmax"]), "sigmoid")
        if task["type"] == "multiclass":
            n = d.integer(2, 5)
            task.update(d.pick([{"num_classes": n}, {"classes": d.shuffled(CLASS_NAMES)[:n]}]))
        d.option(task, "tower", random_tower(d) if d.chance(0.25) else None)
        tasks.append(task)
        # A product may stand anywhere after its factors; chains come from products of products.
        while len(tasks) < 9 and d.chance(0.4):
            factors = random_factors(d, tasks)
            if len(factors) < 2:
                break
            tasks.append({"name": names.pop(), "type": "product", "of": factors})

    for task in tasks[:-1]:
        d.option(task, "hidden", d.chance(0.2), False)
    return tasks


def with_regressions(tasks):
    """The names of the regressions and of the products that include one."""
    names = set()
    for task in tasks:
        if task["type"] == "regression" or names.intersection(task.get("of", [])):
            names.add(task["name"])
    return names


def random_factors(d, tasks):
    """At most three factors, at most one of them with a regression in it, so that products stay as moderate as regressions."""
    regressions = with_regressions(tasks)
    factors, taken = [], False
    for task in d.shuffled(tasks)[:d.integer(2, 3)]:
        if task["type"] == "multiclass" or (taken and task["name"] in regressions):
            continue
        taken = taken or task["name"] in regressions
        factors.append(task["name"])
    return factors


def random_rank(d, tasks):
    """Powers of probabilities, or a sum of any outputs."""
    names, probabilities = [], []
    regressions = with_regressions(tasks)
    for task in tasks:
        if task.get("hidden"):
            continue
        if task["type"] == "multiclass":
            classes = task.get("classes") or range(task["num_classes"])
            outputs = ["%s.%s" % (task["name"], c) for c in classes]
        else:
            outputs = [task["name"]]
        names += outputs
        probabilities += [] if task["name"] in regressions else outputs
    form = d.pick(["sum", "product"]) if probabilities else "sum"
    chosen = d.shuffled(names if form == "sum" else probabilities)
    chosen = chosen[:d.integer(1, len(chosen))]
    return {"form": form, "weights": {name: d.pick([1, 2, 0.5, -1, d.uniform(-2, 3)]) for name in chosen}}
