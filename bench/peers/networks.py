"""The measured models as PyTorch modules with the same weights, and as what others run: frozen TorchScript and ONNX files."""

import torch
from torch import nn

torch.set_num_threads(1)


class Weights:
    """Of one model: modules by the names of its tensors."""

    def __init__(self, model):
        self.tensors = model.tensors

    def linear(self, prefix):
        weight, bias = self.tensors[f"{prefix}.weight"], self.tensors.get(f"{prefix}.bias")
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
        layer.weight.data = torch.tensor(weight)
        if bias is not None:
            layer.bias.data = torch.tensor(bias)
        return layer

    def mlp(self, prefix):
        layers = []
        while f"{prefix}.{len(layers) // 2}.weight" in self.tensors:
            layers += [self.linear(f"{prefix}.{len(layers) // 2}"), nn.ReLU()]
        return nn.Sequential(*layers)

    def gate(self, prefix):
        return nn.Sequential(self.linear(f"{prefix}.logit"), nn.Softmax(1))

    def tower(self, task):
        return nn.Sequential(self.mlp(f"task.{task}.tower"), self.linear(f"task.{task}.tower.logit"), nn.Sigmoid())

    def embedding(self, feature):
        return nn.Embedding.from_pretrained(torch.tensor(self.tensors[f"embedding.{feature}.weight"]))


def mix(gate, experts):
    """(rows, experts) and (rows, experts, units) -> (rows, units)"""
    return torch.bmm(gate.unsqueeze(1), experts).squeeze(1)


class MMoE(nn.Module):
    def __init__(self, model, tasks, experts):
        super().__init__()
        weights = Weights(model)
        self.experts = nn.ModuleList(weights.mlp(f"level.0.expert.{i}") for i in range(experts))
        self.gates = nn.ModuleList(weights.gate(f"level.0.task.{t}.gate") for t in tasks)
        self.towers = nn.ModuleList(weights.tower(t) for t in tasks)

    def forward(self, x):
        experts = torch.stack([expert(x) for expert in self.experts], 1)
        return torch.cat([tower(mix(gate(x), experts)) for gate, tower in zip(self.gates, self.towers)], 1)


class PLE(nn.Module):
    def __init__(self, model, tasks, levels, specific, shared):
        super().__init__()
        weights = Weights(model)
        groups = [(f"task.{t}", specific) for t in tasks] + [("shared", shared)]
        self.experts = nn.ModuleList(nn.ModuleList(
            nn.ModuleList(weights.mlp(f"level.{level}.{group}.expert.{i}") for i in range(n)) for group, n in groups)
            for level in range(levels))
        self.gates = nn.ModuleList(nn.ModuleList(
            weights.gate(f"level.{level}.{group}.gate") for group, _ in groups[:len(groups) - (level == levels - 1)])
            for level in range(levels))
        self.towers = nn.ModuleList(weights.tower(t) for t in tasks)

    def forward(self, x):
        inputs = [x] * (len(self.towers) + 1)
        for groups, gates in zip(self.experts, self.gates):
            outputs = [[expert(z) for expert in group] for group, z in zip(groups, inputs)]
            seen = [outputs[t] + outputs[-1] for t in range(len(self.towers))] + [sum(outputs, [])]
            inputs = [mix(gate(z), torch.stack(experts, 1)) for gate, z, experts in zip(gates, inputs, seen)]
        return torch.cat([tower(z) for tower, z in zip(self.towers, inputs)], 1)


class ESMM(nn.Module):
    """Two towers, and the product of their scores."""

    def __init__(self, model):
        super().__init__()
        weights = Weights(model)
        self.towers = nn.ModuleList(weights.tower(t) for t in ("t0", "t1"))

    def forward(self, x):
        first, second = (tower(x) for tower in self.towers)
        return torch.cat([first, second, first * second], 1)


class WithEmbeddings(nn.Module):
    """A network over dense values and what embedding tables have for ids."""

    def __init__(self, model, network, features):
        super().__init__()
        weights = Weights(model)
        self.embeddings = nn.ModuleList(weights.embedding(f) for f in features)
        self.network = network

    def forward(self, dense, ids):
        return self.network(torch.cat([dense] + [e(ids[:, i]) for i, e in enumerate(self.embeddings)], 1))


def network(name, model):
    two = ["t0", "t1"]
    if name == "S":
        return MMoE(model, two, 4)
    if name == "M":
        return MMoE(model, two, 3)
    if name == "L":
        return PLE(model, ["t0", "t1", "t2"], 2, 2, 2)
    if name == "E":
        return ESMM(model)
    # R: the dense features come first in its input. One score is asked for, so it is all that is computed.
    sparse = [f["name"] for f in model.contract["features"] if f["kind"] == "sparse"]
    return WithEmbeddings(model, MMoE(model, two[:1], 3), sparse)


def examples(name, model):
    """Inputs of the right types and widths, for tracing; they can have any number of rows."""
    dense = sum(f.get("width", 1) for f in model.contract["features"] if f["kind"] == "dense")
    sparse = sum(f["kind"] == "sparse" for f in model.contract["features"])
    rows = 7
    return (torch.randn(rows, dense),) + ((torch.zeros(rows, sparse, dtype=torch.int64),) if sparse else ())


INPUT_NAMES = ["dense", "ids"]


class Exported:
    """One model for the peers: .script (frozen TorchScript), and the files of it and of its ONNX form."""

    def __init__(self, name, model, folder):
        inputs = examples(name, model)
        module = network(name, model).eval()
        self.script_path = folder / f"{name}.pt"
        self.onnx_path = folder / f"{name}.onnx"
        with torch.no_grad():
            self.script = torch.jit.freeze(torch.jit.trace(module, inputs))
            torch.jit.save(self.script, str(self.script_path))
            names = INPUT_NAMES[:len(inputs)]
            torch.onnx.export(module, inputs, str(self.onnx_path), opset_version=13, input_names=names, output_names=["scores"],
                              dynamic_axes={n: {0: "rows"} for n in [*names, "scores"]})

    def score(self, *inputs):
        """Numpy arrays in, scores out, 512 rows at once."""
        with torch.no_grad():
            tensors = [torch.from_numpy(x) for x in inputs]
            return torch.cat([self.script(*(t[i:i + 512] for t in tensors)) for i in range(0, len(inputs[0]), 512)]).numpy()
