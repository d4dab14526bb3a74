"""What the tests of importers share: the cases in test/import, which hold what the libraries saved."""

import contextlib
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))

import mtl_rank as mtl
from mtl_rank.checkpoints import from_mapping, read_checkpoint
from mtl_rank.importers import import_checkpoint

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


class LibraryCase:
    """A case to be changed: tensors and config first, then model()."""

    def __init__(self, name, suffix="pth"):
        checkpoint, self.config, _ = load_case(name, suffix)
        self.tensors = checkpoint.tensors

    def imported(self, library=None):
        return import_checkpoint(from_mapping(self.tensors, "checkpoint"), self.config, library)

    def model(self):
        return self.imported().model

    @contextlib.contextmanager
    def refused(self, test, *parts):
        """The import fails, with a text that has all these parts, after what the block has changed."""
        yield
        with test.assertRaises(mtl.ModelError) as caught:
            self.model()
        for part in parts:
            test.assertIn(part, str(caught.exception))
