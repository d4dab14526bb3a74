"""ONNX Runtime through its C interface: one thread, all graph optimisations, inputs and outputs in memory of ours.

The library comes in the npm package onnxruntime-node, without headers. Its table of functions only ever grows at its end, so
the places of those used here are the same in all versions since the one that is asked for.
"""

import ctypes
import pathlib
import platform

import numpy as np

API_VERSION = 13
PLACES = {"GetErrorMessage": 2, "CreateEnv": 3, "CreateSession": 7, "Run": 9, "CreateSessionOptions": 10,
          "SetSessionGraphOptimizationLevel": 23, "SetIntraOpNumThreads": 24, "SetInterOpNumThreads": 25,
          "CreateTensorWithDataAsOrtValue": 49, "CreateCpuMemoryInfo": 69, "ReleaseStatus": 93}
LOG_ERRORS, ALL_OPTIMISATIONS, DEVICE_ALLOCATOR, DEFAULT_MEMORY = 3, 99, 0, 0
ELEMENT_TYPES = {np.dtype("f4"): 1, np.dtype("i8"): 7}
ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}


def find_library(folder):
    """Below a folder that npm installed to; None if it is not there."""
    if not folder:
        return None
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    found = sorted(pathlib.Path(folder).glob(f"node_modules/onnxruntime-node/bin/*/linux/{architecture}/libonnxruntime.so*"))
    return found[0] if found else None


class ApiBase(ctypes.Structure):
    _fields_ = [("GetApi", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint32)),
                ("GetVersionString", ctypes.CFUNCTYPE(ctypes.c_char_p))]


class Runtime:
    def __init__(self, library):
        get_base = ctypes.CDLL(str(library)).OrtGetApiBase
        get_base.restype = ctypes.POINTER(ApiBase)
        base = get_base().contents
        self.version = base.GetVersionString().decode()
        table = ctypes.cast(base.GetApi(API_VERSION), ctypes.POINTER(ctypes.c_void_p))
        returns_status = ctypes.CFUNCTYPE(ctypes.c_void_p)
        self.functions = {name: returns_status(table[place]) for name, place in PLACES.items()}
        self.get_message = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(table[PLACES["GetErrorMessage"]])
        self.environment, self.memory = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("CreateEnv", LOG_ERRORS, b"bench", ctypes.byref(self.environment))
        self.call("CreateCpuMemoryInfo", DEVICE_ALLOCATOR, DEFAULT_MEMORY, ctypes.byref(self.memory))

    def call(self, name, *arguments):
        status = self.functions[name](*arguments)
        if status:
            raise SystemExit(f"ONNX Runtime, {name}: {self.get_message(status).decode()}")

    def session(self, path):
        options, session = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("CreateSessionOptions", ctypes.byref(options))
        self.call("SetSessionGraphOptimizationLevel", options, ALL_OPTIMISATIONS)
        self.call("SetIntraOpNumThreads", options, 1)
        self.call("SetInterOpNumThreads", options, 1)
        self.call("CreateSession", self.environment, str(path).encode(), options, ctypes.byref(session))
        return session

    def tensor(self, array):
        """A tensor over an array's memory, which must stay."""
        value, shape = ctypes.c_void_p(), (ctypes.c_int64 * array.ndim)(*array.shape)
        self.call("CreateTensorWithDataAsOrtValue", self.memory, ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes), shape,
                  ctypes.c_size_t(array.ndim), ELEMENT_TYPES[array.dtype], ctypes.byref(value))
        return value


class Scorer:
    """Rows in memory, made ready to be scored in batches; what run() does is the calls of Run alone."""

    def __init__(self, runtime, path, inputs, outputs, batch):
        names = ["dense", "ids"][:len(inputs)]
        self.runtime = runtime
        self.session = runtime.session(path)
        self.inputs = [np.ascontiguousarray(x) for x in inputs]
        self.scores = np.empty((len(inputs[0]), outputs), np.float32)
        self.input_names = (ctypes.c_char_p * len(names))(*(n.encode() for n in names))
        self.output_names = (ctypes.c_char_p * 1)(b"scores")
        self.batches = [self._batch(slice(i, i + batch)) for i in range(0, len(self.scores), batch)]

    def _batch(self, rows):
        values = [self.runtime.tensor(x[rows]) for x in self.inputs]
        return (ctypes.c_void_p * len(values))(*values), (ctypes.c_void_p * 1)(self.runtime.tensor(self.scores[rows]))

    def run(self):
        count, one = ctypes.c_size_t(len(self.inputs)), ctypes.c_size_t(1)
        for inputs, outputs in self.batches:
            self.runtime.call("Run", self.session, None, self.input_names, inputs, count, self.output_names, one, outputs)
