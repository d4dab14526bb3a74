-- features: forms of a row, kinds of features, and what is refused
CREATE SCHEMA features;
SET search_path = features, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set ECHO all

-- The output shows the input: a task of one logit per number of x, each with its own tower.
CREATE FUNCTION mirror(features jsonb, width int, VARIADIC tensors tensor[] DEFAULT '{}') RETURNS mtl_model LANGUAGE sql IMMUTABLE AS $$
	SELECT model_file(
		jsonb_build_object('format', 1, 'architecture', '{"type": "single_task", "tower": {"logit_bias": false}}'::jsonb, 'features', features,
			'tasks', (SELECT jsonb_agg(jsonb_build_object('name', 'x' || i, 'type', 'regression') ORDER BY i) FROM generate_series(1, width) i))::text,
		VARIADIC tensors || ARRAY(
			SELECT f32(format('task.x%s.tower.logit.weight', i), ARRAY[1, width],
				VARIADIC ARRAY(SELECT (i = k)::int::real FROM generate_series(1, width) k))
			FROM generate_series(1, width) i))::mtl_model
$$;

-- dense
CREATE TABLE dense AS SELECT mirror('[
	{"name": "plain", "kind": "dense"},
	{"name": "standard", "kind": "dense", "transform": {"type": "standardize", "mean": 10, "std": 4}},
	{"name": "ranged", "kind": "dense", "transform": {"type": "min_max", "min": -1, "max": 3}},
	{"name": "logged", "kind": "dense", "transform": [{"type": "clip", "min": 0}, {"type": "log1p"}], "missing": 0},
	{"name": "vector", "kind": "dense", "width": 2, "transform": {"type": "standardize", "mean": [1, 2], "std": [2, 4]}, "missing": "zero"},
	{"name": "gathered", "kind": "dense", "width": 2, "columns": ["left", "right"], "embedding_dim": 2, "embedding_bias": true}]', 8,
	f32('dense.gathered.weight', '{2,2}', 1, 10, 100, 1000), f32('dense.gathered.bias', '{2}', 0.5, 0.25)) AS model;
SELECT * FROM mtl_features((SELECT model FROM dense));
SELECT mtl_score(model, ARRAY[1, 12, 0, 0, 3, 6, 1, 2]) FROM dense;
SELECT mtl_score(model, '{"plain": 1, "standard": 12, "ranged": 0, "vector": [3, 6], "left": 1, "right": 2, "other": "x"}'::jsonb) FROM dense;
SELECT mtl_score(model, r) FROM dense, (SELECT true AS plain, 12::numeric AS standard, 0::bigint AS ranged, -5 AS logged,
	NULL::real[] AS vector, 1::smallint AS "left", 2::float8 AS "right") r;
-- dates and timestamps are seconds since 1970
SELECT mtl_score(model, r, 'x1') FROM dense, (SELECT date '1970-01-02' AS plain, timestamp '1970-01-01 00:00:10' AS standard,
	timestamptz '1970-01-01 00:00:00 UTC' AS ranged, 1 AS "left", 2 AS "right") r;
SET timezone = 'Asia/Tokyo';
SELECT mtl_score(model, r) FROM dense, (SELECT date '1970-01-01' AS plain, timestamp '1970-01-01 00:00:10' AS standard,
	timestamptz '1970-01-01 09:00:00' AS ranged, 1 AS "left", 2 AS "right") r;
RESET timezone;

