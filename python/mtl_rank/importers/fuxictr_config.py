"""Writes a configuration from the files that FuxiCTR's and STEM's feature processors leave beside their data.

    python3 -m mtl_rank.importers.fuxictr_config feature_map.json feature_vocab.json > config.json

What these files do not say is for the user to add: "activation", tasks other than binary ones, and the transform of numbers
that were normalized.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, List, Optional

from ..errors import ModelError
from ..reader import MAX_INT, Reader, as_integer
from .configuration import Json

_PADDING, _UNKNOWN = "__PAD__", "__OOV__"
_ENCODERS = {"layers.MaskedAveragePooling()": "mean", "layers.MaskedSumPooling()": "sum"}


def make_configuration(feature_map: Json, feature_vocab: Optional[Json] = None) -> Json:
    """feature_map, feature_vocab: what is in the files. Without a vocabulary rows bring the library's ids."""
    content = Reader(feature_map, "")
    specs = {
        name: Reader(spec, name)
        for entry in content.array("features") for name, spec in Reader(entry, "features").value.items()
    }
    features: List[Json] = []
    vocabularies: Dict[str, List[str]] = {}
    for name, spec in specs.items():
        vocabulary = (feature_vocab or {}).get(name)
        feature = _feature(name, spec, vocabulary is not None)
        if feature is None:
            continue
        features.append(feature)
        table = feature.get("embedding", name)
        owner = specs.get(table, spec)
        if owner.get("pretrained_emb") is not None:
            feature.update({key: owner.get(key) for key in ("oov_idx", "freeze_emb", "pretrain_usage")})
        if vocabulary is not None:
            vocabularies[table] = _entries(name, vocabulary)
    tasks = [{"name": label, "type": "binary"} for label in content.array("labels")]
    configuration: Json = {"features": features, "tasks": tasks}
    if vocabularies:
        configuration["vocabularies"] = vocabularies
    return configuration


def _feature(name: str, spec: Reader, has_vocabulary: bool) -> Optional[Json]:
    """A feature of the map; None for one that no network reads."""
    kind = spec.choice("type", ["numeric", "categorical", "sequence", "embedding", "meta"])
    if kind == "meta":
        return None
    if kind == "numeric":
        return {"name": name, "kind": "dense"}
    if kind == "embedding":
        return {"name": name, "kind": "dense", "width": spec.get("pretrain_dim")}
    feature: Json = {"name": name, "kind": "sparse" if kind == "categorical" else "sequence"}
    feature["lookup"] = {"type": "vocabulary" if has_vocabulary else "index"}
    if kind == "sequence":
        encoder = spec.get("feature_encoder")
        if not isinstance(encoder, str) or encoder not in _ENCODERS:
            raise ModelError(f'sequence "{name}" has the feature_encoder {encoder!r}, which a multi-task model cannot use; '
                             f"expected one of {', '.join(_ENCODERS)}")
        feature["max_length"], feature["combiner"] = spec.get("max_len"), _ENCODERS[encoder]
    if spec.get("share_embedding") is not None:
        feature["embedding"] = spec.get("share_embedding")
    return feature


def _entries(name: str, vocabulary: Any) -> List[str]:
    """The tokens by their ids, from 1. The one for unknown values is left out, unless others follow it."""
    tokens = {token: as_integer(value, f"{name}.{token}", 0, MAX_INT) for token, value in Reader(vocabulary, name).value.items()}
    unknown = tokens.pop(_UNKNOWN, None)
    tokens.pop(_PADDING, None)
    ids = {value: token for token, value in tokens.items()}
    if unknown is not None:
        ids.setdefault(unknown, _UNKNOWN)
    if set(ids) != set(range(1, len(ids) + 1)):
        raise ModelError(f'the ids of feature "{name}" have gaps, as without remap; leave out its vocabulary, and give ids')
    entries = [ids[i] for i in sorted(ids)]
    return entries[:-1] if entries[-1:] == [_UNKNOWN] else entries


def _read(path: str) -> Json:
    with open(path, encoding="utf-8") as file:
        try:
            return Reader(json.load(file), path).value
        except ValueError as error:
            raise ModelError(f"{path} is not JSON: {error}") from None


def main(arguments: List[str]) -> int:
    if len(arguments) not in (1, 2):
        print("usage: python3 -m mtl_rank.importers.fuxictr_config FEATURE_MAP [FEATURE_VOCAB]", file=sys.stderr)
        return 2
    try:
        print(json.dumps(make_configuration(*map(_read, arguments)), indent=1, ensure_ascii=False))
    except (ModelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
