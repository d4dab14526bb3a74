-- scores in batches: arguments and filters of aggregates, over groups and over windows
CREATE SCHEMA batching_windows;
SET search_path = batching_windows, public;
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/models/batching.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- p = sigmoid(a + b / 4 - 2), r = 2a + 8b
SELECT mtl_register('windows', model_file('{"format": 1, "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [8], "activation": "linear"}},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
	"tasks": [{"name": "p", "type": "binary"}, {"name": "r", "type": "regression"}]}',
	f32('shared.bottom.0.weight', '{8,2}', VARIADIC ARRAY[1, 0, 0, 1]::real[] || array_fill(1::real, '{12}')),
	f32('shared.bottom.0.bias', '{8}', VARIADIC array_fill(0::real, '{8}')),
	f32('task.p.tower.logit.weight', '{1,8}', VARIADIC ARRAY[1, 0.25]::real[] || array_fill(0::real, '{6}')), f32('task.p.tower.logit.bias', '{1}', -2),
	f32('task.r.tower.logit.weight', '{1,8}', VARIADIC ARRAY[2, 8]::real[] || array_fill(0::real, '{6}')), f32('task.r.tower.logit.bias', '{1}', 0))::mtl_model);
-- z is NULL in row 20 and each 20th after it, which the model does not take
CREATE TABLE rows AS SELECT id, id % 50 / 8.0::float8 AS a, id % 7 AS b, id % 4 AS c, CASE WHEN id % 20 > 0 THEN id % 7 END AS z, 'v' || id % 3 AS s, repeat('x', 100) AS long
FROM generate_series(1, 300) id;
ANALYZE rows;
SET mtl_rank.batching = require;
CREATE FUNCTION compare_all(VARIADIC queries text[]) RETURNS TABLE (result text, query text) LANGUAGE sql AS $$
	SELECT compare(q), q FROM unnest(queries) q
$$;

-- below the sort, if all rows are read; and what the row itself has is computed once
SELECT plan('SELECT id, mtl_score(''windows'', r, ''p'') / avg(mtl_score(''windows'', r, ''p'')) OVER (PARTITION BY c) FROM rows r', 'COSTS off, VERBOSE');
SELECT plan('SELECT id, avg(mtl_score(''windows'', ARRAY[a, b], ''p'')) OVER (PARTITION BY c ORDER BY id) FROM rows r', 'COSTS off, VERBOSE');
SELECT ran('SELECT id, avg(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id ROWS BETWEEN 20 PRECEDING AND CURRENT ROW) FROM rows r');
-- with a condition on another task
SELECT ran('SELECT id, sum(mtl_score(''windows'', r, ''r'')) OVER w FROM rows r WHERE mtl_score(''windows'', r, ''p'') > 0.3 WINDOW w AS (PARTITION BY c)');
SELECT ran('SELECT max(mtl_score(''windows'', r, ''r'')) FROM rows r WHERE mtl_score(''windows'', r, ''p'') > 0.3');
SELECT plan('SELECT c, max(mtl_score(''windows'', ARRAY[a, b], ''r'')) FROM rows r WHERE mtl_score(''windows'', ARRAY[a, b], ''p'') > 0.3 GROUP BY c');
-- two windows, and above a join, a subquery and an aggregation
SELECT plan('SELECT avg(mtl_score(''windows'', r, ''p'')) OVER (PARTITION BY c), sum(mtl_score(''windows'', r, ''r'')) OVER (PARTITION BY b) FROM rows r');
SELECT plan('SELECT sum(mtl_score(''windows'', q, ''p'')) OVER (PARTITION BY c) FROM (SELECT a, b, c FROM rows OFFSET 1) q');
SELECT plan('SELECT c, sum(mtl_score(''windows'', ARRAY[avg(a), c], ''r'')) OVER () FROM rows GROUP BY c');

