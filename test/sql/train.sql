-- Training: what is learnt, what is refused, that it can be repeated.  No number that a network has learnt is printed: sums of
-- matrix products differ between CPUs.

SET client_min_messages = warning;

CREATE TABLE impressions AS
SELECT i, CASE WHEN i % 10 = 0 THEN NULL WHEN i % 100 = 1 THEN 'rare' ELSE (ARRAY['Berlin', 'Łódź', 'Oslo'])[1 + i % 3] END AS city,
	i % 7 AS item, ARRAY(SELECT k % 7 FROM generate_series(i, i + i % 4) k) AS seen,
	CASE WHEN i % 9 > 0 THEN i % 50 END::float8 AS age, exp(i % 5)::real AS amount,
	ARRAY[i % 3, i % 5, 1]::real[] AS vector,
	((i * 7919) % 11 < 2 + i % 7)::int AS click,
	CASE WHEN (i * 7919) % 11 < 2 + i % 7 THEN ((i * 104729) % 13 < 5)::int END AS buy,
	((i * 7919) % 11 < 2 + i % 7 AND (i * 104729) % 13 < 5)::int AS click_and_buy,
	((i % 50) / 10.0 + (i % 7)) / 10 AS spend, (ARRAY['low', 'middle', 'high'])[1 + (i % 7) / 3] AS level,
	(i % 2)::real AS weight, 'x' AS text, -1 AS minus, 1 AS one
FROM generate_series(1, 1000) i;

CREATE FUNCTION spec(architecture text DEFAULT '{"type": "shared_bottom", "bottom": {"hidden_units": [8]}}',
	tasks text DEFAULT '[{"name": "ctr", "type": "binary", "label": "click"}]', features text DEFAULT '[
		{"name": "city", "kind": "sparse", "embedding_dim": 3, "min_count": 20},
		{"name": "item", "kind": "sparse"},
		{"name": "seen", "kind": "sequence", "embedding": "item", "max_length": 3},
		{"name": "age", "kind": "dense", "transform": {"type": "standardize"}, "missing": "mean"},
		{"name": "amount", "kind": "dense", "transform": [{"type": "log1p"}, {"type": "min_max"}]},
		{"name": "vector", "kind": "dense", "width": 3, "transform": {"type": "standardize"}}]')
	RETURNS jsonb LANGUAGE sql IMMUTABLE
	AS $$ SELECT jsonb_build_object('architecture', architecture::jsonb, 'features', features::jsonb, 'tasks', tasks::jsonb) $$;

-- the contract of a model without what differs between CPUs
CREATE FUNCTION contract(model mtl_model) RETURNS jsonb LANGUAGE sql
	AS $$ SELECT mtl_describe(model) -> 'contract' #- '{provenance,history}' #- '{provenance,metrics}' $$;

--
-- what is learnt
--

