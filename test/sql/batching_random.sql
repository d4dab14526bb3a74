-- scores in batches: random queries give the same rows, to the bit, or the same error with batching on and off
CREATE SCHEMA batching_random;
SET search_path = batching_random, public;
\getenv srcdir PG_ABS_SRCDIR
\set helpers :srcdir '/models/batching.sql'
\set ECHO none
\i :helpers
\set ECHO all

-- Two towers share what costs most, so that scores of both are computed at once where it pays.
SELECT mtl_register('random', model_file('{"format": 1, "architecture": {"type": "shared_bottom", "bottom": {"hidden_units": [8], "activation": "linear"}},
	"features": [{"name": "a", "kind": "dense"}, {"name": "b", "kind": "dense"}],
	"tasks": [{"name": "p", "type": "binary"}, {"name": "r", "type": "regression"}, {"name": "q", "type": "product", "of": ["p", "r"]}],
	"rank": {"form": "sum", "weights": {"r": 2, "p": 10}}}',
	f32('shared.bottom.0.weight', '{8,2}', VARIADIC ARRAY[1, 0, 0, 1]::real[] || array_fill(0.1::real, '{12}')),
	f32('shared.bottom.0.bias', '{8}', VARIADIC array_fill(0.2::real, '{8}')),
	f32('task.p.tower.logit.weight', '{1,8}', VARIADIC ARRAY[1, -0.5]::real[] || array_fill(0.01::real, '{6}')), f32('task.p.tower.logit.bias', '{1}', 0.1),
	f32('task.r.tower.logit.weight', '{1,8}', VARIADIC ARRAY[2, 1]::real[] || array_fill(-0.1::real, '{6}')), f32('task.r.tower.logit.bias', '{1}', -0.3))::mtl_model);

-- c is sometimes NULL, d sometimes 0; e makes scores leave their range
CREATE TABLE t1 AS SELECT i AS id, (i * 37 % 101) / 7.0::float8 AS a, i * 17 % 23 AS b, nullif(i * 7 % 31, 5) AS c, i * 5 % 13 AS d,
	(CASE WHEN i % 97 = 0 THEN 3e38 ELSE i END)::float8 AS e, repeat('x', i % 50) AS s, ARRAY[i, i % 3]::real[] AS v
FROM generate_series(1, 400) i;
CREATE TABLE t2 (LIKE t1) PARTITION BY HASH (id);
CREATE TABLE t2_0 PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t2_1 PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO t2 SELECT id, b, a, d, c, e, s || id, v FROM t1 WHERE id % 3 = 0;
CREATE INDEX ON t1 (id);
CREATE INDEX ON t1 (b);
CREATE INDEX ON t2 (id);
ANALYZE;

CREATE FUNCTION pick(VARIADIC choices text[]) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT choices[1 + floor(random() * cardinality(choices))::int]
$$;
-- features of table alias x, now and then with an error in some row
CREATE FUNCTION random_features(x text) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT replace(pick('X', 'X', 'ARRAY[X.a, X.b]', 'X.v', 'ARRAY[X.id, X.d]', 'ROW(X.a, X.b)::random_row', 'CASE WHEN X.c > 3 THEN X.v END',
		'ARRAY[X.b, X.c]', 'ARRAY[1 / X.d, X.b]', 'ARRAY[X.e, X.b]', 'jsonb_build_object(''a'', X.a, ''b'', X.c)', 'ARRAY[X.a / 3, sqrt(X.b)]'), 'X', x)
