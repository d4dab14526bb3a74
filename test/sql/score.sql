-- scores, ranks, gates, descriptions
CREATE SCHEMA score;
SET search_path = score, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set ECHO all

-- every type of task: p = sigmoid(a), s = softmax(-b, b)[1], m = softmax(a, b, 0), r = 2a + b, h = b + 1 (hidden)
CREATE TABLE tasks AS SELECT model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
	"tasks": [
		{"name": "p", "type": "binary"},
		{"name": "s", "type": "binary", "head": "softmax"},
		{"name": "m", "type": "multiclass", "classes": ["low", "mid", "high"]},
		{"name": "r", "type": "regression"},
		{"name": "h", "type": "regression", "hidden": true},
		{"name": "pr", "type": "product", "of": ["p", "r"]},
		{"name": "all", "type": "product", "of": ["pr", "h", "s"]}],
	"rank": {"form": "sum", "weights": {"r": 2, "p": 10, "m.high": 0}}}',
	f32('task.p.tower.logit.weight', '{1,2}', 1, 0), f32('task.p.tower.logit.bias', '{1}', 0),
	f32('task.s.tower.logit.weight', '{2,2}', 0, -1, 0, 1), f32('task.s.tower.logit.bias', '{2}', 0, 0),
	f32('task.m.tower.logit.weight', '{3,2}', 1, 0, 0, 1, 0, 0), f32('task.m.tower.logit.bias', '{3}', 0, 0, 0),
	f32('task.r.tower.logit.weight', '{1,2}', 2, 1), f32('task.r.tower.logit.bias', '{1}', 0),
	f32('task.h.tower.logit.weight', '{1,2}', 0, 1), f32('task.h.tower.logit.bias', '{1}', 1))::mtl_model AS model;
SELECT mtl_tasks(model) FROM tasks;
SELECT mtl_score(model, ARRAY[0, 0]), mtl_score(model, ARRAY[0, 1]), mtl_score(model, ARRAY[2, 1]) FROM tasks;
SELECT abs(mtl_score(model, ARRAY[2, 1], 'm.mid') - exp(1.0) / (exp(2.0) + exp(1.0) + 1)) < 1e-7 AS near FROM tasks;
-- the name of a task may change from row to row
SELECT task, mtl_score(model, ARRAY[2, 1], task) = (mtl_score(model, ARRAY[2, 1]))[position] AS same
FROM tasks, unnest(mtl_tasks(model)) WITH ORDINALITY t(task, position) ORDER BY position;
SELECT mtl_score(model, ARRAY[2, 1], NULL) FROM tasks;
SELECT mtl_score(model, ARRAY[2, 1], 'm') FROM tasks;
SELECT mtl_score(model, ARRAY[2, 1], 'h') FROM tasks;
SELECT mtl_score(model, ARRAY[2, 1], '') FROM tasks;

-- rank
SELECT mtl_rank(model, ARRAY[0, 1]), mtl_rank(model, ARRAY[0, 1], '{"r": 1}'), mtl_rank(model, ARRAY[0, 1], '{"p": -1, "r": 0.5, "s": 0}') FROM tasks;
SELECT w, mtl_rank(model, ARRAY[0, 1], w) FROM tasks, (VALUES ('{"r": 1}'::jsonb), ('{"r": 2}'), ('{"r": 2, "p": 1}')) v(w);
SELECT mtl_rank(model, ARRAY[0, 1], NULL) FROM tasks;
SELECT mtl_rank(model, ARRAY[0, 1], '{}') FROM tasks;
SELECT mtl_rank(model, ARRAY[0, 1], '[1]') FROM tasks;
SELECT mtl_rank(model, ARRAY[0, 1], '{"x": 1}') FROM tasks;
SELECT mtl_rank(model, ARRAY[0, 1], '{"r": "1"}') FROM tasks;
SELECT mtl_rank(model, ARRAY[0, 1], '{"r": 1e999}') FROM tasks;
SELECT mtl_rank(model, ARRAY[0, 1], '{"r": 1e39}') FROM tasks;

-- a product of powers, and a model without a formula: r = a, q = b
CREATE FUNCTION pair(rank jsonb) RETURNS mtl_model LANGUAGE sql AS $$
	SELECT model_file((jsonb '{"format": 1, "architecture": {"type": "single_task", "tower": {"logit_bias": false}},
		"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
		"tasks": [{"name": "r", "type": "regression"}, {"name": "q", "type": "regression"}]}' || rank)::text,
		f32('task.r.tower.logit.weight', '{1,2}', 1, 0), f32('task.q.tower.logit.weight', '{1,2}', 0, 1))::mtl_model
