"""Models: files, problems with tensors, vocabularies and examples."""

import os
import re
import tempfile
import unittest

import numpy as np

import mtl_rank as mtl
from mtl_rank import Model, ModelError

CITIES = ["Amsterdam", "København", "東京", ""]


def make_model():
    model = Model(mtl.make_contract(
        architecture=mtl.mmoe(2, mtl.mlp([3], normalization=mtl.batch_norm(epsilon=1e-3), activation="prelu")),
        features=[mtl.sparse("city", mtl.vocabulary_lookup(offset=1), oov=0, missing="oov"),
                  mtl.sparse("device", mtl.vocabulary_lookup(), vocabulary_size=3, embedding_dim=2),
                  mtl.dense("age", transform=mtl.standardize(np.float64(38.6), np.float32(13))),
                  mtl.dense("size", columns=["width", "height"])],
        tasks=[mtl.binary("ctr"), mtl.binary("cvr")],
    ))
    model.set_vocabulary("city", CITIES)
    model.set_vocabulary("device", [7, -3, 2**40])
    random = np.random.default_rng(1)
    model.tensors["embedding.city.weight"] = random.random((5, 4))
    for name, shape in model.expected_tensors().items():
        if name not in model.tensors:
            model.tensors[name] = random.random(shape)
    return model


ROWS = [{"city": "東京", "device": 7, "age": 31, "width": 1, "height": 2.5},
        {"device": -3, "age": np.float32(0.5), "width": 1, "height": 2, "extra": None}]
SCORES = [[0.25, 0.5], [0.125, 1.0]]


def compact_model(precision):
    """The same in another precision."""
    model = make_model()
    model.contract["precision"] = precision
    for name in [n for n in model.tensors if n.startswith(("embedding.", "level.0.expert.")) and n.endswith(".weight")]:
        if name.endswith(".norm.weight"):
            continue
        numbers = np.asarray(model.tensors[name], "f4")
        if precision == "bf16" or name.startswith("embedding."):
            model.tensors[name] = mtl.to_bf16(numbers)
        else:
            model.tensors[name] = np.rint(numbers * 127).astype("i1")
            model.tensors[name + "_scale"] = np.full(len(numbers), 1 / 127, "f4")
    return model


class Precision(unittest.TestCase):
    def test_rounding(self):
        self.assertEqual(list(mtl.to_bf16([1, -2.5, 0, -0.0])), [0x3F80, 0xC020, 0, 0x8000])
        # in the middle between two, the even one; a little more goes up; 2^-133 is the least, subnormal
        self.assertEqual(list(mtl.to_bf16([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, 2**-133, 2**-135])), [0x3F80, 0x3F82, 0x3F81, 1, 0])
        self.assertEqual(list(mtl.from_bf16(np.array([0x3F81, 0x0001], "u2"))), [1 + 2**-7, 2**-133])
        with self.assertRaisesRegex(ModelError, "^a number exceeds the range of bf16$"):
            mtl.to_bf16([3.4e38])

    def test_round_trip(self):
        self.assertEqual(make_model().precision, "float32")
        for precision in ("bf16", "int8"):
            model = compact_model(precision)
            loaded = Model.from_bytes(model.to_bytes())
            self.assertEqual(loaded.precision, precision)
            self.assertEqual(loaded.to_bytes(), model.to_bytes())
            for name, tensor in loaded.tensors.items():
                np.testing.assert_array_equal(tensor, np.asarray(model.tensors[name], tensor.dtype))

    def test_problems(self):
        model = compact_model("int8")
        del model.tensors["level.0.expert.0.0.weight_scale"]
        model.tensors["level.0.expert.1.0.weight"] = np.zeros((3, 9), "f4")
        model.tensors["embedding.city.weight"] = np.zeros((5, 4), "f4")
        model.tensors["task.ctr.tower.logit.weight"] = np.zeros((1, 3), "u2")
        self.assertEqual(sorted(model.problems()), [
            'tensor "embedding.city.weight" is of type F32, expected BF16',
            'tensor "level.0.expert.0.0.weight_scale" of shape [3] is missing',
            'tensor "level.0.expert.1.0.weight" is of type F32, expected I8',
            'tensor "task.ctr.tower.logit.weight" is of type BF16, expected F32'])
        model = compact_model("bf16")
        model.tensors["level.0.expert.0.0.weight"][1, 2] = 0xFF80
        self.assertEqual(model.problems(), ['tensor "level.0.expert.0.0.weight" has -inf at [1, 2], expected a finite number'])
        with self.assertRaisesRegex(ModelError, '"precision" is .*int4'):
            Model(dict(model.contract, precision="int4"))


