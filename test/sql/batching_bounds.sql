-- batches of values that are stored out of line, of rows that take much memory, of errors about sizes, of subqueries that run when they are needed, and of sorts for a LIMIT
CREATE SCHEMA batching_bounds;
SET search_path = batching_bounds, public;
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/models/batching.sql'
\set ECHO none
\i :helpers
\set ECHO all

CREATE TABLE models AS SELECT model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
	"tasks": [{"name": "p", "type": "binary"}, {"name": "r", "type": "regression"}]}',
	f32('task.p.tower.logit.weight', '{1,2}', 1, 0.5), f32('task.p.tower.logit.bias', '{1}', 0),
	f32('task.r.tower.logit.weight', '{1,2}', 2, 1), f32('task.r.tower.logit.bias', '{1}', 0))::mtl_model AS model;
SELECT mtl_register('bounds', model) FROM models;
CREATE TABLE rows AS SELECT id, id % 50 / 8.0::float8 AS a, id % 7 AS b FROM generate_series(1, 500) id;
ANALYZE rows;

-- weights that a subquery finds out of line, because all else in their row must stay in it
CREATE TABLE wanted (weights jsonb, rest text);
ALTER TABLE wanted ALTER weights SET STORAGE EXTERNAL, ALTER rest SET STORAGE PLAIN;
INSERT INTO wanted SELECT '{"p": 1, "r": 3}', string_agg(md5(i::text), '') FROM generate_series(1, 90) i;
SELECT compare('SELECT id, mtl_rank(''bounds'', r, (SELECT weights FROM wanted)) FROM rows r');

-- a row takes 16 kB: there are as many in a batch as work_mem has room for
SELECT mtl_register('wide', model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "a", "kind": "dense", "width": 4096}], "tasks": [{"name": "r", "type": "regression"}]}',
	f32('task.r.tower.logit.weight', '{1,4096}', VARIADIC array_fill(0.5::real, '{4096}')), f32('task.r.tower.logit.bias', '{1}', 0))::mtl_model);
