"""Checkpoints: every format comes out as it went in, and no file, however hostile, gets more than an error out of us."""

import io
import json
import os
import pickle
import random
import resource
import tempfile
import time
import unittest
import warnings
import zipfile
from unittest import mock

import numpy as np

from mtl_rank import ModelError, container
from mtl_rank.checkpoints import Checkpoint, CheckpointError, from_mapping, npz_file, pickles, read_checkpoint
from pickle_bytes import (
    BUILD, EMPTY_TUPLE, MARK, NONE, PERSISTENT, PROTOCOL, REDUCE, TRUE, archive, call, get, integer, items, mapping,
    name, put, stack_name, storage, tensor, text, whole,
)

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
WEIGHT = np.arange(6, dtype="<f4").reshape(2, 3)


_FOLDER = tempfile.TemporaryDirectory()


def read(data):
    """The checkpoint in a file of these bytes."""
    path = os.path.join(_FOLDER.name, "file")
    with open(path, "wb") as file:
        file.write(data)
    try:
        return read_checkpoint(path)
    finally:
        os.remove(path)        # to write over a file is slow on some file systems


def tearDownModule():
    _FOLDER.cleanup()


def fixture(file_name):
    with open(os.path.join(DATA, file_name), "rb") as file:
        return file.read()


class Case(unittest.TestCase):
    def refused(self, data, *parts):
        """Reading fails with an error of ours that says all this."""
        with self.assertRaises(CheckpointError) as caught:
            read(data)
        message = str(caught.exception)
        self.assertLess(len(message), 4_000)
        for part in parts:
            self.assertIn(part, message)


