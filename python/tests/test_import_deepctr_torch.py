"""Imports of DeepCTR-Torch, and what all imports refuse. The cases in test/import hold what the library saved."""

import os
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from import_case import CASES, ImportCase, load_case    # puts mtl_rank on the path

import mtl_rank as mtl
from mtl_rank.__main__ import main
from mtl_rank.checkpoints import Checkpoint


def case(name):
    """A checkpoint, its configuration and its examples."""
    return load_case(f"deepctr_torch_{name}")


class ImportTest(ImportCase):
    def test_tensors_are_untouched(self):
        checkpoint, config, examples = case("mmoe")
        model = mtl.import_model(checkpoint, config, examples)
        np.testing.assert_array_equal(model.tensors["level.0.expert.2.1.weight"], checkpoint.tensors["expert_dnn.2.linears.1.weight"])
        np.testing.assert_array_equal(model.tensors["level.0.expert.2.1.norm.running_var"],
                                      checkpoint.tensors["expert_dnn.2.bn.1.running_var"])

    def test_state_dict_in_memory(self):
        checkpoint, config, examples = case("ple")
        model = mtl.import_model({f"module.{name}": value for name, value in checkpoint.tensors.items()}, config, examples)
        self.assertEqual(model.to_bytes(), mtl.import_model(checkpoint, config, examples).to_bytes())

    def test_missing_tensors_are_all_listed(self):
        checkpoint, config, _ = case("mmoe")
        for name in ("gate_dnn_final_layer.1.weight", "expert_dnn.1.linears.0.bias"):
            del checkpoint.tensors[name]
        self.assert_refused(checkpoint, config,
                            'tensor "gate_dnn_final_layer.1.weight" is missing',
                            'tensor "expert_dnn.1.linears.0.bias" is missing')

    def test_missing_table(self):
        checkpoint, config, _ = case("mmoe")
        del checkpoint.tensors["embedding_dict.work.weight"]
        self.assert_refused(checkpoint, config, 'tensor "embedding_dict.work.weight" is missing: the embedding of feature "work"')

    def test_left_over_tensors(self):
        checkpoint, config, _ = case("esmm")
        config["features"] = [feature for feature in config["features"] if feature["name"] != "education"]
        self.assert_refused(checkpoint, config, 'tensor "embedding_dict.education.weight" of shape', "is not used")

    def test_feature_that_does_not_fit(self):
        checkpoint, config, _ = case("esmm")
        config["features"].append({"name": "extra", "kind": "dense"})
        self.assert_refused(checkpoint, config,
                            "the checkpoint does not fit the configuration",
                            'tensor "task.ctr.tower.0.weight" has shape [16, 18], '
                            "expected [16, 19]")

    def test_questions_are_all_listed(self):
        checkpoint, config, _ = case("mmoe")
        del config["activation"], config["tasks"]
        self.assert_refused(checkpoint, config,
                            '"tasks": the tasks in the library', '"activation": the activation of all hidden layers')

    def test_unknown_key(self):
        checkpoint, config, _ = case("mmoe")
        self.assert_refused(checkpoint, {**config, "activations": "relu"}, 'unknown key "activations"')

    def test_activation_that_cannot_be(self):
        checkpoint, config, _ = case("mmoe")
        self.assert_refused(checkpoint, {**config, "activation": "dice"}, '"activation" is "dice", this library has "relu"')

    def test_number_of_tasks(self):
        checkpoint, config, _ = case("mmoe")
        config["tasks"].append({"name": "third", "type": "binary"})
        self.assert_refused(checkpoint, config, '"tasks" has 3 tasks, the checkpoint has 2 towers')

    def test_type_of_a_task(self):
        checkpoint, config, _ = case("mmoe")
        config["tasks"][1]["type"] = "multiclass"
        self.assert_refused(checkpoint, config,
                            'task "never_married" has the type \'multiclass\', expected one of "binary", "regression"')

    def test_shared_experts_that_cannot_be(self):
        checkpoint, config, _ = case("ple")
        name = "specific_gate_dnn_final_layer.0.0.weight"
        checkpoint.tensors[name] = np.zeros((6, 5), "f4")
        self.assert_refused(checkpoint, config,
                            "PLE has 2 experts per task and gates over 6, so 4 shared ones are used, "
                            "of which the library makes only 2")

    def test_vocabulary_of_a_wide_table(self):
        checkpoint, config, _ = case("esmm")
        checkpoint.tensors["embedding_dict.country.weight"] = np.broadcast_to(np.float32(0), ((1 << 24) + 1, 4))
        self.assert_refused(checkpoint, config, 'feature "country" has 16777217 ids, but the library keeps ids in float32')

    def test_numbers_beyond_float32(self):
        checkpoint, config, _ = case("esmm")
        checkpoint.tensors["out.bias"] = np.array([1e300])
        self.assert_refused(checkpoint, config, 'tensor "task.ctr.tower.logit.bias" has numbers beyond the range of float32')

    def test_examples_of_other_outputs(self):
        checkpoint, config, examples = case("esmm")
        examples[3]["scores"] = {"ctr": 0.5, "cvr": 0.5}
        self.assert_refused(checkpoint, config,
                            'example 3 has scores for "ctr", "cvr", the model\'s outputs are "ctr", "ctcvr"', examples=examples)


