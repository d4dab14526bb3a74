-- pictures of networks: all architectures, hostile names, and that large models give small pictures
CREATE SCHEMA graph;
SET search_path = graph, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set include :srcdir '/models/models.sql'
\i :include
\set include :srcdir '/models/dot.sql'
\i :include
\set ECHO all

-- a model with whatever tensors the server asks for
CREATE FUNCTION zeros(contract jsonb) RETURNS mtl_model LANGUAGE plpgsql AS $$
DECLARE
	tensors tensor[] := '{}';
	wanted text[];
	shape int[];
BEGIN
	LOOP
		BEGIN
			RETURN model_file(contract::text, VARIADIC tensors || CASE WHEN tensors = '{}' THEN ARRAY[f32('none', '{1}', 0)] ELSE '{}' END)::mtl_model;
		EXCEPTION WHEN invalid_binary_representation THEN
			wanted := regexp_match(SQLERRM, '^invalid model: tensor "(.*)" of shape \[([\d, ]+)\] is missing$');
			IF wanted IS NULL THEN
				RAISE;
			END IF;
			shape := string_to_array(wanted[2], ', ')::int[];
			tensors := tensors || (wanted[1], 'F32', shape,
				decode(repeat('00000000', (SELECT exp(sum(ln(d))) FROM unnest(shape) d)::int), 'hex'))::tensor;
		END;
	END LOOP;
END
$$;
CREATE FUNCTION model(architecture jsonb, features jsonb DEFAULT '[{"name": "a", "kind": "dense", "width": 3}]',
	tasks jsonb DEFAULT '[{"name": "x", "type": "binary"}, {"name": "y", "type": "regression"}]') RETURNS mtl_model LANGUAGE sql
	AS $$ SELECT zeros(jsonb_build_object('format', 1, 'architecture', architecture, 'features', features, 'tasks', tasks)) $$;
CREATE FUNCTION tasks(n int) RETURNS jsonb LANGUAGE sql
	AS $$ SELECT jsonb_agg(jsonb_build_object('name', 't' || i, 'type', 'binary')) FROM generate_series(1, n) i $$;

-- the whole text once; twice the same
SELECT mtl_graph(:'gated'::mtl_model);
SELECT mtl_graph(:'gated'::mtl_model) = mtl_graph(:'gated'::mtl_model::bytea::mtl_model) AS same, dot_problem(mtl_graph(:'gated'::mtl_model)) AS problem;
-- by name
BEGIN;
SELECT mtl_register('graph', :'gated'::mtl_model);
SELECT mtl_graph('graph') = mtl_graph(:'gated'::mtl_model) AS same;
ROLLBACK;
\set VERBOSITY terse
SELECT mtl_graph('graph');
\set VERBOSITY default
SELECT mtl_graph(NULL::mtl_model) IS NULL AS null_value, mtl_graph(NULL::text) IS NULL AS null_name;

-- each architecture
CREATE TABLE picture (n serial, name text, dot text);
CREATE PROCEDURE draw(name text, model mtl_model) LANGUAGE sql AS $$
	INSERT INTO picture (name, dot) VALUES (name, mtl_graph(model))
$$;
CALL draw('single_task', model('{"type": "single_task", "tower": {"hidden_units": [8, 4], "activation": ["relu", "tanh"]}}'));
CALL draw('shared_bottom', model('{"type": "shared_bottom", "bottom": {"hidden_units": [8, 8, 4], "activation": ["dice", "dice", "prelu"], "normalization": [{"type": "layer_norm"}, {"type": "layer_norm"}, {"type": "layer_norm", "position": "after_activation"}]}}'));
CALL draw('cross_stitch', model('{"type": "cross_stitch", "column": {"hidden_units": [4, 4, 2]}, "stitch_after": [0, 2]}'));
CALL draw('cross_stitch per unit', model('{"type": "cross_stitch", "column": {"hidden_units": [4]}, "stitch": "per_unit"}'));
CALL draw('sluice', model('{"type": "sluice", "column": {"hidden_units": [4, 4]}}'));
CALL draw('omoe', model('{"type": "omoe", "num_experts": 2, "expert": {"hidden_units": [4]}, "gate": {"temperature": 0.5}}'));
CALL draw('mmoe', model('{"type": "mmoe", "num_experts": 2, "expert": {"hidden_units": [8, 4]}}'));
CALL draw('mmoe of two levels', model('{"type": "mmoe", "levels": [{"num_experts": 2, "expert": {"hidden_units": [4]}, "mix": "task"},
	{"num_experts": 2, "expert": {"hidden_units": [2]}, "gate_input": "raw", "gate": {"hidden_units": [5, 3]}}]}'));
