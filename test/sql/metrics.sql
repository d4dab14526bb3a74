-- metrics: values, what rows count, groups of every type, errors
CREATE SCHEMA metrics;
SET search_path = metrics, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/builder.sql'
\set ECHO none
\i :include
\set ECHO all
\set SHOW_CONTEXT never
\set VERBOSITY terse

CREATE TABLE impressions (id int, clicked boolean, score float8, grade int, user_id int, country text);
INSERT INTO impressions VALUES
	(1, true, 0.9, 3, 1, 'de'), (2, false, 0.8, 0, 1, 'de'), (3, true, 0.8, 2, 1, 'de'), (4, false, 0.1, 1, 1, 'de'),
	(5, false, 0.7, 0, 2, 'de'), (6, true, 0.3, 1, 2, 'de'),
	(7, true, 0.5, 1, 3, 'pl'), (8, true, 0.4, 2, 3, 'pl'),
	(9, false, 0.2, 0, 4, 'pl'),
	(12, false, 0.2, 0, 2, 'de'),
	(10, NULL, 0.6, NULL, 1, 'de'), (11, true, NULL, 2, 1, 'de');

--
-- values
--

-- pairs won: 5 + 4.5 + 3 + 3 + 3 of 5 * 5
SELECT mtl_auc(clicked, score) FROM impressions;
SELECT mtl_auc(clicked, -score), mtl_auc(NOT clicked, score), mtl_auc(clicked, 1) FROM impressions;
-- 3.5 of 4 pairs, and 1 of 2: weights 4 and 3, or 2 and 1
SELECT mtl_gauc(clicked, score, user_id), mtl_gauc(clicked, score, user_id, 'impressions'), mtl_gauc(clicked, score, user_id, 'clicks')
FROM impressions;
SELECT abs(mtl_logloss(clicked, score) - (SELECT avg(-ln(CASE WHEN clicked THEN score ELSE 1 - score END)) FROM impressions WHERE clicked IS NOT NULL)) < 1e-14 AS same
FROM impressions;
SELECT mtl_ndcg(grade, score, 1, user_id), mtl_ndcg(grade, score, NULL, user_id) FROM impressions;
-- by hand: the second and third rank share their labels; a group without a relevant row is 0
SELECT abs(mtl_ndcg(grade, score, 2, user_id)
	- ((3 + 1 / log(2, 3)) / (3 + 2 / log(2, 3)) + (1 / log(2, 3)) / 1 + (1 + 2 / log(2, 3)) / (2 + 1 / log(2, 3)) + 0) / 4) < 1e-15 AS same
FROM impressions;
SELECT rows, observed, predicted, ratio, ece FROM (SELECT (mtl_calibration(clicked, score, 2)).* FROM impressions) c;
SELECT b.* FROM (SELECT mtl_calibration(clicked, score, 4) AS c FROM impressions) s, unnest((c).bins) b;
-- each bin has its upper edge, the first also 0
SELECT b.upper, b.rows FROM (SELECT mtl_calibration(true, i / 10.0::float8) AS c FROM generate_series(0, 10) i) s, unnest((c).bins) b;
SELECT b.upper, b.rows FROM (SELECT mtl_calibration(true, 0.1::float8 + 0.2::float8) AS c) s, unnest((c).bins) b WHERE b.rows > 0;
SELECT (mtl_calibration(true, 0)).*;

-- the epsilon of the score's type
SELECT mtl_logloss(true, 0::real), mtl_logloss(true, 0::float8), mtl_logloss(false, 1::real), mtl_logloss(false, 1::float8);
SELECT mtl_logloss(true, 1::real) < 1.2e-7 AS small, mtl_logloss(true, 1::float8) < 2.3e-16 AS smaller;
-- weights are counts
SELECT mtl_logloss(clicked, score, 3) = mtl_logloss(clicked, score) AS same,
	mtl_logloss(clicked, score, user_id) = (SELECT mtl_logloss(clicked, score) FROM impressions, generate_series(1, user_id)) AS counts,
	mtl_logloss(clicked, score, CASE WHEN user_id = 1 THEN 1 ELSE 0 END) = mtl_logloss(clicked, score) FILTER (WHERE user_id = 1) AS zero,
	mtl_logloss(clicked, score, CASE WHEN user_id = 1 THEN 1 END) = mtl_logloss(clicked, score) FILTER (WHERE user_id = 1) AS none,
	mtl_logloss(clicked, score, 0)
FROM impressions;

