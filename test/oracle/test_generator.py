#!/usr/bin/python3
"""The generator and the comparison: what they promise, without a server."""

import copy
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

import model_file
from check import Comparison, copy_field, rank_bounds, read_lines
from coverage import SWITCHES, Coverage
from oracle import Model

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = 78     # three of each variant


def generate(directory, hash_seed="0", models=MODELS):
    command = [sys.executable, os.path.join(HERE, "generate.py"), "--models", str(models), "--rows", "12", "--seed", "5",
               "--out", directory]
    return subprocess.run(command, env=dict(os.environ, PYTHONHASHSEED=hash_seed), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def row_of_array(contract, array):
    """An array back into a row, place by place."""
    row, at = {}, 0

    def take(n):
        nonlocal at
        at += n
        return array[at - n:at]

    for f in contract["features"]:
        if f["kind"] == "sequence":
            row[f["name"]] = take(f["max_length"])
            if f.get("weights"):
                row[f["weights"]["column"]] = take(f["max_length"])
        elif f["kind"] == "sparse":
            row[f["name"]] = take(1)[0]
        else:
            numbers = take(f.get("width") or 1)
            if f.get("columns"):
                row.update(zip(f["columns"], numbers))
            else:
                row[f["name"]] = numbers if len(numbers) > 1 else numbers[0]
    if at != len(array):
        raise AssertionError("the array has %d places, the features take %d" % (len(array), at))
    return row


class GeneratorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        generate(cls.directory)
        cls.models = read_lines(os.path.join(cls.directory, "models.jsonl"))
        cls.rows = read_lines(os.path.join(cls.directory, "rows.jsonl"))

    def read(self, number):
        return model_file.read(os.path.join(self.directory, self.models[number]["file"]))

    def test_same_files_for_any_hash_seed(self):
        with tempfile.TemporaryDirectory() as other:
            generate(other, hash_seed="4711")
            self.assertEqual(sorted(os.listdir(other)), sorted(os.listdir(self.directory)))
            for name in os.listdir(other):
                with open(os.path.join(other, name), "rb") as a, open(os.path.join(self.directory, name), "rb") as b:
                    self.assertEqual(a.read(), b.read(), name)

    def test_missing_coverage_fails(self):
        with tempfile.TemporaryDirectory() as other:
            done = generate(other, models=3)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"not covered by these 3 models", done.stderr)
        self.assertIn(b"architecture: ple", done.stderr)

    def test_coverage_notes_only_what_it_knows(self):
        names = {"%s: %s" % (switch, value) for switch, values in SWITCHES.items() for value in values}
        self.assertEqual(len(Coverage().missing()), len(names))
        self.assertGreater(len(names), 200)

    def test_scores_are_those_of_the_file(self):
        self.assertEqual(len(self.rows), 12 * MODELS)
        models = [Model(*self.read(m["number"])) for m in self.models]
        for r in self.rows:
            m = models[r["model"]]
            self.assertEqual(m.outputs, self.models[r["model"]]["outputs"])
            self.assertEqual(list(m.scores(r["features"])), r["scores"])

    def test_arrays_mean_the_same_row(self):
        arrays = [r for r in self.rows if "array" in r]
        self.assertGreater(len(arrays), 50)
        for r in arrays:
            contract, tensors = self.read(r["model"])
            row = row_of_array(contract, [float(v) for v in r["array"]])
            self.assertEqual(list(Model(contract, tensors).scores(row)), r["scores"], "model %(model)d, row %(row)d" % r)

    def test_examples_are_in_the_file(self):
        entry = next(m for m in self.models if m["examples"])
        contract, tensors = self.read(entry["number"])
        scores = [r["scores"] for r in self.rows if r["model"] == entry["number"]][:contract["examples"]["count"]]
        np.testing.assert_array_equal(tensors["examples.scores"], np.array(scores, "f4"))


class NumpyOnlyTest(unittest.TestCase):
    """The file that is written with numpy alone, after the documentation."""

    def write(self, path):
        subprocess.run([sys.executable, os.path.join(HERE, "..", "numpy_only", "write_model.py"), path], check=True)
        with open(path, "rb") as f:
            return f.read()

    def test_examples_are_what_the_oracle_says(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "a.safetensors")
            self.assertEqual(self.write(path), self.write(os.path.join(directory, "b.safetensors")))
            contract, tensors = model_file.read(path)
        model = Model(contract, tensors)
        rows = json.loads(tensors["examples.rows"].tobytes())
        self.assertEqual(len(rows), contract["examples"]["count"])
        scores = np.array([model.scores(row) for row in rows])
        np.testing.assert_allclose(tensors["examples.scores"], scores, rtol=0, atol=1e-7)
        self.assertEqual(set(tensors) - model.used, {"examples.rows", "examples.scores"})


