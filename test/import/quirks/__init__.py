"""The quirks of the libraries: for each, a case and how its model would look if an importer did not know the quirk.

A module per library has QUIRKS, a list of Quirk. To add a library, write its module and list it here.
"""

from __future__ import annotations

from typing import List

from . import deepctr, deepctr_torch, fuxictr, mtrec, paddlerec, torch_easyrec, torch_rechub
from .quirk import Quirk

_MODULES = (deepctr, deepctr_torch, fuxictr, mtrec, paddlerec, torch_easyrec, torch_rechub)

ALL: List[Quirk] = [quirk for module in _MODULES for quirk in module.QUIRKS]


def uncovered() -> str:
    """Names the libraries without a quirk; nothing when all have some."""
    empty = [module.__name__ for module in _MODULES if not module.QUIRKS]
    return f"no quirks in {', '.join(empty)}" if empty else ""
