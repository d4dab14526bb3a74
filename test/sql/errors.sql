-- errors that the tests of what they belong to do not come to
CREATE SCHEMA errors;
SET search_path = errors, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set ECHO all
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
	EXECUTE statement;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN SQLSTATE || ' ' || SQLERRM || coalesce(E'\n  detail: ' || nullif(detail, ''), '') || coalesce(E'\n  hint: ' || nullif(hint, ''), '');
END
$$;
CREATE FUNCTION refused(file bytea) RETURNS text LANGUAGE sql AS $$ SELECT refusal(format('SELECT %L::bytea::mtl_model', file)) $$;
CREATE FUNCTION f32_of(name text, shape int[], number real) RETURNS tensor LANGUAGE sql AS $$
	SELECT f32(name, shape, VARIADIC array_fill(number, ARRAY[(SELECT round(exp(sum(ln(n)))) FROM unnest(shape) n)::int]))
$$;

-- a contract of two tasks over two features, with changes
CREATE FUNCTION contract(changes jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT (jsonb '{"format": 1, "architecture": {"type": "single_task"},
		"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
		"tasks": [{"name": "x", "type": "regression"}, {"name": "y", "type": "regression"}]}' || changes)::text
$$;
CREATE FUNCTION refused_contract(changes jsonb, VARIADIC tensors tensor[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT refused(model_file(contract(changes), VARIADIC tensors || f32('none', '{1}', 0)))
$$;
CREATE FUNCTION refused_features(VARIADIC features jsonb[]) RETURNS text LANGUAGE sql AS $$
	SELECT refused_contract(jsonb_build_object('features', to_jsonb(features)))
$$;

--
-- files
--

SELECT refused(safetensors('{"__metadata__": {"mtl_rank": "{}", "mtl_rank_sha256": "0"}, "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}', '\x00000000'));
SELECT refused(safetensors((SELECT jsonb '{"__metadata__": {"mtl_rank": "{}", "mtl_rank_sha256": "0"}}' || jsonb_object_agg('t' || i, 0)
	FROM generate_series(1, 100001) i)::text, ''));
SELECT refused_contract('{}', f32('task.x.tower.logit.weight', '{1,2}', 1, 1), f32('task.x.tower.logit.bias', '{1}', 0),
	f32('task.y.tower.logit.weight', '{1,2}', 1, 1), f32('task.y.tower.logit.bias', '{1}', 0), f32('one more', '{1}', 0));

--
-- contracts
--

SELECT refused_contract('{"tasks": [{"name": "x", "type": "multiclass", "num_classes": 3}, {"name": "y", "type": "binary"}, {"name": "z", "type": "product", "of": ["x", "y"]}]}');
SELECT refused_contract(jsonb_build_object('tasks', jsonb '[{"name": "x", "type": "binary"}]' ||
	jsonb_build_object('name', 'z', 'type', 'product', 'of', (SELECT jsonb_agg('x'::text) FROM generate_series(1, 1001)))));
SELECT refused_contract('{"examples": {"count": 1, "tolerance": -0.1}}');
SELECT refused_features('{"name": "a", "kind": "sequence", "max_length": 3, "lookup": {"type": "index"}, "missing": "zero"}');
SELECT refused_features('{"name": "a", "kind": "dense", "missing": {}}');
SELECT refused_features('{"name": "a", "kind": "dense", "transform": {"type": "min_max", "min": 2, "max": 2}}');
SELECT refused_features('{"name": "a", "kind": "dense", "transform": {"type": "clip", "min": 3, "max": 2}}');
SELECT refused_contract(jsonb_build_object('features', (SELECT jsonb_agg(jsonb_build_object('name', 'f' || i, 'kind', 'dense', 'width', 65536, 'transform', '{"type": "log1p"}'::jsonb))
	FROM generate_series(1, 65) i)));
SELECT refused_features(jsonb '{"name": "a", "kind": "dense"}' || jsonb_build_object('transform', (SELECT jsonb_agg('{"type": "log1p"}'::jsonb) FROM generate_series(1, 100))));
SELECT refused_features('{"name": "a", "kind": "dense", "width": 3, "columns": ["a1", "a2"]}');
SELECT refused_features('{"name": "a", "kind": "dense", "embedding_bias": true}');
SELECT refused_features('{"name": "a", "kind": "sequence", "max_length": 3, "lookup": {"type": "index"}, "combiner": "max", "empty_value": 1e39}');

--
-- features
--

-- heads of both tasks over one number
CREATE FUNCTION heads() RETURNS tensor[] LANGUAGE sql AS $$
	SELECT ARRAY[f32('task.x.tower.logit.weight', '{1,1}', 1), f32('task.x.tower.logit.bias', '{1}', 0),
		f32('task.y.tower.logit.weight', '{1,1}', 1), f32('task.y.tower.logit.bias', '{1}', 0)]
$$;
SELECT refused(model_file(contract('{"features": [{"name": "a", "kind": "sequence", "max_length": 2, "lookup": {"type": "index"}, "padding": "none"}]}'),
	VARIADIC heads() || f32('embedding.a.weight', '{2,1}', 1, 2)));
SELECT refused_contract('{"features": [{"name": "a", "kind": "sparse", "lookup": {"type": "index"}}]}', f32_of('embedding.a.weight', '{1,65537}', 0));
CREATE FUNCTION refused_vocabulary(text text, VARIADIC offsets bigint[]) RETURNS text LANGUAGE sql AS $$
	SELECT refused(model_file(contract('{"features": [{"name": "a", "kind": "sparse", "lookup": {"type": "vocabulary"}}]}'),
		VARIADIC heads() || ARRAY[f32('embedding.a.weight', '{2,1}', 1, 2), u8('vocabulary.a.bytes', text),
			i64('vocabulary.a.offsets', ARRAY[cardinality(offsets)], VARIADIC offsets)]))
$$;
SELECT refused_vocabulary('ab', 0, 1, 2), refused_vocabulary('ab', 1, 1, 2), refused_vocabulary('ab', 0, 3, 2);

-- values
CREATE TABLE linear AS SELECT model_file(contract('{}'), f32('task.x.tower.logit.weight', '{1,2}', 2, 3), f32('task.x.tower.logit.bias', '{1}', 1),
	f32('task.y.tower.logit.weight', '{1,2}', 3, 4), f32('task.y.tower.logit.bias', '{1}', 1))::mtl_model AS model;
CREATE FUNCTION refused_call(features text) RETURNS text LANGUAGE sql AS $$ SELECT refusal(format('SELECT mtl_score(model, %s) FROM linear', features)) $$;
SELECT refusal('SELECT mtl_score(model, r) FROM linear, (SELECT 1 AS c) r');
SELECT refusal('SELECT mtl_score(model, r) FROM linear, (SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS b) r');
SELECT refused_call('ARRAY[1], ROW(2)');
SELECT refused_call(quote_literal('{"a": 1, "b": {"c": 1}}') || '::jsonb');
CREATE FUNCTION numbers(point) RETURNS real[] LANGUAGE sql STABLE AS $$ SELECT ARRAY[1, 2]::real[] $$;
CREATE CAST (point AS real[]) WITH FUNCTION numbers(point);
SELECT refused_call('''(1,2)''::point');
DROP CAST (point AS real[]);
CREATE FUNCTION no_numbers(point) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN NULL; END $$;
CREATE CAST (point AS real[]) WITH FUNCTION no_numbers(point);
SELECT refused_call('''(1,2)''::point');
DROP CAST (point AS real[]);

--
-- networks
--

SELECT refused_contract('{"architecture": {"type": "cross_stitch", "column": {"hidden_units": [2, 2]}, "stitch_after": [0, 0]}}');
SELECT refused_contract('{"architecture": {"type": "mmoe", "levels": [{"num_experts": 1, "expert": {}, "mix": "task"}, {"num_experts": 1, "expert": {}, "mix": "shared"},
	{"num_experts": 1, "expert": {}, "mix": "task"}]}}', f32('level.0.task.x.gate.logit.weight', '{1,2}', 1, 1), f32('level.0.task.y.gate.logit.weight', '{1,2}', 1, 1));
SELECT refused_contract('{"architecture": {"type": "sluice", "column": {"hidden_units": [3]}}}');
SELECT refused_contract(jsonb_build_object('architecture', jsonb_build_object('type', 'shared_bottom', 'bottom',
	jsonb_build_object('hidden_units', (SELECT jsonb_agg(1) FROM generate_series(1, 65))))));
SELECT refused_contract('{"architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [2], "normalization": {"type": "batch_norm", "epsilon": 0.5}}}}',
	f32('shared.bottom.0.weight', '{2,2}', 1, 1, 1, 1), f32('shared.bottom.0.bias', '{2}', 0, 0), f32('shared.bottom.0.norm.weight', '{2}', 1, 1),
	f32('shared.bottom.0.norm.bias', '{2}', 0, 0), f32('shared.bottom.0.norm.running_mean', '{2}', 0, 0), f32('shared.bottom.0.norm.running_var', '{2}', 1, -1));
SELECT refused(model_file(contract('{"architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [1], "normalization": {"type": "batch_norm", "epsilon": 1e-10}}}}'),
	VARIADIC heads() || ARRAY[f32('shared.bottom.0.weight', '{1,2}', 1e38, 1), f32('shared.bottom.0.bias', '{1}', 0), f32('shared.bottom.0.norm.weight', '{1}', 1),
		f32('shared.bottom.0.norm.bias', '{1}', 0), f32('shared.bottom.0.norm.running_mean', '{1}', 0), f32('shared.bottom.0.norm.running_var', '{1}', 0)]));

--
-- values that are not what their type promises: with functions that hand their argument on, whatever it is
--

CREATE FUNCTION bytes_of(mtl_model) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION model_of(bytea) RETURNS mtl_model LANGUAGE internal IMMUTABLE STRICT AS 'int8up';
CREATE FUNCTION scored(bytes bytea) RETURNS text LANGUAGE sql AS $$ SELECT refusal(format('SELECT mtl_score(errors.model_of(%L::bytea), ARRAY[1, 2])', bytes)) $$;
SELECT scored(bytes_of(model)), scored(''), scored(set_byte(bytes_of(model), 0, 0)), scored(set_byte(bytes_of(model), 4, 2)), scored(set_byte(bytes_of(model), 5, 1)),
	scored(bytes_of(model) || '\x00'), scored(substr(bytes_of(model), 1, 100)) FROM linear;
-- another digest: what is loaded already is taken by its digest
SELECT regexp_replace(scored(set_byte(bytes_of(model), 20, get_byte(bytes_of(model), 20) # 1)), '\m[0-9a-f]{64}\M', '...', 'g') FROM linear;

-- functions that read the beginning alone do not know the digest, and trust nothing the more
CREATE FUNCTION described(bytes bytea) RETURNS text LANGUAGE sql AS $$ SELECT refusal(format('SELECT mtl_describe(v), mtl_graph(v) FROM errors.model_of(%L::bytea) v', bytes)) $$;
SELECT described(bytes_of(model)), described(substr(bytes_of(model), 1, 60)), described(overlay(substr(bytes_of(model), 1, 60) PLACING '\x0700' FROM 13 FOR 2) || '\x01234567890123'::bytea),
	described(set_byte(bytes_of(model), 61, 4)), described(set_byte(bytes_of(model), 67, 255)) FROM linear;
SELECT left(r, 5) AS outcome, count(*) > 10 AS many
FROM linear, generate_series(60, 60 + (mtl_describe(model)->>'size')::int - 1) byte, generate_series(0, 7, 3) bit,
	described(set_byte(bytes_of(model), byte, get_byte(bytes_of(model), byte) # (1 << bit))) r
GROUP BY 1 ORDER BY left(r, 5) COLLATE "C";

--
-- training
--

CREATE TABLE samples AS SELECT i, i % 7 AS n, 'c' || i % 3 AS s, (i % 2)::int AS y FROM generate_series(1, 60) i;
CREATE FUNCTION untrained(features jsonb, options jsonb DEFAULT '{}', query text DEFAULT 'SELECT * FROM errors.samples') RETURNS text LANGUAGE sql AS $$
	SELECT refusal(format('SELECT mtl_train(%L, %L, %L)', jsonb_build_object('architecture', '{"type": "single_task", "tower": {"hidden_units": [2]}}'::jsonb, 'features', features,
		'tasks', '[{"name": "p", "type": "binary", "label": "y"}, {"name": "q", "type": "binary"}, {"name": "pq", "type": "product", "of": ["p", "q"], "label": "y"}]'::jsonb),
		query, options))
$$;
SET client_min_messages = warning;
SELECT untrained('[{"name": "n", "kind": "sparse", "lookup": {"type": "index"}}]', '{}', 'SELECT 2000000000 AS n, y FROM errors.samples');
SELECT untrained('[{"name": "n", "kind": "dense"}]', '{"task_weights": {"weights": {"q": 1}}}');
SELECT untrained('[{"name": "n", "kind": "dense"}]', '{"task_weights": {"weights": {"r": 1}}}');
SELECT untrained('[{"name": "n", "kind": "dense"}]', '{"validation": {"fraction": 0.99999}}', 'SELECT * FROM errors.samples LIMIT 1');

DROP SCHEMA errors CASCADE;
