"""The scores of a model, computed in float64 straight from its contract and its tensors.

This is a second reading of docs/model-format.md, written to be compared with the server's: one function per
paragraph of that page, one row at a time, nothing shared, nothing fast.

    model = Model(contract, tensors)      # contract: dict, tensors: name -> numpy array
    model.outputs                         # names of the outputs
    model.scores({"age": 31, ...})        # float64 array, one per output
    model.rank({"age": 31, ...})          # the value formula
"""

import math

import numpy as np

import precision
from oracle_features import REAL, Features, RowError, get, softmax


def sigmoid(y):
    e = np.exp(-np.abs(y))
    return np.where(y >= 0, 1, e) / (1 + e)


def erf(y):
    return np.array([math.erf(v) for v in y], dtype=REAL)


class Model(Features):
    def __init__(self, contract, tensors):
        super().__init__(contract, tensors)
        self.architecture = contract["architecture"]
        self.tasks = contract["tasks"]
        self.precision = get(contract, "precision", "float32")
        self.near_tie = False       # a rounding in a layer could have gone the other way; the reader sets it back
        self.x = None               # of the row that is computed, and the vectors that it consists of, by feature
        self.vectors = None
        self.readers = {}           # layers that read x itself: prefix -> units
        self.folded = None          # names of features; None before all readers are known
        # Everywhere in the architectures "task" means any task but a product.
        self.network_tasks = [t["name"] for t in self.tasks if t["type"] != "product"]

    # ------------------------------------------------------------ layers

    def normalize(self, prefix, normalization, y):
        u = len(y)
        epsilon = get(normalization, "epsilon", 1e-5)
        if normalization["type"] == "batch_norm":
            mean = self.tensor(prefix + ".norm.running_mean", (u,))
            variance = self.tensor(prefix + ".norm.running_var", (u,))
        else:
            mean = y.mean()
            variance = np.mean((y - mean) ** 2)
        y = (y - mean) / np.sqrt(variance + epsilon)
        if get(normalization, "scale", True):
            y = y * self.tensor(prefix + ".norm.weight", (u,))
        if get(normalization, "center", True):
            y = y + self.tensor(prefix + ".norm.bias", (u,))
        return y

    def activate(self, prefix, activation, y):
        spec = activation if isinstance(activation, dict) else {"type": activation}
        kind = spec["type"]
        u = len(y)
        if kind == "linear":
            return y
        if kind == "relu":
            return np.maximum(y, 0)
        if kind == "leaky_relu":
            return np.where(y > 0, y, get(spec, "negative_slope", 0.01) * y)
        if kind == "prelu":
            return np.where(y > 0, y, self.tensor(prefix + ".activation.alpha", (1,), (u,)) * y)
        if kind == "sigmoid":
            return sigmoid(y)
        if kind == "tanh":
            return np.tanh(y)
        if kind == "silu":
            return y * sigmoid(y)
        if kind == "gelu":
            return y / 2 * (1 + erf(y / math.sqrt(2)))
        if kind == "gelu_tanh":
            return y / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y ** 3)))
        if kind == "dice":
            return self.dice(prefix, spec, y)
        raise ValueError("activation %r" % kind)

    def dice(self, prefix, spec, y):
        u = len(y)
        statistics = get(spec, "statistics", "batch")
        if statistics == "batch":
            m = self.tensor(prefix + ".activation.running_mean", (u,))
            s = self.tensor(prefix + ".activation.running_var", (u,)) + get(spec, "epsilon", 1e-9)
        else:
            m = y.mean()
            squares = (y - m) ** 2 + get(spec, "epsilon", 1e-3)
            s = squares.mean() if statistics == "row_mean" else squares.sum()
        p = sigmoid((y - m) / np.sqrt(s))
        alpha = self.tensor(prefix + ".activation.alpha", (1,), (u,))
        return p * y + alpha * (1 - p) * y

    def layer(self, prefix, units, x, bias, normalization, activation):
        y = self.tensor(prefix + ".weight", (units, len(x))) @ x
        if bias:
            y = y + self.tensor(prefix + ".bias", (units,))
        if normalization is None:
            return self.activate(prefix, activation, y)
        if get(normalization, "position", "before_activation") == "before_activation":
            return self.activate(prefix, activation, self.normalize(prefix, normalization, y))
        return self.normalize(prefix, normalization, self.activate(prefix, activation, y))

    def rounded_product(self, weights, scale, x, y):
        """y and the product of inputs that are rounded together, of which the sums get one scale for each unit."""
        x = x.astype("f4")
        if self.precision == "bf16":
            self.near_tie |= precision.bf16_near_tie(x.astype(REAL))
            sums, row_scale = precision.bf16_sums(weights, x), np.float32(1)
        else:
            self.near_tie |= precision.int8_near_tie(x.astype(REAL))
            sums, row_scale = precision.int8_sums(weights, x)
        return (sums.astype(REAL) * (scale * row_scale) + y.astype("f4")).astype("f4").astype(REAL)

    def product_in_parts(self, weights, scale, y):
        """The same for a layer that reads x: the context's features and then the others, of each those that are folded first."""
        context = get(self.contract, "context", [])
        names = self.input_names()
        ends = np.cumsum([len(self.vectors[n]) for n in names])
        columns = {n: np.arange(end - len(self.vectors[n]), end) for n, end in zip(names, ends)}
        factors = (weights if self.precision == "int8" else precision.bf16_values(weights)) * scale[:, None].astype(REAL)
        factors = factors.astype("f4").astype(REAL)
        for of_context in (True, False):
            part = [n for n in names if (n in context) == of_context]
            for n in part:
                if n in self.folded:
                    y = y + factors[:, columns[n]] @ self.vectors[n]
            rest = [n for n in part if n not in self.folded]
            if rest:
                at = np.concatenate([columns[n] for n in rest])
                y = self.rounded_product(weights[:, at], scale, self.x[at], y)
        return y

    def compact_layer(self, prefix, units, x, bias, normalization, activation):
        """A layer of bf16 or int8. Its sums get one scale and one bias, which a batch norm before the activation is part of."""
        self.tensor(prefix + ".weight", (units, len(x)))
        weights = self.tensors[prefix + ".weight"]
        scale, shift = np.ones(units, REAL), np.zeros(units, REAL)
        if self.precision == "int8":
            scale = self.tensor(prefix + ".weight_scale", (units,))
        if bias:
            shift = self.tensor(prefix + ".bias", (units,))
        before = get(normalization, "position", "before_activation") == "before_activation" if normalization else False
        if before and normalization["type"] == "batch_norm":
            unit = self.normalize(prefix, normalization, np.ones(units, REAL)) - self.normalize(prefix, normalization, np.zeros(units, REAL))
            scale, shift = scale * unit, self.normalize(prefix, normalization, shift)
        scale, shift = scale.astype("f4"), shift.astype("f4").astype(REAL)
        if x is self.x:
            y = self.product_in_parts(weights, scale, shift)
        else:
            y = self.rounded_product(weights, scale, x, shift)
        if before and normalization["type"] == "layer_norm":
            y = self.normalize(prefix, normalization, y)
        y = self.activate(prefix, activation, y)
        return y if before or normalization is None else self.normalize(prefix, normalization, y)

    def mlp_layer(self, prefix, spec, l, x):
        activation, normalization, bias = (
            value[l] if isinstance(value, list) else value
            for value in (get(spec, "activation", "relu"), get(spec, "normalization"), get(spec, "bias", True)))
        layer = self.layer if self.precision == "float32" else self.compact_layer
        prefix, units = "%s.%d" % (prefix, l), spec["hidden_units"][l]
        self.note_reader(prefix, units, x)
        return layer(prefix, units, x, bias, normalization, activation)

    def logit_layer(self, prefix, units, x, *layer):
        self.note_reader(prefix + ".logit", units, x)
        return self.layer(prefix + ".logit", units, x, *layer)

    def note_reader(self, prefix, units, x):
        if x is self.x:
            self.readers[prefix] = units

    def mlp(self, prefix, spec, x):
        for l in range(len(get(spec, "hidden_units", []))):
            x = self.mlp_layer(prefix, spec, l, x)
        return x

    def mixed(self, prefix, spec, x, experts):
        """The experts mixed with the weights that the gate at a prefix computes from `x`."""
        logits = self.logit_layer(prefix, len(experts), self.mlp(prefix, spec, x), get(spec, "logit_bias", False),
                                  get(spec, "logit_normalization"), get(spec, "logit_activation", "linear"))
        weights = softmax(logits / get(spec, "temperature", 1))
        return sum(weight * expert for weight, expert in zip(weights, experts))

    def tower(self, task, x):
        spec = get(task, "tower", get(self.architecture, "tower", {}))
        units = 1
        if task["type"] == "multiclass":
            units = len(self.classes(task))
        elif task["type"] == "binary" and get(task, "head", "sigmoid") == "softmax":
            units = 2
        prefix = "task.%s.tower" % task["name"]
        return self.logit_layer(prefix, units, self.mlp(prefix, spec, x), get(spec, "logit_bias", True), None, "linear")

    # ------------------------------------------------------------ architectures: task name -> what its tower reads

    def single_task(self, x):
        return {t: x for t in self.network_tasks}

    def shared_bottom(self, x):
        bottom = self.mlp("shared.bottom", get(self.architecture, "bottom", {}), x)
        return {t: bottom for t in self.network_tasks}

    def customized_sharing(self, x):
        a = self.architecture
        bottom = get(a, "bottom", {})
        shared = self.mlp("shared.bottom", get(a, "shared_bottom", bottom), x)
        result = {}
        for t in self.network_tasks:
            specific = self.mlp("task.%s.bottom" % t, bottom, x)
            first = get(a, "order", "specific_first") == "specific_first"
            result[t] = np.concatenate([specific, shared] if first else [shared, specific])
        return result

    def asymmetric_sharing(self, x):
        a = self.architecture
        bottoms = {t: self.mlp("task.%s.bottom" % t, get(a, "bottom", {}), x) for t in self.network_tasks}
        fusion = get(a, "fusion", "concat")
        result = {}
        for t in self.network_tasks:
            read = [bottoms[t]] + [bottoms[s] for s in get(get(a, "reads", {}), t, [])]
            if len(read) == 1:
                result[t] = read[0]
            elif fusion == "concat":
                result[t] = np.concatenate(read)
            elif fusion == "sum":
                result[t] = sum(read)
            else:
                result[t] = sum(read) / len(read)
        return result

    def cross_stitch(self, x):
        a = self.architecture
        tasks, column = self.network_tasks, get(a, "column", {})
        T = len(tasks)
        layers = get(column, "hidden_units", [])
        after = get(a, "stitch_after", list(range(len(layers))))
        outputs = [x] * T
        for l, units in enumerate(layers):
            outputs = [self.mlp_layer("task.%s.column" % t, column, l, outputs[i]) for i, t in enumerate(tasks)]
            if l not in after:
                continue
            if get(a, "stitch", "scalar") == "scalar":
                stitch = self.tensor("stitch.%d.weight" % l, (T, T))
            else:
                stitch = self.tensor("stitch.%d.weight" % l, (T, T, units))
            outputs = [sum(stitch[t, s] * outputs[s] for s in range(T)) for t in range(T)]
        return dict(zip(tasks, outputs))

    def sluice(self, x):
        a = self.architecture
        tasks, column, G = self.network_tasks, get(a, "column", {}), get(a, "subspaces", 2)
        T = len(tasks)
        layers = get(column, "hidden_units", [])
        outputs = [x] * T
        stitched = []
        for l, units in enumerate(layers):
            outputs = [self.mlp_layer("task.%s.column" % t, column, l, outputs[i]) for i, t in enumerate(tasks)]
            size = units // G
            stitch = self.tensor("stitch.%d.weight" % l, (T * G, T * G))
            slices = [[outputs[s][h * size:(h + 1) * size] for h in range(G)] for s in range(T)]
            outputs = [np.concatenate([sum(stitch[t * G + g, s * G + h] * slices[s][h] for s in range(T) for h in range(G))
                                       for g in range(G)])
                       for t in range(T)]
            stitched.append(outputs)
        if get(a, "skip", True):
            skip = self.tensor("skip.weight", (T, len(layers)))
            outputs = [sum(skip[t, l] * stitched[l][t] for l in range(len(layers))) for t in range(T)]
        return dict(zip(tasks, outputs))

    def levels(self):
        a = self.architecture
        return get(a, "levels", [a] * get(a, "num_levels", 1))

    def mixture_of_experts(self, x):
        """omoe and mmoe: each level has one set of experts; its mix is shared, or there is one per task."""
        tasks, levels = self.network_tasks, self.levels()
        omoe = self.architecture["type"] == "omoe"
        # What the level reads: one vector for all, or one per task once a level mixed per task.
        shared, own = x, None
        for j, level in enumerate(levels):
            last = j == len(levels) - 1
            per_task = not omoe and (last or get(level, "mix", "shared") == "task")
            raw = get(level, "gate_input", "level") == "raw"
            gate = get(level, "gate", {})

            def experts(read):
                return [self.mlp("level.%d.expert.%d" % (j, i), get(level, "expert", {}), read)
                        for i in range(level["num_experts"])]

            if per_task:
                reads = own if own is not None else {t: shared for t in tasks}
                own = {t: self.mixed("level.%d.task.%s.gate" % (j, t), gate, x if raw else reads[t], experts(reads[t]))
                       for t in tasks}
            else:
                shared = self.mixed("level.%d.shared.gate" % j, gate, x if raw else shared, experts(shared))
        return own if own is not None else {t: shared for t in tasks}

    def progressive_extraction(self, x):
        """cgc and ple."""
        tasks, levels = self.network_tasks, self.levels()
        own, shared = {t: x for t in tasks}, x
        for j, level in enumerate(levels):
            specific_num = level["specific_expert_num"]
            if not isinstance(specific_num, list):
                specific_num = [specific_num] * len(tasks)
            expert, gate = get(level, "expert", {}), get(level, "gate", {})
            raw = get(level, "gate_input", "level") == "raw"
            specific_first = get(level, "expert_order", "specific_first") == "specific_first"

            specific = {t: [self.mlp("level.%d.task.%s.expert.%d" % (j, t, i), expert, own[t]) for i in range(n)]
                        for t, n in zip(tasks, specific_num)}
            common = [self.mlp("level.%d.shared.expert.%d" % (j, i), expert, shared)
                      for i in range(level["shared_expert_num"])]

            mixes = {}
            for t in tasks:
                experts = specific[t] + common if specific_first else common + specific[t]
                mixes[t] = self.mixed("level.%d.task.%s.gate" % (j, t), gate, x if raw else own[t], experts)
            if j < len(levels) - 1:
                everyone = [e for t in tasks for e in specific[t]]
                if get(level, "shared_gate", "all") == "shared":
                    experts = common
                else:
                    experts = everyone + common if specific_first else common + everyone
                shared = self.mixed("level.%d.shared.gate" % j, gate, x if raw else shared, experts)
            own = mixes
        return own

    def stem(self, vectors):
        tasks = self.network_tasks
        slices = [np.split(v, len(tasks) + 1) for v in vectors]
        *own, shared = [np.concatenate([s[i] for s in slices]) for i in range(len(tasks) + 1)]
        own = dict(zip(tasks, own))
        levels = self.levels()
        for j, level in enumerate(levels):
            numbers = level["specific_expert_num"]
            numbers = numbers if isinstance(numbers, list) else [numbers] * len(tasks)
            reads = [("task." + t, own[t], n) for t, n in zip(tasks, numbers)] + [("shared", shared, level["shared_expert_num"])]
            experts = [self.mlp("level.%d.%s.expert.%d" % (j, owner, i), level["expert"], read)
                       for owner, read, n in reads for i in range(n)]
            gate = get(level, "gate", {})
            mixes = {t: self.mixed("level.%d.task.%s.gate" % (j, t), gate, own[t] + shared, experts) for t in tasks}
            if j < len(levels) - 1:
                shared = self.mixed("level.%d.shared.gate" % j, gate, shared, experts)
            own = mixes
        return own

    def aitm(self, x):
        a, tasks = self.architecture, self.network_tasks
        attention = get(a, "attention", {})
        bias, shared = get(attention, "bias", False), get(attention, "shared", False)
        result = {}
        for before, t in zip([None] + tasks, tasks):
            b = self.mlp("task.%s.bottom" % t, a["bottom"], x)
            if before is None:
                result[t] = b
                continue
            p = self.mlp("task.%s.info" % t, a["info"], result[before])
            prefix = "shared.attention" if shared else "task.%s.attention" % t

            def linear(name, y):
                return self.layer("%s.%s" % (prefix, name), len(b), y, bias, None, "linear")

            scores = [linear("query", y) @ linear("key", y) / math.sqrt(len(b)) for y in (b, p)]
            weights = softmax(np.array(scores))
            result[t] = weights[0] * linear("value", b) + weights[1] * linear("value", p)
        return result

    def dbmtl(self, x):
        a, tasks = self.architecture, self.network_tasks
        bottom = self.mlp("shared.bottom", get(a, "bottom", {}), x)
        result = {t: bottom for t in tasks}
        if get(a, "num_experts") is not None:
            experts = [self.mlp("level.0.expert.%d" % i, a["expert"], bottom) for i in range(a["num_experts"])]
            gate_input = x if get(a, "gate_input", "level") == "raw" else bottom
            result = {t: self.mixed("level.0.task.%s.gate" % t, get(a, "gate", {}), gate_input, experts) for t in tasks}
        for t in tasks:
            result[t] = self.mlp("task.%s.mlp" % t, get(get(a, "mlps", {}), t, {}), result[t])
        for t in tasks:
            relation = get(get(a, "relations", {}), t)
            if relation is not None:
                read = [result[t]] + [result[s] for s in get(relation, "reads", [])]
                result[t] = self.mlp("task.%s.relation" % t, relation, np.concatenate(read) if len(read) > 1 else read[0])
        return result

    # ------------------------------------------------------------ tasks

    @staticmethod
    def classes(task):
        return get(task, "classes") or [str(c) for c in range(task["num_classes"])]

    @property
    def outputs(self):
        names = []
        for task in self.tasks:
            if get(task, "hidden", False):
                continue
            if task["type"] == "multiclass":
                names += ["%s.%s" % (task["name"], c) for c in self.classes(task)]
            else:
                names.append(task["name"])
        return names

    def representations(self, vectors):
        """Task name -> what its tower reads."""
        network = {"omoe": self.mixture_of_experts, "mmoe": self.mixture_of_experts,
                   "cgc": self.progressive_extraction, "ple": self.progressive_extraction}
        kind = self.architecture["type"]
        if kind == "stem":
            return self.stem(vectors)
        return (network[kind] if kind in network else getattr(self, kind))(self.x)

    def find_folded(self, row):
        """What is folded depends on all layers that read x: a row is computed to see which do."""
        near_tie, self.folded = self.near_tie, set()
        self.task_scores(row)
        tables = [(n, f["kind"], *self.table(f).shape, n in get(self.contract, "context", []))
                  for n, f in self.features.items() if f["kind"] != "dense"]
        self.folded = precision.folded(self.precision, tables, list(self.readers.values()), len(self.x))
        self.near_tie = near_tie

    def task_scores(self, row):
        """Task name -> its scores, hidden tasks included."""
        if self.folded is None and self.precision != "float32":
            self.find_folded(row)
        vectors = self.feature_vectors(row)
        self.vectors = dict(zip(self.input_names(), vectors))
        self.x = np.concatenate(vectors)
        read = self.representations(vectors)

        scores = {}
        for task in self.tasks:
            name = task["name"]
            if task["type"] == "product":
                scores[name] = [math.prod(scores[f][0] for f in task["of"])]
                continue
            y = self.tower(task, read[name])
            if task["type"] == "regression":
                scores[name] = y
            elif task["type"] == "multiclass":
                scores[name] = softmax(y)
            elif get(task, "head", "sigmoid") == "softmax":
                scores[name] = softmax(y)[1:]
            else:
                scores[name] = sigmoid(y)
        return scores

    def scores(self, row):
        scores = self.task_scores(row)
        return np.concatenate([scores[t["name"]] for t in self.tasks if not get(t, "hidden", False)])

    def rank(self, row):
        formula = self.contract["rank"]
        scores = dict(zip(self.outputs, self.scores(row)))
        if formula["form"] == "sum":
            return float(sum(w * scores[name] for name, w in formula["weights"].items()))
        if any(scores[name] <= 0 for name in formula["weights"]):
            raise RowError("the product form needs positive scores")
        return float(math.prod(scores[name] ** w for name, w in formula["weights"].items()))
