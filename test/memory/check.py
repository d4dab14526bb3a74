#!/usr/bin/python3
"""Lets each allocation of the module fail in turn, for statements that use all of it, and looks at what is left behind.

usage: check.py [STATEMENT-NUMBER...]

After an error a statement must give what it gave before, no model may be pinned, and none claimed; in the end the session has no
more memory than at first. Of statements with many allocations the first hundred fail, and then one of a growing number.

The server is the one that psql connects to; it has a build with FAIL_ALLOCATION=1.
"""

import collections
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

SETUP = r"""
\set ON_ERROR_STOP on
\set VERBOSITY verbose
SET client_min_messages = error;
SET work_mem = '64kB';
CREATE FUNCTION mtl_fail_allocation(bigint) RETURNS bigint AS 'mtl_rank' LANGUAGE c VOLATILE STRICT;
SELECT mtl_register('feed', pg_read_binary_file('FEED')::mtl_model);
CREATE TABLE people AS SELECT i AS id, (ARRAY['Berlin', 'Łódź', 'Atlantis', NULL])[1 + i % 4] AS city,
    (ARRAY['Berlin', 'Amsterdam', 'Łódź', 'København'])[1 + i % 4 : i % 6] AS visited, i % 70 AS age, i % 6 = 0 AS click
FROM generate_series(1, 200) i;
CREATE TABLE documents AS SELECT to_jsonb(p) AS document FROM people p;
CREATE TABLE models AS SELECT model FROM mtl_models;
ANALYZE;
\set ON_ERROR_STOP off
"""

SPEC = """{"architecture": {"type": "mmoe", "num_experts": 2, "expert": {"hidden_units": [4]}, "tower": {"hidden_units": [2]}},
    "features": [{"name": "city", "kind": "sparse", "embedding_dim": 2}, {"name": "visited", "kind": "sequence", "embedding": "city", "max_length": 3},
                 {"name": "age", "kind": "dense", "transform": {"type": "standardize"}}],
    "tasks": [{"name": "ctr", "type": "binary", "label": "click"}]}"""

STATEMENTS = [
    "SELECT sum((mtl_score('feed', p))[1]::numeric), sum(mtl_rank('feed', p)::numeric) FROM people p",
    "SELECT id, mtl_score('feed', p, 'ctcvr') FROM people p WHERE mtl_score('feed', p, 'ctr') > 0.2 ORDER BY 2 DESC, 1 LIMIT 3",
    "SET LOCAL mtl_rank.batching = off; SELECT sum(mtl_score('feed', p, 'ctcvr')::numeric) FROM people p",
    "SELECT sum(mtl_rank('feed', document, '{\"ctr\": 2}')::numeric) FROM documents",
    "SELECT sum(mtl_score((SELECT model FROM models), a, b, 'ctr')::numeric) FROM (SELECT id, city, visited FROM people) a JOIN (SELECT id AS i, age FROM people) b ON id = i",
    "DECLARE c SCROLL CURSOR FOR SELECT id, mtl_score('feed', p) FROM people p; FETCH 5 FROM c; FETCH BACKWARD 2 FROM c; CLOSE c",
    "SELECT mtl_describe('feed'), mtl_graph('feed'), mtl_tasks('feed')",
    "SELECT * FROM mtl_features('feed')",
    "SELECT * FROM mtl_verify('feed')",
    "SELECT g.* FROM people p, mtl_gates('feed', p) g WHERE id < 3",
    "SELECT length(model::bytea::mtl_model::bytea), mtl_digest(model) FROM models",
    "SELECT mtl_register('other', model) FROM models; SELECT mtl_activate('other', 1); DELETE FROM mtl_active WHERE name = 'other'; DELETE FROM mtl_models WHERE name = 'other'; DELETE FROM mtl_activations WHERE name = 'other'",
    "SELECT (mtl_cache_prewarm('feed')).bytes; SELECT digest, location, bytes FROM mtl_cache",
    "SELECT mtl_auc(click, s), mtl_gauc(click, s, city), mtl_ndcg(click, s, 3, city), mtl_logloss(click, s), mtl_calibration(click, s) FROM (SELECT *, id / 201.0 AS s FROM people, generate_series(1, 30)) x",
    f"SELECT mtl_digest(mtl_train('{SPEC}', 'SELECT * FROM people', '{{\"epochs\": 1}}'))",
    "SELECT mtl_score('feed@x', p) FROM people p",
    "SELECT mtl_score('feed', p, 'x') FROM people p",
]

