#!/usr/bin/python3
"""Queries of sqlsmith, executed with batching off and on: the rows must be the same, in the same order, to the bit.

usage: sqlsmith --dry-run ... | compare.py CONNECTION

Both have the same plan below, since MtlScore nodes are put into it at the end. A query whose rows differ between two executions without
batching depends on the time or the like; samples are made repeatable. Where several rows have errors, another one of them may come first.
"""

import collections
import re
import subprocess
import sys

SETUP = r"""
\set ON_ERROR_STOP off
SET client_min_messages = error;
SET jit = off;
CREATE FUNCTION pg_temp.outcome(query text, batching text) RETURNS text LANGUAGE plpgsql AS $function$
DECLARE
    result text;
BEGIN
    PERFORM set_config('mtl_rank.batching', batching, true);
    EXECUTE format('SELECT count(*) || '' rows '' || coalesce(md5(string_agg(q::text, '' '')), '''') FROM (%s) q', query) INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END
$function$;
CREATE FUNCTION pg_temp.uses_node(query text) RETURNS boolean LANGUAGE plpgsql AS $function$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        IF line ~ 'MtlScore' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END
$function$;
"""


def statements(lines):
    """The queries among what sqlsmith prints, without their semicolons."""
    query = []
    for line in lines:
        query.append(line)
        if line.endswith(";\n"):
            text = "".join(query).strip().rstrip(";")
            query = []
            if re.match(r"(select|with)\b", text, re.I) and not re.search(r"\bfor (no key )?(update|share|key share)\b", text):
                yield re.sub(r"(tablesample \w+ \([0-9.]+\))", r"\1 repeatable (1)", text)


def script(queries):
    yield SETUP
    for number, query in enumerate(queries):
        quoted = "$query$" + query + "$query$"
        columns = ", ".join(f"replace(pg_temp.outcome({quoted}, '{batching}'), E'\\n', ' ')" for batching in ("off", "on", "off"))
        yield f"SELECT {number}, pg_temp.uses_node({quoted}), {columns};\n"


def is_error(outcome):
    return re.match(r"[0-9A-Z]{5} ", outcome) and not re.match(r"\d+ rows ", outcome)


def main():
    queries = list(statements(sys.stdin))
    result = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", sys.argv[1]], input="".join(script(queries)), capture_output=True,
                            text=True)
    counts = collections.Counter()
    different = []
    for line in result.stdout.splitlines():
        number, used, before, batched, after = line.split("\x1f")
        counts["errors" if is_error(before) else "rows"] += 1
        if used == "t":
            counts["batched errors" if is_error(before) else "batched"] += 1
        if before != after:
            counts["changing"] += 1
        elif before != batched and not (is_error(before) and is_error(batched)):
            different.append((queries[int(number)], before, batched))
    print(f"{len(queries)} queries: {counts['rows']} with rows, {counts['errors']} with an error; {counts['batched']} and {counts['batched errors']} of "
          f"them in batches; {counts['changing']} do not give the same twice")
    for query, plain, batched in different:
        print(f"{query};\n-- {plain}, but in batches {batched}\n")
    if different:
        sys.exit(f"{len(different)} queries give other rows in batches")
    if counts["rows"] + counts["errors"] < len(queries) * 0.9 or counts["batched"] < len(queries) / 20:
        sys.exit(f"too few queries were a test of anything\n{result.stderr[-1000:]}")


if __name__ == "__main__":
    main()
