-- The gradient of every parameter of a network against central differences, in double precision; library is the build of the
-- extension with FLOAT64=1, without its suffix.

\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
SELECT set_config('test.library', :'library', false) \g /dev/null

DO $$
BEGIN
	EXECUTE format('CREATE FUNCTION mtl_gradients(spec jsonb, query text, options jsonb, step float8, only_first bool, OUT tensor text,
		OUT "position" bigint, OUT gradient float8, OUT difference float8)
		RETURNS SETOF record AS %L, %L LANGUAGE C VOLATILE', current_setting('test.library'), 'mtl_gradients');
END $$;

-- Rows with all kinds of features and labels; labels that are NULL are outside the task's space.
CREATE TABLE samples AS
SELECT i, 'c' || i % 5 AS city, (i * 7) % 11 AS item,
	CASE WHEN i % 6 > 0 THEN (ARRAY[1, 4, 9, 4, 2])[1 + i % 2 : 1 + i % 5] END AS seen,
	(ARRAY[0.5, 1.5, 0.25, 1.0, 2.0]::real[])[1 + i % 2 : 1 + i % 5] AS seen_weights,
	sin(i) * 3 AS amount, ARRAY[cos(i), sin(2 * i), cos(3 * i)]::real[] AS vector,
	(i % 3 = 0)::int AS click, CASE WHEN i % 3 = 0 THEN (i % 2)::int END AS buy, (i % 6 = 0)::int AS click_and_buy,
	sin(i / 2.0) * 2 AS spend, CASE WHEN i % 4 > 0 THEN i % 3 END AS kind, 1 + (i % 4) / 2.0 AS weight
FROM generate_series(1, 40) i;

-- The features of all specs but that of pooling.
CREATE FUNCTION features() RETURNS jsonb LANGUAGE sql AS $$ SELECT '[
	{"name": "city", "kind": "sparse", "embedding_dim": 3},
	{"name": "item", "kind": "sparse", "embedding_dim": 4, "min_count": 4},
	{"name": "amount", "kind": "dense", "transform": {"type": "standardize"}},
	{"name": "vector", "kind": "dense", "width": 3, "embedding_dim": 2, "embedding_bias": true}]'::jsonb $$;

-- Two tasks of one space, and one of another.
CREATE FUNCTION tasks() RETURNS jsonb LANGUAGE sql AS $$ SELECT '[
	{"name": "click", "type": "binary", "label": "click"},
	{"name": "spend", "type": "regression", "label": "spend"},
	{"name": "buy", "type": "binary", "label": "buy"}]'::jsonb $$;

-- Gradients agree to 1e-4 of themselves, and to what a difference can tell of very small ones.
CREATE FUNCTION agrees(name text, architecture jsonb, options jsonb DEFAULT '{}', tasks jsonb DEFAULT tasks(),
	features jsonb DEFAULT features()) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	wrong record;
	n int;
	nonzero int;
	worst float8;
	without text;
BEGIN
	CREATE TEMP TABLE found AS SELECT * FROM mtl_gradients(
		jsonb_build_object('architecture', architecture, 'features', features, 'tasks', tasks),
		'SELECT * FROM samples', options || '{"examples": 0}', 1e-6, false);
	SELECT count(*), count(*) FILTER (WHERE abs(difference) > 1e-7),
		max(abs(gradient - difference) / greatest(abs(gradient), abs(difference))) FILTER (WHERE abs(difference) > 1e-5)
		INTO n, nonzero, worst FROM found;
	-- a weight that no number of has an influence is not trained at all
	SELECT string_agg(tensor, ', ') INTO without
		FROM (SELECT tensor FROM found GROUP BY tensor HAVING max(abs(difference)) < 1e-7) t;
	SELECT * INTO wrong FROM found
		WHERE NOT abs(gradient - difference) <= 1e-4 * greatest(abs(gradient), abs(difference)) + 1e-8
		ORDER BY abs(gradient - difference) DESC LIMIT 1;
	DROP TABLE found;
	IF wrong IS NOT NULL THEN
		RAISE EXCEPTION '%: number % of tensor "%" has gradient %, expected %', name, wrong.position, wrong.tensor,
			wrong.gradient, wrong.difference;
	END IF;
	IF without IS NOT NULL OR nonzero < n / 3 THEN
		RAISE EXCEPTION '%: % of % gradients are not 0, none of %', name, nonzero, n, without;
	END IF;
	RETURN format('%s: %s numbers, largest relative difference %s', name, n, to_char(worst, '9.9EEEE'));
END $$;

