"""Methods that take turns, so that whatever else the machine does meets all of them; and what is kept of their times."""

import ctypes
import dataclasses
import math
import os
import statistics
import time
import typing

import numpy as np

libc = ctypes.CDLL(None, use_errno=True)


def cpu_clock(pid):
    """The clock of the time that all threads of a process have had a CPU, in seconds."""
    clock = ctypes.c_int()
    error = libc.clock_getcpuclockid(pid, ctypes.byref(clock))
    if error:
        raise OSError(error, os.strerror(error))
    return lambda: time.clock_gettime(clock.value)


class Clocks:
    """Elapsed time, and the time that this process and the given ones have had a CPU."""

    def __init__(self, *pids):
        self.clocks = [time.process_time] + [cpu_clock(pid) for pid in pids]

    def now(self):
        return time.perf_counter(), sum(clock() for clock in self.clocks)

    def measure(self, run):
        start = self.now()
        run()
        end = self.now()
        return end[0] - start[0], end[1] - start[1]


class Times(typing.NamedTuple):
    elapsed: float
    cpu: float


@dataclasses.dataclass
class Method:
    """Something that scores rows."""
    name: str
    rows: int                           # of one run
    run: typing.Callable
    scores: typing.Callable = None      # of the first rows, as an array of (rows, outputs)
    tolerance: float = 0.0              # against our scores; 0: the same bits
    clock: str = "cpu"                  # which time counts; on an idle core they are the same
    difference: float = None            # the largest from our scores that was found

    def check(self, expected):
        """Nobody shall time a wrong result."""
        scores = np.asarray(self.scores(), np.float32)
        if scores.shape != expected.shape:
            raise SystemExit(f"{self.name}: scores of shape {scores.shape}, not {expected.shape}")
        self.difference = float(np.abs(scores - expected).max())
        if not self.difference <= self.tolerance:
            raise SystemExit(f"{self.name}: scores differ from ours by up to {self.difference:g}, more than {self.tolerance:g}")


def take_turns(methods, rounds, clocks, each_round=None):
    """Seconds per row: {name: [Times, ...]}, after one round that does not count."""
    times = {method.name: [] for method in methods}
    for i in range(rounds + 1):
        if each_round:
            each_round()
        for method in methods:
            elapsed, cpu = clocks.measure(method.run)
            if i > 0:
                times[method.name].append(Times(elapsed / method.rows, cpu / method.rows))
    return times


def median(times, clock="cpu"):
    return statistics.median(getattr(t, clock) for t in times)


def spread(times, clock="cpu"):
    """Half the distance between the quartiles, as a share of the median: how much to believe of the median. None of too few."""
    values = [getattr(t, clock) for t in times]
    if len(values) < 3:
        return None
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return (quartiles[2] - quartiles[0]) / 2 / quartiles[1]


def percentile(values, percent):
    """The value that so many percent are not above."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
