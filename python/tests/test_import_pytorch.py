"""TorchExport: hand-written modules, described part by part."""

import os
import sys
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import fake_torch as nn
import mtl_rank as mtl

FEATURES = [mtl.sparse("item", mtl.index_lookup()), mtl.dense("price")]
TASKS = [mtl.binary("ctr"), mtl.binary("cvr")]


def shared_bottom(**more):
    return nn.Module(
        item=nn.Embedding(5, 3),
        bottom=nn.Sequential(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6, eps=1e-3), nn.PReLU(), nn.Dropout(),
                             nn.Linear(6, 2), nn.ReLU()),
        ctr=nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()),
        cvr=nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()),
        **more,
    )


def export_parts(export, net):
    export.embedding("item", net.item)
    bottom = export.mlp("shared.bottom", net.bottom)
    tower = export.same([export.tower(task, getattr(net, task)) for task in ("ctr", "cvr")])
    return mtl.shared_bottom(bottom, tower=tower)


class TorchExportTest(unittest.TestCase):
    def assert_refused(self, text, function, *arguments):
        with self.assertRaises(mtl.ModelError) as caught:
            function(*arguments)
        self.assertIn(text, str(caught.exception))

    def test_layers_keep_what_they_are(self):
        net = shared_bottom()
        export = mtl.TorchExport(net)
        model = export.finish(export_parts(export, net), FEATURES, TASKS)
        self.assertEqual(model.contract["architecture"]["bottom"], {
            "hidden_units": [6, 2], "activation": ["prelu", "relu"], "bias": [False, True],
            "normalization": [{"type": "batch_norm", "epsilon": 1e-3}, None],
        })
        np.testing.assert_array_equal(model.tensors["shared.bottom.1.weight"], getattr(net.bottom, "4").weight)
        np.testing.assert_array_equal(model.tensors["shared.bottom.0.norm.running_var"], getattr(net.bottom, "1").running_var)

    def test_functions_of_forward(self):
        net = nn.Module(first=nn.Linear(4, 3), second=nn.Linear(3, 2))
        bottom = mtl.TorchExport(net).mlp("shared.bottom", [net.first, net.second], "tanh")
        self.assertEqual(bottom, {"hidden_units": [3, 2], "activation": "tanh"})

    def test_norm_after_the_activation(self):
        net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.BatchNorm1d(3))
        self.assertEqual(mtl.TorchExport(net).mlp("shared.bottom", net)["normalization"],
                         {"type": "batch_norm", "epsilon": 1e-5, "position": "after_activation"})

    def test_gate(self):
        net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False), nn.Softmax())
        self.assertEqual(mtl.TorchExport(net).gate("level.0.task.ctr.gate", net), {"hidden_units": [3], "activation": "relu"})

    def test_left_over_parameter(self):
        net = shared_bottom(auxiliary=nn.Linear(2, 1))
        export = mtl.TorchExport(net)
        architecture = export_parts(export, net)
        self.assert_refused('tensor "auxiliary.weight" of shape [1, 2] is not used', export.finish, architecture, FEATURES, TASKS)
        export.leave_out("auxiliary.")
        self.assertEqual(export.finish(architecture, FEATURES, TASKS).outputs, ["ctr", "cvr"])

    def test_forgotten_part(self):
        net = shared_bottom()
        export = mtl.TorchExport(net)
        bottom = export.mlp("shared.bottom", net.bottom)
        export.embedding("item", net.item)
        tower = export.tower("ctr", net.ctr)
        self.assert_refused('tensor "task.cvr.tower.logit.weight" of shape [1, 2] is missing', export.finish,
                            mtl.shared_bottom(bottom, tower=tower), FEATURES, TASKS)

    def test_no_counterpart(self):
        net = nn.Sequential(nn.Linear(4, 3), nn.GRU())
        self.assert_refused('module "1" (GRU) has no counterpart in the contract', mtl.TorchExport(net).mlp, "shared.bottom", net)

    def test_order_of_modules(self):
        net = nn.Sequential(nn.ReLU(), nn.Linear(4, 3))
        self.assert_refused('module "0" (ReLU) comes before the first linear layer', mtl.TorchExport(net).mlp, "shared.bottom", net)
        net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.PReLU())
        self.assert_refused('module "2" (PReLU) is the second activation', mtl.TorchExport(net).mlp, "shared.bottom", net)
        net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3))
        self.assert_refused('module "2" (BatchNorm1d) is the second normalization', mtl.TorchExport(net).mlp, "shared.bottom", net)

    def test_batch_statistics(self):
        net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3, statistics=False))
        self.assert_refused("keeps no running statistics", mtl.TorchExport(net).mlp, "shared.bottom", net)

    def test_training_mode(self):
        net = shared_bottom()
        net.training = True
        self.assert_refused("call net.eval()", mtl.TorchExport, net)

    def test_foreign_module(self):
        self.assert_refused("a Linear is no part of the module that is exported",
                            mtl.TorchExport(shared_bottom()).mlp, "shared.bottom", nn.Linear(4, 3))

    def test_embedding(self):
        net = nn.Module(item=nn.Embedding(5, 3, max_norm=1.0), linear=nn.Linear(1, 1))
        self.assert_refused("has max_norm", mtl.TorchExport(net).embedding, "item", net.item)
        self.assert_refused('module "linear" (Linear) is no table', mtl.TorchExport(net).embedding, "item", net.linear)

    def test_different_experts(self):
        self.assert_refused("they must be alike", mtl.TorchExport(shared_bottom()).same, [mtl.mlp([3]), mtl.mlp([4])])

    def test_tower_that_ends_otherwise(self):
        net = nn.Sequential(nn.Linear(4, 1), nn.ReLU())
        self.assert_refused('the tower of task "ctr" ends with more than', mtl.TorchExport(net).tower, "ctr", net)


if __name__ == "__main__":
    unittest.main()
