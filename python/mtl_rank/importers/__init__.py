"""Turns checkpoints of training libraries into models, one module per library.

    model = import_model("model.pth", config, examples)

An importer is a Library: it recognises its checkpoints by the names of their tensors, derives every size from shapes, and
takes from the configuration what shapes cannot tell. What all importers share is in translation.py and
configuration.py. To add a library, write its module and list it in catalog.py.
"""

from .catalog import LIBRARIES, import_checkpoint, import_model, recognise
from .library import Library

__all__ = ["LIBRARIES", "Library", "import_checkpoint", "import_model", "recognise"]
