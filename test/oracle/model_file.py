"""Model files: the container of docs/model-format.md, written and read."""

import hashlib
import json

import numpy as np

# BF16 has no type of numpy's: its bits.
DTYPES = {"F32": np.dtype("<f4"), "BF16": np.dtype("<u2"), "I8": np.dtype("i1"), "I64": np.dtype("<i8"), "U8": np.dtype("u1")}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def write(path, contract, tensors, order=None, ascii_only=True, padding=0, metadata=None):
    """`order` is the order of the tensors in the file, `padding` the number of spaces after the header."""
    text = json.dumps(contract, ensure_ascii=ascii_only)
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors, key=str.encode):
        digest.update(name.encode() + tensors[name].tobytes())

    header = {"__metadata__": dict(metadata or {}, mtl_rank=text, mtl_rank_sha256=digest.hexdigest())}
    position = 0
    for name in order or list(tensors):
        tensor = tensors[name]
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [position, position + tensor.nbytes]}
        position += tensor.nbytes

    head = json.dumps(header, ensure_ascii=ascii_only).encode() + b" " * padding
    with open(path, "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head)
        for name in order or list(tensors):
            f.write(tensors[name].tobytes())


def read(path):
    """Contract and tensors of a file, which is taken to be valid."""
    with open(path, "rb") as f:
        data = f.read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    contract = json.loads(header.pop("__metadata__")["mtl_rank"])
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = np.frombuffer(data[start + begin:start + end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return contract, tensors


def vocabulary_tensors(name, entries):
    """The tensors of a vocabulary of integers or of texts."""
    if not isinstance(entries[0], str):
        return {"vocabulary.%s.ids" % name: np.array(entries, "<i8")}
    encoded = [e.encode() for e in entries]
    offsets = np.cumsum([0] + [len(e) for e in encoded])
    return {"vocabulary.%s.bytes" % name: np.frombuffer(b"".join(encoded), "u1"),
            "vocabulary.%s.offsets" % name: offsets.astype("<i8")}


def example_tensors(rows, scores):
    return {"examples.rows": np.frombuffer(json.dumps(rows, ensure_ascii=False).encode(), "u1"),
            "examples.scores": np.array(scores, "<f4")}