CREATE FUNCTION largest_batch(memory text, query text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('work_mem', memory, true);
	RETURN ceil(max(substring(line FROM 'Mean Batch: ([0-9.]+)')::float8)) FROM ran(query) line;
END
$$;
SELECT memory, largest_batch(memory, 'SELECT sum(mtl_score(''wide'', array_fill(id::real, ''{4096}''), ''r'')) FROM rows')
FROM unnest('{64kB,1MB,16MB}'::text[]) memory;
SELECT compare('SELECT id, mtl_score(''wide'', array_fill(id::real, ''{4096}''), ''r'') FROM rows');

-- an error about a size is put off as any other of a value: row 6 is never asked for
BEGIN;
DECLARE sizes CURSOR FOR
	SELECT id, mtl_score('bounds', ARRAY[length(repeat('x', CASE id WHEN 6 THEN 2000000000 ELSE id END)), b]::real[], 'r') FROM rows;
SELECT plan('DECLARE c CURSOR FOR SELECT id, mtl_score(''bounds'', ARRAY[length(repeat(''x'', CASE id WHEN 6 THEN 2000000000 ELSE id END)), b]::real[], ''r'') FROM rows');
FETCH 4 FROM sizes;
FETCH 1 FROM sizes;
FETCH 1 FROM sizes;
ROLLBACK;

-- so is a subquery that runs when a row first needs it, and its error: it would not run again as from the beginning
CREATE TABLE numbers AS SELECT x FROM generate_series(1, 10) x;
CREATE FUNCTION until_error(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows refcursor;
	row record;
	result text[];
BEGIN
	OPEN rows FOR EXECUTE query;
	LOOP
		FETCH rows INTO row;
		EXIT WHEN NOT found;
		result := result || row::text;
	END LOOP;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	RETURN concat_ws(' ', result, sqlerrm);
END
$$;
SELECT features, until_error(format('SELECT id, mtl_score(''bounds'', %s, ''r'') FROM rows LIMIT 7', features)) FROM (VALUES
	('ARRAY[b, CASE WHEN id > 4 THEN (SELECT sum(10 / (x - 5)) FROM numbers) ELSE 0 END]'),
	('ARRAY[b, coalesce(nullif(id, 5), (SELECT sum(10 / (x - 5)) FROM numbers))]'),
	('ARRAY[b, (id > 4 AND 1 = (SELECT sum(10 / (x - 5)) FROM numbers))::int]'),
	('ARRAY[b, (ARRAY[id, 1])[CASE WHEN id > 4 THEN (SELECT sum(10 / (x - 5)) FROM numbers) ELSE 1 END]]'),
	('ARRAY[b, (SELECT sum(10 / (x - 5)) FROM numbers)]')) v(features);
BEGIN;
DECLARE lazy CURSOR FOR
	SELECT id, mtl_score('bounds', ARRAY[b, CASE WHEN id > 4 THEN (SELECT sum(10 / (x - 5)) FROM numbers) ELSE 0 END], 'r') FROM rows;
FETCH 4 FROM lazy;
FETCH 1 FROM lazy;
ROLLBACK;
BEGIN;
DECLARE lazy CURSOR FOR
	SELECT id, mtl_score('bounds', rows, 'r') FROM rows WHERE id < 5 OR a < (SELECT sum(10 / (x - 5)) FROM numbers);
FETCH 4 FROM lazy;
FETCH 1 FROM lazy;
ROLLBACK;
BEGIN;
DECLARE lazy CURSOR FOR
	SELECT id, mtl_score('bounds', rows, 'p') FROM rows WHERE mtl_score('bounds', rows, 'r') < 20 AND (id < 5 OR a < (SELECT sum(10 / (x - 5)) FROM numbers));
FETCH 4 FROM lazy;
FETCH 1 FROM lazy;
ROLLBACK;
-- one that the first row needs has run before any row is read ahead
CREATE FUNCTION is_batched(query text) RETURNS bool LANGUAGE sql RETURN EXISTS (SELECT FROM plan('DECLARE c CURSOR FOR ' || query) line WHERE line ~ 'MtlScore');
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT is_batched(format(query, 'SELECT sum(10 / x)::int FROM numbers')), query FROM (VALUES
	('SELECT mtl_score(''bounds'', ARRAY[b, (%s)], ''r'') FROM rows'),
	('SELECT mtl_score(''bounds'', ARRAY[b, CASE WHEN id > 4 THEN (%s) END], ''r'') FROM rows WHERE id > 2'),
	('SELECT mtl_score(''bounds'', rows, ''r'') FROM rows WHERE id < (%s)'),
	('SELECT mtl_score(''bounds'', rows, ''r'') FROM rows WHERE id < (%s) AND mtl_score(''bounds'', rows, ''p'') > 0.5'),
	('SELECT mtl_score(''bounds'', rows, ''r'') FROM rows WHERE id < (%s) OR b = 2'),
	('SELECT mtl_score(''bounds'', rows, ''r'') FROM rows JOIN numbers ON x = id AND x < (%s)'),
	('SELECT mtl_score(''bounds'', rows, ''r'') FROM rows LEFT JOIN (SELECT x FROM numbers WHERE x < (%s) OFFSET 0) n ON b = x'),
	('SELECT mtl_score(''bounds'', rows, ''r'') FROM rows UNION ALL SELECT mtl_score(''bounds'', rows, ''r'') FROM rows WHERE id < (%s)')) v(query);
RESET enable_hashjoin;
RESET enable_mergejoin;

-- a sort below learns how many rows are wanted of it
CREATE FUNCTION sort_method(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ' || query LOOP
		IF line ~ 'Sort Method' THEN
			RETURN substring(line FROM 'Sort Method: (.*?)  ');
		END IF;
	END LOOP;
END
$$;
PREPARE bounded(int, int) AS SELECT id, mtl_score('bounds', rows, 'r') FROM rows ORDER BY a, id LIMIT $1 OFFSET $2;
SET plan_cache_mode = force_generic_plan;
SELECT bound, sort_method(format('EXECUTE bounded(%s)', bound)) FROM unnest('{"3, 0", "3, 4", "NULL, 4", "3, NULL"}'::text[]) bound;
RESET plan_cache_mode;
SELECT compare('SELECT id, mtl_score(''bounds'', rows, ''r'') FROM rows ORDER BY a, id LIMIT 3 OFFSET 5');
SELECT compare('SELECT o.x, l.* FROM numbers o, LATERAL (SELECT id, mtl_score(''bounds'', ARRAY[a, o.x], ''r'') FROM rows ORDER BY b - o.x, id LIMIT nullif(o.x, 7)) l');
-- also where fewer may be asked for
SELECT sort_method('SELECT x, (SELECT mtl_score(''bounds'', rows, ''r'') FROM rows ORDER BY a - x, id LIMIT 1) FROM numbers');
SELECT compare('SELECT x, (SELECT mtl_score(''bounds'', rows, ''r'') FROM rows ORDER BY a - x, id LIMIT 1) FROM numbers');
SELECT compare('SELECT x FROM numbers WHERE EXISTS (SELECT FROM (SELECT mtl_score(''bounds'', ARRAY[a, x], ''r'') AS p FROM rows ORDER BY a, id LIMIT 5 OFFSET 0) s WHERE p > 9)', 'on');
BEGIN;
DECLARE sorted CURSOR FOR SELECT id, mtl_score('bounds', rows, 'r') FROM rows ORDER BY a, id LIMIT 6;
FETCH 3 FROM sorted;
FETCH 10 FROM sorted;
ROLLBACK;
-- a sort whose result could be read again, but for the limit
SET enable_material = off;
SELECT compare('SELECT o.x, count(*), sum(id), sum(p) FROM numbers o, LATERAL (
	SELECT l.* FROM numbers b LEFT JOIN (SELECT id, mtl_score(''bounds'', rows, ''r'') AS p FROM rows ORDER BY a, id LIMIT o.x) l ON true OFFSET 0) m GROUP BY o.x');
RESET enable_material;
