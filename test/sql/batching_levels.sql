-- scores in batches: some for all rows, others for those that pass conditions on these, in one node
CREATE SCHEMA batching_levels;
SET search_path = batching_levels, public;
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/models/batching.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- Eight units that two towers share: p = sigmoid(a + b / 4 - 2), r = 2a + 8b.  Where a is huge p is 1 and r out of range.
CREATE FUNCTION model(architecture text, bottom tensor[], towers int) RETURNS mtl_model LANGUAGE sql AS $$
	SELECT model_file(format('{"format": 1, "architecture": %s,
		"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
		"tasks": [{"name": "p", "type": "binary"}, {"name": "r", "type": "regression"}],
		"rank": {"form": "sum", "weights": {"r": 2, "p": 10}}}', architecture),
		VARIADIC bottom || ARRAY[
			f32('task.p.tower.logit.weight', ARRAY[1, towers], VARIADIC ARRAY[1, 0.25]::real[] || array_fill(0::real, ARRAY[towers - 2])),
			f32('task.p.tower.logit.bias', '{1}', -2),
			f32('task.r.tower.logit.weight', ARRAY[1, towers], VARIADIC ARRAY[2, 8]::real[] || array_fill(0::real, ARRAY[towers - 2])),
			f32('task.r.tower.logit.bias', '{1}', 0)])::mtl_model
$$;
SELECT mtl_register('shared', model('{"type": "shared_bottom", "bottom": {"hidden_units": [8], "activation": "linear"}}', ARRAY[
	f32('shared.bottom.0.weight', '{8,2}', VARIADIC ARRAY[1, 0, 0, 1]::real[] || array_fill(1::real, '{12}')),
	f32('shared.bottom.0.bias', '{8}', VARIADIC array_fill(0::real, '{8}'))], 8));
-- nothing is shared by the towers of this one
SELECT mtl_register('single', model('{"type": "single_task"}', '{}', 2));

-- x is NULL in each 9th row, zero in each 7th; huge in row 20 and each 20th after it
CREATE TABLE rows AS SELECT id, id % 50 / 8.0::float8 AS a, id % 7 AS b, id % 4 AS c,
	CASE WHEN id % 9 > 0 THEN id % 7 END AS x, CASE id % 20 WHEN 0 THEN 3e38 ELSE id % 7 END::float8 AS huge, 'v' || id % 3 AS s
FROM generate_series(1, 1000) id;
CREATE INDEX ON rows (id);
ANALYZE rows;
SET mtl_rank.batching = require;
CREATE FUNCTION compare_all(VARIADIC queries text[]) RETURNS TABLE (result text, query text) LANGUAGE sql AS $$
	SELECT compare(q), q FROM unnest(queries) q
$$;

-- what EXPLAIN says, and ran
SELECT plan('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3 ORDER BY 2 DESC LIMIT 3', 'COSTS off, VERBOSE');
SELECT ran('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3 ORDER BY 2 DESC, 1 LIMIT 3');
-- few rows pass, or nothing is shared: not at once
SELECT ran('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.98 ORDER BY 2 DESC, 1 LIMIT 3');
SELECT ran('SELECT id, mtl_score(''single'', r, ''r'') FROM rows r WHERE mtl_score(''single'', r, ''p'') > 0.3 ORDER BY 2 DESC, 1 LIMIT 3');
-- three levels, and calls of several kinds
SELECT ran('SELECT mtl_score(''shared'', r), mtl_rank(''shared'', r) FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3 AND mtl_score(''shared'', r, ''r'') > 20');
-- another model is another node; what can be computed with the first is
SELECT plan('SELECT mtl_score(''shared'', r, ''r''), mtl_score(''single'', r, ''r''), mtl_rank(''single'', r) FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3');
SELECT plan('SELECT mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3 AND mtl_score(''single'', r, ''p'') > 0.3');
SELECT plan('SELECT mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', ARRAY[a, c], ''p'') > 0.3');
-- no model is looked up for a task that is NULL, so others cannot be computed with it
SET plan_cache_mode = force_generic_plan;
PREPARE with_task (text) AS SELECT count(mtl_score('shared', r, 'r')) FROM (SELECT * FROM rows r WHERE mtl_score('shared', r, $1) IS NOT DISTINCT FROM NULL) r;
PREPARE in_list (text) AS SELECT count(score), max(score) FROM (SELECT mtl_score('shared', r, $1) AS score FROM rows r WHERE mtl_score('shared', r, 'p') > 0.3 OFFSET 0) r;
EXPLAIN (COSTS off) EXECUTE with_task('p');
EXPLAIN (COSTS off) EXECUTE in_list('p');
EXECUTE with_task(NULL);
EXECUTE with_task('p');
EXECUTE in_list('r');
EXECUTE in_list('p');
EXECUTE in_list(NULL);
EXECUTE in_list('task');
RESET plan_cache_mode;

