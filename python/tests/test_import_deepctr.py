"""Imports of DeepCTR. The cases in test/import hold what its code made on a stand-in for TensorFlow."""

import copy
import functools
import json
import os
import re
import sys
import unittest

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

import mtl_rank as mtl
from mtl_rank.checkpoints import Checkpoint, read_checkpoint
from mtl_rank.importers import recognise

CASES = os.path.join(HERE, "..", "..", "test", "import", "cases")


@functools.lru_cache(maxsize=None)
def stored(name):
    folder = os.path.join(CASES, f"deepctr_{name}")
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    return read_checkpoint(os.path.join(folder, "checkpoint.h5")), config


def case(name):
    """A checkpoint and its configuration, to be changed."""
    checkpoint, config = stored(name)
    return Checkpoint(checkpoint.tensors, checkpoint.source, copy.deepcopy(checkpoint.attributes)), copy.deepcopy(config)


def renamed(checkpoint, pattern, replacement):
    """With other names of layers and weights."""
    rename = lambda name: re.sub(pattern, replacement, name)
    return Checkpoint({rename(name): array for name, array in checkpoint.tensors.items()}, checkpoint.source,
                      {**checkpoint.attributes, "layers": [rename(name) for name in checkpoint.attributes["layers"]]})


def feature(config, name):
    return next(feature for feature in config["features"] if feature["name"] == name)


def saved_config(checkpoint, change):
    """Changes the saved model's layers, by their names."""
    model = json.loads(checkpoint.attributes["model_config"])
    change({layer["name"]: layer for layer in model["config"]["layers"]}, model["config"])
    checkpoint.attributes["model_config"] = json.dumps(model)


class DeepctrTest(unittest.TestCase):
    def assert_refused(self, *texts, checkpoint, config, **arguments):
        with self.assertRaises(mtl.ModelError) as caught:
            mtl.import_model(checkpoint, config, **arguments)
        for text in texts:
            self.assertIn(text, str(caught.exception))


class NamesTest(DeepctrTest):
    def test_recognised(self):
        self.assertEqual(recognise(case("ple")[0]).name, "deepctr")

    def test_numbers_of_another_process(self):
        """Counters of layers stand elsewhere; the order is the same."""
        checkpoint, config = case("esmm")
        expected = mtl.import_model(checkpoint, config).to_bytes()
        other = renamed(checkpoint, r"\b(dense|dnn)_(9|10)\b", lambda m: f"{m[1]}_{int(m[2]) + 90}")
        self.assertIn("dense_100/dense_100/kernel:0", other)
        self.assertEqual(mtl.import_model(other, config).to_bytes(), expected)

    def test_numbers_of_batch_norms_in_another_process(self):
        checkpoint, config = case("shared_bottom_deep")
        expected = mtl.import_model(checkpoint, config).to_bytes()
        other = renamed(checkpoint, r"batch_normalization_(\d+)", lambda m: f"batch_normalization_{int(m[1]) + 95}")
        self.assertEqual(mtl.import_model(other, config).to_bytes(), expected)

    def test_scopes(self):
        """TensorFlow may number scopes, and Keras 3 has no :0."""
        checkpoint, config = case("mmoe_hash")
        expected = mtl.import_model(checkpoint, config).to_bytes()
        tensors = {re.sub(r"^(expert_\d)/expert_\d/(.*):0$", r"\1/\1_7/\2", name): array
                   for name, array in checkpoint.tensors.items()}
        self.assertIn("expert_1/expert_1_7/kernel0", tensors)
        self.assertEqual(mtl.import_model(Checkpoint(tensors, "", checkpoint.attributes), config).to_bytes(), expected)

    def test_numbers_and_order_that_disagree(self):
        checkpoint, config = case("esmm")
        layers = checkpoint.attributes["layers"]
        i, j = layers.index("dense_9"), layers.index("dense_10")
        layers[i], layers[j] = layers[j], layers[i]
        self.assert_refused("the layers dense_10, dense_9 are not in the order of their numbers",
                            checkpoint=checkpoint, config=config)

    def test_other_layers_named_alike(self):
        checkpoint, config = case("esmm")
        checkpoint.attributes["layers"].append("dense_11")
        checkpoint.tensors["dense_11/dense_11/kernel:0"] = np.ones((3, 1), "f4")
        self.assert_refused("expected 2 layers called dense, dense_1 or the like, the logits of the towers; found 3: "
                            "dense_9, dense_10, dense_11", checkpoint=checkpoint, config=config)

    def test_two_weights_of_one_name(self):
        checkpoint, config = case("esmm")
        checkpoint.tensors["dnn_9/dnn_9_1/kernel0:0"] = checkpoint.tensors["dnn_9/dnn_9/kernel0:0"]
        self.assert_refused('layer "dnn_9" has two weights called "kernel0"', checkpoint=checkpoint, config=config)

    def test_tensors_are_untouched(self):
        checkpoint, config = case("shared_bottom_deep")
        model = mtl.import_model(checkpoint, config)
        np.testing.assert_array_equal(model.tensors["task.income.tower.10.weight"],
                                      checkpoint.tensors["tower_income/tower_income/kernel10:0"].T)


