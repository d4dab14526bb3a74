"""What an importer is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Dict, Optional

from ..checkpoints import Checkpoint
from ..model import Model
from .configuration import Configuration
from .translation import Translation


@dataclass(frozen=True)
class Library:
    """A training library whose models can be imported.

    name: as in the configuration. title: as its users write it, with the version that was read. recognise: whether a
    checkpoint is one of its models. translate: makes the model; questions: the keys of the configuration besides the
    common ones that it needs, each with what it means; options: those that it can do without. accept: whether a checkpoint
    can be one of its models if the user says so, where that is more than what it recognises: a fork's are like the original's.
    """

    name: str
    title: str
    recognise: Callable[[Checkpoint], bool]
    translate: Callable[[Translation, Configuration], Model]
    questions: Dict[str, str] = field(default_factory=dict)
    options: Dict[str, str] = field(default_factory=dict)
    accept: Optional[Callable[[Checkpoint], bool]] = None
