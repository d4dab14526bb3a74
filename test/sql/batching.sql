-- scores in batches: which calls, over which plans, and what EXPLAIN says
CREATE SCHEMA batching;
SET search_path = batching, public;
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/models/batching.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- p = sigmoid(a + b / 2), r = 2a + b
CREATE TABLE models AS SELECT model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
	"tasks": [{"name": "p", "type": "binary"}, {"name": "r", "type": "regression"}],
	"rank": {"form": "sum", "weights": {"r": 2, "p": 10}}}',
	f32('task.p.tower.logit.weight', '{1,2}', 1, 0.5), f32('task.p.tower.logit.bias', '{1}', 0),
	f32('task.r.tower.logit.weight', '{1,2}', 2, 1), f32('task.r.tower.logit.bias', '{1}', 0))::mtl_model AS model;
SELECT mtl_register('batching', model) FROM models;

-- x is NULL in each 9th row, zero in each 7th; huge scores out of range in row 20
CREATE TABLE rows AS SELECT id, id % 50 / 8.0::float8 AS a, id % 7 AS b, id % 4 AS c,
	CASE WHEN id % 9 > 0 THEN id % 7 END AS x, CASE id WHEN 20 THEN 3e38 ELSE id END::float8 AS huge, 'v' || id % 3 AS s
FROM generate_series(1, 500) id;
CREATE TABLE other AS SELECT id, id / 16.0::float8 AS w FROM generate_series(1, 500, 3) id;
CREATE INDEX rows_id ON rows (id);
CREATE INDEX other_id ON other (id);
CREATE TABLE parted (id int, a float8, b int) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (200);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (200) TO (1000);
INSERT INTO parted SELECT id, a, b FROM rows;
ANALYZE;

SHOW mtl_rank.batching;
SET mtl_rank.batching = maybe;
SET mtl_rank.batching = require;

--
-- what EXPLAIN shows
--

