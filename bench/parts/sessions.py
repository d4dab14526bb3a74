"""Latency of the ranking query R for 100, 1,000 and 10,000 candidates, when 1, 8 and 32 sessions ask at the same time.

pgbench asks, on the same machine, with prepared statements and the server's own settings; each session's first queries do not count.
"""

import os
import pathlib
import subprocess
import tempfile

import models
from parts import ranking
from server import ALL_CORES
from timing import percentile

GROUPS = {100: range(1, 201), 1000: range(201, 251), 10000: range(251, 271)}
SESSIONS = [1, 8, 32]
WARM_UP = 2             # transactions of each session
SCRIPT = """\\set c random({first}, {last})
SELECT i.item FROM contexts c, candidates i WHERE c.id = :c AND i.context = :c ORDER BY mtl_score('R', c, i, 't0') DESC LIMIT {top};
"""


def latencies(folder, contexts, sessions, seconds):
    """Milliseconds of each transaction after the first ones, and how many there were per second."""
    script = folder / "rank.sql"
    script.write_text(SCRIPT.format(first=min(contexts), last=max(contexts), top=ranking.TOP))
    for log in folder.glob("log.*"):
        log.unlink()
    subprocess.run(["pgbench", "--no-vacuum", "--protocol=prepared", f"--file={script}", f"--client={sessions}",
                    f"--jobs={min(sessions, len(ALL_CORES))}", f"--time={seconds}", "--log", f"--log-prefix={folder}/log"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, ALL_CORES))
    transactions = [line.split() for log in folder.glob("log.*") for line in log.read_text().splitlines()]
    warm = [int(fields[2]) / 1000 for fields in transactions if int(fields[1]) >= WARM_UP]
    if not warm:
        raise SystemExit(f"pgbench, {sessions} sessions: no session had more than {WARM_UP} transactions in {seconds} s; give more with --seconds")
    return warm, len(transactions) / seconds


def run(options, peers):
    connection = options.connection
    groups = {n: range(min(ids), min(ids) + max(len(ids) // options.divisor, 2)) for n, ids in GROUPS.items()}
    ranking.create_tables(connection, groups)
    connection.register("R", models.make("R"))
    result = []
    with tempfile.TemporaryDirectory(prefix="mtl_rank_bench.") as folder:
        for candidates, contexts in groups.items():
            for sessions in SESSIONS:
                times, rate = latencies(pathlib.Path(folder), contexts, sessions, options.seconds)
                result.append({"candidates": candidates, "sessions": sessions, "p50, ms": percentile(times, 50),
                               "p99, ms": percentile(times, 99), "queries per second": rate})
    return result