class ComparisonTest(unittest.TestCase):
    MODELS = [{"number": 0, "file": "m", "variant": "cgc", "architecture": "cgc", "outputs": ["p", "r"],
               "kinds": ["probability", "regression"], "rank": {"form": "sum", "weights": {"p": 1, "r": 2}}, "examples": False}]
    ROWS = [{"model": 0, "row": 0, "features": {}, "array": [], "scores": [0.5, 3.0], "rank": 6.5}]
    RESULTS = [{"kind": "jsonb", "model": 0, "row": 0, "place": None, "scores": ["0.5", "3"]},
               {"kind": "array", "model": 0, "row": 0, "place": None, "scores": ["0.5", "3"]},
               {"kind": "output", "model": 0, "row": 0, "place": 0, "scores": ["0.5"]},
               {"kind": "output", "model": 0, "row": 0, "place": 1, "scores": ["3"]},
               {"kind": "rank", "model": 0, "row": 0, "place": None, "scores": ["6.5"]}]

    def failures(self, change=lambda results: None, server=()):
        results = copy.deepcopy(self.RESULTS)
        change(results)
        comparison = Comparison(self.MODELS, self.ROWS)
        comparison.compare(results, list(server))
        return comparison.failures

    def set(self, index, place, text):
        def change(results):
            results[index]["scores"][place] = text
        return change

    def test_equal(self):
        self.assertEqual(self.failures(), [])

    def test_bounds(self):
        def both(index, text):
            def change(results):
                for i in (0, 1):
                    results[i]["scores"][index] = text
                results[2 + index]["scores"][0] = text
            return change
        self.assertEqual(self.failures(both(0, "0.5000019")), [])
        self.assertEqual(len(self.failures(both(0, "0.5000021"))), 1)
        self.assertEqual(self.failures(both(1, "3.0000058")), [])
        self.assertEqual(len(self.failures(both(1, "3.0000062"))), 1)
        self.assertEqual(len(self.failures(both(1, "NaN"))), 1)
        self.assertEqual(len(self.failures(both(1, None))), 3)

    def test_bits(self):
        self.assertIn("array: model 0 (m, cgc), row 0: p is 0.50000006, from jsonb all at once it is 0.5",
                      self.failures(self.set(1, 0, "0.50000006")))
        self.assertEqual(len(self.failures(self.set(2, 0, "0.50000006"))), 1)
        self.assertEqual(len(self.failures(self.set(3, 0, "3.0000002"))), 1)

    def test_rank(self):
        self.assertEqual(self.failures(self.set(4, 0, "6.500001")), [])
        self.assertEqual(len(self.failures(self.set(4, 0, "6.5001"))), 1)

    def test_lost_results(self):
        for index in range(len(self.RESULTS)):
            self.assertEqual(len(self.failures(lambda results: results.pop(index))), 1)

    def test_what_the_server_says(self):
        failure = {"kind": "array", "model": 0, "row": 0, "failure": "boom"}
        self.assertEqual(self.failures(lambda results: results.pop(1), [failure]), ["array: model 0 (m, cgc), row 0: the server says: boom"])
        refused = {"kind": "model", "model": 0, "row": None, "failure": "no"}
        self.assertEqual(self.failures(lambda results: results.clear(), [refused]), ["model: model 0 (m, cgc): the server says: no"])

    def test_rank_bounds(self):
        low, high = rank_bounds({"form": "product", "weights": {"a": 2, "b": -1}}, ["a", "b"], ["probability"] * 2, [0.5, 0.25])
        self.assertTrue(1 - 4e-5 < low < 1 < high < 1 + 4e-5)

    def test_copy_field(self):
        self.assertEqual(copy_field("a\\b\tc\nd"), "a\\\\b\\tc\\nd")
        self.assertEqual(copy_field(None), "\\N")


if __name__ == "__main__":
    unittest.main()