SELECT plan('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r ORDER BY 2 DESC LIMIT 3', 'COSTS off, VERBOSE');
SELECT ran('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r ORDER BY 2 DESC LIMIT 3');
-- calls over the same model and row are one batch, here or in conditions below
SELECT plan('SELECT mtl_score(''batching@1'', r, ''p''), mtl_score(''batching@1'', r), mtl_rank(''batching@1'', r) FROM rows r');
SELECT plan('SELECT id, mtl_score(''batching'', r, ''p''), mtl_rank(''batching'', r) FROM rows r
	WHERE mtl_score(''batching'', r, ''p'') > 0.5 AND mtl_score(''batching'', r, ''p'') < 0.9 AND a > 1');
SELECT plan('SELECT id FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.5 AND mtl_score(''batching'', r, ''r'') < 5 AND a > 1');
SELECT plan(format('SELECT mtl_score(%L::mtl_model, r) FROM rows r', (SELECT model FROM models)));
SELECT plan('SELECT mtl_score((SELECT model FROM models), r, lower(''P'')) FROM rows r');
SELECT plan('SELECT mtl_score(''unknown'', r) FROM rows r');
CREATE FUNCTION node(query text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json, ANALYZE) ' || query INTO plan;
	RETURN plan->0->'Plan';
END
$$;
SELECT key, value FROM jsonb_each(node('SELECT mtl_score(''batching'', r, ''p''), mtl_score(''batching@1'', r) FROM rows r'))
WHERE key ~ 'Node|Provider|Model|Tasks|Scored|Batch' ORDER BY key;
-- aggregates, over all columns that they need and no others
SELECT plan('SELECT c, avg(mtl_score(''batching'', r, ''p'')), max(s) FROM rows r GROUP BY c', 'COSTS off, VERBOSE');
SET enable_hashagg = off;
SELECT plan('SELECT c, avg(mtl_score(''batching'', r, ''p'')), max(s) FROM rows r GROUP BY c', 'COSTS off, VERBOSE');
RESET enable_hashagg;
SELECT plan('SELECT r.id, mtl_score(''batching'', ARRAY[w, b]) FROM rows r JOIN other USING (id) WHERE w > 2');
SELECT plan('SELECT mtl_score(''batching'', parted) FROM parted');

--
-- the same bits and errors
--

SELECT compare(query) AS result, query FROM (VALUES
	('SELECT id, mtl_score(''batching'', r) FROM rows r'),
	('SELECT r, mtl_score(''batching'', r, ''p'') FROM rows r ORDER BY 2 DESC, id LIMIT 10'),
	('SELECT id, (mtl_score(''batching'', r))[2] + a, s || mtl_rank(''batching'', r) FROM rows r'),
	('SELECT id, mtl_rank(''batching'', r, ''{"r": 1}''), mtl_rank(''batching'', r, ''{"p": 3}'') FROM rows r'),
	('SELECT id FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.9'),
	('SELECT id, mtl_rank(''batching'', r) FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.9 AND s > ''v0'' AND mtl_score(''batching'', r, ''r'') < 8'),
	('SELECT id FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.9 OR id < 20'),
	('SELECT id, CASE WHEN mtl_score(''batching'', r, ''p'') > 0.9 THEN 1 / (id % 50 - 1) END FROM rows r WHERE id < 50'),
	-- joins, subqueries, laterals
	('SELECT r.id, w, mtl_score(''batching'', ARRAY[w, b], ''p'') FROM rows r JOIN other USING (id)'),
	('SELECT r.id, w, mtl_score(''batching'', ARRAY[w, b], ''p'') FROM rows r LEFT JOIN other USING (id) WHERE w IS NOT NULL'),
	('SELECT r.id, o.id FROM rows r JOIN other o ON r.id = o.id AND mtl_score(''batching'', ARRAY[w, b], ''p'') > 0.9 AND mtl_score(''batching'', ARRAY[w, b], ''r'') > 3'),
	('SELECT r.id, o.id FROM rows r JOIN other o ON mtl_score(''batching'', ARRAY[w, b], ''p'') < 0.52'),
	('SELECT mtl_score(''batching'', x, y, ''p'') FROM (SELECT id, a FROM rows) x JOIN (SELECT id AS id2, b FROM rows) y ON id = id2'),
	('SELECT id, (SELECT mtl_score(''batching'', i, ''p'') FROM rows i WHERE i.id = r.id) FROM rows r'),
	('SELECT id, EXISTS (SELECT FROM other o WHERE o.id = r.id), mtl_score(''batching'', r, ''p'') FROM rows r'),
	('SELECT id, (SELECT max(w) FROM other o WHERE o.id <= r.id), mtl_score(''batching'', r, ''p'') FROM rows r'),
	('SELECT r.id, p FROM rows r, LATERAL (SELECT mtl_score(''batching'', ARRAY[r.a, i.a], ''p'') AS p FROM rows i WHERE i.b = r.b ORDER BY 1 DESC, id LIMIT 2) l'),
	('SELECT id FROM rows WHERE id IN (SELECT id FROM rows i WHERE mtl_score(''batching'', i, ''p'') > 0.9)'),
	('SELECT id FROM rows r WHERE EXISTS (SELECT FROM other o WHERE o.id = r.id AND mtl_score(''batching'', ARRAY[w, r.a], ''p'') > 0.9)'),
	('SELECT id FROM rows r WHERE mtl_score(''batching'', r, ''p'') > (SELECT avg(w) / 20 FROM other)'),
	('WITH s AS MATERIALIZED (SELECT id, mtl_score(''batching'', r, ''p'') AS p FROM rows r) SELECT * FROM s x JOIN s y USING (id) WHERE x.p > 0.5'),
	('WITH RECURSIVE w AS (SELECT 1 AS a, 1::float8 AS b, 0::real AS p UNION ALL SELECT a + 1, b, mtl_score(''batching'', ARRAY[a, b], ''p'') FROM w WHERE a < 20) SELECT * FROM w'),
	-- other sources of rows
	('SELECT id, mtl_score(''batching'', parted, ''p'') FROM parted WHERE mtl_score(''batching'', parted, ''r'') > 3'),
	('SELECT id, mtl_score(''batching'', parted, ''p'') FROM parted UNION ALL SELECT id, mtl_score(''batching'', rows, ''p'') FROM rows'),
	('SELECT mtl_score(''batching'', v, ''p'') FROM (VALUES (1.5, 2), (3.5, 4)) v (a, b)'),
	('SELECT mtl_score(''batching'', ARRAY[g, g], ''p'') FROM generate_series(1, 600) g'),
	('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r TABLESAMPLE bernoulli (50) REPEATABLE (3)'),
	('SELECT ctid, tableoid, id, mtl_score(''batching'', r, ''p'') FROM rows r'),
	('SELECT mtl_score(''batching'', x) FROM (SELECT a, b FROM rows OFFSET 2) x LIMIT 3'),
	('SELECT FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.5'),
	('SELECT mtl_score((SELECT model FROM models), r) FROM rows r'),
	-- groups: the same column twice, grouping sets, HAVING, windows
	('SELECT b, b, mtl_score(''batching'', ARRAY[b, b], ''r'') FROM rows GROUP BY b, b ORDER BY 1'),
	('SELECT c, b, grouping(c), mtl_score(''batching'', ARRAY[coalesce(c, 9), coalesce(b, 9)], ''p'') FROM rows GROUP BY GROUPING SETS ((c, b), (c), (b), ())'),
	('SELECT c, count(*) FROM rows GROUP BY c HAVING mtl_score(''batching'', ARRAY[c, avg(a)], ''p'') > 0.9 AND count(*) > 1'),
	('SELECT c, avg(mtl_score(''batching'', r, ''p'')), max(mtl_score(''batching'', r, ''r'')), string_agg(s, mtl_score(''batching'', r, ''p'')::text ORDER BY id) FROM rows r GROUP BY c ORDER BY c'),
	('SELECT c, count(*) FILTER (WHERE mtl_score(''batching'', r, ''p'') > 0.9), sum(a) FILTER (WHERE b > 2) FROM rows r GROUP BY c ORDER BY c'),
	('SELECT count(*) FILTER (WHERE mtl_score(''batching'', r, ''p'') > 0.9), max(mtl_score(''batching'', r, ''p'')) FILTER (WHERE mtl_score(''batching'', r, ''p'') < 0.95) FROM rows r'),
	('SELECT DISTINCT mtl_score(''batching'', ARRAY[b, c], ''p'') FROM rows ORDER BY 1'),
	('SELECT id, rank() OVER (PARTITION BY c ORDER BY mtl_score(''batching'', r, ''p'') DESC, id) FROM rows r'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, lag(b, 1, 0) OVER (ORDER BY id)], ''p'') FROM rows'),
	-- NULL: no score, and no model is looked for
	('SELECT id, mtl_score(''batching'', CASE WHEN x > 3 THEN ARRAY[a, x] END) FROM rows'),
	('SELECT mtl_score(''unknown'', CASE WHEN id < 0 THEN ARRAY[a, b] END) FROM rows'),
	('SELECT mtl_score(''unknown'', r, NULL), mtl_score(NULL::text, r) FROM rows r'),
	-- errors
	('SELECT mtl_score(''unknown'', r) FROM rows r'),
	('SELECT mtl_score(''batching'', r, ''task'') FROM rows r'),
	('SELECT mtl_score(''batching'', o) FROM other o'),
	('SELECT mtl_score(''batching'', ARRAY[a]) FROM rows'),
	('SELECT mtl_score(''batching'', ARRAY[a, x]) FROM rows'),
	('SELECT mtl_score(''batching'', ARRAY[a, 1 / x]) FROM rows'),
	('SELECT mtl_score(''batching'', ARRAY[huge, huge]) FROM rows'),
	('SELECT mtl_rank(''batching'', ARRAY[huge, 0], ''{"p": 1e38}'') FROM rows'),
	('SELECT id, mtl_rank(''batching'', r, ''{"r": 1e38}'') FROM rows r'),
	('SELECT 1 / (id - 15), mtl_score(''batching'', ARRAY[huge, huge]) FROM rows')) v (query);

