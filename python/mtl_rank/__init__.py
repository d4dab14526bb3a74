"""Write and read model files for mtl_rank, the PostgreSQL extension that scores multi-task ranking models.

    model = Model(make_contract(architecture=mmoe(...), features=[...], tasks=[...]), tensors)
    model.attach_examples(rows, scores)
    model.save("feed.safetensors")

docs/model-format.md describes the file. Only numpy and the standard library are used.
"""

from .contract import (
    asymmetric_sharing,
    batch_norm,
    binary,
    cgc,
    clip,
    cross_stitch,
    customized_sharing,
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
    sequence,
    sequence_weights,
    shared_bottom,
    single_task,
    sluice,
    sparse,
    standardize,
    tower,
    vocabulary_lookup,
)
from .errors import ModelError
from .model import Model

__version__ = "0.1.0"

__all__ = [
    "Model",
    "ModelError",
    "asymmetric_sharing",
    "batch_norm",
    "binary",
    "cgc",
    "clip",
    "cross_stitch",
    "customized_sharing",
    "dense",
    "dice",
    "gate",
    "hash_lookup",
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
    "regression",
    "sequence",
    "sequence_weights",
    "shared_bottom",
    "single_task",
    "sluice",
    "sparse",
    "standardize",
    "tower",
    "vocabulary_lookup",
]