-- arrays that do not fit
SELECT mtl_score(model, ARRAY[1, 2]) FROM dense;
SELECT mtl_score(model, '{}'::real[]) FROM dense;
SELECT mtl_score(model, ARRAY[[1, 12, 0, 0], [3, 6, 1, 2]]) FROM dense;
SELECT mtl_score(model, ARRAY[1, 12, NULL, 0, 3, 6, 1, 2]) FROM dense;
SELECT mtl_score(model, ARRAY[1, 12, 'NaN', 0, 3, 6, 1, 2]::real[]) FROM dense;
SELECT mtl_score(model, ARRAY[1, 12, 0, 0, 3, '-Infinity', 1, 2]::float8[]) FROM dense;
SELECT mtl_score(model, ARRAY[1, 12, 0, 0, 3, 'NaN', 1, 2]::numeric[]) FROM dense;
SELECT mtl_score(model, ARRAY[1e300, 12, 0, 0, 3, 6, 1, 2]::float8[]) FROM dense;
SELECT mtl_score(model, ARRAY['a']) FROM dense;
SELECT mtl_score(model, 1) FROM dense;
SELECT mtl_score(model, '{1,2}') FROM dense;
SELECT mtl_score(model, '{}'::json) FROM dense;
-- rows that do not fit
SELECT mtl_score(model, r) FROM dense, (SELECT 1 AS plain, 2 AS other) r;
SELECT mtl_score(model, r) FROM dense, (SELECT 1 AS plain, NULL::int AS standard, NULL::int AS ranged, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, r) FROM dense, (SELECT text '1' AS plain, 2 AS standard, 3 AS ranged, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, r) FROM dense, (SELECT point '(1,2)' AS plain, 2 AS standard, 3 AS ranged, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, r) FROM dense, (SELECT 'NaN'::real AS plain, 2 AS standard, 3 AS ranged, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, r) FROM dense, (SELECT date 'infinity' AS plain, 2 AS standard, 3 AS ranged, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, r) FROM dense, (SELECT 1 AS plain, 2 AS standard, 3 AS ranged, '{1,2,3}'::int[] AS vector, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, r) FROM dense, (SELECT 1 AS plain, 2 AS standard, 3 AS ranged, '{1,NULL}'::int[] AS vector, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, r) FROM dense, (SELECT 1 AS plain, 2 AS standard, 3 AS ranged, 4 AS vector, 1 AS "left", 2 AS "right") r;
SELECT mtl_score(model, a, b) FROM dense, (SELECT 1 AS plain, 2 AS standard, 3 AS ranged) a, (SELECT 1 AS "left", 2 AS "right", 1 AS plain, 1 AS standard) b;
SELECT mtl_score(model, a, b) FROM dense, (SELECT 1 AS plain, 2 AS standard, 3 AS ranged) a, (SELECT 1 AS "left", 2 AS "right") b;
SELECT mtl_score(model, a, b) FROM dense, (SELECT 1 AS plain, 2 AS standard, 0 AS id) a, (SELECT 1 AS "left", 0 AS id) b;
-- jsonb that does not fit
SELECT mtl_score(model, '[1, 2]'::jsonb) FROM dense;
SELECT mtl_score(model, '1'::jsonb) FROM dense;
SELECT mtl_score(model, '{"plain": 1}'::jsonb) FROM dense;
SELECT mtl_score(model, '{"plain": "1", "standard": 2, "ranged": 3, "left": 1, "right": 2}'::jsonb) FROM dense;
SELECT mtl_score(model, '{"plain": [1], "standard": 2, "ranged": 3, "left": 1, "right": 2}'::jsonb) FROM dense;
SELECT mtl_score(model, '{"plain": 1e999, "standard": 2, "ranged": 3, "left": 1, "right": 2}'::jsonb) FROM dense;
SELECT mtl_score(model, '{"plain": 1, "standard": 2, "ranged": 3, "left": 1, "right": 2, "vector": [1]}'::jsonb) FROM dense;
SELECT mtl_score(model, '{"plain": 1, "standard": 2, "ranged": 3, "left": 1, "right": 2, "vector": [1, null]}'::jsonb) FROM dense;
SELECT mtl_score(model, '{"plain": 1, "standard": 2, "ranged": 3, "left": 1, "right": 2, "vector": 3}'::jsonb) FROM dense;

-- sparse: the table of row r holds r
CREATE FUNCTION ramp(name text, n int) RETURNS tensor LANGUAGE sql IMMUTABLE AS $$
	SELECT f32(name, ARRAY[n, 1], VARIADIC ARRAY(SELECT i::real FROM generate_series(0, n - 1) i))