--
-- reading ahead: at most twice the rows, and no error of a row that nobody asked for
--

SELECT format('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r ORDER BY id FETCH FIRST %s ROWS WITH TIES', n) AS query,
	scored(format('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r ORDER BY id FETCH FIRST %s ROWS WITH TIES', n)) <= 2 * (n + 1) AS within
FROM unnest(ARRAY[1, 2, 3, 10, 100, 300]) n;
-- the 20th row with p > 0.5 is the 21st of all
SELECT ran('SELECT id FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.5 LIMIT 20');
-- with a limit that is known, exactly its rows are read
SELECT ran('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r OFFSET 5 LIMIT 10');
SELECT ran('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r ORDER BY a, id LIMIT 10');
-- two nodes for conditions one upon the other: the upper one does not make the lower one read ahead further
SELECT ran('SELECT id, mtl_score(''batching@1'', r, ''r'') FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.9 LIMIT 10');
-- begun anew for each row, and stopped at the first match
SET mtl_rank.batching = on;
SELECT scored('SELECT FROM rows r WHERE EXISTS (SELECT FROM other o WHERE mtl_score(''batching'', ARRAY[w, r.a], ''p'') > 0.9 OFFSET 0)')
	<= 2 * (SELECT sum(n) FROM rows r, LATERAL (SELECT coalesce(min(i) FILTER (WHERE mtl_score('batching', ARRAY[w, r.a], 'p') > 0.9), max(i)) AS n
		FROM (SELECT w, row_number() OVER (ORDER BY id) AS i FROM other) o) l) AS within;
SET mtl_rank.batching = require;

SELECT compare(query) AS result, query FROM (VALUES
	-- x is 0 in row 7, NULL in row 9; huge in row 20
	('SELECT id, mtl_score(''batching'', ARRAY[a, x]) FROM rows LIMIT 8'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, x]) FROM rows LIMIT 9'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, 1 / x]) FROM rows LIMIT 6'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, 1 / x]) FROM rows LIMIT 7'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, 1 / x]) FROM rows ORDER BY id FETCH FIRST 5 ROWS WITH TIES'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, 1 / x]) FROM rows ORDER BY id FETCH FIRST 6 ROWS WITH TIES'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, x]) FROM rows ORDER BY id FETCH FIRST 7 ROWS WITH TIES'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, x]) FROM rows ORDER BY id FETCH FIRST 8 ROWS WITH TIES'),
	('SELECT id FROM rows WHERE mtl_score(''batching'', ARRAY[a, x], ''p'') > 0.1 LIMIT 8'),
	('SELECT id FROM rows WHERE mtl_score(''batching'', ARRAY[a, x], ''p'') > 0.1 LIMIT 9'),
	('SELECT id FROM rows WHERE mtl_score(''batching'', ARRAY[huge, huge], ''r'') > 0.1 LIMIT 19'),
	('SELECT id FROM rows WHERE mtl_score(''batching'', ARRAY[huge, huge], ''r'') > 0.1 LIMIT 20'),
	('SELECT id FROM rows WHERE mtl_rank(''batching'', ARRAY[huge, 0], ''{"r": 1}'') > 0.1 LIMIT 19'),
	('SELECT id FROM rows WHERE mtl_rank(''batching'', ARRAY[huge / 2, 0], ''{"r": 2}'') > 0.1 LIMIT 20')) v (query);

