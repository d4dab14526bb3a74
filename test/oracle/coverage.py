"""What a set of random models and rows covers, read from the contracts and, where it is about what is computed, from the oracle."""

from oracle_features import get
from precision import FOLD_NUMBERS

ACTIVATIONS = ["linear", "relu", "leaky_relu", "leaky_relu negative_slope", "prelu scalar", "prelu vector", "sigmoid", "tanh", "silu",
               "gelu", "gelu_tanh", "dice batch scalar", "dice batch vector", "dice row_mean", "dice row_sum"]
NORMALIZATIONS = ["%s %s scale=%s center=%s" % (t, p, s, c) for t in ("batch_norm", "layer_norm")
                  for p in ("before_activation", "after_activation") for s in (True, False) for c in (True, False)]

# Every value of every switch; a run that misses one fails.
SWITCHES = {
    "architecture": ["single_task", "shared_bottom", "cross_stitch", "sluice", "omoe", "mmoe", "asymmetric_sharing",
                     "customized_sharing", "cgc", "ple", "stem", "aitm", "dbmtl"],
    "cross_stitch": ["scalar", "per_unit", "after all layers", "after some layers"],
    "sluice": ["skip", "no skip", "subspaces 1", "subspaces 2", "subspaces 3"],
    "omoe": ["levels 1", "levels 2", "levels list", "num_levels"],
    "mmoe": ["levels 1", "levels 2", "levels 3", "levels list", "num_levels", "mix shared", "mix task", "mix shared, then task",
             "mix task twice"],
    "cgc": ["specific_expert_num list", "no shared experts"],
    "ple": ["levels 1", "levels 2", "levels 3", "levels list", "num_levels", "sizes per level", "specific_expert_num list",
            "a task without experts of its own", "no shared experts", "shared_gate all", "shared_gate shared",
            "shared_gate shared_first"],
    "stem": ["levels 1", "levels 2", "levels 3", "levels list", "num_levels", "sizes per level", "specific_expert_num list",
             "a task without experts of its own", "no shared experts"],
    "expert_order": ["specific_first", "shared_first"],
    "gate_input": ["omoe level", "omoe raw", "mmoe level", "mmoe raw", "cgc level", "cgc raw", "ple level", "ple raw",
                   "dbmtl level", "dbmtl raw"],
    "asymmetric_sharing": ["concat", "sum", "average", "reads several"],
    "customized_sharing": ["specific_first", "shared_first", "shared_bottom of its own", "shared_bottom as bottom"],
    "aitm": ["attention bias", "no attention bias", "attention shared", "attention of a task", "attention left out", "info layers 0",
             "info layers 1", "info layers 2", "tasks 2", "tasks 3"],
    "dbmtl": ["bottom", "no bottom", "experts", "no experts", "mlps for all", "mlps for some", "no mlps", "relations for some",
              "no relations", "reads none", "reads one", "reads several", "reads in another order", "reads a relation",
              "reads a task without a relation"],
    "activation": ACTIVATIONS,
    "activation written as": ["text", "object", "list", "default"],
    "normalization": NORMALIZATIONS + ["none", "epsilon"],
    "mlp": ["layers 0", "layers 1", "layers 2", "layers 3", "no bias", "bias per layer", "normalization per layer"],
    "gate": ["default", "hidden layers", "logit_bias", "no logit_bias", "temperature", "logit batch_norm", "logit layer_norm"]
            + ["logit " + a for a in ACTIVATIONS],
    "tower": ["logit_bias", "no logit_bias", "of a task", "none given"],
    "task": ["binary sigmoid", "binary softmax", "regression", "multiclass num_classes", "multiclass classes", "product",
             "product of three", "product of a product", "product with a regression", "hidden", "hidden factor"],
    "precision": ["float32", "float32 written"] + [p + " " + s for p in ("bf16", "int8") for s in (
        "layers", "batch_norm", "table", "folded", "folded context", "folded alone", "too large to be folded", "parts", "one part", "context alone")],
    "contract": ["input", "context", "rank sum", "rank product", "no rank", "provenance", "examples"],
    "feature": ["dense", "sparse", "sequence", "shared table", "table of another name", "shared vocabulary"],
    "dense": ["width 1", "width above 1", "columns", "embedding_dim", "embedding_bias", "missing error", "missing number",
              "missing value", "missing zero", "no transform", "standardize", "min_max", "log1p", "clip", "clip one bound",
              "several transforms", "parameter list"],
    "lookup": ["index", "precision double", "precision float32", "vocabulary", "hash", "offset", "vocabulary name", "integers", "texts", "decimal texts", "empty text",
               "num_buckets", "mask_zero", "no mask_zero", "number_format integer", "number_format float"],
    "sparse": ["oov error", "oov row", "oov zero", "missing error", "missing number", "missing value", "missing text", "missing oov",
               "missing zero"],
    "sequence": ["oov error", "oov row", "oov zero", "oov skip", "missing error", "missing empty", "truncate tail", "truncate head",
                 "padding number", "padding text", "no padding", "combiner sum", "combiner mean", "combiner max", "combiner concat", "unused tail",
                 "unused head", "epsilon",
                 "empty_value", "weights none", "weights sum", "weights softmax", "no weights"],
    "row": ["null", "absent key", "missing dense", "missing sparse", "missing sequence", "unknown value of a sparse",
            "unknown value of a sequence", "empty sequence", "sequence over max_length, tail kept",
            "sequence over max_length, head kept", "padding", "padding in its place", "unused places, tail", "unused places, head",
            "array of a concatenated sequence without padding", "truth value as number", "truth value in a lookup",
            "key of no feature", "array", "number that float32 rounds"],
}