-- neither does a subquery that finds a task run before a row comes to it
SELECT plan('SELECT mtl_score(''shared'', r, (SELECT s FROM rows WHERE id = 4 AND 1 / (id - 4) > 0)) FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 2');
SELECT compare('SELECT mtl_score(''shared'', r, (SELECT s FROM rows WHERE id = 4 AND 1 / (id - 4) > 0)) FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 2');
SELECT compare('SELECT mtl_score(''shared'', r, (SELECT s FROM rows WHERE id = 4 AND 1 / (id - 4) > 0)) FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.5');

-- the same bits, and the same errors: none of a score that a row does not come to
SELECT compare_all(
	'SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3',
	'SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.98',
	'SELECT id, mtl_score(''shared'', r), mtl_rank(''shared'', r), mtl_score(''single'', r) FROM rows r WHERE mtl_score(''shared'', r, ''p'') BETWEEN 0.3 AND 0.9',
	'SELECT id, mtl_score(''shared'', r, ''r''), s FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3 AND mtl_score(''shared'', r, ''r'') > 20 AND s > ''v0''',
	'SELECT id, mtl_rank(''shared'', r, ''{"r": 1}'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3 AND mtl_rank(''shared'', r, ''{"p": 3}'') > 1.5 AND mtl_score(''single'', r, ''r'') > 20',
	'SELECT id, mtl_score(''shared'', ARRAY[a, x], ''r'') FROM rows WHERE x IS NOT NULL AND mtl_score(''shared'', ARRAY[a, x], ''p'') > 0.3',
	'SELECT id, mtl_score(''shared'', CASE WHEN x > 3 THEN ARRAY[a, x] END, ''r'') FROM rows WHERE coalesce(mtl_score(''shared'', CASE WHEN x > 3 THEN ARRAY[a, x] END, ''p''), 1) > 0.3',
	'SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > (SELECT avg(c) / 5 FROM rows o WHERE o.id < r.b)',
	'SELECT q.id, mtl_score(''shared'', ARRAY[q.a, o.b], ''r'') FROM rows q JOIN rows o ON q.id = o.id + 1 AND mtl_score(''shared'', ARRAY[q.a, o.b], ''p'') > 0.3',
	'SELECT id, (SELECT sum(mtl_score(''shared'', ARRAY[r.a, o.b], ''r'')) FROM rows o WHERE o.id < r.c * 3 AND mtl_score(''shared'', ARRAY[r.a, o.b], ''p'') > 0.3) FROM rows r',
	'SELECT mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.3',
	'SELECT id, mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') BETWEEN 0.3 AND 0.999',
	'SELECT id, mtl_rank(''shared'', ARRAY[huge, 0]) FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') BETWEEN 0.3 AND 0.999 AND mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 8',
	'SELECT id, mtl_rank(''shared'', ARRAY[huge, 0]) FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.3 AND id % 20 > 0 AND mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 8',
	'SELECT mtl_score(''shared'', r, ''task'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 2',
	'SELECT mtl_score(''shared'', r, ''task'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.9',
	'SELECT mtl_rank(''shared'', r, ''{"r": "x"}'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 2',
	'SELECT mtl_rank(''shared'', r, ''{"r": "x"}'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.9',
	'SELECT mtl_score(''shared'', r, NULL), mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.9',
	'SELECT id, 1 / (id - 700), mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.9',
	'SELECT mtl_score(''shared'', r, ''r'') FROM rows r WHERE 1 / (mtl_score(''shared'', r, ''p'') - mtl_score(''shared'', r, ''p'')) > 0');

-- a condition that comes to a later score for some rows computes it for them
SELECT compare('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.9 OR b < 4 AND mtl_score(''shared'', r, ''r'') > 12', 'on');