CREATE TABLE models (name text PRIMARY KEY, model mtl_model);
INSERT INTO models SELECT 'first', mtl_train(spec(), 'SELECT * FROM impressions', '{"epochs": 2, "batch_size": 64, "examples": 3}');
SELECT jsonb_pretty(contract(model)) FROM models;
SELECT jsonb_agg(history ORDER BY n) FROM (SELECT n, jsonb_object_agg(k, jsonb_typeof(v)) AS history
	FROM models, jsonb_array_elements(mtl_describe(model) #> '{contract,provenance,history}') WITH ORDINALITY AS h (epoch, n),
		jsonb_each(epoch) AS e (k, v) GROUP BY n) x;
BEGIN;
SELECT mtl_register('first', model) FROM models;
SELECT count(*), max(abs(difference)) FROM mtl_verify('first');
SELECT bool_and(score BETWEEN 0 AND 1), count(DISTINCT score) > 10 FROM (SELECT mtl_score('first', x, 'ctr') AS score FROM impressions x) s;
-- unknown and missing cities have one row
SELECT mtl_score('first', x, 'ctr') = mtl_score('first', y, 'ctr')
	FROM (SELECT 'Atlantis' AS city, item, seen, age, amount, vector FROM impressions WHERE i = 5) x,
		(SELECT NULL::text AS city, item, seen, age, amount, vector FROM impressions WHERE i = 5) y;
ROLLBACK;

-- the default of a number is its mean, and the mean is scaled to 0
SELECT round(avg(age)::numeric, 6), round(stddev_pop(age)::numeric, 6), min(ln(1 + amount)), max(ln(1 + amount)) FROM impressions;
SELECT f ->> 'name', f -> 'missing', f -> 'transform' FROM models, jsonb_array_elements(contract(model) -> 'features') f
	WHERE f ->> 'kind' = 'dense' AND f ->> 'name' = 'age';

-- what the spec says of the context stays
SELECT contract(mtl_train(spec() || '{"context": ["seen", "age"]}', 'SELECT * FROM impressions', '{"epochs": 1}')) -> 'context' AS context;
SELECT mtl_train(spec() || '{"context": ["sea"]}', 'SELECT * FROM impressions', '{"epochs": 1}');

-- the most frequent entries, and not more than asked for
INSERT INTO models SELECT 'small', mtl_train(spec(features => '[{"name": "city", "kind": "sparse", "max_size": 2, "oov": "zero"},
	{"name": "item", "kind": "sparse", "lookup": {"type": "index"}, "embedding_dim": 2},
	{"name": "text", "kind": "sparse", "lookup": {"type": "hash", "num_buckets": 5}, "embedding_dim": 2}]'),
	'SELECT * FROM impressions WHERE city IS NOT NULL', '{"epochs": 1, "examples": 0}');
SELECT contract(model) -> 'features' FROM models WHERE name = 'small';

--
-- it can be repeated, whatever the memory, and every option tells
--

CREATE FUNCTION digest(options text DEFAULT '{}', tasks text DEFAULT '[{"name": "ctr", "type": "binary", "label": "click"}]') RETURNS text
	LANGUAGE sql AS $$ SELECT mtl_digest(mtl_train(spec(tasks => tasks), 'SELECT * FROM impressions ORDER BY i',
		'{"epochs": 2, "batch_size": 50}'::jsonb || options::jsonb)) $$;
SELECT digest() AS once \gset
SELECT digest() = :'once' AS repeated;
SET maintenance_work_mem = '9MB';
SELECT digest() = :'once' AS repeated;
RESET maintenance_work_mem;
SELECT count(*), count(DISTINCT digest(options)) FROM unnest(ARRAY[
	'{}', '{"seed": 1}', '{"batch_size": 51}', '{"dropout": 0.2}', '{"l2": {"layers": 0.01}}', '{"l2": {"embeddings": 0.01}}', '{"clip_norm": 0.1}',
	'{"embedding_init": 0.2}', '{"weight_column": "weight"}', '{"schedule": {"type": "step", "decay": 0.5}}',
	'{"schedule": {"type": "exponential", "decay": 0.5}}', '{"schedule": {"type": "linear"}}', '{"schedule": {"type": "cosine", "floor": 0.1}}',
	'{"schedule": {"warmup_steps": 10}}', '{"optimizer": {"learning_rate": 0.01}}', '{"optimizer": "adagrad"}', '{"optimizer": "sgd"}',
	'{"optimizer": {"type": "sgd", "momentum": 0.9}}', '{"embedding_optimizer": "ftrl"}',
	'{"embedding_optimizer": {"type": "ftrl", "l1": 0.01, "l2": 0.01, "beta": 0.5}}', '{"embedding_optimizer": {"type": "adagrad", "initial_accumulator": 0.5}}',
	'{"validation": {"fraction": 0.3}}']) AS options;

--
-- losses fall, with every optimizer and every way to weight tasks
--

CREATE FUNCTION falls(options text, architecture text, tasks text) RETURNS boolean LANGUAGE sql AS $$
	SELECT bool_and((last #>> '{loss}')::float8 < (first #>> '{loss}')::float8)
	FROM (SELECT mtl_describe(mtl_train(spec(architecture, tasks), 'SELECT * FROM impressions',
			'{"epochs": 8, "batch_size": 50, "optimizer": {"learning_rate": 0.005}}'::jsonb || options::jsonb)) #> '{contract,provenance,history}' AS h) x,
		jsonb_each(h -> 0 -> 'tasks') AS f (task, first), LATERAL (SELECT h -> -1 -> 'tasks' -> task) AS l (last) $$;
\set three '[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "spend", "type": "regression", "label": "spend"}, {"name": "level", "type": "multiclass", "classes": ["low", "middle", "high"], "label": "level"}]'
SELECT options, falls(options, '{"type": "mmoe", "num_experts": 3, "expert": {"hidden_units": [8]}}', :'three') FROM unnest(ARRAY[
	'{}', '{"optimizer": {"type": "adagrad", "learning_rate": 0.05}}', '{"optimizer": {"type": "sgd", "learning_rate": 0.01, "momentum": 0.9}}',
	'{"embedding_optimizer": {"type": "ftrl", "learning_rate": 0.05}}', '{"embedding_optimizer": "ftrl", "schedule": {"type": "cosine"}}', '{"task_weights": {"weights": {"ctr": 2, "spend": 0.1}, "gamma": {"spend": 0.9}}}',
	'{"task_weights": {"type": "uncertainty", "learning_rate": 0.01}}', '{"task_weights": {"type": "gradnorm"}}', '{"task_weights": {"type": "dwa"}}',
	'{"task_weights": {"type": "pcgrad"}}']) AS options;
SELECT architecture, falls('{}', architecture, '[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "spend", "type": "regression", "label": "spend"}]')
	FROM unnest(ARRAY['{"type": "single_task", "tower": {"hidden_units": [8]}}', '{"type": "cross_stitch", "column": {"hidden_units": [8]}}',
	'{"type": "sluice", "column": {"hidden_units": [8]}}', '{"type": "omoe", "num_experts": 3, "expert": {"hidden_units": [8]}}',
	'{"type": "asymmetric_sharing", "bottom": {"hidden_units": [8]}, "reads": {"spend": ["ctr"]}}',
	'{"type": "customized_sharing", "bottom": {"hidden_units": [8]}}',
	'{"type": "cgc", "shared_expert_num": 1, "specific_expert_num": 1, "expert": {"hidden_units": [8]}}',
	'{"type": "ple", "num_levels": 2, "shared_expert_num": 1, "specific_expert_num": 1, "expert": {"hidden_units": [8], "normalization": {"type": "batch_norm"}, "activation": "dice"}}']) AS architecture;

-- weights after each epoch: of fixed ones by hand, of the others that they move, and that gradnorm's and dwa's keep their sum
CREATE FUNCTION weights(options text) RETURNS TABLE (epoch bigint, ctr numeric, spend numeric) LANGUAGE sql AS $$
	SELECT n, (h #>> '{tasks,ctr,weight}')::numeric, (h #>> '{tasks,spend,weight}')::numeric
	FROM jsonb_array_elements(mtl_describe(mtl_train(spec(tasks => '[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "spend", "type": "regression", "label": "spend"}]'),
		'SELECT * FROM impressions', '{"epochs": 4, "batch_size": 100}'::jsonb || options::jsonb)) #> '{contract,provenance,history}') WITH ORDINALITY AS j (h, n) $$;
SELECT * FROM weights('{"task_weights": {"weights": {"spend": 0.5}, "gamma": {"spend": 0.5}}}');
SELECT kind, count(DISTINCT ctr), count(*) FILTER (WHERE abs(ctr + spend - 2) < 1e-9) FROM unnest('{uncertainty,gradnorm,dwa}'::text[]) kind,
	weights(format('{"task_weights": {"type": "%s"}}', kind)) GROUP BY kind ORDER BY kind;

-- towers that soft sharing holds together cannot fit both tasks as well
CREATE FUNCTION loss_under(penalty float8) RETURNS float8 LANGUAGE sql AS $$
	SELECT (mtl_describe(mtl_train(spec('{"type": "single_task", "tower": {"hidden_units": [8]}}',
		'[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "spend", "type": "regression", "label": "spend"}]'),
		'SELECT * FROM impressions', jsonb_build_object('epochs', 5, 'batch_size', 100, 'l2', jsonb_build_object('soft_sharing', penalty))))
		#>> '{contract,provenance,history,-1,tasks,spend,loss}')::float8 $$;
SELECT loss_under(10) > loss_under(0);

-- the calibrator keeps a task from being more probable than the one before it, here against the labels, with all ways to weight tasks
CREATE FUNCTION excess(calibrator text, options text DEFAULT '{}') RETURNS float8 LANGUAGE sql AS $$
	SELECT (mtl_describe(mtl_train(spec('{"type": "aitm", "bottom": {"hidden_units": [8]}, "info": {"hidden_units": [8]}}',
		'[{"name": "buy", "type": "binary", "label": "click_and_buy"}, {"name": "click", "type": "binary", "label": "click"}]'),
		'SELECT * FROM impressions', jsonb_build_object('epochs', 5, 'batch_size', 50, 'optimizer', '{"learning_rate": 0.01}'::jsonb, 'calibrator', calibrator::jsonb) || options::jsonb))
		#>> '{contract,provenance,history,-1,calibrator}')::float8 $$;
SELECT excess('{"weight": 0}') IS NULL AS none, excess('{"weight": 1e-9}') > 0.2 AS unheeded, excess('{}') < 0.1 AS by_default,
	excess('{"weight": 1e-9, "tasks": ["click", "buy"]}') < 0.01 AS in_order;
SELECT kind, excess('{"weight": 10}', format('{"task_weights": {"type": "%s"}}', kind)) < 0.02 AS obeyed
	FROM unnest('{fixed,uncertainty,gradnorm,dwa,pcgrad}'::text[]) kind;
-- it is over all rows, and weighted
SELECT excess('{"weight": 1e-9}', '{"weight_column": "weight"}') <> excess('{"weight": 1e-9}') AS weighted;

--
-- sample spaces
--

-- ESMM: no loss on cvr by itself, and none of NULL labels
INSERT INTO models SELECT 'esmm', mtl_train(spec('{"type": "single_task", "tower": {"hidden_units": [8]}}',
	'[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "cvr", "type": "binary"},
	  {"name": "ctcvr", "type": "product", "of": ["ctr", "cvr"], "label": "click_and_buy"}]'),
	'SELECT * FROM impressions', '{"epochs": 3, "batch_size": 100, "validation": {"fraction": 0.2}}');
SELECT mtl_tasks(model), jsonb_object_keys(mtl_describe(model) #> '{contract,provenance,metrics}') FROM models WHERE name = 'esmm';
SELECT bool_and(abs(s[1] * s[2] - s[3]) < 1e-6) FROM (SELECT mtl_score(model, r) AS s FROM models, impressions r WHERE name = 'esmm') x;
SELECT count(*) FROM models, mtl_verify(model) WHERE name = 'esmm';

-- a row outside a task's space is the same as a row of weight 0, whatever its label
CREATE FUNCTION history(query text, options text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT mtl_describe(mtl_train(spec(tasks => '[{"name": "cvr", "type": "binary", "label": "buy"}]'), query,
		'{"epochs": 2, "batch_size": 100}'::jsonb || options::jsonb)) #> '{contract,provenance,history}' $$;
SELECT history(q, '{}') AS outside, history(replace(q, 'buy', 'coalesce(buy, 0) AS buy'), '{"weight_column": "click"}') AS weight_0,
	history(replace(q, 'buy', 'coalesce(buy, 1) AS buy'), '{"weight_column": "click"}') AS weight_0_too,
	history(replace(q, 'buy', 'coalesce(buy, 0) AS buy'), '{}') AS inside
	FROM (VALUES ('SELECT i, city, item, seen, age, amount, vector, click, buy FROM impressions ORDER BY i')) v (q) \gset
SELECT :'outside' = :'weight_0', :'outside' = :'weight_0_too', :'outside' = :'inside';

--
-- validation and early stopping
--

SELECT p -> 'rows', p -> 'validation_rows', p -> 'epochs', p -> 'best_epoch', (p #>> '{metrics,ctr,auc}')::float8 BETWEEN 0 AND 1
	FROM (SELECT mtl_describe(mtl_train(spec(), 'SELECT * FROM impressions WHERE i <= 800',
		'{"epochs": 3, "validation": {"query": "SELECT * FROM impressions WHERE i > 800"}}')) #> '{contract,provenance}' AS p) x;
-- rows of weight 0 do not count
CREATE FUNCTION validated(rows text) RETURNS jsonb LANGUAGE sql AS $$ SELECT mtl_describe(mtl_train(spec(), 'SELECT *, 1 AS w FROM impressions WHERE i <= 700 ORDER BY i',
	jsonb_build_object('epochs', 1, 'weight_column', 'w', 'validation', jsonb_build_object('query', 'SELECT *, ' || rows || ' ORDER BY i')))) #> '{contract,provenance,metrics}' $$;
SELECT validated('i % 2 AS w FROM impressions WHERE i > 700') = validated('1 AS w FROM impressions WHERE i > 700 AND i % 2 = 1') AS same,
	validated('i % 2 AS w FROM impressions WHERE i > 700') = validated('1 AS w FROM impressions WHERE i > 700') AS other;
-- nothing improves by 2
SELECT watch, p -> 'epochs', p -> 'best_epoch' FROM unnest('{mean,any,ctr}'::text[]) watch, LATERAL (SELECT mtl_describe(mtl_train(spec(),
	'SELECT * FROM impressions', jsonb_build_object('epochs', 20, 'validation', '{"fraction": 0.2}'::jsonb,
		'early_stopping', jsonb_build_object('watch', watch, 'patience', 3, 'min_delta', 2)))) #> '{contract,provenance}' AS p) x;
-- the model is that of the best epoch: what training said of it is what SQL finds
INSERT INTO models SELECT 'stopped', mtl_train(spec(), 'SELECT * FROM impressions WHERE i <= 700', '{"epochs": 30, "batch_size": 20,
	"optimizer": {"learning_rate": 0.05}, "validation": {"query": "SELECT * FROM impressions WHERE i > 700"}, "early_stopping": {"watch": "ctr"}}');
SELECT round((p #>> '{metrics,ctr,auc}')::numeric, 9) = round(auc, 9), p #> '{metrics,ctr}' = (p -> 'history' -> ((p -> 'best_epoch')::int - 1) #> '{tasks,ctr}') - 'weight'
FROM (SELECT mtl_describe(model) #> '{contract,provenance}' AS p FROM models WHERE name = 'stopped') x,
	(SELECT avg(CASE WHEN a.s > b.s THEN 1 WHEN a.s = b.s THEN 0.5 ELSE 0 END) AS auc FROM
		(SELECT mtl_score(model, r, 'ctr') AS s, click FROM models, impressions r WHERE i > 700 AND name = 'stopped') a,
		(SELECT mtl_score(model, r, 'ctr') AS s, click FROM models, impressions r WHERE i > 700 AND name = 'stopped') b
		WHERE a.click = 1 AND b.click = 0) y;

-- the AUC of training is mtl_auc's to the last bit, also of scores that many rows share
INSERT INTO models SELECT 'tied', mtl_train(spec(features => '[{"name": "item", "kind": "sparse", "max_size": 3}]'), 'SELECT * FROM impressions WHERE i <= 700',
	'{"epochs": 5, "batch_size": 20, "optimizer": {"learning_rate": 0.05}, "validation": {"query": "SELECT * FROM impressions WHERE i > 700"}}');
SELECT scores, auc <> 0.5, auc = (mtl_describe(model) #>> '{contract,provenance,metrics,ctr,auc}')::float8
	FROM (SELECT count(DISTINCT mtl_score(model, r, 'ctr')) AS scores, mtl_auc(click, mtl_score(model, r, 'ctr')) AS auc
		FROM models, impressions r WHERE i > 700 AND name = 'tied') x, models WHERE name = 'tied';

--
-- warm start
--

-- old entries stay where they are, new ones come after them; scaling stays
INSERT INTO models SELECT 'warm', mtl_train(spec(), 'SELECT * FROM (SELECT * FROM impressions UNION ALL SELECT i, ''Athens'', item, seen, age * 2, amount, vector,
	click, buy, click_and_buy, spend, level, weight, text, minus, one FROM impressions) x', '{"epochs": 1, "examples": 0}', model) FROM models WHERE name = 'first';
SELECT w -> 'name', w -> 'vocabulary_size', f -> 'vocabulary_size', w -> 'transform' = f -> 'transform' AS same FROM
	(SELECT jsonb_array_elements(contract(model) -> 'features') AS w FROM models WHERE name = 'warm') x
	JOIN (SELECT jsonb_array_elements(contract(model) -> 'features') AS f FROM models WHERE name = 'first') y ON w -> 'name' = f -> 'name' ORDER BY 1;
SELECT contract(model) #> '{provenance,tensors_taken_over}' FROM models WHERE name = 'warm';
-- a scaling of other numbers does not stay
SELECT contract(mtl_train(spec(features => '[{"name": "age", "kind": "dense", "missing": 0, "transform": [{"type": "clip", "min": 0, "max": 30}, {"type": "standardize"}]}]'),
	'SELECT * FROM impressions', '{"epochs": 1}', model)) #> '{features,0,transform,1}' = contract(model) #> '{features,0,transform,1}' AS same FROM
	(SELECT mtl_train(spec(features => format('[{"name": "age", "kind": "dense", "missing": 0, "transform": [{"type": "clip", "min": 0, "max": %s}, {"type": "standardize"}]}]', most)),
		'SELECT * FROM impressions WHERE i % 3 = 0', '{"epochs": 1}') AS model FROM unnest('{20,30}'::int[]) most) x;
-- a start is where training starts from
SELECT (h #>> '{0,tasks,ctr,loss}')::float8 < (f #>> '{0,tasks,ctr,loss}')::float8
	FROM (SELECT mtl_describe(mtl_train(spec(), 'SELECT * FROM impressions', '{"epochs": 1}', model)) #> '{contract,provenance,history}' AS h,
		mtl_describe(model) #> '{contract,provenance,history}' AS f FROM models WHERE name = 'first') x;

--
-- NULL
--

SELECT mtl_train(NULL, 'SELECT * FROM impressions') IS NULL, mtl_train(spec(), NULL) IS NULL, mtl_train(spec(), 'SELECT * FROM impressions', NULL) IS NULL;

--
-- what is refused
--

-- queries
SELECT mtl_train(spec(), 'DELETE FROM impressions RETURNING *');
SELECT mtl_train(spec(), 'WITH gone AS (DELETE FROM impressions RETURNING *) SELECT * FROM gone');
SELECT mtl_train(spec(), 'SELECT * FROM impressions FOR UPDATE');
SELECT mtl_train(spec(), 'SELECT * FROM impressions; SELECT * FROM impressions');
SELECT mtl_train(spec(), 'EXPLAIN SELECT * FROM impressions');
SELECT mtl_train(spec(), '');
SELECT mtl_train(spec(), 'SELECT * FROM impressions WHERE false');
SELECT mtl_train(spec(), 'SELECT 1 / (i - 500), * FROM impressions');
SELECT count(*) FROM impressions;
-- columns
SELECT mtl_train(spec(), 'SELECT city, item, seen, amount, vector, click FROM impressions');
SELECT mtl_train(spec(), 'SELECT city, item, seen, age, amount, vector FROM impressions');
SELECT mtl_train(spec(), 'SELECT *, age FROM impressions');
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"weight_column": "w"}');
SELECT mtl_train(spec(features => '[{"name": "age", "kind": "dense"}]'), 'SELECT point(1, 1) AS age, click FROM impressions');
-- values
SELECT mtl_train(spec(), 'SELECT i, city, item, seen, age, CASE WHEN i = 17 THEN ''NaN'' ELSE amount END AS amount, vector, click FROM impressions ORDER BY i');
SELECT mtl_train(spec(), 'SELECT city, item, seen, text AS age, amount, vector, click FROM impressions');
SELECT mtl_train(spec(), 'SELECT city, age / 4 AS item, seen, age, amount, vector, click FROM impressions ORDER BY i');
SELECT mtl_train(spec(), 'SELECT city, item, ARRAY[city] AS seen, age, amount, vector, click FROM impressions WHERE city IS NOT NULL ORDER BY i');
SELECT mtl_train(spec(), 'SELECT city, item, city AS seen, age, amount, vector, click FROM impressions ORDER BY i');
SELECT mtl_train(spec(features => '[{"name": "age", "kind": "dense"}]'), 'SELECT * FROM impressions ORDER BY i');
SELECT mtl_train(spec(features => '[{"name": "age", "kind": "dense", "transform": {"type": "standardize"}}]'), 'SELECT NULL::int AS age, click FROM impressions ORDER BY i');
SELECT mtl_train(spec(features => '[{"name": "city", "kind": "sparse", "min_count": 5000}]'), 'SELECT * FROM impressions');
-- labels and weights
SELECT mtl_train(spec(), 'SELECT city, item, seen, age, amount, vector, i AS click FROM impressions ORDER BY i');
SELECT mtl_train(spec(), 'SELECT city, item, seen, age, amount, vector, one AS click FROM impressions');
SELECT mtl_train(spec(), 'SELECT city, item, seen, age, amount, vector, NULL::int AS click FROM impressions');
SELECT mtl_train(spec(), 'SELECT city, item, seen, age, amount, vector, seen AS click FROM impressions');
SELECT mtl_train(spec(tasks => '[{"name": "spend", "type": "regression", "label": "spend"}]'), 'SELECT i, city, item, seen, age, amount, vector, 1e300 AS spend FROM impressions ORDER BY i');
SELECT mtl_train(spec(tasks => '[{"name": "level", "type": "multiclass", "num_classes": 3, "label": "item"}]'), 'SELECT * FROM impressions ORDER BY i');
SELECT mtl_train(spec(tasks => '[{"name": "level", "type": "multiclass", "classes": ["a", "b"], "label": "level"}]'), 'SELECT * FROM impressions ORDER BY i');
SELECT mtl_train(spec(), 'SELECT * FROM impressions ORDER BY i', '{"weight_column": "minus"}');
SELECT mtl_train(spec(), 'SELECT i, city, item, seen, age, amount, vector, click, NULL::int AS weight FROM impressions ORDER BY i', '{"weight_column": "weight"}');
-- validation
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"validation": {"query": "SELECT city FROM impressions"}}');
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"validation": {"query": "SELECT * FROM impressions WHERE false"}}');
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"validation": {"query": "SELECT * FROM impressions WHERE click = 0"}}');
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"validation": {"query": "UPDATE impressions SET i = 0"}}');
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"validation": {"query": "SELECT * FROM impressions", "fraction": 0.1}}');
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"validation": {}}');
-- losses that are no numbers
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"batch_size": 1000, "optimizer": {"type": "sgd", "learning_rate": 1e30}}');
-- specs
SELECT mtl_train('[]', 'SELECT * FROM impressions');
SELECT mtl_train(spec() - 'architecture', 'SELECT * FROM impressions');
SELECT mtl_train(spec() - 'features', 'SELECT * FROM impressions');
SELECT mtl_train(spec() || '{"surprise": 1}', 'SELECT * FROM impressions');
SELECT mtl_train(spec('{"type": "mmoe", "expert": {"hidden_units": [4]}}'), 'SELECT * FROM impressions');
SELECT mtl_train(spec(tasks => '[{"name": "ctr", "type": "binary"}]'), 'SELECT * FROM impressions');
SELECT mtl_train(spec(features => '[{"name": "city", "kind": "sparse", "lookup": {"type": "hash"}}]'), 'SELECT * FROM impressions');
SELECT mtl_train(spec(features => '[{"name": "age", "kind": "dense", "transform": [{"type": "standardize"}, {"type": "min_max"}]}]'), 'SELECT * FROM impressions');
SELECT mtl_train(spec(features => '[{"name": "item", "kind": "sparse", "embedding_dim": 3}, {"name": "seen", "kind": "sequence", "embedding": "item", "embedding_dim": 5, "max_length": 3}]'), 'SELECT * FROM impressions');
SELECT mtl_train(spec(features => '[{"name": "item", "kind": "sparse", "vocabulary_size": 10}, {"name": "seen", "kind": "sequence", "embedding": "item", "vocabulary_size": 9, "max_length": 3}]'), 'SELECT * FROM impressions');
SELECT mtl_train(spec(features => '[{"name": "a"}]'), 'SELECT * FROM impressions');
-- options
SELECT mtl_train(spec(), 'SELECT * FROM impressions', options::jsonb) FROM (VALUES ('[]')) v (options);
CREATE FUNCTION complaint(options jsonb, spec jsonb DEFAULT spec(), query text DEFAULT 'SELECT * FROM impressions') RETURNS text
	LANGUAGE plpgsql AS $$
BEGIN
	PERFORM mtl_train(spec, query, options);
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SELECT complaint(options::jsonb) FROM unnest(ARRAY['{"epoch": 1}', '{"epochs": 0}', '{"batch_size": 0}', '{"seed": -1}', '{"dropout": 1}', '{"optimizer": "adamw"}',
	'{"optimizer": {"type": "ftrl"}}', '{"optimizer": {"learning_rate": 0}}', '{"optimizer": {"momentum": 0.9}}', '{"optimizer": {"type": "adam", "beta1": 1}}',
	'{"schedule": {"type": "step", "decay": 0}}', '{"schedule": {"type": "linear", "decay": 0.1}}', '{"task_weights": {"type": "fixed", "weights": {"cvr": 1}}}',
	'{"task_weights": {"type": "dwa", "weights": {"ctr": 1}}}', '{"task_weights": {"weights": {"ctr": -1}}}', '{"early_stopping": {"watch": "mean"}}',
	'{"validation": {"fraction": 0.1}, "early_stopping": {"watch": "cvr"}}', '{"l2": {"soft_sharing": 1}}', '{"l2": {"layers": -1}}', '{"clip_norm": -1}',
	'{"examples": 5000}', '{"batch_norm_momentum": 0}', '{"validation": {"fraction": 1}}',
	'{"calibrator": {"weight": -1}}', '{"calibrator": {}}', '{"calibrator": {"tasks": ["ctr", "cvr"]}}', '{"calibrator": {"tasks": ["ctr", "ctr"]}}', '{"calibrator": {"task": []}}',
	'{"calibrator": {"tasks": [1, 2]}}']) WITH ORDINALITY AS o (options, n) ORDER BY n;

SELECT complaint('{"calibrator": {}}', spec(tasks => '[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "spend", "type": "regression", "label": "spend"}]'));

-- rows of weight 0 teach nothing
SELECT complaint('{"weight_column": "zero"}', query => 'SELECT *, 0 AS zero FROM impressions');
SELECT complaint('{"weight_column": "click"}');
SELECT complaint('{"weight_column": "one", "validation": {"query": "SELECT city, item, seen, age, amount, vector, click, 0 AS one FROM impressions"}}');
-- numbers that cannot be scaled
CREATE FUNCTION complaint_of(value text, feature text) RETURNS text LANGUAGE sql AS $$ SELECT complaint('{}',
	spec(features => jsonb_build_array('{"name": "x", "kind": "dense"}'::jsonb || feature::jsonb)::text), format('SELECT %s AS x, click FROM impressions', value)) $$;
SELECT complaint_of('''Infinity''::float8', '{"transform": {"type": "standardize"}}');
SELECT complaint_of('1e300::float8 * (-1)::float8 ^ i', '{"transform": {"type": "standardize"}}');
SELECT complaint_of('1e308::float8 * (-1)::float8 ^ i', '{"transform": {"type": "min_max"}}');
SELECT complaint_of('1e200::float8 * (1 + i)', '{"missing": "mean"}');
-- batches without statistics
SELECT complaint('{"batch_size": 1}', spec('{"type": "shared_bottom", "bottom": {"hidden_units": [2], "normalization": {"type": "batch_norm"}}}'));
SELECT complaint('{"batch_size": 1}', spec('{"type": "shared_bottom", "bottom": {"hidden_units": [2], "activation": "dice"}}'));
-- what would not fit into a model
SELECT complaint('{}', query => 'SELECT ''' || repeat('x', 3000000) || ''' AS x, * FROM impressions');
SELECT min(n), max(n), count(*) < 10010 FROM (SELECT (jsonb_array_elements(mtl_describe(mtl_train(spec(features => '[{"name": "item", "kind": "sparse", "embedding_dim": 1}]', tasks =>
	'[{"name": "ctr", "type": "binary", "label": "click"}, {"name": "one", "type": "regression", "label": "one"}]'), 'SELECT item, click, one FROM impressions WHERE i <= 9',
	'{"epochs": 12000, "examples": 0}')) #> '{contract,provenance,history}') ->> 'epoch')::int AS n) x;

--
-- limits
--

-- what memory is taken differs between versions of the server
SET maintenance_work_mem = '4MB';
SELECT regexp_replace(complaint('{"batch_size": 10}'), '\d+', 'N');
SET maintenance_work_mem = '9MB';
SELECT regexp_replace(complaint('{}', spec(features => '[{"name": "number", "kind": "sparse"}]'),
	'SELECT number, number % 2 AS click FROM generate_series(1, 200000) number'), '\d+ kB after \d+', 'N kB after N');
SELECT regexp_replace(complaint('{"validation": {"query": "SELECT number % 100 AS number, number % 2 AS click FROM generate_series(1, 200000) number"}}',
	spec(features => '[{"name": "number", "kind": "sparse"}]'), 'SELECT number % 100 AS number, number % 2 AS click FROM generate_series(1, 1000) number'),
	'and \d+', 'and N');
RESET maintenance_work_mem;
SET mtl_rank.max_model_size = '1MB';
SELECT mtl_train(spec(features => '[{"name": "item", "kind": "sparse", "lookup": {"type": "hash", "num_buckets": 100000}}]'), 'SELECT * FROM impressions');
RESET mtl_rank.max_model_size;
-- before any row is read
SELECT mtl_train(spec('{"type": "shared_bottom", "bottom": {"hidden_units": [65536, 65536]}}'), 'SELECT 1 / 0');
SET statement_timeout = '200ms';
SELECT mtl_train(spec(), 'SELECT * FROM impressions', '{"epochs": 100000}');
RESET statement_timeout;

--
-- the library
--

\set VERBOSITY terse
SET mtl_rank.blas_library = '/nonexistent/libopenblas.so';
SELECT mtl_train(spec(), 'SELECT * FROM impressions');
SET mtl_rank.blas_library = 'libm.so.6';
SELECT mtl_train(spec(), 'SELECT * FROM impressions');
RESET mtl_rank.blas_library;
\set VERBOSITY default

--
-- rights, and progress
--

CREATE ROLE regress_mtl_trainer;
GRANT CREATE ON SCHEMA public TO regress_mtl_trainer;
SET ROLE regress_mtl_trainer;
SELECT mtl_train(spec(), 'SELECT * FROM impressions');
SET mtl_rank.blas_library = 'libm.so.6';
SELECT count(*) FROM mtl_progress_train;
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM regress_mtl_trainer;
DROP ROLE regress_mtl_trainer;
-- a training sees itself
SELECT mtl_train(spec(), 'SELECT i.*, 1 / (phase = ''reading'' AND epochs = 10 AND pid = pg_backend_pid())::int FROM impressions i, mtl_progress_train',
	'{"examples": 0}') IS NOT NULL;
SELECT count(*) FROM mtl_progress_train;

DROP TABLE impressions, models;
DROP FUNCTION spec, contract, digest, falls, history, weights, loss_under, excess, validated, complaint, complaint_of;
