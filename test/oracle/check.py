#!/usr/bin/python3
"""Compares the server's scores with the oracle's.

usage: check.py DIR

DIR is what generate.py wrote. The server is the one that psql connects to (PGHOST, PGDATABASE, ...); $PSQL names
another psql. Everything happens in temporary tables of one session. What is compared:

* mtl_score(model, jsonb): within 2e-6 of the oracle (regressions: times max(1, |score|)), or within 0.05 for the few rows of models in
  bf16 and int8 in which a number lies so near the middle of two that it may be rounded to either;
* mtl_score(model, float8[]): the same bits as from jsonb, for the rows that have an array form;
* mtl_score(model, jsonb, output): the same bits as that element of the array, for every output;
* mtl_rank(model, jsonb): what the oracle's formula makes of scores within their bounds;
* mtl_verify(model): no error, for the models with examples.

Prints a table and exits with 1 when anything differs.
"""

import collections
import json
import os
import shlex
import subprocess
import sys

TOLERANCE = 2e-6
NEAR_TIE = 0.05     # where a rounding to bf16 or int8 may have gone the other way, see precision.py
MOST_NEAR_TIES = 0.5    # of the rows of models in bf16 or int8
SHOWN = 50          # failures that are printed in full

SETUP = r"""
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET extra_float_digits = 1;
SELECT to_regtype('mtl_model') IS NULL AS missing \gset
\if :missing
CREATE EXTENSION mtl_rank;
\endif
CREATE TEMP TABLE oracle_files (model int PRIMARY KEY, bytes bytea, has_rank bool, has_examples bool);
CREATE TEMP TABLE oracle_outputs (model int, place int, name text);
CREATE TEMP TABLE oracle_rows (model int, number int, features jsonb, places float8[]);
CREATE TEMP TABLE oracle_models (model int PRIMARY KEY, value mtl_model);
CREATE TEMP TABLE results (kind text, model int, number int, place int, scores text[]);
CREATE TEMP TABLE failures (kind text, model int, number int, message text);
"""

COMPUTE = r"""
ANALYZE oracle_files; ANALYZE oracle_outputs; ANALYZE oracle_rows;

-- Runs a command for all rows of a model at once and, when that fails, for one row after the other to name the culprits.
-- $1 is the model, %s the place of the condition on the row.
CREATE FUNCTION pg_temp.attempt(kind text, which int, command text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    message text;
    one record;
    found_one bool := false;
BEGIN
    EXECUTE format(command, 'true') USING which;
EXCEPTION WHEN OTHERS THEN
    message := SQLERRM;
    FOR one IN SELECT number FROM oracle_rows WHERE model = which ORDER BY number LOOP
        BEGIN
            EXECUTE format(command, 'r.number = ' || one.number) USING which;
        EXCEPTION WHEN OTHERS THEN
            found_one := true;
            INSERT INTO failures VALUES (kind, which, one.number, SQLERRM);
        END;
    END LOOP;
    IF NOT found_one THEN
        INSERT INTO failures VALUES (kind, which, NULL, 'all rows together: ' || message);
    END IF;
END $$;

DO $$
DECLARE
    f record;
BEGIN
    FOR f IN SELECT * FROM oracle_files ORDER BY model LOOP
        BEGIN
            INSERT INTO oracle_models VALUES (f.model, f.bytes::mtl_model);
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO failures VALUES ('model', f.model, NULL, SQLERRM);
            CONTINUE;
        END;
        PERFORM pg_temp.attempt('jsonb', f.model, $q$
            INSERT INTO results SELECT 'jsonb', r.model, r.number, NULL, mtl_score(m.value, r.features)::text[]
            FROM oracle_models m JOIN oracle_rows r USING (model) WHERE m.model = $1 AND %s $q$);
        PERFORM pg_temp.attempt('array', f.model, $q$
            INSERT INTO results SELECT 'array', r.model, r.number, NULL, mtl_score(m.value, r.places)::text[]
            FROM oracle_models m JOIN oracle_rows r USING (model) WHERE m.model = $1 AND r.places IS NOT NULL AND %s $q$);
        PERFORM pg_temp.attempt('output', f.model, $q$
            INSERT INTO results SELECT 'output', r.model, r.number, o.place, ARRAY[mtl_score(m.value, r.features, o.name)::text]
            FROM oracle_models m JOIN oracle_rows r USING (model) JOIN oracle_outputs o USING (model) WHERE m.model = $1 AND %s $q$);
        IF f.has_rank THEN
            PERFORM pg_temp.attempt('rank', f.model, $q$
                INSERT INTO results SELECT 'rank', r.model, r.number, NULL, ARRAY[mtl_rank(m.value, r.features)::text]
                FROM oracle_models m JOIN oracle_rows r USING (model) WHERE m.model = $1 AND %s $q$);
        END IF;
        IF f.has_examples THEN
            BEGIN
                PERFORM count(*) FROM oracle_models m, mtl_verify(m.value) WHERE m.model = f.model;
            EXCEPTION WHEN OTHERS THEN
                INSERT INTO failures VALUES ('verify', f.model, NULL, SQLERRM);
            END;
        END IF;
    END LOOP;
END $$;

SELECT json_build_object('kind', kind, 'model', model, 'row', number, 'place', place, 'scores', scores) FROM results;
SELECT json_build_object('kind', kind, 'model', model, 'row', number, 'failure', message) FROM failures;
"""