-- nothing to measure
SELECT mtl_auc(clicked, score), mtl_gauc(clicked, score, user_id), mtl_logloss(clicked, score), mtl_ndcg(clicked, score, 3, user_id), mtl_calibration(clicked, score)
FROM impressions WHERE false;
SELECT mtl_auc(clicked, score), mtl_gauc(clicked, score, user_id), mtl_logloss(clicked, score), mtl_ndcg(clicked, score, 3, user_id), mtl_calibration(clicked, score)
FROM impressions WHERE id >= 10;
-- one class
SELECT mtl_auc(clicked, score), mtl_gauc(clicked, score, user_id), mtl_logloss(clicked, score) > 0 AS logloss, mtl_ndcg(clicked, score, 3, user_id) FROM impressions WHERE NOT clicked;
SELECT mtl_auc(clicked, score), mtl_gauc(clicked, score, user_id), mtl_ndcg(clicked, score, 3, user_id) FROM impressions WHERE clicked;
-- both classes, but not within a group
SELECT mtl_auc(clicked, score) IS NULL AS auc, mtl_gauc(clicked, score, id) IS NULL AS gauc FROM impressions;

--
-- types
--

SELECT mtl_auc(clicked, score::real), mtl_auc(clicked, score::numeric), mtl_auc(clicked::int, score), mtl_auc(clicked::int::smallint, score),
	mtl_auc(clicked::int::bigint, score::real), mtl_auc(clicked::int::numeric, score), mtl_auc(clicked::int::real, score), mtl_auc(clicked::int::float8, score)
FROM impressions WHERE id <> 2;
SELECT mtl_logloss(clicked::int, score) = mtl_logloss(clicked, score) AS same, mtl_logloss(clicked::int, score::real) = mtl_logloss(clicked, score::real) AS same,
	mtl_logloss(clicked::int, score::numeric) = mtl_logloss(clicked, score) AS same,
	mtl_logloss(clicked::int, score, 2) = mtl_logloss(clicked, score) AS same, mtl_logloss(clicked::int, score::real, 2) = mtl_logloss(clicked, score::real) AS same
FROM impressions;
SELECT mtl_ndcg(clicked::int, score, 2, user_id) = mtl_ndcg(clicked, score, 2, user_id) AS same, mtl_gauc(clicked::int, score, user_id) = mtl_gauc(clicked, score, user_id) AS same,
	mtl_gauc(clicked::int, score, user_id, 'clicks') = mtl_gauc(clicked, score, user_id, 'clicks') AS same,
	mtl_calibration(clicked::int, score) = mtl_calibration(clicked, score) AS same, mtl_calibration(clicked::int, score, 7) = mtl_calibration(clicked, score, 7) AS same
FROM impressions;
-- zeros of both signs are one score, and the smallest and largest numbers have their places
SELECT mtl_auc(l, s) FROM (VALUES (true, '-0'::float8), (false, '0')) v (l, s);
SELECT mtl_auc(l, s) FROM (VALUES (true, '1.7976931348623157e308'::float8), (true, 5e-324), (false, 0), (false, -5e-324), (false, '-1.7976931348623157e308')) v (l, s);
-- labels of any size
SELECT mtl_ndcg(l, s, NULL, 1) FROM (VALUES (0.001::float8, 1), (1e6, 2), (255, 3), (256, 4), (4294967296, 5), (0.5, 6), (2147483648, 7), (1e300, 8)) v (l, s);
-- a best order of many labels, whose rows come in that order, or in the reverse
SELECT mtl_ndcg(i, i, NULL, i / 100), mtl_ndcg(i, i, 10, i / 100), mtl_ndcg(i, -i, 10, 1) FROM generate_series(0, 999) i;

--
-- as PostgreSQL's aggregates
--

SELECT country, mtl_auc(clicked, score), mtl_gauc(clicked, score, user_id), count(*) FROM impressions GROUP BY country ORDER BY country;
SELECT country, user_id, mtl_auc(clicked, score) FROM impressions GROUP BY ROLLUP (country, user_id) ORDER BY country, user_id;
SELECT country, user_id, mtl_auc(clicked, score) FROM impressions GROUP BY CUBE (country, user_id) ORDER BY country, user_id;
SELECT user_id FROM impressions GROUP BY user_id HAVING mtl_auc(clicked, score) > 0.5;
SELECT mtl_auc(clicked, score) FILTER (WHERE country = 'de'), mtl_auc(clicked, score) FILTER (WHERE false) FROM impressions;
SELECT mtl_auc(DISTINCT clicked, round(score::numeric)) FROM impressions;
SELECT mtl_auc(clicked, score ORDER BY id) = mtl_auc(clicked, score ORDER BY id DESC) AS same FROM impressions;
SELECT id, mtl_auc(clicked, score) OVER (PARTITION BY country) FROM impressions ORDER BY id;
-- running, and in moving frames
SELECT count(*) AS rows, count(*) FILTER (WHERE w.running IS NOT DISTINCT FROM r.value AND w.moving IS NOT DISTINCT FROM m.value) AS same, count(DISTINCT w.moving) > 3 AS several
FROM (SELECT id, mtl_gauc(clicked, score, country) OVER (ORDER BY id) AS running,
		mtl_gauc(clicked, score, country) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) AS moving FROM impressions) w,
	LATERAL (SELECT mtl_gauc(clicked, score, country) AS value FROM impressions i WHERE i.id <= w.id) r,
	LATERAL (SELECT mtl_gauc(clicked, score, country) AS value FROM impressions i WHERE i.id BETWEEN w.id - 3 AND w.id) m;