-- where reading ahead could be noticed, and where a call is skipped for some rows, it is computed by itself
CREATE SEQUENCE seen;
CREATE FUNCTION count_seen(id int) RETURNS boolean LANGUAGE sql VOLATILE COST 1 RETURN nextval('batching.seen') > 0;
SELECT compare(query) AS result, query FROM (VALUES
	('SELECT id, mtl_score(''batching'', r) FROM rows r WHERE random() >= 0'),
	('SELECT id, mtl_score(''batching'', ARRAY[a, b * (random() >= 0)::int]) FROM rows'),
	('SELECT mtl_score(''batching'', r, (SELECT ''p'' WHERE r.id > 0)) FROM rows r'),
	('SELECT mtl_score(model, r) FROM models, rows r'),
	('SELECT id, CASE WHEN id > 1 THEN mtl_score(''batching'', r) END FROM rows r'),
	('SELECT id, coalesce(a, mtl_score(''batching'', r, ''p'')) FROM rows r'),
	('SELECT id FROM rows r WHERE id < 5 OR mtl_score(''batching'', r, ''p'') > 0.9'),
	('SELECT sum(mtl_score(''batching'', r, ''p'')) FILTER (WHERE id > 1) FROM rows r'),
	('SELECT id, generate_series(1, 2), mtl_score(''batching'', r) FROM rows r'),
	('SELECT id FROM rows r WHERE mtl_score(''batching'', ARRAY[picky(id)::int, 1], ''p'') > 0.1 LIMIT 12'),
	('SELECT id, mtl_score(''batching'', r) FROM (SELECT * FROM rows FOR UPDATE) r')) v (query);
SELECT compare(query, 'on') AS result, query FROM (VALUES
	('SELECT id, mtl_score(''batching'', r) FROM rows r WHERE count_seen(id) LIMIT 5'),
	('SELECT id, mtl_score(''batching'', r), count_seen(id) FROM rows r LIMIT 5'),
	('SELECT id FROM rows r WHERE picky(id) AND mtl_score(''batching'', r, ''p'') > 0.1 LIMIT 12'),
	('SELECT id, mtl_score(''batching'', r, ''r'') FROM rows r WHERE mtl_score(''batching'', r, ''p'') > 0.1 AND picky(id) LIMIT 12'),
	('SELECT mtl_score(model, r) FROM models, rows r'),
	('SELECT id, CASE WHEN id > 1 THEN mtl_score(''batching'', r) END FROM rows r')) v (query);
SELECT nextval('seen') AS one_more_than_4_times_5;
-- a single row without a FROM is not a matter of batches
SELECT mtl_score('batching', ARRAY[1, 1], 'r') + a FROM (SELECT 1 AS a OFFSET 0) x;

--
-- the node in the place of another: with its costs and rows, over all kinds of children, with what these filter
--

