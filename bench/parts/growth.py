"""How the time of a row grows with the table, with the model and with the number of tasks; limits as in the comparison of whole queries."""

import machine
import models
from timing import Clocks, Method, median, take_turns

ROWS = [10000, 100000, 1000000]
UNITS = [32, 64, 128, 256, 512, 1024]
TASKS = [1, 2, 3, 4, 6, 8]
MODEL_ROWS = 20000


def create_rows(connection, table, count, width):
    connection.run(f"DROP TABLE IF EXISTS {table}")
    connection.run(f"CREATE TABLE {table} AS SELECT i AS id, (SELECT array_agg((random() * 2 - 1)::real) FROM generate_series(1, {width}) "
                   f"WHERE i = i) AS x FROM generate_series(1, {count}) i")
    connection.run(f"VACUUM ANALYZE {table}")


class Case:
    def __init__(self, connection, x, model_name, table, rows, multiply_adds):
        self.x, self.multiply_adds = x, multiply_adds
        self.floor = Method(f"floor {x}", rows, lambda: connection.run(f"SELECT sum(read_array(x)) FROM {table}"))
        self.ours = Method(f"ours {x}", rows, lambda: connection.run(f"SELECT count(mtl_score('{model_name}', x)) FROM {table}"))


def measure(cases, options, rounds):
    peak = machine.Peak(options.connection)
    times = take_turns([m for case in cases for m in (case.floor, case.ours)], rounds, Clocks(options.connection.pid), peak.measure)
    options.peak.add(peak)
    result = []
    for case in cases:
        floor, ours, limit = median(times[case.floor.name]), median(times[case.ours.name]), case.multiply_adds / peak.best()
        result.append({"x": case.x, "floor, us": floor * 1e6, "arithmetic, us": limit * 1e6, "ours, us": ours * 1e6,
                       "over floor and arithmetic": ours / (floor + limit)})
    return result


def with_table(options):
    model = models.make("S")
    options.connection.register("S", model)
    cases = []
    for rows in ROWS:
        count = rows // options.divisor
        create_rows(options.connection, f"growth_{count}", count, 64)
        cases.append(Case(options.connection, count, "S", f"growth_{count}", count, models.multiply_adds("S", model)))
    result = measure(cases, options, max(options.rounds // 2, 3))
    for case in cases:
        options.connection.run(f"DROP TABLE growth_{case.x}")
    return result


def with_models(options, made):
    """made: {x: (model, its multiply-adds)}"""
    cases, rows = [], MODEL_ROWS // options.divisor
    create_rows(options.connection, "growth_rows", rows, models.GROWTH_WIDTH)
    for x, (model, multiply_adds) in made.items():
        options.connection.register(f"growth_{x}", model)
        cases.append(Case(options.connection, x, f"growth_{x}", "growth_rows", rows, multiply_adds))
    return measure(cases, options, options.rounds)


def run(options, peers):
    return {"rows": with_table(options),
            "units": with_models(options, {units: models.growing(units, 2) for units in UNITS}),
            "tasks": with_models(options, {tasks: models.growing(128, tasks) for tasks in TASKS})}
