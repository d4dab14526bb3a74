-- What sqlsmith finds: tables that models can score, views and functions that score them, models in a table and in the
-- registry. It writes names of models and tasks only where it finds them in columns, or here in functions.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS mtl_rank;
CREATE SCHEMA builder;
SET search_path = builder, public;
\getenv here HERE
\set include :here '/../models/builder.sql'
\i :include
SET search_path = public, builder;

-- nothing is an error for "linear" but numbers out of range; "strict" wants all columns
SELECT mtl_register('linear', model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "a", "kind": "dense", "missing": "zero"}, {"name": "b", "kind": "dense", "missing": "zero"}],
	"tasks": [{"name": "p", "type": "binary"}, {"name": "r", "type": "regression"}, {"name": "q", "type": "product", "of": ["p", "r"]}],
	"rank": {"form": "sum", "weights": {"r": 2, "p": 10}}}',
	f32('task.p.tower.logit.weight', '{1,2}', 1, -0.5), f32('task.p.tower.logit.bias', '{1}', 0.1),
	f32('task.r.tower.logit.weight', '{1,2}', 2, 1), f32('task.r.tower.logit.bias', '{1}', -0.3))::mtl_model);
SELECT mtl_register('strict', model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}, {"name": "s", "kind": "sparse", "embedding_dim": 1,
		"lookup": {"type": "hash"}}],
	"tasks": [{"name": "p", "type": "binary"}]}',
	f32('embedding.s.weight', '{3,1}', 0.5, -1, 2),
	f32('task.p.tower.logit.weight', '{1,3}', 1, -0.5, 2), f32('task.p.tower.logit.bias', '{1}', 0.1))::mtl_model);
\set feed `od -An -v -tx1 "$HERE/../../demo/feed.safetensors" | tr -d ' \n'`
SELECT mtl_register('feed', ('\x' || :'feed')::bytea::mtl_model);

CREATE TABLE models AS SELECT name, (mtl_tasks(model))[1] AS task, model FROM mtl_models;
CREATE TYPE pair AS (a float8, b int);
CREATE TYPE color AS ENUM ('red', 'green', 'blue');
CREATE DOMAIN age AS int CHECK (value > 0);
CREATE TABLE items AS SELECT i AS id, (i % 50) / 8.0::float8 AS a, i % 7 AS b, nullif(i % 4, 3) AS c, 'v' || i % 3 AS s, i % 5 = 0 AS click
FROM generate_series(1, 300) i;
CREATE TABLE people AS SELECT i AS id, (ARRAY['Berlin', 'Łódź', 'Atlantis', NULL])[1 + i % 4] AS city,
	(ARRAY['Berlin', 'Amsterdam', 'Łódź', 'København'])[1 + i % 4 : i % 6] AS visited, nullif(i % 70, 3)::age AS age,
	'red'::color AS color, i % 6 = 0 AS click FROM generate_series(1, 200) i WHERE i % 70 > 0;
CREATE TABLE vectors AS SELECT i AS id, ARRAY[i % 9, i % 3]::real[] AS v, ARRAY[i, NULL]::float8[] AS w, (i % 11, i % 4)::pair AS pair,
	jsonb_build_object('a', i % 5, 'b', i % 2, 'city', 'Berlin', 'visited', '[]'::jsonb, 'age', 33) AS document,
	(CASE WHEN i % 50 = 0 THEN 3e38 ELSE i END)::float8 AS huge FROM generate_series(1, 150) i;
CREATE TABLE parted (id int, a float8, b int, late text) PARTITION BY HASH (id);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 (b int, gone int, id int, a float8, late text);
ALTER TABLE parted_1 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parted SELECT id, a, b, s FROM items;
CREATE TABLE base (id int, a float8);
CREATE TABLE derived (b int) INHERITS (base);
INSERT INTO base SELECT id, a FROM items WHERE id < 40;
INSERT INTO derived SELECT id, a, b FROM items WHERE id > 250;
CREATE TABLE secret AS SELECT id, a, b FROM items;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY large ON secret USING (b > 2) WITH CHECK (mtl_score('linear', ROW(a, b)::pair, 'p') > 0.01);
CREATE TABLE generated (id int, a float8, b int);
INSERT INTO generated SELECT id, a, b FROM items WHERE id < 30;
CREATE INDEX ON items (id);
CREATE INDEX ON items (b);
CREATE INDEX ON people (id);
CREATE INDEX ON vectors (id);
CREATE INDEX ON parted (id);

