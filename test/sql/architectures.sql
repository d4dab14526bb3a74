-- architectures with operations of their own: scores, gates, operations, errors, and the same bits from all kernels
CREATE SCHEMA architectures;
SET search_path = architectures, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set ECHO all

-- a tensor of numbers between -1 and 1
CREATE FUNCTION wave(name text, VARIADIC shape int[]) RETURNS tensor LANGUAGE sql IMMUTABLE AS $$
	SELECT f32(name, shape, VARIADIC (SELECT array_agg(sin(i * 12.9898 + length(name))::real ORDER BY i)
		FROM generate_series(1, shape[1] * coalesce(shape[2], 1)) i))
$$;
CREATE FUNCTION contract(architecture jsonb, features jsonb, VARIADIC tasks text[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('format', 1, 'features', features,
		'architecture', '{"tower": {"logit_bias": false}}'::jsonb || architecture,
		'tasks', (SELECT jsonb_agg(jsonb_build_object('name', task, 'type', 'regression') ORDER BY i)
			FROM unnest(tasks) WITH ORDINALITY t(task, i)))::text
$$;
CREATE FUNCTION operations(model mtl_model) RETURNS TABLE (n bigint, operation text, name text, width text, inputs text) LANGUAGE sql AS $$
	SELECT n - 1, o->>'operation', o->>'name', o->>'width', o->>'inputs'
	FROM jsonb_array_elements(mtl_describe(model)->'operations') WITH ORDINALITY t(o, n) ORDER BY n
$$;
-- all tasks at once, each alone, and both kernels
CREATE FUNCTION same_bits(model mtl_model, VARIADIC features real[]) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
	scores real[] := mtl_score(model, features);
	alone real[] := (SELECT array_agg(mtl_score(model, features, t) ORDER BY i) FROM unnest(mtl_tasks(model)) WITH ORDINALITY u(t, i));
	portable real[];
BEGIN
	SET LOCAL mtl_rank.kernel = portable;
	portable := mtl_score(model, features);
	SET LOCAL mtl_rank.kernel = auto;
	RETURN scores = alone AND scores = portable AND scores <> mtl_score(model, (SELECT array_agg(f / 2) FROM unnest(features) f));
END
$$;
CREATE PROCEDURE refused(file bytea) LANGUAGE plpgsql AS $$
DECLARE hint text;
BEGIN
	PERFORM file::mtl_model;
	RAISE NOTICE 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RAISE NOTICE '% %', SQLSTATE, SQLERRM || coalesce(nullif(E'\n  hint: ' || hint, E'\n  hint: '), '');
END
$$;
-- for contracts that are refused before any tensor is looked for
CREATE PROCEDURE refused_architecture(architecture jsonb, features jsonb DEFAULT '[{"name": "a", "kind": "dense"}]', tasks text[] DEFAULT '{x,y,z}')
LANGUAGE sql AS $$ CALL refused(model_file(contract(architecture, features, VARIADIC tasks), f32('w', '{1}', 1))) $$;

-- stem: slices of x are (u1, v1, v2), of y (u2, v3, v4), the shared ones (u3, v5, v6)
CREATE TABLE stem AS SELECT model_file(contract('{"type": "stem", "levels": [
			{"specific_expert_num": [1, 0], "shared_expert_num": 1, "expert": {"hidden_units": [1], "activation": "linear", "bias": false}},
			{"specific_expert_num": 0, "shared_expert_num": 1, "expert": {}}]}',
		'[{"name": "u", "kind": "dense", "width": 3}, {"name": "v", "kind": "dense", "width": 6}]', 'x', 'y'),
	f32('level.0.task.x.expert.0.0.weight', '{1,3}', 100, 10, 1), f32('level.0.shared.expert.0.0.weight', '{1,3}', 100, 10, 1),
	f32('level.0.task.x.gate.logit.weight', '{2,3}', 0, 0, 0, 1, -1, 0), f32('level.0.task.y.gate.logit.weight', '{2,3}', 0, 0, 0, 0, 0, 0),
	f32('level.0.shared.gate.logit.weight', '{2,3}', 0, 0, 0, 9, 9, 9),
	f32('level.1.task.x.gate.logit.weight', '{1,1}', 0), f32('level.1.task.y.gate.logit.weight', '{1,1}', 0),
	f32('task.x.tower.logit.weight', '{1,1}', 1), f32('task.y.tower.logit.weight', '{1,1}', 10))::mtl_model AS model;