-- the same estimates, so that nothing above is chosen by others
CREATE FUNCTION estimates(query text, batching text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan jsonb;
BEGIN
	PERFORM set_config('mtl_rank.batching', batching, true);
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	plan := plan->0->'Plan';
	ASSERT batching = 'off' OR plan->>'Custom Plan Provider' = 'MtlScore';
	RETURN concat_ws(' ', plan->>'Startup Cost', plan->>'Total Cost', plan->>'Plan Rows', plan->>'Plan Width', plan->>'Parallel Aware');
END
$$;
SELECT estimates(query, 'require') = estimates(query, 'off') AS same, query FROM (VALUES
	('SELECT id, s, mtl_score(''batching'', r, ''p'') FROM rows r WHERE mtl_score(''batching'', r, ''r'') > 3'),
	('SELECT mtl_score(''batching'', r) FROM rows r JOIN other USING (id)'),
	('SELECT mtl_score(''batching'', ARRAY[c, avg(a)]) FROM rows GROUP BY c')) v (query);
-- directly below a subquery's scan, whose own filter stays, and the subquery's
SELECT plan('SELECT * FROM (SELECT id, mtl_score(''batching'', r, ''p'') AS p FROM rows r WHERE id > 5 OFFSET 1) x WHERE p > 0.5');
SELECT plan('SELECT id, mtl_score(''batching'', q, ''p'') FROM (SELECT * FROM rows WHERE id > 5 OFFSET 2) q WHERE b > 2 AND mtl_score(''batching'', q, ''p'') > 0.5');
-- below a merge of sorted children
CREATE TABLE hashed (id int PRIMARY KEY, a float8, b int) PARTITION BY HASH (id);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_2 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT id, a, b FROM rows;
ANALYZE hashed;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
SELECT plan('SELECT id, mtl_score(''batching'', hashed, ''p'') FROM hashed ORDER BY id');
SELECT compare('SELECT id, mtl_score(''batching'', hashed, ''p'') FROM hashed ORDER BY id');
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_sort;
SELECT compare(query) AS result, query FROM (VALUES
	('SELECT * FROM (SELECT id, mtl_score(''batching'', r, ''p'') AS p FROM rows r WHERE id > 5 OFFSET 1) x WHERE p > 0.5'),
	('SELECT id, mtl_score(''batching'', q, ''p'') FROM (SELECT * FROM rows WHERE id > 5 OFFSET 2) q WHERE b > 2 AND mtl_score(''batching'', q, ''p'') > 0.5'),
	-- a subplan in the filter below, in the node, and in a condition of its child
	('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r WHERE b > (SELECT count(*) FROM other o WHERE o.id < r.c)'),
	('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r WHERE mtl_score(''batching'', r, ''r'') > (SELECT count(*) FROM other o WHERE o.id < r.c * 4)'),
	('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r WHERE mtl_score(''batching'', r, ''r'') > 2 AND id IN (SELECT id + 1 FROM other)'),
	('SELECT id, mtl_score(''batching'', r, ''p'') FROM rows r WHERE mtl_score(''batching'', r, ''r'') > 2 AND (b < 3 OR id IN (SELECT id + 1 FROM other))')) v (query);

--
-- rows are copied before the next is read
--

SET work_mem = '64kB';
SELECT compare('SELECT id, s, long, mtl_score(''batching'', r, ''p'') FROM (SELECT *, repeat(s, 1000) AS long FROM rows OFFSET 0) r');
SELECT scored AS rows, batches > 20 AS bounded_by_work_mem FROM
	(SELECT sum(substring(line FROM 'Scored Rows: (\d+)')::int) AS scored, sum(substring(line FROM 'Batches: (\d+)')::int) AS batches
	 FROM ran('SELECT max(length(long) + mtl_score(''batching'', r, ''p'')) FROM (SELECT a, b, repeat(s, 5000) AS long FROM rows OFFSET 0) r
		WHERE length(long) + mtl_score(''batching'', r, ''p'') > 0') line) x;
RESET work_mem;

--
-- joins that go back
--

SET enable_hashjoin = off;
SET enable_nestloop = off;
SET enable_sort = off;
SET enable_material = off;
CREATE TABLE twice AS SELECT id / 3 AS id, a, b FROM rows;
CREATE INDEX ON twice (id);
ANALYZE twice;
-- the inner side is read again from a place that it was told to remember: no batches there
SET mtl_rank.batching = on;
SELECT plan('SELECT x.id, y.p FROM rows x JOIN (SELECT id, mtl_score(''batching'', t, ''p'') AS p FROM twice t) y ON x.id = y.id AND y.p > 0.3');
SET mtl_rank.batching = require;
SELECT compare('SELECT x.id, y.p FROM twice x JOIN (SELECT id, mtl_score(''batching'', t, ''p'') AS p FROM twice t) y ON x.id = y.id AND y.p > 0.3 ORDER BY 1, 2', 'on');
SELECT compare('SELECT x.id, mtl_score(''batching'', ARRAY[x.a, y.b], ''p'') FROM twice x JOIN twice y ON x.id = y.id ORDER BY 1, 2');
RESET enable_hashjoin;
RESET enable_nestloop;
RESET enable_sort;
RESET enable_material;

--
-- prepared statements, PL/pgSQL, SQL functions
--

PREPARE by_name (text, float8) AS SELECT id, mtl_score($1, r, 'p') FROM rows r WHERE a > $2 ORDER BY 2 DESC, 1 LIMIT 3;
PREPARE limited (bigint) AS SELECT id, mtl_score('batching', r, 'r') FROM rows r LIMIT $1;
EXPLAIN (COSTS off) EXECUTE by_name('batching', 1);
EXECUTE by_name('batching', 1);
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS off) EXECUTE by_name('batching', 1);
EXECUTE by_name('batching', 1);
EXECUTE by_name('batching@1', 6);
EXECUTE by_name('batching@2', 6);
EXECUTE by_name(NULL, 6);
SELECT ran('EXECUTE limited(7)');
SELECT ran('EXECUTE limited(NULL)');
EXECUTE limited(0);
EXECUTE limited(-1);
RESET plan_cache_mode;

CREATE FUNCTION in_loop() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	result text := '';
BEGIN
	FOR r IN SELECT id, mtl_score('batching', ARRAY[a, b], 'r') AS score FROM rows ORDER BY id LOOP
		result := result || r.id || ':' || r.score || ' ';
		EXIT WHEN r.id = 5;
	END LOOP;
	SELECT mtl_score('batching', ARRAY[a, x], 'r') INTO r FROM rows;
	RETURN result || mtl_score('batching', ARRAY[1, 1], 'r');
END
$$;
SELECT in_loop();
CREATE FUNCTION in_sql() RETURNS TABLE (id int, score real) LANGUAGE sql AS $$
	SELECT id, mtl_score('batching', ARRAY[a, x], 'r') FROM rows
$$;
SELECT in_sql() LIMIT 2;

-- A cast that is made, or a type that is altered, does not make plans anew, but the rows are then read by functions that do anything.
SELECT mtl_register('pairs', model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "v", "kind": "dense", "width": 2}], "tasks": [{"name": "r", "type": "regression"}]}',
	f32('task.r.tower.logit.weight', '{1,2}', 1, 2), f32('task.r.tower.logit.bias', '{1}', 0))::mtl_model);
