"""Random choices from a seed: the same on every machine, whatever PYTHONHASHSEED is."""

import numpy as np


class Draw:
    def __init__(self, *seed):
        self.random = np.random.default_rng(list(seed))

    def chance(self, p):
        return bool(self.random.random() < p)

    def integer(self, low, high):
        """An integer of low..high, both included."""
        return int(self.random.integers(low, high, endpoint=True))

    def uniform(self, low, high):
        """A number of few decimals, so that contracts stay readable."""
        return round(float(self.random.uniform(low, high)), 4)

    def pick(self, choices):
        return choices[self.integer(0, len(choices) - 1)]

    def shuffled(self, items):
        return [items[i] for i in self.random.permutation(len(items))]

    def option(self, spec, key, value, default=None):
        """Sets a key; a default may be written out, left out or be null."""
        is_default = type(value) is type(default) and value == default
        if not is_default or self.chance(0.3):
            if value is not None:
                spec[key] = value
        elif self.chance(0.1):
            spec[key] = None
