"""The whole query: all rows of a table scored, per row, for the models S, M, L and E, by us and by everybody else.

`SELECT count(mtl_score('M', x)) FROM rows_m` computes all scores of all rows and sends one number. The floor is the same query
with a function in C that adds up the array's numbers; the limit is the model's multiply-adds at the rate that this CPU reaches
with nothing else to do.
"""

import numpy as np

import machine
import models
from peers import client
from server import Connection
from timing import Clocks, Method, median, spread, take_turns

ROWS = {"S": 100000, "M": 100000, "L": 100000, "E": 50000}
CHECKED = 1024
FEW = {"per row": 10000, "PL/Python per row": 2000, "PL/Python": 10240, "client": 10240, "ONNX Runtime": 10240}
FOREIGN_TOLERANCE = 2e-5
PRECISIONS = {"bf16": 0.02, "int8": 0.05}     # how far scores may move
BATCH = 256
FLOOR, PER_ROW, OURS = "floor: scan, and read the array", "ours, row by row", "ours"
FLOOR_TWO_PROCESSES, TWO_PROCESSES = "floor, two processes", "ours, two processes"


class Setup:
    """One model and its table, for all methods."""

    def __init__(self, name, options, peers):
        self.name, self.options, self.peers = name, options, peers
        self.model = models.make(name)
        self.width = models.architectures()[name][0]
        self.table = f"rows_{name.lower()}"
        self.rows = ROWS[name] // options.divisor
        self.connection = options.connection
        self.connection.run(f"DROP TABLE IF EXISTS {self.table}")
        self.connection.run(f"CREATE TABLE {self.table} (id int, x real[])")
        # E's rows would be cut and compressed otherwise
        self.connection.run(f"ALTER TABLE {self.table} ALTER x SET STORAGE main")
        self.connection.run("SELECT setseed(0.5)")
        self.connection.run(f"INSERT INTO {self.table} SELECT i, (SELECT array_agg((random() * 2 - 1)::real) FROM generate_series(1, {self.width}) "
                            f"WHERE i = i) FROM generate_series(1, {self.rows}) i")
        self.connection.run(f"VACUUM ANALYZE {self.table}")
        self.connection.register(name, self.model)
        self.exported = peers.export(name, self.model)

    def few(self, kind):
        return min(FEW[kind] // (4 if self.options.divisor > 1 else 1), self.rows)

    def some(self, count):
        """A row source of the first rows."""
        return f"(SELECT id, x FROM {self.table} LIMIT {count}) s"

    def array(self, count):
        return np.array([row[0] for row in self.connection.ask(f"SELECT x FROM {self.some(count)}")], np.float32)


def select(connection, settings, query):
    """Runs a query with some settings, which cost a little time: the query is long."""
    def run():
        for setting in settings:
            connection.run(setting)
        connection.run(query)
    return run


def ours(setup):
    """Per row, in batches, with one parallel worker, and in the other precisions."""
    connection, few = setup.connection, setup.few("per row")
    on, off = ["SET mtl_rank.batching = on"], ["SET mtl_rank.batching = off"]

    def scores(model, settings):
        def run():
            for setting in settings:
                connection.run(setting)
            return connection.scores(f"SELECT mtl_score('{model}', x) FROM {setup.some(CHECKED)}")
        return run

    def whole(model):
        return f"SELECT count(mtl_score('{model}', x)) FROM {setup.table}"

    yield Method(PER_ROW, few, select(connection, off, f"SELECT count(mtl_score('{setup.name}', x)) FROM {setup.some(few)}"),
                 scores(setup.name, off))
    yield Method(OURS, setup.rows, select(connection, on, whole(setup.name)), scores(setup.name, on))
    parallel = Connection(max_parallel_workers_per_gather=1, min_parallel_table_scan_size=0)
    plan = "\n".join(row[0] for row in parallel.ask("EXPLAIN " + whole(setup.name)))
    if "Workers Planned: 1" not in plan:
        setup.peers.missing(TWO_PROCESSES, f"the planner does not choose a parallel plan for {setup.name}:\n{plan}")
    else:
        yield Method(TWO_PROCESSES, setup.rows, lambda: parallel.run(whole(setup.name)), scores(setup.name, on), clock="elapsed")
    for precision, tolerance in PRECISIONS.items():
        model = f"{setup.name}_{precision}"
        connection.run(f"SELECT mtl_register('{model}', mtl_quantize('{setup.name}', '{precision}'))")
        yield Method(f"ours, {precision}", setup.rows, select(connection, on, whole(model)), scores(model, on), tolerance)


def in_python(setup):
    connection, path = setup.connection, setup.exported.script_path
    few, many = setup.few("PL/Python per row"), setup.few("PL/Python")

    def batches(what, count):
        return (f"SELECT {what} FROM (SELECT id / {BATCH} AS b, torch_rows('{path}', array_agg(x ORDER BY id)) AS y "
                f"FROM {setup.some(count)} GROUP BY 1) batches")

    def batch_scores():
        answer = connection.ask(batches("y", CHECKED) + " ORDER BY b")
        return np.concatenate([np.array(row[0], np.float32) for row in answer])

    yield Method("PL/Python + PyTorch, per row", few, lambda: connection.run(f"SELECT count(torch_row('{path}', x)) FROM {setup.some(few)}"),
                 lambda: connection.scores(f"SELECT torch_row('{path}', x) FROM {setup.some(CHECKED)}"), FOREIGN_TOLERANCE)
    yield Method(f"PL/Python + PyTorch, batches of {BATCH}", many, lambda: connection.run(batches("count(y)", many)), batch_scores,
                 FOREIGN_TOLERANCE)


def in_client(setup):
    connection, exported, count = setup.connection, setup.exported, setup.few("client")

    def text(rows):
        return exported.score(client.fetch_text(connection, f"SELECT id, x FROM {setup.some(rows)}")[1])

    def binary(rows):
        return exported.score(client.fetch_binary(connection, f"SELECT id, x FROM {setup.some(rows)}", setup.width)[1])

    yield Method("client: fetch as text + PyTorch", count, lambda: text(count), lambda: text(CHECKED), FOREIGN_TOLERANCE)
    yield Method("client: fetch as binary + PyTorch", count, lambda: binary(count), lambda: binary(CHECKED), FOREIGN_TOLERANCE)


def alone(setup):
    """ONNX Runtime over rows that are in memory already: no database at all."""
    outputs = 3 if setup.name in "LE" else 2
    inputs = [setup.array(setup.few("ONNX Runtime"))]
    for batch in (256, 1024):
        scorer = setup.peers.scorer(setup.exported, inputs, outputs, batch)

        def scores(scorer=scorer):
            scorer.run()
            return scorer.scores[:CHECKED]
        yield Method(f"ONNX Runtime alone, batches of {batch}", len(inputs[0]), scorer.run, scores, FOREIGN_TOLERANCE)


def methods(setup):
    connection = setup.connection
    floor = f"SELECT sum(read_array(x)) FROM {setup.table}"
    yield Method(FLOOR, setup.rows, lambda: connection.run(floor))
    # what starting a worker takes, which the planner would not think worth while for so little
    parallel = Connection(max_parallel_workers_per_gather=1, min_parallel_table_scan_size=0, parallel_setup_cost=0, parallel_tuple_cost=0)
    yield Method(FLOOR_TWO_PROCESSES, setup.rows, lambda: parallel.run(floor), clock="elapsed")
    yield from ours(setup)
    if setup.peers.plpython:
        yield from in_python(setup)
    yield from in_client(setup)
    if setup.peers.runtime:
        yield from alone(setup)


def check(all_methods):
    """Against the scores of rows one by one, which come from a path without batches and without plan nodes."""
    expected = next(m for m in all_methods if m.name == PER_ROW).scores()
    for method in all_methods:
        if method.scores:
            method.check(expected)


def measure(name, options, peers):
    setup = Setup(name, options, peers)
    all_methods = list(methods(setup))
    check(all_methods)
    peak = machine.Peak(setup.connection)
    times = take_turns(all_methods, options.rounds, Clocks(setup.connection.pid), peak.measure)
    options.peak.add(peak)
    return summarize(setup, all_methods, times, peak.best())


def summarize(setup, all_methods, times, peak):
    """Medians, and what they are over those of "ours" by the same clock."""
    ours = {clock: median(times[OURS], clock) for clock in ("cpu", "elapsed")}
    limit = models.multiply_adds(setup.name, setup.model) / peak
    floor = median(times[FLOOR])
    result = []
    for method in all_methods:
        seconds = median(times[method.name], method.clock)
        result.append({"method": method.name, "us": seconds * 1e6, "over ours": seconds / ours[method.clock],
                       "spread": spread(times[method.name], method.clock), "difference": method.difference})
    return {"model": setup.name, "rows": setup.rows, "arithmetic, us": limit * 1e6, "over floor and arithmetic": ours["cpu"] / (floor + limit),
            "methods": result}


def run(options, peers):
    return {name: measure(name, options, peers) for name in options.models}
