"""The libraries, and how a checkpoint finds its importer."""

from __future__ import annotations

import os
from typing import Any, List, Mapping, Optional, Sequence, Union

from ..checkpoints import Checkpoint, CheckpointError, from_mapping, read_checkpoint
from ..errors import ModelError
from ..model import Model
from ..reader import quoted
from . import deepctr, deepctr_torch, fuxictr, mtrec, paddlerec, torch_easyrec, torch_rechub
from .configuration import Configuration
from .library import Library
from .translation import Translation
from .unusable import refuse_unusable

LIBRARIES: List[Library] = [
    deepctr.LIBRARY,
    deepctr_torch.LIBRARY,
    torch_rechub.LIBRARY,
    mtrec.LIBRARY,
    fuxictr.FUXICTR,
    fuxictr.STEM,
    paddlerec.LIBRARY,
    torch_easyrec.LIBRARY,
]

Source = Union[str, "os.PathLike[str]", Mapping[str, Any], Checkpoint]


def library_named(name: str) -> Library:
    for library in LIBRARIES:
        if library.name == name:
            return library
    raise ModelError(f'"{name}" is no known library, expected one of {quoted([library.name for library in LIBRARIES])}')


def recognise(checkpoint: Checkpoint) -> Library:
    """The library that made the checkpoint, by the names of its tensors."""
    refuse_unusable(checkpoint)
    found = [library for library in LIBRARIES if library.recognise(checkpoint)]
    if len(found) == 1:
        return found[0]
    names = quoted([library.name for library in (found or LIBRARIES)])
    begin = ", ".join(list(checkpoint)[:8])
    if found:
        raise CheckpointError(f'{checkpoint.source}: could be from {names}; say "library" in the configuration')
    raise CheckpointError(
        f"{checkpoint.source}: from none of the known libraries ({names}); its tensors begin with {begin}. "
        f"For a module of your own, see docs/import/pytorch.md"
    )


def import_checkpoint(checkpoint: Checkpoint, config: Mapping[str, Any], library: Optional[str] = None) -> "Imported":
    """A model from a checkpoint that was read already, and what the import did."""
    # Names are looked up in an index, and the caller may have changed them since his was made.
    checkpoint = Checkpoint(checkpoint.tensors, checkpoint.source, checkpoint.attributes)
    name = library or (config.get("library") if isinstance(config, Mapping) else None)
    if name is None:
        chosen = recognise(checkpoint)
    else:
        chosen = library_named(name)
        refuse_unusable(checkpoint)
        if not (chosen.accept or chosen.recognise)(checkpoint):
            others = [other.title for other in LIBRARIES if other.recognise(checkpoint)]
            raise CheckpointError(f"{checkpoint.source}: not a model of {chosen.title}"
                                  + (f"; it looks like one of {' or '.join(others)}" if others else ""))
    configuration = Configuration(config, chosen.questions, chosen.options)
    translation = Translation(checkpoint)
    return Imported(chosen.translate(translation, configuration), chosen, translation, configuration)


class Imported:
    """The result: a model, and what to tell about how it came about."""

    def __init__(self, model: Model, library: Library, translation: Translation, configuration: Configuration):
        self.model = model
        self.library = library
        self.used = list(translation.used)
        self.ignored = translation.ignored
        self.tolerance = float(configuration.extra("tolerance", 1e-6))


def import_model(
    source: Source, config: Mapping[str, Any], examples: Sequence[Mapping[str, Any]] = (), library: Optional[str] = None
) -> Model:
    """A model from a file, or from a state dict in memory.

    examples: as read_examples() gives them, each {"features": {...}, "scores": {output: score}}: rows, and what the
    library itself computed for them. Without examples the server cannot prove that it computes the same.
    """
    if isinstance(source, Checkpoint):
        checkpoint = source
    elif isinstance(source, Mapping):
        checkpoint = from_mapping(source)
    else:
        checkpoint = read_checkpoint(source)
    imported = import_checkpoint(checkpoint, config, library)
    if examples:
        attach(imported.model, examples, imported.tolerance)
    return imported.model


def attach(model: Model, examples: Sequence[Mapping[str, Any]], tolerance: float) -> None:
    """Attaches examples by the names of the outputs."""
    outputs = model.outputs
    scores = []
    for i, example in enumerate(examples):
        given = example["scores"]
        if sorted(given) != sorted(outputs):
            raise ModelError(f"example {i} has scores for {quoted(sorted(given))}, the model's outputs are {quoted(outputs)}")
        scores.append([given[output] for output in outputs])
    model.attach_examples([example["features"] for example in examples], scores, tolerance)
