"""What the tests of importers share: the cases in test/import, which hold what the libraries saved."""

import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

import mtl_rank as mtl
from mtl_rank.checkpoints import read_checkpoint

CASES = os.path.join(HERE, "..", "..", "test", "import", "cases")


def load_case(name, suffix="pth"):
    """A checkpoint, its configuration and its examples."""
    folder = os.path.join(CASES, name)
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    checkpoint = read_checkpoint(os.path.join(folder, f"checkpoint.{suffix}"))
    return checkpoint, config, mtl.read_examples(os.path.join(folder, "examples.jsonl"))


class ImportCase(unittest.TestCase):
    def assert_refused(self, checkpoint, config, *texts, **arguments):
        with self.assertRaises(mtl.ModelError) as caught:
            mtl.import_model(checkpoint, config, **arguments)
        for text in texts:
            self.assertIn(text, str(caught.exception))

    def assert_all_needed(self, checkpoint, config):
        """Each tensor is missed by its name when it is taken away alone, unless it is left out anyway."""
        used = mtl.importers.import_checkpoint(checkpoint, config).used
        self.assertTrue(used)
        for name in used:
            tensor = checkpoint.tensors.pop(name)
            self.assert_refused(checkpoint, config, f'tensor "{name}" is missing')
            checkpoint.tensors[name] = tensor