-- contexts are shared by what is computed at once, and where that changes
CREATE TYPE asking AS (a float8);
CREATE TABLE candidates AS SELECT id, b FROM rows;
SELECT compare_all(
	'SELECT id, mtl_score(''shared'', ROW(3)::asking, c, ''r'') FROM candidates c WHERE mtl_score(''shared'', ROW(3)::asking, c, ''p'') > 0.3',
	'SELECT id, mtl_score(''shared'', ROW(1)::asking, c) FROM candidates c WHERE id % 500 < 20 AND mtl_score(''shared'', ROW(1)::asking, c, ''p'') > 0.5',
	'SELECT id, mtl_score(''shared'', ROW(id % 5)::asking, c) FROM candidates c WHERE mtl_score(''shared'', ROW(id % 5)::asking, c, ''p'') > 0.5 AND mtl_score(''shared'', ROW(id % 5)::asking, c, ''r'') > 30',
	-- first all pass, then few, then all again
	'SELECT id, mtl_score(''shared'', ROW(CASE WHEN id BETWEEN 300 AND 700 THEN 1 ELSE 4 END)::asking, c) FROM candidates c WHERE mtl_score(''shared'', ROW(CASE WHEN id BETWEEN 300 AND 700 THEN 1 ELSE 4 END)::asking, c, ''p'') > 0.61');
SELECT ran('SELECT id, mtl_score(''shared'', ROW(3)::asking, c, ''r'') FROM candidates c WHERE mtl_score(''shared'', ROW(3)::asking, c, ''p'') > 0.3');

-- Reading ahead: never more than twice the rows that the query comes to. Here 20 pass of the first so many.
SELECT scored(format('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > %s LIMIT 20', x))
	<= 2 * (SELECT max(id) FROM (SELECT id FROM rows r WHERE mtl_score('shared', r, 'p') > x ORDER BY id LIMIT 20) r) AS within, x
FROM unnest(ARRAY[0, 0.3, 0.5, 0.9, 0.98]) x;
-- rows that nobody asks for: scores out of range, conditions that fail, here or in a node below that is read ahead by the one above it
SELECT compare_all(
	'SELECT id, mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.1 LIMIT 19',
	'SELECT id, mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.1 LIMIT 20',
	'SELECT id, mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.3 LIMIT 14',
	'SELECT id, mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.3 LIMIT 15',
	'SELECT id, mtl_score(''shared'', ARRAY[huge, 0], ''p'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 3 LIMIT 14',
	'SELECT id, mtl_score(''shared'', ARRAY[huge, 0], ''p'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 3 LIMIT 15',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 3 LIMIT 14',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 3 LIMIT 15',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p'') FROM rows WHERE mtl_rank(''shared'', ARRAY[huge / 9, 0], ''{"r": 9}'') > 3 LIMIT 14',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p'') FROM rows WHERE mtl_rank(''shared'', ARRAY[huge / 9, 0], ''{"r": 9}'') > 3 LIMIT 15',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p''), mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.3 LIMIT 14',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p''), mtl_score(''shared'', ARRAY[huge, 0], ''r'') FROM rows WHERE mtl_score(''shared'', ARRAY[huge, 0], ''p'') > 0.3 LIMIT 15',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p'') FROM rows WHERE id < 20 AND mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 3 LIMIT 99');
-- all rows come out, though the last but one of the table waits until it is asked for
SELECT compare_all(
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p'') FROM rows WHERE id < 22 AND mtl_score(''shared'', ARRAY[CASE WHEN huge < 9 THEN huge ELSE 1.6e38 END, 0], ''r'') > 3 ORDER BY id FETCH FIRST 20 ROWS WITH TIES',
	'SELECT id, mtl_score(''single'', ARRAY[a, b], ''p'') FROM rows WHERE id < 22 AND mtl_score(''shared'', ARRAY[huge, 0], ''r'') > 3 ORDER BY id FETCH FIRST 20 ROWS WITH TIES');

