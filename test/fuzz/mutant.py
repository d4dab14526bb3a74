"""A model file taken apart, so that its pieces can be changed, and put together again with a right checksum."""

import copy
import hashlib
import json
import re

import hostile

RAW_STRING = re.compile('"%s((?:[^"\\\\]|\\\\.)*)"' % re.escape(hostile.RAW))


def dumps(value):
    """JSON, with the raw texts of hostile.py in their places."""
    text = json.dumps(value)
    if hostile.RAW in text:
        text = RAW_STRING.sub(lambda m: json.loads('"%s"' % m.group(1)), text)
    return text


def encode(text):
    return text.encode("utf-8", "surrogatepass")


class Tensor:
    def __init__(self, dtype, shape, data):
        self.dtype = dtype
        self.shape = shape
        self.data = data


class Mutant:
    """Pieces of a file. What is set to None follows from the others when the file is written."""

    def __init__(self, contract, tensors):
        self.contract = contract
        self.tensors = tensors          # name -> Tensor, in the order of the file
        self.text = None                # the contract as text
        self.digest = None
        self.metadata = None            # all of __metadata__
        self.entries = None             # all entries of the header: name -> object
        self.padding = 0

    @classmethod
    def read(cls, data):
        """Takes a valid file apart."""
        start = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:start])
        metadata = header.pop("__metadata__")
        tensors = {}
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            begin, end = entry["data_offsets"]
            tensors[name] = Tensor(entry["dtype"], entry["shape"], data[start + begin:start + end])
        return cls(json.loads(metadata["mtl_rank"]), tensors)

    def copy(self):
        """A copy whose contract and tensors may be changed without touching this one's."""
        tensors = {name: Tensor(t.dtype, list(t.shape), t.data) for name, t in self.tensors.items()}
        return Mutant(copy.deepcopy(self.contract), tensors)

    def contract_text(self):
        return dumps(self.contract) if self.text is None else self.text

    def true_metadata(self):
        text = self.contract_text()
        digest = hashlib.sha256(encode(text))
        for name in sorted(self.tensors, key=encode):
            digest.update(encode(name))
            digest.update(self.tensors[name].data)
        return {"mtl_rank": text, "mtl_rank_sha256": digest.hexdigest() if self.digest is None else self.digest}

    def true_entries(self):
        entries = {}
        position = 0
        for name, tensor in self.tensors.items():
            end = position + len(tensor.data)
            entries[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [position, end]}
            position = end
        return entries

    def header(self):
        """The header as a JSON value, __metadata__ first."""
        header = {"__metadata__": self.true_metadata() if self.metadata is None else self.metadata}
        header.update(self.true_entries() if self.entries is None else self.entries)
        return header

    def data(self):
        return b"".join(tensor.data for tensor in self.tensors.values())

    def file(self):
        # The contract's own raw texts have been put in already: they must not be put in twice.
        return assemble(encode(dumps(self.header())) + b" " * self.padding, self.data())


def assemble(header, data):
    return len(header).to_bytes(8, "little") + header + data