SELECT mtl_score(model, ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9]) FROM stem;
-- the gate of x reads the sum of its slices and the shared ones, (4, 12, 14)
SELECT level, task, expert, round(weight::numeric, 5) AS weight FROM mtl_gates((SELECT model FROM stem), ARRAY[1, 2, 3, 4, 5, 6, 7, 8, 9]);
SELECT (operations(model)).* FROM stem;
SELECT mtl_describe(model)->'multiply_adds' AS multiply_adds FROM stem;
SELECT same_bits(model_file(contract('{"type": "stem", "specific_expert_num": 2, "shared_expert_num": 1, "expert": {"hidden_units": [19]}}',
		'[{"name": "a", "kind": "dense", "embedding_dim": 24}, {"name": "b", "kind": "dense", "width": 3}]', 'x', 'y'),
	wave('dense.a.weight', 24, 1), wave('level.0.task.x.expert.0.0.weight', 19, 9), wave('level.0.task.x.expert.0.0.bias', 19),
	wave('level.0.task.x.expert.1.0.weight', 19, 9), wave('level.0.task.x.expert.1.0.bias', 19),
	wave('level.0.task.y.expert.0.0.weight', 19, 9), wave('level.0.task.y.expert.0.0.bias', 19),
	wave('level.0.task.y.expert.1.0.weight', 19, 9), wave('level.0.task.y.expert.1.0.bias', 19),
	wave('level.0.shared.expert.0.0.weight', 19, 9), wave('level.0.shared.expert.0.0.bias', 19),
	wave('level.0.task.x.gate.logit.weight', 5, 9), wave('level.0.task.y.gate.logit.weight', 5, 9),
	wave('task.x.tower.logit.weight', 1, 19), wave('task.y.tower.logit.weight', 1, 19))::mtl_model, 0.3, -0.7, 1.1, 0.2);
CALL refused_architecture('{"type": "stem", "specific_expert_num": 1, "shared_expert_num": 1, "expert": {}}');
CALL refused_architecture('{"type": "stem", "specific_expert_num": 1, "shared_expert_num": 1, "expert": {}}',
	'[{"name": "a", "kind": "dense", "width": 4}, {"name": "b", "kind": "dense", "width": 6}]');
CALL refused_architecture('{"type": "stem", "specific_expert_num": 0, "shared_expert_num": 0, "expert": {}}', '[{"name": "a", "kind": "dense", "width": 4}]');
CALL refused_architecture('{"type": "stem", "specific_expert_num": 341, "shared_expert_num": 2, "expert": {}}', '[{"name": "a", "kind": "dense", "width": 4}]');
CALL refused_architecture('{"type": "ple", "specific_expert_num": [1000, 25, 0], "shared_expert_num": 0, "expert": {}}');

-- aitm: bottoms a, 2a, 4a; info 3 r; attention with query 1, key ln 2, value 10 of one number each
CREATE TABLE aitm AS SELECT model_file(contract('{"type": "aitm", "attention": {"shared": true},
		"bottom": {"hidden_units": [1], "activation": "linear", "bias": false}, "info": {"hidden_units": [1], "activation": "linear", "bias": false}}',
		'[{"name": "a", "kind": "dense"}]', 'x', 'y', 'z'),
	f32('task.x.bottom.0.weight', '{1,1}', 1), f32('task.y.bottom.0.weight', '{1,1}', 2), f32('task.z.bottom.0.weight', '{1,1}', 4),
	f32('task.y.info.0.weight', '{1,1}', 3), f32('task.z.info.0.weight', '{1,1}', 3),
	f32('shared.attention.query.weight', '{1,1}', 1), f32('shared.attention.key.weight', '{1,1}', ln(2)::real), f32('shared.attention.value.weight', '{1,1}', 10),
	f32('task.x.tower.logit.weight', '{1,1}', 1), f32('task.y.tower.logit.weight', '{1,1}', 1), f32('task.z.tower.logit.weight', '{1,1}', 1))::mtl_model AS model;
-- y: weights 2^4 and 2^9 of 20 and 30
SELECT abs(s[2] - (20 + 32 * 30) / 33.0) < 1e-5 AS y, s[1] AS x, mtl_score(model, ARRAY[0]) AS zeros FROM aitm, mtl_score(model, ARRAY[1]) s;
SELECT level, task, expert, round(weight::numeric, 5) AS weight FROM mtl_gates((SELECT model FROM aitm), ARRAY[1]);
SELECT (operations(model)).* FROM aitm;
SELECT mtl_describe(model)->'multiply_adds' AS multiply_adds FROM aitm;
-- x alone does not compute the others
SELECT mtl_score(model, ARRAY[1e38], 'x') FROM aitm;
SELECT mtl_score(model, ARRAY[1e19], 'y') FROM aitm;
SELECT same_bits(model_file(contract('{"type": "aitm", "attention": {"bias": true}, "bottom": {"hidden_units": [37]}, "info": {"hidden_units": [37]}}',
		'[{"name": "a", "kind": "dense", "width": 3}]', 'x', 'y'),
	wave('task.x.bottom.0.weight', 37, 3), wave('task.x.bottom.0.bias', 37), wave('task.y.bottom.0.weight', 37, 3), wave('task.y.bottom.0.bias', 37),
	wave('task.y.info.0.weight', 37, 37), wave('task.y.info.0.bias', 37), wave('task.y.attention.query.weight', 37, 37),
	wave('task.y.attention.query.bias', 37), wave('task.y.attention.key.weight', 37, 37), wave('task.y.attention.key.bias', 37),
	wave('task.y.attention.value.weight', 37, 37), wave('task.y.attention.value.bias', 37),
	wave('task.x.tower.logit.weight', 1, 37), wave('task.y.tower.logit.weight', 1, 37))::mtl_model, 0.3, -0.7, 1.1);