def saved(value):
    """Bytes of a PyTorch file with one tensor."""
    data = np.ascontiguousarray(value)
    kinds = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char", "u1": "Byte",
             "b1": "Bool"}
    kind = kinds[data.dtype.str[1:]]
    strides = [stride // data.itemsize for stride in data.strides]
    return archive(whole(mapping(w=tensor(storage("0", data.size, f"{kind}Storage"), data.shape, strides))),
                   [("0", data.tobytes())])


class Torch(Case):
    def test_what_torch_wrote(self):
        for file_name in ("zip.pth", "legacy.pth"):
            tensors = read(fixture(file_name)).tensors
            self.assertEqual(list(tensors), ["first.weight", "first.bias", "norm.weight", "norm.bias", "norm.running_mean",
                                             "norm.running_var", "norm.num_batches_tracked"])
            np.testing.assert_array_equal(tensors["first.bias"], np.array([0.3139236271381378, 0.28139978647232056], "f4"))
            np.testing.assert_array_equal(tensors["first.weight"][:, 1],
                                          np.array([-0.45544925332069397, -0.032776910811662674], "f4"))
            self.assertEqual((tensors["norm.num_batches_tracked"].dtype, tensors["norm.num_batches_tracked"].shape), ("<i8", ()))

    def test_every_type(self):
        for dtype in ("f4", "f8", "f2", "i8", "i4", "i2", "i1", "u1", "b1"):
            value = np.array([[0, 1], [1, 0]], dtype)
            array = read(saved(value)).tensors["w"]
            self.assertEqual(array.dtype, np.dtype(dtype).newbyteorder("<"))
            np.testing.assert_array_equal(array, value)

    def test_bfloat16_is_the_upper_half_of_a_float32(self):
        data = np.array([0x3F80, 0xC020], "<u2").tobytes()
        array = read(archive(whole(mapping(w=tensor(storage("0", 2, "BFloat16Storage"), [2], [1]))), [("0", data)])).tensors["w"]
        np.testing.assert_array_equal(array, np.array([1.0, -2.5], "f4"))
        self.assertEqual(array.dtype, "<f4")

    def test_strides_and_offsets(self):
        stored = storage("0", 6)
        data = archive(whole(mapping(
            transposed=tensor(stored, [3, 2], [1, 3]), part=tensor(stored, [2], [3], 2), one=tensor(stored, [], [], 5),
            nothing=tensor(stored, [0, 3], [3, 1], 6), alone=tensor(stored, [1, 6], [1 << 39, 1]),
        )), [("0", WEIGHT.tobytes())])
        tensors = read(data).tensors
        np.testing.assert_array_equal(tensors["transposed"], WEIGHT.T)
        np.testing.assert_array_equal(tensors["part"], [2, 5])
        self.assertEqual(tensors["one"], 5)
        self.assertEqual(tensors["nothing"].shape, (0, 3))
        np.testing.assert_array_equal(tensors["alone"], WEIGHT.reshape(1, 6))

    def test_state_dict_inside_and_parallel_prefix(self):
        weight = tensor(storage("0", 6), [2, 3], [3, 1])
        inside = b"}" + MARK + text("module.w") + weight + b"u"
        checkpoint = read(archive(whole(mapping(epoch=integer(3), state_dict=inside)), [("0", WEIGHT.tobytes())]))
        self.assertEqual(list(checkpoint), ["w"])

    def test_parameters_of_a_module(self):
        weight = call(name("torch._utils", "_rebuild_parameter"), tensor(storage("0", 6), [2, 3], [3, 1]), TRUE, NONE)
        np.testing.assert_array_equal(read(archive(whole(mapping(w=weight)), [("0", WEIGHT.tobytes())])).tensors["w"], WEIGHT)

    def test_outside_of_the_storage(self):
        for shape, strides, offset, last in (([7], [1], 0, 6), ([2], [6], 0, 6), ([1], [1], 6, 6), ([2, 3], [3, 1], 1, 6),
                                             ([2], [1 << 40], 0, 1 << 40)):
            data = archive(whole(mapping(w=tensor(storage("0", 6), shape, strides, offset))), [("0", WEIGHT.tobytes())])
            self.refused(data, f'tensor "w" reads number {last} of a storage of 6')

    def test_no_sizes(self):
        for shape, strides, offset in (([-1], [1], 0), ([1], [-1], 0), ([1], [1], -1), ([1 << 41], [1], 0),
                                       ([1] * 33, [1] * 33, 0), ([1], [1, 1], 0), ([1 << 2000], [1], 0)):
            data = archive(whole(mapping(w=tensor(storage("0", 6), shape, strides, offset))), [("0", WEIGHT.tobytes())])
            self.refused(data, "an offset, a shape or strides that are no sizes")

    def test_tensors_larger_than_their_file(self):
        huge = tensor(storage("0", 1), [1 << 20, 1 << 20], [0, 0])
        self.refused(archive(whole(mapping(w=huge)), [("0", bytes(4))]), "bytes would become", "the limit is")
        self.refused(archive(whole(mapping(w=tensor(storage("0", 1), [1 << 40] * 32, [0] * 32))), [("0", bytes(4))]),
                     "bytes would become")

    def test_one_storage_under_many_names(self):
        stored = tensor(storage("0", 1 << 16), [1 << 16], [1]) + put(1) + b"0"
        many = mapping(**{f"w{i}": get(1) for i in range(60)})
        self.refused(archive(whole(stored + many), [("0", bytes(4 << 16))]), "bytes would become")

    def test_storages_of_another_size(self):
        for count, length in ((6, 23), (6, 28), (5, 24), (7, 24)):
            self.refused(archive(whole(mapping(w=tensor(storage("0", count), [1], [1]))), [("0", bytes(length))]),
                         f'storage "0" has {length} bytes, expected {count} numbers of type float32')

    def test_a_storage_of_two_types(self):
        both = mapping(a=tensor(storage("0", 6), [6], [1]), b=tensor(storage("0", 6, "IntStorage"), [6], [1]))
        self.refused(archive(whole(both), [("0", bytes(24))]),
                     'storage "0" has 6 numbers of type float32, and again 6 of type int32')

    def test_missing_storage(self):
        self.refused(archive(whole(mapping(w=tensor(storage("7", 6), [6], [1])))), 'the archive has no "model/data/7"')

    def test_persistent_identifiers(self):
        for identifier in (
            text("storage"), items(), items(text("storage")), integer(7), NONE,
            items(integer(1), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(6)),
            items(text("storage"), text("FloatStorage"), text("0"), text("cpu"), integer(6)),
            items(text("storage"), name("torch", "FloatStorage"), integer(0), text("cpu"), integer(6)),
            items(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), text("6")),
            items(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), integer(-6)),
            items(text("storage"), name("torch", "FloatStorage"), text("0"), text("cpu"), TRUE),
            items(text("storage"), name("torch", "FloatStorage"), text("0" * 2000), text("cpu"), integer(6)),
        ):
            self.refused(archive(whole(mapping(w=identifier + PERSISTENT))), "no storage of a known type")

    def test_tensors_of_no_storage(self):
        self.refused(archive(whole(mapping(w=tensor(text("storage"), [1], [1])))), "a tensor of the pickle has no storage")

    def test_wrong_number_of_arguments(self):
        self.refused(archive(whole(mapping(w=call(name("torch._utils", "_rebuild_tensor_v2"), storage("0", 6))))),
                     "torch._utils._rebuild_tensor_v2 is called with wrong arguments")

    def test_size_of_anything_but_a_tuple(self):
        self.refused(archive(whole(call(name("torch", "Size"), text("a" * 1000)))), "makes a torch.Size of something else")

    def test_no_state_dict(self):
        self.refused(archive(whole(integer(3))), "holds a int, expected names and tensors")
        self.refused(archive(whole(mapping(epoch=integer(3)))), "no names and tensors in it")

    def test_infinite_numbers(self):
        self.refused(saved(np.array([1, np.inf], "f4")), 'tensor "w" has an infinite number or NaN')

    def test_half_characters_in_names(self):
        broken = b"}" + b"X\x04\x00\x00\x00w\xed\xa0\x80" + tensor(storage("0", 1), [1], [1]) + b"s"
        self.refused(archive(whole(broken), [("0", bytes(4))]), "'w\\ud800' has half a character")


