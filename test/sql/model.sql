-- the type mtl_model: input, output, casts, and what is refused
CREATE SCHEMA model;
SET search_path = model, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set ECHO all

-- value = 2a + 3b + 1
CREATE FUNCTION contract(changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT (jsonb '{"format": 1, "architecture": {"type": "single_task"},
		"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
		"tasks": [{"name": "value", "type": "regression"}]}' || changes)::text
$$;
CREATE FUNCTION linear(changes jsonb DEFAULT '{}') RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT model_file(contract(changes), f32('task.value.tower.logit.weight', '{1,2}', 2, 3), f32('task.value.tower.logit.bias', '{1}', 1))
$$;
SELECT mtl_score(linear()::mtl_model, ARRAY[10, 100]);

-- the file comes back as it was, and the text form is its hexadecimal form
SELECT linear()::mtl_model::bytea = linear() AS cast_round_trip,
	linear()::mtl_model::text = linear()::text AS text_output,
	linear()::text::mtl_model::bytea = linear() AS text_input,
	mtl_digest(linear()::mtl_model) = encode(sha256(linear()), 'hex') AS digest;
CREATE TABLE models (model mtl_model);
INSERT INTO models VALUES (linear()::mtl_model), (NULL);
\set file `mktemp`
\copy models TO :file (FORMAT binary)
\copy models FROM :file (FORMAT binary)
\! rm -f :file
SELECT count(*), count(model), count(DISTINCT model::bytea) FROM models;
SELECT mtl_score(NULL::mtl_model, ARRAY[1, 2]), mtl_score(linear()::mtl_model, NULL::real[]);
-- no implicit casts
SELECT mtl_score(linear(), ARRAY[1, 2]);
INSERT INTO models VALUES (linear());

-- text form
SELECT 'model'::mtl_model;
SELECT '\xzz'::mtl_model;
SELECT '\x00'::mtl_model;

-- the container
CREATE PROCEDURE refused(file bytea) LANGUAGE plpgsql AS $$
DECLARE detail text; hint text;
BEGIN
	PERFORM file::mtl_model;
	RAISE NOTICE 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE NOTICE '% %', SQLSTATE, SQLERRM || coalesce(nullif(E'\n  detail: ' || detail, E'\n  detail: '), '')
		|| coalesce(nullif(E'\n  hint: ' || hint, E'\n  hint: '), '');
END
$$;
\set VERBOSITY terse
CALL refused('');
CALL refused('\x0102030405060708');
CALL refused(substr(linear(), 1, 100));
CALL refused(substr(linear(), 1, length(linear()) - 1));
CALL refused(linear() || '\x00');
CALL refused(set_byte(linear(), length(linear()) - 4, 7));
CALL refused(set_byte(linear(), 20, 0));
CALL refused(set_byte(linear(), 20, 255));
CALL refused(set_byte(linear(), 8, 91));
CALL refused(reversed(int8send(17 * 1024 * 1024)) || convert_to(repeat(' ', 17 * 1024 * 1024), 'UTF8'));
CALL refused(safetensors('[]', ''));
CALL refused(safetensors('{}', ''));
CALL refused(safetensors('{"__metadata__": {"format": "pt"}}', ''));
CALL refused(safetensors('{"__metadata__": {"mtl_rank": "{}", "mtl_rank_sha256": 1}}', ''));
CALL refused(safetensors('{"__metadata__": {"mtl_rank": "{", "mtl_rank_sha256": "0"}}', ''));
CALL refused(safetensors('{"__metadata__": {"mtl_rank": "{}", "mtl_rank_sha256": "0"}}', ''));
CREATE PROCEDURE refused_tensor(entry text, data bytea) LANGUAGE sql AS $$
	CALL refused(safetensors('{"__metadata__": {"mtl_rank": "{}", "mtl_rank_sha256": "0"}, "w": ' || entry || '}', data))
$$;
CALL refused_tensor('null', '');
CALL refused_tensor('{"dtype": "F32", "shape": [1]}', '\x00000000');
CALL refused_tensor('{"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}', '\x0000');
CALL refused_tensor('{"dtype": "F32", "shape": [], "data_offsets": [0, 4]}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}', '');
CALL refused_tensor('{"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 4]}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [2305843009213693952], "data_offsets": [0, 4]}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}', '\x0000000000000000');
CALL refused_tensor('{"dtype": "F32", "shape": [1], "data_offsets": [0, 4], "x": 1}', '\x00000000');
CALL refused_tensor('{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}', '\x0000807f');
CALL refused_tensor('{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}', '\x0000c0ff');
CALL refused_tensor('{"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}', '\x00000000');

-- tensors against the contract
CREATE PROCEDURE refused_tensors(VARIADIC tensors tensor[]) LANGUAGE sql AS $$
	CALL refused(model_file(contract(), VARIADIC tensors))
$$;
CALL refused_tensors(f32('task.value.tower.logit.weight', '{1,2}', 2, 3));
CALL refused_tensors(f32('task.value.tower.logit.weight', '{2,1}', 2, 3), f32('task.value.tower.logit.bias', '{1}', 1));
CALL refused_tensors(i64('task.value.tower.logit.weight', '{1,2}', 2, 3), f32('task.value.tower.logit.bias', '{1}', 1));
CALL refused_tensors(f32('task.value.tower.logit.weight', '{1,2}', 2, 3), f32('task.value.tower.logit.bias', '{1}', 1), f32('extra', '{1}', 1));

-- the contract
CREATE PROCEDURE refused_contract(changes jsonb) LANGUAGE sql AS $$ CALL refused(linear(changes)) $$;
CALL refused(model_file('[]', f32('w', '{1}', 1)));
CALL refused_contract('{"format": null}');
CALL refused_contract('{"format": 0}');
CALL refused_contract('{"format": 2}');
CALL refused_contract('{"color": "red"}');
CALL refused_contract('{"provenance": 1}');
CALL refused_contract('{"provenance": {"anything": [1, {"goes": true}]}}');
CALL refused_contract('{"architecture": null}');
CALL refused_contract('{"architecture": "mmoe"}');
CALL refused_contract('{"architecture": {"type": "transformer"}}');
CALL refused_contract('{"architecture": {"type": "shared_bottom"}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_unit": [3]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [3], "activation": "swish"}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [3], "activation": ["relu", "relu"]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"activation": ["relu"]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"activation": "swish"}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [3, 3], "normalization": [null]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [3, 3], "normalization": [null, "batch_norm"]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [3, 3], "bias": [true, null]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [3, 3], "bias": [true, false, true]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [65537]}}}');
CALL refused_contract('{"architecture": {"type": "single_task", "tower": {"hidden_units": [3], "normalization": {"type": "batch_norm", "epsilon": -1}}}}');
CALL refused_contract('{"architecture": {"type": "mmoe", "num_experts": 0, "expert": {}}}');
CALL refused_contract('{"architecture": {"type": "mmoe", "num_experts": 1025, "expert": {}}}');
CALL refused_contract('{"architecture": {"type": "mmoe", "num_experts": 2, "expert": {}, "gate": {"temperature": 0}}}');
CALL refused_contract('{"architecture": {"type": "mmoe", "levels": []}}');
CALL refused_contract('{"architecture": {"type": "mmoe", "levels": [{"num_experts": 1, "expert": {}, "mix": "shared"}]}}');
CALL refused_contract('{"architecture": {"type": "cgc", "num_levels": 2, "shared_expert_num": 1, "specific_expert_num": 1, "expert": {}}}');
CALL refused_contract('{"architecture": {"type": "cgc", "shared_expert_num": 0, "specific_expert_num": 0, "expert": {}}}');
CALL refused_contract('{"architecture": {"type": "ple", "shared_expert_num": 1, "specific_expert_num": [1, 1], "expert": {}}}');
CALL refused_contract('{"architecture": {"type": "asymmetric_sharing", "bottom": {}, "reads": {"value": ["ctr"]}}}');
CALL refused_contract('{"architecture": {"type": "sluice", "column": {}}}');
CALL refused_contract('{"features": []}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense"}, {"name": "a", "kind": "dense"}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense", "columns": ["a"]}]}');
CALL refused_contract('{"features": [{"name": "a.b", "kind": "dense"}]}');
CALL refused_contract('{"features": [{"name": "", "kind": "dense"}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "sparse"}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "sparse", "lookup": {"type": "index"}}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "sparse", "lookup": {"type": "index"}, "oov": "skip"}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "sequence", "lookup": {"type": "index"}}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense", "transform": {"type": "standardize", "mean": 0, "std": 0}}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense", "transform": {"type": "standardize", "mean": [0, 1], "std": 1}}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense", "transform": {"type": "clip", "min": 1e999}}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense", "missing": "never"}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense", "missing": {"value": "x"}}]}');
CALL refused_contract('{"features": [{"name": "a", "kind": "dense", "width": 70000}]}');
CALL refused_contract('{"input": ["a"]}');
CALL refused_contract('{"input": ["a", "a"]}');
CALL refused_contract('{"input": ["a", "c"]}');
CALL refused_contract('{"tasks": []}');
CALL refused_contract('{"tasks": [{"name": "value", "type": "ranking"}]}');
CALL refused_contract('{"tasks": [{"name": "value", "type": "regression", "head": "softmax"}]}');
CALL refused_contract('{"tasks": [{"name": "value", "type": "regression", "hidden": true}]}');
CALL refused_contract('{"tasks": [{"name": "value", "type": "multiclass"}]}');
CALL refused_contract('{"tasks": [{"name": "value", "type": "product", "of": ["value", "value"]}]}');
CALL refused_contract('{"tasks": [{"name": "value", "type": "regression"}, {"name": "p", "type": "product", "of": ["value"]}]}');
CALL refused_contract('{"rank": {"form": "sum"}}');
CALL refused_contract('{"rank": {"form": "sum", "weights": {"ctr": 1}}}');
CALL refused_contract('{"examples": {"count": 1}}');
CALL refused(model_file(contract('{"examples": {"count": 2}}'), f32('task.value.tower.logit.weight', '{1,2}', 2, 3),
	f32('task.value.tower.logit.bias', '{1}', 1), f32('examples.scores', '{2,1}', 1, 2), u8('examples.rows', '[{"a": 1}]')));

CALL refused_contract('{"architecture": {"type": "asymmetric_sharing", "bottom": {}, "reads": {"value": ["b", "b"]}},
	"tasks": [{"name": "value", "type": "regression"}, {"name": "b", "type": "binary"}, {"name": "c", "type": "binary"}]}');
-- strings that no error should repeat
CALL refused(linear(jsonb_build_object(repeat('x', 1001), 1)));
CALL refused(linear(jsonb_build_object('rank', jsonb_build_object('form', repeat('x', 1001)))));
CALL refused(linear(jsonb_build_object('rank', jsonb_build_object('weights', jsonb_build_object(repeat('x', 1001), 1)))));
CALL refused(linear(jsonb_build_object('provenance', jsonb_build_object('text', repeat('x', 1001)))));
CALL refused(model_file(contract(), f32(repeat('x', 1001), '{1}', 1)));
-- numbers that are a few bytes in JSON and dear to read
CALL refused_contract('{"provenance": {"number": 1e1100}}');
CALL refused_contract('{"provenance": {"number": [1, {"deep": 1e-1101}]}}');
CALL refused_contract('{"provenance": {"number": 1e1099}}');
CALL refused(model_file(contract('{"examples": {"count": 2}}'), f32('task.value.tower.logit.weight', '{1,2}', 2, 3),
	f32('task.value.tower.logit.bias', '{1}', 1), f32('examples.scores', '{2,1}', 1, 2), u8('examples.rows', repeat(' ', 16 * 1024 * 1024 + 1))));

-- sizes
SET mtl_rank.max_model_size = '1MB';
CALL refused(linear() || convert_to(repeat(' ', 1024 * 1024), 'UTF8'));
RESET mtl_rank.max_model_size;

-- the setting also holds for models that were stored under another
\set VERBOSITY default
CREATE TABLE big AS SELECT linear(jsonb_build_object('provenance', jsonb_build_object('text', repeat('x', 2000))))::mtl_model AS model;
SET mtl_rank.max_model_size = '1kB';
SELECT mtl_score(model, ARRAY[1, 2]) FROM big;
RESET mtl_rank.max_model_size;
SELECT mtl_score(model, ARRAY[1, 2]) FROM big;
