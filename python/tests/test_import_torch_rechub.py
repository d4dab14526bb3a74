"""Imports of torch-rechub."""

import unittest

import numpy as np

from import_case import ImportCase, load_case, mtl


def case(name):
    return load_case(f"torch_rechub_{name}")


class TorchRechubTest(ImportCase):
    def test_tensors_are_untouched(self):
        checkpoint, config, examples = case("mmoe")
        model = mtl.import_model(checkpoint, config, examples)
        for target, source in (("level.0.expert.2.1.weight", "experts.2.mlp.4.weight"),
                               ("level.0.expert.2.1.norm.running_var", "experts.2.mlp.5.running_var"),
                               ("level.0.expert.2.1.activation.alpha", "experts.2.mlp.6.alpha"),
                               ("level.0.task.income.gate.logit.norm.weight", "gates.0.mlp.1.weight"),
                               ("task.never_married.tower.logit.bias", "towers.1.mlp.4.bias")):
            np.testing.assert_array_equal(model.tensors[target], checkpoint.tensors[source])

    def test_every_tensor_is_needed(self):
        for name in ("shared_bottom", "esmm", "mmoe", "aitm", "ple"):
            with self.subTest(name):
                checkpoint, config, _ = case(name)
                self.assert_all_needed(checkpoint, config)

    def test_whole_expert_is_missing(self):
        checkpoint, config, _ = case("mmoe")
        for name in [name for name in checkpoint.tensors if name.startswith("experts.2.")]:
            del checkpoint.tensors[name]
        self.assert_refused(checkpoint, config, 'tensor "experts.2.mlp.0.weight" is missing: expert 2')

    def test_specific_experts_that_cannot_be_shared_out(self):
        checkpoint, config, _ = case("ple")
        for name in [name for name in checkpoint.tensors if name.startswith("cgc_layers.0.experts_specific.3.")]:
            del checkpoint.tensors[name]
        self.assert_refused(checkpoint, config, "level 0 of PLE has 3 specific experts for 2 tasks")

    def test_left_over_tensors(self):
        checkpoint, config, _ = case("shared_bottom")
        config["tower_activation"] = "relu"
        checkpoint.tensors["cross.weight"] = np.ones(3, "f4")
        config["features"] = [feature for feature in config["features"] if feature["name"] != "work"]
        self.assert_refused(checkpoint, config, 'tensor "embedding.embed_dict.work.weight" of shape [46, 4] is not used',
                            'tensor "towers.0.mlp.2.weight" of shape [1] is not used',
                            'tensor "cross.weight" of shape [3] is not used')

    def test_activation_without_its_tensors(self):
        checkpoint, config, _ = case("shared_bottom")
        config["activation"] = "dice"
        self.assert_refused(checkpoint, config, 'tensor "bottom_mlp.mlp.2.alpha" is missing: the bottom',
                            'tensor "bottom_mlp.mlp.6.alpha" is missing')

    def test_activation_that_cannot_be_said(self):
        checkpoint, config, _ = case("shared_bottom")
        self.assert_refused(checkpoint, {**config, "activation": "softmax"},
                            '"activation" is "softmax", known of this library are relu, sigmoid, prelu, dice, leakyrelu')
        self.assert_refused(checkpoint, {**config, "tower_activation": ["relu", "ELU"]}, '"tower_activation" is "elu"')

    def test_number_of_tower_activations(self):
        checkpoint, config, _ = case("shared_bottom")
        self.assert_refused(checkpoint, {**config, "tower_activation": ["relu"] * 3},
                            '"tower_activation" has 3 names, the checkpoint has 2 towers')

    def test_questions(self):
        checkpoint, config, _ = case("shared_bottom")
        del config["activation"]
        self.assert_refused(checkpoint, config, '"activation": the activation of all hidden layers, by the library\'s name of it')

    def test_concatenated_sequence(self):
        checkpoint, config, _ = case("mmoe")
        config["features"][5]["combiner"] = "concat"
        self.assert_refused(checkpoint, config,
                            'feature "work" has the combiner "concat", with which the library makes no multi-task model')

    def test_combiner(self):
        checkpoint, config, _ = case("mmoe")
        config["features"][5]["combiner"] = "max"
        self.assert_refused(checkpoint, config, 'feature "work" has the combiner \'max\', this library has "mean", "sum"')

    def test_embeddings_of_different_sizes(self):
        checkpoint, config, _ = case("mmoe")
        checkpoint.tensors["embedding.embed_dict.work.weight"] = np.ones((46, 5), "f4")
        self.assert_refused(checkpoint, config, "embeddings of different sizes, where this library has one size for all",
                            '"embedding.embed_dict.work.weight" has 5')

    def test_esmm_has_no_dense_features(self):
        checkpoint, config, _ = case("esmm")
        config["features"].append({"name": "age", "kind": "dense"})
        self.assert_refused(checkpoint, config, 'feature "age" is dense, ESMM of this library has no dense features')

    def test_esmm_has_three_outputs(self):
        checkpoint, config, _ = case("esmm")
        del config["tasks"][0]
        self.assert_refused(checkpoint, config,
                            '"tasks" has 2 tasks, the checkpoint has 3 outputs, in this order: "cvr", "ctr" and "ctcvr"')

    def test_types_of_tasks(self):
        for name, expected in (("aitm", 'expected one of "binary"'), ("mmoe", 'expected one of "binary", "regression"')):
            checkpoint, config, _ = case(name)
            config["tasks"][1]["type"] = "multiclass"
            self.assert_refused(checkpoint, config, "has the type 'multiclass', " + expected)

    def test_number_of_tasks(self):
        checkpoint, config, _ = case("ple")
        config["tasks"].append({"name": "third", "type": "binary"})
        self.assert_refused(checkpoint, config, '"tasks" has 3 tasks, the checkpoint has 2 towers')

    def test_feature_that_does_not_fit(self):
        checkpoint, config, _ = case("mmoe")
        del config["features"][3]["columns"]
        self.assert_refused(checkpoint, config, 'tensor "level.0.expert.0.0.weight" has shape [16, 20], expected [16, 18]')

    def test_numbers_that_no_model_has(self):
        checkpoint, config, _ = case("mmoe")
        checkpoint.tensors["experts.999999.mlp.0.weight"] = np.ones((1, 1), "f4")
        self.assert_refused(checkpoint, config,
                            '"experts." and the gate "gates.0.mlp.0" have 1000000 experts, expected 1 to 1024')
        checkpoint, config, _ = case("ple")
        checkpoint.tensors["cgc_layers.999999.x"] = np.ones((1, 1), "f4")
        self.assert_refused(checkpoint, config, '"cgc_layers." has 1000000 levels, expected 1 to 64')

    def test_as_many_names_as_there_may_be(self):
        """Each expert asks for its layers: if all names were looked at for each, this would take minutes."""
        checkpoint, config, _ = case("ple")
        first = "cgc_layers.0.experts_specific.0."
        for name in checkpoint.under(first):
            for level in range(15):
                for expert in range(824):
                    checkpoint.tensors[f"cgc_layers.{level}.experts_specific.{expert}.{name[len(first):]}"] = checkpoint.tensors[name]
        self.assertGreater(len(checkpoint), 98_000)
        self.assert_refused(checkpoint, config, 'tensor "cgc_layers.1.gate_shared.mlp.0.weight" is missing')

    def test_wrong_family(self):
        checkpoint, config, _ = load_case("deepctr_torch_mmoe")
        self.assert_refused(checkpoint, config, "not a model of torch-rechub 0.8.0; it looks like one of DeepCTR-Torch 0.2.9",
                            library="torch_rechub")
        checkpoint, config, _ = case("mmoe")
        self.assert_refused(checkpoint, config, "not a model of DeepCTR-Torch 0.2.9; it looks like one of torch-rechub 0.8.0",
                            library="deepctr_torch")

    def test_all_are_recognised(self):
        for name in ("shared_bottom", "esmm", "mmoe", "ple", "aitm"):
            self.assertEqual(mtl.importers.recognise(case(name)[0]).name, "torch_rechub")

    def test_weights_of_losses_are_left_out(self):
        checkpoint, config, examples = case("shared_bottom")
        self.assertIn("loss weight.1", checkpoint)
        self.assertIn("loss weight.1", mtl.importers.import_checkpoint(checkpoint, config).ignored)


if __name__ == "__main__":
    unittest.main()