$$;
SELECT mtl_rank(pair('{}'), ARRAY[1, 2]);
SELECT mtl_rank(pair('{}'), ARRAY[1, 2], '{"q": 3}');
CREATE TABLE product AS SELECT pair('{"rank": {"form": "product", "weights": {"r": 0.5, "q": -2}}}') AS model;
SELECT mtl_rank(model, ARRAY[9, 2]), mtl_rank(model, ARRAY[0, 2]), mtl_rank(model, ARRAY[9, 2], '{"r": 2}') FROM product;
SELECT mtl_rank(model, ARRAY[0, 0], '{"r": 0}') FROM product;
SELECT mtl_rank(model, ARRAY[9, 0]) FROM product;
SELECT mtl_rank(model, ARRAY[-1, 1]) FROM product;

-- what leaves the range of float32
SELECT mtl_score(model, ARRAY[3e38, 3e38]::float8[], 'r') FROM tasks;
SELECT mtl_score(model, ARRAY[3e38, 0]::float8[], 'p') FROM tasks;
SELECT mtl_score(model, ARRAY[-3e38, 0]::float8[], 'p') FROM tasks;
-- an activation does not hide it, and what nobody asked for does not matter although it is computed along with the rest
CREATE TABLE fused AS SELECT model_file('{"format": 1,
	"architecture": {"type": "single_task", "tower": {"hidden_units": [1], "activation": "relu", "bias": false, "logit_bias": false}},
	"features": [{"name": "a", "kind": "dense"}], "tasks": [{"name": "small", "type": "regression"}, {"name": "large", "type": "regression"}]}',
	f32('task.small.tower.0.weight', '{1,1}', 0.5), f32('task.small.tower.logit.weight', '{1,1}', 1),
	f32('task.large.tower.0.weight', '{1,1}', 3e38), f32('task.large.tower.logit.weight', '{1,1}', 1))::mtl_model AS model;
SELECT mtl_score(model, ARRAY[1]) FROM fused;
SELECT mtl_score(model, ARRAY[10], 'small'), mtl_score(model, ARRAY[-10], 'small') FROM fused;
SELECT mtl_score(model, ARRAY[10], 'large') FROM fused;
SELECT mtl_score(model, ARRAY[-10], 'large') FROM fused;
SELECT mtl_score(model, ARRAY[-10]) FROM fused;

-- gates: two experts, the shared gate prefers the second, task x the first, task y neither
CREATE TABLE gated AS SELECT model_file('{"format": 1,
	"architecture": {"type": "ple", "levels": [
		{"shared_expert_num": 1, "specific_expert_num": [1, 0], "expert": {"hidden_units": [1], "activation": "linear", "bias": false}, "gate": {"logit_bias": true}, "shared_gate": "all"},
		{"shared_expert_num": 1, "specific_expert_num": 0, "expert": {}}], "tower": {"logit_bias": false}},
	"features": [{"name": "a", "kind": "dense"}],
	"tasks": [{"name": "x", "type": "regression"}, {"name": "y", "type": "regression"}]}',
	f32('level.0.task.x.expert.0.0.weight', '{1,1}', 3), f32('level.0.shared.expert.0.0.weight', '{1,1}', 5),
	f32('level.0.task.x.gate.logit.weight', '{2,1}', 0, 0), f32('level.0.task.x.gate.logit.bias', '{2}', 100, -100),
	f32('level.0.task.y.gate.logit.weight', '{1,1}', 7), f32('level.0.task.y.gate.logit.bias', '{1}', 7),
	f32('level.0.shared.gate.logit.weight', '{2,1}', 1, 1), f32('level.0.shared.gate.logit.bias', '{2}', 0, 0),
	f32('level.1.task.x.gate.logit.weight', '{1,1}', 0), f32('level.1.task.y.gate.logit.weight', '{1,1}', 0),
	f32('task.x.tower.logit.weight', '{1,1}', 1), f32('task.y.tower.logit.weight', '{1,1}', 10))::mtl_model AS model;
SELECT * FROM mtl_gates((SELECT model FROM gated), ARRAY[1]);
SELECT a, g.* FROM gated, generate_series(1, 2) a, mtl_gates(model, ARRAY[a]) g WHERE g.task IS NULL;
SELECT mtl_score(model, ARRAY[1]) FROM gated;
SELECT mtl_gates(model, ARRAY[1, 2]) FROM gated;
SELECT * FROM tasks, mtl_gates(model, ARRAY[1, 2]);

-- what a model is
SELECT mtl_describe(model) - 'digest' - 'size' - 'operations' FROM gated;
SELECT position - 1 AS position, operation->>'operation' AS operation, operation->>'name' AS name, operation->>'width' AS width,
	operation->>'inputs' AS inputs, operation->>'activation' AS activation
