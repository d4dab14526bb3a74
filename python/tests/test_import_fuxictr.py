"""Imports of FuxiCTR and STEM. The cases in test/import hold what the libraries saved."""

import json
import os
import sys
import tempfile
import unittest
from unittest import mock

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

import mtl_rank as mtl
from mtl_rank.checkpoints import Checkpoint, read_checkpoint
from mtl_rank.importers import recognise
from mtl_rank.importers.fuxictr_config import main, make_configuration

CASES = os.path.join(HERE, "..", "..", "test", "import", "cases")
TABLES = "embedding_layer.embedding_layer.embedding_layers"


def case(name):
    """A checkpoint and its configuration."""
    folder = os.path.join(CASES, name)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        return read_checkpoint(os.path.join(folder, "checkpoint.model")), json.load(file)


def feature(config, name):
    return next(feature for feature in config["features"] if feature["name"] == name)


class ImportTest(unittest.TestCase):
    def assert_refused(self, *texts, checkpoint, config, **arguments):
        with self.assertRaises(mtl.ModelError) as caught:
            mtl.import_model(checkpoint, config, **arguments)
        for text in texts:
            self.assertIn(text, str(caught.exception))


class FamilyTest(ImportTest):
    def test_recognised(self):
        for name in ("shared_bottom", "mmoe", "ple"):
            self.assertEqual(recognise(case(f"fuxictr_{name}")[0]).name, "fuxictr")
        for name in ("stem", "omoe", "esmm", "aitm"):
            self.assertEqual(recognise(case(f"stem_{name}")[0]).name, "stem")

    def test_a_fork_has_the_same_models(self):
        checkpoint, config = case("stem_ple")
        self.assertEqual(mtl.import_model(checkpoint, config).contract["provenance"]["library"], "STEM")
        del config["library"]
        self.assertEqual(mtl.import_model(checkpoint, config).contract["provenance"]["library"], "FuxiCTR")

    def test_models_that_only_the_fork_has(self):
        checkpoint, config = case("stem_omoe")
        self.assert_refused("not a model of FuxiCTR; it looks like one of STEM", checkpoint=checkpoint, config=config,
                            library="fuxictr")

    def test_models_of_one_task(self):
        tensors = {f"{TABLES}.age.weight": np.ones((4, 1), "f4"), "mlp.mlp.0.weight": np.ones((1, 4), "f4")}
        self.assert_refused("dnn.model: from none of the known libraries", checkpoint=Checkpoint(tensors, "dnn.model"), config={})


