-- loaded models: what is kept, how long, and that it is never stale
CREATE SCHEMA cache;
SET search_path = cache, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set ECHO all
\set SHOW_CONTEXT never

-- score = factor * a; the padding makes the value large enough to be stored out of line
CREATE FUNCTION multiply(factor real, padding int DEFAULT 10000) RETURNS mtl_model LANGUAGE sql IMMUTABLE AS $$
	SELECT model_file(
		jsonb_build_object('format', 1, 'architecture', '{"type": "single_task"}'::jsonb,
			'features', '[{"name": "a", "kind": "dense"}]'::jsonb, 'tasks', '[{"name": "y", "type": "regression"}]'::jsonb,
			'provenance', jsonb_build_object('padding', repeat('x', padding)))::text,
		f32('task.y.tower.logit.weight', '{1,1}', factor), f32('task.y.tower.logit.bias', '{1}', 0))::mtl_model
$$;
CREATE VIEW kept AS
SELECT count(*) FILTER (WHERE name = 'mtl_rank model') AS models,
	count(*) FILTER (WHERE name LIKE 'mtl_rank%' AND name NOT IN ('mtl_rank model', 'mtl_rank cache', 'mtl_rank models')) AS others
FROM pg_backend_memory_contexts;

CREATE TABLE store (id int PRIMARY KEY, model mtl_model);
INSERT INTO store SELECT i, multiply(i) FROM generate_series(1, 4) i;
INSERT INTO store SELECT i, multiply(i, 0) FROM generate_series(5, 6) i;
SELECT pg_column_size(model) > 10000 AS large FROM store WHERE id = 1;
-- checking a model keeps nothing
SELECT * FROM kept;
SELECT mtl_score(model, ARRAY[1]) FROM store WHERE id = 1;
SELECT * FROM kept;
SELECT id, mtl_score(model, ARRAY[1]) FROM store ORDER BY id;
SELECT * FROM kept;
-- models that alternate from row to row
SELECT sum((mtl_score(model, ARRAY[a]))[1]) AS sum, sum(id * a) AS expected FROM generate_series(1, 100) a, store;
SELECT a, array_agg(mtl_score(model, ARRAY[a], 'y') ORDER BY id) FROM generate_series(1, 2) a, store GROUP BY a ORDER BY a;

-- without room for any model
SET mtl_rank.cache_size = 0;
SELECT sum((mtl_score(model, ARRAY[a]))[1]) AS sum FROM generate_series(1, 100) a, store;
SELECT * FROM kept;
-- with room for some
SELECT mtl_score(model, ARRAY[1]) FROM store WHERE id = 1;
SET mtl_rank.cache_size = '20kB';
SELECT sum((mtl_score(model, ARRAY[a]))[1]) AS sum FROM generate_series(1, 100) a, store;
SELECT models BETWEEN 1 AND 5 AS some, others FROM kept;
RESET mtl_rank.cache_size;

-- errors leave nothing behind
SELECT mtl_score(model, ARRAY[1, 2]) FROM store;
SELECT mtl_score(model, ARRAY[1], 'x') FROM store;
SELECT others FROM kept;

-- a value that is replaced under the same key
UPDATE store SET model = multiply(10) WHERE id = 1;
SELECT mtl_score(model, ARRAY[1]) FROM store WHERE id = 1;

-- PL/pgSQL keeps the state of an expression for the transaction: it must not outlive what it was true for
SELECT mtl_register('cache', multiply(1));
CREATE FUNCTION switching() RETURNS TABLE (step text, score real) LANGUAGE plpgsql AS $$
DECLARE
	round int;
	y real;
BEGIN
	FOR round IN 1 .. 5 LOOP
		IF round = 2 THEN
			PERFORM mtl_register('cache', multiply(2));
		ELSIF round = 3 THEN
			BEGIN
				PERFORM mtl_register('cache', multiply(3));
				RAISE division_by_zero;
			EXCEPTION WHEN division_by_zero THEN NULL;
			END;
		ELSIF round = 4 THEN
			PERFORM mtl_register('cache', multiply(4));
		ELSIF round = 5 THEN
			PERFORM mtl_rollback('cache');
		END IF;
		y := mtl_score('cache', ARRAY[1], 'y');
		step := round; score := y;
		RETURN NEXT;
	END LOOP;
END
$$;
SELECT * FROM switching();
SELECT mtl_score('cache', ARRAY[1]);

-- the same for a subtransaction that is rolled back between two calls of one expression
CREATE FUNCTION rolled_back() RETURNS real[] LANGUAGE plpgsql AS $$
DECLARE
	scores real[];
	inside boolean;
BEGIN
	FOREACH inside IN ARRAY ARRAY[true, false, true] LOOP
		BEGIN
			IF inside THEN
				PERFORM mtl_register('cache', multiply(7));
			END IF;
			scores := scores || mtl_score('cache', ARRAY[1], 'y');
			IF inside THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
	RETURN scores;
END
$$;
SELECT rolled_back();

-- prepared statements, cursors
PREPARE score AS SELECT mtl_score('cache', ARRAY[1]);
SET plan_cache_mode = force_generic_plan;
EXECUTE score;
BEGIN;
DECLARE held CURSOR FOR SELECT mtl_score('cache', ARRAY[a]) FROM generate_series(1, 3) a;
FETCH held;
SELECT mtl_activate('cache', 1);
EXECUTE score;
FETCH held;
ROLLBACK;
EXECUTE score;
RESET plan_cache_mode;

