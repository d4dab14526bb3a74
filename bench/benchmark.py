#!/usr/bin/python3
"""The benchmark: scoring inside PostgreSQL, compared with the limits of the machine and with everybody else.

usage: benchmark.py --module engine_module.so --results FOLDER [--parts query,ranking,...] [--models SMLE] [--rounds 9] [--quick]

MODULE is what "make engine-module" builds. The server is the one that libpq's environment names (PGHOST, ...), on this machine, as
a superuser; tables and models are made in its database. Results are a page in Markdown with plots, and the numbers as JSON.
"""

import argparse
import importlib
import json
import os
import pathlib
import tempfile
import time

import machine
import report
from peers.available import Peers
from server import CORE, Connection

PARTS = ["query", "ranking", "sessions", "growth", "engine", "precision", "train", "connections"]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", required=True)
    parser.add_argument("--results", required=True, type=pathlib.Path)
    parser.add_argument("--npm", help="the folder where npm has installed onnxruntime-node")
    parser.add_argument("--parts", default=",".join(PARTS), type=lambda s: s.split(","))
    parser.add_argument("--models", default="SMLE")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int, help="of each measurement of sessions")
    parser.add_argument("--quick", action="store_true", help="few rows and rounds: to see it work")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    options.divisor = 10 if options.quick else 1
    options.rounds = options.rounds or (3 if options.quick else 9)
    options.seconds = options.seconds or (4 if options.quick else 10)
    return options


def main():
    options = parse_options()
    os.sched_setaffinity(0, {CORE})
    options.results.mkdir(parents=True, exist_ok=True)
    connection = options.connection = Connection()
    connection.run("CREATE EXTENSION IF NOT EXISTS mtl_rank")
    machine.create_functions(connection, options.module)
    options.peak = machine.Peak(connection)
    results = {"quick": options.quick, "rounds": options.rounds, "parts": {}}
    with tempfile.TemporaryDirectory(prefix="mtl_rank_bench.") as folder:
        peers = Peers(connection, options.npm, pathlib.Path(folder))
        for part in options.parts:
            start = time.monotonic()
            results["parts"][part] = importlib.import_module(f"parts.{part}").run(options, peers)
            print(f"{part}: {time.monotonic() - start:.0f} s", flush=True)
            page = save(options, peers, results)
    print(page.read_text())


def save(options, peers, results):
    """What there is so far: a part that fails shall not take the others with it."""
    now = machine.Peak(options.connection)      # not the first one's connection: a part may have started the server again
    now.measure()
    options.peak.add(now)
    results["machine"] = machine.describe(options.connection, options.peak)
    if peers.runtime:
        results["machine"]["ONNX Runtime"] = peers.runtime.version
    results["missing"] = peers.missed
    (options.results / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return report.write(results, options.results)


if __name__ == "__main__":
    main()
