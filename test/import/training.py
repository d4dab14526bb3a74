"""Trains small PyTorch models of the libraries: enough steps that weights, and statistics of batch norms, differ from their start."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import numpy as np
import torch

BATCH = 256
STEPS = 60
SEED = 11


def seed() -> None:
    """Before a model is made, so that a script makes the same cases each time."""
    torch.manual_seed(SEED)
    np.random.seed(SEED)


def train(model: Any, forward: Callable[[np.ndarray], Any], labels: np.ndarray, columns: Sequence[int], steps: int = STEPS) -> None:
    """Adam on the mean squared distance of scores and labels, which suits any kind of score.

    forward(rows): scores (rows, outputs) of the rows with these numbers. columns: per output, its label.
    """
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    order = np.random.default_rng(SEED)
    for _ in range(steps):
        rows = order.choice(len(labels), BATCH, replace=False)
        scores = forward(rows)
        target = torch.from_numpy(labels[rows][:, list(columns)])
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(scores.reshape(target.shape), target).backward()
        optimizer.step()
    model.eval()


def spread_norms(model: Any) -> None:
    """Gives batch norms scales, shifts and statistics far from 1 and 0, so that one that was left out would show."""
    generator = torch.Generator().manual_seed(SEED)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            with torch.no_grad():
                for tensor, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5),
                                          (module.running_mean, -0.5, 0.5), (module.running_var, 0.3, 2.0)):
                    if tensor is not None:
                        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