CREATE FUNCTION to_pair(point) RETURNS real[] LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN ARRAY[1 / ($1[0] - 5)::int, 1]; END $$;
CREATE TYPE pair AS (v float8[]);
CREATE TABLE pairs AS SELECT id, ROW(ARRAY[id, 1])::pair AS pair FROM generate_series(1, 20) id;
CREATE FUNCTION first_pairs() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	scores CURSOR FOR SELECT id, mtl_score('pairs', pair, 'r') FROM pairs;
	score record;
BEGIN
	OPEN scores;
	FOR i IN 1..4 LOOP
		FETCH scores INTO score;
		RETURN NEXT score::text;
	END LOOP;
	CLOSE scores;
END
$$;
-- neither is a row read ahead where the server's functions call somebody else's, here to compare
CREATE TYPE number AS (n int);
CREATE FUNCTION number_compare(number, number) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 0 / ($1.n - 5); END $$;
CREATE FUNCTION number_holds(number, number) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN number_compare($1, $2) = 0;
CREATE OPERATOR <# (LEFTARG = number, RIGHTARG = number, FUNCTION = number_holds);
CREATE OPERATOR <=# (LEFTARG = number, RIGHTARG = number, FUNCTION = number_holds);
CREATE OPERATOR =# (LEFTARG = number, RIGHTARG = number, FUNCTION = number_holds);
CREATE OPERATOR >=# (LEFTARG = number, RIGHTARG = number, FUNCTION = number_holds);
CREATE OPERATOR ># (LEFTARG = number, RIGHTARG = number, FUNCTION = number_holds);
CREATE OPERATOR CLASS number_operators DEFAULT FOR TYPE number USING btree
	AS OPERATOR 1 <#, OPERATOR 2 <=#, OPERATOR 3 =#, OPERATOR 4 >=#, OPERATOR 5 >#, FUNCTION 1 number_compare(number, number);
SET mtl_rank.batching = on;
CREATE TABLE numbers AS SELECT id, ROW(id)::number AS number, ARRAY[ROW(id)::number] AS list FROM generate_series(1, 20) id;
SELECT features, EXISTS (SELECT FROM plan(format('SELECT FROM numbers WHERE mtl_score(''pairs'', %s, ''r'') > 0 LIMIT 4', features)) line WHERE line ~ 'MtlScore') AS ahead
FROM (VALUES ('ARRAY[(id = id)::int, id]'), ('ARRAY[(list = list)::int, id]'), ('ARRAY[(number = number)::int, id]'), ('ARRAY[(GREATEST(list, list) IS NULL)::int, id]'),
	('ARRAY[(GREATEST(number, number) IS NULL)::int, id]')) v (features);
SELECT id FROM numbers WHERE mtl_score('pairs', ARRAY[(list = list)::int, id], 'r') > 0 LIMIT 4;
DROP TABLE numbers;			-- ANALYZE would compare them
SET mtl_rank.batching = require;

SET plan_cache_mode = force_generic_plan;
SELECT first_pairs();
ALTER TYPE pair DROP ATTRIBUTE v;
ALTER TYPE pair ADD ATTRIBUTE v point;
UPDATE pairs SET pair.v = point(id, 0);
SELECT first_pairs();
CREATE CAST (point AS real[]) WITH FUNCTION to_pair(point);
SELECT first_pairs();
RESET plan_cache_mode;
SELECT plan('SELECT id, mtl_score(''pairs'', pair, ''r'') FROM pairs LIMIT 3');
SET mtl_rank.batching = on;
SELECT id FROM pairs WHERE mtl_score('pairs', pair, 'r') < 3 LIMIT 4;
SET mtl_rank.batching = require;
DROP CAST (point AS real[]);

-- scores are those of the version that the cursor has seen, and under the rights of whoever fetches
CREATE ROLE regress_mtl_nobody;
GRANT USAGE ON SCHEMA batching TO regress_mtl_nobody;
GRANT SELECT ON rows TO regress_mtl_nobody;
BEGIN;
DECLARE scores CURSOR FOR SELECT id, mtl_score('batching', r, 'r') FROM rows r;
FETCH 4 FROM scores;
SELECT mtl_register('batching', model_file('{"format": 1, "architecture": {"type": "single_task", "tower": {"logit_bias": false}},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}], "tasks": [{"name": "r", "type": "regression"}]}',
	f32('task.r.tower.logit.weight', '{1,2}', 100, 100))::mtl_model);
FETCH 4 FROM scores;
SELECT mtl_score('batching', r, 'r') FROM rows r LIMIT 1;
SET LOCAL ROLE regress_mtl_nobody;
FETCH scores;
ROLLBACK;
SET ROLE regress_mtl_nobody;
-- without rights nothing is said of a version
EXPLAIN (COSTS off) SELECT mtl_score('batching', r) FROM rows r;
SELECT mtl_score('batching', r) FROM rows r;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION mtl_score(text, "any") FROM PUBLIC;
SET ROLE regress_mtl_nobody;
SELECT mtl_score('batching', r) FROM rows r;
RESET ROLE;
GRANT EXECUTE ON FUNCTION mtl_score(text, "any") TO PUBLIC;
-- conditions of a view come first, and row-level security
CREATE FUNCTION leak(score real) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	RAISE NOTICE 'score %', score;
	RETURN true;