$$;
CREATE TYPE random_row AS (a float8, b float8);
CREATE TYPE random_context AS (a float8);
CREATE TYPE random_candidate AS (b float8);
CREATE TYPE random_unread AS (z int);
-- what a call gets: one row, or two
CREATE FUNCTION random_rows(x text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF random() < 0.7 THEN
		RETURN random_features(x);
	ELSIF random() < 0.5 THEN
		RETURN replace(pick('ROW(X.d)::random_unread', 'ROW(7)::random_unread') || ', X', 'X', x);
	END IF;
	RETURN replace(pick('ROW(X.b % 3)::random_context', 'ROW(X.a)::random_context', 'ROW(X.c)::random_context', 'ROW(X.e)::random_context',
		'ROW(7)::random_context', 'CASE WHEN X.c > 3 THEN ROW(X.d)::random_context END') || ', ' ||
		pick('ROW(X.b)::random_candidate', 'ROW(X.a)::random_candidate', 'ROW(1 / X.d)::random_candidate'), 'X', x);
END
$$;
CREATE FUNCTION random_score(features text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF features ~ 'random_(unread|context)' THEN
		RETURN format(pick('mtl_score(''random'', %s, ''p'')', 'mtl_score(''random'', %s, ''r'')', 'mtl_score(''random'', %s, ''q'')',
			'(mtl_score(''random@1'', %s))[3]'), features);
	END IF;
	RETURN format(pick('mtl_score(''random'', %s, ''p'')', 'mtl_score(''random'', %s, ''q'')', '(mtl_score(''random@1'', %s))[2]', 'mtl_rank(''random'', %s)',
		'mtl_rank(''random'', %s, ''{"r": 1, "p": 3}'')', 'mtl_score(''random'', %s, ''p'')', 'coalesce(mtl_score(''random'', %s, ''r''), 0)'), features);
END
$$;
CREATE FUNCTION random_call(x text) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT random_score(random_rows(x))
$$;
CREATE FUNCTION random_condition(x text) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT pick(x || '.b > 4', x || '.d <> 0', x || '.c IS NOT NULL', x || '.id < 200', random_call(x) || ' > 0.6', random_call(x) || ' > 2',
		random_call(x) || ' < ' || random_call(x), x || '.s LIKE ''%xx%''', random_call(x) || ' > 0.5 OR ' || x || '.b < 4', 'true')
$$;
CREATE FUNCTION random_conditions(x text) RETURNS text LANGUAGE sql VOLATILE AS $$
	SELECT string_agg(random_condition(x), ' AND ') FROM generate_series(0, floor(random() * 3)::int)
$$;
-- A call is written with the alias t; there may be another alias u.
CREATE FUNCTION random_query() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	main text := pick('t1', 't2');
	features text := random_rows('t');
	call text := random_score(features);
	conditions text := random_conditions('t');
	rows text;
	ending text := pick('', '', 'ORDER BY 1', 'ORDER BY 2, 1', 'LIMIT 3', 'LIMIT 40', 'ORDER BY 1 LIMIT 20', 'ORDER BY 2 DESC NULLS LAST, 1 LIMIT 9',
		'ORDER BY 1 OFFSET 3 LIMIT 5', 'ORDER BY 1 FETCH FIRST 6 ROWS WITH TIES');
BEGIN
	-- other scores of the same rows, which are computed with it
	FOR i IN 1..floor(random() * 3) LOOP
		conditions := format('%s AND %s > %s', conditions, random_score(features), pick('-1', '0.3', '0.9', '3'));
	END LOOP;
	rows := format(pick(
		'%1$s t WHERE %2$s',
		'%1$s t WHERE %2$s',
		'%1$s t JOIN t1 u ON t.id = u.id WHERE %2$s',
		'%1$s t LEFT JOIN t2 u ON t.id = u.id AND %3$s WHERE %2$s',
		'%1$s t, LATERAL (SELECT %4$s AS z FROM t2 u WHERE u.id = t.b AND %3$s ORDER BY u.id LIMIT 2) l WHERE %2$s',
		'%1$s t WHERE %2$s AND EXISTS (SELECT FROM t2 u WHERE u.b = t.b AND %3$s)',
		'%1$s t WHERE %2$s AND t.id IN (SELECT u.id FROM t1 u WHERE %3$s)',
		'(SELECT * FROM %1$s u WHERE %3$s OFFSET 1) t WHERE %2$s'),
		main, conditions, random_condition('u'), random_call('u'));
	RETURN pick(
		format('SELECT t.id, %s AS score FROM %s %s', call, rows, ending),
		format('SELECT t.id, %s AS score, %s, t.s FROM %s %s', call, pick(random_call('t'), random_score(features)), rows, ending),
		format('SELECT t.b, %s(%s) %s AS score, count(*) FROM %s GROUP BY t.b %s', pick('min', 'max', 'count'), call,
			pick('', '', format('FILTER (WHERE %s > 0.5)', random_score(features))), rows, ending),
		format('SELECT t.id, row_number() OVER (PARTITION BY t.d ORDER BY %s, t.id) AS score FROM %s %s', call, rows, ending),
		format('SELECT t.id, %s(%s) %s OVER (%s %s) AS score FROM %s %s', pick('min', 'max', 'count'), call, pick('', '', format('FILTER (WHERE %s > 0.5)', random_score(features))),
			pick('', 'PARTITION BY t.d', 'PARTITION BY t.d, t.b'),
			pick('', 'ORDER BY t.id', 'ORDER BY t.id ROWS 2 PRECEDING', 'ORDER BY t.b RANGE BETWEEN 2 PRECEDING AND 1 FOLLOWING', 'ORDER BY t.id ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING',
				'ORDER BY t.b GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES', 'ORDER BY t.id ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING'), rows, ending),
		format('SELECT DISTINCT t.b, %s AS score FROM %s ORDER BY 1, 2', call, rows),
		format('WITH w AS MATERIALIZED (SELECT t.id, %s AS score FROM %s) SELECT x.id, x.score, y.score FROM w x JOIN w y USING (id) %s', call, rows, ending),
		format('SELECT t.id, (SELECT %s FROM t1 o WHERE o.id = t.id) AS score FROM %s %s', random_call('o'), rows, ending));
END
$$;

CREATE FUNCTION explained(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text := '';
BEGIN
	PERFORM set_config('mtl_rank.batching', 'on', true);
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		result := concat_ws(E'\n', result, line);
	END LOOP;
	RETURN result;
END
$$;

-- Both outcomes have the same plan below, since the node is put into it at the end. Where several rows have errors, another
-- one of them may come first.
CREATE TABLE results (query text, plain text, batched text, plan text);
DO $$
DECLARE
	query text;
BEGIN
	PERFORM setseed(0.5);
	FOR round IN 1..800 LOOP
		query := random_query();
		INSERT INTO results VALUES (query, outcome(query, 'off'), outcome(query, 'on'), explained(query));
	END LOOP;
END
$$;
SELECT query, left(plain, 300) AS plain, left(batched, 300) AS batched FROM results
WHERE plain IS DISTINCT FROM batched AND NOT (plain ~ '^22[0-9A-Z]{3} (?!rows)' AND batched ~ '^22[0-9A-Z]{3} (?!rows)');
SELECT plain, count(*) FROM results WHERE plain ~ '^(?!22)[0-9A-Z]{5} (?!rows)' GROUP BY 1;
-- it was a test of something
SELECT count(*) FILTER (WHERE plan ~ 'MtlScore') > 450 AS batched, count(*) FILTER (WHERE plain ~ '^\d+ rows' AND plan ~ 'MtlScore') > 200 AS with_rows,
	count(*) FILTER (WHERE plain ~ '^22[0-9A-Z]{3} (?!rows)' AND plan ~ 'MtlScore') > 50 AS with_errors, count(*) FILTER (WHERE plan ~ 'after Filter') > 50 AS with_filters,
	count(*) FILTER (WHERE plain ~ '^\d+ rows' AND plan ~ 'after Filter') > 20 AS rows_with_filters,
	count(*) FILTER (WHERE plain ~ '^\d+ rows' AND plan ~ 'WindowAgg.*MtlScore') > 20 AS rows_with_windows
FROM results;