# with the model loaded, and without
BEFORE = ["", "SELECT FROM mtl_cache_evict();"]

# these once more where models are not shared
NUM_NOT_SHARED = 5

# nothing that is ours is in use between statements, and the lookups by name are planned
LEFT = """SELECT location, pins FROM mtl_cache WHERE pins > 0 OR location = 'loading';
SELECT name, ident FROM pg_backend_memory_contexts WHERE name ~ '^mtl_rank' AND name !~ '^mtl_rank (cache|model|models)$';"""


class Session:
    def __init__(self):
        self.psql = subprocess.Popen(["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT, text=True, bufsize=1)

    def run(self, commands):
        self.psql.stdin.write(commands + "\n\\echo == end\n")
        self.psql.stdin.flush()
        lines = []
        for line in self.psql.stdout:
            if line == "== end\n":
                return "".join(lines)
            lines.append(line)
        sys.exit(f"the session is lost\n{commands}\n{''.join(lines)[-2000:]}")

    def memory(self):
        return self.run("SELECT FROM mtl_cache_evict();\n"
                        "SELECT name, sum(total_bytes) FROM pg_backend_memory_contexts WHERE name ~ '^mtl_rank' GROUP BY 1 ORDER BY 1;")


def attempt(session, statement, before, number):
    """What a statement gives when this allocation fails, and whether there were so many."""
    output = session.run(f"{before}\nBEGIN;\nSELECT FROM mtl_fail_allocation({number});\n{statement};\nROLLBACK;")
    allocations = int(session.run("SELECT mtl_fail_allocation(0);"))
    return output, allocations >= number


def check(session, statement, before, errors):
    expected, _ = attempt(session, statement, before, 0)
    number = 1
    tried = 0
    while True:
        output, failed = attempt(session, statement, before, number)
        if not failed:
            break
        tried += 1
        for state, message in re.findall(r"^ERROR:  (\w{5}): (.*)$", output, re.M):
            errors[state, message] += 1
        left = session.run(LEFT)
        if left:
            sys.exit(f"{statement}\nallocation {number} fails:\n{output}\nleft behind:\n{left}")
        again, _ = attempt(session, statement, before, 0)
        if again != expected:
            sys.exit(f"{statement}\nafter allocation {number} has failed:\n{again}\nexpected:\n{expected}\nfailed:\n{output}")
        number += 1 + max(0, tried - 100) // 2
    return tried


def check_all(session, statements, errors):
    for statement in statements:
        for before in BEFORE:
            attempt(session, statement, before, 0)
            memory = session.memory()
            tried = check(session, statement, before, errors)
            print(f"{tried:6} failures of {statement[:100]}", flush=True)
            if session.memory() != memory:
                sys.exit(f"memory:\n{memory}then:\n{session.memory()}")


def main():
    session = Session()
    session.run(SETUP.replace("FEED", str(HERE.parent.parent / "demo" / "feed.safetensors")))
    errors = collections.Counter()
    chosen = [STATEMENTS[int(number)] for number in sys.argv[1:]] or STATEMENTS
    check_all(session, chosen, errors)
    session.run("ALTER SYSTEM SET mtl_rank.shared_cache_size = 0;\nSELECT FROM pg_reload_conf();\nSELECT FROM pg_sleep(1);")
    print("not shared:")
    check_all(session, chosen[:NUM_NOT_SHARED], errors)
    for (state, message), count in errors.most_common():
        print(f"{count:8} {state} {message}")
    if any(state.startswith("XX") for state, _ in errors):
        sys.exit("internal errors")


if __name__ == "__main__":
    main()
