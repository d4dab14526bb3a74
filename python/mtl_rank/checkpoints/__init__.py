"""Reads what training libraries save: names and arrays, and nothing that could run.

    checkpoint = read_checkpoint("model.pth")       # state dicts of PyTorch, .pdparams, Keras .h5, safetensors, .npz

A checkpoint is somebody else's file. Pickles are read by a machine of our own that calls nothing (pickles.py); sizes and
offsets are checked before they are used.
"""

from .checkpoint import Checkpoint, CheckpointError
from .formats import from_mapping, read_checkpoint

__all__ = ["Checkpoint", "CheckpointError", "from_mapping", "read_checkpoint"]
