-- models of bf16 and int8: what is in them, what they score, and what is refused
CREATE SCHEMA quantize;
SET search_path = quantize, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set include :srcdir '/models/forms.sql'
\i :include
\set include :srcdir '/models/kernels.sql'
\i :include
\set ECHO all

-- the tensors of a model: name, type, shape and bytes
CREATE FUNCTION tensors(model mtl_model) RETURNS TABLE (name text, dtype text, shape text, data bytea) LANGUAGE sql AS $$
	WITH file AS (SELECT model::bytea AS bytes),
		begun AS (SELECT bytes, get_byte(bytes, 0) + 256 * get_byte(bytes, 1) + 65536 * get_byte(bytes, 2) AS length FROM file)
	SELECT key, value->>'dtype', value->>'shape',
		substr(bytes, 9 + length + (value#>>'{data_offsets,0}')::int, (value#>>'{data_offsets,1}')::int - (value#>>'{data_offsets,0}')::int)
	FROM begun, jsonb_each(convert_from(substr(bytes, 9, length), 'UTF8')::jsonb) WHERE key <> '__metadata__'
$$;

-- a hidden layer of two units over a number and an embedding: y is the first, z about the second
CREATE FUNCTION small(contract jsonb DEFAULT '{}', VARIADIC hidden real[] DEFAULT '{-2, 1, 0.5, 4}') RETURNS mtl_model LANGUAGE sql AS $$
	SELECT model_file((jsonb '{"format": 1, "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [2], "activation": "linear"}},
		"features": [{"name": "x", "kind": "dense", "width": 1}, {"name": "s", "kind": "sparse", "lookup": {"type": "index"}}],
		"tasks": [{"name": "y", "type": "regression"}, {"name": "z", "type": "regression"}]}' || contract)::text,
		f32('embedding.s.weight', '{3,1}', 0, 1.00390625, -1.01171875),
		f32('shared.bottom.0.weight', '{2,2}', VARIADIC hidden), f32('shared.bottom.0.bias', '{2}', 0.5, 0),
		f32('task.y.tower.logit.weight', '{1,2}', 1, 0), f32('task.y.tower.logit.bias', '{1}', 0),
		f32('task.z.tower.logit.weight', '{1,2}', 0, 1.00390625), f32('task.z.tower.logit.bias', '{1}', 0))::mtl_model
$$;
SELECT mtl_score(small(), ARRAY[3, 1]);

-- What is in the file. 1.00390625 is in the middle between 1 (0x3f80) and the next bf16, -1.01171875 between 0xbf81 and 0xbf82:
-- even ones win. The logits stay as they are.
SELECT name, dtype, shape, data FROM tensors(mtl_quantize(small(), 'bf16')) ORDER BY name;
SELECT name, dtype, shape, data FROM tensors(mtl_quantize(small(), 'int8')) ORDER BY name;
SELECT name, data FROM tensors(mtl_quantize(small('{}', 0, 0, -127, 31.5), 'int8')) WHERE name ~ '^shared' ORDER BY name;
SELECT p, d->>'precision' AS precision, d->>'tensors' AS tensors, d#>>'{contract,precision}' AS contract,
	d#>'{contract,provenance,quantization}' = jsonb_build_object('precision', p, 'of', mtl_digest(small()), 'examples', 0) AS quantization,
	(SELECT string_agg(o->>'name', ' ') FROM jsonb_array_elements(d->'operations') o WHERE o->>'precision' = p) AS layers
FROM unnest('{bf16,int8}'::text[]) p, mtl_describe(mtl_quantize(small(), p)) d;
SELECT mtl_describe(small())->>'precision' AS precision, mtl_describe(mtl_quantize(small('{"provenance": {"a": 1}}'), 'bf16'))#>'{contract,provenance,a}' AS kept;

-- What it scores. bf16: x is rounded (257 is in the middle of 256 and 258), and what is below 2^-56, 1.39e-17, is 0.
SELECT x, mtl_score(small(), ARRAY[x, 0]) AS float32, mtl_score(mtl_quantize(small(), 'bf16'), ARRAY[x, 0]) AS bf16
FROM unnest('{256, 257, 259, 1e-17, 1.5e-17}'::real[]) x;
SELECT x, mtl_score(mtl_quantize(small('{}', 127, 0, 0, 127), 'int8'), ARRAY[x, 0]) AS int8 FROM unnest('{0, 255, -3, 1e-31, 1e36}'::real[]) x;
-- int8: a row from 0 to 255 is exact but for fractions (ties to even), one from -255 to 0 too, and so is one of zeros
CREATE FUNCTION wide(VARIADIC x real[]) RETURNS real[] LANGUAGE sql AS $$
	SELECT mtl_score(mtl_quantize(model_file('{"format": 1, "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [1], "activation": "linear"}},
		"features": [{"name": "x", "kind": "dense", "width": 4}], "tasks": [{"name": "y", "type": "regression", "tower": {"logit_bias": false}}]}',
		f32('shared.bottom.0.weight', '{1,4}', 127, 64, -1, 2), f32('shared.bottom.0.bias', '{1}', 0),
		f32('task.y.tower.logit.weight', '{1,1}', 1))::mtl_model, 'int8'), x)
$$;
SELECT wide(255, 0, 0, 0), wide(255, 0.5, 1.5, 2.5), wide(-1, 254, 0, 0), wide(-255, -1, -0.5, 0), wide(0, 0, 0, 0);

SET client_min_messages = warning;
-- layers that read x round the context's features together, and the others: beside 255, 0.375 is 0, beside 51 two steps of 0.2, alone it is exact
CREATE FUNCTION in_parts(context jsonb, VARIADIC x real[]) RETURNS real LANGUAGE sql AS $$
	SELECT (mtl_score(mtl_quantize(model_file((jsonb '{"format": 1, "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [1], "activation": "linear", "bias": false}},
		"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}, {"name": "c", "kind": "dense"}],
		"tasks": [{"name": "y", "type": "regression", "tower": {"logit_bias": false}}]}' || jsonb_build_object('context', context))::text,
		f32('shared.bottom.0.weight', '{1,3}', 127, 127, 127), f32('task.y.tower.logit.weight', '{1,1}', 1))::mtl_model, 'int8'), x))[1] / 127
$$;
SELECT in_parts('[]', 255, 0.375, 51), in_parts('["a", "b", "c"]', 255, 0.375, 51), in_parts('["a"]', 255, 0.375, 51), in_parts('["c", "b"]', 255, 0.375, 51),
	in_parts('["b"]', 255, 0.375, 51), in_parts('["c", "a"]', 255, 0.375, 51);
-- folded embeddings are not rounded: beside 255, 0.25 is 0 in an int8 input, and 0.25 in an embedding of 32 numbers or more
CREATE FUNCTION folded(numbers int, vocabulary int, units int) RETURNS real LANGUAGE sql AS $$
	SELECT (mtl_score(mtl_quantize(model_file('{"format": 1, "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [' || units || '], "activation": "linear", "bias": false}},
		"features": [{"name": "s", "kind": "sparse", "lookup": {"type": "index"}}, {"name": "x", "kind": "dense"}],
		"tasks": [{"name": "y", "type": "regression", "tower": {"logit_bias": false}}]}',
		('embedding.s.weight', 'F32', ARRAY[vocabulary, numbers], decode(repeat('0000803e', vocabulary * numbers), 'hex'))::tensor,
		('shared.bottom.0.weight', 'F32', ARRAY[units, numbers + 1], decode(repeat('0000fe42', units * (numbers + 1)), 'hex'))::tensor,
		f32('task.y.tower.logit.weight', ARRAY[1, units], VARIADIC ARRAY[1] || array_fill(0, ARRAY[units - 1])))::mtl_model, 'int8'), ARRAY[0, 255]))[1] / 127