class NetworkTest(ImportTest):
    def test_tensors_are_untouched(self):
        checkpoint, config = case("fuxictr_mmoe")
        tensors = mtl.import_model(checkpoint, config).tensors
        # Each hidden layer is Linear, BatchNorm1d, its activation and Dropout.
        for target, source in (("level.0.expert.2.1.weight", "mmoe_layer.experts.2.mlp.4.weight"),
                               ("level.0.expert.2.0.activation.running_var", "mmoe_layer.experts.2.mlp.2.bn.running_var"),
                               ("level.0.task.income.gate.1.norm.running_mean", "mmoe_layer.gate.0.mlp.5.running_mean"),
                               ("dense.age.weight", f"{TABLES}.age.weight"),
                               ("embedding.country.weight", f"{TABLES}.country.weight")):
            np.testing.assert_array_equal(tensors[target], checkpoint.tensors[source])

    def test_missing_tensors_are_all_listed(self):
        checkpoint, config = case("fuxictr_mmoe")
        for name in (f"{TABLES}.work.weight", "mmoe_layer.gate.1.mlp.8.bias", "mmoe_layer.experts.0.mlp.1.weight"):
            del checkpoint.tensors[name]
        self.assert_refused(f'tensor "{TABLES}.work.weight" is missing: the embedding of feature "work"',
                            'tensor "mmoe_layer.gate.1.mlp.8.bias" is missing: the gate "level.0.task.never_married.gate"',
                            'tensor "mmoe_layer.experts.0.mlp.1.weight" is missing: level.0.expert.0',
                            checkpoint=checkpoint, config=config)

    def test_missing_expert(self):
        checkpoint, config = case("fuxictr_ple")
        for name in list(checkpoint):
            if name.startswith("cgc_layers.1.shared_experts.0."):
                del checkpoint.tensors[name]
        self.assert_refused('tensor "cgc_layers.1.shared_experts.0.mlp.0.weight" is missing: the layers of "level.1.shared',
                            checkpoint=checkpoint, config=config)

    def test_missing_norm(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        for name in checkpoint.matching(r"bottom\.mlp\.1\..*"):
            del checkpoint.tensors[name]
        self.assert_refused('layer "bottom.mlp.0" lacks the batch norm that others have', checkpoint=checkpoint, config=config)

    def test_missing_gates(self):
        checkpoint, config = case("fuxictr_mmoe")
        for name in checkpoint.matching(r"mmoe_layer\.gate\..*"):
            del checkpoint.tensors[name]
        self.assert_refused('tensor "mmoe_layer.gate.0.mlp.0.weight" is missing: the gate', checkpoint=checkpoint, config=config)

    def test_no_experts(self):
        checkpoint, config = case("fuxictr_mmoe")
        for name in checkpoint.matching(r"mmoe_layer\.experts\..*"):
            del checkpoint.tensors[name]
        self.assert_refused('tensor "mmoe_layer.experts.2.mlp.0.weight" is missing: the layers of "level.0.expert.2"',
                            checkpoint=checkpoint, config=config)

    def test_numbers_without_end(self):
        """Names in a checkpoint are anybody's."""
        for name, source, problem in (
            ("fuxictr_mmoe", "mmoe_layer.experts.999999.mlp.0.weight", "have 1000000 experts, expected 1 to 1024"),
            ("fuxictr_ple", "cgc_layers.999999.gate.0.mlp.0.weight", "has 1000000 levels, expected 1 to 64"),
            ("stem_stem", "stem_layers.0.specific_experts.0.999999.mlp.0.weight", "have 2000002 experts"),
            ("fuxictr_mmoe", "tower.999999.mlp.0.weight", "the checkpoint has 1000000 towers"),
        ):
            checkpoint, config = case(name)
            checkpoint.tensors[source] = np.ones((4, 4), "f4")
            self.assert_refused(problem, checkpoint=checkpoint, config=config)

    def test_missing_tower(self):
        checkpoint, config = case("stem_esmm")
        for name in checkpoint.matching(r"tower\.0\.mlp\.4\..*"):
            del checkpoint.tensors[name]
        self.assert_refused('tensor "task.cvr.tower.logit.weight" has shape [4, 8]', checkpoint=checkpoint, config=config)

    def test_left_over_tensors(self):
        checkpoint, config = case("fuxictr_ple")
        checkpoint.tensors["cgc_layers.0.gate.3.mlp.0.weight"] = np.ones((5, 24), "f4")
        self.assert_refused('tensor "cgc_layers.0.gate.3.mlp.0.weight" of shape [5, 24] is not used', checkpoint=checkpoint,
                            config=config)

    def test_what_is_left_out(self):
        checkpoint, config = case("stem_stem")
        model = mtl.import_model(checkpoint, config)
        self.assertIn("level.1.shared.gate.logit.weight", model.tensors)
        self.assertNotIn("level.2.shared.gate.logit.weight", model.tensors)

    def test_number_of_tasks(self):
        checkpoint, config = case("fuxictr_ple")
        config["tasks"].append({"name": "third", "type": "binary"})
        self.assert_refused('"tasks" has 3 tasks, the checkpoint has 2 towers (tower)', checkpoint=checkpoint, config=config)

    def test_types_of_tasks(self):
        checkpoint, config = case("stem_esmm")
        config["tasks"][0]["type"] = "regression"
        self.assert_refused("task \"ctr\" has the type 'regression', expected one of \"binary\"", checkpoint=checkpoint,
                            config=config)

    def test_activations(self):
        checkpoint, config = case("fuxictr_mmoe")
        self.assert_refused('"activation" is "elu", this library has "relu"', checkpoint=checkpoint,
                            config={**config, "activation": "ELU"})
        self.assert_refused('"activation" has "ELU", this library has "relu"', checkpoint=checkpoint,
                            config={**config, "activation": ["ELU", "relu"]})
        self.assert_refused("has 3 activations, expected one for each of 2 layers", checkpoint=checkpoint,
                            config={**config, "activation": ["relu", "relu", "relu"]})
        # The checkpoint has statistics and slopes of dice, so it cannot be another one.
        self.assert_refused("activation.alpha", checkpoint=checkpoint, config={**config, "activation": "relu"})
        del config["activation"]
        self.assert_refused('"activation": the activation of all hidden layers, or a list with one per layer (hidden_activ',
                            checkpoint=checkpoint, config=config)


class FeatureTest(ImportTest):
    def test_tables_of_vocabularies(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        contract = mtl.import_model(checkpoint, config).contract
        rows = len(checkpoint.tensors[f"{TABLES}.country.weight"])
        country, family = feature(contract, "country"), feature(contract, "family")
        self.assertEqual((country["oov"], country["lookup"]["offset"]), (rows - 1, 1))
        self.assertEqual((family["oov"], family["padding"], family["epsilon"]), (rows - 1, "", 1e-12))

    def test_ids(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        for each in config["features"]:
            each.pop("lookup", None)
        del config["vocabularies"]
        contract = mtl.import_model(checkpoint, config).contract
        self.assertEqual(feature(contract, "country")["lookup"], {"type": "index"})
        self.assertNotIn("oov", feature(contract, "country"))
        self.assertEqual(feature(contract, "family")["padding"], 0)

    def test_table_that_is_not_shared(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        checkpoint.tensors[f"{TABLES}.family.weight"] = checkpoint.tensors[f"{TABLES}.family.weight"] + 1
        self.assert_refused('feature "family" has a table of its own, other than "country"', checkpoint=checkpoint, config=config)

    def test_feature_of_another_kind(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        feature(config, "country")["kind"] = "hash"
        self.assert_refused("feature \"country\" has the kind 'hash', this library has \"sparse\" (categorical), "
                            '"sequence" (sequence), "dense" (numeric, embedding)', checkpoint=checkpoint, config=config)

    def test_feature_that_is_not_described(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        config["features"] = [each for each in config["features"] if each["name"] != "age"]
        self.assert_refused(f'tensor "{TABLES}.age.weight" of shape [4, 1] is not used', checkpoint=checkpoint, config=config)

    def test_encoder_with_weights(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        checkpoint.tensors["embedding_layer.embedding_layer.feature_encoders.age.weight"] = np.ones((4, 4), "f4")
        self.assert_refused('feature "age" has a feature_encoder with weights after its embedding', checkpoint=checkpoint,
                            config=config)

    def test_pooling_that_is_not_there(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        feature(config, "work")["combiner"] = "max"
        self.assert_refused('sequence "work" has the combiner "max"', '"sum" (MaskedSumPooling)', checkpoint=checkpoint,
                            config=config)
        feature(config, "work")["combiner"] = ["sum"]
        self.assert_refused('"combiner" must be a string, found an array', checkpoint=checkpoint, config=config)

    def test_vocabulary_that_is_no_list(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        config["vocabularies"]["work"] = 12
        self.assert_refused('"vocabularies.work" must be an array, found a number', checkpoint=checkpoint, config=config)

    def test_padding_that_is_not_zero(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        checkpoint.tensors[f"{TABLES}.work.weight"][0, 1] = 1e-4
        self.assert_refused('sequence "work": row 0 of its table is not zero', checkpoint=checkpoint, config=config)

    def test_entries_that_the_mean_takes_for_padding(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        for name in ("country", "family"):
            checkpoint.tensors[f"{TABLES}.{name}.weight"][7] = [1, 2, -1, -2]
        self.assert_refused('sequence "family": rows 7 of its table sum to zero', checkpoint=checkpoint, config=config)

    def test_padding_that_is_taken_out(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        for padding, offset, refused in ((None, None, True), (0, None, False), ("", 0, True), ("__PAD__", 0, False)):
            changed = json.loads(json.dumps(config))
            family = feature(changed, "family")
            family["padding"] = padding
            family["lookup"] = {"type": "index"}
            if offset is not None:
                family["lookup"] = {"type": "vocabulary", "vocabulary": "all", "offset": offset}
                changed["vocabularies"]["all"] = ["__PAD__", *config["vocabularies"]["country"]]
            if refused:
                self.assert_refused('sequence "family": rows 0 of its table sum to zero', checkpoint=checkpoint, config=changed)
            else:
                mtl.import_model(checkpoint, changed)

    def test_unknown_values_that_the_mean_takes_for_padding(self):
        checkpoint, config = case("fuxictr_shared_bottom")
        for name in ("country", "family"):
            checkpoint.tensors[f"{TABLES}.{name}.weight"][-1] = 0
        contract = mtl.import_model(checkpoint, config).contract
        self.assertEqual(feature(contract, "family")["oov"], "skip")

    def test_pretrained(self):
        checkpoint, config = case("fuxictr_pretrained")
        model = mtl.import_model(checkpoint, config)
        born = checkpoint.tensors[f"{TABLES}.born.pretrain_embedding.weight"] @ checkpoint.tensors[f"{TABLES}.born.proj.weight"].T
        np.testing.assert_allclose(model.tensors["embedding.born.weight"], born, atol=1e-6)
        self.assertEqual(feature(model.contract, "vector")["embedding_dim"], 4)

    def test_pretrained_table_that_is_shared(self):
        checkpoint, config = case("fuxictr_pretrained")
        for name in checkpoint.matching(rf"{TABLES}\.born\..*"):
            checkpoint.tensors[name.replace(".born.", ".lives.")] = checkpoint.tensors[name]
        del checkpoint.tensors[f"{TABLES}.lives.id_embedding.weight"]
        feature(config, "lives").update(feature(config, "born"), name="lives", embedding="born")
        del config["vocabularies"]["lives"]
        tensors = mtl.import_model(checkpoint, config).tensors
        self.assertIn("embedding.born.weight", tensors)
        self.assertNotIn("embedding.lives.weight", tensors)

    def test_pretrained_must_be_described(self):
        checkpoint, config = case("fuxictr_pretrained")
        for key, value in (("oov_idx", None), ("oov_idx", -1), ("oov_idx", True), ("freeze_emb", 1), ("pretrain_usage", "mean")):
            changed = json.loads(json.dumps(config))
            feature(changed, "lives")[key] = value
            self.assert_refused('feature "lives" has a pretrained embedding; give its "oov_idx" (a number), "freeze_emb"',
                                checkpoint=checkpoint, config=changed)

    def test_pretrained_that_lacks_a_part(self):
        for name, problem in (("father.proj.weight", "is missing"), ("lives.id_embedding.weight", "is missing"),
                              ("born.proj.weight", 'the checkpoint does not fit the configuration')):
            checkpoint, config = case("fuxictr_pretrained")
            del checkpoint.tensors[f"{TABLES}.{name}"]
            self.assert_refused(problem, checkpoint=checkpoint, config=config)

    def test_pretrained_of_another_size(self):
        for part, shape, problem in (("proj.weight", (4, 5), "has a weight of shape [4, 5], the embedding has 7 numbers"),
                                     ("id_embedding.weight", (3, 4), "pretrained vectors and 3 ids"),
                                     ("id_embedding.weight", (), "expected a matrix")):
            checkpoint, config = case("fuxictr_pretrained")
            checkpoint.tensors[f"{TABLES}.father.{part}"] = np.ones(shape, "f4")
            self.assert_refused(problem, checkpoint=checkpoint, config=config)


MAP = {
    "dataset_id": "feed", "labels": ["click", "buy"], "features": [
        {"user": {"type": "meta"}},
        {"age": {"source": "", "type": "numeric"}},
        {"item": {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": 5, "pretrained_emb": "pretrained_item.npz",
                  "oov_idx": 3, "freeze_emb": False, "pretrain_usage": "sum"}},
        {"clicked": {"source": "", "type": "sequence", "feature_encoder": "layers.MaskedSumPooling()", "share_embedding": "item",
                     "padding_idx": 0, "max_len": 20, "vocab_size": 5}},
        {"city": {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": 4}},
        {"image": {"source": "", "type": "embedding", "pretrain_dim": 64}},
    ],
}
VOCAB = {
    "item": {"__PAD__": 0, "pen": 1, "cup": 2, "__OOV__": 3, "hat": 4},
    "clicked": {"__PAD__": 0, "pen": 1, "cup": 2, "__OOV__": 3, "hat": 4},
    "city": {"__PAD__": 0, "Oslo": 1, "Łódź": 2, "__OOV__": 3},
}


class ConfigurationTest(unittest.TestCase):
    def test_what_the_files_say(self):
        pretrained = {"oov_idx": 3, "freeze_emb": False, "pretrain_usage": "sum"}
        self.assertEqual(make_configuration(MAP, VOCAB), {
            "features": [
                {"name": "age", "kind": "dense"},
                {"name": "item", "kind": "sparse", "lookup": {"type": "vocabulary"}, **pretrained},
                {"name": "clicked", "kind": "sequence", "lookup": {"type": "vocabulary"}, "max_length": 20, "combiner": "sum",
                 "embedding": "item", **pretrained},
                {"name": "city", "kind": "sparse", "lookup": {"type": "vocabulary"}},
                {"name": "image", "kind": "dense", "width": 64},
            ],
            "tasks": [{"name": "click", "type": "binary"}, {"name": "buy", "type": "binary"}],
            # What stands for unknown values keeps its place where others follow it.
            "vocabularies": {"item": ["pen", "cup", "__OOV__", "hat"], "city": ["Oslo", "Łódź"]},
        })

    def test_without_vocabularies(self):
        config = make_configuration(MAP)
        self.assertEqual(feature(config, "city")["lookup"], {"type": "index"})
        self.assertNotIn("vocabularies", config)

    def test_one_id_for_an_entry_and_unknown_values(self):
        """STEM makes this of a shared embedding that gets one more entry."""
        config = make_configuration({"labels": ["click"], "features": [{"city": {"type": "categorical"}}]},
                                    {"city": {"__PAD__": 0, "Oslo": 1, "__OOV__": 2, "Rome": 2}})
        self.assertEqual(config["vocabularies"], {"city": ["Oslo", "Rome"]})

    def test_ids_with_gaps(self):
        with self.assertRaisesRegex(mtl.ModelError, 'the ids of feature "city" have gaps, as without remap'):
            make_configuration(MAP, {**VOCAB, "city": {"__PAD__": 0, "7": 7, "__OOV__": 8}})

    def test_encoder_that_no_model_can_use(self):
        for encoder in (None, "nn.Identity()", ["layers.KMaxPooling(1, 1)", "nn.Flatten()"]):
            spec = {"type": "sequence", "feature_encoder": encoder, "max_len": 3}
            with self.assertRaisesRegex(mtl.ModelError, 'sequence "clicked" has the feature_encoder .* expected one of layers'):
                make_configuration({"labels": [], "features": [{"clicked": spec}]})

    def test_ids_that_are_none(self):
        with self.assertRaisesRegex(mtl.ModelError, '"city.Oslo" must be a number, found an array'):
            make_configuration(MAP, {**VOCAB, "city": {"Oslo": [1]}})

    def test_command(self):
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "feature_map.json")
            with open(path, "w", encoding="utf-8") as file:
                json.dump(MAP, file)
            with mock.patch("sys.stdout") as out:
                self.assertEqual(main([path]), 0)
            self.assertEqual(json.loads("".join(call.args[0] for call in out.write.call_args_list)), make_configuration(MAP))
            with open(path, "w", encoding="utf-8") as file:
                file.write("{")
            with mock.patch("sys.stderr") as err:
                self.assertEqual(main([path]), 1)
            self.assertIn(f"error: {path} is not JSON", err.write.call_args_list[0].args[0])


if __name__ == "__main__":
    unittest.main()
