"""Contracts: what the builders make, what is refused, and which tensors each architecture calls for."""

import copy
import unittest

import mtl_rank as mtl
from mtl_rank import Model, ModelError

AGE = mtl.dense("age", transform=mtl.standardize(38.6, 13.2))
CITY = mtl.sparse("city", mtl.index_lookup(), vocabulary_size=10, embedding_dim=4)
CTR, CVR = mtl.binary("ctr"), mtl.binary("cvr")
LAYER = mtl.mlp([6])


def contract(architecture=None, features=None, tasks=None, **more):
    return mtl.make_contract(architecture or mtl.single_task(), features or [AGE, CITY], tasks or [CTR, CVR], **more)


def towers(width):
    """The tensors of two towers without hidden layers."""
    return {f"task.{t}.tower.logit.{part}": shape for t in ("ctr", "cvr")
            for part, shape in (("weight", (1, width)), ("bias", (1,)))}


def layer(prefix, units, width):
    return {f"{prefix}.weight": (units, width), f"{prefix}.bias": (units,)}


class Builders(unittest.TestCase):
    def test_the_documented_contract(self):
        built = mtl.make_contract(
            architecture=mtl.mmoe(num_experts=3, expert=mtl.mlp([256, 128]), gate=mtl.gate(logit_bias=False),
                                  tower=mtl.tower([64])),
            features=[
                mtl.sparse("city", mtl.hash_lookup(), vocabulary_size=1000, embedding_dim=8),
                mtl.sparse("item_id", mtl.vocabulary_lookup(), oov=0),
                mtl.sequence("clicked", mtl.vocabulary_lookup(), 50, embedding="item_id", oov=0, combiner="mean"),
                mtl.dense("age", transform=mtl.standardize(38.6, 13.2), missing=0),
            ],
            tasks=[CTR, CVR, mtl.product("ctcvr", of=["ctr", "cvr"])],
            rank=mtl.rank_sum({"ctr": 1, "ctcvr": 4}),
            provenance={"library": "...", "rows": 199523},
        )
        self.assertEqual(built, {
            "format": 1,
            "architecture": {"type": "mmoe", "num_experts": 3, "expert": {"hidden_units": [256, 128]},
                             "gate": {"logit_bias": False}, "tower": {"hidden_units": [64]}},
            "features": [
                {"name": "city", "kind": "sparse", "vocabulary_size": 1000, "embedding_dim": 8, "lookup": {"type": "hash"}},
                {"name": "item_id", "kind": "sparse", "lookup": {"type": "vocabulary"}, "oov": 0},
                {"name": "clicked", "kind": "sequence", "embedding": "item_id", "lookup": {"type": "vocabulary"}, "oov": 0,
                 "combiner": "mean", "max_length": 50},
                {"name": "age", "kind": "dense", "transform": {"type": "standardize", "mean": 38.6, "std": 13.2},
                 "missing": 0}],
            "tasks": [{"name": "ctr", "type": "binary"}, {"name": "cvr", "type": "binary"},
                      {"name": "ctcvr", "type": "product", "of": ["ctr", "cvr"]}],
            "rank": {"form": "sum", "weights": {"ctr": 1, "ctcvr": 4}},
            "provenance": {"library": "...", "rows": 199523}})
        self.assertEqual(Model(built).outputs, ["ctr", "cvr", "ctcvr"])

    def test_the_argument_is_copied(self):
        original = contract()
        before = copy.deepcopy(original)
        Model(original).contract["features"].clear()
        self.assertEqual(original, before)


class Outputs(unittest.TestCase):
    def test_hidden_tasks_and_classes(self):
        tasks = [CTR, mtl.binary("cvr", hidden=True), mtl.product("ctcvr", of=["ctr", "cvr"]),
                 mtl.multiclass("rating", num_classes=3), mtl.multiclass("kind", classes=["good", "bad"]),
                 mtl.regression("watch_time")]
        self.assertEqual(Model(contract(tasks=tasks)).outputs,
                         ["ctr", "ctcvr", "rating.0", "rating.1", "rating.2", "kind.good", "kind.bad", "watch_time"])


