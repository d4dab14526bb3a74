#!/usr/bin/python3
"""Compares the scores of all kernels, for all sizes of batches, any choice of outputs and all precisions, bit by bit; the
kernels of bf16 and int8 over extreme numbers; and the quick functions that they use with the exact ones. Brings training
to a limit that no query of a test reaches.

usage: check.py MODULE.so DIR [--models N]

MODULE is what "make engine-module" builds, DIR what test/oracle/generate.py wrote; of its models the first N are taken, and
as many others are made here, whose layers have any width. The server is the one that psql connects to, as a superuser.
The reference is the portable kernel, one row after the other, all outputs at once. Exits with 1 when anything differs.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[2] / "python")]

import mtl_rank as mtl  # noqa: E402

ROWS = 260
BATCHES = [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 23, 24, 25, 50, 97, 255, 256]
SEED = 20

SQL = r"""
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mtl_rank;
CREATE FUNCTION pg_temp.kernels() RETURNS text[] LANGUAGE c AS '{module}', 'engine_kernels';
CREATE FUNCTION pg_temp.differences(bytea, jsonb[], int[]) RETURNS text LANGUAGE c AS '{module}', 'engine_differences';
CREATE FUNCTION pg_temp.compact_differences(int) RETURNS text LANGUAGE c AS '{module}', 'compact_differences';
CREATE FUNCTION pg_temp.quick_errors() RETURNS float8[] LANGUAGE c AS '{module}', 'quick_errors';
CREATE TEMP TABLE engine_models (name text, file bytea, features jsonb[]);
COPY engine_models FROM STDIN;
{models}
\.

-- in other precisions, those with layers of any width
INSERT INTO engine_models
    SELECT name || ', ' || p, mtl_quantize(file::mtl_model, p)::bytea, features
    FROM engine_models, unnest('{bf16,int8}'::text[]) p WHERE name LIKE 'wide %';
CREATE TEMP TABLE results AS SELECT name, pg_temp.differences(file, features, '{batches}') AS differences FROM engine_models;
SELECT name || ': ' || differences FROM results WHERE differences <> '' LIMIT 20;
SELECT format('%s models, kernels %s, batches {batches}: %s models with differences', count(*), pg_temp.kernels(),
    count(*) FILTER (WHERE differences <> '')) FROM results;
SELECT count(*) = 0 OR bool_or(differences <> '') AS failed FROM results \gset
\if :failed
DO $$ BEGIN RAISE EXCEPTION 'scores differ'; END $$;
\endif

-- bf16 and int8 over numbers that models hardly have
CREATE TEMP TABLE compact AS SELECT pg_temp.compact_differences(5000) AS result;
SELECT result FROM compact;
SELECT count(*) <> 1 OR bool_or(result !~ 'bf16:.* 0 differences;.* int8:.* 0 differences$') AS failed FROM compact \gset
\if :failed
DO $$ BEGIN RAISE EXCEPTION 'kernels differ'; END $$;
\endif

-- what math/quick_functions.h says
CREATE TEMP TABLE quick AS SELECT * FROM unnest('{exp,sigmoid,tanh,normal}'::text[], pg_temp.quick_errors(), '{3e-10,3e-10,2e-10,2e-9}'::float8[])
    q(name, error, bound);
SELECT format('%s: errors up to %s, the bound is %s', name, error, bound) FROM quick;
SELECT count(*) <> 4 OR bool_or(NOT error <= bound) AS failed FROM quick \gset
\if :failed
DO $$ BEGIN RAISE EXCEPTION 'quick functions are off'; END $$;
\endif

CREATE FUNCTION pg_temp.evaluator_create(bigint) RETURNS void LANGUAGE c AS '{module}', 'evaluator_create';
SELECT pg_temp.evaluator_create(1000);
DO $$
BEGIN
    PERFORM pg_temp.evaluator_create(4294967296);
    RAISE EXCEPTION 'there is no limit of validation rows';
EXCEPTION WHEN program_limit_exceeded THEN
    ASSERT SQLERRM = 'training has 4294967296 validation rows, the limit is 4294967295', SQLERRM;
END $$;
"""


def oracle_models(directory, count):
    """Name, file and rows of the generator's models; their few rows in random order again and again."""
    random = np.random.default_rng(SEED)
    rows = {}
    with open(directory / "rows.jsonl") as f:
        for line in f:
            row = json.loads(line)
            rows.setdefault(row["model"], []).append(row["features"])
    with open(directory / "models.jsonl") as f:
        for line in list(f)[:count]:
            model = json.loads(line)
            own = rows[model["number"]]
            yield model["file"], (directory / model["file"]).read_bytes(), [own[i] for i in random.integers(len(own), size=ROWS)]