$$;
CREATE TYPE color AS ENUM ('red', 'green');
CREATE DOMAIN small AS int CHECK (VALUE < 100);
CREATE TABLE sparse AS SELECT mirror('[
	{"name": "index", "kind": "sparse", "lookup": {"type": "index", "offset": 1}, "oov": 9},
	{"name": "number", "kind": "sparse", "lookup": {"type": "vocabulary"}, "oov": "zero", "missing": 30},
	{"name": "word", "kind": "sparse", "lookup": {"type": "vocabulary", "offset": 1}, "oov": 0, "missing": "oov"},
	{"name": "hash", "kind": "sparse", "lookup": {"type": "hash"}, "missing": "zero"},
	{"name": "masked", "kind": "sparse", "lookup": {"type": "hash", "mask_zero": true, "number_format": "float", "num_buckets": 100}}]', 5,
	ramp('embedding.index.weight', 10), ramp('embedding.number.weight', 3), ramp('embedding.word.weight', 5),
	ramp('embedding.hash.weight', 1000), ramp('embedding.masked.weight', 100),
	i64('vocabulary.number.ids', '{3}', 10, 20, 30),
	u8('vocabulary.word.bytes', 'redŁódź1true'), i64('vocabulary.word.offsets', '{5}', 0, 3, 10, 11, 15)) AS model;
SELECT mtl_score(model, r) FROM sparse, (VALUES
	(1, 20, 'red', 'a', 0.5), (8, 30, 'Łódź', 'abcdefghijklmnopqrstuvwxyz', 0), (9, 31, 'blue', '', 1), (-1, NULL, NULL, NULL, -0.25), (-2, -1, '1', '0', 1e6))
	r("index", number, word, hash, masked);
SELECT mtl_score(model, r, 'x3') FROM sparse, (SELECT 1 AS "index", 'red'::color AS word, 0 AS masked) r;
SELECT mtl_score(model, r, 'x3') FROM sparse, (SELECT 1 AS "index", 'red'::char(8) AS word, 0 AS masked) r;
SELECT mtl_score(model, r, 'x3') FROM sparse, (SELECT 1::small AS "index", 1 AS word, 0 AS masked) r;
SELECT mtl_score(model, r, 'x3') FROM sparse, (SELECT 1 AS "index", true AS word, 0 AS masked) r;
SELECT mtl_score(model, r, 'x4') FROM sparse, (SELECT 1 AS "index", '8b5c4dfe-3b1f-4c0c-9a51-1e3b4a5d6c7f'::uuid AS hash, 0 AS masked) r;
-- what is hashed: the text form, the same for a number and its decimal text
SELECT mtl_score(model, a, 'x4') = mtl_score(model, b, 'x4') AS decimal, mtl_score(model, a, 'x5') = mtl_score(model, b, 'x5') AS six_decimals
FROM sparse, (SELECT 1 AS "index", 9007199254740993 AS hash, 1.5 AS masked) a, (SELECT 1 AS "index", '9007199254740993' AS hash, '1.500000' AS masked) b;
SELECT mtl_score(model, r) FROM sparse, (SELECT 1.5 AS "index", 0 AS masked) r;
SELECT mtl_score(model, r) FROM sparse, (SELECT '1' AS "index", 0 AS masked) r;
SELECT mtl_score(model, r) FROM sparse, (SELECT 1 AS "index", 1.5 AS word, 0 AS masked) r;
SELECT mtl_score(model, r) FROM sparse, (SELECT 1 AS "index", 1.5 AS hash, 0 AS masked) r;
SELECT mtl_score(model, r) FROM sparse, (SELECT 'NaN'::real AS "index", 0 AS masked) r;
SELECT mtl_score(model, r) FROM sparse, (SELECT 1 AS "index", NULL::text AS masked) r;
SELECT mtl_score(model, ARRAY[1, 20, 1, 5, 0]) FROM sparse;
SELECT mtl_score(model, ARRAY[1.5, 20, 1, 5, 0]) FROM sparse;

-- an index of single precision: numbers above 2^24 fall on even ones, above 2^62 on multiples of 2^39
CREATE TABLE single AS SELECT mirror('[
	{"name": "f", "kind": "sparse", "lookup": {"type": "index", "offset": -16777216, "precision": "float32"}, "oov": "zero", "missing": 16777219},
	{"name": "d", "kind": "sparse", "lookup": {"type": "index", "offset": -16777216, "precision": "double"}, "oov": "zero", "embedding": "f", "missing": "zero"}]', 2,
	f32('embedding.f.weight', '{5,1}', 10, 11, 12, 13, 14)) AS model;