SELECT i, mtl_auc(i % 3 = 0, i % 7) OVER (ORDER BY i), mtl_logloss(i % 3 = 0, 0.25) OVER (ORDER BY i) FROM generate_series(1, 20) i OFFSET 17;

-- the natural use
CREATE TABLE model AS SELECT model_file('{"format": 1, "architecture": {"type": "single_task"},
	"features": [{"name": "a", "kind": "dense"}], "tasks": [{"name": "ctr", "type": "binary"}]}',
	f32('task.ctr.tower.logit.weight', '{1,1}', 1), f32('task.ctr.tower.logit.bias', '{1}', 0))::mtl_model AS model;
SELECT mtl_register('feed', model) FROM model;
CREATE TABLE rows AS SELECT a, a % 3 > 0 AS clicked, a % 2 AS half FROM generate_series(-10, 10) a;
SELECT mtl_auc(clicked, mtl_score('feed', c, 'ctr')) = mtl_auc(clicked, a) AS same, mtl_auc(clicked, (mtl_score('feed', c))[1]) = mtl_auc(clicked, a) AS same FROM rows c;
SELECT half, mtl_auc(clicked, mtl_score('feed', c, 'ctr')) = mtl_auc(clicked, a) AS same FROM rows c GROUP BY half ORDER BY half;

--
-- groups
--

-- a mean weighted by hand over groups, whatever their type
CREATE TABLE grouped AS SELECT i, i % 3 = 0 AS clicked, (i * 7919) % 101 AS score, nullif(i % 11, 10) AS g FROM generate_series(1, 1000) i;
CREATE FUNCTION hand_made(type text, value text) RETURNS TABLE (groups bigint, same boolean) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT (SELECT count(*) FROM (SELECT FROM grouped GROUP BY (%2$s)::%1$s) g),
		(SELECT mtl_gauc(clicked, score, (%2$s)::%1$s) FROM grouped)
		- (SELECT sum(auc * n) / sum(n) FILTER (WHERE auc IS NOT NULL) FROM (SELECT mtl_auc(clicked, score) AS auc, count(*) AS n FROM grouped GROUP BY (%2$s)::%1$s) g)
		BETWEEN -1e-14 AND 1e-14', type, value);