CALL refused_architecture('{"type": "aitm", "bottom": {"hidden_units": [3]}}');
CALL refused_architecture('{"type": "aitm", "info": {"hidden_units": [3]}}');
CALL refused_architecture('{"type": "aitm", "bottom": {"hidden_units": [3]}, "info": {"hidden_units": [3, 2]}}');
CALL refused_architecture('{"type": "aitm", "bottom": {"hidden_units": [3]}, "info": {}, "attention": {"heads": 2}}');
CALL refused_architecture('{"type": "aitm", "bottom": {}, "info": {}, "attention": {"shared": 1}}');
CALL refused_architecture('{"type": "aitm", "bottom": {}, "info": {}}');

-- dbmtl: the bottom makes (a, 2a), the experts 1 and 10 times the first of these; y reads x, z reads y and x
CREATE TABLE dbmtl AS SELECT model_file(contract('{"type": "dbmtl", "bottom": {"hidden_units": [2], "activation": "linear", "bias": false},
		"num_experts": 2, "expert": {"hidden_units": [1], "activation": "linear", "bias": false}, "gate": {"logit_bias": true},
		"mlps": {"z": {"hidden_units": [2], "activation": "linear", "bias": false}, "x": null},
		"relations": {"y": {"reads": ["x"], "hidden_units": [1], "activation": "linear", "bias": false}, "z": {"reads": ["y", "x"]}}}',
		'[{"name": "a", "kind": "dense"}]', 'x', 'y', 'z'),
	f32('shared.bottom.0.weight', '{2,1}', 1, 2), f32('level.0.expert.0.0.weight', '{1,2}', 1, 0), f32('level.0.expert.1.0.weight', '{1,2}', 10, 0),
	f32('level.0.task.x.gate.logit.weight', '{2,2}', 0, 0, 0, 0), f32('level.0.task.x.gate.logit.bias', '{2}', 200, 0),
	f32('level.0.task.y.gate.logit.weight', '{2,2}', 0, 0, 0, 0), f32('level.0.task.y.gate.logit.bias', '{2}', 0, 200),
	f32('level.0.task.z.gate.logit.weight', '{2,2}', 0, 0, 0, 0), f32('level.0.task.z.gate.logit.bias', '{2}', 0, 0),
	f32('task.z.mlp.0.weight', '{2,1}', 2, 4), f32('task.y.relation.0.weight', '{1,2}', 1, 0.5),
	f32('task.x.tower.logit.weight', '{1,1}', 1), f32('task.y.tower.logit.weight', '{1,1}', 1),
	f32('task.z.tower.logit.weight', '{1,4}', 1000, 100, 10, 1))::mtl_model AS model;
-- x 1, y 10 + 0.5, z (11, 22, 10.5, 1)
SELECT mtl_score(model, ARRAY[1]), mtl_score(model, ARRAY[-2], 'z') FROM dbmtl;
SELECT * FROM mtl_gates((SELECT model FROM dbmtl), ARRAY[1]);
SELECT (operations(model)).* FROM dbmtl;
-- the identity of everything
SELECT mtl_score(model_file(contract('{"type": "dbmtl"}', '[{"name": "a", "kind": "dense"}]', 'x'), f32('task.x.tower.logit.weight', '{1,1}', 3))::mtl_model, ARRAY[2]);
CALL refused_architecture('{"type": "dbmtl", "num_experts": 2}');
CALL refused(model_file(contract('{"type": "dbmtl", "expert": {}}', '[{"name": "a", "kind": "dense"}]', 'x'), f32('task.x.tower.logit.weight', '{1,1}', 3)));
CALL refused_architecture('{"type": "dbmtl", "mlps": {"w": {}}}');
CALL refused_architecture('{"type": "dbmtl", "mlps": []}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"w": {}}}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"y": {"reads": ["w"]}}}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"y": {"reads": ["z"]}}}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"y": {"reads": ["y"]}}}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"z": {"reads": ["x", "x"]}}}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"z": {"reads": ["x", "y", "x"]}}}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"z": {"reads": "x"}}}');
CALL refused_architecture('{"type": "dbmtl", "relations": {"z": {"read": ["x"]}}}');
