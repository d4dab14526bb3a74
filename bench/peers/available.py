"""Which peers are here; those that are not are said by name."""

import psycopg2  # noqa: F401  without it there is no benchmark

from peers import onnx_runtime, plpython
from peers.networks import Exported


class Peers:
    def __init__(self, connection, npm_folder, folder):
        """Files for the peers go to a folder that the server can read."""
        self.folder = folder
        self.missed = {}
        self.plpython = plpython.available(connection)
        if self.plpython:
            plpython.create_functions(connection)
        else:
            self.missing("PL/Python + PyTorch", "there is no extension plpython3u (Debian: postgresql-plpython3-15, or that of your version)")
        library = onnx_runtime.find_library(npm_folder)
        self.runtime = onnx_runtime.Runtime(library) if library else None
        if not library:
            self.missing("ONNX Runtime", "no library of the npm package onnxruntime-node in " + (npm_folder or "any folder: give --npm"))

    def missing(self, peer, reason):
        if peer not in self.missed:
            self.missed[peer] = reason
            print(f"MISSING {peer}: {reason}", flush=True)

    def export(self, name, model):
        return Exported(name, model, self.folder)

    def scorer(self, exported, inputs, outputs, batch):
        return onnx_runtime.Scorer(self.runtime, exported.onnx_path, inputs, outputs, batch)
