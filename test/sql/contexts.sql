-- two-row calls: contexts that many rows have in common are computed once, and no bit or error tells
CREATE SCHEMA contexts;
SET search_path = contexts, public;
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/models/batching.sql'
\set kernels :srcdir '/models/kernels.sql'
\set ECHO none
\i :helpers
\i :kernels
\set ECHO all

-- a tensor of numbers between -1 and 1
CREATE FUNCTION wave(name text, VARIADIC shape int[]) RETURNS tensor LANGUAGE sql IMMUTABLE AS $$
	SELECT f32(name, shape, VARIADIC (SELECT array_agg(sin(i * 12.9898 + length(name))::real ORDER BY i)
		FROM generate_series(1, shape[1] * coalesce(shape[2], 1)) i))
$$;
-- Embeddings that are folded (shop; city not in int8) and such that are not, on both sides, and a feature with a column on each; the network's input has
-- them mixed.
CREATE FUNCTION model(context jsonb) RETURNS mtl_model LANGUAGE sql IMMUTABLE AS $$
	SELECT model_file((jsonb_build_object('format', 1,
		'architecture', '{"type": "mmoe", "num_experts": 3, "expert": {"hidden_units": [20, 7]}, "tower": {"hidden_units": [5]}}'::jsonb,
		'features', '[
			{"name": "age", "kind": "dense", "missing": 30},
			{"name": "city", "kind": "sparse", "lookup": {"type": "index"}, "oov": "zero", "missing": "zero"},
			{"name": "visited", "kind": "sequence", "embedding": "city", "lookup": {"type": "index"}, "max_length": 4, "missing": "empty"},
			{"name": "price", "kind": "dense", "missing": 0},
			{"name": "shop", "kind": "sparse", "lookup": {"type": "index"}, "oov": "zero", "missing": "zero"},
			{"name": "brand", "kind": "sparse", "lookup": {"type": "index"}, "oov": "error"},
			{"name": "offered", "kind": "dense", "width": 2, "columns": ["asks", "bids"], "missing": 0}]'::jsonb,
		'input', '["price", "city", "brand", "age", "offered", "shop", "visited"]'::jsonb,
		'tasks', '[{"name": "ctr", "type": "binary"}, {"name": "cvr", "type": "binary"}]'::jsonb)
			|| CASE WHEN context IS NULL THEN '{}' ELSE jsonb_build_object('context', context) END)::text,
		VARIADIC ARRAY[
			wave('embedding.city.weight', 20, 24), wave('embedding.shop.weight', 6, 32), wave('embedding.brand.weight', 9, 3)]
		|| (SELECT array_agg(t) FROM generate_series(0, 2) e, LATERAL (VALUES
			(wave(format('level.0.expert.%s.0.weight', e), 20, 87)), (wave(format('level.0.expert.%s.0.bias', e), 20)),
			(wave(format('level.0.expert.%s.1.weight', e), 7, 20)), (wave(format('level.0.expert.%s.1.bias', e), 7))) v(t))
		|| (SELECT array_agg(t) FROM unnest('{ctr,cvr}'::text[]) task, LATERAL (VALUES
			(wave(format('level.0.task.%s.gate.logit.weight', task), 3, 87)),
			(wave(format('task.%s.tower.0.weight', task), 5, 7)), (wave(format('task.%s.tower.0.bias', task), 5)),
			(wave(format('task.%s.tower.logit.weight', task), 1, 5)), (wave(format('task.%s.tower.logit.bias', task), 1))) v(t)))::mtl_model
$$;
CREATE TABLE models AS SELECT name, model(context) AS model
FROM (VALUES ('declared', '["age", "city", "visited"]'::jsonb), ('undeclared', NULL), ('none', '[]'), ('all', '["brand", "shop", "age", "city", "visited", "price", "offered"]')) v(name, context);
SET client_min_messages = warning;
INSERT INTO models SELECT format('%s %s', name, p), mtl_quantize(model, p) FROM models, unnest('{bf16,int8}'::text[]) p WHERE name <> 'none';
RESET client_min_messages;
SELECT mtl_register(name, model) FROM models ORDER BY name;

