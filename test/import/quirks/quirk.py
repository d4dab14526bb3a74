"""One quirk."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Callable

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "python"))

from mtl_rank import Model    # noqa: E402
from mtl_rank.checkpoints import Checkpoint, read_checkpoint    # noqa: E402


@dataclass(frozen=True)
class Quirk:
    """name: what the library does. case: whose model shows it.

    forget: changes that model, given with its checkpoint, to what an importer would write that did not know.
    """

    name: str
    case: str
    forget: Callable[[Model, Checkpoint], None]

    def write_without(self, model_path: str, checkpoint_path: str, target: str) -> None:
        model = Model.load(model_path)
        self.forget(model, read_checkpoint(checkpoint_path))
        model.save(target)