CALL draw('asymmetric_sharing', model('{"type": "asymmetric_sharing", "bottom": {"hidden_units": [4]}, "reads": {"y": ["x"]}}'));
CALL draw('asymmetric_sharing by sum', model('{"type": "asymmetric_sharing", "bottom": {"hidden_units": [4]}, "reads": {"y": ["x"]}, "fusion": "sum"}'));
CALL draw('asymmetric_sharing by average', model('{"type": "asymmetric_sharing", "bottom": {"hidden_units": [4]}, "reads": {"y": ["x"]}, "fusion": "average"}'));
CALL draw('customized_sharing', model('{"type": "customized_sharing", "bottom": {"hidden_units": [4]}}'));
CALL draw('cgc', model('{"type": "cgc", "specific_expert_num": [1, 0], "shared_expert_num": 1, "expert": {"hidden_units": [4]}}'));
CALL draw('ple', model('{"type": "ple", "num_levels": 2, "specific_expert_num": 1, "shared_expert_num": 1, "expert": {"hidden_units": [4]}}'));
CALL draw('ple of bare experts', model('{"type": "ple", "num_levels": 2, "specific_expert_num": 1, "shared_expert_num": 1, "expert": {}}'));
CALL draw('stem', model('{"type": "stem", "specific_expert_num": 1, "shared_expert_num": 1, "expert": {"hidden_units": [4]}}'));
CALL draw('aitm', model('{"type": "aitm", "bottom": {"hidden_units": [4]}, "info": {"hidden_units": [4]}}'));
CALL draw('aitm of one attention', model('{"type": "aitm", "bottom": {"hidden_units": [4]}, "info": {"hidden_units": [4]}, "attention": {"shared": true}}'));
CALL draw('dbmtl', model('{"type": "dbmtl", "bottom": {"hidden_units": [8]}, "num_experts": 2, "expert": {"hidden_units": [4]}, "mlps": {"x": {"hidden_units": [2]}},
	"relations": {"y": {"reads": ["x"], "hidden_units": [2]}}}'));
SELECT name, p.* FROM picture, dot_nodes(dot) p ORDER BY n, substring(node FROM 2)::int;
SELECT name, dot_problem(dot) FROM picture WHERE dot_problem(dot) IS NOT NULL;

-- experts and gates side by side: tasks in order, what is shared in the middle
SELECT regexp_matches(dot, '\{rank=same; (.*?) \[', 'g') AS rows FROM picture WHERE name = 'ple';

-- features, each alone
SELECT label FROM dot_nodes(mtl_graph(model('{"type": "single_task"}', '[{"name": "d", "kind": "dense"}, {"name": "w", "kind": "dense", "width": 2, "embedding_dim": 5},
	{"name": "s", "kind": "sparse", "lookup": {"type": "index"}, "vocabulary_size": 7, "embedding_dim": 2},
	{"name": "l", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "s", "weights": {"column": "lw"}},
	{"name": "c", "kind": "sequence", "lookup": {"type": "index"}, "max_length": 3, "embedding": "s", "combiner": "concat"}]'))) WHERE label !~ 'tower';
-- and when there are many
SELECT label FROM dot_nodes(mtl_graph(model('{"type": "single_task"}',
	(SELECT jsonb_agg(CASE WHEN i = 5 THEN '{"kind": "sparse", "lookup": {"type": "index"}, "vocabulary_size": 7, "embedding_dim": 2}'::jsonb
		ELSE '{"kind": "dense", "width": 2}' END || jsonb_build_object('name', 'f' || i)) FROM generate_series(1, 13) i)))) WHERE label ~ 'feature|number';

-- tasks: classes, a softmax head, hidden ones, products of products, the value formula
SELECT p.* FROM dot_nodes(mtl_graph(zeros('{"format": 1, "architecture": {"type": "single_task"}, "features": [{"name": "a", "kind": "dense"}],
	"rank": {"form": "product", "weights": {"p": 2, "pp": 1, "kind.low": 0.5}},
	"tasks": [{"name": "kind", "type": "multiclass", "classes": ["low", "high"]}, {"name": "s", "type": "binary", "head": "softmax"},
		{"name": "h", "type": "binary", "hidden": true}, {"name": "hs", "type": "binary", "head": "softmax", "hidden": true}, {"name": "r", "type": "regression"},
		{"name": "p", "type": "product", "of": ["s", "h"]}, {"name": "hp", "type": "product", "of": ["p", "hs"], "hidden": true}, {"name": "pp", "type": "product", "of": ["hp", "r"]}]}'))) p;

-- names mean nothing to Graphviz, neither as quotes nor as escapes, entities or records
SELECT p.*, dot_problem(dot) AS problem FROM mtl_graph(model('{"type": "mmoe", "num_experts": 1, "expert": {}}', '[{"name": "\\", "kind": "dense"}, {"name": "\"];", "kind": "dense"}]',
	'[{"name": "<b>{x|y}</b> &amp; \\N", "type": "binary"}, {"name": "点\"\\\"ü", "type": "binary"}, {"name": "task", "type": "regression"},
		{"name": "level", "type": "multiclass", "classes": ["a&b", "\"", "0\\", "a\nb"]}, {"name": "ééééééééééééééééééééééééééééééé", "type": "binary"},
		{"name": "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", "type": "binary"}]')) dot, dot_nodes(dot) p;

-- of many, some are shown
CREATE TABLE large AS SELECT name, mtl_graph(model) AS dot FROM (VALUES
	('1024 experts', model('{"type": "mmoe", "num_experts": 1024, "expert": {}}')),
	('200 experts', model('{"type": "mmoe", "num_experts": 200, "expert": {"hidden_units": [1], "bias": false}}')),
	('40 tasks', model('{"type": "aitm", "bottom": {"hidden_units": [1]}, "info": {"hidden_units": [1]}, "attention": {"shared": true}}', '[{"name": "a", "kind": "dense"}]', tasks(40))),
	('64 levels', model('{"type": "ple", "num_levels": 64, "specific_expert_num": 0, "shared_expert_num": 1, "expert": {}}')),
	('64 stitched layers', model(jsonb_build_object('type', 'sluice', 'column', jsonb_build_object('hidden_units', array_fill(2, ARRAY[64]))), '[{"name": "a", "kind": "dense"}]', '[{"name": "t", "type": "binary"}]')),
	('64 layers', model(jsonb_build_object('type', 'shared_bottom', 'bottom', jsonb_build_object('bias', false, 'hidden_units', array_fill(1, ARRAY[64]),
		'activation', (SELECT jsonb_agg(CASE WHEN i % 2 = 0 OR i < 12 THEN 'relu' ELSE 'tanh' END ORDER BY i) FROM generate_series(1, 64) i))))),
	('a gate of 64 layers', model(jsonb_build_object('type', 'omoe', 'num_experts', 1, 'expert', '{}'::jsonb, 'gate', jsonb_build_object('bias', false, 'hidden_units', array_fill(1, ARRAY[64]),
		'activation', (SELECT jsonb_agg(CASE WHEN i % 2 = 0 THEN 'relu' ELSE 'tanh' END ORDER BY i) FROM generate_series(1, 64) i))))),
	('1000 classes', model('{"type": "single_task"}', '[{"name": "a", "kind": "dense"}]', '[{"name": "t", "type": "multiclass", "num_classes": 1000}]')),
	('300 products', model('{"type": "single_task"}', '[{"name": "a", "kind": "dense"}]', tasks(2) || (SELECT jsonb_agg(jsonb_build_object('name', 'p' || i, 'type', 'product', 'of',
		CASE WHEN i = 300 THEN (SELECT jsonb_agg('p' || k) FROM generate_series(1, 299) k) ELSE '["t1", "t2"]' END)) FROM generate_series(1, 300) i)))) v(name, model);
SELECT name, count(*) AS nodes, length(dot) < 30000 AS small, dot_problem(dot) AS problem FROM large, dot_nodes(dot) GROUP BY name, dot ORDER BY name COLLATE "C";
SELECT name, label FROM large, dot_nodes(dot) WHERE label ~ 'more|hellip' ORDER BY name COLLATE "C", node COLLATE "C";