-- cities that the model does not know, and all that may be missing
CREATE TABLE users AS SELECT id, CASE WHEN id % 5 > 0 THEN 20 + id END AS age, CASE WHEN id % 3 > 0 THEN id * 4 END AS city,
	(ARRAY[3, 5, 8, 13, 1, 2])[1 : id % 7] AS visited, id % 4 AS bids FROM generate_series(1, 12) id;
CREATE TABLE items AS SELECT id AS item, id % 13 / 4.0::float8 AS price, CASE WHEN id % 4 > 0 THEN id % 7 END AS shop, id % 9 AS brand, id % 5 AS asks
FROM generate_series(1, 600) id;
ANALYZE;

-- The same in one row, and with batching off; both as text, which tells all bits.
CREATE FUNCTION same(pairs text, single text) RETURNS TABLE (model text, as_row bool, batched bool, outcome text, different_scores bool) LANGUAGE plpgsql AS $$
BEGIN
	FOR model IN SELECT name FROM models ORDER BY name LOOP
		as_row := contexts.outcome(format(single, model), 'off') IS NOT DISTINCT FROM contexts.outcome(format(pairs, model), 'off');
		batched := contexts.outcome(format(pairs, model), 'require') IS NOT DISTINCT FROM contexts.outcome(format(pairs, model), 'off');
		outcome := substring(contexts.outcome(format(pairs, model), 'off') FROM '^\d+ rows|^[0-9A-Z]{5} .*');
		EXECUTE format('SELECT count(DISTINCT score::text) > 50 FROM (%s) q', format(pairs, model)) INTO different_scores;
		RETURN NEXT;
	END LOOP;
END
$$;
-- numbers of the node, without loops that did nothing
CREATE FUNCTION counts(query text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT trim(line) FROM ran(query) line WHERE line ~ '(Scored Rows|Contexts|Batches): '
$$;

--
-- one context
--

SELECT * FROM same($$SELECT item, mtl_score('%s', u, i) AS score FROM (SELECT age, city, visited, bids FROM users WHERE id = 7) u, items i ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT * FROM (SELECT age, city, visited, bids FROM users WHERE id = 7) u, items i) r ORDER BY item$$);
SELECT * FROM same($$SELECT item, mtl_score('%s', u, i, 'cvr') AS score FROM (SELECT age, city, visited, bids FROM users WHERE id = 7) u, items i ORDER BY item$$,
	$$SELECT item, mtl_score('%s', to_jsonb(r), 'cvr') AS score FROM (SELECT * FROM (SELECT age, city, visited, bids FROM users WHERE id = 7) u, items i) r ORDER BY item$$);
-- once for all batches; undeclared, only what comes first in the order of the sums
SELECT name, counts(format('SELECT mtl_score(%L, u, i) FROM users u, items i WHERE id = 7', name)) FROM models ORDER BY name, 2;
-- once a context was seen again, with LIMIT too
SELECT counts('SELECT mtl_score(''declared'', u, i) FROM users u, items i WHERE id = 7 LIMIT 100');
SELECT counts('SELECT 1 FROM users u, items i WHERE id = 7 AND mtl_score(''declared'', u, i, ''ctr'') > 0 LIMIT 100');

--
-- several contexts
--

SET enable_hashjoin = off;
SET enable_mergejoin = off;
-- one after the other, and in turn
SELECT * FROM same($$SELECT id, item, mtl_score('%s', u, i) AS score FROM users u, items i ORDER BY id, item$$,
	$$SELECT r.id, item, mtl_score('%s', r) AS score FROM (SELECT * FROM users, items) r ORDER BY id, item$$);