SELECT compare_all(
	'SELECT id, mtl_score(''windows'', r, ''p'') / avg(mtl_score(''windows'', r, ''p'')) OVER (PARTITION BY c) FROM rows r',
	'SELECT id, avg(mtl_score(''windows'', r, ''p'')) OVER (PARTITION BY c ORDER BY id DESC) FROM rows r',
	'SELECT id, long, count(*) FILTER (WHERE mtl_score(''windows'', r, ''p'') > 0.5) OVER w, sum(a) FILTER (WHERE mtl_score(''windows'', r, ''p'') > 0.5) OVER w FROM rows r WINDOW w AS (PARTITION BY s ORDER BY a, id)',
	'SELECT id, sum(mtl_score(''windows'', r, ''r'')) FILTER (WHERE mtl_score(''windows'', r, ''r'') > 9) OVER (ORDER BY id) FROM rows r',
	'SELECT id, max(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND 2 FOLLOWING) FROM rows r',
	'SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM rows r',
	'SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY a RANGE BETWEEN 1.5 PRECEDING AND CURRENT ROW) FROM rows r',
	'SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY c GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM rows r',
	'SELECT id, avg(mtl_score(''windows'', r, ''p'')) OVER (PARTITION BY c), sum(mtl_score(''windows'', r, ''r'')) OVER (PARTITION BY b ORDER BY id) FROM rows r',
	'SELECT id, lag(mtl_score(''windows'', r, ''p'')) OVER w, sum(mtl_score(''windows'', r, ''p'')) OVER w FROM rows r WINDOW w AS (ORDER BY id)',
	'SELECT id, rank() OVER w, sum(mtl_score(''windows'', r, ''p'')) OVER w FROM rows r WINDOW w AS (PARTITION BY c ORDER BY mtl_score(''windows'', r, ''p'') DESC)',
	'SELECT id, string_agg(s, mtl_score(''windows'', r, ''r'')::text) OVER (PARTITION BY c ORDER BY id) FROM rows r WHERE mtl_score(''windows'', r, ''p'') > 0.3',
	'SELECT c, sum(mtl_score(''windows'', ARRAY[avg(a), c], ''r'')) OVER (ORDER BY c) FROM rows GROUP BY c',
	'SELECT o.id, sum(mtl_score(''windows'', ARRAY[o.a, r.b], ''r'')) OVER (PARTITION BY r.c) FROM rows r JOIN rows o ON r.id = o.id + 1',
	'SELECT r.id, l.* FROM rows r, LATERAL (SELECT sum(mtl_score(''windows'', ARRAY[r.a, o.b], ''r'')) OVER (ORDER BY o.id) FROM rows o WHERE o.id < r.c) l',
	'SELECT * FROM (SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id) AS total FROM rows r) x WHERE total < 10',
	'SELECT id, mtl_score(''windows'', ARRAY[sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id), b], ''r'') FROM rows r',
	'SELECT id, sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id) FROM rows',
	'SELECT sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (PARTITION BY z IS NULL) FROM rows WHERE z IS NOT NULL OR id > 290',
	'SELECT c, max(mtl_score(''windows'', r)), max(mtl_score(''windows'', r, ''r'')) FILTER (WHERE mtl_score(''windows'', r, ''r'') > 9) FROM rows r WHERE mtl_score(''windows'', r, ''p'') > 0.3 GROUP BY c ORDER BY c',
	'SELECT c, max(mtl_score(''windows'', ARRAY[a, z], ''r'')) FROM rows r WHERE z IS NOT NULL AND mtl_score(''windows'', ARRAY[a, z], ''p'') > 0.3 GROUP BY c ORDER BY c');

