"""Keras's HDF5 files: weights, or a whole model with its layers. Needs h5py.

The HDF5 library is known to crash on damaged files, so a process of its own reads them (keras_hdf5.py), in bounded memory and
time. What it sends is checked like a file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Tuple

import numpy as np

from .checkpoint import CheckpointError

TIMEOUT = 600                   # seconds

_PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
_DTYPES = ("<f2", "<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8")


def read(path: str, what: str) -> Tuple[Dict[str, np.ndarray], Dict[str, object]]:
    """Weights by "<layer>/<weight's name>" in the file's order; and attributes: "layers" (names of all layers in order, also
    of those without weights), and "model_config" (JSON text) if the whole model was saved."""
    header, body = _run(path, what)
    if "error" in header:
        raise CheckpointError(f"{what}: {header['error']}")
    try:
        tensors = _tensors(header["tensors"], body)
        attributes = {"layers": [str(name) for name in header["layers"]]}
        if "model_config" in header:
            attributes["model_config"] = str(header["model_config"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{what}: a damaged HDF5 file: {error}") from None
    return tensors, attributes


def _run(path: str, what: str) -> Tuple[Dict[str, Any], bytes]:
    """The line of JSON, and what follows it."""
    search = os.pathsep.join([_PACKAGE, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": search, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mtl_rank.checkpoints.keras_hdf5", os.path.abspath(path)]
    try:
        result = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=TIMEOUT,
                                stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise CheckpointError(f"{what}: reading the HDF5 file takes more than {TIMEOUT} seconds") from None
    line, _, body = result.stdout.partition(b"\n")
    try:
        header = json.loads(line)
    except ValueError:
        header = None
    if result.returncode != 0 or not isinstance(header, dict):
        last = result.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CheckpointError(f"{what}: a damaged HDF5 file: the process that reads it "
                              + (f"failed: {last}" if result.returncode > 0 else f"was ended by signal {-result.returncode}"))
    return header, body


def _tensors(listed: List[Any], body: bytes) -> Dict[str, np.ndarray]:
    tensors: Dict[str, np.ndarray] = {}
    at = 0
    for name, dtype, shape in listed:
        if dtype not in _DTYPES:
            raise ValueError(f"a weight has the type {dtype}")
        count = int(np.prod(shape, dtype=object)) if shape else 1
        tensors[str(name)] = np.frombuffer(body, dtype, count, at).reshape(shape)
        at += count * np.dtype(dtype).itemsize
    if at != len(body):
        raise ValueError(f"{len(body)} bytes of weights, expected {at}")
    return tensors