END
$$;
CREATE VIEW few WITH (security_barrier) AS SELECT * FROM rows WHERE id::text IN ('3', '4');
GRANT SELECT ON few, other TO regress_mtl_nobody;
ALTER TABLE other ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON other USING (id < 8);
SELECT plan('SELECT id FROM few WHERE mtl_score(''batching'', few, ''r'') > 1');
SELECT id FROM few WHERE leak(mtl_score('batching', few, 'r'));
GRANT SELECT ON mtl_models, mtl_active TO regress_mtl_nobody;
SET ROLE regress_mtl_nobody;
SET search_path = batching, public;
SELECT id FROM other WHERE leak(mtl_score('batching', ARRAY[w, w], 'r'));
RESET ROLE;
REVOKE ALL ON mtl_models, mtl_active FROM regress_mtl_nobody;
DROP OWNED BY regress_mtl_nobody;
DROP ROLE regress_mtl_nobody;

--
-- cursors
--

BEGIN;
DECLARE plain CURSOR FOR SELECT id, mtl_score('batching', r, 'r') FROM rows r;
FETCH 3 FROM plain;
-- the row that was fetched last, not the one that was read last
UPDATE rows SET s = 'here' WHERE CURRENT OF plain RETURNING id;
FETCH 2 FROM plain;
DELETE FROM rows WHERE CURRENT OF plain RETURNING id;
SAVEPOINT before;
FETCH BACKWARD FROM plain;
ROLLBACK TO before;
DECLARE filtered CURSOR FOR SELECT id, mtl_score('batching', parted, 'p') FROM parted WHERE id > 198 AND mtl_score('batching', parted, 'r') > 5;
FETCH 2 FROM filtered;
UPDATE parted SET b = 100 WHERE CURRENT OF filtered RETURNING id;
MOVE ALL IN filtered;
SAVEPOINT before;
UPDATE parted SET b = 100 WHERE CURRENT OF filtered RETURNING id;
ROLLBACK TO before;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SELECT plan('SELECT id, mtl_score(''batching'', ARRAY[id, 1], ''p'') FROM rows WHERE id > 7');
DECLARE index_only CURSOR FOR SELECT id, mtl_score('batching', ARRAY[id, 1], 'r') FROM rows WHERE id > 7;
FETCH 2 FROM index_only;
UPDATE rows SET s = 'there' WHERE CURRENT OF index_only RETURNING id;
ROLLBACK;
BEGIN;
DECLARE back SCROLL CURSOR FOR SELECT id, mtl_score('batching', r, 'r') FROM rows r;
FETCH 3 FROM back;
FETCH BACKWARD 2 FROM back;
FETCH LAST FROM back;
FETCH ABSOLUTE 2 FROM back;
DECLARE kept CURSOR WITH HOLD FOR SELECT id, mtl_score('batching', r, 'r') FROM rows r;
FETCH 2 FROM kept;
DECLARE locking CURSOR FOR SELECT id, mtl_score('batching', r, 'r') FROM rows r ORDER BY id FOR UPDATE;
FETCH 2 FROM locking;
UPDATE rows SET s = 'locked' WHERE CURRENT OF locking RETURNING id;
COMMIT;
FETCH 2 FROM kept;
CLOSE kept;

--
-- changes
--

CREATE TABLE scores (number serial, id int, score real);
SELECT plan('INSERT INTO scores (id, score) SELECT id, mtl_score(''batching'', r, ''r'') FROM rows r', 'COSTS off, VERBOSE');
INSERT INTO scores (id, score) SELECT id, mtl_score('batching', r, 'r') FROM rows r;
SELECT count(*), max(number), sum(score) FROM scores;
SELECT plan('UPDATE scores s SET score = mtl_score(''batching'', r, ''p'') FROM rows r WHERE r.id = s.id');
UPDATE scores s SET score = mtl_score('batching', r, 'p') FROM rows r WHERE r.id = s.id;
SELECT count(*), max(number), sum(score) = (SELECT sum(mtl_score('batching', r, 'p')) FROM rows r) AS same FROM scores;
DELETE FROM scores s USING rows r WHERE r.id = s.id AND mtl_score('batching', r, 'p') > 0.9;
SELECT count(*) = (SELECT count(*) FROM rows r WHERE mtl_score('batching', r, 'p') <= 0.9) AS same FROM scores;
CREATE TABLE kept_scores AS SELECT id, mtl_score('batching', r, 'r') AS score FROM rows r;
SELECT count(*), sum(score) FROM kept_scores;

--
-- parallel plans
--

