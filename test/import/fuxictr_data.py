"""Census-Income through the feature processor of FuxiCTR or of its fork STEM; for make_fuxictr.py and make_stem.py."""

from __future__ import annotations

import os
import sys
import types
from typing import Any, Dict, List

import numpy as np
import pandas as pd
import torch

import cases
import training
from census import COUNTRIES, WORK, People

from mtl_rank.importers.fuxictr_config import make_configuration

EXAMPLES = 12
PADDING = ""
UNKNOWN, ELSEWHERE = "Lemuria", "Atlantis"     # values that the training has not, the second one in pretrained embeddings
VECTOR = 3        # numbers in the column "vector"
LABELS = ("income", "never_married")


def stub(name: str, **members: Any) -> None:
    """Stands in for a package that the library imports and no forward pass needs."""
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module


def pad_sequences(sequences: List[List[int]], maxlen: int, value: int, padding: str, truncating: str) -> np.ndarray:
    """What keras_preprocessing has under this name."""
    padded = np.full((len(sequences), maxlen), value)
    for row, ids in zip(padded, sequences):
        kept = ids[:maxlen] if truncating == "post" else ids[-maxlen:]
        if kept and padding == "post":
            row[:len(kept)] = kept
        elif kept:
            row[-len(kept):] = kept
    return padded


def import_fuxictr(folder: str) -> None:
    stub("keras_preprocessing")
    stub("keras_preprocessing.sequence", pad_sequences=pad_sequences)
    sys.path.insert(0, folder)


def frame(people: People, labels: np.ndarray, names: List[str]) -> pd.DataFrame:
    """The raw data. Who has no value has the empty text, which both libraries take for none. The last examples have a country
    that the training does not know, none at all, and no family."""
    text = lambda column: [PADDING if v == "?" else v for v in people.columns[column]]
    country, family = text("country_self"), ["^".join(parts) for parts in zip(*map(text, COUNTRIES))]
    work = ["^".join(parts) for parts in zip(*map(text, WORK))]
    country[EXAMPLES - 3], family[EXAMPLES - 3] = UNKNOWN, f"{UNKNOWN}^^Cuba"
    country[EXAMPLES - 2], family[EXAMPLES - 2], work[EXAMPLES - 2] = PADDING, "Mexico", "Private"
    family[EXAMPLES - 1], work[EXAMPLES - 1] = PADDING, PADDING
    columns = {
        "age": people.numbers("age"), "country": country, "family": family, "education": text("education"),
        "weeks_worked": people.numbers("weeks_worked") / 26, "work": work,
    }
    for name, source in (("born", COUNTRIES[2]), ("lives", COUNTRIES[2]), ("father", COUNTRIES[0]), ("mother", COUNTRIES[1])):
        columns[name] = text(source)
        columns[name][EXAMPLES - 3:EXAMPLES] = UNKNOWN, ELSEWHERE, PADDING
    columns["vector"] = np.random.default_rng(training.SEED).normal(size=(people.count, VECTOR)).tolist()
    return pd.DataFrame({**columns, **{name: labels[:, t] for t, name in enumerate(names)}})


# In an order that mixes the kinds. Rare educations are unknown ones in the training already.
COLUMNS = [
    {"name": "age", "active": True, "dtype": "float", "type": "numeric", "normalizer": "StandardScaler"},
    {"name": "country", "active": True, "dtype": "str", "type": "categorical"},
    {"name": "family", "active": True, "dtype": "str", "type": "sequence", "splitter": "^", "max_len": 3,
     "share_embedding": "country"},
    {"name": "weeks_worked", "active": True, "dtype": "float", "type": "numeric"},
    {"name": "education", "active": True, "dtype": "str", "type": "categorical", "min_categr_count": 100},
    {"name": "work", "active": True, "dtype": "str", "type": "sequence", "splitter": "^", "max_len": 3,
     "feature_encoder": "layers.MaskedSumPooling()"},
]


def configuration(processor: Any, tasks: Dict[str, str], activation: Any) -> Dict[str, Any]:
    """From the files that the processor wrote."""
    read = lambda path: cases.json.load(open(path, encoding="utf-8")) if os.path.exists(path) else None
    config = make_configuration(read(processor.json_file), read(processor.vocab_file))
    for feature in config["features"]:
        normalizer = processor.processor_dict.get(feature["name"] + "::normalizer")
        if normalizer is not None:
            feature["transform"] = {"type": "standardize", "mean": normalizer.normalizer.mean_[0],
                                    "std": normalizer.normalizer.scale_[0]}
    return {**config, "tasks": [{"name": name, "type": kind} for name, kind in tasks.items()], "activation": activation}


def rows(data: pd.DataFrame, config: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Examples as a user has them: texts and unscaled numbers."""
    value = lambda feature, r: data[feature["name"]][r].split("^") if feature["kind"] == "sequence" else data[feature["name"]][r]
    return [{feature["name"]: value(feature, r) for feature in config["features"]} for r in range(EXAMPLES)]


def spread_rows(model: Any) -> None:
    """Moves the rows of tables that are not zero, those too that no training reached, and the slopes of activations."""
    generator = torch.Generator().manual_seed(training.SEED)
    for module in model.modules():
        with torch.no_grad():
            if isinstance(module, torch.nn.Embedding) and module.weight.requires_grad:
                moves = torch.randn(module.weight.shape, generator=generator) * 0.3
                module.weight += moves * (module.weight.abs().sum(dim=1, keepdim=True) > 0)
            elif isinstance(module, torch.nn.PReLU) or type(module).__name__ == "Dice":
                parameter = module.weight if isinstance(module, torch.nn.PReLU) else module.alpha
                parameter += torch.rand(parameter.shape, generator=generator) * 0.5
