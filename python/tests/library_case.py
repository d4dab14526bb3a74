"""What a training library saved, from the cases of test/import, to be changed and imported."""

import contextlib
import json
import os
import re

from mtl_rank import ModelError
from mtl_rank.checkpoints import from_mapping, read_checkpoint
from mtl_rank.importers import import_checkpoint

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "import", "cases")


class LibraryCase:
    """tensors and config may be changed before model()."""

    def __init__(self, name):
        self.folder = os.path.join(CASES, name)
        file_name = next(entry for entry in os.listdir(self.folder) if entry.startswith("checkpoint."))
        self.tensors = read_checkpoint(os.path.join(self.folder, file_name)).tensors
        with open(os.path.join(self.folder, "config.json"), encoding="utf-8") as file:
            self.config = json.load(file)

    def imported(self, library=None):
        return import_checkpoint(from_mapping(self.tensors, "checkpoint"), self.config, library)

    def model(self):
        return self.imported().model

    def rename(self, pattern, replacement):
        self.tensors = {re.sub(pattern, replacement, name): value for name, value in self.tensors.items()}

    @contextlib.contextmanager
    def refused(self, test, *parts):
        """The import fails, with a text that has all these parts, after what the block has changed."""
        yield
        with test.assertRaises(ModelError) as caught:
            self.model()
        for part in parts:
            test.assertIn(part, str(caught.exception))