class Files(unittest.TestCase):
    def test_round_trip(self):
        model = make_model()
        model.attach_examples(ROWS, SCORES)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.safetensors")
            model.save(path)
            with open(path, "rb") as file:
                self.assertEqual(file.read(), model.to_bytes())
            loaded = Model.load(path)
        self.assertEqual(loaded.contract, model.contract)
        self.assertEqual(set(loaded.tensors), set(model.tensors))
        for name, tensor in loaded.tensors.items():
            given = np.asarray(model.tensors[name])
            np.testing.assert_array_equal(tensor, given.astype("f4") if given.dtype.kind == "f" else given)
        self.assertEqual(loaded.to_bytes(), model.to_bytes())
        self.assertEqual(loaded.outputs, ["ctr", "cvr"])
        self.assertEqual(repr(loaded), "<mtl_rank.Model mmoe, outputs ctr, cvr>")

    def test_numpy_numbers_in_the_contract(self):
        transform = Model.from_bytes(make_model().to_bytes()).contract["features"][2]["transform"]
        self.assertEqual(transform, {"type": "standardize", "mean": 38.6, "std": 13})

    def test_a_file_with_a_bad_contract_is_refused(self):
        model = make_model()
        model.contract["architecture"]["gate"] = {"logit_biass": True}
        with self.assertRaisesRegex(ModelError, '^unknown key "architecture.gate.logit_biass"'):
            model.to_bytes()


class Problems(unittest.TestCase):
    def assert_problems(self, change, *expected):
        model = make_model()
        self.assertEqual(model.problems(), [])
        change(model)
        self.assertEqual(model.problems(), list(expected))
        with self.assertRaisesRegex(ModelError, "^" + re.escape("\n".join(expected)) + "$"):
            model.to_bytes()

    def test_missing_left_over_misshapen(self):
        def change(model):
            tensors = model.tensors
            del tensors["level.0.expert.1.0.bias"]
            tensors["level.0.expert.0.0.weight"] = tensors["level.0.expert.0.0.weight"].T
            tensors["level.0.expert.2.0.bias"] = [1.0]
            tensors["task.ctr.tower.logit.bias"] = [1]

        self.assert_problems(
            change,
            'tensor "level.0.expert.0.0.weight" has shape [9, 3], expected [3, 9]',
            'tensor "level.0.expert.1.0.bias" of shape [3] is missing',
            'tensor "task.ctr.tower.logit.bias" is of type I64, expected F32',
            'tensor "level.0.expert.2.0.bias" is not used by the contract')

    def test_every_tensor_is_called_for(self):
        for name in make_model().tensors:
            model = make_model()
            del model.tensors[name]
            with self.subTest(name):
                self.assertTrue(model.problems()[0].startswith(f'tensor "{name}" of shape ')
                                or name == "vocabulary.device.ids", model.problems())

    def test_alpha_may_be_one_number(self):
        model = make_model()
        model.tensors["level.0.expert.0.0.activation.alpha"] = [0.5]
        self.assertEqual(model.problems(), [])
        model.tensors["level.0.expert.0.0.activation.alpha"] = [0.5, 1]
        self.assertEqual(model.problems(), ['tensor "level.0.expert.0.0.activation.alpha" has shape [2], expected [3] or [1]'])

    def test_not_finite(self):
        def change(model):
            model.tensors["embedding.city.weight"][2, 1] = np.inf

        self.assert_problems(change, 'tensor "embedding.city.weight" has inf at [2, 1], expected a finite number')

    def test_variance(self):
        def change(model):
            model.tensors["level.0.expert.0.0.norm.running_var"] = np.array([1, -0.5, 1])

        self.assert_problems(change, 'tensor "level.0.expert.0.0.norm.running_var" has -0.5, '
                                     "which is not positive with epsilon 0.001")

    def test_vocabulary_does_not_fit_its_table(self):
        self.assert_problems(lambda model: model.set_vocabulary("city", [*CITIES, "Roma"]),
                             'feature "city": offset 1 and a vocabulary of 5 exceed its table of 5 rows')

    def test_oov_row(self):
        def change(model):
            model.contract["features"][0]["oov"] = 5

        self.assert_problems(change, 'feature "city": "oov" is row 5 of a table of 5 rows')

    def test_hash_does_not_fit_its_table(self):
        def change(model):
            model.contract["features"][1]["lookup"] = mtl.hash_lookup(num_buckets=3, offset=1)
            del model.tensors["vocabulary.device.ids"]

        self.assert_problems(change, 'feature "device": offset 1 and a hash with num_buckets 3 exceed its table of 3 rows')


