"""Keras's HDF5 files: what is read, and what is refused of files that are damaged or lead elsewhere."""

import os
import subprocess
import sys
import tempfile
import unittest
import zipfile
from unittest import mock

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

from mtl_rank.checkpoints import CheckpointError, keras_file, keras_hdf5, read_checkpoint

KERNEL = np.arange(6, dtype="f4").reshape(2, 3)


def write_names(group, attribute, names):
    group.attrs[attribute] = [name.encode() for name in names]


class KerasFileTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.path = os.path.join(folder.name, "model.h5")

    def write(self, change=None, root="", **keys):
        """A file with the layer "dense" and its kernel; change(group) makes of it what a test needs."""
        with h5py.File(self.path, "w", **keys) as file:
            group = file.create_group(root) if root else file
            write_names(group, "layer_names", ["dense"])
            dense = group.create_group("dense")
            write_names(dense, "weight_names", ["dense/kernel:0"])
            dense["dense/kernel:0"] = KERNEL
            if change is not None:
                change(group)

    def assert_refused(self, text):
        with self.assertRaises(CheckpointError) as caught:
            read_checkpoint(self.path)
        self.assertIn(text, str(caught.exception))
        self.assertIn(self.path, str(caught.exception))

    # ------------------------------------------------------------ what is read

    def test_weights(self):
        self.write()
        checkpoint = read_checkpoint(self.path)
        self.assertEqual(list(checkpoint), ["dense/dense/kernel:0"])
        np.testing.assert_array_equal(checkpoint.tensors["dense/dense/kernel:0"], KERNEL)
        self.assertEqual(checkpoint.attributes, {"layers": ["dense"]})

    def test_whole_model(self):
        def change(group):
            group.parent.attrs["model_config"] = b'{"class_name": "Functional"}' + b" " * 100_000
        self.write(change, root="model_weights")
        self.assertEqual(read_checkpoint(self.path).attributes["model_config"].strip(), '{"class_name": "Functional"}')

    def test_order_is_the_lists(self):
        """HDF5 itself lists dense_10 before dense_9."""
        def change(group):
            names = [f"dense_{i}" for i in range(8, 12)]
            write_names(group, "layer_names", names)
            for name in names:
                write_names(group.create_group(name), "weight_names", [f"{name}/kernel:0"])
                group[name][f"{name}/kernel:0"] = KERNEL
        self.write(change)
        checkpoint, expected = read_checkpoint(self.path), ["dense_8", "dense_9", "dense_10", "dense_11"]
        self.assertEqual(checkpoint.attributes["layers"], expected)
        self.assertEqual([name.split("/")[0] for name in checkpoint], expected)

    def test_lists_in_pieces(self):
        """What exceeds a header's 64 KB."""
        names = [f"layer_{i:0990}" for i in range(100)]

        def change(group):
            del group.attrs["layer_names"]
            for i, piece in enumerate(np.array_split(names, 2)):
                write_names(group, f"layer_names{i}", piece)
            for name in names:
                group.create_group(name).attrs["weight_names"] = []
        self.write(change)
        self.assertEqual(read_checkpoint(self.path).attributes["layers"], names)

    def test_scalar_and_other_types(self):
        def change(group):
            group["dense"]["count:0"] = np.int64(3)
            group["dense"]["wide:0"] = np.array([0.1, 0.2])
            group["dense"]["big:0"] = np.array([1, 2], ">f4")
            write_names(group["dense"], "weight_names", ["count:0", "wide:0", "big:0"])
        self.write(change)
        tensors = read_checkpoint(self.path).tensors
        self.assertEqual(tensors["dense/count:0"], 3)
        np.testing.assert_array_equal(tensors["dense/wide:0"], [0.1, 0.2])
        np.testing.assert_array_equal(tensors["dense/big:0"], [1, 2])

    # ------------------------------------------------------------ other files

    def test_new_layout(self):
        with h5py.File(self.path, "w") as file:
            file["_layer_checkpoint_dependencies/dense/vars/0"] = KERNEL
        self.assert_refused("this is the layout of Keras's .weights.h5 files, which does not keep the names of layers; save with "
                            'model.save("model.h5")')

    def test_archive(self):
        with zipfile.ZipFile(self.path, "w") as archive:
            archive.writestr("model.weights.h5", b"")
        self.assert_refused("it is a .keras archive")

    def test_not_from_keras(self):
        with h5py.File(self.path, "w") as file:
            file["kernel"] = KERNEL
        self.assert_refused("the HDF5 file is not from Keras")

    # ------------------------------------------------------------ out of the file

    def other_file(self):
        path = os.path.join(self.folder, "other.h5")
        with h5py.File(path, "w") as file:
            file["kernel"] = KERNEL
            write_names(file.create_group("dense"), "weight_names", [])
        return path

    def replace_kernel(self, make):
        def change(group):
            del group["dense/dense/kernel:0"]
            make(group["dense/dense"])
        self.write(change)

    def test_external_link(self):
        path = self.other_file()
        self.replace_kernel(lambda group: group.__setitem__("kernel:0", h5py.ExternalLink(path, "/kernel")))
        self.assert_refused('"dense/kernel:0" in "/dense" is a link to something else')

    def test_external_link_to_a_layer(self):
        path = self.other_file()

        def change(group):
            del group["dense"]
            group["dense"] = h5py.ExternalLink(path, "/dense")
        self.write(change)
        self.assert_refused('"dense" in "/" is a link to something else')

    def test_soft_link_in_a_circle(self):
        self.replace_kernel(lambda group: group.__setitem__("kernel:0", h5py.SoftLink("/dense/dense/kernel:0")))
        self.assert_refused('"dense/kernel:0" in "/dense" is a link to something else')

    def test_soft_link(self):
        def make(group):
            group["other"] = KERNEL
            group["kernel:0"] = h5py.SoftLink("/dense/dense/other")
        self.replace_kernel(make)
        self.assert_refused("is a link to something else")

    def test_external_storage(self):
        path = self.other_file()
        self.replace_kernel(lambda group: group.create_dataset("kernel:0", (2, 3), "f4", external=[(path, 0, 24)]))
        self.assert_refused('weight "dense/dense/kernel:0" is compressed, in chunks, or in another file')

    def test_virtual_dataset(self):
        layout = h5py.VirtualLayout((2, 3), "f4")
        layout[:] = h5py.VirtualSource(self.other_file(), "kernel", (2, 3))
        self.replace_kernel(lambda group: group.create_virtual_dataset("kernel:0", layout))
        self.assert_refused('weight "dense/dense/kernel:0" is compressed, in chunks, or in another file')

    def test_paths_that_go_up(self):
        for path in ("../dense/kernel:0", "/dense/dense/kernel:0", "./dense/kernel:0", ""):
            self.write(lambda group: write_names(group["dense"], "weight_names", [path]))
            self.assert_refused(f'"{path}" is listed in "/dense", but not there')

    # ------------------------------------------------------------ more than the file holds

    def test_compressed(self):
        self.replace_kernel(lambda group: group.create_dataset("kernel:0", (1 << 20,), "f4", compression="gzip", fillvalue=1))
        self.assert_refused("is compressed")

    def test_never_written(self):
        self.replace_kernel(lambda group: group.create_dataset("kernel:0", (1 << 40, 1 << 20), "f4"))
        self.assert_refused(f"takes {1 << 62} bytes, more than are left in the file")
        self.replace_kernel(lambda group: group.create_dataset("kernel:0", (2, 3), "f4"))
        self.assert_refused("of shape [2, 3] has 0 bytes, expected 24")

    def test_one_array_many_times(self):
        def change(group):
            kernel = group["dense"].create_dataset("kernel", data=np.zeros(20_000, "f4"))
            names = [f"kernel{i}" for i in range(10)]
            for name in names:
                group["dense"][name] = kernel       # a hard link
            write_names(group["dense"], "weight_names", names)
        self.write(change)
        self.assert_refused("more than are left in the file")

    def test_a_group_in_itself(self):
        def change(group):
            group["dense/dense/dense"] = group["dense/dense"]
            write_names(group["dense"], "weight_names", ["dense/" * 1000 + "dense"])
        self.write(change)
        self.assert_refused("is a Group, expected a Dataset")

    def test_too_many_names(self):
        def change(group):
            del group.attrs["layer_names"]
            group.attrs["layer_names"] = np.array([b"x"] * (keras_hdf5.MAX_NAMES + 1), "S1")
        self.write(change, libver="latest")
        self.assert_refused('attribute "layer_names" has 100001 entries')

    # ------------------------------------------------------------ nonsense

    def test_lists(self):
        for names, text in (
            (["dense", "dense"], 'attribute "layer_names" of "/" has "dense" twice'),
            (["dense", "other"], '"other" is listed in "/", but not there'),
        ):
            self.write(lambda group: write_names(group, "layer_names", names))
            self.assert_refused(text)
        self.write(lambda group: group.attrs.__setitem__("layer_names", [1, 2]))
        self.assert_refused('attribute "layer_names" is not a text')
        self.write(lambda group: group["dense"].attrs.__delitem__("weight_names"))
        self.assert_refused('"/dense" has no attribute "weight_names"')

    def test_types(self):
        for value in (np.array([b"text"]), np.array([True]), np.zeros(2, "c8"), np.zeros(2, [("a", "f4")])):
            self.replace_kernel(lambda group: group.__setitem__("kernel:0", value))
            self.assert_refused('weight "dense/dense/kernel:0" has the type')

    def test_not_finite(self):
        self.replace_kernel(lambda group: group.__setitem__("kernel:0", np.array([np.nan], "f4")))
        self.assert_refused("has an infinite number or NaN")

    def test_names_that_are_no_text(self):
        self.write(lambda group: group.attrs.__setitem__("layer_names", np.array([b"\xff"], "S1")))
        self.assert_refused("a damaged HDF5 file")

    def test_cut_short(self):
        self.write()
        with open(self.path, "r+b") as file:
            file.truncate(1000)
        self.assert_refused("a damaged HDF5 file")

    # ------------------------------------------------------------ the process that reads

    def with_process(self, **result):
        return mock.patch.object(keras_file.subprocess, "run", return_value=mock.Mock(
            **{"returncode": 0, "stdout": b"", "stderr": b"", **result}))

    def test_crash(self):
        self.write()
        with self.with_process(returncode=-11):
            self.assert_refused("a damaged HDF5 file: the process that reads it was ended by signal 11")
        with self.with_process(returncode=1, stderr=b"Traceback\nMemoryError\n"):
            self.assert_refused("a damaged HDF5 file: the process that reads it failed: MemoryError")

    def test_endless(self):
        self.write()
        with mock.patch.object(keras_file.subprocess, "run", side_effect=subprocess.TimeoutExpired("", 600)):
            self.assert_refused("takes more than 600 seconds")

    def test_nonsense_from_the_process(self):
        self.write()
        for line in (b'{"layers": ["a"], "tensors": [["a", "<f4", [3]]]}\n1234',
                     b'{"layers": ["a"], "tensors": [["a", "|O", [1]]]}\n12345678',
                     b'{"tensors": []}\n', b'{"layers": [], "tensors": []}\n1', b'{"layers": 3, "tensors": [[1]]}\n'):
            with self.with_process(stdout=line):
                self.assert_refused("a damaged HDF5 file")


if __name__ == "__main__":
    unittest.main()
