"""Imports of Multitask-Recommendation-Library."""

import unittest

import numpy as np

from import_case import ImportCase, load_case, mtl
from mtl_rank.checkpoints import Checkpoint

NAMES = ("singletask", "sharedbottom", "omoe", "mmoe", "ple", "aitm")


def case(name):
    return load_case(f"mtrec_{name}", "pt")


class MtrecTest(ImportCase):
    def test_tensors_are_untouched(self):
        checkpoint, config, examples = case("ple")
        model = mtl.import_model(checkpoint, config, examples)
        for target, source in (("embedding.fields.weight", "embedding.embedding.weight"),
                               ("dense.numbers.weight", "numerical_layer.weight"),
                               ("level.2.task.income.expert.1.0.norm.running_mean", "task_experts.2.0.1.mlp.1.running_mean"),
                               ("level.1.shared.gate.logit.bias", "share_gates.1.0.bias")):
            np.testing.assert_array_equal(model.tensors[target], checkpoint.tensors[source])

    def test_places_in_the_table(self):
        checkpoint, config, _ = case("mmoe")
        sizes = [feature["vocabulary_size"] for feature in config["features"][1:]]
        model = mtl.import_model(checkpoint, config)
        _, country, education, work = model.contract["features"]
        self.assertEqual(country["lookup"], {"type": "vocabulary", "vocabulary": "country", "offset": 1})
        self.assertEqual(education["lookup"], {"type": "index", "offset": sizes[0]})
        self.assertEqual(work["lookup"], {"type": "vocabulary", "vocabulary": "work", "offset": sizes[0] + sizes[1] + 1})
        self.assertEqual((country["oov"], work["oov"]), (0, sizes[0] + sizes[1]))
        self.assertEqual(model.contract["input"], ["country", "education", "work", "numbers"])

    def test_hashed_field_keeps_to_its_rows(self):
        checkpoint, config, _ = case("mmoe")
        config["features"][2]["lookup"] = {"type": "hash"}
        education = mtl.import_model(checkpoint, config).contract["features"][2]
        self.assertEqual(education["lookup"]["num_buckets"], config["features"][2]["vocabulary_size"])

    def test_layers_of_single_tasks_read_their_own_slices(self):
        checkpoint, config, _ = case("singletask")
        model = mtl.import_model(checkpoint, config)
        weight = model.tensors["task.never_married.tower.0.weight"].reshape(8, 4, 2, 4)
        np.testing.assert_array_equal(weight[:, :, 0], 0)
        np.testing.assert_array_equal(weight[:, :, 1].reshape(8, 16), checkpoint.tensors["bottom.1.mlp.0.weight"])
        np.testing.assert_array_equal(model.tensors["embedding.fields.weight"][:, 4:],
                                      checkpoint.tensors["embedding.1.embedding.weight"])

    def test_every_tensor_is_needed(self):
        for name in NAMES:
            with self.subTest(name):
                checkpoint, config, _ = case(name)
                self.assert_all_needed(checkpoint, config)

    def test_left_over_tensors(self):
        checkpoint, config, _ = case("sharedbottom")
        checkpoint.tensors["cross.weight"] = np.ones((2, 2), "f4")
        self.assert_refused(checkpoint, config, 'tensor "cross.weight" of shape [2, 2] is not used')

    def test_questions(self):
        checkpoint, config, _ = case("mmoe")
        del config["features"]
        self.assert_refused(checkpoint, config, "each with its number in field_dims as \"vocabulary_size\"")

    def test_sizes_of_fields_are_asked_for(self):
        checkpoint, config, _ = case("mmoe")
        del config["features"][2]["vocabulary_size"]
        self.assert_refused(checkpoint, config, 'feature "education" has no "vocabulary_size", its number in field_dims')

    def test_sizes_of_fields_make_the_table(self):
        checkpoint, config, _ = case("mmoe")
        config["features"][2]["vocabulary_size"] += 1
        self.assert_refused(checkpoint, config,
                            '"vocabulary_size" of all sparse features together is 77, but the embedding table of the checkpoint '
                            "has 76 rows")

    def test_unknown_row_of_a_field(self):
        checkpoint, config, _ = case("mmoe")
        config["features"][1]["oov"] = 1000
        self.assert_refused(checkpoint, config, '"features.country.oov" is 1000, expected 0 to')

    def test_one_dense_feature(self):
        checkpoint, config, _ = case("mmoe")
        config["features"].append({"name": "year", "kind": "dense"})
        self.assert_refused(checkpoint, config,
                            '"features" has 2 dense features, this library has one, of all numeric columns: give it "columns"')

    def test_number_of_columns(self):
        checkpoint, config, _ = case("mmoe")
        config["features"][0].update(columns=["age"], transform={"type": "log1p"})
        self.assert_refused(checkpoint, config, 'tensor "dense.numbers.weight" has shape [4, 3], expected [4, 1]')

    def test_what_the_checkpoint_decides(self):
        checkpoint, config, _ = case("mmoe")
        for i, key in ((0, "embedding_bias"), (1, "embedding")):
            changed = {**config, "features": [dict(feature) for feature in config["features"]]}
            changed["features"][i][key] = "x"
            self.assert_refused(checkpoint, changed, f'has "{key}", which follows from the checkpoint')

    def test_sequences(self):
        checkpoint, config, _ = case("mmoe")
        config["features"][1]["kind"] = "sequence"
        self.assert_refused(checkpoint, config,
                            'feature "country" has the kind \'sequence\', this library has "sparse" (categorical columns), '
                            '"dense" (numeric columns)')

    def test_model_without_numeric_columns(self):
        checkpoint, config, _ = case("mmoe")
        checkpoint.tensors["numerical_layer.weight"] = np.ones((4, 0), "f4")
        self.assert_refused(checkpoint, config, "a model without the layer of the numeric columns cannot be imported")

    def test_tables_of_single_tasks_are_alike(self):
        checkpoint, config, _ = case("singletask")
        checkpoint.tensors["embedding.1.embedding.weight"] = np.ones((76, 5), "f4")
        self.assert_refused(checkpoint, config, "the embedding table has an unexpected shape")

    def test_feature_of_single_tasks_that_does_not_fit(self):
        checkpoint, config, _ = case("singletask")
        features = config["features"]
        features[2]["vocabulary_size"] += features.pop()["vocabulary_size"]
        self.assert_refused(checkpoint, config,
                            "the first layer of task 0 reads 16 numbers, but 3 fields have 12: is a feature missing?")

    def test_regression(self):
        checkpoint, config, _ = case("mmoe")
        config["tasks"][0]["type"] = "regression"
        self.assert_refused(checkpoint, config, 'task "income" has the type \'regression\', expected one of "binary"')

    def test_number_of_tasks(self):
        checkpoint, config, _ = case("aitm")
        config["tasks"].pop()
        self.assert_refused(checkpoint, config, '"tasks" has 2 tasks, the checkpoint has 3 towers')

    def test_gates_are_missing(self):
        checkpoint, config, _ = case("mmoe")
        for name in [name for name in checkpoint.tensors if name.startswith("gate.")]:
            del checkpoint.tensors[name]
        self.assert_refused(checkpoint, config, 'tensor "gate.0.0.weight" is missing: the gate',
                            'tensor "gate.1.0.bias" is missing')

    def test_metaheac(self):
        names = ("model.embedding.embedding.weight", "model.task_embedding.weight", "model.critic_gate.0.weight")
        checkpoint = Checkpoint({name: np.ones((2, 2), "f4") for name in names}, "metaheac.pt")
        self.assert_refused(checkpoint, {},
                            "metaheac.pt: MetaHeac of Multitask-Recommendation-Library mixes the scores of critics")

    def test_wrong_family(self):
        checkpoint, config, _ = load_case("torch_rechub_mmoe")
        self.assert_refused(checkpoint, config,
                            "not a model of Multitask-Recommendation-Library; it looks like one of torch-rechub 0.8.0",
                            library="mtrec")

    def test_all_are_recognised(self):
        for name in NAMES:
            self.assertEqual(mtl.importers.recognise(case(name)[0]).name, "mtrec")


if __name__ == "__main__":
    unittest.main()