SELECT * FROM same($$SELECT item, mtl_score('%s', u, i) AS score FROM items i JOIN users u ON u.id = i.item %% 12 + 1 ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT * FROM items i JOIN users u ON u.id = i.item %% 12 + 1) r ORDER BY item$$);
SELECT counts('SELECT mtl_score(''declared'', u, i) FROM users u, items i');
SELECT counts('SELECT mtl_score(''declared'', u, i) FROM (SELECT * FROM items ORDER BY item) i JOIN users u ON u.id = i.item % 12 + 1');
-- each row its own: not worth it
SELECT counts('SELECT mtl_score(''declared'', c, i) FROM items i, LATERAL (SELECT i.item AS age, 3 AS city) c');
-- contexts that share no row with others, and one that does, in one statement
SELECT * FROM same($$SELECT item, mtl_score('%s', c, i) AS score FROM items i, LATERAL (SELECT CASE WHEN item < 300 THEN item ELSE 5 END AS age, 3 AS city) c ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT *, CASE WHEN item < 300 THEN item ELSE 5 END AS age, 3 AS city FROM items) r ORDER BY item$$);

-- more of them than there is memory for
SET work_mem = '64kB';
SELECT * FROM same($$SELECT item, mtl_score('%s', c, i) AS score FROM items i, LATERAL (SELECT item / 3 AS age, 3 AS city, repeat('x', item * 10) AS other) c ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT *, item / 3 AS age, 3 AS city FROM items) r ORDER BY item$$);
RESET work_mem;

-- rescans, laterals, correlated subqueries
SELECT * FROM same($$SELECT id, s.* FROM users u, LATERAL (SELECT item, mtl_score('%s', u, i) AS score FROM items i WHERE item %% 12 < u.id OFFSET 0) s ORDER BY id, item$$,
	$$SELECT id, item, mtl_score('%s', r) AS score FROM (SELECT * FROM users u, items i WHERE item %% 12 < u.id) r ORDER BY id, item$$);
SELECT * FROM same($$SELECT id, (SELECT max(mtl_score('%s', u, i, 'ctr')) FROM items i WHERE item < id * 9) AS score, item FROM users u, generate_series(1, 60) item ORDER BY id, item$$,
	$$SELECT id, (SELECT max(mtl_score('%s', r, 'ctr')) FROM (SELECT u.*, i.* FROM items i WHERE item < id * 9) r) AS score, item FROM users u, generate_series(1, 60) item ORDER BY id, item$$) WHERE model = 'declared';

-- NULL in place of a row, of all its columns, and of columns; no score without a row
SELECT * FROM same($$SELECT item, mtl_score('%s', u, i) AS score FROM items i LEFT JOIN users u ON u.id = i.item %% 16 ORDER BY item$$,
	$$SELECT item, CASE WHEN id > 0 THEN mtl_score('%s', r) END AS score FROM (SELECT * FROM items i LEFT JOIN users u ON u.id = i.item %% 16) r ORDER BY item$$);
SELECT * FROM same($$SELECT item, mtl_score('%s', ROW(NULL, NULL, NULL, NULL, NULL)::users, i) AS score FROM items i ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT *, NULL::int AS age, NULL::int AS city, NULL::int[] AS visited FROM items) r ORDER BY item$$);

--
-- columns on the other side
--

