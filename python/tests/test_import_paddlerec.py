"""The importer of PaddleRec: what it takes, and what it says about what it does not take."""

import unittest

import numpy as np

from import_case import LibraryCase
from mtl_rank import ModelError


def saved(model):
    return LibraryCase(f"paddlerec_{model}", "pdparams")


class PaddleRec(unittest.TestCase):
    def test_architectures(self):
        for name, kind, outputs in (
            ("share_bottom", "shared_bottom", ["income", "never_married"]), ("mmoe", "mmoe", ["income", "never_married"]),
            ("ple", "ple", ["income", "never_married"]), ("esmm", "single_task", ["ctr", "cvr", "ctcvr"]),
            ("escm2", "mmoe", ["ctr", "cvr", "ctcvr"]), ("escm2_dr", "mmoe", ["ctr", "cvr", "ctcvr", "imp"]),
            ("aitm", "aitm", ["click", "conversion"]),
        ):
            imported = saved(name).imported()
            self.assertEqual(imported.library.name, "paddlerec")
            self.assertEqual(imported.model.contract["architecture"]["type"], kind)
            self.assertEqual(imported.model.outputs, outputs)

    def test_weights_are_transposed(self):
        case = saved("mmoe")
        np.testing.assert_array_equal(case.model().tensors["level.0.expert.1.0.weight"], case.tensors["expert_1.weight"].T)

    def test_misplaced_experts_of_ple(self):
        case = saved("ple")
        imported = case.imported()
        for target, source in (("task.income.expert.2", "exp_0_2"), ("task.never_married.expert.0", "exp_0_2"),
                               ("task.never_married.expert.1", "exp_1_0"), ("task.never_married.expert.2", "exp_1_1")):
            np.testing.assert_array_equal(imported.model.tensors[f"level.1.{target}.0.bias"],
                                          case.tensors[f"lev_1.lev_1_{source}.bias"])
        self.assertIn("lev_1.lev_1_exp_1_2.weight", imported.ignored)

    def test_ple_that_cannot_run(self):
        case = saved("ple_one_expert")
        # Three tasks of one expert each and a shared one: position 2 * 3 is beyond the four of the list.
        for name in [name for name in case.tensors if "_1" in name]:
            case.tensors[name.replace("tower_1", "tower_2").replace("out_1", "out_2").replace("_1", "_2")] = case.tensors[name]
        with case.refused(self, "ple reads expert 6 of a list of 4, so the library itself fails"):
            case.config["tasks"].append({"name": "third", "type": "binary"})

    def test_ple_without_shared_experts(self):
        case = saved("ple")
        with case.refused(self, "ple has 5 experts per task and 0 shared ones"):
            case.tensors = {name: value for name, value in case.tensors.items() if "exp_shared" not in name}

    def test_missing(self):
        case = saved("mmoe")
        with case.refused(self, 'tensor "gate_1.bias" is missing: the gate "level.0.task.never_married.gate"'):
            del case.tensors["gate_1.bias"]
        case = saved("mmoe")
        with case.refused(self, 'tensor "expert_0.weight" is missing: expert 0'):
            case.tensors["expert_0.moment"] = case.tensors.pop("expert_0.weight")
        case = saved("aitm")
        with case.refused(self, 'tensor "attention_layer.k_layer.weight" is missing: the attention'):
            del case.tensors["attention_layer.k_layer.weight"]

    def test_every_tensor_is_needed(self):
        """Each is missed by its name when it is taken away alone, but for those by which a model is known."""
        known_by = {"embedding.weight", "bottom.weight"}
        for name in ("share_bottom", "mmoe", "ple", "ple_one_expert", "esmm", "escm2", "escm2_dr", "aitm"):
            case = saved(name)
            for tensor in [tensor for tensor in case.imported().used if tensor not in known_by]:
                value = case.tensors.pop(tensor)
                with self.assertRaises(ModelError) as caught:
                    case.imported("paddlerec")
                last_table = tensor == "embedding_dict.2.weight"
                expected = "has 2 tables (embedding_dict)" if last_table else f'tensor "{tensor}" is missing'
                self.assertIn(expected, str(caught.exception))
                case.tensors[tensor] = value

    def test_numbers_that_no_model_has(self):
        for name, tensor, problem in (
            ("mmoe", "expert_999999.weight", '"expert_" and the gate "gate_0" have 1000000 experts, expected 1 to 1024'),
            ("ple", "lev_999999.x", '"lev_" has 1000000 levels, expected 1 to 64'),
            ("ple", "lev_0.lev_0_exp_shared_999999.weight", "have 1000003 experts, expected 1 to 1024"),
            ("esmm", "linear_999999.weight", '"linear_" has 1000000 layers, the limit is 64'),
            ("mmoe", "tower_out_999999.weight", '"tasks" has 2 tasks, the checkpoint has 1000000 towers'),
        ):
            case = saved(name)
            with case.refused(self, problem):
                case.tensors[tensor] = np.zeros((1, 1), "f4")

    def test_left_over(self):
        case = saved("aitm")
        with case.refused(self, 'tensor "attention_layer.q_layer.bias" of shape [32] is not used'):
            case.tensors["attention_layer.q_layer.bias"] = np.zeros(32, "f4")

    def test_second_names_must_be_the_same_tensor(self):
        case = saved("share_bottom")
        with case.refused(self, 'tensor "_param_bottom.bias" of shape [8] is not used'):
            case.tensors["_param_bottom.bias"] = case.tensors["_param_bottom.bias"] + 1

    def test_numbers_of_tasks(self):
        case = saved("mmoe")
        with case.refused(self, '"tasks" has 1 tasks, the checkpoint has 2 towers (tower_out)'):
            case.config["tasks"].pop()
        case = saved("esmm")
        with case.refused(self, '"tasks" has 2 tasks, expected 3: the outputs, such as "ctr", "cvr" and "ctcvr"'):
            case.config["tasks"].pop()
        case = saved("escm2")
        with case.refused(self, '"tasks" has 4 tasks, expected 3'):
            case.config["tasks"].append({"name": "imp", "type": "binary"})

    def test_regression(self):
        case = saved("mmoe")
        with case.refused(self, 'task "income" has the type \'regression\', expected one of "binary"'):
            case.config["tasks"][0]["type"] = "regression"

    def test_the_imputed_loss_can_be_left_out(self):
        case = saved("escm2_dr")
        case.config["tasks"].pop()
        imported = case.imported()
        self.assertEqual(imported.model.outputs, ["ctr", "cvr", "ctcvr"])
        self.assertEqual(imported.ignored["gate_2.weight"], "of the imputed loss, which only the training reads")

    def test_features(self):
        case = saved("mmoe")
        with case.refused(self, 'feature "education" is one-hot, so its "vocabulary_size" must say how many columns it has'):
            del case.config["features"][0]["vocabulary_size"]
        case = saved("mmoe")
        with case.refused(self, "the checkpoint does not fit the configuration"):
            case.config["features"].pop()
        case = saved("mmoe")
        with case.refused(self, "feature \"age\" has the kind 'sequence', this library has \"dense\" (columns of the input)"):
            case.config["features"][1]["kind"] = "sequence"
        case = saved("aitm")
        with case.refused(self, '"features" has 2 features, the checkpoint has 3 tables (embedding_dict)'):
            case.config["features"].pop()

    def test_fields(self):
        case = saved("esmm")
        with case.refused(self, "feature \"family\" has the combiner 'mean', the library adds"):
            case.config["features"][0]["combiner"] = "mean"
        case = saved("esmm")
        with case.refused(self, "the library has one for all"):
            case.config["features"][0]["embedding"] = "countries"

    def test_rows_of_id_0_are_zero(self):
        case = saved("esmm")
        table = case.model().tensors["embedding.ids.weight"]
        self.assertTrue(case.tensors["embedding.weight"][0].any())
        self.assertFalse(table[0].any())
        np.testing.assert_array_equal(table[1:], case.tensors["embedding.weight"][1:])

    def test_towers_of_esmm_that_cannot_be_told_apart(self):
        case = saved("esmm")
        with case.refused(self, "make two towers with two outputs each in 0 ways, expected one"):
            case.tensors["linear_2.weight"] = np.zeros((4, 3), "f4")

    def test_wrong_family(self):
        case = LibraryCase("deepctr_torch_mmoe")
        with case.refused(self, "checkpoint: not a model of PaddleRec; it looks like one of DeepCTR-Torch 0.2.9"):
            case.config["library"] = "paddlerec"

    def test_unknown_configuration(self):
        case = saved("mmoe")
        with case.refused(self, 'the configuration has the unknown key "activation"'):
            case.config["activation"] = "relu"


if __name__ == "__main__":
    unittest.main()