class Expected(unittest.TestCase):
    """x has 5 numbers: the age, and 4 of the city's embedding."""

    def assert_tensors(self, architecture, expected, width):
        found = Model(contract(architecture)).expected_tensors()
        self.assertEqual(found.pop("embedding.city.weight"), (10, 4))
        self.assertEqual(found, {**expected, **towers(width)})

    def test_single_task(self):
        self.assert_tensors(mtl.single_task(), {}, 5)

    def test_shared_bottom(self):
        self.assert_tensors(mtl.shared_bottom(mtl.mlp([7, 6])),
                            {**layer("shared.bottom.0", 7, 5), **layer("shared.bottom.1", 6, 7)}, 6)

    def test_customized_sharing(self):
        own = {**layer("task.ctr.bottom.0", 6, 5), **layer("task.cvr.bottom.0", 6, 5)}
        self.assert_tensors(mtl.customized_sharing(LAYER), {**own, **layer("shared.bottom.0", 6, 5)}, 12)
        self.assert_tensors(mtl.customized_sharing(LAYER, shared_bottom=mtl.mlp([3], bias=False)),
                            {**own, "shared.bottom.0.weight": (3, 5)}, 9)

    def test_asymmetric_sharing(self):
        own = {**layer("task.ctr.bottom.0", 6, 5), **layer("task.cvr.bottom.0", 6, 5)}
        for fusion in ("sum", "average"):
            self.assert_tensors(mtl.asymmetric_sharing(LAYER, {"cvr": ["ctr"]}, fusion=fusion), own, 6)
        found = Model(contract(mtl.asymmetric_sharing(LAYER, {"cvr": ["ctr"]}))).expected_tensors()
        self.assertEqual(found["task.ctr.tower.logit.weight"], (1, 6))
        self.assertEqual(found["task.cvr.tower.logit.weight"], (1, 12))

    def test_cross_stitch(self):
        columns = {**layer("task.ctr.column.0", 8, 5), **layer("task.ctr.column.1", 6, 8),
                   **layer("task.cvr.column.0", 8, 5), **layer("task.cvr.column.1", 6, 8)}
        column = mtl.mlp([8, 6])
        self.assert_tensors(mtl.cross_stitch(column), {**columns, "stitch.0.weight": (2, 2), "stitch.1.weight": (2, 2)}, 6)
        self.assert_tensors(mtl.cross_stitch(column, stitch_after=[0], stitch="per_unit"),
                            {**columns, "stitch.0.weight": (2, 2, 8)}, 6)

    def test_sluice(self):
        columns = {**layer("task.ctr.column.0", 6, 5), **layer("task.cvr.column.0", 6, 5)}
        self.assert_tensors(mtl.sluice(LAYER), {**columns, "stitch.0.weight": (4, 4), "skip.weight": (2, 1)}, 6)
        self.assert_tensors(mtl.sluice(LAYER, subspaces=3, skip=False), {**columns, "stitch.0.weight": (6, 6)}, 6)

    def test_omoe(self):
        experts = {**layer("level.0.expert.0.0", 6, 5), **layer("level.0.expert.1.0", 6, 5)}
        self.assert_tensors(mtl.omoe(2, LAYER), {**experts, "level.0.shared.gate.logit.weight": (2, 5)}, 6)

    def test_mmoe(self):
        experts = {**layer("level.0.expert.0.0", 6, 5), **layer("level.0.expert.1.0", 6, 5)}
        self.assert_tensors(mtl.mmoe(2, LAYER), {**experts, "level.0.task.ctr.gate.logit.weight": (2, 5),
                                                 "level.0.task.cvr.gate.logit.weight": (2, 5)}, 6)

    def test_gate_with_everything(self):
        gate = mtl.gate([3], activation="prelu", normalization=mtl.layer_norm(scale=False), logit_bias=True,
                        logit_normalization=mtl.batch_norm(center=False), logit_activation=mtl.dice())
        gates = {}
        for t in ("ctr", "cvr"):
            p = f"level.0.task.{t}.gate"
            gates.update({**layer(f"{p}.0", 3, 5), f"{p}.0.norm.bias": (3,), f"{p}.0.activation.alpha": (3,),
                          **layer(f"{p}.logit", 1, 3), f"{p}.logit.norm.running_mean": (1,),
                          f"{p}.logit.norm.running_var": (1,), f"{p}.logit.norm.weight": (1,),
                          f"{p}.logit.activation.alpha": (1,), f"{p}.logit.activation.running_mean": (1,),
                          f"{p}.logit.activation.running_var": (1,)})
        self.assert_tensors(mtl.mmoe(1, LAYER, gate=gate), {**layer("level.0.expert.0.0", 6, 5), **gates}, 6)

    def test_stacked_mmoe(self):
        levels = [mtl.moe_level(2, LAYER), mtl.moe_level(1, mtl.mlp([3]), mix="task", gate_input="raw"),
                  mtl.moe_level(1, mtl.mlp([2]))]
        self.assert_tensors(mtl.mmoe(levels=levels), {
            **layer("level.0.expert.0.0", 6, 5), **layer("level.0.expert.1.0", 6, 5),
            "level.0.shared.gate.logit.weight": (2, 5),
            **layer("level.1.expert.0.0", 3, 6),
            "level.1.task.ctr.gate.logit.weight": (1, 5), "level.1.task.cvr.gate.logit.weight": (1, 5),
            **layer("level.2.expert.0.0", 2, 3),
            "level.2.task.ctr.gate.logit.weight": (1, 3), "level.2.task.cvr.gate.logit.weight": (1, 3)}, 2)

    def test_cgc(self):
        self.assert_tensors(mtl.cgc(1, [2, 0], LAYER), {
            **layer("level.0.task.ctr.expert.0.0", 6, 5), **layer("level.0.task.ctr.expert.1.0", 6, 5),
            **layer("level.0.shared.expert.0.0", 6, 5),
            "level.0.task.ctr.gate.logit.weight": (3, 5), "level.0.task.cvr.gate.logit.weight": (1, 5)}, 6)

    def test_ple(self):
        for shared_gate, experts in (("all", 3), ("shared", 1)):
            expected = {}
            for j, width in ((0, 5), (1, 6)):
                expected.update({**layer(f"level.{j}.task.ctr.expert.0.0", 6, width),
                                 **layer(f"level.{j}.task.cvr.expert.0.0", 6, width),
                                 **layer(f"level.{j}.shared.expert.0.0", 6, width),
                                 f"level.{j}.task.ctr.gate.logit.weight": (2, width),
                                 f"level.{j}.task.cvr.gate.logit.weight": (2, width)})
            expected["level.0.shared.gate.logit.weight"] = (experts, 5)
            self.assert_tensors(mtl.ple(1, 1, LAYER, num_levels=2, shared_gate=shared_gate), expected, 6)
            levels = [mtl.ple_level(1, 1, LAYER, shared_gate=shared_gate)] * 2
            self.assert_tensors(mtl.ple(levels=levels), expected, 6)

    def test_stem(self):
        features = [mtl.dense("age", embedding_dim=3), mtl.sparse("city", mtl.index_lookup(), embedding_dim=6)]
        for architecture in (mtl.stem(1, [2, 0], LAYER, num_levels=2), mtl.stem(levels=[mtl.stem_level(1, [2, 0], LAYER)] * 2)):
            found = Model(contract(architecture, features)).expected_tensors()
            self.assertEqual(found.pop("embedding.city.weight"), (None, 6))
            expected = {"dense.age.weight": (3, 1)}
            for j, width in ((0, 3), (1, 6)):
                for owner in ("task.ctr.expert.0", "task.ctr.expert.1", "shared.expert.0"):
                    expected.update(layer(f"level.{j}.{owner}.0", 6, width))
                for owner in ("task.ctr", "task.cvr", "shared")[:3 - j]:
                    expected[f"level.{j}.{owner}.gate.logit.weight"] = (3, width)
            self.assertEqual(found, {**expected, **towers(6)})
        found = Model(contract(mtl.stem(1, 1, LAYER), [mtl.sparse("city", mtl.index_lookup())])).expected_tensors()
        self.assertEqual(found["level.0.shared.expert.0.0.weight"], (6, None))

    def test_aitm(self):
        own = {**layer("task.ctr.bottom.0", 6, 5), **layer("task.cvr.bottom.0", 6, 5)}
        info = mtl.mlp([3, 6], bias=False)
        own.update({"task.cvr.info.0.weight": (3, 6), "task.cvr.info.1.weight": (6, 3)})
        parts = ("query", "key", "value")
        self.assert_tensors(mtl.aitm(LAYER, info), {**own, **{f"task.cvr.attention.{p}.weight": (6, 6) for p in parts}}, 6)
        shared = {k: v for p in parts for k, v in layer(f"shared.attention.{p}", 6, 6).items()}
        self.assert_tensors(mtl.aitm(LAYER, info, attention=mtl.attention(bias=True, shared=True)), {**own, **shared}, 6)

    def test_dbmtl(self):
        own = {"task.ctr.tower.logit.weight": (1, 4), "task.ctr.tower.logit.bias": (1,),
               "task.cvr.tower.logit.weight": (1, 3), "task.cvr.tower.logit.bias": (1,), "embedding.city.weight": (10, 4)}
        architecture = mtl.dbmtl(bottom=mtl.mlp([7]), num_experts=2, expert=LAYER, mlps={"ctr": mtl.mlp([4])},
                                 relations={"cvr": mtl.relation(["ctr"], [3], bias=False)})
        self.assertEqual(Model(contract(architecture)).expected_tensors(), {
            **own, **layer("shared.bottom.0", 7, 5), **layer("level.0.expert.0.0", 6, 7), **layer("level.0.expert.1.0", 6, 7),
            "level.0.task.ctr.gate.logit.weight": (2, 7), "level.0.task.cvr.gate.logit.weight": (2, 7),
            **layer("task.ctr.mlp.0", 4, 6), "task.cvr.relation.0.weight": (3, 6 + 4)})
        self.assert_tensors(mtl.dbmtl(), {}, 5)
        found = Model(contract(mtl.dbmtl(relations={"cvr": mtl.relation(["ctr"])}))).expected_tensors()
        self.assertEqual(found["task.cvr.tower.logit.weight"], (1, 10))

    def test_towers_by_task(self):
        tasks = [mtl.binary("two", head="softmax"), mtl.multiclass("many", num_classes=5, tower=mtl.tower([3], logit_bias=False)),
                 mtl.product("both", of=["two", "two"])]
        found = Model(contract(features=[AGE], tasks=tasks)).expected_tensors()
        self.assertEqual(found, {**layer("task.two.tower.logit", 2, 1), **layer("task.many.tower.0", 3, 1),
                                 "task.many.tower.logit.weight": (5, 3)})

    def test_dense_features(self):
        features = [mtl.dense("v", width=3, embedding_dim=2, embedding_bias=True), mtl.dense("p", columns=["a", "b"])]
        found = Model(contract(features=features, tasks=[CTR])).expected_tensors()
        self.assertEqual(found, {"dense.v.weight": (2, 3), "dense.v.bias": (2,), **layer("task.ctr.tower.logit", 1, 4)})

    def test_concatenated_sequence(self):
        seen = mtl.sequence("seen", mtl.index_lookup(), 3, embedding_dim=4, combiner="concat", unused="head")
        found = Model(contract(features=[AGE, seen], tasks=[CTR])).expected_tensors()
        self.assertEqual(found, {"embedding.seen.weight": (None, 4), **layer("task.ctr.tower.logit", 1, 13)})

    def test_open_sizes(self):
        features = [AGE, mtl.sparse("city", mtl.index_lookup())]
        found = Model(contract(features=features, tasks=[CTR])).expected_tensors()
        self.assertEqual(found["embedding.city.weight"], (None, None))
        self.assertEqual(found["task.ctr.tower.logit.weight"], (1, None))
        found = Model(contract(features=features, tasks=[CTR]), {"embedding.city.weight": [[1.0, 2.0]]}).expected_tensors()
        self.assertEqual(found["task.ctr.tower.logit.weight"], (1, 3))