-- a declared one comes with the candidate; one that is not, with the context; columns that neither has
SELECT * FROM same($$SELECT item, mtl_score('%s', c, r) AS score FROM (SELECT age, visited FROM users WHERE id = 7) c, (SELECT *, item %% 20 AS city FROM items) r ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT age, visited, items.*, item %% 20 AS city FROM users, items WHERE users.id = 7) r ORDER BY item$$);
SELECT * FROM same($$SELECT item, mtl_score('%s', c, r) AS score FROM (SELECT age, city, 3 AS brand FROM users WHERE id = 7) c, (SELECT item, price, shop FROM items) r ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT age, city, 3 AS brand, item, price, shop FROM users, items WHERE users.id = 7) r ORDER BY item$$) WHERE model <> 'none';
-- all of them with the context, and none
SELECT * FROM same($$SELECT item, mtl_score('%s', r, i) AS score FROM (SELECT * FROM users, items WHERE id = 7 AND item < 100) r, (SELECT 1 AS other FROM generate_series(1, 5)) i ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT * FROM users, items, generate_series(1, 5) WHERE id = 7 AND item < 100) r ORDER BY item$$);
SELECT * FROM same($$SELECT item, mtl_score('%s', u, r) AS score FROM (SELECT 1 AS other) u, (SELECT age, city, visited, bids, items.* FROM users, items WHERE id = 7) r ORDER BY item$$,
	$$SELECT item, mtl_score('%s', r) AS score FROM (SELECT age, city, visited, bids, items.* FROM users, items WHERE id = 7) r ORDER BY item$$);
SELECT name, counts(format('SELECT mtl_score(%L, r, i) FROM (SELECT * FROM users, items WHERE id = 7 AND item < 100) r, (SELECT 1 AS other FROM generate_series(1, 5)) i', name))
FROM models WHERE name ~ 'int8' ORDER BY name, 2;
SELECT counts('SELECT mtl_score(''declared'', c, i) FROM (SELECT 41 AS age) c, items i');
SELECT counts('SELECT mtl_score(''declared'', c, i) FROM (SELECT 3 AS brand) c, (SELECT item, 1 AS age FROM items) i');
SELECT counts('SELECT mtl_score(''all'', c, i) FROM (SELECT 41 AS age, 3 AS brand) c, (SELECT item, 1 AS price FROM items) i');

-- records of changing types: the columns are found anew
CREATE FUNCTION some_record(n int) RETURNS record LANGUAGE sql AS $$ SELECT r FROM (SELECT 1 AS age, 4 AS city) r WHERE n % 2 = 0
	UNION ALL SELECT r FROM (SELECT 4 AS city, 'x' AS other, 1::bigint AS age) r WHERE n % 2 = 1 $$;
SELECT count(*), count(DISTINCT score), min(score) = (SELECT mtl_score('declared', r, 'ctr') FROM (SELECT 1 AS age, 4 AS city, 3 AS brand) r) AS same
FROM (SELECT mtl_score('declared', some_record(n / 3), c, 'ctr') AS score FROM generate_series(1, 40) n, (SELECT 3 AS brand) c) s;
SELECT count(*), count(DISTINCT score) FROM (SELECT mtl_score('declared', c, some_record(n / 3), 'ctr') AS score FROM generate_series(1, 40) n, (SELECT 3 AS brand) c) s;

--
-- all kernels
--