class Coverage:
    def __init__(self):
        self.seen = set()

    def missing(self):
        return ["%s: %s" % (switch, value) for switch, values in SWITCHES.items() for value in values
                if "%s: %s" % (switch, value) not in self.seen]

    def add_model(self, contract, tensors, oracle):
        """Notes the switches of a model, which the oracle has read, and returns them."""
        walk = Walk(contract, tensors)
        walk.precision(oracle)
        self.seen |= walk.seen
        return sorted(walk.seen)

    def add_row(self, events):
        self.seen |= events


class Walk:
    def __init__(self, contract, tensors):
        self.seen = set()
        self.contract, self.tensors = contract, tensors
        self.architecture()
        self.tasks()
        self.features()
        self.note("contract", "rank " + contract["rank"]["form"] if get(contract, "rank") else "no rank")
        for key in ("input", "context", "provenance", "examples"):
            self.note("contract", key, get(contract, key))

    def precision(self, oracle):
        p = oracle.precision
        compact = [n[:-len(".weight")] for n, t in self.tensors.items() if t.dtype.str in ("<u2", "|i1") and not n.startswith("embedding.")]
        self.note("precision", "float32 written", get(self.contract, "precision") == "float32")
        if p == "float32":
            self.note("precision", p)
            return
        self.note("precision", p + " layers", compact)
        self.note("precision", p + " batch_norm", any(c + ".norm.running_var" in self.tensors for c in compact))
        self.note("precision", p + " table", any(n.startswith("embedding.") for n in self.tensors))
        if set(compact) & set(oracle.readers):
            self.parts(p, oracle)

    def parts(self, p, oracle):
        """Of layers that read x, in bf16 or int8."""
        context, names = set(get(self.contract, "context", [])), set(oracle.features)
        wide = {n for n, f in oracle.features.items() if f["kind"] == "sparse" and len(oracle.vectors[n]) >= FOLD_NUMBERS[p]}
        self.note("precision", p + " folded", oracle.folded - context)
        self.note("precision", p + " folded context", oracle.folded & context)
        self.note("precision", p + " folded alone", oracle.folded == names or oracle.folded == context != set())
        self.note("precision", p + " too large to be folded", wide - oracle.folded)
        self.note("precision", p + " parts", context - oracle.folded and names - context - oracle.folded)
        self.note("precision", p + " one part", not context)
        self.note("precision", p + " context alone", context == names)

    def note(self, switch, value, condition=True):
        if condition:
            self.seen.add("%s: %s" % (switch, value))

    def prefixes(self, beginning, end=""):
        """Prefixes of layers in the file, to see what shape an alpha has."""
        return [n[:-len(".weight")] for n in self.tensors if n.startswith(beginning) and n.endswith(end + ".weight")]

    # ---------------------------------------------------------------- layers

    def activation(self, activation, prefixes, switch="activation", before=""):
        spec = activation if isinstance(activation, dict) else {"type": activation}
        kind = spec["type"]
        if kind == "leaky_relu" and get(spec, "negative_slope", 0.01) != 0.01:
            self.note(switch, before + kind + " negative_slope")
        elif kind == "dice" and get(spec, "statistics", "batch") != "batch":
            self.note(switch, before + "dice " + spec["statistics"])
        elif kind in ("prelu", "dice"):
            for p in prefixes:
                alpha = self.tensors.get(p + ".activation.alpha")
                if alpha is not None:
                    # In a layer of one unit the two are the same.
                    shape = "scalar" if alpha.shape == (1,) and self.tensors[p + ".weight"].shape[0] > 1 else "vector"
                    self.note(switch, before + ("dice batch " if kind == "dice" else "prelu ") + shape)
        else:
            self.note(switch, before + kind)

    def normalization(self, spec):
        if spec is None:
            self.note("normalization", "none")
            return
        self.note("normalization", "%s %s scale=%s center=%s" % (
            spec["type"], get(spec, "position", "before_activation"), get(spec, "scale", True), get(spec, "center", True)))
        self.note("normalization", "epsilon", get(spec, "epsilon", 1e-5) != 1e-5)

    def mlp(self, spec, prefix):
        layers = len(get(spec, "hidden_units", []))
        self.note("mlp", "layers %d" % layers)
        if layers == 0:
            return
        bias, normalization = spec.get("bias"), get(spec, "normalization")
        self.note("mlp", "no bias", bias is False)
        self.note("mlp", "bias per layer", isinstance(bias, list))
        self.note("mlp", "normalization per layer", isinstance(normalization, list))
        for one in normalization if isinstance(normalization, list) else [normalization]:
            self.normalization(one)
        activation = get(spec, "activation")
        written = {str: "text", dict: "object", list: "list", type(None): "default"}[type(activation)]
        self.note("activation written as", written)
        activations = activation if isinstance(activation, list) else [activation or "relu"] * layers
        for l, a in enumerate(activations):
            self.activation(a, [p for p in self.prefixes(prefix, ".%d" % l)])

    def gate(self, spec, prefix):
        if spec is None:
            self.note("gate", "default")
            spec = {}
        if get(spec, "hidden_units"):
            self.note("gate", "hidden layers")
            self.mlp(spec, prefix)
        self.note("gate", "logit_bias" if get(spec, "logit_bias") else "no logit_bias")
        self.note("gate", "temperature", get(spec, "temperature", 1) != 1)
        normalization = get(spec, "logit_normalization")
        if normalization:
            self.note("gate", "logit " + normalization["type"])
        self.activation(get(spec, "logit_activation", "linear"), self.prefixes(prefix, ".logit"), "gate", "logit ")

    # ---------------------------------------------------------------- architectures

    def architecture(self):
        a = self.contract["architecture"]
        kind = a["type"]
        self.note("architecture", kind)
        self.note("tower", "none given", get(a, "tower") is None)
        for key in ("bottom", "shared_bottom", "column", "info"):
            if get(a, key) is not None:
                self.mlp(a[key], "task." if key != "shared_bottom" else "shared.")
        if kind == "cross_stitch":
            self.note(kind, get(a, "stitch", "scalar"))
            layers = len(a["column"]["hidden_units"])
            self.note(kind, "after all layers" if len(get(a, "stitch_after", [0] * layers)) == layers else "after some layers")
        elif kind == "sluice":
            self.note(kind, "skip" if get(a, "skip", True) else "no skip")
            self.note(kind, "subspaces %d" % get(a, "subspaces", 2))
        elif kind == "asymmetric_sharing":
            self.note(kind, get(a, "fusion", "concat"))
            self.note(kind, "reads several", any(len(r) > 1 for r in a["reads"].values()))
        elif kind == "customized_sharing":
            self.note(kind, get(a, "order", "specific_first"))
            self.note(kind, "shared_bottom of its own" if get(a, "shared_bottom") is not None else "shared_bottom as bottom")
        elif kind == "aitm":
            attention = get(a, "attention", {})
            self.note(kind, "attention left out", get(a, "attention") is None)
            self.note(kind, "attention bias" if get(attention, "bias") else "no attention bias")
            self.note(kind, "attention shared" if get(attention, "shared") else "attention of a task")
            self.note(kind, "info layers %d" % len(get(a["info"], "hidden_units", [])))
            self.note(kind, "tasks %d" % sum(t["type"] != "product" for t in self.contract["tasks"]))
        elif kind == "dbmtl":
            self.relations(a)
        elif kind in ("omoe", "mmoe", "cgc", "ple", "stem"):
            self.levels(a, kind)

    def relations(self, a):
        tasks = [t["name"] for t in self.contract["tasks"] if t["type"] != "product"]
        self.note("dbmtl", "bottom" if get(a, "bottom") is not None else "no bottom")
        mixture = get(a, "num_experts") is not None
        self.note("dbmtl", "experts" if mixture else "no experts")
        if mixture:
            self.note("gate_input", "dbmtl " + get(a, "gate_input", "level"))
            self.gate(get(a, "gate"), "level.0.")
            self.mlp(a["expert"], "level.0.")
        mlps, relations = get(a, "mlps", {}), get(a, "relations", {})
        self.note("dbmtl", "mlps for all" if len(mlps) == len(tasks) else "mlps for some" if mlps else "no mlps")
        self.note("dbmtl", "relations for some" if relations else "no relations")
        for t, mlp in mlps.items():
            self.mlp(mlp, "task.%s.mlp" % t)
        for t, relation in relations.items():
            self.mlp(relation, "task.%s.relation" % t)
            reads = get(relation, "reads", [])
            self.note("dbmtl", "reads " + ["none", "one", "several"][min(len(reads), 2)])
            self.note("dbmtl", "reads in another order", reads != sorted(reads, key=tasks.index))
            for s in reads:
                self.note("dbmtl", "reads a relation" if s in relations else "reads a task without a relation")

    def levels(self, a, kind):
        levels = get(a, "levels") or [a] * get(a, "num_levels", 1)
        n = len(levels)
        self.note(kind, "levels %d" % n)
        self.note(kind, "levels list" if get(a, "levels") else "num_levels", get(a, "levels") or n > 1)
        for j, level in enumerate(levels):
            self.note("gate_input", "%s %s" % (kind, get(level, "gate_input", "level")), kind != "stem")
            self.gate(get(level, "gate"), "level.%d." % j)
            self.mlp(level["expert"], "level.%d." % j)
            if kind in ("cgc", "ple", "stem"):
                self.extraction(level, kind, j == n - 1)
        sizes = [get(level["expert"], "hidden_units", []) for level in levels]
        self.note(kind, "sizes per level", any(s != sizes[0] for s in sizes))
        if kind == "mmoe":
            mixes = [get(level, "mix", "shared") for level in levels[:-1]] + ["task"]
            for mix in mixes[:-1]:
                self.note(kind, "mix " + mix)
            for first, second in zip(mixes, mixes[1:]):
                self.note(kind, "mix task twice" if first == "task" else "mix shared, then %s" % second)

    def extraction(self, level, kind, last):
        order = get(level, "expert_order", "specific_first")
        specific, shared = level["specific_expert_num"], level["shared_expert_num"]
        self.note("expert_order", order, kind != "stem")
        self.note(kind, "specific_expert_num list", isinstance(specific, list))
        self.note(kind, "no shared experts", shared == 0)
        self.note(kind, "a task without experts of its own", 0 in (specific if isinstance(specific, list) else [specific]))
        if not last and kind != "stem":
            gate = get(level, "shared_gate", "all")
            self.note(kind, "shared_gate " + gate)
            self.note(kind, "shared_gate shared_first", gate == "all" and order == "shared_first" and shared > 0)

    # ---------------------------------------------------------------- tasks

    def tasks(self):
        tasks = {t["name"]: t for t in self.contract["tasks"]}
        regressions = set()
        for name, t in tasks.items():
            kind = t["type"]
            if kind == "binary":
                self.note("task", "binary " + get(t, "head", "sigmoid"))
            elif kind == "multiclass":
                self.note("task", "multiclass " + ("classes" if get(t, "classes") else "num_classes"))
            else:
                self.note("task", kind)
            if kind == "regression" or (kind == "product" and regressions.intersection(t["of"])):
                regressions.add(name)
            self.note("task", "hidden", get(t, "hidden"))
            if kind == "product":
                self.note("task", "product of three", len(t["of"]) == 3)
                self.note("task", "product of a product", any(tasks[f]["type"] == "product" for f in t["of"]))
                self.note("task", "product with a regression", name in regressions)
                self.note("task", "hidden factor", any(get(tasks[f], "hidden") for f in t["of"]))
                continue
            tower = get(t, "tower", get(self.contract["architecture"], "tower", {}))
            self.note("tower", "of a task", get(t, "tower") is not None)
            self.note("tower", "logit_bias" if get(tower, "logit_bias", True) else "no logit_bias")
            self.mlp(tower, "task.%s.tower" % name)

    # ---------------------------------------------------------------- features

    def features(self):
        tables, vocabularies = [], []
        for f in self.contract["features"]:
            self.note("feature", f["kind"])
            if f["kind"] == "dense":
                self.dense(f)
                continue
            table = get(f, "embedding", f["name"])
            self.note("feature", "shared table", table in tables)
            self.note("feature", "table of another name", table != f["name"])
            tables.append(table)
            self.lookup(f, table, vocabularies)
            self.rules(f)
            if f["kind"] == "sequence":
                self.sequence(f)

    def missing_rule(self, f):
        rule = get(f, "missing", "error")
        if isinstance(rule, dict):
            self.note(f["kind"], "missing text" if isinstance(rule["value"], str) else "missing value")
        else:
            self.note(f["kind"], "missing " + (rule if isinstance(rule, str) else "number"))

    def dense(self, f):
        self.missing_rule(f)
        self.note("dense", "width 1" if get(f, "width", 1) == 1 else "width above 1")
        for key in ("columns", "embedding_dim", "embedding_bias"):
            self.note("dense", key, get(f, key))
        transforms = get(f, "transform", [])
        transforms = transforms if isinstance(transforms, list) else [transforms]
        self.note("dense", "no transform", not transforms)
        self.note("dense", "several transforms", len(transforms) > 1)
        for t in transforms:
            self.note("dense", t["type"])
            self.note("dense", "clip one bound", t["type"] == "clip" and (get(t, "min") is None) != (get(t, "max") is None))
            self.note("dense", "parameter list", get(f, "width", 1) > 1 and any(isinstance(v, list) for v in t.values()))

    def lookup(self, f, table, vocabularies):
        lookup = f["lookup"]
        self.note("lookup", lookup["type"])
        self.note("lookup", "offset", get(lookup, "offset", 0) > 0)
        self.note("lookup", "precision " + get(lookup, "precision", "double"), lookup["type"] == "index")
        if lookup["type"] == "vocabulary":
            name = get(lookup, "vocabulary", table)
            self.note("lookup", "vocabulary name", name != table)
            self.note("feature", "shared vocabulary", name in vocabularies)
            vocabularies.append(name)
            self.entries("vocabulary." + name)
        elif lookup["type"] == "hash":
            rows = len(self.tensors["embedding.%s.weight" % table])
            self.note("lookup", "num_buckets", get(lookup, "num_buckets", rows) < rows - get(lookup, "offset", 0))
            self.note("lookup", "mask_zero" if get(lookup, "mask_zero") else "no mask_zero")
            self.note("lookup", "number_format " + get(lookup, "number_format", "integer"))

    def entries(self, prefix):
        if prefix + ".ids" in self.tensors:
            self.note("lookup", "integers")
            return
        data, offsets = self.tensors[prefix + ".bytes"].tobytes(), list(self.tensors[prefix + ".offsets"])
        texts = [data[a:b].decode() for a, b in zip(offsets, offsets[1:])]
        self.note("lookup", "empty text", "" in texts)
        self.note("lookup", "decimal texts" if all(t.lstrip("-").isdigit() for t in texts) else "texts")

    def rules(self, f):
        self.missing_rule(f)
        rule = get(f, "oov", "error")
        self.note(f["kind"], "oov " + (rule if isinstance(rule, str) else "row"))

    def sequence(self, f):
        self.note("sequence", "truncate " + get(f, "truncate", "tail"))
        self.note("sequence", "combiner " + get(f, "combiner", "mean"))
        self.note("sequence", "unused " + get(f, "unused", "tail"), get(f, "combiner") == "concat")
        self.note("sequence", "epsilon", get(f, "epsilon", 0) != 0)
        self.note("sequence", "empty_value", get(f, "empty_value", 0) != 0)
        padding = get(f, "padding")
        self.note("sequence", {str: "padding text", type(None): "no padding"}.get(type(padding), "padding number"))
        weights = get(f, "weights")
        self.note("sequence", "weights " + get(weights, "normalize", "none") if weights else "no weights")