class Vocabularies(unittest.TestCase):
    def test_come_back(self):
        model = Model.from_bytes(make_model().to_bytes())
        self.assertEqual(model.vocabulary("city"), CITIES)
        self.assertEqual(model.vocabulary("device"), [7, -3, 2**40])

    def test_texts_are_stored_as_documented(self):
        model = make_model()
        self.assertEqual(model.tensors["vocabulary.city.bytes"].tobytes(), "AmsterdamKøbenhavn東京".encode())
        self.assertEqual(model.tensors["vocabulary.city.offsets"].tolist(), [0, 9, 19, 25, 25])

    def test_replacing_one_by_the_other_kind(self):
        model = make_model()
        model.set_vocabulary("city", [1, 2])
        self.assertEqual(model.problems(), [])
        self.assertEqual(model.vocabulary("city"), [1, 2])

    def test_refused(self):
        for entries, message in (([], "is empty"), (["a", "b", "a"], 'entry of vocabulary "city" "a" appears twice'),
                                 (["a", 1], "must be all strings or all integers"), ([True], "must be all strings or all integers"),
                                 ([1.5], "must be all strings or all integers")):
            with self.subTest(entries), self.assertRaisesRegex(ModelError, message):
                make_model().set_vocabulary("city", entries)

    def test_bad_tensors(self):
        for part, value, message in (
            ("offsets", [0, 9, 5, 25, 25], 'must start with 0, never fall, and end with 25, the length of "vocabulary.city.bytes"'),
            ("offsets", [0, 9, 19, 25, 24], "must start with 0, never fall, and end with 25"),
            ("offsets", [1, 9, 19, 25, 25], "must start with 0, never fall, and end with 25"),
            ("offsets", [0, 9, 20, 25, 25], 'vocabulary "city" has an entry that is not UTF-8: '),
            ("offsets", [0, 0, 0, 25, 25], 'entry of vocabulary "city" "" appears twice'),
        ):
            model = make_model()
            model.tensors[f"vocabulary.city.{part}"] = np.array(value)
            with self.subTest(value):
                self.assertEqual(len(model.problems()), 1)
                self.assertIn(message, model.problems()[0])

    def test_unknown(self):
        with self.assertRaisesRegex(ModelError, '^there is no vocabulary "town"$'):
            make_model().vocabulary("town")


class Examples(unittest.TestCase):
    def test_come_back(self):
        model = make_model()
        self.assertEqual(model.examples()[0], [])
        model.attach_examples(ROWS, SCORES, tolerance=1e-5)
        model = Model.from_bytes(model.to_bytes())
        rows, scores = model.examples()
        self.assertEqual(rows, [{**row, "age": float(row["age"])} for row in ROWS])
        np.testing.assert_array_equal(scores, np.array(SCORES, "f4"))
        self.assertEqual(model.contract["examples"], {"count": 2, "tolerance": 1e-5})

    def test_attaching_again_replaces(self):
        model = make_model()
        model.attach_examples(ROWS, SCORES)
        model.attach_examples(ROWS[:1], SCORES[:1])
        self.assertEqual(model.problems(), [])
        self.assertEqual(len(model.examples()[0]), 1)

    def test_refused(self):
        for rows, scores, message in (
            (ROWS, [0.1, 0.2], r"^scores have shape \[2\], expected \[2, 2\]: 2 rows and the outputs ctr, cvr$"),
            (ROWS[:1], SCORES, r"^scores have shape \[2, 2\], expected \[1, 2\]"),
            (ROWS, [[0.1, 0.2], [0.3, np.nan]], r'^tensor "examples.scores" has nan at \[1, 1\]'),
            ([ROWS[0], {"city": "Roma", "width": 1}], SCORES, "^example 1 lacks device, age, height$"),
            ([ROWS[0], [1]], SCORES, "^example 1 is not an object$"),
            ([], np.zeros((0, 2)), '^"examples.count" is 0, expected 1 to 100000$'),
        ):
            model = make_model()
            with self.subTest(message), self.assertRaisesRegex(ModelError, message):
                model.attach_examples(rows, scores)
            self.assertNotIn("examples", model.contract)
            self.assertEqual(model.problems(), [])

    def test_bad_tolerance(self):
        with self.assertRaisesRegex(ModelError, '^"examples.tolerance" is -1, expected 0 or more$'):
            make_model().attach_examples(ROWS, SCORES, tolerance=-1)

    def test_bad_tensors(self):
        for text, message in ((b"[{", 'tensor "examples.rows" is not JSON: '), (b"{}", 'tensor "examples.rows" is not a JSON array'),
                              (b"[{}]", 'tensor "examples.rows" holds 1 rows, "examples.count" is 2')):
            model = make_model()
            model.attach_examples(ROWS, SCORES)
            model.tensors["examples.rows"] = np.frombuffer(text, "u1")
            self.assertEqual(len(model.problems()), 1)
            self.assertIn(message, model.problems()[0])


class Readme(unittest.TestCase):
    def test_the_example_works(self):
        with open(os.path.join(os.path.dirname(__file__), "..", "README.md"), encoding="utf-8") as file:
            code = re.search(r"```python\n(.*?)```", file.read(), re.DOTALL).group(1)
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                printed = []
                exec(code, {"print": lambda *values: printed.append(values)})
                model = Model.load("feed.safetensors")
            finally:
                os.chdir(before)
        self.assertEqual(model.outputs, ["ctr", "cvr", "ctcvr"])
        self.assertIn(("level.0.expert.0.0.weight", (8, 5)), printed)


if __name__ == "__main__":
    unittest.main()
