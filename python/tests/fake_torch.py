"""Modules that look like PyTorch's to TorchExport, so that its tests need no PyTorch."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Optional, Tuple

import numpy as np


class Module:
    training = False

    def __init__(self, **attributes: Any):
        self.parts: Dict[str, Any] = {}
        for name, value in attributes.items():
            setattr(self, name, value)
            if isinstance(value, (Module, np.ndarray)):
                self.parts[name] = value

    def children(self) -> Iterator["Module"]:
        return iter(part for part in self.parts.values() if isinstance(part, Module))

    def named_modules(self, prefix: str = "") -> Iterator[Tuple[str, "Module"]]:
        yield prefix, self
        for name, part in self.parts.items():
            if isinstance(part, Module):
                yield from part.named_modules(f"{prefix}.{name}" if prefix else name)

    def state_dict(self) -> Dict[str, np.ndarray]:
        state: Dict[str, np.ndarray] = {}
        for name, part in self.parts.items():
            if isinstance(part, Module):
                state.update({f"{name}.{inner}": value for inner, value in part.state_dict().items()})
            else:
                state[name] = part
        return state


def numbers(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype="f4").reshape(shape) / 100


class Sequential(Module):
    def __init__(self, *modules: Module):
        super().__init__(**{str(i): module for i, module in enumerate(modules)})


class Linear(Module):
    def __init__(self, inputs: int, units: int, bias: bool = True):
        super().__init__(out_features=units, weight=numbers(units, inputs), bias=numbers(units) if bias else None)


class BatchNorm1d(Module):
    def __init__(self, units: int, eps: float = 1e-5, statistics: bool = True):
        super().__init__(eps=eps, weight=numbers(units), bias=numbers(units), num_batches_tracked=np.array(7),
                         running_mean=numbers(units) if statistics else None, running_var=numbers(units) if statistics else None)


class Embedding(Module):
    def __init__(self, rows: int, dim: int, max_norm: Optional[float] = None):
        super().__init__(weight=numbers(rows, dim), max_norm=max_norm)


class PReLU(Module):
    def __init__(self) -> None:
        super().__init__(weight=numbers(1))


class ReLU(Module):
    pass


class Softmax(Module):
    pass


class Sigmoid(Module):
    pass


class Dropout(Module):
    pass


class GRU(Module):
    pass
