-- the same values give the same bits, in every form, plan, process and kernel
CREATE SCHEMA forms;
SET search_path = forms, public;
\getenv srcdir PG_ABS_SRCDIR
\set include :srcdir '/models/forms.sql'
\set ECHO none
\i :include
\set ECHO all
SELECT position, name, kind, width, columns, missing FROM mtl_features((SELECT model FROM forms_model));
SELECT mtl_tasks(model), mtl_describe(model)->'multiply_adds' AS multiply_adds FROM forms_model;

CREATE TABLE items (
	id int PRIMARY KEY, ignored text,
	shop smallint, price numeric, seller bigint, picture float8[], viewed bigint[], viewed_weight float8[]);
INSERT INTO items
SELECT i, 'x', i % 23, (i % 97) / 4.0, i::bigint * 1000003,
	ARRAY[(i % 13) / 8.0, (i % 5) - 2, (i % 3) / 2.0],
	-- numbers beyond the integers of a float, unknown ones, and lists longer than max_length
	(ARRAY[3, 5, -34, 4, 9007199254740993, 21, 8])[1 : i % 8],
	(ARRAY[1, 0.5, 2, -1, 0.25, 3, 1])[1 : i % 8]
FROM generate_series(1, 2000) i;

CREATE VIEW scored AS
SELECT i.id,
	mtl_score(m.model, i) AS by_row,
	mtl_score(m.model, to_jsonb(i)) AS by_jsonb,
	mtl_score(m.model, u, c) AS by_pair,
	mtl_score(m.model, ARRAY[i.shop, i.price, i.seller]::numeric[] || i.picture::numeric[]
		|| (i.viewed || '{0,0,0,0}')[1:4]::numeric[] || (i.viewed_weight || '{0,0,0,0}')[1:4]::numeric[]) AS by_numeric_array,
	mtl_score(m.model, ARRAY[i.shop, i.price, i.seller]::float8[] || i.picture
		|| (i.viewed || '{0,0,0,0}')[1:4]::float8[] || (i.viewed_weight || '{0,0,0,0}')[1:4]) AS by_float8_array,
	ARRAY[mtl_score(m.model, i, 'ctr'), mtl_score(m.model, i, 'revenue'), mtl_score(m.model, i, 'value')] AS by_task
FROM forms_model m, items i,
	LATERAL (SELECT i.shop, i.picture, i.viewed_weight) u, LATERAL (SELECT i.viewed, i.seller, i.price) c;

-- lists longer than max_length, and numbers that a float8 does not hold, have no array form
SELECT count(*),
	count(*) FILTER (WHERE by_row = by_jsonb) AS jsonb,
	count(*) FILTER (WHERE by_row = by_pair) AS pair,
	count(*) FILTER (WHERE by_row = by_numeric_array OR id % 8 > 4) AS numeric_array,
	count(*) FILTER (WHERE by_row = by_float8_array OR id % 8 > 4) AS float8_array,
	count(*) FILTER (WHERE by_row = by_task) AS task,
	count(DISTINCT by_row) > 1900 AS distinct_scores,
	count(*) FILTER (WHERE by_row[1] > 0 AND by_row[1] < 1 AND by_row[3] = by_row[1] * by_row[2]) AS sane
FROM scored;

-- alone and among many, in the leader and in workers
CREATE TABLE alone AS SELECT id, by_row AS scores FROM scored;
CREATE TABLE many AS
SELECT i.*, a.scores FROM items i JOIN alone a USING (id), generate_series(1, 500) g;
ALTER TABLE many SET (parallel_workers = 2);
ANALYZE many;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2;
PREPARE compare AS
SELECT count(*), count(*) FILTER (WHERE mtl_score((SELECT model FROM forms_model), i) = scores) AS same FROM many i;
EXECUTE compare;
SET parallel_leader_participation = off;
EXECUTE compare;
-- by name: each worker looks the model up
SELECT mtl_register('forms', model) FROM forms_model;
EXPLAIN (COSTS off) SELECT count(*) FROM many i WHERE mtl_score('forms', i) = scores;
SELECT count(*) FROM many i WHERE mtl_score('forms', i) = scores;
RESET parallel_leader_participation;
SET max_parallel_workers_per_gather = 0;
SELECT count(*), count(*) FILTER (WHERE mtl_score(model, i) = scores) AS same
FROM forms_model, items i JOIN alone USING (id);

-- the portable kernel, and all others that the CPU has
SET mtl_rank.kernel = portable;
SELECT count(*), count(*) FILTER (WHERE mtl_score(model, i) = scores) AS same
FROM forms_model, items i JOIN alone USING (id);
RESET mtl_rank.kernel;
DO $$
DECLARE
	kernel text;
	detail text;
BEGIN
	FOREACH kernel IN ARRAY '{avx2,avx512,neon}'::text[] LOOP
		BEGIN
			PERFORM set_config('mtl_rank.kernel', kernel, false);
			ASSERT (SELECT count(*) = 2000 AND bool_and(mtl_score(model, i) = scores) FROM forms_model, items i JOIN alone USING (id)), kernel;
		EXCEPTION WHEN invalid_parameter_value THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			ASSERT detail = 'This CPU does not have the instructions that these kernels need.', detail;
		END;
	END LOOP;
END $$;
SET mtl_rank.kernel = sse2;
RESET mtl_rank.kernel;

-- missing values, in every form the same
CREATE TABLE holes AS
SELECT id, shop, price, seller, picture, viewed, viewed_weight FROM items WHERE id = 3;
UPDATE holes SET shop = NULL, price = NULL, seller = NULL, picture = NULL, viewed = NULL, viewed_weight = NULL;
SELECT mtl_score(model, h) = mtl_score(model, to_jsonb(h)) AS nulls,
	mtl_score(model, h) = mtl_score(model, '{}'::jsonb) AS no_keys,
	mtl_score(model, h) = mtl_score(model, x) AS no_columns,
	mtl_score(model, h) = mtl_score(model, '{"shop": null, "price": 1, "seller": 0, "viewed": [], "viewed_weight": []}'::jsonb) AS defaults
FROM forms_model, holes h, (SELECT 1 AS other) x;
