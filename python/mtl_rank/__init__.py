"""Write and read model files for mtl_rank, the PostgreSQL extension that scores multi-task ranking models.

    model = Model(make_contract(architecture=mmoe(...), features=[...], tasks=[...]), tensors)
    model.attach_examples(rows, scores)
    model.save("feed.safetensors")

docs/model-format.md describes the file. Only numpy and the standard library are used.

A checkpoint of a training library becomes a model with import_model(), a hand-written PyTorch module with TorchExport.
"""

from .bf16 import from_bf16, to_bf16
from .contract import (
    aitm,
    asymmetric_sharing,
    attention,
    batch_norm,
    binary,
    cgc,
    clip,
    cross_stitch,
    customized_sharing,
    dbmtl,
    dense,
    dice,
    gate,
    hash_lookup,
    index_lookup,
    layer_norm,
    leaky_relu,
    log1p,
    make_contract,
    min_max,
    mlp,
    mmoe,
    moe_level,
    multiclass,
    omoe,
    ple,
    ple_level,
    product,
    rank_product,
    rank_sum,
    regression,
    relation,
    sequence,
    sequence_weights,
    shared_bottom,
    single_task,
    sluice,
    sparse,
    standardize,
    stem,
    stem_level,
    tower,
    vocabulary_lookup,
)
from .errors import ModelError
from .examples_file import read_examples, write_examples
from .importers import import_model
from .importers.torch_modules import TorchExport
from .model import Model

__version__ = "0.1.0"

__all__ = [
    "Model",
    "ModelError",
    "TorchExport",
    "aitm",
    "asymmetric_sharing",
    "attention",
    "batch_norm",
    "binary",
    "cgc",
    "clip",
    "cross_stitch",
    "customized_sharing",
    "dbmtl",
    "dense",
    "dice",
    "from_bf16",
    "gate",
    "hash_lookup",
    "import_model",
    "index_lookup",
    "layer_norm",
    "leaky_relu",
    "log1p",
    "make_contract",
    "min_max",
    "mlp",
    "mmoe",
    "moe_level",
    "multiclass",
    "omoe",
    "ple",
    "ple_level",
    "product",
    "rank_product",
    "rank_sum",
    "read_examples",
    "regression",
    "relation",
    "sequence",
    "sequence_weights",
    "shared_bottom",
    "single_task",
    "sluice",
    "sparse",
    "standardize",
    "stem",
    "stem_level",
    "to_bf16",
    "tower",
    "vocabulary_lookup",
    "write_examples",
]