def random_mlp(random, most=3):
    """Layers of any width, now and then of a strip's or a tile's, with an activation and maybe a normalization."""
    widths = [int(random.choice([1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 80, int(random.integers(1, 200))]))
              for _ in range(random.integers(1, most + 1))]
    activation = str(random.choice(["relu", "relu", "leaky_relu", "prelu", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh", "dice"]))
    normalization = [None, None, mtl.batch_norm(), mtl.layer_norm()][random.integers(4)]
    return mtl.mlp(widths, activation=activation, normalization=normalization)


def random_architecture(random, tasks):
    experts = int(random.integers(1, 6))
    gate = mtl.gate([int(random.integers(1, 20))]) if random.integers(2) else None
    tower = mtl.tower([int(random.integers(1, 70))])
    return [
        lambda: mtl.mmoe(num_experts=experts, expert=random_mlp(random), gate=gate, tower=tower),
        lambda: mtl.ple(num_levels=2, shared_expert_num=experts, specific_expert_num=int(random.integers(1, 3)),
                        expert=random_mlp(random, 2), gate=gate, tower=tower),
        lambda: mtl.shared_bottom(random_mlp(random), tower=tower),
        lambda: mtl.single_task(tower=mtl.tower([int(random.choice([30, 300, 1500], p=[.5, .45, .05])) + int(random.integers(20)), int(random.integers(1, 70))])),
    ][random.integers(4)]()


def wide_models(count):
    """Models over one dense vector, and maybe embeddings, of which small ones are folded, a sequence, and a matrix."""
    for number in range(count):
        random = np.random.default_rng([SEED, number])
        tasks = int(random.integers(1, 5))
        width = int(random.integers(2, 150))
        features = [mtl.dense("x", width=width)]
        features += [mtl.sparse("s%d" % i, mtl.index_lookup(), embedding_dim=int(random.choice([3, 8, 16, 24, 32, 37])), oov="zero",
                                vocabulary_size=int(random.choice([50, 1000, 3000]))) for i in range(random.integers(6))]
        sparse = features[1:]
        if random.integers(3) == 0:
            features.append(mtl.dense("d", width=3, embedding_dim=int(random.integers(1, 20))))
        if random.integers(3) == 0:
            features.append(mtl.sequence("q", mtl.index_lookup(), 3, vocabulary_size=9, embedding_dim=int(random.integers(1, 40)), oov="zero",
                                         combiner=str(random.choice(["mean", "max", "concat"]))))
        names = [f["name"] for f in features]
        context = [None, names, [n for n in names if random.integers(2)], [n for n in names if n[0] != "s"]][random.integers(4)]
        model = mtl.Model(mtl.make_contract(architecture=random_architecture(random, tasks), features=features, context=context,
                                            input=list(random.permutation(names)), tasks=[mtl.binary("t%d" % t) for t in range(tasks)]))
        for name, shape in model.expected_tensors().items():
            scale = shape[-1] ** -0.5 if len(shape) == 2 else 0.3
            values = random.normal(size=shape) * scale
            model.tensors[name] = (np.abs(values) if name.endswith("running_var") else values).astype("f4")
        # an index beyond the table is unknown: a vector of zeros
        rows = [{"x": [round(float(v), 3) for v in random.normal(size=width)],
                 "d": [round(float(v), 3) for v in random.normal(size=3)],
                 "q": [int(v) for v in random.integers(10, size=random.integers(4))],
                 **{f["name"]: int(random.integers(f["vocabulary_size"] * 1.1)) for f in sparse}} for _ in range(ROWS)]
        yield "wide model %d" % number, model.to_bytes(), rows


def copy_line(name, file, rows):
    array = "{%s}" % ",".join('"%s"' % json.dumps(r, ensure_ascii=True).replace("\\", "\\\\").replace('"', '\\"') for r in rows)
    return "\t".join([name, "\\\\x" + file.hex(), array.replace("\\", "\\\\")])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--models", type=int, default=400)
    options = parser.parse_args()

    lines = [copy_line(*m) for m in oracle_models(options.directory, options.models)]
    lines += [copy_line(*m) for m in wide_models(options.models)]
    script = SQL.replace("{module}", options.module).replace("{batches}", "{%s}" % ",".join(map(str, BATCHES)))
    script = script.replace("{models}", "\n".join(lines))
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-f", "-"], input=script.encode())
    sys.exit(1 if done.returncode else 0)


if __name__ == "__main__":
    main()