SELECT v, mtl_score(model, r) FROM single, unnest('{16777215,16777216,16777217,16777218,16777219,16777220,16777221,16777222}'::bigint[]) v, LATERAL (SELECT v AS f, v AS d) r;
SELECT v, mtl_score(model, r, 'x1'), mtl_score(model, to_jsonb(r), 'x1') FROM single, unnest('{16777216.5,16777217.5,16777219.000001,9223372036854775807,-9223372036854775808,
	1e19,-1e300,1e38,NULL}'::float8[]) v, LATERAL (SELECT v AS f) r;
SELECT mtl_score(model, ARRAY[16777217, 16777218]), mtl_score(model, ARRAY[16777217, 16777218]::float8[]), mtl_score(model, ARRAY[16777219, 16777218]::numeric[]) FROM single;
SELECT mtl_score(model, r) FROM single, (SELECT 16777216.5 AS d) r;
SELECT mtl_score(model, r) FROM single, (SELECT 1.5 AS f) r;
SELECT mtl_score(model, r) FROM single, (SELECT 'NaN'::real AS f) r;
SELECT mtl_score(model, r) FROM single, (SELECT '16777216' AS f) r;
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "index", "precision": "float16"}}]', 1, ramp('embedding.a.weight', 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "hash", "precision": "float32"}}]', 1, ramp('embedding.a.weight', 3));

-- sequences
CREATE TABLE sequences AS SELECT mirror('[
	{"name": "mean", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "t", "padding": 0, "missing": "empty"},
	{"name": "sum", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "t", "combiner": "sum", "truncate": "head", "oov": "skip", "missing": "empty"},
	{"name": "max", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "t", "combiner": "max", "empty_value": -1, "oov": "zero", "missing": "empty"},
	{"name": "weighted", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "t", "combiner": "sum", "padding": 0,
		"weights": {"column": "w", "normalize": "sum"}, "missing": "empty"}]', 4,
	ramp('embedding.t.weight', 10)) AS model;
SELECT mtl_score(model, r) FROM sequences, (VALUES
	('{1,2,3,4}'::int[], '{1,2,3,4}'::int[], '{9,1,5}'::bigint[], '{2,4}'::int[], '{1,3}'::float8[]),
	('{0,0,7,0,8,9,1}', '{11,1,2,-1,3,4}', '{20}', '{0,5,0}', '{1,1,1}'),
	('{}', '{}', '{}', '{}', '{}'),
	(NULL, NULL, NULL, NULL, NULL)) r(mean, sum, max, weighted, w);
SELECT mtl_score(model, '{"mean": [1, 2], "sum": [1, 2], "max": [1, 2], "weighted": [1, 2], "w": [1, 0]}'::jsonb) FROM sequences;
SELECT mtl_score(model, '{"mean": [1, null]}'::jsonb) FROM sequences;
SELECT mtl_score(model, '{"mean": 1}'::jsonb) FROM sequences;
SELECT mtl_score(model, '{"mean": [10]}'::jsonb) FROM sequences;
SELECT mtl_score(model, '{"weighted": [1, 2], "w": [1]}'::jsonb) FROM sequences;
SELECT mtl_score(model, '{"weighted": [1, 2]}'::jsonb) FROM sequences;
SELECT mtl_score(model, '{"weighted": [1, 2], "w": [1, -1]}'::jsonb) FROM sequences;
SELECT mtl_score(model, r) FROM sequences, (SELECT '{{1,2},{3,4}}'::int[] AS mean) r;
SELECT mtl_score(model, r) FROM sequences, (SELECT '{1,NULL}'::int[] AS mean) r;
SELECT mtl_score(model, r) FROM sequences, (SELECT 1 AS mean) r;
SELECT mtl_score(model, ARRAY[1, 2, 0, 1, 2, 3, 4, 5, 6, 1, 0, 0, 1, 0, 0]) FROM sequences;

-- sequences whose vectors stand side by side: padding keeps its place
CREATE TABLE concatenated AS SELECT mirror('[
	{"name": "tail", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "t", "combiner": "concat", "padding": 9, "missing": "empty"},
	{"name": "head", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "t", "combiner": "concat", "padding": 9, "unused": "head",
		"truncate": "head", "oov": "skip", "missing": "empty"},
	{"name": "pair", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 2, "combiner": "concat", "oov": 0, "missing": "empty"}]', 10,
	ramp('embedding.t.weight', 10), f32('embedding.pair.weight', '{2,2}', 0.5, 0.25, 1, 2)) AS model;
