"""What the machine can do at the most, measured, and what it and its software are."""

import os
import pathlib
import platform
import statistics
import time

FUNCTIONS = """
CREATE OR REPLACE FUNCTION fma_peak(text) RETURNS float8 LANGUAGE c AS '{module}', 'fma_peak';
CREATE OR REPLACE FUNCTION engine_kernels() RETURNS text[] LANGUAGE c AS '{module}', 'engine_kernels';
CREATE OR REPLACE FUNCTION memory_read_rate(int) RETURNS float8 LANGUAGE c AS '{module}', 'memory_read_rate';
CREATE OR REPLACE FUNCTION read_array(real[]) RETURNS real LANGUAGE c STRICT IMMUTABLE PARALLEL SAFE AS '{module}', 'read_array';
"""
MEMORY_KILOBYTES = 512 * 1024


def create_functions(connection, module):
    connection.run(FUNCTIONS.format(module=module))


class Peak:
    """Multiply-adds per second of one core, measured whenever there is a moment."""

    def __init__(self, connection):
        self.connection = connection
        kernels = connection.value("SELECT engine_kernels()")
        self.kernels = [k for k in ("avx2", "avx512", "neon") if k in kernels]
        if not self.kernels:
            raise SystemExit("this CPU has no fused multiply-add")
        self.values = {k: [] for k in self.kernels}

    def add(self, other):
        for kernel in self.kernels:
            self.values[kernel] += other.values[kernel]

    def measure(self):
        for kernel in self.kernels:
            self.values[kernel].append(self.connection.value("SELECT fma_peak(%s)", kernel) * 1e6)

    def by_kernel(self):
        return {k: statistics.median(v) for k, v in self.values.items()}

    def best(self):
        return max(self.by_kernel().values())


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def describe(connection, peak):
    """What a reader needs to know to compare with another machine."""
    memory = statistics.median(connection.value("SELECT memory_read_rate(%s)", MEMORY_KILOBYTES) for _ in range(5))
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "mtl_rank": connection.value("SELECT extversion FROM pg_extension WHERE extname = 'mtl_rank'"),
        "PostgreSQL": connection.value("SHOW server_version").split()[0],
        "multiply-adds per second": peak.by_kernel(),
        "memory read, GB/s": memory,
    }