$$;
-- 1009 units count as 1024, and 1024 * (224 + 32) numbers are the most
SELECT numbers, vocabulary, folded(numbers, vocabulary, 1009) FROM (VALUES (31, 2), (32, 2), (33, 2), (32, 224), (32, 225)) v(numbers, vocabulary);
RESET client_min_messages;

-- examples: their scores become those of the new model, and how far they moved is said
CREATE TABLE examples AS SELECT model_file('{"format": 1, "architecture": {"type": "single_task", "tower": {"hidden_units": [1], "activation": "linear", "bias": false, "logit_bias": false}},
	"features": [{"name": "x", "kind": "dense"}], "tasks": [{"name": "p", "type": "regression"}, {"name": "q", "type": "regression"}],
	"examples": {"count": 2}}',
	f32('task.p.tower.0.weight', '{1,1}', 1), f32('task.p.tower.logit.weight', '{1,1}', 1),
	f32('task.q.tower.0.weight', '{1,1}', 1), f32('task.q.tower.logit.weight', '{1,1}', 2),
	f32('examples.scores', '{2,2}', 1, 2, 257, 514), u8('examples.rows', '[{"x": 1}, {"x": 257}]'))::mtl_model AS model;
SELECT * FROM mtl_verify((SELECT model FROM examples));
SELECT * FROM mtl_verify((SELECT mtl_quantize(model, 'bf16') FROM examples));
SELECT (mtl_describe(mtl_quantize(model, 'bf16'))#>'{contract,provenance,quantization}') - 'of' AS quantization FROM examples;
-- the notice counts one example, too
SELECT (mtl_describe(mtl_quantize(model_file('{"format": 1, "architecture": {"type": "single_task", "tower": {"logit_bias": false}}, "features": [{"name": "x", "kind": "dense"}],
	"tasks": [{"name": "p", "type": "regression"}], "examples": {"count": 1}}', f32('task.p.tower.logit.weight', '{1,1}', 1), f32('examples.scores', '{1,1}', 1),
	u8('examples.rows', '[{"x": 1}]'))::mtl_model, 'int8'))#>'{contract,provenance,quantization,largest_change}') AS change;

-- the same file each time, and the same bits from all kernels, for rows alone and in batches, for one task and for all
SET client_min_messages = warning;
CREATE TABLE forms AS SELECT p, mtl_quantize(model, p) AS model FROM forms_model, unnest('{bf16,int8}'::text[]) p;
SELECT p, mtl_digest(f.model) = mtl_digest(mtl_quantize(m.model, p)) AS same, octet_length(f.model::bytea) < octet_length(m.model::bytea) AS smaller
FROM forms f, forms_model m ORDER BY p;
CREATE TABLE candidates AS SELECT i AS id, i % 23 AS shop, (i * 7919 % 1000) / 7.0 AS price, i * 31 % 40 AS seller,
	ARRAY[i % 7 - 3, sin(i), i % 3]::real[] AS picture, ARRAY[3, 5, i % 60]::int[] AS viewed, ARRAY[1, 2, i % 5]::real[] AS viewed_weight
FROM generate_series(1, 300) i;
SELECT mtl_register('quantize_' || p, model) AS version FROM forms ORDER BY p;
CREATE FUNCTION scores(kernel text, batching text, task text DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	PERFORM set_config('mtl_rank.kernel', kernel, true), set_config('mtl_rank.batching', batching, true);
	-- a plan of its own for each setting
	EXECUTE replace($q$SELECT md5(string_agg(a::text || b::text, ' ' ORDER BY id))
		FROM (SELECT id, mtl_score('quantize_bf16', c%) AS a, mtl_score('quantize_int8', c%) AS b FROM candidates c) s$q$,
		'%', coalesce(', ' || quote_literal(task), '')) INTO result;
	RETURN result;
END
$$;
SELECT count(DISTINCT scores(kernel, batching)) AS all_tasks, count(DISTINCT scores(kernel, batching, 'ctr')) AS one_task, count(*) >= 4 AS several
FROM unnest('{portable,avx2,avx512,neon,auto}'::text[]) kernel, unnest('{on,off}'::text[]) batching WHERE usable(kernel);
SELECT max(abs(a[1] - f[1])) < 0.01 AS bf16, max(abs(b[1] - f[1])) < 0.05 AS int8, max(abs(a[1] - f[1])) > 0 AND max(abs(b[1] - f[1])) > 0 AS both_moved
FROM (SELECT mtl_score('quantize_bf16', c) AS a, mtl_score('quantize_int8', c) AS b, mtl_score(model, c) AS f FROM candidates c, forms_model) s;
SELECT count(*), bool_and(weight BETWEEN 0 AND 1) FROM candidates c, mtl_gates('quantize_int8', c) WHERE id = 1;
SELECT mtl_graph(model) = mtl_graph('quantize_int8') AS same_picture FROM forms_model;
SELECT mtl_register('forms', model) AS version FROM forms_model;
SELECT mtl_digest(mtl_quantize('forms', 'int8')) = mtl_digest(model) AS same FROM forms WHERE p = 'int8';
RESET client_min_messages;

-- what is refused
SELECT mtl_quantize(small(), 'float32');
SELECT mtl_quantize(small(), 'BF16');
SELECT mtl_quantize(mtl_quantize(small(), 'int8'), 'bf16');
SELECT mtl_quantize(small('{}', 3.4e38, 0, 0, 0), 'bf16');
SELECT mtl_quantize(small(), NULL) IS NULL AS no_precision, mtl_quantize(NULL::mtl_model, 'int8') IS NULL AS no_model;
SELECT mtl_quantize('nobody', 'int8');
SELECT mtl_score(mtl_quantize(small('{}', 3e38, 0, 0, 3e38), 'bf16'), ARRAY[3, 0]);
SELECT mtl_score(mtl_quantize(small('{}', 3e38, 0, 0, 3e38), 'int8'), ARRAY[3, 0]);
SELECT mtl_train('{"features": [{"name": "x", "kind": "dense"}], "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [2]}},
	"tasks": [{"name": "y", "type": "regression", "label": "y"}]}', 'SELECT 1 AS x, 2 AS y', '{"epochs": 1}', mtl_quantize(small(), 'bf16'));
SELECT mtl_train('{"precision": "int8", "features": [{"name": "x", "kind": "dense"}], "architecture": {"type": "single_task"},
	"tasks": [{"name": "y", "type": "regression", "label": "y"}]}', 'SELECT 1 AS x, 2 AS y', '{"epochs": 1}');

-- what files may say
CREATE FUNCTION compact(chosen text, VARIADIC hidden tensor[]) RETURNS mtl_model LANGUAGE sql AS $$
	SELECT model_file(format('{"format": 1, "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [1], "activation": "linear", "bias": false}},
		"features": [{"name": "x", "kind": "dense", "width": 3}], "precision": %s,
		"tasks": [{"name": "y", "type": "regression", "tower": {"logit_bias": false}}]}', chosen),
		VARIADIC hidden || f32('task.y.tower.logit.weight', '{1,1}', 1))::mtl_model
$$;
CREATE FUNCTION raw(name text, dtype text, shape int[], data bytea) RETURNS tensor LANGUAGE sql AS $$ SELECT (name, dtype, shape, data)::tensor $$;
SELECT mtl_score(compact('"bf16"', raw('shared.bottom.0.weight', 'BF16', '{1,3}', '\x803f00c08023')), ARRAY[1, 1, 1]);
SELECT mtl_score(compact('"int8"', raw('shared.bottom.0.weight', 'I8', '{1,3}', '\x80017f'), f32('shared.bottom.0.weight_scale', '{1}', -0.5)), ARRAY[255, 1, 0]);
SELECT mtl_score(compact('"float32"', f32('shared.bottom.0.weight', '{1,3}', 1, 2, 3)), ARRAY[1, 1, 1]);
SELECT mtl_score(compact('null', f32('shared.bottom.0.weight', '{1,3}', 1, 2, 3)), ARRAY[1, 1, 1]);
SELECT compact('"int4"', f32('shared.bottom.0.weight', '{1,3}', 1, 2, 3));
SELECT compact('8', f32('shared.bottom.0.weight', '{1,3}', 1, 2, 3));
SELECT compact('"bf16"', f32('shared.bottom.0.weight', '{1,3}', 1, 2, 3));
SELECT compact('"float32"', raw('shared.bottom.0.weight', 'BF16', '{1,3}', '\x803f00c08023'));
SELECT compact('"bf16"', raw('shared.bottom.0.weight', 'BF16', '{1,3}', '\x803f807f8023'));
SELECT compact('"bf16"', raw('shared.bottom.0.weight', 'BF16', '{1,3}', '\x803f00c0c1ff'));
SELECT compact('"bf16"', raw('shared.bottom.0.weight', 'BF16', '{1,3}', '\x803f00c0c1'));
SELECT compact('"bf16"', raw('shared.bottom.0.weight', 'BF16', '{1,2}', '\x803f00c0'));
SELECT compact('"bf16"', raw('shared.bottom.0.weight', 'BF16', '{1,3}', '\x803f00c08023'), f32('shared.bottom.0.weight_scale', '{1}', 1));
SELECT compact('"int8"', raw('shared.bottom.0.weight', 'I8', '{1,3}', '\x80017f'));
SELECT compact('"int8"', raw('shared.bottom.0.weight', 'I8', '{1,3}', '\x80017f'), f32('shared.bottom.0.weight_scale', '{3}', 1, 1, 1));
SELECT compact('"int8"', raw('shared.bottom.0.weight', 'I8', '{1,3}', '\x80017f'), f32('shared.bottom.0.weight_scale', '{1}', 'NaN'));
SELECT compact('"int8"', raw('shared.bottom.0.weight', 'U8', '{1,3}', '\x80017f'), f32('shared.bottom.0.weight_scale', '{1}', 1));

-- more inputs than int8 can add up stay float32: 65536 are the most
SET client_min_messages = warning;
CREATE FUNCTION inputs(n int) RETURNS mtl_model LANGUAGE sql AS $$
	SELECT model_file(format('{"format": 1, "architecture": {"type": "single_task", "tower": {"hidden_units": [1], "activation": "linear", "bias": false, "logit_bias": false}},
		"features": [{"name": "x", "kind": "dense", "width": %s}, {"name": "w", "kind": "dense"}], "tasks": [{"name": "y", "type": "regression"}]}', n - 1),
		('task.y.tower.0.weight', 'F32', ARRAY[1, n], decode(repeat('0000803f', n), 'hex'))::tensor, f32('task.y.tower.logit.weight', '{1,1}', 1))::mtl_model
$$;
SELECT n, p, (SELECT string_agg(dtype, ' ' ORDER BY name) FROM tensors(mtl_quantize(inputs(n), p))) AS types,
	mtl_score(mtl_quantize(inputs(n), p), (SELECT array_agg(2) FROM generate_series(1, n) i)) AS score,
	mtl_score(mtl_quantize(inputs(n), p), (SELECT array_agg(-2) FROM generate_series(1, n) i)) AS negative
FROM unnest('{65536,65537}'::int[]) n, unnest('{bf16,int8}'::text[]) p;
RESET client_min_messages;