CREATE FUNCTION scores(kernel text, batching text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	model text;
	result text := '';
	one text;
BEGIN
	PERFORM set_config('mtl_rank.kernel', kernel, true), set_config('mtl_rank.batching', batching, true);
	FOR model IN SELECT name FROM models ORDER BY name LOOP
		EXECUTE format('SELECT md5(string_agg(mtl_score(%L, u, i)::text, '' '' ORDER BY id, item)) FROM users u, items i WHERE item < 100', model) INTO one;
		result := result || one;
	END LOOP;
	RETURN result;
END
$$;
SELECT count(DISTINCT scores(kernel, batching)), count(*) >= 4 AS several
FROM unnest('{portable,avx2,avx512,auto}'::text[]) kernel, unnest('{on,off}'::text[]) batching WHERE usable(kernel);

--
-- models and tasks that change from call to call, and errors
--

SELECT count(*), count(DISTINCT score) > 1000 AS different, bool_and(score = alone) AS same
FROM (SELECT mtl_score(m.model, u, i) AS score, mtl_score(m.model, r) AS alone
	FROM items i, users u, models m, LATERAL (SELECT u.*, i.*) r WHERE u.id IN (3, 7) AND i.item < 300) s;
SELECT bool_and(score = alone[CASE task WHEN 'ctr' THEN 1 ELSE 2 END]) AS same, count(DISTINCT score) > 300 AS different
FROM (SELECT t.task, mtl_score('declared', u, i, t.task) AS score, mtl_score('declared', r) AS alone
	FROM items i, users u, (VALUES ('ctr'), ('cvr')) t(task), LATERAL (SELECT u.*, i.*) r WHERE u.id = 7) s;

SELECT mtl_score('declared', u, i) FROM users u, (SELECT 1 AS age, 2 AS brand) i WHERE id = 1;
SELECT mtl_score('declared', u, i) FROM (SELECT 1 AS age) u, (SELECT 1 AS price) i;
-- in the middle of a batch: the rows before it are there, in the context as in the candidate
CREATE FUNCTION until_error(query text, batching text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	n int := 0;
	row record;
BEGIN
	PERFORM set_config('mtl_rank.batching', batching, true);
	FOR row IN EXECUTE query LOOP
		n := n + 1;
	END LOOP;
	RETURN n || ' rows';
EXCEPTION WHEN OTHERS THEN
	RETURN n || ' rows, then ' || sqlerrm;
END
$$;
SELECT name, batching, until_error(format('SELECT mtl_score(%L, u, i) FROM users u, (SELECT item, CASE WHEN item < 450 THEN 1 END AS brand FROM items ORDER BY item) i WHERE id = 7', name), batching)
FROM models, (VALUES ('off'), ('on')) v(batching) ORDER BY name, batching;
SELECT name, batching, until_error(format('SELECT mtl_score(%L, c, i) FROM (SELECT * FROM items ORDER BY item) i, LATERAL (SELECT CASE WHEN item / 100 = 4 THEN 3e38 ELSE 1 END AS age) c', name), batching)
FROM models, (VALUES ('off'), ('on')) v(batching) ORDER BY name, batching;
SELECT name, batching, until_error(format('SELECT mtl_score(%L, c, i) FROM (SELECT * FROM items ORDER BY item) i, LATERAL (SELECT CASE WHEN item / 100 = 4 THEN ''{1,99}''::int[] END AS visited) c', name), batching)
FROM models, (VALUES ('off'), ('on')) v(batching) ORDER BY name, batching;

-- a label that is changed within a transaction, in which PL/pgSQL keeps an expression's state
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE TABLE moods AS SELECT 'low'::mood AS mood;
CREATE TABLE mood_model AS SELECT model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "mood", "kind": "sparse", "lookup": {"type": "vocabulary"}, "oov": "zero"}], "tasks": [{"name": "r", "type": "regression"}]}',
	u8('vocabulary.mood.bytes', 'lowhigh'), i64('vocabulary.mood.offsets', '{3}', 0, 3, 7), f32('embedding.mood.weight', '{2,1}', 1, 2),
	f32('task.r.tower.logit.weight', '{1,1}', 1), f32('task.r.tower.logit.bias', '{1}', 0))::mtl_model AS model;
DO $$
DECLARE
	model mtl_model := (SELECT m.model FROM mood_model m);
	row moods;
	label text;
	alone real;
	as_context real;
BEGIN
	SELECT * INTO row FROM moods;
	FOREACH label IN ARRAY '{low,lower,lowest,low}'::text[] LOOP
		IF label <> row.mood::text THEN
			EXECUTE format('ALTER TYPE mood RENAME VALUE %L TO %L', row.mood, label);
		END IF;
		alone := mtl_score(model, row, 'r');
		as_context := mtl_score(model, row, ROW(1), 'r');
		RAISE NOTICE '%: % %', row.mood, alone, as_context;
	END LOOP;
END
$$;

--
-- the contract
--

SELECT model('["age", "shoe"]');
SELECT model('["age", "age"]');
SELECT model('[1]');
SELECT model('"age"');
SELECT mtl_describe(model)->'contract'->'context' FROM models WHERE name = 'declared';

DROP SCHEMA contexts CASCADE;
