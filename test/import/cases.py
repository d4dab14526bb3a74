"""Writes and lists the cases: what a training library saved, and the model file that an export makes of it.

cases/<name>/ has checkpoint.*, config.json, examples.jsonl and model.safetensors. The first three come from a make_*.py
script, which runs the library; the last is the export of these, which check.py repeats. Large files are compressed (.gz).
A hand-written module has no checkpoint: its case is the model file alone, as make_pytorch.py exports it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "cases")
PACKED_FROM = 1 << 20
PYTHON = os.path.join(HERE, "..", "..", "python")
sys.path.insert(0, PYTHON)

from mtl_rank.examples_file import write_examples    # noqa: E402


def folder(name: str) -> str:
    return os.path.join(CASES, name)


def names() -> List[str]:
    return sorted(entry for entry in os.listdir(CASES) if os.path.isdir(folder(entry)))


@contextlib.contextmanager
def unpacked(name: str, part: str) -> Iterator[str]:
    """The path of the case's file that begins with `part`, unpacked if it is compressed."""
    found = [entry for entry in os.listdir(folder(name)) if entry.startswith(part)]
    if len(found) != 1:
        raise SystemExit(f"case {name} has {len(found)} files {part}*, expected one")
    path = os.path.join(folder(name), found[0])
    if not path.endswith(".gz"):
        yield path
        return
    with tempfile.TemporaryDirectory() as work:
        plain = os.path.join(work, found[0][:-len(".gz")])
        with gzip.open(path, "rb") as packed, open(plain, "wb") as file:
            shutil.copyfileobj(packed, file)
        yield plain


def pack(path: str) -> None:
    """Compresses a file that is large, always to the same bytes."""
    if os.path.getsize(path) < PACKED_FROM:
        return
    with open(path, "rb") as file, open(f"{path}.gz", "wb") as target:
        with gzip.GzipFile("", "wb", 9, target, mtime=0) as packed:
            shutil.copyfileobj(file, packed)
    os.remove(path)


def export(name: str, out: str) -> subprocess.CompletedProcess:
    """Does what a user would do."""
    with unpacked(name, "checkpoint.") as checkpoint:
        command = [
            sys.executable, "-m", "mtl_rank", "export", checkpoint, "--config", os.path.join(folder(name), "config.json"),
            "--examples", os.path.join(folder(name), "examples.jsonl"), "--out", out,
        ]
        environment = {**os.environ, "PYTHONPATH": PYTHON}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def has_checkpoint(name: str) -> bool:
    """Models of hand-written modules have none: their script writes the model file itself."""
    return os.path.exists(os.path.join(folder(name), "config.json"))


def write_case(
    name: str, save: Callable[[str], None], config: Mapping[str, Any], rows: List[Dict[str, Any]], scores: Mapping[str, Any],
    suffix: str = "pth",
) -> None:
    """Makes a case anew. save: writes the checkpoint to a path. rows, scores: as for write_examples()."""
    shutil.rmtree(folder(name), ignore_errors=True)
    os.makedirs(folder(name))
    checkpoint = os.path.join(folder(name), f"checkpoint.{suffix}")
    save(checkpoint)
    pack(checkpoint)
    with open(os.path.join(folder(name), "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=1, ensure_ascii=False)
        file.write("\n")
    write_examples(os.path.join(folder(name), "examples.jsonl"), rows, scores)
    export_case(name)


def export_case(name: str) -> None:
    model = os.path.join(folder(name), "model.safetensors")
    with contextlib.suppress(FileNotFoundError):
        os.remove(f"{model}.gz")
    result = export(name, model)
    print(f"== {name}\n{result.stdout}{result.stderr}", end="")
    if result.returncode != 0:
        raise SystemExit(1)
    pack(model)


def main(arguments: Optional[List[str]] = None) -> None:
    """Exports the named cases again, or all: after a change of the exporter or of the format."""
    for name in arguments or filter(has_checkpoint, names()):
        export_case(name)


if __name__ == "__main__":
    main(sys.argv[1:])