class Refused(unittest.TestCase):
    def assert_refused(self, message, **parts):
        with self.assertRaisesRegex(ModelError, message):
            Model(contract(**parts))

    def test_unknown_keys_everywhere(self):
        whole = contract(
            architecture={"type": "mmoe", "levels": [mtl.moe_level(1, mtl.mlp([2], normalization=mtl.batch_norm(),
                                                                             activation=[mtl.dice()]), gate=mtl.gate())],
                          "tower": mtl.tower([2])},
            features=[AGE, CITY, mtl.sequence("seen", mtl.index_lookup(), 3, weights=mtl.sequence_weights("w"))],
            tasks=[mtl.binary("ctr", tower=mtl.tower())], rank=mtl.rank_sum({"ctr": 1}))
        whole["examples"] = {"count": 1}
        Model(whole)

        def places(value, path):
            """Every object of the contract that has keys of its own."""
            if isinstance(value, dict):
                if path != "rank.weights":
                    yield value, path
                for key, v in value.items():
                    yield from places(v, f"{path}.{key}" if path else key)
            elif isinstance(value, list):
                for i, v in enumerate(value):
                    yield from places(v, f"{path}.{i}")

        count = len(list(places(whole, "")))
        self.assertEqual(count, 19)
        for i in range(count):
            changed = copy.deepcopy(whole)
            place, path = list(places(changed, ""))[i]
            place["colour"] = 1
            key = f"{path}.colour" if path else "colour"
            with self.subTest(key), self.assertRaisesRegex(ModelError, f'^unknown key "{key}", known here are "'):
                Model(changed)

    def test_null_is_absent_and_provenance_is_free(self):
        Model({**contract(), "rank": None, "input": None, "provenance": {"anything": {"goes": [1, None]}}})

    def test_format(self):
        for value, message in ((2, "the model has format 2, this module knows formats up to 1"),
                               (None, 'key "format" is missing'), ("1", '"format" must be a number, found a string'),
                               (1.5, '"format" is 1.5, expected an integer')):
            with self.assertRaisesRegex(ModelError, f"^{message}$"):
                Model({**contract(), "format": value})

    def test_names(self):
        for name, message in (("", 'is "" of 0 bytes, expected 1 to 63'), ("é" * 32, "of 64 bytes, expected 1 to 63"),
                              ("a.b", "a name has neither dots nor control characters"),
                              ("a\n", "a name has neither dots nor control characters")):
            self.assert_refused(f'^"features.0.name" .*{message}', features=[mtl.dense(name)])
            self.assert_refused(f'^"tasks.0.name" .*{message}', tasks=[mtl.binary(name)])
        Model(contract(features=[mtl.dense("é" * 31)]))

    def test_names_are_distinct(self):
        self.assert_refused('^feature "age" appears twice$', features=[AGE, AGE])
        self.assert_refused('^task "ctr" appears twice$', tasks=[CTR, CTR])
        self.assert_refused('^column "age" appears twice$', features=[AGE, mtl.dense("pair", columns=["x", "age"])])
        self.assert_refused('^class of task "a" "b" appears twice$', tasks=[mtl.multiclass("a", classes=["b", "b"])])

    def test_features(self):
        for feature, message in (
            ({"name": "f", "kind": "dens"}, '"features.0.kind" is "dens", expected one of "dense", "sparse", "sequence"'),
            ({"name": "f", "kind": "sparse"}, 'key "features.0.lookup" is missing'),
            (mtl.dense("f", width=0), '"features.0.width" is 0, expected 1 to 65536'),
            (mtl.dense("f", columns=[]), '"features.0.columns" has 0 names'),
            (mtl.dense("f", width=3, columns=["a", "b"]), "has 2 names, expected the feature's width 3"),
            (mtl.dense("f", transform=mtl.standardize(0, 0)), '"features.0.transform.std" is 0, expected a positive number'),
            (mtl.dense("f", width=3, transform=mtl.standardize([1, 2], 1)), '"features.0.transform.mean" has 2 numbers, expected 3'),
            (mtl.dense("f", transform=[mtl.log1p(), mtl.min_max(2, 2)]),
             '"features.0.transform.1" has min 2 and max 2, expected min below max'),
            (mtl.dense("f", transform={"type": "min_max", "min": 1}), 'key "features.0.transform.max" is missing'),
            (mtl.dense("f", embedding_bias=True), '"features.0.embedding_bias" is true without "embedding_dim"'),
            (mtl.dense("f", missing="oov"), '"features.0.missing" is "oov", expected one of "error", "zero"'),
            (mtl.dense("f", missing={"value": "a"}), '"features.0.missing.value" must be a number, found a string'),
            (mtl.sparse("f", mtl.index_lookup(), oov="skip"), '"features.0.oov" is "skip", expected one of "error", "zero"'),
            (mtl.sparse("f", mtl.index_lookup(precision="float16")), '"features.0.lookup.precision" is "float16", expected one of "double", "float32"'),
            (mtl.sparse("f", {"type": "hash", "precision": "float32"}), 'unknown key "features.0.lookup.precision"'),
            (mtl.sparse("f", mtl.vocabulary_lookup(offset=-1)), '"features.0.lookup.offset" is -1, expected 0 to 2147483647'),
            (mtl.sparse("f", {"type": "hash", "function": "md5"}), '"features.0.lookup.function" is "md5", expected one of "farmhash64"'),
            (mtl.sparse("f", mtl.hash_lookup(mask_zero=True, num_buckets=1)), '"features.0.lookup.num_buckets" is 1, expected 2 to'),
            (mtl.sequence("f", mtl.index_lookup(), 0), '"features.0.max_length" is 0, expected 1 to 65536'),
            (mtl.sequence("f", mtl.index_lookup(), 5, unused="head"), 'unknown key "features.0.unused"'),
            (mtl.sequence("f", mtl.index_lookup(), 5, combiner="concat", unused="left"), '"features.0.unused" is "left", expected one of'),
            (mtl.sequence("f", mtl.index_lookup(), 5, combiner="concat", epsilon=1), 'unknown key "features.0.epsilon"'),
            (mtl.sequence("f", mtl.index_lookup(), 5, combiner="concat", weights=mtl.sequence_weights("w")), 'unknown key "features.0.weights"'),
            (mtl.sequence("f", mtl.index_lookup(), 5, combiner="min"), '"features.0.combiner" is "min", expected one of'),
            (mtl.sequence("f", mtl.index_lookup(), 5, missing=0), '"features.0.missing" must be "error" or "empty" for a sequence'),
        ):
            with self.subTest(message):
                self.assert_refused(f"^(?=.*{message})", features=[feature])
        self.assert_refused('^features that share the embedding "t" say embedding_dim 4 and 5$',
                            features=[mtl.sparse(n, mtl.index_lookup(), embedding="t", embedding_dim=d)
                                      for n, d in (("a", 4), ("b", 5))])

    def test_input(self):
        self.assert_refused('^"input" names the unknown feature "cty"$', input=["age", "cty"])
        self.assert_refused('^"input" names 1 features, expected all 2$', input=["age"])
        self.assert_refused('^"input": feature "age" appears twice$', input=["age", "age"])

    def test_context(self):
        Model({**contract(), "context": ["age"]})
        Model({**contract(), "context": []})
        self.assert_refused('^"context" names the unknown feature "cty"$', context=["age", "cty"])
        self.assert_refused('^"context": feature "age" appears twice$', context=["age", "age"])

    def test_tasks(self):
        self.assert_refused("^0 outputs, expected 1 to 1000$", tasks=[mtl.binary("a", hidden=True)])
        self.assert_refused('^product "p" names "ctr", which is no task declared before it$',
                            tasks=[mtl.product("p", of=["ctr", "ctr"]), CTR])
        self.assert_refused('^"tasks.1.of" has 1 tasks, expected at least 2$', tasks=[CTR, mtl.product("p", of=["ctr"])])
        self.assert_refused('^product "p" names the multiclass task "m"$',
                            tasks=[CTR, mtl.multiclass("m", num_classes=2), mtl.product("p", of=["ctr", "m"])])
        self.assert_refused('^multiclass task "m" has 2 names in "classes" and num_classes 3$',
                            tasks=[mtl.multiclass("m", num_classes=3, classes=["a", "b"])])
        self.assert_refused('^key "tasks.0.num_classes" is missing$', tasks=[mtl.multiclass("m")])

    def test_rank(self):
        self.assert_refused('^"rank.weights" names "ctcvr", the outputs are "ctr", "cvr"$', rank=mtl.rank_sum({"ctcvr": 1}))
        self.assert_refused('^"rank.weights" is empty', rank=mtl.rank_product({}))
        self.assert_refused('^"rank.form" is "mean", expected one of "sum", "product"$',
                            rank={"form": "mean", "weights": {"ctr": 1}})

    def test_numbers_are_finite(self):
        self.assert_refused("^not JSON: ", features=[mtl.dense("f", missing=float("nan"))])
        self.assert_refused('^"features.0.missing" is outside the range of a double$', features=[mtl.dense("f", missing=10**400)])

    def test_architectures(self):
        for architecture, message in (
            ({"type": "moe"}, '"architecture.type" is "moe", expected one of "single_task", '),
            ({"type": "shared_bottom"}, 'key "architecture.bottom" is missing'),
            (mtl.shared_bottom(mtl.mlp([0])), '"architecture.bottom.hidden_units" is 0, expected 1 to 65536'),
            (mtl.shared_bottom(mtl.mlp([2], activation="softmax")), '"architecture.bottom.activation.type" is "softmax", expected one of'),
            (mtl.shared_bottom(mtl.mlp([2], activation=["relu", "relu"])), "has 2 activations, expected one for each of 1 layers"),
            (mtl.shared_bottom(mtl.mlp([2], normalization=mtl.layer_norm(epsilon=0))), "is 0, expected a positive number"),
            (mtl.asymmetric_sharing(LAYER, {"cvr": ["ctrr"]}), '"architecture.reads.cvr" names "ctrr", the tasks with a tower are "ctr", "cvr"'),
            (mtl.asymmetric_sharing(LAYER, {"cvr": ["cvr"]}), '"architecture.reads.cvr" names "cvr", a task reads its own vector once'),
            (mtl.asymmetric_sharing(LAYER, {"cvrr": ["ctr"]}), 'unknown key "architecture.reads.cvrr"'),
            (mtl.cross_stitch(LAYER, stitch_after=[1]), '"architecture.stitch_after" is 1, expected 0 to 0'),
            (mtl.sluice(LAYER, subspaces=4), "layer 0 of 6 units cannot be cut in 4 equal slices"),
            (mtl.sluice(mtl.mlp([4, 6])), r'"architecture.skip" needs layers of one size, found \[4, 6\]'),
            (mtl.sluice(mtl.mlp()), "is empty, a sluice network needs a layer"),
            ({**mtl.omoe(2, LAYER), "mix": "shared"}, 'unknown key "architecture.mix"'),
            ({**mtl.cgc(1, 1, LAYER), "num_levels": 1}, 'unknown key "architecture.num_levels"'),
            (mtl.mmoe(2, LAYER, levels=[mtl.moe_level(2, LAYER)]), 'unknown key "architecture.num_experts"'),
            (mtl.mmoe(levels=[]), '"architecture.levels" has 0 levels, expected 1 to 64'),
            (mtl.mmoe(levels=[mtl.moe_level(1, LAYER, mix="shared")]), '"architecture.levels.0.mix" is "shared" on the last level'),
            (mtl.mmoe(levels=[mtl.moe_level(1, LAYER, mix=m) for m in ("task", "shared", "task")]),
             '"architecture.levels.1.mix" is "shared" after a level with "task"'),
            (mtl.mmoe(1, LAYER, gate=mtl.gate(temperature=0)), '"architecture.gate.temperature" is 0, expected a positive number'),
            (mtl.cgc(0, [1, 0], LAYER), 'gate "level.0.task.cvr.gate" has no experts'),
            (mtl.cgc(1, [1], LAYER), "has 1 numbers, expected one for each of 2 tasks"),
            (mtl.dbmtl(expert=LAYER), 'unknown key "architecture.expert"'),
            (mtl.dbmtl(num_experts=2), 'key "architecture.expert" is missing'),
            (mtl.dbmtl(mlps={"cvrr": LAYER}), 'unknown key "architecture.mlps.cvrr"'),
            (mtl.dbmtl(relations={"cvrr": LAYER}), 'unknown key "architecture.relations.cvrr"'),
            (mtl.dbmtl(relations={"cvr": mtl.relation(["x"])}), '"architecture.relations.cvr.reads" names "x", the tasks with a tower are'),
            (mtl.dbmtl(relations={"cvr": mtl.relation(["cvr"])}), '"architecture.relations.cvr.reads" names "cvr", a task reads its own'),
            (mtl.dbmtl(relations={"ctr": mtl.relation(["cvr"])}),
             '"architecture.relations.ctr.reads" names task "cvr", which is not declared before "ctr"'),
            (mtl.stem(1, 1, LAYER), 'the vector of feature "age" has 1 numbers, expected a multiple of 3: a slice for each of 2 tasks and a shared one'),
            ({"type": "aitm", "bottom": LAYER}, 'key "architecture.info" is missing'),
            (mtl.aitm(LAYER, mtl.mlp([5])), '"architecture.info" ends with 5 units, expected 6 as "architecture.bottom" has'),
            (mtl.aitm(LAYER, LAYER, attention={"heads": 2}), 'unknown key "architecture.attention.heads", known here are "bias", "shared"'),
            (mtl.ple(0, 1, LAYER, num_levels=2, shared_gate="shared"), 'gate "level.0.shared.gate" has no experts'),
        ):
            with self.subTest(message):
                self.assert_refused(f"^(?=.*{message})", architecture=architecture)


if __name__ == "__main__":
    unittest.main()
