"""Random tensors for a contract: a walk over the shapes of the network, apart from the oracle's."""

import numpy as np

from model_file import vocabulary_tensors
from precision import bf16_bits, rounded_to_int8


class TensorMaker:
    def __init__(self, d, contract, plan):
        self.random = d.random
        self.d = d
        self.contract = contract
        self.plan = plan
        self.tensors = {}
        self.hidden = set()         # weights of layers of MLPs

    def make(self):
        x = self.features()
        tasks = [t for t in self.contract["tasks"] if t["type"] != "product"]
        read = self.architecture(x, [t["name"] for t in tasks])
        for task in tasks:
            # Asymmetric sharing and dbmtl give the towers inputs of different sizes.
            self.tower(task, read[task["name"]] if isinstance(read, dict) else read)
        precision = self.contract.get("precision") or "float32"
        if precision != "float32":
            self.quantize(precision)
        return self.tensors

    def quantize(self, precision):
        for name, tensor in list(self.tensors.items()):
            if name in self.hidden and precision == "int8":
                self.tensors[name], self.tensors[name + "_scale"] = rounded_to_int8(tensor)
            elif name in self.hidden or name.startswith("embedding."):
                self.tensors[name] = bf16_bits(tensor)

    def shrink(self, task, factor):
        """Makes the output of a regression smaller; a power of two changes no digit."""
        for name in ("weight", "bias"):
            tensor = self.tensors.get("task.%s.tower.logit.%s" % (task, name))
            if tensor is not None:
                tensor *= np.float32(factor)

    # ---------------------------------------------------------------- numbers

    def normal(self, name, *shape, scale):
        self.tensors[name] = self.random.normal(0, scale, shape).astype("<f4")

    def uniform(self, name, *shape, low, high):
        self.tensors[name] = self.random.uniform(low, high, shape).astype("<f4")

    # ---------------------------------------------------------------- features: each returns the size of its vector

    def features(self):
        sizes = [self.dense(f) if f["kind"] == "dense" else self.lookup(f) for f in self.contract["features"]]
        return sum(sizes)

    def dense(self, f):
        width, dim = f.get("width") or 1, f.get("embedding_dim")
        if dim is None:
            return width
        self.normal("dense.%s.weight" % f["name"], dim, width, scale=width ** -0.5)
        if f.get("embedding_bias"):
            self.normal("dense.%s.bias" % f["name"], dim, scale=0.3)
        return dim

    def lookup(self, f):
        table = f.get("embedding") or f["name"]
        rows, dim = self.plan.tables[table]
        name = "embedding.%s.weight" % table
        if name not in self.tensors:
            self.normal(name, rows, dim, scale=0.5)
        if f["lookup"]["type"] == "vocabulary":
            vocabulary = f["lookup"].get("vocabulary") or table
            self.tensors.update(vocabulary_tensors(vocabulary, self.plan.vocabularies[vocabulary]))
        return dim * f["max_length"] if f.get("combiner") == "concat" else dim

    # ---------------------------------------------------------------- layers: each returns the size of its output

    def layer(self, prefix, units, inputs, bias, normalization, activation, gain=2 ** 0.5):
        self.normal(prefix + ".weight", units, inputs, scale=gain * inputs ** -0.5)
        if bias:
            self.normal(prefix + ".bias", units, scale=0.1)
        if normalization is not None:
            if normalization["type"] == "batch_norm":
                self.normal(prefix + ".norm.running_mean", units, scale=0.3)
                self.uniform(prefix + ".norm.running_var", units, low=0.5, high=2)
            if normalization.get("scale") is not False:
                self.uniform(prefix + ".norm.weight", units, low=0.6, high=1.2)
            if normalization.get("center") is not False:
                self.normal(prefix + ".norm.bias", units, scale=0.2)

        activation = activation if isinstance(activation, dict) else {"type": activation}
        if activation["type"] in ("prelu", "dice"):
            self.uniform(prefix + ".activation.alpha", self.d.pick([1, units]), low=-0.1, high=0.4)
        if activation["type"] == "dice" and (activation.get("statistics") or "batch") == "batch":
            self.normal(prefix + ".activation.running_mean", units, scale=0.3)
            self.uniform(prefix + ".activation.running_var", units, low=0.5, high=2)
        return units

    def mlp(self, prefix, spec, inputs):
        of_layer = lambda value, l: value[l] if isinstance(value, list) else value
        for l, units in enumerate(spec.get("hidden_units") or []):
            self.hidden.add("%s.%d.weight" % (prefix, l))
            inputs = self.layer("%s.%d" % (prefix, l), units, inputs, of_layer(spec.get("bias"), l) is not False,
                                of_layer(spec.get("normalization"), l), of_layer(spec.get("activation") or "relu", l))
        return inputs

    def gate(self, prefix, spec, inputs, experts):
        spec = spec or {}
        self.layer(prefix + ".logit", experts, self.mlp(prefix, spec, inputs), spec.get("logit_bias") is True,
                   spec.get("logit_normalization"), spec.get("logit_activation") or "linear", gain=1)

    def tower(self, task, inputs):
        spec = task.get("tower")
        if spec is None:     # an empty object is a tower of its own
            spec = self.contract["architecture"].get("tower") or {}
        units = 1
        if task["type"] == "multiclass":
            units = task.get("num_classes") or len(task["classes"])
        elif task.get("head") == "softmax":
            units = 2
        prefix = "task.%s.tower" % task["name"]
        # Regressions are held to an absolute bound, so they are kept to a few units.
        self.layer(prefix + ".logit", units, self.mlp(prefix, spec, inputs), spec.get("logit_bias") is not False, None, "linear",
                   gain=0.5 if task["type"] == "regression" else 0.8)

    # ---------------------------------------------------------------- architectures: the size of what the towers read

    def architecture(self, x, tasks):
        a = self.contract["architecture"]
        kind = a["type"]
        if kind == "single_task":
            return x
        if kind == "shared_bottom":
            return self.mlp("shared.bottom", a["bottom"], x)
        if kind == "customized_sharing":
            own = a.get("shared_bottom")
            shared = self.mlp("shared.bottom", a["bottom"] if own is None else own, x)
            return shared + [self.mlp("task.%s.bottom" % t, a["bottom"], x) for t in tasks][0]
        if kind == "asymmetric_sharing":
            size = [self.mlp("task.%s.bottom" % t, a["bottom"], x) for t in tasks][0]
            concat = (a.get("fusion") or "concat") == "concat"
            return {t: size * (1 + len(a["reads"].get(t, []))) if concat else size for t in tasks}
        if kind == "dbmtl":
            return self.relations(a, tasks, x)
        if kind == "aitm":
            return self.chain(a, tasks, x)
        if kind in ("cross_stitch", "sluice"):
            return self.columns(a, tasks, x)
        if kind in ("omoe", "mmoe"):
            return self.mixtures(a, tasks, x)
        if kind in ("cgc", "ple", "stem"):
            return self.extractions(a, tasks, x)
        raise ValueError(kind)

    def chain(self, a, tasks, x):
        attention = a.get("attention") or {}
        size = [self.mlp("task.%s.bottom" % t, a["bottom"], x) for t in tasks][0]
        for t in tasks[1:]:
            self.mlp("task.%s.info" % t, a["info"], size)
        for owner in ["shared"] if attention.get("shared") else ["task." + t for t in tasks[1:]]:
            for part in ("query", "key", "value"):
                self.layer("%s.attention.%s" % (owner, part), size, size, attention.get("bias") is True, None, "linear", gain=1)
        return size

    def relations(self, a, tasks, x):
        bottom = self.mlp("shared.bottom", a.get("bottom") or {}, x)
        size = bottom
        if "num_experts" in a:
            for t in tasks:
                self.gate("level.0.task.%s.gate" % t, a.get("gate"), x if a.get("gate_input") == "raw" else bottom, a["num_experts"])
            size = [self.mlp("level.0.expert.%d" % i, a["expert"], bottom) for i in range(a["num_experts"])][0]
        sizes = {t: self.mlp("task.%s.mlp" % t, (a.get("mlps") or {}).get(t) or {}, size) for t in tasks}
        for t in tasks:
            relation = (a.get("relations") or {}).get(t)
            if relation is not None:
                sizes[t] = self.mlp("task.%s.relation" % t, relation, sum(sizes[s] for s in [t] + (relation.get("reads") or [])))
        return sizes

    def columns(self, a, tasks, x):
        n = len(tasks)
        layers = a["column"]["hidden_units"]
        for t in tasks:
            self.mlp("task.%s.column" % t, a["column"], x)
        after = a.get("stitch_after")
        for l, units in enumerate(layers):
            if a["type"] == "sluice":
                g = a.get("subspaces") or 2
                self.stitch("stitch.%d.weight" % l, np.eye(n * g))
            elif after is None or l in after:
                eye = np.eye(n)
                per_unit = a.get("stitch") == "per_unit"
                self.stitch("stitch.%d.weight" % l, np.repeat(eye[:, :, None], units, axis=2) if per_unit else eye)
        if a["type"] == "sluice" and a.get("skip") is not False:
            self.stitch("skip.weight", np.full((n, len(layers)), 1 / len(layers)))
        return layers[-1]

    def stitch(self, name, mean):
        self.tensors[name] = (0.8 * mean + self.random.normal(0, 0.2, mean.shape)).astype("<f4")

    @staticmethod
    def levels(a):
        return a.get("levels") or [a] * (a.get("num_levels") or 1)

    def mixtures(self, a, tasks, x):
        inputs = x
        levels = self.levels(a)
        for j, level in enumerate(levels):
            n = level["num_experts"]
            gate_inputs = x if level.get("gate_input") == "raw" else inputs
            shared = a["type"] == "omoe" or (j < len(levels) - 1 and level.get("mix") != "task")
            for owner in ["shared"] if shared else ["task." + t for t in tasks]:
                self.gate("level.%d.%s.gate" % (j, owner), level.get("gate"), gate_inputs, n)
            inputs = [self.mlp("level.%d.expert.%d" % (j, i), level["expert"], inputs) for i in range(n)][0]
        return inputs

    def extractions(self, a, tasks, x):
        stem = a["type"] == "stem"
        inputs = x // (len(tasks) + 1) if stem else x
        levels = self.levels(a)
        for j, level in enumerate(levels):
            specific, shared = level["specific_expert_num"], level["shared_expert_num"]
            specific = specific if isinstance(specific, list) else [specific] * len(tasks)
            gate_inputs = x if level.get("gate_input") == "raw" else inputs
            for t, n in zip(tasks, specific):
                self.gate("level.%d.task.%s.gate" % (j, t), level.get("gate"), gate_inputs, (sum(specific) if stem else n) + shared)
            if j < len(levels) - 1:
                n = shared if level.get("shared_gate") == "shared" else sum(specific) + shared
                self.gate("level.%d.shared.gate" % j, level.get("gate"), gate_inputs, n)

            experts = ["task.%s.expert.%d" % (t, i) for t, n in zip(tasks, specific) for i in range(n)]
            experts += ["shared.expert.%d" % i for i in range(shared)]
            inputs = [self.mlp("level.%d.%s" % (j, e), level["expert"], inputs) for e in experts][0]
        return inputs
