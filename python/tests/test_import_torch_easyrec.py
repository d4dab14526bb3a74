"""The importer of TorchEasyRec: what it takes, and what it says about what it does not take."""

import unittest

import numpy as np

from import_case import LibraryCase
from mtl_rank import ModelError


class TorchEasyRec(unittest.TestCase):
    def test_architectures(self):
        for name, kind, outputs in (
            ("mmoe", "mmoe", ["income", "never_married"]),
            ("mmoe_dice", "mmoe", ["income", "class.0", "class.1", "class.2"]),
            ("ple", "ple", ["income", "never_married"]),
            ("dbmtl", "dbmtl", ["income", "class.0", "class.1", "class.2", "never_married"]),
            ("dbmtl_plain", "dbmtl", ["income", "never_married"]),
        ):
            imported = LibraryCase(f"torch_easyrec_{name}").imported()
            self.assertEqual(imported.library.name, "torch_easyrec")
            self.assertEqual(imported.model.contract["architecture"]["type"], kind)
            self.assertEqual(imported.model.outputs, outputs)

    def test_prefix_of_the_train_wrapper(self):
        case = LibraryCase("torch_easyrec_mmoe")
        expected = case.model().to_bytes()
        case.tensors = {f"model.{name}": value for name, value in case.tensors.items()}
        self.assertEqual(case.model().to_bytes(), expected)

    def test_heads(self):
        tasks = LibraryCase("torch_easyrec_mmoe").model().contract["tasks"]
        self.assertEqual([task.get("head") for task in tasks], [None, "softmax"])

    def test_each_extraction_network_has_its_own_sizes(self):
        levels = LibraryCase("torch_easyrec_ple").model().contract["architecture"]["levels"]
        keys = ("shared_expert_num", "specific_expert_num")
        self.assertEqual([[level[key] for key in keys] for level in levels], [[1, 2], [2, 1]])
        self.assertEqual([level["expert"]["hidden_units"] for level in levels], [[8, 6], [5]])
        self.assertEqual([level["expert"].get("normalization", {}).get("type") for level in levels], ["layer_norm", None])

    def test_experts_that_differ(self):
        case = LibraryCase("torch_easyrec_ple")
        with case.refused(self, "level.1.task.income.expert.0 is {'hidden_units': [5]",
                          "but level.1.shared.expert.0 is {'hidden_units': [7]"):
            for k in range(2):
                case.tensors[f"_extraction_nets.1._shared_layers.{k}.mlp.0.perceptron.0.weight"] = np.zeros((7, 6), "f4")
                case.tensors[f"_extraction_nets.1._shared_layers.{k}.mlp.0.perceptron.0.bias"] = np.zeros(7, "f4")

    def test_every_tensor_is_needed(self):
        """Each is missed by its name when it is taken away alone."""
        for name in ("mmoe", "mmoe_dice", "ple", "dbmtl", "dbmtl_plain"):
            case = LibraryCase(f"torch_easyrec_{name}")
            for tensor in case.imported().used:
                value = case.tensors.pop(tensor)
                with self.assertRaises(ModelError) as caught:
                    case.imported("torch_easyrec")
                expected = f'tensor "{tensor}" is missing'
                if name == "mmoe_dice" and "tower_mlp" in tensor:      # the only one of the tower's MLP: the logit does not fit
                    expected = 'has shape [1, 4], expected [1, 8]' if ".0.tower" in tensor else "expected [3, 8]"
                self.assertIn(expected, str(caught.exception))
                case.tensors[tensor] = value

    def test_missing(self):
        for name, tensor, what in (
            ("mmoe", "mmoe.gate_finals.1.bias", 'the gate "level.0.task.never_married.gate"'),
            ("mmoe", "mmoe.expert_mlps.1.mlp.0.perceptron.1.running_var", "expert 1"),
            ("mmoe_dice", "mmoe.expert_mlps.1.mlp.0.perceptron.2.alpha", "expert 1"),
            ("mmoe_dice", "mmoe.expert_mlps.1.mlp.0.perceptron.2.bn.running_mean", "expert 1"),
            ("mmoe", "mmoe.expert_mlps.0.mlp.1.perceptron.1.weight", "expert 0"),
            ("mmoe", "mmoe.expert_mlps.0.mlp.1.perceptron.1.bias", "expert 0"),
            ("ple", "_extraction_nets.0._shared_gate.weight", 'the gate "level.0.shared.gate"'),
            ("dbmtl", "task_mlps.income.mlp.0.perceptron.0.bias", 'the MLP of task "income"'),
            ("dbmtl", "embedding_group.emb_impls.__BASE__.ebc.embedding_bags.country_emb.weight",
             'the embedding of feature "country"'),
        ):
            case = LibraryCase(f"torch_easyrec_{name}")
            with case.refused(self, f'tensor "{tensor}" is missing{": " if what else ""}{what}'):
                del case.tensors[tensor]

    def test_numbers_that_no_model_has(self):
        for name, tensor, problem in (
            ("mmoe", "mmoe.expert_mlps.999999.x", "have 1000000 experts, expected 1 to 1024"),
            ("mmoe", "mmoe.expert_mlps.0.mlp.999999.x", '"mmoe.expert_mlps.0.mlp." has 1000000 layers, the limit is 64'),
            ("ple", "_extraction_nets.999999.x", '"_extraction_nets." has 1000000 levels, expected 1 to 64'),
            ("ple", "_extraction_nets.0._shared_layers.999999.x", "have 1000002 experts, expected 1 to 1024"),
            ("dbmtl", "task_outputs.999999.weight", '"tasks" has 3 tasks, the checkpoint has 1000000 towers'),
        ):
            case = LibraryCase(f"torch_easyrec_{name}")
            with case.refused(self, problem):
                case.tensors[tensor] = np.zeros((1, 1), "f4")

    def test_left_over(self):
        case = LibraryCase("torch_easyrec_mmoe_dice")
        with case.refused(self, 'tensor "mmoe.expert_mlps.0.mlp.0.perceptron.2.alpha" of shape [8] is not used'):
            case.config["activation"] = "nn.ReLU"
        case = LibraryCase("torch_easyrec_mmoe_dice")
        with case.refused(self, 'tensor "_task_tower.0.tower_mlp.mlp.0.perceptron.0.bias" is missing'):
            del case.config["bias"]
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, 'tensor "_task_tower.0.tower_mlp.mlp.0.perceptron.0.bias" of shape [4] is not used'):
            case.config["bias"] = {"tower": False}

    def test_leftovers_of_training_are_ignored(self):
        case = LibraryCase("torch_easyrec_mmoe")
        case.tensors["_metric_modules.auc_income.confmat"] = np.zeros(2, "f4")
        self.assertEqual(case.imported().ignored["_metric_modules.auc_income.confmat"], "of the training")

    def test_tables(self):
        case = LibraryCase("torch_easyrec_dbmtl_plain")
        expected = case.model().to_bytes()
        bags = "embedding_group.emb_impls.__BASE__.{}.embedding_bags.work_emb.weight"
        case.tensors[bags.format("ebc_user")] = case.tensors.pop(bags.format("ebc"))
        self.assertEqual(case.model().to_bytes(), expected)
        with case.refused(self, 'table "work_emb" is there as'):
            case.tensors["embedding_group.emb_impls.other.ebc.embedding_bags.work_emb.weight"] = np.zeros((3, 5), "f4")

    def test_what_is_not_imported(self):
        for tensor, what in (
            ("mask_net.mlp.weight", "MaskNet"), ("group_variational_dropouts.all.feature_p", "variational dropout"),
            ("embedding_group.seq_emb_impls.__BASE__.ec_dict.4.embeddings.x.weight", "sequence encoders"),
            ("embedding_group.emb_impls.__BASE__.mc_ebc._embedding_module.embedding_bags.x.weight", "zero-collision hashing"),
            ("embedding_group.emb_impls.__BASE__.dense_ec.x.weight", "embeddings of raw features"),
            ("intervention.cvr.weight", "interventions (DC2VR)"),
        ):
            case = LibraryCase("torch_easyrec_dbmtl")
            with case.refused(self, f"checkpoint: the model has {what}", "the model file has no counterpart"):
                case.tensors[tensor] = np.zeros(2, "f4")

    def test_relations(self):
        for relations in (None, {"class": ["income"]}, {"class": ["income"], "never_married": [], "income": []}, 7):
            case = LibraryCase("torch_easyrec_dbmtl")
            with case.refused(self, '"relations" must be an object that says for the tasks "class", "never_married"'):
                case.config["relations"] = relations
        case = LibraryCase("torch_easyrec_dbmtl")
        with case.refused(self, 'names task "never_married", which is not declared before "class"'):
            case.config["relations"]["class"] = ["never_married"]
        case = LibraryCase("torch_easyrec_dbmtl")
        with case.refused(self, "the checkpoint does not fit the configuration"):
            case.config["relations"]["never_married"] = ["income"]

    def test_activations(self):
        from mtl_rank.importers.torch_easyrec import _activation

        for text, expected in (
            ("nn.ReLU", "relu"), ("nn.LeakyReLU(negative_slope=0.2)", {"type": "leaky_relu", "negative_slope": 0.2}),
            (" nn.LeakyReLU ( 0.1 ) ", {"type": "leaky_relu", "negative_slope": 0.1}), ("", "linear"), ("nn.PReLU", "prelu"),
            ("Dice", {"type": "dice", "epsilon": 1e-5}), ("nn.GELU(approximate='tanh')", "gelu_tanh"),
        ):
            self.assertEqual(_activation(text, "activation"), expected)
        for text in ("nn.Softplus", "nn.LeakyReLU(negative_slope=-1)", "nn.LeakyReLU(__import__('os'))", "nn.ELU"):
            case = LibraryCase("torch_easyrec_mmoe")
            with case.refused(self, f'"activation" is "{text}", which has no counterpart'):
                case.config["activation"] = text
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, '"activations" has the unknown key "experts"'):
            case.config["activations"] = {"experts": "nn.ReLU"}
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, '"bias.tower" must be true or false'):
            case.config["bias"] = {"tower": 0}

    def test_prelu(self):
        case = LibraryCase("torch_easyrec_dbmtl_plain")
        case.config["activation"] = "nn.PReLU"
        case.tensors["task_mlps.never_married.mlp.0.perceptron.1.weight"] = np.array([0.25], "f4")
        np.testing.assert_array_equal(case.model().tensors["task.never_married.mlp.0.activation.alpha"], [0.25])

    def test_tasks(self):
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, '"tasks" has 1 tasks, the checkpoint has 2 towers'):
            case.config["tasks"].pop()
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, 'task "never_married" of type "regression" has num_class 2 in the checkpoint'):
            case.config["tasks"][1]["type"] = "regression"
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, 'task "income" of type "multiclass" has num_class 1 in the checkpoint'):
            case.config["tasks"][0]["type"] = "multiclass"

    def test_features(self):
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, "feature \"work\" has the combiner 'max', the library has"):
            case.config["features"][5]["combiner"] = "max"

    def test_questions(self):
        case = LibraryCase("torch_easyrec_mmoe")
        with case.refused(self, '"activation": the activation of hidden layers'):
            del case.config["activation"]

    def test_wrong_family(self):
        case = LibraryCase("paddlerec_mmoe", "pdparams")
        with case.refused(self, "checkpoint: not a model of TorchEasyRec; it looks like one of PaddleRec"):
            case.config.update(library="torch_easyrec", activation="nn.ReLU")


if __name__ == "__main__":
    unittest.main()