class TorchArchives(Case):
    def weight(self, **more):
        return archive(whole(mapping(w=tensor(storage("0", 6), [2, 3], [3, 1]))), [("0", WEIGHT.tobytes())], **more)

    def test_compressed(self):
        self.refused(self.weight(compression=zipfile.ZIP_DEFLATED), "is compressed, or larger than the archive")

    def test_compressed_bomb(self):
        bomb = archive(whole(mapping(w=tensor(storage("0", 1 << 26), [1 << 26], [1]))), compression=zipfile.ZIP_DEFLATED,
                       storages=[("0", bytes(4 << 26))])
        self.assertLess(len(bomb), 1 << 20)
        self.refused(bomb, "is compressed, or larger than the archive")

    def test_duplicate_names(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            twice = self.weight(extra=[("model/data/0", bytes(24))])
        self.refused(twice, '"model/data/0" is in the archive twice')

    def test_files_that_lie_over_each_other(self):
        """A storage's bytes for thousands of storages: the directory says where each lies."""
        many = 3000
        pickled = whole(mapping(**{f"w{i}": tensor(storage(str(i), 1 << 14), [1 << 14], [1]) for i in range(many)}))
        data = archive(pickled, [("0", bytes(4 << 14))])
        end = data.rindex(b"PK\x05\x06")
        begin = data.rindex(b"PK\x01\x02", 0, end)
        entry = data[begin:end]
        name_at, width = 46, len("model/data/0")
        more = b"".join(
            entry[:28] + (width - 1 + len(str(i))).to_bytes(2, "little") + entry[30:name_at]
            + f"model/data/{i}".encode() + entry[name_at + width:]
            for i in range(1, many)
        )
        directory = data[data.index(b"PK\x01\x02"):end] + more
        tail = bytearray(data[end:])
        tail[8:12] = (many + 1).to_bytes(2, "little") * 2
        tail[12:16] = len(directory).to_bytes(4, "little")
        with self.assertRaises(CheckpointError) as caught:
            read(data[:data.index(b"PK\x01\x02")] + directory + bytes(tail))
        # Later versions of zipfile see it themselves, earlier ones the other name.
        self.assertRegex(str(caught.exception), "is damaged|bytes would become")

    def test_damaged_bytes(self):
        data = self.weight()
        at = data.index(WEIGHT.tobytes())
        self.refused(data[:at] + b"\xff" + data[at + 1:], '"model/data/0" of the archive is damaged')

    def test_torchscript(self):
        self.refused(self.weight(extra=[("model/constants.pkl", whole(EMPTY_TUPLE))]), "TorchScript", "model.state_dict()")

    def test_no_pickle(self):
        self.refused(archive(b"").replace(b"data.pkl", b"data.txt"), "the archive has no data.pkl")

    def test_big_endian(self):
        self.refused(self.weight(extra=[("model/byteorder", b"big")]), "not little-endian")


class Legacy(Case):
    def parts(self, content, keys, system=None):
        system = mapping(protocol_version=integer(1001), little_endian=TRUE) if system is None else system
        return b"".join(map(whole, (integer(0x1950A86A20F9469CFC6C), integer(1001), system, content, keys)))

    def weight(self):
        return mapping(w=tensor(storage("7", 6), [2, 3], [3, 1]))

    def test_by_hand(self):
        data = self.parts(self.weight(), b"]" + text("7") + b"a") + (6).to_bytes(8, "little") + WEIGHT.tobytes()
        np.testing.assert_array_equal(read(data).tensors["w"], WEIGHT)

    def test_unknown_keys(self):
        for key in (text("8"), integer(7), b"]", items(), text("7" * 2000)):
            self.refused(self.parts(self.weight(), b"]" + key + b"a"), "a storage is there that no tensor uses")

    def test_counts_and_ends(self):
        keys = b"]" + text("7") + b"a"
        self.refused(self.parts(self.weight(), keys) + (1 << 62).to_bytes(8, "little"),
                     f"a storage of {1 << 62} numbers, expected 6")
        self.refused(self.parts(self.weight(), keys) + (6).to_bytes(8, "little") + bytes(5), "a storage of 24 bytes ends after 5")
        self.refused(self.parts(self.weight(), b"]"), "1 storages are missing")

    def test_head(self):
        self.refused(self.parts(self.weight(), EMPTY_TUPLE), "not a file from torch.save")
        self.refused(self.parts(self.weight(), b"]", mapping(little_endian=b"\x89")), "not little-endian")
        self.refused(self.parts(self.weight(), b"]", b"]"), "not a file from torch.save")

    def test_views_of_storages(self):
        view = items(text("storage"), name("torch", "FloatStorage"), text("7"), text("cpu"), integer(6), items()) + PERSISTENT
        self.refused(self.parts(mapping(w=tensor(view, [6], [1])), b"]"), "a view of a storage")


class HostilePickles(Case):
    """Each in a PyTorch file and, where PyTorch plays no part, as a pickle of its own."""

    def both(self, body, *parts):
        self.refused(archive(whole(body)), *parts)
        self.refused(whole(body), *parts)

    def test_calls(self):
        marker = os.path.join(tempfile.gettempdir(), f"mtl_rank_{os.getpid()}")
        for function in (name("os", "system"), stack_name("os", "system"), name("posix", "system"), name("subprocess", "Popen")):
            self.both(call(function, text(f"touch {marker}")), "asks for", "which is code and is not executed")
        self.assertFalse(os.path.exists(marker))

    def test_names_what_was_asked_for(self):
        self.both(items(call(name("os", "system"), text("x")), call(name("builtins", "exec"), text("y"))),
                  '"os.system", "builtins.exec"')

    def test_names_even_when_something_else_is_wrong(self):
        self.both(call(name("os", "system"), text("x")) + b"a", '"os.system"')

    def test_real_pickles(self):
        class Bomb:
            def __reduce__(self):
                return os.system, ("true",)

        for protocol in range(2, 6):
            self.refused(pickle.dumps({"w": Bomb()}, protocol), "system", "is not executed")

    def test_chains_of_getattr(self):
        chain = call(name("builtins", "getattr"), name("torch", "FloatStorage"), text("__init__"))
        self.both(call(chain, text("x")), '"builtins.getattr"')
        self.both(call(name("torch._utils", "_rebuild_tensor_v2.__globals__"), text("x")), "__globals__")
        self.both(call(call(name("collections", "OrderedDict")), text("x")), '"OrderedDict"')

    def test_new_objects(self):
        self.both(name("os", "system") + items(text("x")) + b"\x81", '"os.system"')
        self.both(text("x") + items() + b"\x81", '"str"')
        self.both(name("os", "system") + text("x") + REDUCE, "arguments that are no tuple")

    def test_build(self):
        state = mapping(__class__=text("x"))
        self.both(text("x") + state + BUILD, "gives a state to a str")
        self.both(b"}" + state + BUILD, "gives a state to a dict")
        self.both(EMPTY_TUPLE + state + BUILD, "gives a state to a tuple")
        self.both(name("os", "system") + state + BUILD, "gives a state to a")
        # An OrderedDict has _metadata in a state dict; whatever it is, it is dropped.
        self.both(call(name("collections", "OrderedDict")) + mapping(update=text("x")) + BUILD, "no names and tensors in it")

    def test_build_of_arrays(self):
        array = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), items(integer(0)), text("b"))
        dtype = call(name("numpy", "dtype"), text("f4"), b"\x89", TRUE)
        for state in (NONE, items(), items(integer(1), text("f4"), dtype, NONE)):
            self.refused(whole(b"}" + text("w") + array + state + BUILD + b"s"),
                         "an array of the pickle has a state of an unknown form")
        for state in (NONE, items(integer(3), text("<")), items(integer(3), text("!"), NONE, NONE, NONE),
                      items(integer(3), text("<"), items(dtype), NONE, NONE), items(integer(3), b"]", NONE, NONE, NONE)):
            self.refused(whole(dtype + state + BUILD), "a type that is not a plain number")
        self.refused(whole(b"}" + text("w") + array + b"s"), 'array "w" has no type or no bytes')

    def test_types_of_arrays(self):
        for code in ("O8", "M8", "U4", "V8", "c8", "x"):
            self.refused(whole(call(name("numpy", "dtype"), text(code))), f"the type '{code}', expected numbers")
        self.refused(pickle.dumps({"w": np.array([{}, None])}, 2), "the type 'O8', expected numbers")
        self.refused(pickle.dumps({"w": np.zeros(2, [("a", "f4")])}, 2), "the type 'V4', expected numbers")
        self.refused(whole(call(name("numpy", "dtype"), b"]")), "the type list, expected numbers")

    def test_opcodes(self):
        for opcode in (b"i__builtin__\nset\n", MARK + b"o", b"P1\n", b"\x82\x01", b"\x83\x01\x00", b"2", b"\x8f", b"\x97"):
            self.both(text("x") + opcode, "has the opcode", "which no checkpoint needs")
        self.refused(PROTOCOL + b"\xfe", "not a pickle, or a damaged one")

    def test_stack(self):
        self.both(b"0", "takes more from its stack")
        self.both(MARK + b"0", "takes more from its stack")
        self.both(b"t", "misses a mark")
        self.both(integer(1) + b"a", "changes a list that is not there")
        self.both(integer(1) + b"s", "takes more from its stack")
        self.both(text("x") + integer(1) + integer(1) + b"s", "changes a dict that is not there")
        self.both(b"}" + MARK + text("x") + b"u", "a key without a value")
        self.both(put(3), "notes an object that is not there")
        self.both(MARK + put(3), "notes an object that is not there")
        self.both(get(3), "refers to its object 3")
        self.both(integer(1) + integer(2) + b"\x93", "names something that is not text")

    def test_memo(self):
        self.both(integer(7) + put(0xFFFFFFFF) + b"0" + get(0xFFFFFFFF), "holds a int")
        self.both(b"](" + b"]\x94" * 50_000 + b"e", "holds a list")

    def test_keys(self):
        for key in (items(), NONE, b"G" + bytes(8), items(items())):
            self.both(b"}" + key + NONE + b"s", "has a key of type")
        long = "x" * 1001
        self.both(b"}" + text(long) + NONE + b"s", "a key of more than 1000 characters")
        self.both(b"}" + integer(1 << 65) + NONE + b"s", "a key of more than 1000 characters, or 64 bits")
        self.both(name("os", long), "names something with more than 1000 characters")

    def test_too_many_opcodes(self):
        with mock.patch.object(pickles, "MAX_OPCODES", 1000):
            self.both(b"](" + NONE * 2000 + b"e", "more than 1000 opcodes")

    def test_entangled_objects_are_never_printed_or_compared(self):
        """Sixty tuples, each of the one before twice: to print, compare or hash the last would take for ever."""
        knot = EMPTY_TUPLE + put(0) + b"0"
        for i in range(60):
            knot += get(i) + get(i) + b"\x86" + put(i + 1) + b"0"
        last = get(60)
        reconstruct = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), items(integer(0)), text("b"))
        for body in (
            tensor(storage("0", 6), [1], [1]).replace(items(integer(1)), last, 1),
            call(name("torch._utils", "_rebuild_tensor_v2"), storage("0", 6), last, items(last), items(integer(1))),
            last + PERSISTENT, items(text("storage"), last, last, last, last) + PERSISTENT,
            items(last, last, last, last, last) + PERSISTENT, b"}" + last + NONE + b"s",
        ):
            self.refused(archive(whole(knot + body)))
        for body in (
            call(name("numpy", "dtype"), last), call(name("_codecs", "encode"), text("x"), last), last, last + b"b",
            b"}" + text("w") + reconstruct + items(last, last, last, last, last) + BUILD + b"s",
            b"}" + text("w") + call(name("numpy.core.numeric", "_frombuffer"), last, last, last, last) + b"s",
        ):
            self.refused(whole(knot + body))

    def test_dicts_under_many_names_are_read_once(self):
        weight = tensor(storage("0", 6), [2, 3], [3, 1])
        inner = mapping(**{f"w{i}": weight if i == 0 else b"]" for i in range(2000)}) + put(9) + b"0"
        outer = mapping(**{f"net{i}": get(9) for i in range(2000)})
        started = time.process_time()
        self.refused(archive(whole(inner + outer), [("0", WEIGHT.tobytes())]), "no names and tensors in it")
        self.assertLess(time.process_time() - started, 5)

    def test_bytes_that_are_encoded_again_and_again(self):
        long = text("x" * 100_000) + put(1) + b"0"
        again = call(name("_codecs", "encode"), get(1), text("latin1"))
        self.refused(whole(long + items(*[again] * 100)), "bytes would become")
        self.refused(whole(call(name("_codecs", "encode"), text("x"), text("rot13"))), "encodes a text as 'rot13'")
        self.refused(whole(call(name("_codecs", "encode"), text("€"), text("latin1"))), "not a pickle, or a damaged one")

    def test_arrays_under_many_names(self):
        array = np.zeros(50_000, "f4")
        for protocol in range(2, 6):
            self.assertEqual(len(read(pickle.dumps({f"w{i}": array for i in range(6)}, protocol))), 6)
            self.refused(pickle.dumps({f"w{i}": array for i in range(60)}, protocol), "bytes would become")