FROM gated, jsonb_array_elements(mtl_describe(model)->'operations') WITH ORDINALITY o(operation, position);
SELECT mtl_describe(model)->>'digest' = mtl_digest(model) AS digest, (mtl_describe(model)->>'size')::int = octet_length(model::bytea) AS size FROM gated;

-- the same by name and by value, however it is stored; of 21 chunks of the file no more is read than the first ones
CREATE TABLE stored (model mtl_model, compressed mtl_model);
ALTER TABLE stored ALTER compressed SET STORAGE extended;
INSERT INTO stored SELECT m, m FROM (SELECT model_file('{"format": 1, "architecture": {"type": "single_task", "tower": {"logit_bias": false}},
	"features": [{"name": "a", "kind": "dense", "width": 10000}], "tasks": [{"name": "y", "type": "regression"}]}',
	f32('task.y.tower.logit.weight', '{1,10000}', VARIADIC array_fill(0.5::real, '{10000}')))::mtl_model AS m) x;
CREATE FUNCTION descriptions(model mtl_model) RETURNS text LANGUAGE sql AS $$
	SELECT concat(mtl_tasks(model), mtl_describe(model), mtl_graph(model), (SELECT array_agg(f) FROM mtl_features(model) f))
$$;
CREATE FUNCTION descriptions(model text) RETURNS text LANGUAGE sql AS $$
	SELECT concat(mtl_tasks(model), mtl_describe(model), mtl_graph(model), (SELECT array_agg(f) FROM mtl_features(model) f))
$$;
CREATE FUNCTION chunks_read(statement text, relation regclass, OUT chunks bigint) LANGUAGE plpgsql AS $$
DECLARE
	counter text = format('SELECT idx_tup_fetch FROM pg_stat_xact_all_tables WHERE relid = (SELECT reltoastrelid FROM pg_class WHERE oid = %s)', relation::oid);
	before bigint;
BEGIN
	EXECUTE counter INTO before;
	EXECUTE statement;
	EXECUTE counter INTO chunks;
	chunks := chunks - before;
END
$$;
BEGIN;
SELECT mtl_register('stored', model) FROM stored;
SELECT left(d, 13) AS beginning, d = descriptions(compressed) AS compressed, d = descriptions(model::bytea::mtl_model) AS in_memory, d = descriptions('stored') AS by_name,
	pg_column_size(model) > 40000 AS is_large, pg_column_size(compressed) < 2000 AS is_small
FROM stored, descriptions(model) d;
SELECT f || '(' || m || ')' AS call, chunks BETWEEN 1 AND 4 AS few FROM unnest('{mtl_tasks,mtl_features,mtl_describe,mtl_graph,mtl_digest}'::text[]) f, unnest('{model,''stored''}'::text[]) m,
	chunks_read(format('SELECT %s(%s) FROM stored', f, m), CASE m WHEN 'model' THEN 'stored'::regclass ELSE 'mtl_models' END) WHERE (f, m) <> ('mtl_digest', '''stored''');
SELECT chunks_read('SELECT model::bytea FROM stored', 'stored') > 20 AS all_are_many;
ROLLBACK;


-- examples
CREATE FUNCTION example(expected real, tolerance real, rows text DEFAULT '[{"a": 2, "b": 3}, {"b": 5, "a": 1}]') RETURNS mtl_model LANGUAGE sql AS $$
	SELECT model_file(jsonb_build_object('format', 1, 'architecture', '{"type": "single_task", "tower": {"logit_bias": false}}'::jsonb,
		'features', '[{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}]'::jsonb, 'tasks', '[{"name": "y", "type": "regression"}]'::jsonb,
		'examples', jsonb_build_object('count', 2, 'tolerance', tolerance))::text,
		f32('task.y.tower.logit.weight', '{1,2}', 10, 1), f32('examples.scores', '{2,1}', 23, expected), u8('examples.rows', rows))::mtl_model
$$;
SELECT * FROM mtl_verify(example(15, 0));
SELECT * FROM mtl_verify(example(15.001, 1e-3));
SELECT * FROM mtl_verify(example(15.001, 1e-6));
SELECT * FROM mtl_verify(example(15, 0, '[{"a": 2, "b": 3}, {"b": 5}]'));
SELECT example(15, 0, '[{"a": 2, "b": 3}, 5]');
SELECT example(15, 0, '{"a": 2, "b": 3}');
SELECT example(15, 0, '[{]');
SELECT * FROM mtl_verify((SELECT model FROM tasks));
