"""Files of examples: rows, and the scores that a training library computed for them, one JSON object per line.

    {"features": {"city": 17, "age": 31}, "scores": {"ctr": 0.125, "ctcvr": 0.004}}
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Mapping, Sequence, Union

import numpy as np

from .errors import ModelError

Path = Union[str, "os.PathLike[str]"]
Example = Dict[str, Any]


def _plain(value: Any) -> Any:
    """numpy's numbers and arrays as JSON has them."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ModelError(f"{type(value).__name__} is not JSON")


def write_examples(path: Path, rows: Any, scores: Mapping[str, Any]) -> None:
    """Writes examples.

    rows: a list of dicts by feature, or a data frame. scores: output -> one score per row, as the library's predict
    function gave them.
    """
    if hasattr(rows, "to_dict"):
        rows = rows.to_dict("records")
    columns = {output: np.asarray(values, "f8").reshape(-1) for output, values in scores.items()}
    for output, values in columns.items():
        if len(values) != len(rows):
            raise ModelError(f'{len(rows)} rows, but {len(values)} scores of output "{output}"')
    with open(path, "w", encoding="utf-8") as file:
        for i, row in enumerate(rows):
            example = {"features": dict(row), "scores": {output: float(values[i]) for output, values in columns.items()}}
            file.write(json.dumps(example, default=_plain, ensure_ascii=False, allow_nan=False) + "\n")


def read_examples(path: Path) -> List[Example]:
    """Reads examples; errors name the line."""
    examples: List[Example] = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                example = json.loads(line)
            except ValueError as error:
                raise ModelError(f"{os.fspath(path)}, line {number}: not JSON: {error}") from None
            if not isinstance(example, dict) or set(example) != {"features", "scores"} or not all(
                isinstance(part, dict) for part in example.values()
            ):
                raise ModelError(f'{os.fspath(path)}, line {number}: expected an object with "features" and "scores", two objects')
            examples.append(example)
    if not examples:
        raise ModelError(f"{os.fspath(path)} has no examples")
    return examples