-- Conditions that fail, and functions with effects, wait for their row: there scores are not computed further on.
ALTER FUNCTION picky(int) COST 1000000;
CREATE SEQUENCE seen;
CREATE FUNCTION count_seen(id int) RETURNS bigint LANGUAGE plpgsql VOLATILE COST 1000000 AS $$ BEGIN RETURN nextval('batching_levels.seen'); END $$;
SELECT compare_all(
	'SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.1 AND picky(id) LIMIT 19',
	'SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.1 AND picky(id) LIMIT 20',
	'SELECT id, mtl_score(''single'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.1 AND picky(id) LIMIT 12');
SELECT compare('SELECT id, mtl_score(''single'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.1 AND picky(id) LIMIT 12', 'on');
-- which row has which number
SELECT id, count_seen(id), mtl_score('shared', r, 'r'), count_seen(id) FROM rows r WHERE id < 8 AND mtl_score('shared', r, 'p') > 0.1 AND count_seen(id) > 0;
SET mtl_rank.batching = on;
SELECT setval('seen', 1, false);
SELECT id, count_seen(id), mtl_score('single', r, 'r'), count_seen(id) FROM rows r WHERE id < 8 AND mtl_score('shared', r, 'p') > 0.1 AND count_seen(id) > 0;
SELECT setval('seen', 1, false);
SET mtl_rank.batching = off;
SELECT id, count_seen(id), mtl_score('single', r, 'r'), count_seen(id) FROM rows r WHERE id < 8 AND mtl_score('shared', r, 'p') > 0.1 AND count_seen(id) > 0;
SET mtl_rank.batching = require;

-- what a condition raises while rows are looked at ahead is not taken for an error in a score; neither is a cancellation
SELECT compare('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') / (id - 700) < 9 ORDER BY 2');
CREATE FUNCTION slow(score real) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	PERFORM pg_sleep(0.01);
	RETURN score > 0.98;
END
$$;
SET statement_timeout = 500;
SELECT id, mtl_score('shared', r, 'r') FROM rows r WHERE slow(mtl_score('shared', r, 'p')) ORDER BY 2;
RESET statement_timeout;

-- conditions keep their order, and with it who sees which row: a view's own come first
CREATE FUNCTION leak(id int, score real) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	RAISE NOTICE 'row % has %', id, score;
	RETURN true;
END
$$;
CREATE VIEW likely WITH (security_barrier) AS SELECT * FROM rows r WHERE mtl_score('shared', ARRAY[a, b], 'p') > 0.99;
SELECT plan('SELECT id FROM likely WHERE leak(id, mtl_score(''shared'', ARRAY[a, b], ''r'')) AND id < 100', 'COSTS off');
SELECT id FROM likely WHERE leak(id, mtl_score('shared', ARRAY[a, b], 'r')) AND id < 100;
-- the right to execute the function of a later score is checked
CREATE ROLE regress_mtl_levels;
GRANT USAGE ON SCHEMA batching_levels TO regress_mtl_levels;
GRANT SELECT ON rows, mtl_models, mtl_active TO regress_mtl_levels;
REVOKE EXECUTE ON FUNCTION mtl_rank(text, "any") FROM PUBLIC;
SET ROLE regress_mtl_levels;
SELECT count(mtl_score('shared', r, 'r')) FROM rows r WHERE mtl_score('shared', r, 'p') > 0.5;
SELECT mtl_rank('shared', r) FROM rows r WHERE mtl_score('shared', r, 'p') > 0.5;
RESET ROLE;
GRANT EXECUTE ON FUNCTION mtl_rank(text, "any") TO PUBLIC;
DROP OWNED BY regress_mtl_levels;
DROP ROLE regress_mtl_levels;

-- a cursor, whose filter was checked for rows that are deleted meanwhile; and one that goes back
BEGIN;
DECLARE c CURSOR FOR SELECT id, mtl_score('shared', r, 'r') FROM rows r WHERE mtl_score('shared', r, 'p') > 0.9;
FETCH 2 FROM c;
DELETE FROM rows WHERE CURRENT OF c RETURNING id;
FETCH 2 FROM c;
DECLARE s SCROLL CURSOR FOR SELECT id, mtl_score('shared', r, 'r') FROM rows r WHERE mtl_score('shared', r, 'p') > 0.9;
MOVE 5 IN s;
FETCH BACKWARD 2 FROM s;
ROLLBACK;

-- in parallel workers, which have no place to count batches of all tasks
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT line FROM ran('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3') line WHERE line ~ 'Tasks|Scored Rows|Launched|Joint';
SELECT compare('SELECT id, mtl_score(''shared'', r, ''r'') FROM rows r WHERE mtl_score(''shared'', r, ''p'') > 0.3 ORDER BY id');