-- architectures
SELECT agrees('single_task', '{"type": "single_task", "tower": {"hidden_units": [6, 4]}}');
SELECT agrees('shared_bottom', '{"type": "shared_bottom", "bottom": {"hidden_units": [6]}, "tower": {"hidden_units": [4]}}');
SELECT agrees('cross_stitch', '{"type": "cross_stitch", "column": {"hidden_units": [6, 4]}}');
SELECT agrees('cross_stitch per unit', '{"type": "cross_stitch", "column": {"hidden_units": [6, 4]}, "stitch": "per_unit"}');
SELECT agrees('sluice', '{"type": "sluice", "column": {"hidden_units": [4, 4]}}');
SELECT agrees('omoe', '{"type": "omoe", "num_experts": 3, "expert": {"hidden_units": [6]}, "tower": {"hidden_units": [4]}}');
SELECT agrees('mmoe', '{"type": "mmoe", "num_experts": 3, "expert": {"hidden_units": [9]},
	"gate": {"hidden_units": [5], "logit_bias": true, "temperature": 1.5}, "tower": {"hidden_units": [4]}}');
SELECT agrees('mmoe of levels', '{"type": "mmoe", "num_levels": 2, "num_experts": 3, "mix": "task", "expert": {"hidden_units": [6]}}');
SELECT agrees('asymmetric_sharing by ' || fusion, jsonb_build_object('type', 'asymmetric_sharing',
		'bottom', '{"hidden_units": [5]}'::jsonb, 'reads', '{"buy": ["click", "spend"]}'::jsonb, 'fusion', fusion))
	FROM unnest('{concat,sum,average}'::text[]) fusion;
SELECT agrees('customized_sharing', '{"type": "customized_sharing", "bottom": {"hidden_units": [5]}, "tower": {"hidden_units": [4]}}');
SELECT agrees('cgc', '{"type": "cgc", "shared_expert_num": 2, "specific_expert_num": 1, "expert": {"hidden_units": [6]}}');
SELECT agrees('ple', '{"type": "ple", "num_levels": 2, "shared_expert_num": 2, "specific_expert_num": 1,
	"expert": {"hidden_units": [6]}, "tower": {"hidden_units": [4]}}');
SELECT agrees('aitm', '{"type": "aitm", "bottom": {"hidden_units": [6, 4]}, "info": {"hidden_units": [4]}, "attention": {"bias": true}}');
SELECT agrees('aitm of one attention', '{"type": "aitm", "bottom": {"hidden_units": [4]}, "info": {"hidden_units": [4]}, "attention": {"shared": true}}');
SELECT agrees('dbmtl', '{"type": "dbmtl", "bottom": {"hidden_units": [6]}, "mlps": {"click": {"hidden_units": [5]}},
	"relations": {"buy": {"reads": ["click", "spend"], "hidden_units": [4]}}}');

-- STEM needs a slice for each task and a shared one
\set sliced '[{"name": "city", "kind": "sparse", "embedding_dim": 8}, {"name": "vector", "kind": "dense", "width": 3, "embedding_dim": 4, "embedding_bias": true}]'
\set stem '{"type": "stem", "num_levels": 2, "shared_expert_num": 1, "specific_expert_num": 1, "expert": {"hidden_units": [4]}}'
SELECT agrees('stem', :'stem', '{}', tasks(), :'sliced');
-- on the last level, the first task's loss does not train the others' experts
CREATE TEMP TABLE gradient_of_first AS SELECT * FROM mtl_gradients(jsonb_build_object('architecture', :'stem'::jsonb || '{"num_levels": 1}', 'features', :'sliced'::jsonb,
	'tasks', tasks()), 'SELECT * FROM samples', '{"examples": 0}', 1e-6, true);
DO $$
BEGIN
	IF EXISTS (SELECT FROM gradient_of_first WHERE tensor ~ 'level.0.task.(spend|buy).expert' GROUP BY tensor HAVING max(abs(gradient)) > 0) OR
		EXISTS (SELECT FROM gradient_of_first WHERE tensor ~ 'level.0.(task.click|shared).expert' GROUP BY tensor HAVING max(abs(gradient)) = 0) THEN
		RAISE EXCEPTION 'gradients do not stop where they are to';
	END IF;
END $$;

-- activations and normalizations; a batch's mean takes out what is the same for all its rows, as biases are
SELECT agrees(activation::text, jsonb_build_object('type', 'shared_bottom', 'bottom', jsonb_build_object('hidden_units', '[7, 5]'::jsonb,
		'activation', activation)))
	FROM jsonb_array_elements('["linear", "relu", {"type": "leaky_relu", "negative_slope": 0.2}, "prelu", "sigmoid", "tanh", "silu",
		"gelu", "gelu_tanh", {"type": "dice", "epsilon": 1e-3}, {"type": "dice", "statistics": "row_mean"},
		{"type": "dice", "statistics": "row_sum"}]') activation;