def paddle_file(arrays, protocol, **more):
    """As paddle.save() writes a layer's state dict."""
    content = {**arrays, "StructuredToParameterName@@": {key: f"linear_0.{key}" for key in arrays}, **more}
    return pickle.dumps(content, protocol)


class NumpyPickles(Case):
    def test_paddle(self):
        arrays = {"w": WEIGHT, "b": np.array([1.5, -2], "f4"), "transposed": WEIGHT.T, "long": np.array([7], "i8"),
                  "scalar": np.float32(3), "none": np.zeros((0, 2), "f4"), "big": WEIGHT.astype(">f4"),
                  "half": WEIGHT.astype("f2")}
        for protocol in range(2, 6):
            checkpoint = read(paddle_file(arrays, protocol))
            self.assertEqual(list(checkpoint), list(arrays))
            for key, array in arrays.items():
                np.testing.assert_array_equal(checkpoint.tensors[key], array)
                self.assertEqual(checkpoint.tensors[key].dtype, array.dtype)
                self.assertEqual(checkpoint.tensors[key].shape, array.shape)

    def test_later_numpy(self):
        data = paddle_file({"w": WEIGHT}, 2).replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n")
        np.testing.assert_array_equal(read(data).tensors["w"], WEIGHT)

    def test_slices_of_a_large_parameter(self):
        flat = WEIGHT.reshape(-1)
        large = {"w": {"OriginShape": (2, 3), "slices": ["w@@.0", "w@@.1"]}}
        arrays = {"b": WEIGHT[0], "w@@.0": flat[:4], "w@@.1": flat[4:]}
        for protocol in (2, 3):
            checkpoint = read(paddle_file(arrays, protocol, **{"UnpackBigParamInfor@@": large}))
            self.assertEqual(sorted(checkpoint), ["b", "w"])
            np.testing.assert_array_equal(checkpoint.tensors["w"], WEIGHT)
        # paddle.static.save() has no names of parameters.
        static = pickle.dumps({"w@@.0": flat, "UnpackBigParamInfor@@": {"w": {"OriginShape": (2, 3), "slices": ["w@@.0"]}}}, 2)
        np.testing.assert_array_equal(read(static).tensors["w"], WEIGHT)

    def test_wrong_slices(self):
        def cut(**information):
            return paddle_file({"w@@.0": WEIGHT.reshape(-1), "b": WEIGHT}, 2,
                               **{"UnpackBigParamInfor@@": {"w": {"OriginShape": (2, 3), "slices": ["w@@.0"], **information}}})

        self.assertEqual(read(cut()).tensors["w"].shape, (2, 3))
        self.refused(cut(slices=["w@@.1"]), 'slice "w@@.1" of parameter "w" is missing')
        self.refused(cut(slices=["w@@.0", "w@@.0"]), 'slice "w@@.0" of parameter "w" is missing')
        self.refused(cut(slices=["b"]), 'slice "b" of parameter "w" is missing, or no vector')
        self.refused(cut(slices=7), "slices that have no names")
        self.refused(cut(OriginShape=(2, 4)), 'parameter "w" of shape [2, 4] has 24 bytes, expected 32')
        self.refused(cut(OriginShape=(-2, -3)), 'parameter "w" has a shape that is no list')
        self.refused(paddle_file({"w": WEIGHT}, 2, **{"UnpackBigParamInfor@@": 7}), '"UnpackBigParamInfor@@" is no dict')

    def test_bfloat16(self):
        bits = np.array([0x3F80, 0xC020], "u2")
        np.testing.assert_array_equal(read(paddle_file({"w": bits}, 4)).tensors["w"], np.array([1.0, -2.5], "f4"))
        # Of no Paddle, they are the numbers that they are.
        np.testing.assert_array_equal(read(pickle.dumps({"w": bits}, 4)).tensors["w"], bits)

    def test_tensors_that_are_tuples(self):
        """What paddle.save() makes of {"model": layer.state_dict(), "epoch": 3}."""
        class Tensor:
            def __reduce__(self):
                return tuple, (("linear_0.w_0", WEIGHT),)

        for protocol in range(2, 5):
            checkpoint = read(pickle.dumps({"model": {"w": Tensor()}, "epoch": 3}, protocol))
            np.testing.assert_array_equal(checkpoint.tensors["w"], WEIGHT)

    def test_static_tensors_are_code(self):
        class Tensor:
            def __reduce__(self):
                return eval, ("data", {"data": WEIGHT})

        self.refused(pickle.dumps({"model": {"w": Tensor()}}, 2), "eval", "is not executed")

    def test_shapes(self):
        array = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), items(integer(0)), text("b"))
        dtype = call(name("numpy", "dtype"), text("f4"), b"\x89", TRUE) + items(integer(3), text("<"), NONE, NONE, NONE) + BUILD
        def of(shape, data=b"C\x08" + bytes(8)):
            return whole(b"}" + text("w") + array + items(integer(1), shape, dtype, b"\x89", data) + BUILD + b"s")

        self.assertEqual(read(of(items(integer(2)))).tensors["w"].shape, (2,))
        self.assertEqual(read(of(integer(2))).tensors["w"].shape, (2,))
        self.refused(of(items(integer(3))), "of shape [3] has 8 bytes, expected 12")
        self.refused(of(items(integer(-2))), "a shape that is no list")
        self.refused(of(items(*[integer(1 << 40)] * 32)), "expected")
        self.refused(of(items(*[integer(1)] * 33)), "a shape that is no list of at most 32 sizes")
        self.refused(of(items(integer(1 << 3000))), "a shape that is no list")
        self.refused(of(text("2")), "a shape that is no list")
        self.refused(of(items(*[integer(1 << 40)] * 3, integer(0)), b"C\x00"), "array \"w\" of shape")
        self.refused(of(items(integer(2)), text("12345678")), "has no type or no bytes")


