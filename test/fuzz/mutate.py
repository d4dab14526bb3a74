#!/usr/bin/python3
"""Writes a psql script that sends mutated models to the server, and calls fuzz_models() on them, chunk by chunk.

usage: mutate.py --seeds DIR --count N [--seed S] [--only=NUMBER]

DIR is what test/oracle/generate.py wrote; small models that together have every switch are mutated. A model depends on DIR, the
seed and its number alone: --only=NUMBER writes the file of that number to standard output, and its row to standard error. On top of
the N mutants come the seeds as they are and the models of extremes.py, with negative numbers.
"""

import argparse
import itertools
import json
import os
import queue
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "oracle"))

import mutations
from draw import Draw
from extremes import EXTREMES
from mutant import Mutant

CHUNK = 2500            # models between two looks at the memory, at most
BUFFERED = 4            # chunks that are ready before the server asks for them
EXTRA_SEEDS = 60        # besides those that are needed for the switches
LARGEST_SEED = 8192


class Seed:
    def __init__(self, data, row):
        self.file = data
        self.mutant = Mutant.read(data)
        self.row = row


def read_lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def read_seeds(directory):
    """The smallest models, and with them at least one for every switch of the format."""
    models = read_lines(os.path.join(directory, "models.jsonl"))
    for model in models:
        model["size"] = os.path.getsize(os.path.join(directory, model["file"]))
    models.sort(key=lambda m: (m["size"], m["number"]))
    small = [m for m in models if m["size"] <= LARGEST_SEED]

    left = set(switch for m in small for switch in m["switches"])
    chosen = []
    while left:
        best = max(small, key=lambda m: len(left.intersection(m["switches"])) / m["size"])
        chosen.append(best)
        left.difference_update(best["switches"])
    numbers = set(m["number"] for m in chosen)
    chosen += [m for m in small if m["number"] not in numbers][:EXTRA_SEEDS]
    missing = set(m["architecture"] for m in models).difference(m["architecture"] for m in chosen)
    if missing:
        sys.exit("no model of up to %d bytes for %s" % (LARGEST_SEED, ", ".join(sorted(missing))))

    rows = {r["model"]: r["features"] for r in read_lines(os.path.join(directory, "rows.jsonl")) if r["row"] == 0}
    seeds = []
    for model in chosen:
        with open(os.path.join(directory, model["file"]), "rb") as f:
            seeds.append(Seed(f.read(), rows[model["number"]]))
    return seeds


def extreme(place):
    label, make = EXTREMES[place]
    return *make(), "extreme: " + label


def model(seed, number, seeds):
    """File, row and description. From 0 on they are mutants; before them come the seeds as they are, and the extreme models."""
    if number >= 0:
        data, source, kind = mutations.mutate(Draw(seed, number), seeds)
        return data, seeds[source].row, kind
    if number >= -len(EXTREMES):
        return extreme(-1 - number)
    unchanged = seeds[-1 - number - len(EXTREMES)]
    return unchanged.file, unchanged.row, "unchanged"


def copy_field(text):
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def chunks(numbers, phase, one):
    """The script for these models, in pieces of text."""
    size = min(CHUNK, max(len(numbers) // 20, 1))
    for start in range(0, len(numbers), size):
        lines = ["COPY fuzz_input FROM STDIN;\n"]
        for number in numbers[start:start + size]:
            data, row, kind = one(number)
            lines.append("%d\t%s\t%s\t\\\\x%s\n" % (number, kind, copy_field(json.dumps(row)), data.hex()))
        lines.append("\\.\nCALL fuzz_models();\nCALL fuzz_look('%s');\n" % phase)
        yield "".join(lines)


def write_script(texts):
    """The texts are made while the server works on those before them."""
    ready = queue.Queue(BUFFERED)

    def write():
        try:
            for text in iter(ready.get, None):
                sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            os._exit(1)     # psql has ended, and said why

    writer = threading.Thread(target=write)
    writer.start()
    for text in texts:
        ready.put(text)
    ready.put(None)
    writer.join()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", required=True)
    parser.add_argument("--count", type=int, default=100000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()

    seeds = read_seeds(options.seeds)

    def one(number):
        return model(options.seed, number, seeds)

    if options.only is not None:
        data, row, kind = one(options.only)
        sys.stdout.buffer.write(data)
        sys.stderr.write("%s\n%s\n" % (kind, json.dumps(row)))
    else:
        # The extreme models come last: what they leave in the allocator's hands could hide a leak.
        first, last = -len(EXTREMES) - len(seeds), -len(EXTREMES)
        write_script(itertools.chain(chunks(range(first, last), "unchanged", one),
                                     chunks(range(options.count), "mutants", one),
                                     chunks(range(last, 0), "extremes", one)))


if __name__ == "__main__":
    main()