SELECT agrees(format('%s %s, %s', norm, position, activation), jsonb_build_object('type', 'shared_bottom', 'bottom',
		jsonb_build_object('hidden_units', '[7, 5]'::jsonb, 'activation', activation, 'bias', norm = 'layer_norm',
			'normalization', jsonb_build_object('type', norm, 'position', position, 'epsilon', 1e-3))),
		'{}', tasks(), features() #- '{3,embedding_bias}')
	FROM unnest('{batch_norm,layer_norm}'::text[]) norm, unnest('{before_activation,after_activation}'::text[]) position,
		unnest('{tanh,dice}'::text[]) activation;
SELECT agrees('dropout, ' || activation, jsonb_build_object('type', 'shared_bottom', 'bottom', jsonb_build_object('hidden_units',
		'[9, 7]'::jsonb, 'activation', activation)), '{"dropout": 0.3}')
	FROM unnest('{relu,tanh,sigmoid,dice}'::text[]) activation;

-- tasks
SELECT agrees('esmm', '{"type": "single_task", "tower": {"hidden_units": [5]}}', '{}',
	'[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "cvr", "type": "binary"},
	  {"name": "ctcvr", "type": "product", "of": ["ctr", "cvr"], "label": "click_and_buy"}]');
SELECT agrees('chain of products', '{"type": "shared_bottom", "bottom": {"hidden_units": [5]}}', '{}',
	'[{"name": "a", "type": "binary", "label": "click"}, {"name": "b", "type": "binary", "head": "softmax"},
	  {"name": "ab", "type": "product", "of": ["a", "b"], "label": "click_and_buy"}, {"name": "value", "type": "regression"},
	  {"name": "expected", "type": "product", "of": ["ab", "value"], "label": "spend"}]');
SELECT agrees('softmax head and classes', '{"type": "shared_bottom", "bottom": {"hidden_units": [5]}}', '{}',
	'[{"name": "click", "type": "binary", "head": "softmax", "label": "click"},
	  {"name": "kind", "type": "multiclass", "num_classes": 3, "label": "kind"}]');
SELECT agrees('calibrator of ' || calibrator, '{"type": "aitm", "bottom": {"hidden_units": [4]}, "info": {"hidden_units": [4]}}',
	format('{"weight_column": "weight", "calibrator": %s}', calibrator)::jsonb,
	'[{"name": "a", "type": "binary", "label": "click"}, {"name": "b", "type": "binary", "head": "softmax", "label": "click"},
	  {"name": "c", "type": "binary", "label": "click_and_buy"}, {"name": "bc", "type": "product", "of": ["b", "c"], "label": "buy"}]')
	FROM unnest('{"{}","{\"weight\": 3, \"tasks\": [\"bc\", \"a\", \"b\"]}"}'::text[]) calibrator;
SELECT agrees('weights of rows', '{"type": "shared_bottom", "bottom": {"hidden_units": [5]}}', '{"weight_column": "weight"}');

-- sequences
SELECT agrees(format('pooling by %s, weights %s', combiner, coalesce(normalize, 'missing')),
	'{"type": "shared_bottom", "bottom": {"hidden_units": [5], "activation": "tanh"}}', '{}', common.tasks,
	jsonb_build_array('{"name": "item", "kind": "sparse", "embedding_dim": 4}'::jsonb,
		jsonb_strip_nulls(jsonb_build_object('name', 'seen', 'kind', 'sequence', 'embedding', 'item', 'max_length', 3, 'combiner', combiner,
			'epsilon', 0.5, 'weights', CASE WHEN normalize IS NOT NULL THEN jsonb_build_object('column', 'seen_weights', 'normalize', normalize) END))))
	FROM unnest('{sum,mean,max}'::text[]) combiner, unnest('{NULL,none,sum,softmax}'::text[]) normalize,
		(SELECT tasks()) AS common (tasks);

SELECT agrees('concatenation, ' || side, '{"type": "shared_bottom", "bottom": {"hidden_units": [5], "activation": "tanh"}}', '{}', tasks(),
	jsonb_build_array('{"name": "item", "kind": "sparse", "embedding_dim": 4}'::jsonb, jsonb_build_object('name', 'seen', 'kind', 'sequence',
		'embedding', 'item', 'max_length', 5, 'combiner', 'concat', 'unused', side)))
	FROM unnest('{head,tail}'::text[]) side;

DROP TABLE samples;