class LeftOverTest(DeepctrTest):
    def test_missing_weights_are_all_listed(self):
        checkpoint, config = case("mmoe_hash")
        del checkpoint.tensors["expert_1/expert_1/bias0:0"], checkpoint.tensors["sparse_emb_state/sparse_emb_state/embeddings:0"]
        self.assert_refused('tensor "expert_1/0/bias" is missing: layer "expert_1"',
                            'tensor "sparse_emb_state/embeddings" is missing: the embedding of feature "state"',
                            checkpoint=checkpoint, config=config)

    def test_missing_bias_of_a_task(self):
        checkpoint, config = case("mmoe_hash")
        del checkpoint.tensors["income/income/global_bias:0"]
        self.assert_refused('"tasks" are "income", "never_married", the outputs of the model are "never_married"',
                            checkpoint=checkpoint, config=config)

    def test_missing_layer(self):
        checkpoint, config = case("ple_three_levels")
        checkpoint.attributes["layers"].remove("level_1_gate_shared")
        self.assert_refused('tensor "level_1_gate_shared" is missing: a layer of the model', checkpoint=checkpoint, config=config)

    def test_missing_batch_norm(self):
        checkpoint, config = case("shared_bottom_deep")
        tensors = {name: array for name, array in checkpoint.tensors.items()
                   if not re.match("tower_income/.*/batch_normalization", name)}
        self.assert_refused('tensor "tower_income/1/norm/moving_mean" is missing', config=config,
                            checkpoint=Checkpoint(tensors, "", checkpoint.attributes))

    def test_one_batch_norm_too_few(self):
        checkpoint, config = case("shared_bottom_deep")
        first = next(name for name in checkpoint if "tower_income" in name and "gamma" in name).rpartition("/")[0]
        tensors = {name: array for name, array in checkpoint.tensors.items() if not name.startswith(first + "/")}
        self.assert_refused('layer "tower_income" has 11 layers, but 10 with norm', config=config,
                            checkpoint=Checkpoint(tensors, "", checkpoint.attributes))

    def test_too_many_layers(self):
        checkpoint, config = case("esmm")
        checkpoint.tensors["dnn_9/dnn_9/kernel64:0"] = np.ones((1, 1), "f4")
        self.assert_refused('layer "dnn_9" has 65 layers, the limit is 64', checkpoint=checkpoint, config=config)

    def test_too_many_experts(self):
        checkpoint, config = case("ple_three_levels")
        checkpoint.attributes["layers"] += [f"level_0_task_income_expert_specific_{i}" for i in range(1, 1025)]
        self.assert_refused('the model has 1025 layers called "level_0_task_income_expert_specific_...", the limit is 1024',
                            checkpoint=checkpoint, config=config)

    def test_left_over_weight(self):
        checkpoint, config = case("mmoe_hash")
        checkpoint.tensors["expert_0/expert_0/other:0"] = np.ones(3, "f4")
        self.assert_refused('tensor "expert_0/other" of shape [3] is not used', checkpoint=checkpoint, config=config)

    def test_left_over_layer(self):
        checkpoint, config = case("mmoe_hash")
        checkpoint.attributes["layers"].append("extra")
        self.assert_refused('the model has the layers "extra", which are no features of the configuration', checkpoint=checkpoint,
                            config=config)

    def test_feature_that_is_not_said(self):
        checkpoint, config = case("shared_bottom")
        config["features"].remove(feature(config, "education"))
        self.assert_refused('the model has the layers "education", which are no features', checkpoint=checkpoint, config=config)

    def test_feature_that_is_not_there(self):
        checkpoint, config = case("shared_bottom")
        config["features"].append({"name": "extra", "kind": "dense"})
        self.assert_refused('the model has no input "extra"; its layers begin with', checkpoint=checkpoint, config=config)