END
$$;
CREATE TYPE color AS ENUM ('red', 'green', 'blue', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN site AS text CHECK (value <> '');
CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT type, h.* FROM (VALUES
	('int', 'g'), ('smallint', 'g'), ('text', $$'user ' || g$$), ('varchar(5)', 'g'), ('char(7)', 'g'), ('name', 'g'), ('site', 'g'),
	-- of which PostgreSQL's hash is the same
	('bigint', 'CASE WHEN g < 5 THEN g ELSE (g::bigint - 5) << 32 END'),
	('numeric', $$CASE WHEN i % 2 = 0 THEN g ELSE (g || '.0' || repeat('0', i % 5))::numeric END$$),
	('numeric', 'g::numeric(20, 10) * (1.00)::numeric'),
	('float8', $$CASE g WHEN 0 THEN '-0' WHEN 1 THEN '0' WHEN 2 THEN 'NaN' ELSE g::text END::float8$$), ('real', 'g'),
	('uuid', $$lpad(g::text, 32, '0')$$), ('bytea', $$decode(lpad(g::text, 4, '0'), 'hex')$$), ('boolean', 'g > 4'), ('date', $$'2000-01-01'::date + g$$),
	('timestamptz', $$'2000-01-01 00:00+00'::timestamptz + g * interval '1 hour'$$), ('interval', $$CASE WHEN i % 2 = 0 THEN g * interval '1 day' ELSE g * interval '24 hours' END$$),
	('color', '(enum_range(NULL::color))[g + 1]'), ('int[]', 'ARRAY[g, NULL, 3]'), ('text[]', 'ARRAY[g]::text[]'), ('pair', 'ROW(g, ''x'')::metrics.pair'), ('jsonb', 'jsonb_build_object(''g'', g)'),
	('int4range', 'int4range(0, g)'), ('inet', $$'10.0.0.0'::inet + g$$),
	-- without a hash
	('money', 'g'), ('bit(8)', 'g::bit(8)'), ('tsvector', 'g::text'),
	-- stored out of line, and long
	('text', 'repeat(g::text, 10000)')) t (type, value), hand_made(type, value) h;
SELECT mtl_gauc(clicked, score, ROW(g, 'x')) = mtl_gauc(clicked, score, g) AS same, mtl_gauc(clicked, score, NULL::int) = mtl_auc(clicked, score) AS null_is_a_group FROM grouped;
SELECT mtl_gauc(clicked, score, (CASE WHEN i % 2 = 0 THEN 'user' ELSE 'USER' END || g) COLLATE ignore_case) = mtl_gauc(clicked, score, g) AS folded,
	mtl_gauc(clicked, score, (CASE WHEN i % 2 = 0 THEN 'user' ELSE 'USER' END || g)) = mtl_gauc(clicked, score, g) AS kept
FROM grouped;

--
-- workers
--

CREATE TABLE parted (id int, clicked boolean, score float8, grade float8, user_id int, half int, wrong boolean) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (3000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (3000) TO (10000);
INSERT INTO parted SELECT i, i % 3 = 0, (i * 7919) % 1009 / 1009.0, i % 5 / 2.0, i % 97, i % 2, i = 5000 FROM generate_series(1, 9999) i;
ANALYZE parted;
CREATE VIEW measured AS
SELECT half, mtl_auc(clicked, score) AS auc, mtl_gauc(clicked, score, user_id::text) AS gauc, mtl_ndcg(grade, score, 5, user_id) AS ndcg,
	mtl_logloss(clicked, score) AS logloss, mtl_logloss(clicked, score::real, user_id) AS weighted, mtl_calibration(clicked, score, 5) AS calibration
FROM parted GROUP BY half;
CREATE VIEW measured_all AS
SELECT mtl_auc(clicked, score) AS auc, mtl_gauc(clicked, score, user_id) AS gauc, mtl_ndcg(grade, score, 5, user_id) AS ndcg, mtl_logloss(clicked, score) AS logloss,
	mtl_calibration(clicked, score) AS calibration
FROM parted;
CREATE FUNCTION plan_has(query text, VARIADIC nodes text[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	line text;
	plan text := '';
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		plan := plan || line;
	END LOOP;
	RETURN (SELECT bool_and(plan LIKE '%' || node || '%') FROM unnest(nodes) node);
END
$$;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE alone AS SELECT * FROM measured;
CREATE TABLE alone_all AS SELECT * FROM measured_all;
SELECT half, auc > 0 AND gauc > 0 AND ndcg > 0 AND logloss > 0 AND weighted > 0 AS measured FROM alone ORDER BY half;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT plan_has('SELECT * FROM measured', 'Finalize', 'Partial', 'Workers Planned') AS parallel, plan_has('SELECT * FROM measured_all', 'Finalize', 'Partial', 'Workers Planned') AS parallel;
SELECT (SELECT count(*) FROM alone JOIN measured ON alone = measured) AS same, (SELECT count(*) FROM alone_all JOIN measured_all ON alone_all = measured_all) AS same;
SET work_mem = '64kB';
SELECT (SELECT count(*) FROM alone JOIN measured ON alone = measured) AS same, (SELECT count(*) FROM alone_all JOIN measured_all ON alone_all = measured_all) AS same;
SET enable_hashagg = off;
SELECT (SELECT count(*) FROM alone JOIN measured ON alone = measured) AS same, (SELECT count(*) FROM alone_all JOIN measured_all ON alone_all = measured_all) AS same;
RESET enable_hashagg;
-- partial aggregates that are combined in one process
SET max_parallel_workers_per_gather = 0;
SET enable_partitionwise_aggregate = on;
SELECT plan_has('SELECT * FROM measured_all', 'Finalize', 'Append', 'Partial') AS partial;
SELECT (SELECT count(*) FROM alone JOIN measured ON alone = measured) AS same, (SELECT count(*) FROM alone_all JOIN measured_all ON alone_all = measured_all) AS same;
RESET enable_partitionwise_aggregate;
-- errors of workers are the same
SET max_parallel_workers_per_gather = 2;
SET parallel_leader_participation = off;
\set VERBOSITY default
SELECT mtl_auc(clicked, CASE WHEN wrong THEN 'infinity' ELSE score END) FROM parted;
-- which row comes first does not matter
SELECT mtl_ndcg(grade, score, CASE WHEN id < 3000 THEN 5 ELSE 10 END, user_id) FROM parted;
SELECT mtl_gauc(clicked, score, user_id, CASE WHEN id < 3000 THEN 'impressions' ELSE 'clicks' END) FROM parted;
SELECT mtl_calibration(clicked, score, CASE WHEN id < 3000 THEN 10 ELSE 5 END) FROM parted;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
RESET work_mem;

--
-- errors
--

SELECT mtl_auc(2, 0.5);
SELECT mtl_auc(0.5, 0.5);
SELECT mtl_auc('NaN'::float8, 0.5);
SELECT mtl_auc(true, 'NaN');
SELECT mtl_auc(true, 'infinity');
SELECT mtl_auc(true, '-infinity'::real);
SELECT mtl_auc('yes'::text, 0.5);
SELECT mtl_auc(true, '0.5'::text);
SELECT mtl_gauc(2, 0.5, 1);
SELECT mtl_gauc(true, 'NaN', 1);
SELECT mtl_gauc(true, 0.5, 1, 'rows');
SELECT mtl_gauc(true, 0.5, 1, NULL);
SELECT mtl_gauc(true, 0.5, 1, CASE WHEN i = 1 THEN 'clicks' ELSE 'impressions' END) FROM generate_series(1, 2) i;
SELECT mtl_gauc(true, 0.5, '{}'::json);
SELECT mtl_gauc(true, 0.5, '(1,2)'::point);
SELECT mtl_gauc(true, 0.5, ARRAY['(1,2)'::point]);
SELECT mtl_gauc(true, 0.5, 'a' COLLATE "C" || 'b' COLLATE "POSIX");
SELECT mtl_logloss(2, 0.5);
SELECT mtl_logloss(true, 1.5);
SELECT mtl_logloss(true, -1e-300);
SELECT mtl_logloss(true, 'NaN'::real);
SELECT mtl_logloss(true, 0.5, -1);
SELECT mtl_logloss(true, 0.5, 'NaN');
SELECT mtl_logloss(true, 0.5, 1e300);
SELECT mtl_ndcg(-1, 0.5, 3, 1);
SELECT mtl_ndcg('infinity'::float8, 0.5, 3, 1);
SELECT mtl_ndcg(1, 'NaN', 3, 1);
SELECT mtl_ndcg(1, 0.5, 0, 1);
SELECT mtl_ndcg(1, 0.5, -3, 1);
SELECT mtl_ndcg(1, 0.5, CASE WHEN i > 1 THEN i END, 1) FROM generate_series(1, 2) i;
SELECT mtl_ndcg(1, 0.5, i, 1) FROM generate_series(1, 2) i;
SELECT mtl_ndcg(1e308, 0.5, 10, 1) FROM generate_series(1, 2);
SELECT mtl_calibration(2, 0.5);
SELECT mtl_calibration(true, 1.01);
SELECT mtl_calibration(true, 0.5, 0);
SELECT mtl_calibration(true, 0.5, 1001);
SELECT mtl_calibration(true, 0.5, NULL);
SELECT mtl_calibration(true, 0.5, i) FROM generate_series(1, 2) i;
-- rows that are left out are not looked at
SELECT mtl_auc(NULL::boolean, 'NaN'), mtl_auc(2, NULL), mtl_logloss(true, 0.5, NULL), mtl_ndcg(NULL::int, 1, 0, 1);
-- the parts of the aggregates are no functions to be called: later minor versions of the server find none for NULL, earlier ones do not accept it
DO $$
DECLARE
	call text;
BEGIN
	FOREACH call IN ARRAY ARRAY[$c$mtl_auc_add(NULL, true, 0.5::float8)$c$, $c$mtl_tally_deserialize('\x'::bytea, NULL)$c$] LOOP
		BEGIN
			EXECUTE 'SELECT ' || call;
			RAISE EXCEPTION 'called: %', call;
		EXCEPTION
			WHEN undefined_function THEN
				ASSERT SQLERRM ~ '^function mtl_(auc_add|tally_deserialize)\(.*\) does not exist$', SQLERRM;
			WHEN feature_not_supported THEN
				ASSERT SQLERRM = 'cannot accept a value of type internal', SQLERRM;
		END;
	END LOOP;
END $$;