-- not where a row may be in no frame, or is looked at by chance, or is not come to: there is an error in it
SELECT compare(query, batching) AS result, query FROM (VALUES
	('require', 'SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING) FROM rows r'),
	('on', 'SELECT sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id DESC ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM rows WHERE id < 21'),
	('on', 'SELECT sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM rows WHERE id BETWEEN 20 AND 25'),
	('on', 'SELECT sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM rows WHERE id < 21'),
	('on', 'SELECT sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id ROWS BETWEEN CURRENT ROW AND CURRENT ROW EXCLUDE CURRENT ROW) FROM rows WHERE id < 21'),
	('require', 'SELECT lag(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id) FROM rows r'),
	('on', 'SELECT lag(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id) FROM rows WHERE id < 21'),
	('on', 'SELECT first_value(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id) FROM rows'),
	('require', 'SELECT sum(mtl_score(''windows'', r, ''p'')) FILTER (WHERE id > 3) OVER (ORDER BY id) FROM rows r'),
	('on', 'SELECT sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) FILTER (WHERE z > 3) OVER (ORDER BY id) FROM rows'),
	('require', 'SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id) FROM rows r LIMIT 5'),
	('on', 'SELECT id, sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id) FROM rows r LIMIT 19'),
	('on', 'SELECT id, sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY id) FROM rows r LIMIT 20'),
	('on', 'SELECT id, sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (PARTITION BY id > 19) FROM rows r LIMIT 19'),
	('on', 'SELECT id, sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (PARTITION BY id > 19) FROM rows r LIMIT 20'),
	('on', 'SELECT * FROM (SELECT id, row_number() OVER w AS n, sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER w FROM rows r WINDOW w AS (ORDER BY id)) x WHERE n < 20'),
	('on', 'SELECT * FROM (SELECT id, row_number() OVER w AS n, sum(mtl_score(''windows'', r, ''p'')) OVER w FROM rows r WINDOW w AS (ORDER BY mtl_score(''windows'', r, ''r''), id)) x WHERE n < 6'),
	('require', 'SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER () FROM rows r LIMIT 5'),
	('require', 'SELECT id, sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM rows r LIMIT 5'),
	('require', 'SELECT sum(mtl_score(''windows'', r, ''p'')) OVER (ORDER BY random()) FROM rows r')) v (batching, query);
-- nor where somebody else's function says what a range is: here, that no value is in its own
CREATE TYPE place AS (x int);
CREATE FUNCTION place_compare(place, place) RETURNS int LANGUAGE sql IMMUTABLE RETURN btint4cmp($1.x, $2.x);
CREATE FUNCTION place_before(place, place) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1.x < $2.x;
CREATE FUNCTION place_same(place, place) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN $1.x = $2.x;
CREATE FUNCTION place_in_range(place, place, int, boolean, less boolean) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN less AND $1.x < $2.x;
CREATE OPERATOR <# (LEFTARG = place, RIGHTARG = place, FUNCTION = place_before);
CREATE OPERATOR <=# (LEFTARG = place, RIGHTARG = place, FUNCTION = place_before);
CREATE OPERATOR =# (LEFTARG = place, RIGHTARG = place, FUNCTION = place_same);
CREATE OPERATOR >=# (LEFTARG = place, RIGHTARG = place, FUNCTION = place_before);
CREATE OPERATOR ># (LEFTARG = place, RIGHTARG = place, FUNCTION = place_before);
CREATE OPERATOR CLASS place_operators DEFAULT FOR TYPE place USING btree AS OPERATOR 1 <#, OPERATOR 2 <=#, OPERATOR 3 =#, OPERATOR 4 >=#, OPERATOR 5 >#,
	FUNCTION 1 place_compare(place, place), FUNCTION 3 (place, int) place_in_range(place, place, int, boolean, boolean);
SELECT compare(format('SELECT sum(mtl_score(''windows'', ARRAY[a, z], ''p'')) OVER (ORDER BY ROW(id)::place RANGE BETWEEN 1 PRECEDING AND %s) FROM rows WHERE id < 21', frame_end), batching)
FROM (VALUES ('on', '0 PRECEDING'), ('require', 'CURRENT ROW')) v (batching, frame_end);

-- in parallel workers, and partial aggregates
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SELECT plan('SELECT c, max(mtl_score(''windows'', r, ''r'')) FROM rows r WHERE mtl_score(''windows'', r, ''p'') > 0.3 GROUP BY c');
SELECT compare_all(
	'SELECT c, max(mtl_score(''windows'', r, ''r'')) FROM rows r WHERE mtl_score(''windows'', r, ''p'') > 0.3 GROUP BY c ORDER BY c',
	'SELECT id, max(mtl_score(''windows'', r, ''r'')) OVER (PARTITION BY c ORDER BY id) FROM rows r WHERE mtl_score(''windows'', r, ''p'') > 0.3 ORDER BY id');