def read_lines(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


# ---------------------------------------------------------------- the server's side

def copy_field(value):
    """A field of COPY's text format."""
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def copy_block(table, columns, records):
    lines = ["COPY %s (%s) FROM STDIN;" % (table, columns)]
    lines += ["\t".join(copy_field(v) for v in record) for record in records]
    return "\n".join(lines + ["\\.", ""])


def script(directory, models, rows):
    def array_literal(array):
        return None if array is None else "{%s}" % ",".join(map(repr, array))

    files = []
    for m in models:
        with open(os.path.join(directory, m["file"]), "rb") as f:
            files.append((m["number"], "\\x" + f.read().hex(), m["rank"] is not None, m["examples"]))
    outputs = [(m["number"], place, name) for m in models for place, name in enumerate(m["outputs"])]
    records = [(r["model"], r["row"], json.dumps(r["features"]), array_literal(r.get("array"))) for r in rows]
    return "".join([SETUP,
                    copy_block("oracle_files", "model, bytes, has_rank, has_examples", files),
                    copy_block("oracle_outputs", "model, place, name", outputs),
                    copy_block("oracle_rows", "model, number, features, places", records),
                    COMPUTE])


def run_server(text):
    """Results of the server, and its failures."""
    command = shlex.split(os.environ.get("PSQL", "psql")) + ["-X", "-q", "-A", "-t", "-f", "-"]
    environment = dict(os.environ, PGCLIENTENCODING="UTF8")
    done = subprocess.run(command, input=text.encode(), stdout=subprocess.PIPE, env=environment)
    if done.returncode != 0:
        sys.exit("psql ended with %d" % done.returncode)
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return [l for l in lines if "failure" not in l], [l for l in lines if "failure" in l]


# ---------------------------------------------------------------- comparison

def bound(kind, score, near_tie=False):
    return (NEAR_TIE if near_tie else TOLERANCE) * (max(1, abs(score)) if kind == "regression" else 1)


def rank_bounds(formula, outputs, kinds, scores, near_tie=False):
    """The least and the largest value of the formula for scores within their bounds, and float4's rounding on top."""
    parts = {name: (s - bound(k, s, near_tie), s + bound(k, s, near_tie)) for name, k, s in zip(outputs, kinds, scores)}
    low, high = (0, 0) if formula["form"] == "sum" else (1, 1)
    size = 0
    for name, w in formula["weights"].items():
        ends = parts[name]
        if formula["form"] == "sum":
            values = sorted(w * e for e in ends)
            low, high = low + values[0], high + values[1]
            size += max(map(abs, values))
        else:
            values = sorted(max(e, 0) ** w if e > 0 or w >= 0 else float("inf") for e in ends)
            low, high = low * values[0], high * values[1]
            size = high
    return low - 1e-6 * size, high + 1e-6 * size


class Comparison:
    """Differences of the server's results from the oracle's."""

    def __init__(self, models, rows):
        self.models = {m["number"]: m for m in models}
        self.rows = {(r["model"], r["row"]): r for r in rows}
        self.failures = []
        self.worst = collections.defaultdict(float)     # architecture -> the largest difference in bounds
        self.compared = collections.Counter()           # (kind of result, architecture) -> how many

    def fail(self, kind, model, row, text):
        m = self.models[model]
        where = "model %d (%s, %s)" % (model, m["file"], m["variant"])
        self.failures.append("%s: %s%s: %s" % (kind, where, "" if row is None else ", row %d" % row, text))

    def compare(self, results, server_failures):
        for f in server_failures:
            self.fail(f["kind"], f["model"], f["row"], "the server says: " + f["failure"])
        failed = {(f["kind"], f["model"], f["row"]) for f in server_failures}
        refused = {f["model"] for f in server_failures if f["kind"] == "model"}

        got = {(r["kind"], r["model"], r["row"], r["place"]): r["scores"] for r in results}
        for (model, row), expected in self.rows.items():
            if model in refused:
                continue
            outputs = self.models[model]["outputs"]
            # What the server owes for this row.
            owed = [("jsonb", None)] + [("output", place) for place in range(len(outputs))]
            owed += [("array", None)] if "array" in expected else []
            owed += [("rank", None)] if "rank" in expected else []
            jsonb = got.get(("jsonb", model, row, None))
            for kind, place in owed:
                scores = got.get((kind, model, row, place))
                if scores is None:
                    if (kind, model, row) not in failed:
                        self.fail(kind, model, row, "the server gave no result")
                    continue
                self.compared[kind, self.models[model]["architecture"]] += 1
                if kind == "jsonb":
                    self.against_oracle(model, row, scores, expected)
                elif kind == "rank":
                    self.against_formula(model, row, scores[0], expected)
                elif jsonb is not None and len(jsonb) == len(outputs):
                    same = jsonb if kind == "array" else [jsonb[place]]
                    names = outputs if kind == "array" else [outputs[place]]
                    self.against_jsonb(kind, model, row, names, scores, same)

    def against_oracle(self, model, row, scores, expected):
        m = self.models[model]
        near_tie, expected = expected.get("near_tie", False), expected["scores"]
        if len(scores) != len(expected):
            self.fail("jsonb", model, row, "%d outputs, the oracle has %d" % (len(scores), len(expected)))
            return
        for name, kind, ours, theirs in zip(m["outputs"], m["kinds"], scores, expected):
            difference = abs(float(ours) - theirs) if ours is not None else float("nan")
            share = difference / bound(kind, theirs, near_tie)
            if not share <= 1:
                self.fail("jsonb", model, row, "%s is %s, the oracle says %.9g (difference %.3g)" % (name, ours, theirs, difference))
            if not near_tie:
                self.worst[m["architecture"]] = max(self.worst[m["architecture"]], share)

    def against_jsonb(self, kind, model, row, names, scores, jsonb):
        # The shortest decimal form of a float4 is another one for other bits.
        if len(scores) != len(jsonb):
            self.fail(kind, model, row, "%d outputs, from jsonb %d" % (len(scores), len(jsonb)))
        for name, ours, theirs in zip(names, scores, jsonb):
            if ours is None or ours != theirs:
                self.fail(kind, model, row, "%s is %s, from jsonb all at once it is %s" % (name, ours, theirs))

    def against_formula(self, model, row, rank, expected):
        m = self.models[model]
        low, high = rank_bounds(m["rank"], m["outputs"], m["kinds"], expected["scores"], expected.get("near_tie", False))
        if rank is None or not low <= float(rank) <= high:
            self.fail("rank", model, row, "%s, the oracle says %.9g (%.9g to %.9g)" % (rank, expected["rank"], low, high))

    def table(self):
        """Per architecture: models, rows, arrays, single outputs, ranks and the worst difference as a share of its bound."""
        lines = ["%-20s %6s %6s %7s %8s %6s  %s" % ("architecture", "models", "rows", "arrays", "outputs", "ranks", "worst")]
        counts = collections.Counter(m["architecture"] for m in self.models.values())
        for a in sorted(counts):
            lines.append("%-20s %6d %6d %7d %8d %6d  %.3g" % (
                a, counts[a], self.compared["jsonb", a], self.compared["array", a], self.compared["output", a],
                self.compared["rank", a], self.worst[a] * TOLERANCE))
        return "\n".join(lines)


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: check.py DIR")
    directory = sys.argv[1]
    models = read_lines(os.path.join(directory, "models.jsonl"))
    rows = read_lines(os.path.join(directory, "rows.jsonl"))
    if not models or not rows:
        sys.exit("%s holds no models or no rows" % directory)

    comparison = Comparison(models, rows)
    comparison.compare(*run_server(script(directory, models, rows)))
    print(comparison.table())
    for failure in comparison.failures[:SHOWN]:
        print(failure, file=sys.stderr)
    if comparison.failures:
        sys.exit("%d differences from the oracle (%d shown)" % (len(comparison.failures), min(SHOWN, len(comparison.failures))))
    print("every score within %g of the oracle" % TOLERANCE)
    compact = {m["number"] for m in models if m["precision"] != "float32"}
    near_ties = [r["near_tie"] for r in rows if r["model"] in compact]
    print("of %d rows in bf16 and int8, %d within %g" % (len(near_ties), sum(near_ties), NEAR_TIE))
    if sum(near_ties) > MOST_NEAR_TIES * len(near_ties):
        sys.exit("too many roundings are left open")


if __name__ == "__main__":
    main()
