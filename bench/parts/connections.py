"""A model of 100 MB: what the first score of a new connection takes more than a warm one, and how much memory connections need."""

import pathlib
import statistics
import subprocess

import models
from server import Connection
from timing import Clocks

ROWS = 20000
FIRST = "SELECT mtl_score('large', c, 't0') FROM large_rows c WHERE id = 1"
BARE = "SELECT c FROM large_rows c WHERE id = 1"
SCORE_SOME = "SELECT count(mtl_score('large', c, 't0')) FROM large_rows c WHERE id <= 500"
READ_SOME = "SELECT count(c) FROM large_rows c WHERE id <= 500"
COUNTS = [1, 10, 100]


def create(connection):
    model = models.large()
    connection.register("large", model)
    connection.run("DROP TABLE IF EXISTS large_rows")
    connection.run("SELECT setseed(0.5)")
    connection.run("CREATE TABLE large_rows AS SELECT i AS id, (SELECT array_agg((random() * 2 - 1)::real) "
                   f"FROM generate_series(1, {models.LARGE_DENSE}) WHERE i = i) AS x, floor(random() * {models.LARGE_VOCABULARY})::int AS s FROM generate_series(1, {ROWS}) i")
    connection.run("ALTER TABLE large_rows ADD PRIMARY KEY (id)")
    connection.run("VACUUM ANALYZE large_rows")
    return len(model.to_bytes())


# ------------------------------------------------------------- the first score


def first_and_warm(query):
    """Milliseconds (elapsed, CPU of client and server process) of a new connection's first query, and the median of later ones."""
    connection = Connection(**{"mtl_rank.batching": "on"}) if query == FIRST else Connection()
    clocks = Clocks(connection.pid)
    times = [tuple(1000 * t for t in clocks.measure(lambda: connection.ask(query))) for _ in range(12)]
    connection.close()
    return times[0], tuple(statistics.median(t[i] for t in times[2:]) for i in (0, 1))


def first_score(name, query, repeats, before=lambda: None):
    first, warm = [], []
    for _ in range(repeats):
        before()
        times = first_and_warm(query)
        first.append(times[0])
        warm.append(times[1])
    result = {"case": name}
    for i, clock in enumerate(("elapsed", "CPU")):
        result[f"first, {clock}, ms"] = statistics.median(t[i] for t in first)
        result[f"first minus warm, {clock}, ms"] = statistics.median(a[i] - b[i] for a, b in zip(first, warm))
    return result


def restart(connection, libraries):
    """With other libraries loaded at the server's start; the new connection."""
    data = connection.value("SHOW data_directory")
    connection.close()
    subprocess.run(["pg_ctl", "restart", "--silent", "--wait", f"--pgdata={data}", f"--log={data}/restarted.log",
                    "--options", f"-c shared_preload_libraries={libraries}"],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return Connection()


def first_scores(options):
    connection, few = options.connection, 3 if options.divisor > 1 else 7
    many = few * 5

    def evict():
        # Others' pins would keep it: there are no other connections that score.
        connection.run("SELECT mtl_cache_evict()")

    yield first_score("the same query without a score", BARE, many)
    yield first_score("cold: nobody has loaded the model", FIRST, few, evict)
    connection.run("SELECT mtl_cache_prewarm('large')")
    yield first_score("shared copy there", FIRST, many)


def first_scores_without_preload(options):
    """The server is started again without the library, then as it was."""
    options.connection = restart(options.connection, "")
    try:
        location = options.connection.value("SELECT location FROM mtl_cache_prewarm('large')")
        yield first_score(f"without shared_preload_libraries (copy: {location})", FIRST, 3 if location != "shared" else 15)
    finally:
        options.connection = restart(options.connection, "mtl_rank")


# ------------------------------------------------------------------- memory


def proportional_size(pid):
    """MB that a process has, with its share of what it has together with others."""
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"/proc/{pid}/smaps_rollup has no Pss")


def memory(connection):
    """Of all connections together, once with a model and once without."""
    connection.run("SELECT mtl_cache_evict()")
    sums = {}
    for query in (READ_SOME, SCORE_SOME):
        connections, sums[query] = [], []
        for count in COUNTS:
            while len(connections) < count:
                connections.append(Connection())
                connections[-1].run(query)
            sums[query].append(sum(proportional_size(c.pid) for c in connections))
        for c in connections:
            c.close()
    return [{"connections": n, "without a score, MB": bare, "with scores, MB": scored}
            for n, bare, scored in zip(COUNTS, sums[READ_SOME], sums[SCORE_SOME])]


def run(options, peers):
    size = create(options.connection)
    result = {"model, MB": size / 1e6, "first": list(first_scores(options)), "memory": memory(options.connection)}
    result["first"] += first_scores_without_preload(options)
    return result
