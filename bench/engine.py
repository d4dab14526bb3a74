#!/usr/bin/python3
"""Time per row inside the engine, over the multiply-adds of the model at the rate that this CPU reaches with nothing else
to do, measured in the same run.

usage: engine.py [--models SMLER] [--batches 1,8,64,256] [--kernels auto,avx2] [--rounds 15] NAME=MODULE.so...

Each MODULE is what "make engine-module" builds; with several of them, as of two commits, their times are compared with those
of the first. Everything takes turns, and medians are printed. The server is the one that psql connects to (PGHOST, ...), as
a superuser.
"""

import argparse
import json
import statistics

import models
from session import Session

ROWS = 1024
SECONDS = 0.02      # of one measurement

SETUP = """
DROP TABLE IF EXISTS engine_models;
CREATE UNLOGGED TABLE engine_models (name text, file bytea, features jsonb[]);
"""

TIME = "CREATE OR REPLACE FUNCTION {name}_time(bytea, jsonb[], int, text, float8) RETURNS float8 LANGUAGE c AS '{path}', 'engine_time';"
PEAK = """
CREATE OR REPLACE FUNCTION peak(text) RETURNS float8 LANGUAGE c AS '{path}', 'fma_peak';
CREATE OR REPLACE FUNCTION kernels() RETURNS text[] LANGUAGE c AS '{path}', 'engine_kernels';
"""


def load_models(session, names):
    session.run(SETUP)
    sizes = {}
    for name in names:
        model = models.make(name)
        sizes[name] = models.multiply_adds(name, model)
        rows = ", ".join("'%s'" % json.dumps(r) for r in models.rows(name, ROWS))
        session.run("INSERT INTO engine_models VALUES ('%s', '\\x%s', ARRAY[%s]::jsonb[]);" % (name, model.to_bytes().hex(), rows))
    return sizes


def measure(session, options, modules):
    """Medians of microseconds per row by (module, kernel, model, batch), and of the peaks by kernel."""
    times, peaks = {}, {}
    for _ in range(options.rounds):
        for wide in ("avx2", "avx512", "neon"):
            if wide in session.ask("SELECT kernels()"):
                peaks.setdefault(wide, []).append(float(session.ask("SELECT peak('%s')" % wide)))
        for model in options.models:
            for batch in options.batches:
                for kernel in options.kernels:
                    for module in modules:
                        query = "SELECT %s_time(file, features, %d, '%s', %g) FROM engine_models WHERE name = '%s'" % (
                            module, batch, kernel, SECONDS, model)
                        times.setdefault((module, kernel, model, batch), []).append(float(session.ask(query)))
    return ({k: statistics.median(v) for k, v in times.items()}, {k: statistics.median(v) for k, v in peaks.items()})


def prepare(session, models_wanted, modules):
    """modules: (name, path) pairs. Multiply-adds of the models."""
    sizes = load_models(session, models_wanted)
    for name, path in modules:
        session.run(TIME.format(name=name, path=path))
    session.run(PEAK.format(path=modules[-1][1]))
    return sizes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default="SMLER")
    parser.add_argument("--batches", default="1,8,64,256", type=lambda s: [int(b) for b in s.split(",")])
    parser.add_argument("--kernels", default="auto", type=lambda s: s.split(","))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("modules", nargs="+")
    options = parser.parse_args()
    modules = [m.split("=", 1) for m in options.modules]

    session = Session()
    sizes = prepare(session, options.models, modules)
    names = [name for name, _ in modules]
    times, peaks = measure(session, options, names)

    best = max(peaks.values())
    print("multiply-adds per microsecond at the most: %s" % ", ".join("%s %.0f" % p for p in peaks.items()))
    print("%-6s %5s %-9s %10s  %s" % ("model", "rows", "kernels", "limit, us", "".join("%22s" % n for n in names)))
    for model in options.models:
        limit = sizes[model] / best
        for batch in options.batches:
            for kernel in options.kernels:
                first = times[names[0], kernel, model, batch]
                cells = ["%9.3f %5.2f %6.2fx" % (t, t / limit, first / t) for t in (times[n, kernel, model, batch] for n in names)]
                print("%-6s %5d %-9s %10.3f  %s" % (model, batch, kernel, limit, "".join("%22s" % c for c in cells)))
    print("each cell: us per row, that over the limit, and how many times as fast as the first module")


if __name__ == "__main__":
    main()