class ConfigurationTest(DeepctrTest):
    def test_tasks(self):
        checkpoint, config = case("shared_bottom")
        config["tasks"].reverse()
        self.assert_refused('"tasks" are "never_married", "income", the outputs of the model are "income", "never_married"',
                            checkpoint=checkpoint, config=config)

    def test_tasks_of_esmm(self):
        checkpoint, config = case("esmm")
        config["tasks"][1]["name"] = "cvr"
        self.assert_refused('"tasks" are "ctr", "cvr", the outputs of the model are "ctr", "(a product)"', checkpoint=checkpoint,
                            config=config)
        config["tasks"][1].update(name="ctcvr", type="regression")
        self.assert_refused('task "ctcvr" has the type \'regression\', expected one of "binary"',
                            checkpoint=checkpoint, config=config)

    def test_activation(self):
        checkpoint, config = case("mmoe_hash")
        self.assert_refused('"activation" is "elu", this library has "relu"',
                            checkpoint=checkpoint, config={**config, "activation": "elu"})
        self.assert_refused('tensor "expert_0/0/alpha" of shape [6] is not used', checkpoint=checkpoint,
                            config={**config, "activation": "relu"})
        del config["activation"]
        self.assert_refused('the configuration lacks what a file of weights cannot tell: "activation"',
                            checkpoint=checkpoint, config=config)

    def test_transform_fn_that_is_not_said(self):
        checkpoint, config = case("shared_bottom")
        del feature(config, "age")["transform_fn"]
        self.assert_refused("the model has 1 layers of the kind lambda, the configuration makes 0; "
                            'say "transform_fn": true, and the "transform"', checkpoint=checkpoint, config=config)

    def test_transform_fn_without_transform(self):
        checkpoint, config = case("shared_bottom")
        del feature(config, "age")["transform"]
        self.assert_refused('feature "age" has a transform_fn, which is code; say what it computes as "transform"',
                            checkpoint=checkpoint, config=config)

    def test_hash_that_is_not_said(self):
        checkpoint, config = case("mmoe_hash")
        del feature(config, "code")["use_hash"]
        self.assert_refused("the model has 4 layers of the kind hash, the configuration makes 3",
                            checkpoint=checkpoint, config=config)

    def test_hash(self):
        checkpoint, config = case("mmoe_hash")
        feature(config, "ages")["lookup"] = {"type": "hash"}
        self.assert_refused("feature \"ages\" has the lookup {'type': 'hash'}, "
                            "DeepCTR's hash is {'type': 'hash', 'mask_zero': True}",
                            checkpoint=checkpoint, config=config)
        feature(config, "ages").update(lookup=None, dtype="float32")
        self.assert_refused('feature "ages" hashes the text of a float32', checkpoint=checkpoint, config=config)
        feature(config, "ages")["dtype"] = "int8"
        self.assert_refused('feature "ages" has "dtype" \'int8\', expected one of "int32"', checkpoint=checkpoint, config=config)
        feature(config, "ages").update(dtype="int32", use_hash="yes")
        self.assert_refused('feature "ages" has "use_hash" \'yes\', expected true or false', checkpoint=checkpoint, config=config)

    def test_lookup_by_hash_without_use_hash(self):
        checkpoint, config = case("shared_bottom")
        feature(config, "education")["lookup"] = {"type": "hash"}
        self.assert_refused('feature "education" has a lookup by hash, but not "use_hash"', checkpoint=checkpoint, config=config)

    def test_weights_that_are_not_said(self):
        checkpoint, config = case("ple_three_levels")
        del feature(config, "paid")["weights"]
        self.assert_refused("the model has 4 layers of the kind weighted_sequence_layer, the configuration makes 3",
                            checkpoint=checkpoint, config=config)

    def test_length_that_is_not_said(self):
        checkpoint, config = case("ple_three_levels")
        del feature(config, "jobs_before")["length_name"]
        self.assert_refused('the model has the layers "jobs_before_length"', checkpoint=checkpoint, config=config)

    def test_vocabulary(self):
        checkpoint, config = case("ple_three_levels")
        feature(config, "schools")["oov"] = 0
        self.assert_refused('feature "schools" has "oov" 0, for DeepCTR\'s vocabulary_path it is \'skip\'', checkpoint=checkpoint,
                            config=config)
        del feature(config, "schools")["oov"], feature(config, "schools")["lookup"]["offset"]
        self.assert_refused('feature "schools": the key of value 0 in its vocabulary file is masked',
                            checkpoint=checkpoint, config=config)

    def test_values_of_other_types(self):
        for name, key, value, text in (
            ("country", "group_name", ["place"], 'feature "country" has "group_name" [\'place\'], expected a string'),
            ("country", "kind", {}, 'feature "country" has the kind {}, this library has "sparse"'),
            ("country", "dtype", {}, 'feature "country" has "dtype" {}, expected one of "int32"'),
            ("country", "embedding", 3, "tensor \"sparse_emb_3/embeddings\" is missing"),
        ):
            checkpoint, config = case("shared_bottom")
            feature(config, name)[key] = value
            self.assert_refused(text, checkpoint=checkpoint, config=config)
        for value, text in ((3, 'must be a list, found a number'), ("abc", 'must be a list, found a string'),
                            ([{}], 'must be all strings or all integers'), ([], "is empty")):
            checkpoint, config = case("ple")
            config["vocabularies"]["education"] = value
            self.assert_refused(f'vocabulary "education" {text}', checkpoint=checkpoint, config=config)

    def test_combiner(self):
        checkpoint, config = case("shared_bottom")
        feature(config, "work")["combiner"] = "concat"
        self.assert_refused('feature "work" has the combiner \'concat\', DeepCTR has "mean", "sum", "max"', checkpoint=checkpoint,
                            config=config)

    def test_float_ids(self):
        """Keras rounds ids of a float32 input, so those above 2^24 are the library's own."""
        checkpoint, config = case("shared_bottom")
        feature(config, "education")["dtype"] = "float32"
        model = mtl.import_model(checkpoint, config)
        self.assertEqual(feature(model.contract, "education")["lookup"], {"type": "index", "precision": "float32"})
        feature(config, "education")["lookup"] = {"type": "vocabulary"}
        table = np.broadcast_to(np.float32(0), ((1 << 24) + 1, 3))
        checkpoint.tensors["sparse_emb_education/sparse_emb_education/embeddings:0"] = table
        self.assert_refused('feature "education" has 16777217 ids of dtype float32', checkpoint=checkpoint, config=config)

    def test_not_deepctr(self):
        checkpoint, config = case("shared_bottom")
        self.assert_refused("not a model of DeepCTR 0.9.4", config=config, library="deepctr",
                            checkpoint=Checkpoint({"dense/kernel:0": np.ones((2, 2), "f4")}, "file", {"layers": ["dense"]}))