class FamilyTest(unittest.TestCase):
    def test_unknown_family(self):
        checkpoint = Checkpoint({"conv1.weight": np.ones((2, 2), "f4")}, "resnet.pth")
        with self.assertRaisesRegex(mtl.ModelError, "resnet.pth: from none of the known libraries .* its tensors begin with conv1.weight"):
            mtl.import_model(checkpoint, {})

    def test_wrong_family(self):
        checkpoint = Checkpoint({"conv1.weight": np.ones((2, 2), "f4")}, "resnet.pth")
        with self.assertRaisesRegex(mtl.ModelError, "resnet.pth: not a model of DeepCTR-Torch 0.2.9"):
            mtl.import_model(checkpoint, {}, library="deepctr_torch")

    def test_unknown_library(self):
        with self.assertRaisesRegex(mtl.ModelError, '"keras" is no known library, expected one of .*"deepctr_torch"'):
            mtl.import_model(Checkpoint({"a": np.ones(1)}, "a"), {}, library="keras")

    def test_gates_in_a_plain_list(self):
        """MMOE of busesese/MultiTaskModel: what its state dict holds."""
        tensors = {"user_id.weight": (11, 4), "experts": (8, 6, 3), "experts_bias": (6, 3)}
        for task in (1, 2):
            tensors.update({f"task_{task}_dnn.ctr_hidden_0.weight": (5, 6), f"task_{task}_dnn.ctr_hidden_0.bias": (5,),
                            f"task_{task}_dnn.task_last_layer.weight": (1, 5), f"task_{task}_dnn.task_last_layer.bias": (1,)})
        checkpoint = Checkpoint({name: np.ones(shape, "f4") for name, shape in tensors.items()}, "mmoe.pth")
        with self.assertRaisesRegex(mtl.ModelError, "MMOE of MultiTaskModel keeps its gates in a plain list, so they are not in its "
                                                    "state dict: gates.0, gates.1, gates_bias.0, gates_bias.1 are missing"):
            mtl.import_model(checkpoint, {})


class CommandTest(unittest.TestCase):
    def run_command(self, *arguments):
        with mock.patch("sys.stdout") as out, mock.patch("sys.stderr") as err:
            status = main(list(arguments))
        text = lambda stream: "".join(call.args[0] for call in stream.write.call_args_list)
        return status, text(out), text(err)

    def setUp(self):
        self.folder = os.path.join(CASES, "deepctr_torch_ple")
        self.checkpoint = os.path.join(self.folder, "checkpoint.pth")
        self.config = os.path.join(self.folder, "config.json")
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.out = os.path.join(work.name, "model.safetensors")

    def test_export_says_what_it_left_out(self):
        status, out, _ = self.run_command("export", self.checkpoint, "--config", self.config, "--examples",
                                          os.path.join(self.folder, "examples.jsonl"), "--out", self.out)
        self.assertEqual(status, 0)
        self.assertIn("ple from DeepCTR-Torch 0.2.9, outputs income, never_married", out)
        self.assertIn("4 tensors left out, a shared expert that the library makes and does not use: shared_experts.0.0.1.", out)
        self.assertIn("3 tensors left out, the shared gate of the last level, which nothing reads: shared_gate_dnn.1.", out)
        self.assertEqual(len(mtl.Model.load(self.out).examples()[0]), 12)

    def test_export_wants_examples(self):
        status, _, err = self.run_command("export", self.checkpoint, "--config", self.config, "--out", self.out)
        self.assertEqual(status, 1)
        self.assertIn("or say --without-examples", err)
        self.assertFalse(os.path.exists(self.out))
        status, out, _ = self.run_command("export", self.checkpoint, "--config", self.config, "--without-examples", "--out", self.out)
        self.assertEqual(status, 0)
        self.assertIn("no examples: nothing proves that the scores are the library's", out)

    def test_inspect_asks(self):
        status, out, _ = self.run_command("inspect", self.checkpoint)
        self.assertEqual(status, 0)
        self.assertIn("specific_experts.0.0.0.linears.0.weight  float32  [8, 18]", out)
        self.assertIn('"activation": the activation of all hidden layers (dnn_activation)', out)

    def test_absent_file(self):
        status, _, err = self.run_command("inspect", "absent.pth")
        self.assertEqual((status, err), (1, "error: absent.pth: No such file or directory\n"))


class ExamplesTest(unittest.TestCase):
    def setUp(self):
        work = tempfile.TemporaryDirectory()
        self.addCleanup(work.cleanup)
        self.path = os.path.join(work.name, "rows.jsonl")

    def test_round_trip(self):
        mtl.write_examples(self.path, [{"city": "Łódź", "age": np.float32(31)}, {"city": None, "age": 4}],
                           {"ctr": np.array([[0.25], [0.5]])})
        self.assertEqual(mtl.read_examples(self.path), [
            {"features": {"city": "Łódź", "age": 31.0}, "scores": {"ctr": 0.25}},
            {"features": {"city": None, "age": 4}, "scores": {"ctr": 0.5}},
        ])

    def test_errors_name_the_line(self):
        for text, problem in (('{"features": {}, "scores": {}}\n{"features"', "line 2: not JSON"),
                              ('{"features": {}}', 'line 1: expected an object with "features" and "scores"'),
                              ("\n", "has no examples")):
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(text)
            with self.assertRaisesRegex(mtl.ModelError, problem):
                mtl.read_examples(self.path)

    def test_as_many_scores_as_rows(self):
        with self.assertRaisesRegex(mtl.ModelError, '2 rows, but 3 scores of output "ctr"'):
            mtl.write_examples(self.path, [{}, {}], {"ctr": [1, 2, 3]})


if __name__ == "__main__":
    unittest.main()