-- an index on a score keeps its function's state with the relation
CREATE TABLE rows (a int);
INSERT INTO rows SELECT generate_series(1, 10);
DO $$
BEGIN
	EXECUTE format('CREATE INDEX by_score ON rows (mtl_score(%L::mtl_model, ARRAY[a], ''y''))', multiply(-1, 0));
	EXECUTE format('CREATE VIEW best AS SELECT a FROM rows ORDER BY mtl_score(%L::mtl_model, ARRAY[a], ''y'') LIMIT 2', multiply(-1, 0));
END
$$;
INSERT INTO rows VALUES (11);
SET enable_seqscan = off;
SET enable_sort = off;
SELECT * FROM best;
INSERT INTO rows VALUES (12);
SELECT * FROM best;
SELECT pg_stat_force_next_flush();
SELECT idx_scan > 0 AS index_used FROM pg_stat_user_indexes WHERE indexrelname = 'by_score';
RESET enable_seqscan;
RESET enable_sort;
SELECT others FROM kept;

-- a layer that is applied for each of many tasks is kept once
CREATE TABLE stacked AS
SELECT model_file(
	jsonb_build_object('format', 1,
		'architecture', '{"type": "mmoe", "levels": [{"num_experts": 1, "expert": {"hidden_units": [64]}, "mix": "task"},
			{"num_experts": 1, "expert": {"hidden_units": [64]}}]}'::jsonb,
		'features', '[{"name": "a", "kind": "dense"}]'::jsonb,
		'tasks', (SELECT jsonb_agg(jsonb_build_object('name', 't' || t, 'type', 'regression') ORDER BY t) FROM generate_series(1, 100) t))::text,
	VARIADIC ARRAY[
		f32('level.0.expert.0.0.weight', '{64,1}', VARIADIC array_fill(1, '{64}')::real[]),
		f32('level.0.expert.0.0.bias', '{64}', VARIADIC array_fill(0, '{64}')::real[]),
		f32('level.1.expert.0.0.weight', '{64,64}', VARIADIC array_fill(1, '{4096}')::real[]),
		f32('level.1.expert.0.0.bias', '{64}', VARIADIC array_fill(0, '{64}')::real[])]
	|| (SELECT array_agg(f32(format('level.0.task.t%s.gate.logit.weight', t), '{1,1}', 1)) FROM generate_series(1, 100) t)
	|| (SELECT array_agg(f32(format('level.1.task.t%s.gate.logit.weight', t), '{1,64}', VARIADIC array_fill(1, '{64}')::real[])) FROM generate_series(1, 100) t)
	|| (SELECT array_agg(f32(format('task.t%s.tower.logit.weight', t), '{1,64}', VARIADIC array_fill(1, '{64}')::real[])) FROM generate_series(1, 100) t)
	|| (SELECT array_agg(f32(format('task.t%s.tower.logit.bias', t), '{1}', t)) FROM generate_series(1, 100) t))::mtl_model AS model;
\c -
SET search_path = cache, public;
SELECT (mtl_score(model, ARRAY[1]))[1:2], (mtl_score(model, ARRAY[1]))[100] FROM stacked;
SELECT total_bytes < 1000000 AS shared FROM pg_backend_memory_contexts WHERE name = 'mtl_rank model';

-- where loaded models are: shared or not, as the server is set up
\c -
SET search_path = cache, public;
SELECT location IN ('shared', 'session') AS loaded, bytes > 0 AS size, (location = 'shared') = (reason IS NULL) AS reason
FROM mtl_cache_prewarm('cache');
CREATE TEMP VIEW loaded AS SELECT c.* FROM mtl_cache c JOIN mtl_versions v USING (digest) WHERE v.name = 'cache' AND v.state = 'active';
SELECT models, pins, uses > 0 AS used, last_used <= now() AS last_used FROM loaded;
SELECT mtl_cache_prewarm(NULL::text), mtl_cache_prewarm(NULL::mtl_model);
\set VERBOSITY terse
SELECT mtl_cache_prewarm('none');
\set VERBOSITY default
-- a model in use stays
SELECT mtl_score('cache', ARRAY[1]), mtl_cache_evict(digest) FROM loaded;
SELECT mtl_cache_evict(digest) FROM loaded;
SELECT count(*) FROM loaded;
SELECT mtl_score('cache', ARRAY[1]);
SELECT mtl_cache_evict(repeat('0', 64)), mtl_cache_evict(NULL);
SELECT mtl_cache_evict('x');
SELECT mtl_cache_evict(repeat('0', 63) || 'x');
SELECT mtl_cache_evict() > 0 AS evicted;
SELECT count(*) FROM mtl_cache;
SELECT count(DISTINCT (mtl_cache_prewarm(model)).location) FROM store;
SELECT count(*), max(pins) FROM mtl_cache;
-- one that is too large for the session's memory is kept as long as it is used
SET mtl_rank.cache_size = 0;
SELECT sum((mtl_score(model, ARRAY[a]))[1]) AS sum FROM generate_series(1, 100) a, store;
SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'mtl_rank model';
RESET mtl_rank.cache_size;

-- who may see and evict
CREATE ROLE mtl_cache_user;
CREATE ROLE mtl_cache_monitor IN ROLE pg_monitor;
GRANT USAGE ON SCHEMA cache TO mtl_cache_user, mtl_cache_monitor;
SET ROLE mtl_cache_user;
SELECT * FROM mtl_cache;
SELECT * FROM mtl_cache_entries();
SELECT mtl_cache_evict();
SELECT mtl_cache_evict(repeat('0', 64));
SELECT mtl_cache_prewarm('cache');
SET ROLE mtl_cache_monitor;
SELECT count(*) >= 0 AS seen FROM mtl_cache;
SELECT mtl_cache_evict();
RESET ROLE;
DROP OWNED BY mtl_cache_user, mtl_cache_monitor;
DROP ROLE mtl_cache_user, mtl_cache_monitor;
