"""Multitask-Recommendation-Library."""

from __future__ import annotations

from mtl_rank import Model
from mtl_rank.checkpoints import Checkpoint

from .quirk import Quirk

TABLE = "embedding.fields.weight"


def _no_offsets(model: Model, checkpoint: Checkpoint) -> None:
    """Every field from the first row of the table on."""
    for feature in model.contract["features"]:
        if feature["kind"] == "sparse":
            feature["lookup"]["offset"] = 1 if feature["lookup"]["type"] == "vocabulary" else 0
            if "oov" in feature:
                feature["oov"] = 0


def _fields_of_their_own(model: Model, checkpoint: Checkpoint) -> None:
    """A table for education: an id beyond it is unknown, and no row of the next field."""
    features = {feature["name"]: feature for feature in model.contract["features"]}
    begin, end = features["education"]["lookup"]["offset"], features["work"]["lookup"]["offset"] - 1
    features["education"].update(embedding="education", lookup={"type": "index"}, oov="zero")
    model.tensors["embedding.education.weight"] = model.tensors[TABLE][begin:end]


def _order_of_declaration(model: Model, checkpoint: Checkpoint) -> None:
    """Numeric columns where they are declared."""
    del model.contract["input"]


def _no_numeric_bias(model: Model, checkpoint: Checkpoint) -> None:
    """Each numeric column as a value times a vector, as in FuxiCTR."""
    model.contract["features"][0]["embedding_bias"] = False
    del model.tensors["dense.numbers.bias"]


def _no_gate_bias(model: Model, checkpoint: Checkpoint) -> None:
    """Gates as in the paper of MMoE."""
    model.contract["architecture"]["gate"] = {}
    for name in [name for name in model.tensors if name.endswith(".gate.logit.bias")]:
        del model.tensors[name]


def _unused_gate(model: Model, checkpoint: Checkpoint) -> None:
    """The last of the shared gates for the last level that has one; it belongs to the level after."""
    for part in ("weight", "bias"):
        model.tensors[f"level.1.shared.gate.logit.{part}"] = checkpoint.tensors[f"share_gates.2.0.{part}"]


def _one_table(model: Model, checkpoint: Checkpoint) -> None:
    """The first task's embeddings for both tasks."""
    table = checkpoint.tensors["embedding.0.embedding.weight"]
    model.tensors[TABLE][:, table.shape[1]:] = table


def _query_first(model: Model, checkpoint: Checkpoint) -> None:
    """h1, h2 and h3 as query, key and value, in the order of the paper."""
    for source, layer in (("h1", "query"), ("h2", "key"), ("h3", "value")):
        for part in ("weight", "bias"):
            model.tensors[f"shared.attention.{layer}.{part}"] = checkpoint.tensors[f"{source}.{part}"]


def _info_with_relu(model: Model, checkpoint: Checkpoint) -> None:
    """The information through a layer with an activation, as in torch-rechub."""
    model.contract["architecture"]["info"]["activation"] = "relu"


QUIRKS = [
    Quirk("one table has all fields, each with its offset", "mtrec_sharedbottom", _no_offsets),
    Quirk("an id beyond its field reads the next field", "mtrec_sharedbottom", _fields_of_their_own),
    Quirk("numeric columns come last, as one field", "mtrec_mmoe", _order_of_declaration),
    Quirk("numeric columns have a bias", "mtrec_omoe", _no_numeric_bias),
    Quirk("the gate of OMoE has a bias", "mtrec_omoe", _no_gate_bias),
    Quirk("gates of MMoE have a bias", "mtrec_mmoe", _no_gate_bias),
    Quirk("the shared gate of the last level of PLE is unused", "mtrec_ple", _unused_gate),
    Quirk("SingleTask has a table for each task", "mtrec_singletask", _one_table),
    Quirk("AITM has value, key, query as h1, h2, h3", "mtrec_aitm", _query_first),
    Quirk("AITM's information passes a linear layer", "mtrec_aitm", _info_with_relu),
]