def npz(compressed=False, **arrays):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def npz_of(*entries, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for entry, data in entries:
            file.writestr(entry, data)
    return buffer.getvalue()


def npy(header, body=b"", version=b"\x01\x00"):
    head = header.encode()
    return b"\x93NUMPY" + version + len(head).to_bytes(2 if version == b"\x01\x00" else 4, "little") + head + body


class Npz(Case):
    HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n"

    def test_arrays(self):
        for compressed in (False, True):
            tensors = read(npz(compressed, w=WEIGHT, t=WEIGHT.T, half=WEIGHT.astype("f2"), none=np.zeros((3, 0)))).tensors
            np.testing.assert_array_equal(tensors["w"], WEIGHT)
            np.testing.assert_array_equal(tensors["t"], WEIGHT.T)
            self.assertEqual((tensors["half"].dtype, tensors["none"].shape), ("<f2", (3, 0)))

    def test_objects(self):
        self.refused(npz(w=np.array([{}, None])), 'array "w.npy" has the type object, expected numbers')
        self.refused(npz(w=np.array(["text"])), "has the type <U4, expected numbers")
        self.refused(npz(w=np.zeros(2, [("a", "f4")])), "expected numbers")

    def test_headers(self):
        self.assertEqual(read(npz_of(("w.npy", npy(self.HEADER, bytes(8))))).tensors["w"].shape, (2,))
        self.refused(npz_of(("w.npy", npy(self.HEADER, bytes(9)))), "of shape [2] has 9 bytes, expected 8")
        for shape, problem in (("(-2,)", "no list of at most 32 sizes"), ("(1000000000000000,)", "no list of at most 32 sizes"),
                               ("(1000000000000,)", "expected 4000000000000")):
            self.refused(npz_of(("w.npy", npy(self.HEADER.replace("(2,)", shape), bytes(8)))), problem)
        self.refused(npz_of(("w.npy", npy("(" * 9000))), "is damaged")
        self.refused(npz_of(("w.npy", npy("(" * 60_000))), "a header of more than 10000 bytes")
        self.refused(npz_of(("w.npy", npy("(" * 100_000, version=b"\x02\x00"))), "a header of more than 10000 bytes")
        self.refused(npz_of(("w.npy", npy(self.HEADER, bytes(8), b"\x03\x00"))), "the version (3, 0) of the format")
        self.refused(npz_of(("w.npy", b"")), "is damaged")
        self.refused(npz_of(("w.npy", npy("__import__('os').system('true')"))), "is damaged")

    def test_other_files(self):
        self.refused(npz_of(("w.npy", npy(self.HEADER, bytes(8))), ("readme.txt", b"")),
                     '"readme.txt" in the .npz file is no array')

    def test_duplicate_names(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.refused(npz_of(("w.npy", npy(self.HEADER, bytes(8))), ("w.npy", b"")), '"w.npy" is in the archive twice')

    def test_bombs(self):
        bomb = npz(True, w=np.zeros(1 << 22, "f4"))
        self.assertLess(len(bomb), 1 << 17)
        self.assertEqual(read(bomb).tensors["w"].size, 1 << 22)
        with mock.patch.object(npz_file, "_COMPRESSED", 1 << 20):
            self.refused(bomb, "bytes would become", "the limit is")

    def test_more_than_the_size_that_the_archive_states(self):
        """The entry claims few bytes, its compressed data would be many."""
        bomb = bytearray(npz_of(("w.npy", npy(self.HEADER, bytes(1 << 26))), compression=zipfile.ZIP_DEFLATED))
        for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
            begin = bomb.index(mark) + at
            bomb[begin:begin + 4] = (200).to_bytes(4, "little")
        with limited_memory(1 << 25):
            self.refused(bytes(bomb), "is damaged")


class Safetensors(Case):
    def file(self, header, body):
        head = json.dumps(header).encode()
        return len(head).to_bytes(8, "little") + head + body

    def entry(self, dtype="F32", shape=(2,), begin=0, end=8):
        return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}

    def test_types(self):
        for dtype, code in (("F32", "<f4"), ("F64", "<f8"), ("F16", "<f2"), ("I64", "<i8"), ("I32", "<i4"), ("I16", "<i2"),
                            ("I8", "i1"), ("U8", "u1"), ("BOOL", "?")):
            array = np.array([0, 1], code)
            file = self.file({"__metadata__": {"format": "pt"}, "w": self.entry(dtype, [2], 0, array.nbytes)}, array.tobytes())
            np.testing.assert_array_equal(read(file).tensors["w"], array)
        bits = np.array([0x3F80, 0xC020], "<u2")
        half = self.file({"w": self.entry("BF16", [2], 0, 4)}, bits.tobytes())
        np.testing.assert_array_equal(read(half).tensors["w"], [1, -2.5])

    def test_wrong(self):
        body = bytes(8)
        for entry, message in (
            (self.entry("F8"), "has the dtype 'F8'"), (self.entry(["F32"]), "has the dtype ['F32']"),
            (self.entry(shape=[-2]), "has the shape [-2]"), (self.entry(shape=[2.0]), "has the shape [2.0]"),
            (self.entry(shape=[1] * 5), "has 5 dimensions"), (self.entry(shape=[10**400] * 4), "expected"),
            (self.entry(begin=4, end=12), "lies at bytes 4 to 12 of 8"), (self.entry(begin=8, end=0), "lies at bytes 8 to 0"),
            (self.entry(end=4), "has 4 bytes of data, expected 8"), (self.entry(shape=[0, 2**62, 2**62], end=0), "out of range"),
            ({"dtype": "F32"}, 'expected the keys "dtype"'), (7, 'expected the keys "dtype"'),
        ):
            self.refused(self.file({"w": entry}, body), message)

    def test_tensors_over_each_other(self):
        self.refused(self.file({f"w{i}": self.entry(shape=[1 << 16], end=4 << 16) for i in range(60)}, bytes(4 << 16)),
                     "bytes would become")

    def test_header(self):
        def raw(head):
            return len(head).to_bytes(8, "little") + head

        self.refused(raw(b'{"w": ' + b"1" * 5000 + b"}"), "the header is not JSON")
        self.refused(raw(b'{"w": ' + b"[" * 100_000), "nested too deeply")
        self.refused(raw(b'{"w": 1, "w": 2}'), 'key of the header "w" appears twice')
        self.refused((1 << 60).to_bytes(8, "little") + b"{}", "truncated, or not a safetensors file")
        self.refused(raw(b'{"w": NaN}'), "holds NaN")


class Formats(Case):
    def test_unknown(self):
        for data in (b"", b"hello", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"\x80", b"\x80\x02", b"\x80\x02.", b"{}", bytes(100)):
            self.refused(data)

    def test_folders(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(CheckpointError, "a folder; an importer needs one file"):
                read_checkpoint(folder)
            os.mkdir(os.path.join(folder, "model"))
            open(os.path.join(folder, "model", ".metadata"), "wb").close()
            for path in (folder, os.path.join(folder, "model")):
                with self.assertRaisesRegex(CheckpointError,
                                            r"model: a distributed checkpoint.*dcp_to_torch_save\('.*model', 'model.pth'\)"):
                    read_checkpoint(path)

    def test_from_memory(self):
        self.assertEqual(list(from_mapping({"module.a": WEIGHT, "module.b": WEIGHT})), ["a", "b"])
        with self.assertRaisesRegex(CheckpointError, "the state dict: holds a list"):
            from_mapping([])
        with self.assertRaisesRegex(CheckpointError, "has the type object, expected numbers"):
            from_mapping({"w": np.array([None])})
        with self.assertRaisesRegex(CheckpointError, "the state dict: 100001 tensors exceed the limit of 100000"):
            from_mapping({f"w{i}": WEIGHT for i in range(100_001)})


# ---------------------------------------------------------------- mutations


class Counted(str):
    """A name that counts how often any is looked at."""

    looks = 0

    def __lt__(self, other):
        Counted.looks += 1
        return str.__lt__(self, other)

    def startswith(self, *arguments):
        Counted.looks += 1
        return str.startswith(self, *arguments)


class Names(unittest.TestCase):
    NAMES = ["a.0.x", "a.1.x", "a.10.x", "a.1", "a.b.x", "a.1234567.x", "b", "a.7x", "aa.3.x"]

    def setUp(self):
        self.checkpoint = from_mapping({name: WEIGHT for name in self.NAMES})

    def test_under(self):
        for prefix in ("", "a", "a.", "a.1", "a.1.", "b", "b.", "c", "a.b.x", "a.b.x."):
            expected = sorted(name for name in self.NAMES if name.startswith(prefix))
            self.assertEqual(self.checkpoint.under(prefix), expected)
            self.assertEqual(self.checkpoint.has_prefix(prefix), bool(expected))

    def test_numbers(self):
        self.assertEqual((self.checkpoint.numbers("a."), self.checkpoint.count("a.")), ((0, 1, 10), 11))
        self.assertEqual((self.checkpoint.numbers("aa."), self.checkpoint.count("aa.")), ((3,), 4))
        self.assertEqual((self.checkpoint.numbers("b"), self.checkpoint.count("b.")), ((), 0))

    def test_few_names_are_looked_at(self):
        checkpoint = Checkpoint({Counted(f"experts.{e}.mlp.{l}.weight"): WEIGHT for e in range(10_000) for l in range(10)}, "many")
        self.assertTrue(checkpoint.has_prefix("experts."))
        Counted.looks = 0
        for e in range(10_000):
            self.assertEqual(checkpoint.count(f"experts.{e}.mlp."), 10)
            self.assertEqual(checkpoint.numbers(f"experts.{e}.mlp."), tuple(range(10)))
            self.assertFalse(checkpoint.has_prefix(f"experts.{e}.gate."))
        # of 100,000 names, a search looks at 17, and what it finds and the next one at 11
        self.assertLessEqual(Counted.looks, 10_000 * (2 * 18 + 11 + 1))


class limited_memory:
    """What is allocated beyond this fails, with a MemoryError."""

    def __init__(self, more):
        self.more = more

    def __enter__(self):
        self.before = resource.getrlimit(resource.RLIMIT_AS)
        try:
            with open("/proc/self/statm", encoding="ascii") as file:
                used = int(file.read().split()[0]) * resource.getpagesize()
        except OSError:         # not Linux
            return
        resource.setrlimit(resource.RLIMIT_AS, (used + self.more, self.before[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_AS, self.before)


def mutated(data, chance):
    """The file with some bytes changed, moved, repeated or cut off."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(len(result))
        kind = chance.randrange(7)
        if kind == 0:
            result[at] = chance.randrange(256)
        elif kind == 1:
            result[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            result[at:at + 4] = chance.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80"))
        elif kind == 3:
            del result[at:]
        elif kind == 4:
            del result[at:at + chance.randrange(1, 20)]
        else:
            begin = chance.randrange(len(result))
            piece = result[begin:begin + chance.randrange(1, 40)]
            if kind == 5:
                result[at:at] = piece
            else:
                result[at:at + len(piece)] = piece
        if not result:
            return b""
    return bytes(result)


class Mutations(unittest.TestCase):
    """Thousands of damaged files: a checkpoint or an error of ours comes out, in time, and within the memory that is due."""

    COUNT = 1500
    SECONDS = 20            # of one file, on any machine: reading takes about a millisecond
    MEMORY = 256 << 20

    def survive(self, data, count=COUNT):
        self.assertTrue(len(read(data)))
        chance = random.Random(7)
        refused = 0
        with limited_memory(self.MEMORY):
            for i in range(count):
                bad = mutated(data, chance)
                started = time.process_time()
                try:
                    read(bad)
                except ModelError:
                    refused += 1
                except BaseException as error:
                    raise AssertionError(f"mutation {i}: {type(error).__name__}: {error}; {bad!r}") from error
                self.assertLess(time.process_time() - started, self.SECONDS, bad)
        # Most damage is found. A changed weight is not, where a format has no checksum.
        self.assertGreater(refused, count // 4)

    def test_zip(self):
        self.survive(fixture("zip.pth"))

    def test_pickles_in_a_zip(self):
        """The checksums made right again, so that the pickle's reader meets the damage."""
        with zipfile.ZipFile(io.BytesIO(fixture("zip.pth"))) as file:
            entries = {info.filename: file.read(info) for info in file.infolist()}
        pickled = next(key for key in entries if key.endswith("data.pkl"))
        chance = random.Random(8)
        with limited_memory(self.MEMORY):
            for _ in range(self.COUNT):
                changed = {**entries, pickled: mutated(entries[pickled], chance)}
                try:
                    read(npz_of(*changed.items()))
                except ModelError:
                    pass

    def test_legacy(self):
        self.survive(fixture("legacy.pth"))

    def test_paddle(self):
        arrays = {"w": WEIGHT, "b": WEIGHT[0]}
        for protocol in (2, 4):
            self.survive(paddle_file(arrays, protocol))
        self.survive(pickle.dumps({"model": arrays}, 5))

    def test_npz(self):
        self.survive(npz(w=WEIGHT, b=WEIGHT[0]))
        self.survive(npz(True, w=WEIGHT, b=WEIGHT[0]))

    def test_safetensors(self):
        self.survive(container.encode({}, {"w": WEIGHT, "i": np.array([1, 2])}))

    def test_every_truncation(self):
        for data in (fixture("zip.pth"), fixture("legacy.pth"), paddle_file({"w": WEIGHT}, 2), npz(w=WEIGHT),
                     container.encode({}, {"w": WEIGHT})):
            for end in range(len(data)):
                with self.assertRaises(ModelError):
                    read(data[:end])


if __name__ == "__main__":
    unittest.main()