class SavedModelTest(DeepctrTest):
    def test_says_what_the_configuration_need_not(self):
        checkpoint, config = case("mmoe")
        self.assertEqual(sorted(feature(config, "family")), ["kind", "name"])
        model = mtl.import_model(checkpoint, config)
        self.assertEqual(model.contract["input"], ["country", "family", "education", "work", "age", "jobs"])
        self.assertEqual(feature(model.contract, "family"), {
            "name": "family", "kind": "sequence", "embedding": "country", "combiner": "mean", "max_length": 3,
            "lookup": {"type": "index"}, "padding": 0, "epsilon": 1e-8})

    def test_files_of_keras_3(self):
        """Keras 3 itself saved these, with the weights of the other cases."""
        for name in ("shared_bottom", "esmm"):
            checkpoint, config = case(f"keras3_{name}")
            model, expected = mtl.import_model(checkpoint, config), mtl.import_model(*case(name))
            self.assertEqual(model.contract["input"], expected.contract["input"])
            self.assertEqual(list(model.tensors), list(expected.tensors))
            for tensor, array in expected.tensors.items():
                np.testing.assert_array_equal(model.tensors[tensor], array)

    def test_order_of_the_file_does_not_matter(self):
        checkpoint, config = case("mmoe")
        expected = mtl.import_model(checkpoint, config).to_bytes()
        checkpoint.attributes["layers"].reverse()
        self.assertEqual(mtl.import_model(checkpoint, config).to_bytes(), expected)

    def test_contradictions(self):
        for name, key, value, text in (
            ("family", "combiner", "sum", 'feature "family" has "combiner" \'sum\', in the saved model it is \'mean\''),
            ("family", "max_length", 5, 'feature "family" has "max_length" 5, in the saved model it is 3'),
            ("country", "embedding", "other", 'has "embedding" \'other\', in the saved model it is \'country\''),
            ("education", "use_hash", True, 'has "use_hash" True, in the saved model it is False'),
            ("jobs", "width", 3, 'has "width" 3, in the saved model it is 2'),
            ("age", "transform_fn", False, 'has "transform_fn" False, in the saved model it is True'),
            ("jobs", "kind", "sparse", 'has "kind" \'sparse\', in the saved model it is \'dense\''),
        ):
            checkpoint, config = case("mmoe")
            feature(config, name)[key] = value
            self.assert_refused(text, checkpoint=checkpoint, config=config)

    def test_features(self):
        checkpoint, config = case("mmoe")
        config["features"].pop()
        self.assert_refused('"features" are "age", "work", "country", "jobs", "education", '
                            'the saved model\'s are "country", "family"',
                            checkpoint=checkpoint, config=config)

    def test_type_of_a_task(self):
        checkpoint, config = case("mmoe")
        config["tasks"][1]["type"] = "regression"
        self.assert_refused('task "never_married" has the type "regression", in the saved model it is \'binary\'',
                            checkpoint=checkpoint, config=config)

    def test_activation(self):
        checkpoint, config = case("mmoe")
        self.assert_refused('the DNNs of the saved model have the activation "prelu", "activation" is \'relu\'',
                            checkpoint=checkpoint,
                            config={**config, "activation": "relu"})
        saved_config(checkpoint, lambda layers, _: layers["expert_0"]["config"].update(output_activation="sigmoid"))
        self.assert_refused('the DNNs of the saved model have the activation "prelu", "sigmoid"',
                            checkpoint=checkpoint, config=config)

    def test_vocabulary(self):
        checkpoint, config = case("ple")
        del feature(config, "school")["lookup"]
        self.assert_refused('feature "school" has a vocabulary_path: give its keys in "vocabularies"',
                            checkpoint=checkpoint, config=config)
        checkpoint, config = case("ple")
        feature(config, "state")["lookup"] = {"type": "vocabulary", "vocabulary": "education"}
        self.assert_refused('feature "state" has a lookup by vocabulary, but no vocabulary_path',
                            checkpoint=checkpoint, config=config)

    def test_hash_that_is_not_deepctrs(self):
        checkpoint, config = case("ple")
        saved_config(checkpoint, lambda layers, _: [layer["config"].update(num_buckets=5) for layer in layers.values()
                                                    if layer["class_name"] == "Hash"])
        self.assert_refused("is hashed to 5 rows with mask_zero", checkpoint=checkpoint, config=config)

    def test_tower_of_another_layer(self):
        checkpoint, config = case("mmoe")
        saved_config(checkpoint, lambda layers, _: layers["income"].update(inbound_nodes=[[["tower_income", 0, 0, {}]]]))
        self.assert_refused('layer "income" does not read one Dense', checkpoint=checkpoint, config=config)

    def test_output_that_is_no_prediction(self):
        checkpoint, config = case("mmoe")
        saved_config(checkpoint, lambda layers, model: model["output_layers"].pop())
        self.assert_refused('the outputs of the saved model are "income", but its PredictionLayers',
                            checkpoint=checkpoint, config=config)

    def test_layers_of_a_feature(self):
        checkpoint, config = case("mmoe")
        saved_config(checkpoint, lambda layers, _: layers["sparse_emb_education"].update(class_name="Conv1D"))
        self.assert_refused('layer "sparse_emb_education" of class Conv1D is not one that DeepCTR makes of a feature',
                            checkpoint=checkpoint, config=config)

    def test_layers_in_a_circle(self):
        """Concat layers that read each other, over and over."""
        checkpoint, config = case("mmoe")
        concat = next(name for name in checkpoint.attributes["layers"] if name.startswith("concat"))
        saved_config(checkpoint, lambda layers, _: layers[concat].update(inbound_nodes=[[[concat, 0, 0, {}]] * 3]))
        self.assert_refused("the saved model's features are not put together as DeepCTR does it",
                            checkpoint=checkpoint, config=config)

    def test_configuration_of_another_keras(self):
        checkpoint, config = case("mmoe")
        layer = '{"config": {"layers": [{"name": "a", "config": {}, "inbound_nodes": %s}]}}'
        for text, problem in (
            ("{", "the model's configuration is not JSON"),
            ("[" * 100_000, "the model's configuration is not JSON"),
            ("[]", "no list of layers"),
            ('{"config": {"layers": [3]}}', "a layer without a name or a configuration"),
            ('{"config": {"layers": [{"name": "a", "config": {}}]}}', '"inbound_nodes" of layer "a" is not a list'),
            (layer % '[{"args": []}]', "a call without inputs"),
            (layer % '[{"args": [{"config": 0}]}]', "is no tensor"),
            (layer % '[3]', "is not a list of layers"),
            (layer % '[[["a", "b", 0]]]', "is no output of a layer"),
            ('{"config": {"layers": [], "output_layers": 3}}', "is not a list of layers"),
        ):
            checkpoint.attributes["model_config"] = text
            self.assert_refused(problem, checkpoint=checkpoint, config=config)


if __name__ == "__main__":
    unittest.main()