CREATE VIEW item_scores AS SELECT id, b, mtl_score('linear', items, 'p') AS p, mtl_rank('linear', items) AS value FROM items;
CREATE VIEW strict_scores AS SELECT *, mtl_score('strict', items, 'p') AS p FROM items WHERE mtl_score('strict', items, 'p') > 0.3;
CREATE VIEW people_scores AS SELECT id, city, click, mtl_score('feed', people) AS scores, mtl_rank('feed', people) AS value FROM people;
CREATE VIEW vector_scores AS SELECT id, mtl_score('linear', v, 'r') AS r, (mtl_score('linear', v))[3] AS q FROM vectors WHERE mtl_score('linear', v, 'p') > 0.2;
CREATE VIEW pair_scores AS SELECT i.id, mtl_score('linear', x, y, 'p') AS p FROM items i, LATERAL (SELECT i.a) x, LATERAL (SELECT i.b) y;
CREATE VIEW parted_scores AS SELECT parted.id, mtl_score('linear', parted, 'p') AS p, mtl_score('linear', ARRAY[parted.a, v[1]], 'r') AS r
FROM parted JOIN vectors USING (id);
CREATE VIEW base_scores AS SELECT id, mtl_score('linear', base, 'p') AS p FROM base;
CREATE VIEW group_scores AS SELECT b, avg(mtl_score('linear', items, 'p')) AS mean, mtl_score('linear', ARRAY[b, count(*)], 'r') AS r FROM items GROUP BY b;
CREATE VIEW top_scores WITH (security_barrier) AS SELECT id, mtl_score('linear', items, 'p') AS p FROM items WHERE c > 1 ORDER BY 2 DESC LIMIT 20;
CREATE VIEW joined_scores AS SELECT m.name, i.id, mtl_score(m.model, i) AS scores FROM models m, items i WHERE m.name = 'linear';
CREATE VIEW chosen_scores AS SELECT id, mtl_score((SELECT model FROM models WHERE name = 'linear'), items, 'r') AS r FROM items;
CREATE VIEW window_scores AS SELECT id, rank() OVER (PARTITION BY b ORDER BY mtl_score('linear', items, 'p') DESC, id) AS rank FROM items;
CREATE VIEW union_scores AS SELECT id, mtl_score('linear', items, 'p') AS p FROM items UNION ALL SELECT id, mtl_score('linear', w, 'p') FROM vectors;
CREATE VIEW metrics AS SELECT b, mtl_auc(click, mtl_score('linear', items, 'p')) AS auc, mtl_logloss(click, mtl_score('linear', items, 'p')) AS logloss,
	mtl_ndcg(click, mtl_score('linear', items, 'r'), 5, c) AS ndcg, (mtl_calibration(click, mtl_score('linear', items, 'p'))).ece
FROM items GROUP BY b;
CREATE MATERIALIZED VIEW stored_scores AS SELECT * FROM item_scores;

CREATE FUNCTION linear_p(a float8, b int) RETURNS real LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT mtl_score('linear', ARRAY[a, b], 'p') $$;
CREATE FUNCTION linear_r(v real[]) RETURNS real LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT mtl_score('linear', v, 'r') $$;
CREATE FUNCTION linear_of_pair(pair) RETURNS real[] LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT mtl_score('linear', $1) $$;
CREATE FUNCTION linear_rank(document jsonb) RETURNS real LANGUAGE sql STABLE AS $$ SELECT mtl_rank('linear', document, '{"p": 1, "r": -0.5}') $$;
CREATE FUNCTION strict_p(a float8, b int, s text) RETURNS real LANGUAGE sql STABLE AS $$ SELECT mtl_score('strict', f, 'p') FROM (SELECT a, b, s) f $$;
CREATE FUNCTION feed_ctr(document jsonb) RETURNS real LANGUAGE sql STABLE AS $$ SELECT mtl_score('feed', document, 'ctr') $$;
CREATE FUNCTION best_items(how_many int) RETURNS SETOF items LANGUAGE sql STABLE AS $$ SELECT * FROM items ORDER BY mtl_rank('linear', items) DESC LIMIT how_many $$;
CREATE FUNCTION score_by_hand(float8, int) RETURNS real LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN mtl_score('linear', ARRAY[$1, $2], 'p'); END $$;
CREATE FUNCTION this_model(text) RETURNS mtl_model LANGUAGE sql STABLE AS $$ SELECT model FROM models WHERE name = $1 $$;
ANALYZE;

-- not the functions that only the tests' models need
DROP SCHEMA builder CASCADE;

CREATE ROLE sqlsmith LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO sqlsmith;
GRANT EXECUTE ON FUNCTION mtl_cache_evict(), mtl_cache_evict(text) TO sqlsmith;
ALTER ROLE sqlsmith SET statement_timeout = '2s';
ALTER ROLE sqlsmith SET lock_timeout = '500ms';
ALTER ROLE sqlsmith SET client_min_messages = error;
-- for report.py: where errors come from, and what plans look like
ALTER ROLE sqlsmith SET log_error_verbosity = verbose;
ALTER ROLE sqlsmith SET session_preload_libraries = 'auto_explain';
ALTER ROLE sqlsmith SET auto_explain.log_min_duration = 0;
ALTER ROLE sqlsmith SET auto_explain.sample_rate = 0.05;