CREATE TABLE many AS SELECT g * 1000 + id AS id, a, b FROM rows, generate_series(1, 20) g;
ANALYZE many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
SELECT plan('SELECT id, mtl_score(''batching'', m, ''p'') FROM many m ORDER BY 2 DESC, id LIMIT 3');
SELECT compare('SELECT id, mtl_score(''batching'', m, ''p'') FROM many m ORDER BY 2 DESC, id');
SELECT compare('SELECT b, avg(mtl_score(''batching'', m, ''p'')::numeric) FROM many m GROUP BY b ORDER BY b');
-- counts of all workers
SELECT line FROM ran('SELECT sum(mtl_score(''batching'', m, ''p'')) FROM many m') line WHERE line ~ 'Scored Rows|Launched';
-- of two nodes each: they are told apart by their numbers
SELECT line FROM ran('SELECT max(mtl_score(''batching@1'', m, ''p'')) FROM many m WHERE mtl_score(''batching'', m, ''p'') > 0.9') line WHERE line ~ 'Tasks|Rows|Launched';
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
RESET parallel_leader_participation;

--
-- a cancellation is not taken for an error in a row
--

SET statement_timeout = 200;
SELECT count(*) FROM (SELECT mtl_score('batching', ARRAY[a, b]) FROM rows, generate_series(1, 1000000) OFFSET 0) x WHERE mtl_score IS NOT NULL;
RESET statement_timeout;

--
-- what a call costs
--

-- a model of a hundred thousand multiply-adds in task "large" and of 100 in task "small"
SELECT mtl_register('costly', model_file('{"format": 1,
	"architecture": {"type": "single_task"},
	"features": [{"name": "v", "kind": "dense", "width": 100}],
	"tasks": [{"name": "small", "type": "regression"}, {"name": "large", "type": "regression", "tower": {"hidden_units": [1000]}}]}',
	f32('task.small.tower.logit.weight', '{1,100}', VARIADIC array_fill(0, '{100}')::real[]), f32('task.small.tower.logit.bias', '{1}', 0),
	f32('task.large.tower.0.weight', '{1000,100}', VARIADIC array_fill(0, '{100000}')::real[]),
	f32('task.large.tower.0.bias', '{1000}', VARIADIC array_fill(0, '{1000}')::real[]),
	f32('task.large.tower.logit.weight', '{1,1000}', VARIADIC array_fill(0, '{1000}')::real[]), f32('task.large.tower.logit.bias', '{1}', 0))::mtl_model);
CREATE FUNCTION cost_of(expression text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (FORMAT json) SELECT %s FROM batching.many', expression) INTO plan;
	RETURN round((plan->0->'Plan'->>'Total Cost')::numeric / 10000, 2);
END
$$;
SELECT expression, cost_of(expression) FROM (VALUES
	('1'), ('mtl_score(''batching'', many)'),
	('mtl_score(''costly'', ARRAY[a])'), ('mtl_score(''costly'', ARRAY[a], ''large'')'), ('mtl_score(''costly'', ARRAY[a], ''small'')'),
	('mtl_score((SELECT model FROM batching.models), many)'), ('mtl_score(''unknown'', many)'), ('mtl_score(''costly@77'', many)'),
	('mtl_score(''costly@x'', many)')) v (expression);
SELECT cost_of(format('mtl_score(%L::mtl_model, many)', model)) FROM models;
-- a half and a quarter of what takes long
SET client_min_messages = warning;
SELECT mtl_register('costly', mtl_quantize('costly', p), activate => false) AS version, p FROM unnest('{bf16,int8}'::text[]) p;
RESET client_min_messages;
SELECT version, cost_of(format('mtl_score(''costly@%s'', ARRAY[a])', version)) FROM generate_series(1, 3) version;
-- a context's share is there already, and a document's keys take longer to find than columns
SELECT mtl_register('context', model_file('{"format": 1,
	"architecture": {"type": "single_task"}, "context": ["u"],
	"features": [{"name": "u", "kind": "dense", "width": 300}, {"name": "v", "kind": "dense", "width": 100}],
	"tasks": [{"name": "p", "type": "regression", "tower": {"hidden_units": [1000]}}]}',
	f32('task.p.tower.0.weight', '{1000,400}', VARIADIC array_fill(0, '{400000}')::real[]),
	f32('task.p.tower.0.bias', '{1000}', VARIADIC array_fill(0, '{1000}')::real[]),
	f32('task.p.tower.logit.weight', '{1,1000}', VARIADIC array_fill(0, '{1000}')::real[]), f32('task.p.tower.logit.bias', '{1}', 0))::mtl_model);
CREATE TYPE user_row AS (u real[]);
CREATE TYPE item_row AS (v real[]);
CREATE TYPE both_rows AS (u real[], v real[]);
SELECT expression, cost_of(expression) FROM (VALUES
	('mtl_score(''context'', ROW(ARRAY[a], ARRAY[b])::batching.both_rows)'), ('mtl_score(''context'', ROW(ARRAY[a])::batching.user_row, ROW(ARRAY[b])::batching.item_row)'),
	('mtl_score(''batching'', to_jsonb(a))')) v (expression);
-- a cheap condition comes first, whatever the order of writing
SELECT plan('SELECT FROM many m WHERE mtl_score(''batching'', m, ''p'') > 0.5 AND a > 1');