SELECT position, name, width FROM mtl_features((SELECT model FROM concatenated));
SELECT mtl_describe(model)->'multiply_adds' AS multiply_adds FROM concatenated;
SELECT mtl_score(model, r), mtl_score(model, r) = mtl_score(model, to_jsonb(r)) AS jsonb FROM concatenated, (VALUES
	('{1,2,3}'::int[], '{1,2,3}'::int[], '{0,1}'::int[]),
	('{1,2,3,4}', '{1,2,3,4}', '{1,1,1}'),
	('{9,2}', '{9,2}', '{1}'),
	('{2,9,9,4}', '{2,9,4,9}', '{7,0}'),
	('{5}', '{11,5,12}', '{}'),
	(NULL, NULL, NULL)) r(tail, head, pair);
SELECT mtl_score(model, ARRAY[9, 9, 1, 9, 9, 1, 1, 0]) FROM concatenated;
SELECT mtl_score(model, ARRAY[9, 9, 1, 9, 9, 11, 5, 7]) FROM concatenated;
SELECT mirror('[{"name": "s", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "combiner": "concat", "epsilon": 1}]', 3, ramp('embedding.s.weight', 3));
SELECT mirror('[{"name": "s", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "combiner": "concat", "weights": {"column": "w"}}]', 3, ramp('embedding.s.weight', 3));
SELECT mirror('[{"name": "s", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "combiner": "concat", "unused": "left"}]', 3, ramp('embedding.s.weight', 3));
SELECT mirror('[{"name": "s", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "combiner": "sum", "unused": "head"}]', 3, ramp('embedding.s.weight', 3));
SELECT mirror('[{"name": "s", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 65536, "combiner": "concat"}]', 1, f32('embedding.s.weight', '{1,65}', VARIADIC array_fill(0::real, '{65}')));
SELECT mtl_score(mirror('[{"name": "s", "kind": "sequence", "lookup": {"type": "vocabulary"}, "max_length": 1, "combiner": "concat", "padding": "x"}]', 1,
	ramp('embedding.s.weight', 1), u8('vocabulary.s.bytes', '1'), i64('vocabulary.s.offsets', '{2}', 0, 1)), ARRAY[1]);

-- vocabularies and defaults that do not fit their tables
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "index"}, "oov": 3}]', 1, ramp('embedding.a.weight', 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "index"}, "missing": 3}]', 1, ramp('embedding.a.weight', 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "index"}, "missing": {"value": "x"}}]', 1, ramp('embedding.a.weight', 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "hash", "num_buckets": 4}}]', 1, ramp('embedding.a.weight', 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "hash", "mask_zero": true, "num_buckets": 1}}]', 1, ramp('embedding.a.weight', 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary", "offset": 1}}]', 1, ramp('embedding.a.weight', 3), i64('vocabulary.a.ids', '{3}', 1, 2, 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary"}}]', 1, ramp('embedding.a.weight', 3), i64('vocabulary.a.ids', '{3}', 1, 2, 1));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary"}}]', 1, ramp('embedding.a.weight', 3));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary"}}]', 1, ramp('embedding.a.weight', 3),
	u8('vocabulary.a.bytes', 'xyz'), i64('vocabulary.a.offsets', '{3}', 0, 2, 1));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary"}}]', 1, ramp('embedding.a.weight', 3),
	u8('vocabulary.a.bytes', 'xyz'), i64('vocabulary.a.offsets', '{3}', 0, 1, 2));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary"}}]', 1, ramp('embedding.a.weight', 3),
	u8('vocabulary.a.bytes', 'xx'), i64('vocabulary.a.offsets', '{3}', 0, 1, 2));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary"}}]', 1, ramp('embedding.a.weight', 3),
	u8('vocabulary.a.bytes', 'Ł'), i64('vocabulary.a.offsets', '{3}', 0, 1, 2));
SELECT mirror('[{"name": "a", "kind": "sparse", "lookup": {"type": "index"}, "embedding_dim": 2}]', 1, ramp('embedding.a.weight', 3));
