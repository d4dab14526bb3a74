"""The engine alone: batches of rows that are encoded already, without a query around them."""

import argparse

import engine
from session import Session

BATCHES = [1, 8, 64, 256]


def run(options, peers):
    session = Session()
    wanted = argparse.Namespace(models="SMLER", batches=BATCHES, kernels=["auto"], rounds=options.rounds)
    sizes = engine.prepare(session, wanted.models, [("engine", options.module)])
    times, peaks = engine.measure(session, wanted, ["engine"])
    session.run("DROP TABLE engine_models;")
    session.close()
    limits = {model: sizes[model] / max(peaks.values()) for model in wanted.models}
    return {model: {"limit, us": limits[model], "us": {batch: times["engine", "auto", model, batch] for batch in BATCHES}}
            for model in wanted.models}
